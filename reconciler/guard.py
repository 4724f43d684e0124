"""Safety rails: what a plan may not do without being told so. Pure; exit code 4 is what a refusal ends with."""

from __future__ import annotations

from typing import Final

from reconciler.model import Environment, Options, Plan, Verb
from reconciler.problems import Problem

MOST_SHARE: Final = 0.3
FROM_OWNED: Final = 10


def check(plan: Plan, env: Environment, options: Options) -> list[Problem]:
    """Every rail the plan would break through."""
    return [*_protected(plan, env), *_empty(plan, env), *_too_many(plan, options)]


def account(plan_account: str, env: Environment) -> list[Problem]:
    """The ``account`` guard: refuse to act on any other account than the declared one."""
    if env.account is None or env.account == plan_account:
        return []
    return [
        Problem(
            code="wrong-account",
            message=f"the credentials are for account {plan_account}, and this environment is for {env.account}",
            hint="use other credentials (AWS_PROFILE, `profile:`), or correct `account:` in environment.yaml",
        )
    ]


def _protected(plan: Plan, env: Environment) -> list[Problem]:
    return [
        Problem(
            code="prevent-destroy",
            message=f"the plan would {planned.verb.value} it, and lifecycle.preventDestroy forbids that",
            hint="take back the change that forces it, or set preventDestroy: false first",
            address=str(planned.address),
            pos=planned.pos,
        )
        for planned in plan.resources
        if planned.verb in (Verb.DELETE, Verb.REPLACE)
        and planned.address in env.resources
        and env.resources[planned.address].lifecycle.prevent_destroy
    ]


def _empty(plan: Plan, env: Environment) -> list[Problem]:
    going = plan.count(Verb.DELETE)
    if plan.destroy or env.resources or not going:
        return []
    return [
        Problem(
            code="empty-environment",
            message=f"nothing is declared, and {going} owned resource{'' if going == 1 else 's'} would be deleted",
            hint="if that is meant, use `reconcile destroy`; else look whether the files were read",
        )
    ]


def _too_many(plan: Plan, options: Options) -> list[Problem]:
    owned = sum(planned.verb not in (Verb.CREATE, Verb.ADOPT) for planned in plan.resources)
    going = plan.count(Verb.DELETE) + plan.count(Verb.REPLACE)
    allowed = options.allow_deletions if options.allow_deletions is not None else int(owned * MOST_SHARE)
    if plan.destroy or owned <= FROM_OWNED or going <= allowed:
        return []
    return [
        Problem(
            code="many-deletions",
            message=f"{going} of {owned} owned resources would be deleted or replaced",
            hint=f"if that is meant, say --allow-deletions {going}",
        )
    ]
