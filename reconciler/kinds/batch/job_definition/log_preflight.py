"""Whether the log groups of a job are there: without one the container does not start.

AWS Batch's own group is made with the first job; another only if ``awslogs-create-group`` says so.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/using_awslogs.html
https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_DescribeLogGroups.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from reconciler.kinds.batch.job_definition import image_facts, role_preflight
from reconciler.kinds.common.declared import as_text, at, items, mapping
from reconciler.kinds.common.replies import chunks
from reconciler.model import Call, Json, Path, Reads, Refused
from reconciler.model.preflight import Check, Fit, Ground

GROUPS: Final = "logGroups"
_MOST: Final = 50  # names in one call
_ABSENT: Final = "ResourceNotFoundException"
_GROUP, _CREATE, _REGION = "awslogs-group", "awslogs-create-group", "awslogs-region"
_OPTIONS: Final = ("logConfiguration", "options")


def check(props: Json, ground: Ground) -> Reads[list[Check]]:
    """A check of each log group that the containers of a definition name, and that AWS does not make."""
    found: list[Check] = []
    declared = _declared(ground)
    for name, path in _named(props, ground.scope.region).items():
        if name in declared:
            found.append(_result(path, Fit.fits, f"the log group {name} is declared here"))
            continue
        there = yield from _exists(name, ground)
        if isinstance(there, Refused):
            denied = "logs:DescribeLogGroups" if there.denied else ""
            message = f"the log group {name} could not be looked up: {there}"
            found.append(_result(path, Fit.unknown, message, denied=denied))
        elif there:
            found.append(_result(path, Fit.fits, f"the log group {name} exists"))
        else:
            message = f"there is no log group {name}: the container does not start"
            hint = f'declare it, or set {_CREATE}: "true"'
            found.append(_result(path, Fit.cannot, message, hint=hint))
    return found


def _exists(name: str, ground: Ground) -> Reads[bool | Refused]:
    """Whether there is a log group: fifty are asked about in one call."""
    together = ground.shared.once("log groups together", lambda: _together(ground)).get(name, (name,))
    found = yield from ground.shared.read_once(("log groups", together[0]), lambda: _existing(together))
    return found[name]


def _together(ground: Ground) -> Mapping[str, Sequence[str]]:
    """The groups that definitions name and that are not declared, by each of those that one call is about."""
    named: dict[str, None] = {}
    for one in ground.declared.section(image_facts.DEFINITIONS):
        if ground.concerns(one.address):
            named.update(dict.fromkeys(_named(ground.props(one), ground.scope.region)))
    asked = [one for one in named if one not in _declared(ground)]
    return {name: some for some in chunks(asked, _MOST) for name in some}


def _existing(names: Sequence[str]) -> Reads[Mapping[str, bool | Refused]]:
    """The reply lacks names that do not exist; where one of them makes it a refusal, each is asked about by itself."""
    if len(names) > 1:
        (reply,) = yield (Call("logs", "DescribeLogGroups", {"logGroupIdentifiers": list(names)}),)
        if not isinstance(reply, Refused):
            return {name: _has(reply, name) for name in names}
        if reply.code != _ABSENT:
            return dict.fromkeys(names, reply)
    calls = (Call("logs", "DescribeLogGroups", {"logGroupNamePrefix": name}, all_pages=True) for name in names)
    replies = yield tuple(calls)
    return {
        name: each if isinstance(each, Refused) else _has(each, name) for name, each in zip(names, replies, strict=True)
    }


def _has(reply: Json, name: str) -> bool:
    return any(mapping(one).get("logGroupName") == name for one in items(reply.get("logGroups")))


def _result(path: Path, verdict: Fit, message: str, **more: Any) -> Check:
    return Check(check="logGroup", verdict=verdict, message=message, path=path, reported=True, **more)


def _declared(ground: Ground) -> frozenset[str]:
    return ground.shared.once(
        "log groups", lambda: frozenset(_name(one, ground) for one in ground.declared.section(GROUPS))
    )


def _name(resource: Any, ground: Ground) -> str:
    plan = ground.plans.get(resource.address)
    return plan.want.physical if plan and plan.want else resource.name


def _named(props: Json, region: str) -> dict[str, Path]:
    """The groups that must be there, each with its first place."""
    found: dict[str, Path] = {}
    for path, container in _containers(props):
        logs = mapping(container.get("logConfiguration"))
        options = mapping(at(logs, "options"))
        name = as_text(options.get(_GROUP))
        made = str(options.get(_CREATE)).lower() != "false" and options.get(_CREATE) is not None
        if logs.get("logDriver") == "awslogs" and name and not made and options.get(_REGION, region) == region:
            found.setdefault(name, (*path, *_OPTIONS, _GROUP))
    found.pop("/aws/batch/job", None)
    return found


def _containers(props: Json) -> Iterator[tuple[Path, Json]]:
    for path, holder, containers in role_preflight.holders(props):
        inside = "containers" in holder
        yield from ((((*path, "containers", index) if inside else path), one) for index, one in enumerate(containers))
