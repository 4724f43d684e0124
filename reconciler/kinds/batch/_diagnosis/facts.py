"""What a reply of DescribeJobs says of a job: what it asks for, and how its attempts ended."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from reconciler.kinds.common.declared import as_int, at, entries, items, mapping
from reconciler.model import Json
from reconciler.model.attempts import Ending
from reconciler.model.patterns import regex
from reconciler.model.records import dataclass

MI: Final = {"": 1 / 2**20, "k": 1e3 / 2**20, "m": 1e6 / 2**20, "g": 1e9 / 2**20, "t": 1e12 / 2**20}
MI_OF_TWO: Final = {"ki": 1 / 1024, "mi": 1.0, "gi": 1024.0, "ti": 1024.0 * 1024}
_QUANTITY: Final = regex(r"(?P<number>[0-9.]+)(?P<unit>[A-Za-z]*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What one task of a job asks for; ``nodes`` of them run at once."""

    vcpus: float = 0.0
    memory: int = 0
    gpus: int = 0
    nodes: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One attempt that ended. ``reasons`` are those of its containers, by the member that has them.

    Of several containers, ``exit_code`` and the log's ``stream`` are those of the first that failed. An attempt that is
    not ``listed`` is what the job itself reports.
    """

    number: int
    status_reason: str
    reasons: tuple[tuple[str, str], ...]
    exit_code: int | None
    task: str = ""
    stream: str = ""
    listed: bool = True

    @property
    def texts(self) -> tuple[tuple[str, str], ...]:
        """All that is said of its end, the task's first."""
        return (("statusReason", self.status_reason), *self.reasons)

    @property
    def ending(self) -> Ending:
        """Its end, as the retry rules see it."""
        reason = next((text for _, text in self.reasons if text), None)
        return Ending(exit_code=self.exit_code, reason=reason, status_reason=self.status_reason or None)


def name_of(arn: Any) -> str:
    """The name in an ARN, or the name itself: without a revision."""
    text = str(arn or "")
    last = text.rpartition("/")[2] if "/" in text else text
    return last.partition(":")[0] if not text.startswith("arn:") or "/" in text else text


def is_eks(job: Json) -> bool:
    """Whether the job runs on Amazon EKS."""
    return bool(job.get("eksProperties")) or bool(job.get("eksAttempts"))


def is_fargate(job: Json) -> bool:
    """Whether the job runs on AWS Fargate."""
    return "FARGATE" in (job.get("platformCapabilities") or ())


def shape(job: Json) -> tuple[str, ...]:
    """The path of the properties of the job's first container in its definition."""
    if job.get("eksProperties"):
        return ("eksProperties", "podProperties", "containers", "0")
    if job.get("ecsProperties"):
        return ("ecsProperties", "taskProperties", "0", "containers", "0")
    if job.get("nodeProperties"):
        return ("nodeProperties", "nodeRangeProperties", "0", "container")
    return ("containerProperties",)


def container(job: Json) -> Json:
    """The properties of the job's first container."""
    if job.get("nodeProperties"):
        found = next((one for _, one in entries(at(job, "nodeProperties", "nodeRangeProperties"))), {})
        return mapping(found.get("container"))
    if job.get("ecsProperties"):
        return next(iter(_tasks_containers(job)), {})
    if job.get("eksProperties"):
        pod = at(job, "eksProperties", "podProperties")
        return next((one for _, one in entries(at(pod, "containers"))), {})
    return mapping(job.get("container"))


def needs(job: Json) -> Needs:
    """What the job asks for; all containers of a task together."""
    if job.get("nodeProperties"):
        ranges = [one for _, one in entries(at(job, "nodeProperties", "nodeRangeProperties"))]
        each = [_needs(mapping(one.get("container"))) for one in ranges]
        return Needs(
            vcpus=max((one.vcpus for one in each), default=0.0),
            memory=max((one.memory for one in each), default=0),
            gpus=max((one.gpus for one in each), default=0),
            nodes=as_int(at(job, "nodeProperties", "numNodes")) or 1,
        )
    if job.get("ecsProperties"):
        return _sum([_needs(one) for one in _tasks_containers(job)])
    if job.get("eksProperties"):
        pod = at(job, "eksProperties", "podProperties")
        return _sum([_pod_needs(one) for _, one in entries(at(pod, "containers"))])
    return _needs(mapping(job.get("container")))


def execution_role(job: Json) -> str:
    """The ARN of the job's execution role; empty if it has none."""
    tasks = [one for _, one in entries(at(job, "ecsProperties", "taskProperties"))]
    found = next((one.get("executionRoleArn") for one in tasks), None) or container(job).get("executionRoleArn")
    return str(found or "")


def asked(job: Json, resource: str) -> str:
    """How much of a resource the job's first container asks for, as it is written; empty if that is not known."""
    listed = entries(container(job).get("resourceRequirements"))
    return next((str(one.get("value")) for _, one in listed if resource and one.get("type") == resource), "")


def attempts(job: Json) -> list[Attempt]:
    """The attempts that ended, in order; of a job without a list of them the one that it reports itself."""
    if is_eks(job):
        return [_pod_attempt(number, one) for number, (_, one) in enumerate(entries(job.get("eksAttempts")), start=1)]
    found = [_attempt(number, one) for number, (_, one) in enumerate(entries(job.get("attempts")), start=1)]
    ran = mapping(job.get("container"))
    if found or job.get("status") != "FAILED" or not {"exitCode", "reason"} & ran.keys():
        return found
    return [replace(_attempt(1, {"container": ran, "statusReason": job.get("statusReason")}), listed=False)]


def log_of(job: Json) -> tuple[str, Json] | None:
    """The log group of the job and the options of its log driver; None where CloudWatch Logs has none."""
    if is_eks(job):
        return None
    configured = mapping(container(job).get("logConfiguration"))
    if configured.get("logDriver", "awslogs") != "awslogs":
        return None
    options = mapping(configured.get("options"))
    return str(options.get("awslogs-group") or "/aws/batch/job"), options


def array_size(job: Json) -> int:
    """The number of children of an array's parent, else 0."""
    properties = mapping(job.get("arrayProperties"))
    return 0 if "index" in properties else as_int(properties.get("size")) or 0


def main_node(job: Json) -> int | None:
    """The index of the main node of a multi-node job; None for a node of one, or another job."""
    if not job.get("nodeProperties") or mapping(job.get("nodeDetails")).get("nodeIndex") is not None:
        return None
    return as_int(at(job, "nodeProperties", "mainNode")) or 0


def task_arn(job: Json) -> str:
    """The ECS task of the attempt that runs, or of the last one."""
    found = mapping(job.get("container")).get("taskArn")
    if not found:
        tasks = [one for _, one in entries(at(job, "ecsProperties", "taskProperties"))]
        found = next((one.get("taskArn") for one in tasks if one.get("taskArn")), "")
    return str(found or "")


def _tasks_containers(job: Json) -> Iterator[Json]:
    for _, task in entries(at(job, "ecsProperties", "taskProperties")):
        yield from (one for _, one in entries(task.get("containers")))


def _needs(properties: Json) -> Needs:
    asked = {str(one.get("type")): str(one.get("value")) for _, one in entries(properties.get("resourceRequirements"))}
    vcpus, memory = asked.get("VCPU"), asked.get("MEMORY")
    return Needs(
        vcpus=_number(vcpus) if vcpus else _number(properties.get("vcpus")),
        memory=int(_number(memory) if memory else _number(properties.get("memory"))),
        gpus=int(_number(asked.get("GPU"))),
    )


def _pod_needs(one: Json) -> Needs:
    wanted = {**mapping(at(one, "resources", "limits")), **mapping(at(one, "resources", "requests"))}
    cpu = str(wanted.get("cpu", "0"))
    return Needs(
        vcpus=_number(cpu[:-1]) / 1000 if cpu.endswith("m") else _number(cpu),
        memory=_mebibytes(str(wanted.get("memory", "0"))),
        gpus=int(_number(wanted.get("nvidia.com/gpu", "0"))),
    )


def _sum(each: list[Needs]) -> Needs:
    return Needs(
        vcpus=sum(one.vcpus for one in each),
        memory=sum(one.memory for one in each),
        gpus=sum(one.gpus for one in each),
    )


def _mebibytes(text: str) -> int:
    match = _QUANTITY.fullmatch(text)
    if match is None:
        return 0
    unit = match["unit"].lower()
    factor = MI_OF_TWO.get(unit, MI.get(unit, 0.0))
    return math.ceil(_number(match["number"]) * factor)


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return 0.0


def _attempt(number: int, one: Json) -> Attempt:
    found = [("container.reason", mapping(one.get("container")))] if one.get("container") else []
    for _, task in entries(one.get("taskProperties")):
        found += [(f"containers[{index}].reason", each) for index, each in entries(task.get("containers"))]
    return _result(number, one, found, str(mapping(one.get("container")).get("taskArn") or _task(one)))


def _task(one: Json) -> str:
    tasks = [str(task.get("taskArn") or "") for _, task in entries(one.get("taskProperties"))]
    return next(iter(tasks), "")


def _pod_attempt(number: int, one: Json) -> Attempt:
    both = [*items(one.get("initContainers")), *items(one.get("containers"))]
    return _result(number, one, [("containers[].reason", mapping(each)) for each in both], "")


def _result(number: int, one: Json, found: list[tuple[str, Mapping[str, Any]]], task: str) -> Attempt:
    codes = [code for _, each in found if (code := as_int(each.get("exitCode"))) is not None]
    failed_first = sorted(found, key=lambda pair: not as_int(pair[1].get("exitCode")))
    streams = [str(each["logStreamName"]) for _, each in failed_first if each.get("logStreamName")]
    return Attempt(
        number=number,
        status_reason=str(one.get("statusReason") or ""),
        reasons=tuple((name, str(each["reason"])) for name, each in found if each.get("reason")),
        exit_code=next((code for code in codes if code != 0), codes[0] if codes else None),
        task=task,
        stream=streams[0] if streams else "",
    )
