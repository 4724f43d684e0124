"""Targets of schedules: the short form of a submitted job, how they are compared, and their form in requests.

A job is submitted by a universal target: the ARN of the operation, and its request as JSON text with capitalised
members. ``submitJob`` has that request in AWS Batch's own spelling, and both forms mean the same.

https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-targets-universal.html
https://docs.aws.amazon.com/scheduler/latest/APIReference/API_Target.html
https://docs.aws.amazon.com/batch/latest/APIReference/API_SubmitJob.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.kinds.common import event_targets as common
from reconciler.kinds.common.normal_forms import bare
from reconciler.model import Field, Finding, Json, JsonText, Path, Ref, Scope, Template
from reconciler.model.patterns import regex
from reconciler.model.when_used import when_used

with when_used():
    from reconciler.kinds.common.replies import lowered, raised

SUBMIT = "submitJob"
_SUBMITS = ":scheduler:::aws-sdk:batch:submitJob"
SUBMIT_ARN = regex(rf"arn:[a-z-]+{_SUBMITS}")
# members of SubmitJob whose keys are data
_DATA = frozenset({"parameters", "tags", "labels", "annotations", "limits", "requests"})
_RAISED_DATA = frozenset(name[:1].upper() + name[1:] for name in _DATA)
# members of a target whose keys are data, or that begin with a lower-case letter in the API, too
_KEEP = frozenset({"input", "metadata", "tags", *common.SMALL})
_RAISED_KEEP = frozenset(name[:1].upper() + name[1:] for name in _KEEP)

_VPC = f"target.{common.VPC}"

FIELDS = {
    **{f"target.{name}": facts for name, facts in common.MEMBERS.items()},
    f"target.{SUBMIT}.jobQueue": Field(normalize=bare),
    f"target.{SUBMIT}.jobDefinition": Field(normalize=bare),
}

REFS = {
    "target.arn": Ref(section="topics", also=("jobQueues",)),  # or any ARN; a queue is refused in words
    "target.roleArn": common.ROLE,
    f"target.{SUBMIT}.jobQueue": Ref(section="jobQueues", same_account_and_region=True),
    f"target.{SUBMIT}.jobDefinition": common.JOB_DEFINITION,
    f"{_VPC}.securityGroups[]": common.SECURITY_GROUP,
}
LOOKUPS = {f"{_VPC}.subnets[]": "subnets"}


def from_yaml(target: Any) -> Any:
    """A declared target in plain form: JSON parsed, and a submitted job as ``submitJob``."""
    if not isinstance(target, Mapping):
        return target
    done = dict(target)
    if "input" in done:
        done["input"] = common.parse_input(done["input"])
    if submits(done.get("arn")) and isinstance(done.get("input"), Mapping):
        done.pop("arn")
        done[SUBMIT] = lowered(done.pop("input"), _RAISED_DATA)
    return done


def submits(arn: Any) -> bool:
    """Whether ``arn`` is of the operation that submits a job; its partition may be an expression."""
    if isinstance(arn, Template):
        last = arn.parts[-1]
        return isinstance(last, str) and last.endswith(_SUBMITS)
    return isinstance(arn, str) and SUBMIT_ARN.fullmatch(arn) is not None


def from_api(target: Json) -> Any:
    """A target of a GetSchedule reply in plain form."""
    return from_yaml(lowered(target, _RAISED_KEEP))


def to_api(target: Json, scope: Scope) -> dict[str, Any]:
    """A target in plain form as the API expects it; empty members are left out."""
    plain = {name: value for name, value in target.items() if name not in (SUBMIT, "input")}
    request: dict[str, Any] = raised(common.without_empty(plain), _KEEP)
    if "EcsParameters" in request:
        request["EcsParameters"] = common.small_network(request["EcsParameters"])
    if target.get(SUBMIT):
        request["Arn"] = f"arn:{scope.partition}{_SUBMITS}"
        request["Input"] = JsonText(raised(_without_null(target[SUBMIT]), _DATA))
    elif isinstance(given := target.get("input"), Mapping | list | tuple):
        request["Input"] = JsonText(given)
    elif given:
        request["Input"] = given
    return request


def _without_null(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _without_null(item) for name, item in value.items() if item is not None}
    return [_without_null(item) for item in value] if isinstance(value, list | tuple) else value


def queue_as_target(path: Path) -> Finding:
    """The finding for a job queue that stands where only other targets may."""
    hint = f"{SUBMIT}: {{jobQueue: NAME, jobDefinition: NAME, jobName: NAME}}"
    return Finding(path, f"a schedule submits a job by {SUBMIT}, not by the job queue as its target", hint)
