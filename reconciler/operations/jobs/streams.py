"""Where the output of a job is: its log streams, or why there are none. Pure over a reply of DescribeJobs.

AWS reports the stream of each attempt and container; the group and the Region are those of the container's
``logConfiguration``, not always the default ``/aws/batch/job``. An attempt that never ran has no stream.

https://docs.aws.amazon.com/batch/latest/APIReference/API_AttemptContainerDetail.html
https://docs.aws.amazon.com/batch/latest/userguide/using_awslogs.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from reconciler.model.records import dataclass
from reconciler.operations.jobs import specs
from reconciler.operations.jobs.watch import over

GROUP: Final = "/aws/batch/job"
CLOUDWATCH: Final = "awslogs"
# Options of log drivers that name the place to which they deliver.
PLACES: Final = (
    "splunk-url",
    "gelf-address",
    "fluentd-address",
    "syslog-address",
    "Name",
)
_CONSOLES: Final = {"aws-cn": "console.amazonaws.cn", "aws-us-gov": "console.amazonaws-us-gov.com"}


@dataclass(frozen=True, slots=True)
class Stream:
    """One log stream: of a container in one attempt (from 1) of a job, or of an array's child or a node.

    ``open``: the attempt may still write. ``region`` is empty where it is the job's own.
    """

    job: str
    attempt: int
    container: str
    group: str
    name: str
    region: str = ""
    open: bool = False

    @property
    def key(self) -> tuple[str, str, str]:
        """Region, group and name."""
        return self.region, self.group, self.name

    @property
    def label(self) -> str:
        """What distinguishes it from others of the same job: ``:3 attempt 2 app``."""
        part = self.job[36:]  # of an array child or a node
        return " ".join(filter(None, (part, f"attempt {self.attempt}", self.container)))


@dataclass(frozen=True, slots=True)
class NoStream:
    """Why the output of one attempt (0: of any) cannot be read."""

    job: str
    attempt: int
    why: str


def of_job(job: Mapping[str, Any]) -> Iterator[Stream | NoStream]:
    """The streams of all attempts of a job that is no parent, the running one included."""
    if job.get("eksProperties") or job.get("serviceJobType"):
        yield NoStream(job["jobId"], 0, _eks(job) if job.get("eksProperties") else _service(job))
        return
    attempts = job.get("attempts") or []
    drivers = {one.driver: one for one in _targets(job).values() if one.driver != CLOUDWATCH}
    for target in drivers.values():
        yield NoStream(job["jobId"], 0, target.elsewhere)
    for number, attempt in enumerate(attempts, start=1):
        yield from _of_attempt(job, number, attempt)
    if job["status"] in ("STARTING", "RUNNING"):
        current = {"container": job.get("container"), "taskProperties": _tasks(job)}
        yield from _of_attempt(job, len(attempts) + 1, current, running=True)
    elif not attempts:
        why = job.get("statusReason") or ""
        ended = "the job never ran" if over(job) else f"the job is {job['status']} and has not started yet"
        yield NoStream(job["jobId"], 0, f"{ended}{': ' if why else ''}{why}")


def _of_attempt(
    job: Mapping[str, Any], number: int, attempt: Mapping[str, Any], *, running: bool = False
) -> Iterator[Stream | NoStream]:
    targets, found = _targets(job), False
    for name, container in containers(attempt):
        target = targets.get(name) or targets.get("") or _Target("", {})
        if target.driver != CLOUDWATCH:
            found = True
        elif stream := container.get("logStreamName"):
            found = True
            shown = name if len(targets) > 1 else ""
            yield Stream(job["jobId"], number, shown, target.group, stream, target.region, open=running)
    if not found:
        yield NoStream(job["jobId"], number, "the attempt is starting" if running else _never_started(attempt))


def containers(attempt: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The containers of an attempt, with their names where they have any."""
    tasks = attempt.get("taskProperties") or []
    for task in tasks:
        yield from ((one.get("name", ""), one) for one in task.get("containers") or ())
    for one in attempt.get("containers") or ():
        yield one.get("name", ""), one
    if attempt.get("container") and not tasks:
        yield "", attempt["container"]


def _never_started(attempt: Mapping[str, Any]) -> str:
    reasons = [one.get("reason") for _, one in containers(attempt)]
    told = [text for text in (attempt.get("statusReason"), *reasons) if text]
    return f"it did not start: {'; '.join(dict.fromkeys(told))}" if told else "it did not start"


@dataclass(frozen=True, slots=True)
class _Target:
    """Where the driver of a container delivers."""

    name: str
    configuration: Mapping[str, Any]

    @property
    def options(self) -> Mapping[str, str]:
        return self.configuration.get("options") or {}

    @property
    def driver(self) -> str:
        return str(self.configuration.get("logDriver") or CLOUDWATCH)

    @property
    def group(self) -> str:
        return self.options.get("awslogs-group") or GROUP

    @property
    def region(self) -> str:
        return self.options.get("awslogs-region") or ""

    @property
    def elsewhere(self) -> str:
        where = next((self.options[name] for name in PLACES if self.options.get(name)), "")
        to = f" to {where}" if where else ""
        return f"its log driver is {self.driver}, which delivers{to or ' elsewhere'}: CloudWatch Logs has nothing of it"


def _targets(job: Mapping[str, Any]) -> dict[str, _Target]:
    """By name of the container; a job with one container has none."""
    job = specs.of_main_node(job)
    listed = [one for task in _tasks(job) for one in task.get("containers") or ()]
    if not listed:
        container = job.get("container") or {}
        return {"": _Target("", container.get("logConfiguration") or {})}
    return {one.get("name", ""): _Target(one.get("name", ""), one.get("logConfiguration") or {}) for one in listed}


def _tasks(job: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    return (job.get("ecsProperties") or {}).get("taskProperties") or []


def _eks(job: Mapping[str, Any]) -> str:
    pod = job["eksProperties"].get("podProperties") or {}
    names = [one.get("podName") for one in (*(job.get("eksAttempts") or ()), pod)]
    pods = ", ".join(dict.fromkeys(name for name in names if name))
    of = f" of pod {pods}" if pods else ""
    return f"the job runs on Amazon EKS: the output{of} is where the cluster's own logging delivers it"


def _service(job: Mapping[str, Any]) -> str:
    """https://docs.aws.amazon.com/sagemaker/latest/dg/logging-cloudwatch.html"""
    attempts = [*(job.get("attempts") or ()), job.get("latestAttempt") or {}]
    ids = [str((one.get("serviceResourceId") or {}).get("value") or "").rpartition("/")[2] for one in attempts]
    named = ", ".join(dict.fromkeys(filter(None, ids)))
    of = f" of {named}" if named else ""
    return f"the job runs in {job['serviceJobType']}: see the output{of} there (/aws/sagemaker/TrainingJobs)"


def console_url(partition: str, region: str, group: str, stream: str) -> str:
    """The page of a log stream in the AWS console, which encodes names twice, with ``$`` for ``%``."""
    host = _CONSOLES.get(partition, "console.aws.amazon.com")
    path = f"log-groups/log-group/{_encoded(group)}/log-events/{_encoded(stream)}"
    return f"https://{region}.{host}/cloudwatch/home?region={region}#logsV2:{path}"


def _encoded(name: str) -> str:
    return quote(quote(name, safe=""), safe="").replace("%", "$")
