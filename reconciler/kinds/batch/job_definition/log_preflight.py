"""Whether the log groups of a job are there: without one the container does not start.

AWS Batch's own group is made with the first job; another only if ``awslogs-create-group`` says so.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/using_awslogs.html
https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_DescribeLogGroups.html
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from reconciler.kinds.batch.job_definition import role_preflight
from reconciler.kinds.common.declared import as_text, at, items, mapping
from reconciler.model import Call, Json, Path, Reads, Refused
from reconciler.model.preflight import Check, Fit, Ground

GROUPS: Final = "logGroups"
_GROUP, _CREATE, _REGION = "awslogs-group", "awslogs-create-group", "awslogs-region"
_OPTIONS: Final = ("logConfiguration", "options")


def check(props: Json, ground: Ground) -> Reads[list[Check]]:
    """A check of each log group that the containers of a definition name, and that AWS does not make."""
    found: list[Check] = []
    declared = ground.shared.once("log groups", lambda: {_name(one, ground) for one in ground.declared.section(GROUPS)})
    for name, path in _named(props, ground.scope.region).items():
        if name in declared:
            found.append(_result(path, Fit.fits, f"the log group {name} is declared here"))
            continue
        (reply,) = yield (Call("logs", "DescribeLogGroups", {"logGroupNamePrefix": name}, all_pages=True),)
        if isinstance(reply, Refused):
            denied = "logs:DescribeLogGroups" if reply.denied else ""
            message = f"the log group {name} could not be looked up: {reply}"
            found.append(_result(path, Fit.unknown, message, denied=denied))
        elif any(mapping(one).get("logGroupName") == name for one in items(reply.get("logGroups"))):
            found.append(_result(path, Fit.fits, f"the log group {name} exists"))
        else:
            message = f"there is no log group {name}: the container does not start"
            hint = f'declare it, or set {_CREATE}: "true"'
            found.append(_result(path, Fit.cannot, message, hint=hint))
    return found


def _result(path: Path, verdict: Fit, message: str, **more: Any) -> Check:
    return Check(check="logGroup", verdict=verdict, message=message, path=path, reported=True, **more)


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
