"""What an audit looks for in compute environments.

https://docs.aws.amazon.com/batch/latest/userguide/best-practices.html
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from reconciler.kinds.batch import _jobs as jobs
from reconciler.kinds.batch import _transitions
from reconciler.kinds.batch._diagnosis.causes import of_environments
from reconciler.kinds.batch.compute_environment import images
from reconciler.kinds.batch.compute_environment.checks import check
from reconciler.kinds.common import dates
from reconciler.kinds.common.declared import as_int, as_text, at, mapping
from reconciler.kinds.common.replies import ok
from reconciler.model import Call, Json, Live, Path, Reads
from reconciler.model import problem_codes as codes
from reconciler.model.audit import Audit, Audited, AuditFinding, AuditSeverity, Evidence, at_once, seen
from reconciler.model.paths import as_written, values_at
from reconciler.model.records import dataclass

SECTION: Final = "computeEnvironments"
DESCRIBE: Final = "batch:DescribeComputeEnvironments"
_RESOURCES: Final = "computeResources"
_FROM_CHECKS: Final[Mapping[str, AuditSeverity]] = {
    codes.NO_UPDATES_IN_PLACE: "advice",
    codes.END_OF_SUPPORT: "warning",
}
_QUIET_HOURS: Final = 24
_IMAGE_PATHS: Final = (f"{_RESOURCES}.imageId", f"{_RESOURCES}.ec2Configuration[].imageIdOverride")


def checked(live: Live, _: Audited) -> Iterator[AuditFinding]:
    """What `validate` says of such a declaration too: custom service roles, images that are not supported."""
    for found in check(live.attrs["name"], live.props):
        severity = _FROM_CHECKS.get(found.code)
        if severity is not None:
            value = next((value for _, value in values_at(live.props, _pattern(found.path))), None)
            yield AuditFinding(
                code=found.code,
                severity=severity,
                message=found.message,
                hint=found.hint,
                evidence=(seen(DESCRIBE, found.path, value),),
            )


def _pattern(path: Path) -> str:
    return ".".join("[]" if isinstance(part, int) else part for part in path).replace(".[]", "[]")


def outdated(live: Live, _: Audited) -> Iterator[AuditFinding]:
    """Instances that start from an older image than AWS has."""
    for item in images.chosen_by_aws(mapping(live.props.get(_RESOURCES))):
        if item.get("batchImageStatus") == images.OUTDATED:
            proof = seen(DESCRIBE, f"{_RESOURCES}.ec2Configuration[].batchImageStatus", images.OUTDATED)
            yield AuditFinding(
                code=codes.OUTDATED_IMAGE,
                severity="advice",
                message=f"AWS has a newer {item.get('imageType')} image than its instances start from",
                hint="`reconcile plan --refresh-images ADDRESS` plans the update that uses it",
                evidence=(proof,),
            )


def idle(live: Live, audited: Audited) -> Reads[Sequence[AuditFinding]]:
    """Instances that minvCpus keeps running although no queue brings them jobs."""
    least = as_int(at(live.props, _RESOURCES, "minvCpus")) or 0
    if not least or live.deleting or live.invalid:
        return ()
    queues = [user.live for user in audited.users(SECTION, live) if user.section == "jobQueues"]
    proof = seen(DESCRIBE, f"{_RESOURCES}.minvCpus", least)
    hint = f"set {_RESOURCES}.minvCpus to 0"
    if live.props.get("state") == "DISABLED":
        why = f"minvCpus: {least} keeps instances running although it is DISABLED"
        return [_idle(why, hint, proof, seen(DESCRIBE, "state", "DISABLED"))]
    if "jobQueues" not in audited.complete:
        return ()
    if not queues:
        why = f"minvCpus: {least} keeps instances running, and no job queue lists it"
        return [_idle(why, hint, proof, seen("batch:DescribeJobQueues", "computeEnvironmentOrder", []))]
    arns = sorted(queue.attrs["arn"] for queue in queues)
    if (yield from jobs.unfinished(arns)):
        return ()
    names = ", ".join(map(jobs.queue_of, arns))
    hours = (audited.now - (yield from jobs.last_seen(arns))) / 3600
    if hours < _QUIET_HOURS:  # it may be kept running between jobs on purpose
        why = f"minvCpus: {least} keeps instances running, between jobs: the last in {names} is less than a day old"
        found = _idle(why, "set minvCpus to 0 if jobs may wait for instances to start", proof)
        return [replace(found, severity="advice")]
    why = f"minvCpus: {least} keeps instances running, and there is no job in {names}"
    return [_idle(why, hint, proof, seen(jobs.LIST, "jobSummaryList", []))]


def _idle(message: str, hint: str, *evidence: Evidence) -> AuditFinding:
    return AuditFinding(
        code=codes.IDLE_INSTANCES,
        severity="warning",
        message=message,
        hint=hint,
        evidence=evidence,
    )


def own_images(live: Live, audited: Audited) -> Reads[Sequence[AuditFinding]]:
    """Images that are set by their ids and do not exist, or are deprecated. One call serves all environments."""
    mine = _images(live)
    if not mine:
        return ()
    ids = sorted({image for one in audited.lives.get(SECTION, ()) for image in _images(one)})
    filters = [{"Name": "image-id", "Values": ids}]  # ids as such would be refused if one does not exist
    call = Call("ec2", "DescribeImages", {"Filters": filters, "IncludeDeprecated": True}, all_pages=True)
    (reply,) = yield (call,)
    found = {str(item["ImageId"]): item for item in (ok(call, reply) or {}).get("Images", ())}
    return [finding for image, path in mine.items() for finding in _about_image(image, path, found, audited.now)]


def _images(live: Live) -> dict[str, Path]:
    return {
        image: path
        for pattern in _IMAGE_PATHS
        for path, image in values_at(live.props, pattern)
        if isinstance(image, str) and image.startswith("ami-")
    }


def _about_image(image: str, path: Path, found: Mapping[str, Json], now: float) -> Iterable[AuditFinding]:
    member = path[-1]
    if image not in found:
        yield AuditFinding(
            code=codes.MISSING_IMAGE,
            severity="error",
            message=f"{member} {image} does not exist in this Region, or is not shared with this account",
            hint=f"set another {member}, or leave it out to use the images of AWS Batch",
            evidence=(seen(DESCRIBE, path, image), seen("ec2:DescribeImages", "Images", [])),
        )
        return
    ended = as_text(found[image].get("DeprecationTime")) or ""
    second = dates.seconds(ended)
    if second is not None and second < now:
        yield AuditFinding(
            code=codes.DEPRECATED_IMAGE,
            severity="warning",
            message=f"{member} {image} is deprecated since {ended[:10]}",
            hint=f"set a newer {member}, or leave it out to use the images of AWS Batch",
            evidence=(seen(DESCRIBE, path, image), seen("ec2:DescribeImages", "Images[].DeprecationTime", ended)),
        )


def network(live: Live, audited: Audited) -> Reads[Sequence[AuditFinding]]:
    """Subnets, security groups and launch templates that no longer exist. One call of each serves all environments."""
    if live.deleting:
        return ()
    found: list[AuditFinding] = []
    for part in _PARTS:
        mine = part.named_by(live)
        if not mine:
            continue
        every = sorted({value for one in audited.lives.get(SECTION, ()) for value in part.named_by(one)})
        calls = tuple(part.call(every[at : at + 200]) for at in range(0, len(every), 200))
        replies = yield calls
        there = {
            str(item[part.id])
            for call, reply in zip(calls, replies, strict=True)
            for item in (ok(call, reply) or {}).get(part.items, ())
        }
        for value, path in mine.items():
            if value not in there:
                found.append(part.missing(path, value))
    return found


@dataclass(frozen=True, slots=True)
class _Part:
    """What environments name of EC2: in messages, where, and how those that exist are found by a filter."""

    noun: str
    patterns: tuple[str, ...]
    operation: str
    filter: str
    items: str
    id: str

    def named_by(self, live: Live) -> dict[str, Path]:
        """What one environment names, with its place."""
        found = (pair for pattern in self.patterns for pair in values_at(live.props, pattern))
        return {value: path for path, value in found if isinstance(value, str) and value}

    def call(self, values: Sequence[str]) -> Call:
        """The call that finds those that exist: ids as such would be refused if one does not."""
        return Call("ec2", self.operation, {"Filters": [{"Name": self.filter, "Values": list(values)}]}, all_pages=True)

    def missing(self, path: Path, value: str) -> AuditFinding:
        """The finding about one that does not exist."""
        return AuditFinding(
            code=codes.DANGLING_REFERENCE,
            severity="error",
            message=f"{as_written(path)} names the {self.noun} {value}, which does not exist",
            hint=f"name another {self.noun}",
            evidence=(seen(DESCRIBE, path, value), seen(f"ec2:{self.operation}", f"{self.items}[].{self.id}", [])),
        )


_TEMPLATE: Final = f"{_RESOURCES}.launchTemplate"
_PARTS: Final = (
    _Part("subnet", (f"{_RESOURCES}.subnets[]",), "DescribeSubnets", "subnet-id", "Subnets", "SubnetId"),
    _Part(
        "security group",
        (f"{_RESOURCES}.securityGroupIds[]",),
        "DescribeSecurityGroups",
        "group-id",
        "SecurityGroups",
        "GroupId",
    ),
    _Part(
        "launch template",
        (f"{_TEMPLATE}.launchTemplateName", f"{_TEMPLATE}.overrides[].launchTemplateName"),
        "DescribeLaunchTemplates",
        "launch-template-name",
        "LaunchTemplates",
        "LaunchTemplateName",
    ),
)

AUDIT = Audit(
    shown_by=DESCRIBE,
    everything=True,
    rules=(
        at_once(checked),
        at_once(outdated),
        idle,
        own_images,
        network,
        _transitions.rule("ComputeEnvironment", DESCRIBE),
    ),
    causes=of_environments,
    users="job queue",
    reads=(DESCRIBE,),
    actions=(
        *jobs.ACTIONS,
        "ec2:DescribeImages",
        *(f"ec2:{part.operation}" for part in _PARTS),
        _transitions.EVENTS,
    ),
)
