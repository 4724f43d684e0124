"""Safety rails: checks that refuse a plan, with exit code 4, until an option or a setting lifts them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from reconciler.model import (
    KEEP_TAG,
    Environment,
    Kind,
    Observed,
    Options,
    Plan,
    Resource,
    ResourcePlan,
    Scope,
    Verb,
)
from reconciler.model import problem_codes as codes
from reconciler.model.problems import Problem

MOST_SHARE: Final = 0.3
FROM_OWNED: Final = 10


def check(plan: Plan, env: Environment, options: Options, owned: int | None = None) -> list[Problem]:
    """A problem for every rail that refuses the plan. ``owned`` is the number of owned resources (default: those in the
    plan that exist).
    """
    return [*_protected(plan, env), *_empty(plan, env), *_too_many(plan, options, owned)]


def account(plan_account: str, env: Environment) -> list[Problem]:
    """A problem where ``account:`` is declared and ``plan_account``, that of the credentials, is another."""
    if env.account is None or env.account == plan_account:
        return []
    return [
        Problem(
            code=codes.WRONG_ACCOUNT,
            message=f"the credentials are for account {plan_account}, and this environment is for {env.account}",
            hint="use other credentials (AWS_PROFILE, `profile:`), or correct `account:` in environment.yaml",
        )
    ]


def owned(observed: Observed, kinds: Mapping[str, Kind], scope: Scope) -> int:
    """The number of resources that the environment owns in the account."""
    found = (
        (section, live)
        for section, lives in observed.lives.items()
        for live in lives
        if kinds[section].owned(live, scope) and not live.deleting
    )
    return len({(section, live.logical) for section, live in found})


def _protected(plan: Plan, env: Environment) -> list[Problem]:
    going = [planned for planned in plan.resources if planned.verb in (Verb.DELETE, Verb.REPLACE)]
    return [found for planned in going if (found := _prevented(planned, env.resources.get(planned.address)))]


def _prevented(planned: ResourcePlan, declared: Resource | None) -> Problem | None:
    if declared and declared.lifecycle.prevent_destroy:
        message = f"the plan would {planned.verb.value} it, and lifecycle.preventDestroy forbids that"
        hint = "undo the change that forces it, or set preventDestroy: false first"
    elif declared is None and planned.kept_object and KEEP_TAG in planned.kept_object.tags:
        message = f"the plan would {planned.verb.value} it, and it was declared with lifecycle.preventDestroy"
        hint = (
            "declare it again; to delete it, apply with preventDestroy: false before removing it; "
            f"to leave it alone for now, pass --exclude '{planned.address}'"
        )
    else:
        return None
    where = planned.pos
    return Problem(code=codes.PREVENT_DESTROY, message=message, hint=hint, address=str(planned.address), pos=where)


def _empty(plan: Plan, env: Environment) -> list[Problem]:
    going = plan.count(Verb.DELETE)
    if plan.destroy or env.resources or not going:
        return []
    return [
        Problem(
            code=codes.EMPTY_ENVIRONMENT,
            message=f"nothing is declared, and {going} owned resource{'' if going == 1 else 's'} would be deleted",
            hint="to delete them, run `reconcile destroy`; otherwise check that the files were read",
        )
    ]


def _too_many(plan: Plan, options: Options, owned: int | None) -> list[Problem]:
    if owned is None:
        owned = sum(planned.verb not in (Verb.CREATE, Verb.ADOPT) for planned in plan.resources)
    gone = (Verb.DELETE, Verb.REPLACE)
    copies = sum(len(planned.by_tag_only) for planned in plan.resources if planned.verb not in gone)
    going = sum(plan.count(verb) for verb in gone) + copies
    allowed = options.allow_deletions if options.allow_deletions is not None else int(owned * MOST_SHARE)
    if plan.destroy or owned <= FROM_OWNED or going <= allowed:
        return []
    return [
        Problem(
            code=codes.MANY_DELETIONS,
            message=f"{going} of {owned} owned resources would be deleted or replaced",
            hint=f"to allow it, pass --allow-deletions {going}",
        )
    ]
