"""What the commands on jobs need: to submit the declared definitions to the declared queues, and to read, stop and
reach any job of the account, which has no environment of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from reconciler.model import Resource
from reconciler.operations.jobs.desk import SERVICES
from reconciler.operations.jobs.streams import GROUP
from reconciler.operations.permissions import actions
from reconciler.operations.permissions.needs import ANY, Needs
from reconciler.operations.permissions.resources import Estate

SUBMIT, TERMINATE = "batch:SubmitJob", "batch:TerminateJob"
READS: Final = ("batch:DescribeJobs", "batch:ListJobs")
OF_SERVICES: Final = ("batch:DescribeServiceJob", "batch:ListServiceJobs")
TERMINATE_SERVICE_JOB: Final = "batch:TerminateServiceJob"
LOGS: Final = (("logs:GetLogEvents", "log-stream:*"), ("logs:FilterLogEvents", "*"))
MACHINES: Final = (
    "ecs:DescribeContainerInstances",
    "ecs:DescribeTasks",
    "ec2:DescribeInstances",
    "ec2:DescribeNetworkInterfaces",
)


def of_jobs(estate: Estate) -> Needs:
    """The needs of `reconcile jobs`, without those of a session by Systems Manager."""
    needs = Needs((estate,), {})
    for action in READS:
        needs.add(action, (ANY,), "list and describe jobs")
    for action in (SUBMIT, TERMINATE):
        verb = "submit" if action == SUBMIT else "stop"
        needs.add(action, (actions.pattern("batch:job", estate.scope),), f"{verb} jobs")
    _submissions(needs, estate)
    for (group, region), addresses in _groups(estate).items():
        for action, tail in LOGS:
            arn = f"arn:{estate.scope.partition}:logs:{region}:{estate.scope.account}:log-group:{group}:{tail}"
            needs.add(action, (arn,), f"read the output: {', '.join(addresses) or 'jobs of others'}")
    for action in MACHINES:
        found = actions.types(action) if actions.limited(action) else {}
        needs.add(action, [actions.pattern(one, estate.scope) for one in found] or [ANY], "find the machine of a job")
    return needs


def _submissions(needs: Needs, estate: Estate) -> None:
    for section, kind in estate.kinds.items():
        if kind.takes_jobs:
            for action in (*kind.access.always, *kind.access.reads):
                needs.add(action, (ANY,), f"find the queue: {section}")
        if not (kind.takes_jobs or kind.submits):
            continue
        for resource in estate.declared(section):
            if kind.takes_jobs and resource.props.get(SERVICES):
                _service_jobs(needs, estate, str(resource.address))
                continue
            needs.add(SUBMIT, estate.own(resource), f"submit: {resource.address}")


def _service_jobs(needs: Needs, estate: Estate, queue: str) -> None:
    for action in OF_SERVICES:
        needs.add(action, (ANY,), f"list and describe service jobs: {queue}")
    pattern = actions.pattern("batch:service-job", estate.scope)
    needs.add(TERMINATE_SERVICE_JOB, (pattern,), f"stop service jobs: {queue}")


def _groups(estate: Estate) -> dict[tuple[str, str], list[str]]:
    """The log groups of jobs with their Regions: the default one, and those that declared definitions name."""
    found: dict[tuple[str, str], list[str]] = {(GROUP, estate.scope.region): []}
    for section, kind in estate.kinds.items():
        for resource in estate.declared(section) if kind.submits else ():
            for options in _options(resource):
                group, region = options.get("awslogs-group", GROUP), options.get("awslogs-region", estate.scope.region)
                names = (group if isinstance(group, str) else ANY, region if isinstance(region, str) else ANY)
                found.setdefault(names, []).append(str(resource.address))
    return found


def _options(resource: Resource) -> Iterator[Mapping[str, Any]]:
    """The options of every log configuration in a definition."""

    def within(value: Any) -> Iterator[Mapping[str, Any]]:
        if isinstance(value, Mapping):
            given = value.get("logConfiguration")
            if isinstance(given, Mapping) and isinstance(given.get("options"), Mapping):
                yield given["options"]
            for item in value.values():
                yield from within(item)
        elif isinstance(value, list | tuple):
            for item in value:
                yield from within(item)

    yield from within(resource.props)
