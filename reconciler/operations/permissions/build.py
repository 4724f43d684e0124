"""The policies of a command, for an environment or for one saved plan; no AWS is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from reconciler.config import names
from reconciler.kinds import discover
from reconciler.model import Environment, Scope
from reconciler.model.declared import partition_of
from reconciler.operations.permissions import policy
from reconciler.operations.permissions.actions import EVENTS
from reconciler.operations.permissions.needs import ANY, Needs, of_apply, of_audit, of_plan
from reconciler.operations.permissions.policy import Statement
from reconciler.operations.permissions.resources import Estate
from reconciler.operations.permissions.steps import of_saved_plan


@dataclass(frozen=True, slots=True)
class Policies:
    """One policy, and the same one split where it is larger than ``limit`` characters; ``notes`` are for people."""

    whole: list[Statement]
    parts: list[list[Statement]]
    limit: int
    notes: tuple[str, ...]
    needs: Needs


def scope_of(env: Environment, account: str | None, region: str | None) -> tuple[Scope, list[str]]:
    """The scope as far as it is known, with wildcards for the rest, and notes about these."""
    unknown = [name for name, value in (("account", account), ("region", region)) if not value]
    notes = [
        f"the {name} is not known, so ARNs have {ANY} in its place: pass --{name}, or set `{name}:` in environment.yaml"
        for name in unknown
    ]
    return Scope(account or ANY, region or ANY, partition_of(region or "", "aws"), env.name), notes


def for_environment(
    env: Environment,
    account: str | None,
    region: str | None,
    *,
    writes: bool = False,
    history: bool = False,
    also: Sequence[str] = (),
) -> Policies:
    """The policy to plan an environment, with ``writes`` to apply and destroy it, with ``history`` to find who changed
    it. ``also`` are sections of which nothing is declared any more, but something may still be owned.
    """
    scope, notes = scope_of(env, account, region)
    estate = Estate(names.in_account(env, scope), discover(), scope)
    needs = (of_apply if writes else of_plan)(estate, also)
    if history:
        needs.add(EVENTS, (ANY,), "find who changed it")
    return _policies(needs, notes, policy.MANAGED)


def for_audit(account: str | None, region: str | None) -> Policies:
    """The policy to audit an account, which needs no environment."""
    env = Environment(name="", account=account, region=region)
    scope, notes = scope_of(env, account, region)
    return _policies(of_audit(Estate(env, discover(), scope)), notes, policy.MANAGED)


def for_plan(env: Environment, document: Mapping[str, Any]) -> Policies:
    """The policy to apply one saved plan, fit for a session policy where that is possible."""
    scope, notes = scope_of(env, str(document["account"]), str(document["region"]))
    estate = Estate(names.in_account(replace(env), scope), discover(), scope)
    return _policies(of_saved_plan(estate, document), notes, policy.SESSION)


def _policies(needs: Needs, notes: Sequence[str], limit: int) -> Policies:
    whole = policy.statements(needs.found, needs.estate.scope)
    parts = policy.documents(needs, limit)
    return Policies(whole, parts, limit, (*notes, *needs.estate.notes), needs)
