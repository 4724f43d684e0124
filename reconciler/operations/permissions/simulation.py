"""Whether a role may apply a plan: IAM's policy simulator is asked about each action and resource of the plan.

The simulator knows identity policies, boundaries and the organization's policies; it does not know session policies.

https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from reconciler.model import Call, Json, Refused, Reply
from reconciler.model import problem_codes as codes
from reconciler.model.patterns import regex
from reconciler.model.problems import Problem, Problems
from reconciler.model.records import dataclass
from reconciler.operations.permissions import build
from reconciler.operations.permissions.needs import Need, Needs

if TYPE_CHECKING:
    from reconciler.operations.session import Session

_ACTIONS_A_CALL = 40
_MOST_REASONS = 4  # of what needs the actions of a service
_MOST_RESOURCES = 3  # of one action
_UNKNOWN = "only under conditions that are not known before"
_ROLE = regex(r"arn:(?P<partition>[^:]+):sts::(?P<account>\d{12}):assumed-role/(?P<name>[^/]+)/.+")
_USER = regex(r"arn:[^:]+:iam::\d{12}:(user|role)/.+")


def check(session: Session, document: Mapping[str, Any], role: str | None, *, required: bool = True) -> list[Problem]:
    """A problem for each service with actions of the plan that ``role``, by default the caller, has no permission for.
    Of an environment that is applied by a role of its own (`roleArn`), that one is meant by ``role``.

    Where the simulator does not answer there is a warning, or, where an answer is ``required``, it raises Problems.
    """
    try:
        return _checked(session, document, role and session.env.role.get("roleArn", role))
    except Problems as error:
        if required or any(problem.code != codes.PERMISSIONS_UNKNOWN for problem in error.problems):
            raise
        return [replace(problem, warning=True) for problem in error.problems]


def _checked(session: Session, document: Mapping[str, Any], role: str | None) -> list[Problem]:
    from reconciler.account.reader import Reader  # noqa: PLC0415  (needs boto3, which most commands do without)

    principal = role or _caller(session)
    needs = build.for_plan(session.env, document).needs
    questions = dict(_questions(needs, principal))
    reader = Reader(session.client, parallelism=4)
    try:
        replies = reader.ask(list(questions.values()))
    finally:
        reader.close()
    groups: dict[tuple[Any, ...], list[tuple[Need, Json]]] = {}
    for (key, call), reply in zip(questions.items(), replies, strict=True):
        for need, result in _results(principal, key, call, reply):
            groups.setdefault((need.action, need.conditions, _spelling(need.resource)), []).append((need, result))
    missing = [
        _Missing(*min(group, key=lambda one: len(one[0].resource)), tuple(needs.found[group[0][0]]))
        for group in groups.values()
        if all(result.get("EvalDecision") != "allowed" for _, result in group)
    ]
    by_service: dict[tuple[str, str], list[_Missing]] = {}
    for one in missing:
        by_service.setdefault((one.need.action.partition(":")[0], one.how), []).append(one)
    return [_problem(principal, some) for some in by_service.values()]


@dataclass(frozen=True, slots=True)
class _Missing:
    """A need that is not met, the simulator's result about it, and the reasons for the need."""

    need: Need
    result: Json
    why: tuple[str, ...]

    @property
    def how(self) -> str:
        """In which way it is missing, in words."""
        if self.result.get("EvalDecision") == "explicitDeny":
            return "is explicitly denied"
        return _UNKNOWN if self.result.get("MissingContextValues") else "has no permission for"


def _spelling(arn: str) -> str:
    """What the forms have in common in which AWS may check one object: with its path or without, and its parts."""
    bare = re.sub(r":\*$|-\?{6}$", "", arn)
    return re.sub(r"(:iam::[^/]+/).*/", r"\1", bare)


def _questions(needs: Needs, principal: str) -> Iterator[tuple[tuple[Any, ...], Call]]:
    """A call for each resource, with its actions, by resource, conditions and number."""
    together: dict[tuple[Any, ...], list[str]] = {}
    for need in sorted(needs.found):
        together.setdefault((need.resource, need.conditions), []).append(need.action)
    for (resource, conditions), actions in together.items():
        context = [
            {"ContextKeyName": key, "ContextKeyValues": list(values[:1]), "ContextKeyType": "string"}
            for key, values in conditions
        ]
        for first in range(0, len(actions), _ACTIONS_A_CALL):
            params = {
                "PolicySourceArn": principal,
                "ActionNames": actions[first : first + _ACTIONS_A_CALL],
                "ResourceArns": [resource],
                **({"ContextEntries": context} if context else {}),
            }
            yield (resource, conditions, first), Call("iam", "SimulatePrincipalPolicy", params, all_pages=True)


def _results(principal: str, key: tuple[Any, ...], call: Call, reply: Reply) -> Iterator[tuple[Need, Json]]:
    """The needs in one call, each with its result. Raises Problems for a refusal."""
    if isinstance(reply, Refused):
        hint = f"allow {call.action}" if reply.denied else "pass --apply-role with the ARN of a role"
        message = f"cannot check the permissions of {principal}: {reply}"
        raise Problems([Problem(code=codes.PERMISSIONS_UNKNOWN, message=message, hint=hint)])
    resource, conditions, _ = key
    for result in reply.get("EvaluationResults", ()):
        yield Need(str(result["EvalActionName"]), resource, conditions), result


def _problem(principal: str, missing: Sequence[_Missing]) -> Problem:
    """One for all actions of a service that are missing in the same way: who lacks much lacks whole services."""
    how, what = missing[0].how, _listed(missing)
    reasons = [*dict.fromkeys(why for one in missing for why in one.why)]
    why = "; ".join(reasons[:_MOST_REASONS])
    why += f"; and {len(reasons) - _MOST_REASONS} more" if len(reasons) > _MOST_REASONS else ""
    if how == _UNKNOWN:
        unknown = sorted({key for one in missing for key in one.result["MissingContextValues"]})
        message = f"{principal} has {what} {_UNKNOWN}: {', '.join(unknown)}"
        return Problem(code=codes.MISSING_PERMISSION, message=message, hint=f"needed for: {why}", warning=True)
    hint = f"needed for: {why}; `reconcile permissions ENV --for apply` prints the policy"
    return Problem(code=codes.MISSING_PERMISSION, message=f"{principal} {how} {what}", hint=hint)


def _listed(missing: Sequence[_Missing]) -> str:
    """The actions: one with its resources, several with the number of these."""
    actions: dict[str, list[str]] = {}
    for one in missing:
        actions.setdefault(one.need.action, []).append(one.need.resource)
    if len(actions) > 1:
        listed = (f"{name} ({len(on)} resources)" if len(on) > 1 else name for name, on in sorted(actions.items()))
        return f"{len(actions)} actions: {', '.join(listed)}"
    ((action, resources),) = actions.items()
    if resources == ["*"]:
        return action
    more = f" and {len(resources) - _MOST_RESOURCES} more" if len(resources) > _MOST_RESOURCES else ""
    return f"{action} on {', '.join(resources[:_MOST_RESOURCES])}{more}"


def _caller(session: Session) -> str:
    """The ARN of the caller's role or user. Raises Problems where the simulator does not take it."""
    reply = session.client.call(Call("sts", "GetCallerIdentity"))
    arn = "" if isinstance(reply, Refused) else str(reply.get("Arn"))
    if found := _ROLE.fullmatch(arn):
        role = session.client.call(Call("iam", "GetRole", {"RoleName": found["name"]}))
        if not isinstance(role, Refused):
            return str(role["Role"]["Arn"])  # with its path, which the session does not show
        return f"arn:{found['partition']}:iam::{found['account']}:role/{found['name']}"
    if _USER.fullmatch(arn):
        return arn
    message = f"the permissions of {arn or 'the caller'} cannot be checked: it is neither a role nor a user"
    hint = "pass --apply-role with the ARN of the role that applies"
    raise Problems([Problem(code=codes.PERMISSIONS_UNKNOWN, message=message, hint=hint)])
