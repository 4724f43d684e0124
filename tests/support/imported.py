"""Accounts that nobody owns, to import from."""

from __future__ import annotations

from typing import Any

import boto3

from tests.support.clients import client_of

OWNERSHIP = ("reconciler/environment", "reconciler/name", "reconciler/region", "reconciler/prevent-destroy")


def forget(aws: Any = None) -> None:
    """Remove the tags of ownership from everything in the account, as if others had made it."""
    from reconciler.account.client import identity
    from reconciler.account.everything import Everything
    from reconciler.account.reader import Reader
    from reconciler.kinds import discover

    client = aws or client_of(boto3.Session())
    scope, kinds = identity(client, "-"), discover()
    lives = Everything(Reader(client, parallelism=0), kinds, scope).everything(kinds)
    for section, found in lives.items():
        for live in found:
            gone = [name for name in live.tags if name in OWNERSHIP]
            if gone and not kinds[section].container:
                for action in kinds[section].tag(live, {}, gone):
                    client.call(action)


def changes_but_ownership(plan: Any) -> list[tuple[str, str, str]]:
    """What a plan changes in the account: all but the tags of ownership, by address."""
    found = []
    for entry in plan["resource_changes"]:
        told = [one for one in entry["differences"] if not one["path"].startswith("tags.reconciler/")]
        found += [(entry["address"], entry["action"], one["path"]) for one in told]
        if entry["action"] not in ("adopt", "noop", "update"):
            found.append((entry["address"], entry["action"], ""))
    return found


def adopted(shell: Any, env: str) -> None:
    """A plan with ``--adopt`` only tags; after that there is nothing left to do."""
    shell.ok("validate", env)
    plan = shell("plan", env, "--adopt", "--format", "json")
    assert plan.code == 0, plan.told
    assert changes_but_ownership(plan.json) == [], shell("plan", env, "--adopt").told
    done = shell("apply", env, "--adopt", "-y")
    assert done.code == 0, done.told
    after = shell("plan", env, "--detailed-exitcode")
    assert after.code == 0, after.told
