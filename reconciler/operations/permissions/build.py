"""The policies of a command, for environments or for one saved plan; no AWS is asked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from reconciler.config import names
from reconciler.kinds import discover
from reconciler.model import Environment, Scope
from reconciler.model.declared import partition_of
from reconciler.model.records import dataclass
from reconciler.operations.permissions import policy
from reconciler.operations.permissions.actions import ASSUME
from reconciler.operations.permissions.compaction import MANY, compacted
from reconciler.operations.permissions.merging import Statement, statements
from reconciler.operations.permissions.modes import MODES, Purpose
from reconciler.operations.permissions.needs import ANY, Needs, add_preflight, together
from reconciler.operations.permissions.places import NO_PLACES, Places
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


@dataclass(frozen=True, slots=True)
class Where:
    """What stands in ARNs for the account, Region and partition that an environment does not say, and is not known."""

    account: str = ANY
    region: str = ANY
    partition: str = "aws"


#: In a policy that is declared as YAML: those of the environment that declares it.
EXPRESSIONS: Final = Where("${account}", "${region}", "${partition}")
ANYWHERE: Final = Where()


def scope_of(env: Environment, account: str | None, region: str | None, unknown: Where = ANYWHERE) -> Scope:
    """The scope as far as it is known."""
    partition = partition_of(region or "", unknown.partition)
    return Scope(account or unknown.account, region or unknown.region, partition, env.name)


def _unknown(scopes: Iterable[Scope]) -> list[str]:
    """Notes about what is not known."""
    missing = {name: None for scope in scopes for name in ("account", "region") if getattr(scope, name) == ANY}
    return [
        f"the {name} is not known, so ARNs have {ANY} in its place: pass --{name}, or set `{name}:` in environment.yaml"
        for name in missing
    ]


def for_environments(
    chosen: Sequence[tuple[Environment, Scope]],
    purpose: Purpose = Purpose.plan,
    *,
    also: Sequence[str] = (),
    places: Places = NO_PLACES,
    preflight: bool = False,
) -> Policies:
    """The policy of a command for environments. ``also`` are sections of which nothing is declared any more, but
    something may still be owned; ``places`` are where the command keeps results and sends notices; ``preflight``
    permits what a preflight asks, too.

    Of several, the policy is for the role that signs in: where an environment has a role of its own, that is assumed.
    """
    found: list[Needs] = []
    for env, scope in chosen:
        estate = Estate(names.in_account(env, scope), discover(), scope)
        role = env.role.get("roleArn", "") if len(chosen) > 1 else ""
        needs = Needs((estate,)) if role else MODES[purpose](estate, also)
        if preflight and not role:
            add_preflight(needs)
        if role:
            needs.add(ASSUME, (role,), f"assume the role of: {env.name}")
        found.append(needs)
    whole = together(found) if len(found) > 1 else found[0]
    places.add(whole)
    return _policies(whole, _unknown(scope for _, scope in chosen), policy.MANAGED)


def for_environment(
    env: Environment,
    account: str | None,
    region: str | None,
    purpose: Purpose = Purpose.plan,
    *,
    also: Sequence[str] = (),
) -> Policies:
    """The policy of a command for one environment."""
    return for_environments([(env, scope_of(env, account, region))], purpose, also=also)


def for_account(account: str | None, region: str | None, purpose: Purpose) -> Policies:
    """The policy of a command that is about an account, and needs no environment."""
    return for_environment(Environment(name="", account=account, region=region), account, region, purpose)


def for_plan(env: Environment, document: Mapping[str, Any]) -> Policies:
    """The policy to apply one saved plan, fit for a session policy where that is possible."""
    scope = scope_of(env, str(document["account"]), str(document["region"]))
    estate = Estate(names.in_account(env, scope), discover(), scope)
    return _policies(of_saved_plan(estate, document), [], policy.SESSION)


def _policies(needs: Needs, notes: Sequence[str], limit: int) -> Policies:
    parts = policy.documents(needs, limit)
    for names_left in MANY if len(parts) > policy.ATTACHED else ():
        fewer = compacted(needs, names_left)
        parts = policy.documents(fewer, limit)
        if len(parts) <= policy.ATTACHED or names_left == MANY[-1]:
            needs = fewer
            break
    said = dict.fromkeys(note for estate in needs.estates for note in estate.notes)
    return Policies(statements(needs.found), parts, limit, (*notes, *said, *needs.notes), needs)
