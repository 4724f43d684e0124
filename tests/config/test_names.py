"""Physical names: every kind's own member, prefixes, and names that cannot be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reconciler.checks import environment as check
from reconciler.config import loader, names
from reconciler.kinds import discover
from reconciler.model import Address, Environment, Scope
from reconciler.model.problems import Problem
from reconciler.schema import registry

KINDS = discover()
NAMED = sorted(section for section, kind in KINDS.items() if kind.name_member and not kind.named_below)


def checked(folder: Path, text: str) -> tuple[Environment, list[Problem]]:
    (folder / "e.yaml").write_text(f"environment: dev\nregion: eu-west-1\n{text}")
    env, found = check.environment(loader.load(folder / "e.yaml", environ={}), KINDS)
    here = Scope("123456789012", "eu-west-1", "aws", "dev")
    return names.in_account(env, here), [one for one in found if not one.warning]


def test_every_kind_but_shared_ones_can_be_named() -> None:
    assert [section for section, kind in KINDS.items() if not kind.name_member] == [
        section for section, kind in KINDS.items() if kind.shared
    ]


@pytest.mark.parametrize("section", NAMED)
def test_the_name_member_is_the_physical_name(section: str, tmp_path: Path) -> None:
    """It is no property: nothing compares or sends it, and editors know it."""
    member = KINDS[section].name_member
    text = f"namePrefix: p-\n{section}:\n  a: {{{member}: '${{environment}}-own'}}\n  b: {{}}\n"
    _, found = checked(tmp_path, text)
    assert not [one for one in found if member in one.path or member in one.message]
    named = names.physical_names(loader.load(tmp_path / "e.yaml", environ={}), KINDS)
    assert named == {Address(section, "a"): "dev-own", Address(section, "b"): "p-b"}
    assert member in registry.published(section)["properties"]


def test_names_are_known_in_the_account(tmp_path: Path) -> None:
    text = """
namePrefix: "${environment}-${region}-"
logGroups:
  a: {}
  /b: {}
  c: {logGroupName: "${account}/c"}
serviceLinkedRoles:
  batch.amazonaws.com: {}
jobQueues:
  q: {jobQueueName: own, priority: 1, serviceEnvironmentOrder: [{order: 1, serviceEnvironment: s}], jobQueueType: SAGEMAKER_TRAINING}
  r: {priority: 1, serviceEnvironmentOrder: [{order: 1, serviceEnvironment: s}], jobQueueType: SAGEMAKER_TRAINING}
serviceEnvironments:
  s: {serviceEnvironmentType: SAGEMAKER_TRAINING, capacityLimits: [{maxCapacity: 1, capacityUnit: NUM_INSTANCES}]}
"""
    env, found = checked(tmp_path, text)

    assert found == []
    assert {str(address): one.name for address, one in env.resources.items()} == {
        "logGroups.a": "dev-eu-west-1-a",
        'logGroups["/b"]': "/b",
        "logGroups.c": "123456789012/c",
        'serviceLinkedRoles["batch.amazonaws.com"]': "batch.amazonaws.com",
        "jobQueues.q": "own",
        "jobQueues.r": "dev-eu-west-1-r",
        "serviceEnvironments.s": "dev-eu-west-1-s",
    }


def test_a_share_is_named_after_its_queue(tmp_path: Path) -> None:
    queues = "jobQueues: {q: {jobQueueName: own}, r: {}}\n"
    shares = "quotaShares: {q/a: {}, r/a: {}, r/b: {quotaShareName: c}, other/a: {}}\n"
    (tmp_path / "e.yaml").write_text(f"environment: dev\nnamePrefix: p-\n{queues}{shares}")
    named = names.physical_names(loader.load(tmp_path / "e.yaml", environ={}), KINDS)

    assert [named[Address("quotaShares", name)] for name in ("q/a", "r/a", "r/b", "other/a")] == [
        "own/a",
        "p-r/a",
        "p-r/c",
        "other/a",
    ]


WRONG: list[tuple[str, list[tuple[str, str, str]]]] = [
    ("namePrefix: '${lookups.x}-'\nlogGroups: {a: {}}\n", [("bad-expression", "", "namePrefix")]),
    (
        "logGroups: {a: {logGroupName: '${logGroups.b.name}-a'}, b: {}}\n",
        [("bad-expression", "logGroups.a", "logGroupName")],
    ),
    ("logGroups: {a: {logGroupName: b}, b: {}}\n", [("duplicate-resource", "logGroups.b", "")]),
    ("namePrefix: p-\nlogGroups: {a: {logGroupName: p-b}, b: {}}\n", [("duplicate-resource", "logGroups.b", "")]),
    (
        "roles: {a: {roleName: B, trust: [ec2.amazonaws.com]}, b: {trust: [ec2.amazonaws.com]}}\n",
        [("duplicate-resource", "roles.b", "")],
    ),
    (
        f"namePrefix: {'p' * 60}-\nroles: {{long: {{trust: [ec2.amazonaws.com]}}}}\n",
        [("invalid-value", "roles.long", "")],
    ),
    ("namePrefix: 'a b-'\nlogGroups: {a: {}}\n", [("invalid-value", "logGroups.a", "")]),
    ("namePrefix: sg-\nsecurityGroups: {a: {description: x}}\n", [("invalid-value", "securityGroups.a", "")]),
]


@pytest.mark.parametrize(("text", "told"), WRONG)
def test_names_that_cannot_be(text: str, told: list[Any], tmp_path: Path) -> None:
    _, found = checked(tmp_path, text)

    assert [(one.code, one.address, one.path) for one in found if one.code != "unknown-reference"] == told
