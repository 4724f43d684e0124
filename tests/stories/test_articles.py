"""The three environments in the sandbox, by the commands people type: built, left alone, adopted, taken down."""

from __future__ import annotations

import json
import shutil

import pytest

from tests.support.examples import ARTICLES, ROOT, Account
from tests.support.long import some


@pytest.mark.parametrize("name", some(ARTICLES, 3))  # the others: with all three side by side
def test_it_is_built_then_left_alone_then_taken_down_to_nothing(name: str, any_order: Account) -> None:
    account = any_order
    before = account.names()

    account.reconcile("apply", name, "--auto-approve")

    assert account.names() > before
    account.converged(name)

    account.reconcile("destroy", name, "--auto-approve")

    assert account.names() == before


@pytest.mark.long  # as three environments of one base do: tests/stories/test_overlays.py
def test_all_three_stand_side_by_side(account: Account) -> None:
    before = account.names()

    for name in ARTICLES:
        account.reconcile("apply", name, "--auto-approve")
    for name in ARTICLES:
        account.converged(name)
    for index, name in enumerate(ARTICLES):
        account.reconcile("destroy", name, "--auto-approve")
        for other in ARTICLES[index + 1 :]:
            account.converged(other)

    assert account.names() == before


@pytest.mark.long
def test_it_can_be_built_again_after_it_was_destroyed(account: Account) -> None:
    for _ in range(2):
        account.reconcile("apply", "custom-logging", "--auto-approve")
        account.converged("custom-logging")
        account.reconcile("destroy", "custom-logging", "--auto-approve")


@pytest.mark.long  # a process of the AWS CLI for every command
@pytest.mark.skipif(shutil.which("aws") is None, reason="the AWS CLI is not installed")
@pytest.mark.parametrize("name", ARTICLES)
def test_what_the_articles_commands_build_is_adopted_without_a_difference(name: str, account: Account) -> None:
    before = account.names()
    account.run(ROOT / "tests" / "data" / "articles" / f"{name}.sh")

    plan = json.loads(account.reconcile("plan", name, "--adopt", "--format", "json"))

    assert {change["action"] for change in plan["resource_changes"]} == {"adopt"}
    assert {difference["path"] for change in plan["resource_changes"] for difference in change["differences"]} == {
        "tags.reconciler/environment"
    }

    account.reconcile("apply", name, "--adopt", "--auto-approve")
    account.converged(name)
    account.reconcile("destroy", name, "--auto-approve")

    assert account.names() == before
