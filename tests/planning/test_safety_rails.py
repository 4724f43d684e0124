"""The safety rails: each holds, and each is lifted by its flag."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler.model import Lifecycle, Options
from reconciler.planning import planner, safety_rails
from tests.support.builders import KINDS, SCOPE, env, live, observed, resource


def checked(declared: Any, seen: Any, **options: Any) -> list[str]:
    chosen = Options(**options)
    made, problems = planner.make(declared, KINDS, SCOPE, seen, options=chosen)
    assert problems == []
    return [problem.code for problem in safety_rails.check(made, declared, chosen)]


ELEVEN = observed(engines=[live(f"e{n}", power=1) for n in range(11)])


def keeping(count: int) -> Any:
    return env(*(resource("engines", f"e{n}") for n in range(count)))


def test_many_deletions_need_a_word() -> None:
    assert checked(keeping(8), ELEVEN) == []
    assert checked(keeping(7), ELEVEN) == ["many-deletions"]
    assert checked(keeping(7), ELEVEN, allow_deletions=4) == []
    assert checked(keeping(7), ELEVEN, allow_deletions=3) == ["many-deletions"]


def test_a_few_owned_may_all_go() -> None:
    ten = observed(engines=[live(f"e{n}", power=1) for n in range(10)])

    assert checked(keeping(1), ten) == []


def test_replacements_count_as_deletions() -> None:
    changed = env(*(resource("engines", f"e{n}", fuel="new") for n in range(11)))

    assert checked(changed, ELEVEN) == ["many-deletions"]


def test_copies_that_others_tagged_count_as_deletions() -> None:
    """They stand beside what is declared under their name, which does not change."""
    own = {"reconciler/environment": "test"}
    copies = [live(f"copy{n}", {**own, "reconciler/name": f"e{n}"}, power=1) for n in range(4)]
    seen = observed(engines=[*ELEVEN.lives["engines"], *copies])

    assert checked(keeping(11), seen) == ["many-deletions"]
    assert checked(keeping(11), seen, allow_deletions=4) == []


def test_an_empty_environment_never_plans_deletions_but_destroy_does() -> None:
    assert checked(env(), observed(engines=[live("e", power=1)])) == ["empty-environment"]
    assert checked(env(), observed(engines=[live("e", power=1)]), destroy=True) == []
    assert checked(env(), ELEVEN, destroy=True) == []


def test_prevent_destroy_holds_against_replacing_and_destroying() -> None:
    kept = env(resource("engines", "e", Lifecycle(prevent_destroy=True), fuel="new"))
    seen = observed(engines=[live("e", power=1)])

    assert checked(kept, seen) == ["prevent-destroy"]
    assert checked(kept, seen, destroy=True) == ["prevent-destroy"]
    assert checked(env(resource("engines", "e", Lifecycle(prevent_destroy=True), power=2)), seen) == []


@pytest.mark.parametrize(("account", "codes"), [(None, []), ("123456789012", []), ("1", ["wrong-account"])])
def test_the_account_guard(account: str | None, codes: list[str]) -> None:
    declared = replace(env(), account=account)

    assert [problem.code for problem in safety_rails.account(SCOPE.account, declared)] == codes
