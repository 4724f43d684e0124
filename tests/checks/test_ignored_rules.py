"""``ignoreRules``: advice that is not wanted, in an environment or on one resource."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.model.problems import Problems
from reconciler.operations import pipeline

HEAD = "environment: t\nregion: eu-west-1\n"
OPEN = "description: d\n    vpcId: vpc-0a\n    ingress: [{protocol: tcp, port: 22, cidr: 0.0.0.0/0}]\n"
GROUPS = f"securityGroups:\n  a:\n    {OPEN}  b:\n    {OPEN}    lifecycle: {{OWN}}\n"


def found(path: Path, content: str, *, strict: bool = False) -> list[tuple[str, str, str]]:
    (path / "environment.yaml").write_text(content, encoding="utf-8")
    try:
        problems = pipeline.read_environment(path, {}, strict=strict)[1]
    except Problems as error:
        problems = error.problems
    return [(one.severity, str(one.code), one.address) for one in problems]


BOTH = [("warning", "open-to-all", f"securityGroups.{name}") for name in "ab"]


@pytest.mark.parametrize(
    ("settings", "own", "left"),
    [
        ("", "{}", BOTH),
        ("ignoreRules: [open-to-all]\n", "{}", []),
        ("ignoreRules: [no-timeout]\n", "{}", BOTH),
        ("", "{ignoreRules: [open-to-all]}", BOTH[:1]),
        ("", "{ignoreRules: [privileged]}", BOTH),
        ("defaults: {securityGroups: {lifecycle: {ignoreRules: [open-to-all]}}}\n", "{}", []),
    ],
)
def test_advice_is_left_out(tmp_path: Path, settings: str, own: str, left: list[tuple[str, str, str]]) -> None:
    assert found(tmp_path, HEAD + settings + GROUPS.replace("{OWN}", own)) == left


@pytest.mark.parametrize(
    ("settings", "own", "said"),
    [
        ("ignoreRules: [open-to-al]\n", "{}", 'no rule "open-to-al".*did you mean "open-to-all"'),
        ("ignoreRules: [yaml-syntax]\n", "{}", "yaml-syntax is an error, and errors cannot be ignored"),
        ("", "{ignoreRules: [nothing-like-it]}", r'no rule "nothing-like-it".*warning\[open-to-all\]'),
        ("", "{ignoreRules: [yaml-syntax]}", "yaml-syntax is an error"),
        ("ignoreRules: open-to-all\n", "{}", "ignoreRules must be a list"),
        ("", "{ignoreRules: [1]}", 'there is no rule "1"'),
    ],
)
def test_rules_that_are_none(tmp_path: Path, settings: str, own: str, said: str) -> None:
    (tmp_path / "environment.yaml").write_text(HEAD + settings + GROUPS.replace("{OWN}", own), encoding="utf-8")
    with pytest.raises(Problems, match=f"(?s){said}") as caught:
        pipeline.read_environment(tmp_path, {}, strict=False)
    (wrong,) = (one for one in caught.value.problems if not one.warning)
    assert wrong.pos and wrong.pos.line == (3 if settings else 12)


def test_an_error_of_a_code_that_may_be_a_warning_is_not_ignored(tmp_path: Path) -> None:
    unset = f'{HEAD}ignoreRules: [unset-variable]\nlogGroups: {{a: {{tags: {{b: "${{env:NOT_SET_HERE}}"}}}}}}\n'
    assert found(tmp_path, unset) == []
    assert found(tmp_path, unset, strict=True) == [("error", "unset-variable", "logGroups.a")]
