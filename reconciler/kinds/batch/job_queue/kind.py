"""AWS Batch job queues.

What is peculiar about them:

- ``state`` is the user's, ``status`` changes asynchronously, and AWS accepts one change at a time. So every write ends
  with a wait.
- Only a DISABLED queue can be deleted. Deleting it terminates its jobs; its compute environments are not detached
  first.
- Jobs are submitted to a queue by its name, and a deletion terminates them. So a queue is replaced only if its
  lifecycle declares it.
- ``computeEnvironmentOrder`` is sorted by its ``order`` numbers. Only the resulting order is compared, not the numbers.
  An update replaces the whole list.
- A scheduling policy cannot be added to a first-in-first-out queue. It can be exchanged, but not removed.

https://docs.aws.amazon.com/batch/latest/APIReference/API_JobQueueDetail.html
https://docs.aws.amazon.com/batch/latest/APIReference/API_DeleteJobQueue.html
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from reconciler.kinds.batch import _common as batch
from reconciler.kinds.batch.job_queue import relations
from reconciler.kinds.common.declared import as_int, as_text, at, entries, is_given, items, repeats
from reconciler.kinds.common.normal_forms import bare, without
from reconciler.model import (
    Access,
    Action,
    Api,
    Call,
    CompleteList,
    Diff,
    Disruption,
    Effect,
    Field,
    Finding,
    Json,
    Kind,
    Lifecycle,
    Live,
    OtherTools,
    Path,
    Proof,
    Query,
    ReadMany,
    Reads,
    Ref,
    Replace,
    Scope,
    Template,
    Wait,
    Want,
)
from reconciler.model import problem_codes as codes
from reconciler.model.when_used import when_used

with when_used():
    from reconciler.kinds.batch._diagnosis.queues import DIAGNOSIS_OF_QUEUE
    from reconciler.kinds.batch.job_queue.audit import AUDIT
    from reconciler.kinds.batch.job_queue.jobs import takes_jobs
    from reconciler.kinds.batch.job_queue.preflight import preflight
    from reconciler.kinds.batch.job_queue.status import READER
    from reconciler.kinds.common.replies import top_members

READ_ONLY = frozenset({"jobQueueArn", "status", "statusReason"})
CONTAINER_TYPES = ("EKS", "ECS", "ECS_FARGATE", "ECS_MANAGED_INSTANCES")
MOST_ENVIRONMENTS = 3
RETRY_ON = (batch.BUSY, batch.NOT_YET_VALID)
# Seconds that the service usually takes at least, from what users and their tools report: a few to create or change a
# queue; up to minutes to delete one, since its jobs are terminated first.
# https://docs.aws.amazon.com/batch/latest/APIReference/API_DeleteJobQueue.html
SOONEST_SETTLED = 2.0
SOONEST_DELETED = 5.0


def _policy(live: Json, want: Json) -> tuple[Effect, str]:
    if not live.get("schedulingPolicyArn"):
        return Effect.REPLACE, "a first-in-first-out queue cannot be given a scheduling policy"
    if not want.get("schedulingPolicyArn"):
        return Effect.REPLACE, "a scheduling policy can be exchanged for another, but not removed"
    return Effect.IN_PLACE, ""


def _type(_live: Json, _want: Json) -> tuple[Effect, str]:
    return Effect.REPLACE, "no update exists for it"


def _ranked(value: Any) -> Any:
    """The entries sorted by ``order``, numbered from 1."""
    if not isinstance(value, list | tuple) or not all(isinstance(item, dict) for item in value):
        return value
    ranked = sorted(value, key=lambda item: as_int(item.get("order")) or 0)
    return [{**item, "order": rank} for rank, item in enumerate(ranked, start=1)]


def _upper(value: Any) -> Any:
    return value.upper() if isinstance(value, str) else value


FIELDS = {
    "jobQueueName": Field(ignore=True),
    "state": Field(default="ENABLED"),
    "priority": Field(),
    "computeEnvironmentOrder": Field(key="order", normalize=_ranked, clear=[]),
    "computeEnvironmentOrder[].computeEnvironment": Field(normalize=bare),
    "serviceEnvironmentOrder": Field(key="order", normalize=_ranked, clear=[]),
    "serviceEnvironmentOrder[].serviceEnvironment": Field(normalize=bare),
    "jobQueueType": Field(effect=_type, computed=True),
    "schedulingPolicyArn": Field(effect=_policy),
    "jobStateTimeLimitActions": Field(key="reason", clear=[]),
    "jobStateTimeLimitActions[].action": Field(normalize=_upper),
}

REFS = {
    "computeEnvironmentOrder[].computeEnvironment": Ref(section="computeEnvironments", same_account_and_region=True),
    "serviceEnvironmentOrder[].serviceEnvironment": Ref(section="serviceEnvironments", same_account_and_region=True),
    "schedulingPolicyArn": Ref(section="schedulingPolicies", same_account_and_region=True),
}


def read(query: Query) -> Reads[Sequence[Live]]:
    """The queues of sought names, and those that the environment owns; sorted by name, DELETED ones left out."""
    found = yield from batch.described("DescribeJobQueues", "jobQueues", "jobQueueName", "job-queue/", query)
    lives = [
        batch.live_object(item, "jobQueue", read_only=READ_ONLY)
        for item in found
        if item.get("status") != "DELETED" and batch.matches_query(query, item["jobQueueName"], item.get("tags") or {})
    ]
    return sorted(lives, key=lambda live: live.physical)


def expand(props: Json) -> Json:
    """The properties without read-only members."""
    return without(props, *READ_ONLY)


def declare(live: Live, _: Scope) -> Json:
    """The properties; the type of a queue with compute environments follows from these."""
    return live.props if live.props.get("serviceEnvironmentOrder") else without(live.props, "jobQueueType")


def create(want: Want) -> Sequence[Action]:
    """The call that creates a queue, and the wait until it is VALID."""
    props = without(want.declared, "jobQueueName")
    params = {"jobQueueName": want.physical, **props, **({"tags": dict(want.tags)} if want.tags else {})}
    return [batch.write("CreateJobQueue", params, retry_on=RETRY_ON, proof=Proof.EXISTS), _valid(want.physical)]


def update(live: Live, want: Want, diff: Diff) -> Sequence[Action]:
    """One call with the changed properties, and the wait until VALID. Lists are sent whole."""
    return _set(live.physical, top_members(want, diff, FIELDS))


def delete(live: Live, _declared: Json) -> Sequence[Action]:
    """Disable, delete, wait: AWS deletes only DISABLED queues.

    https://docs.aws.amazon.com/batch/latest/APIReference/API_DeleteJobQueue.html
    """
    disable = () if live.props.get("state") == "DISABLED" else _disable(live.physical)
    call = batch.write("DeleteJobQueue", {"jobQueue": live.physical}, ok_if=(batch.MISSING,))
    return [*disable, call, _gone(live.physical, SOONEST_DELETED)]


def wait_until_settled(live: Live) -> Sequence[Action]:
    """The wait until a queue found in change is VALID, at any moment."""
    return [_valid(live.physical, soonest=0.0)]


def wait_until_gone(live: Live) -> Sequence[Action]:
    """The wait until a queue found DELETING does not exist, at any moment."""
    return [_gone(live.physical, soonest=0.0)]


def repair(live: Live, want: Want) -> Sequence[Action]:
    """Update with all properties: a valid update makes an INVALID queue VALID."""
    names = ("state", "priority", "computeEnvironmentOrder", "serviceEnvironmentOrder")
    return _set(live.physical, {name: want.props[name] for name in names if is_given(want.props.get(name))})


def _set(name: str, members: Json) -> list[Action]:
    if not members:
        return []
    return [batch.write("UpdateJobQueue", {"jobQueue": name, **members}, retry_on=RETRY_ON), _valid(name)]


def _disable(name: str) -> list[Action]:
    off = batch.write("UpdateJobQueue", {"jobQueue": name, "state": "DISABLED"}, ok_if=(batch.MISSING,))
    settled = batch.SETTLED | batch.DELETED
    return [off, _wait(name, "DISABLED", until={"status": settled}, gone=True, soonest=SOONEST_SETTLED)]


def _gone(name: str, soonest: float) -> Wait:
    return _wait(name, "deleted", until={"status": batch.DELETED}, gone=True, soonest=soonest)


def _valid(name: str, soonest: float = SOONEST_SETTLED) -> Wait:
    fail = {"status": batch.INVALID | batch.DELETED}
    return _wait(name, "VALID", until={"status": batch.VALID}, fail=fail, soonest=soonest, timeout=600.0)


def _wait(name: str, state: str, **how: Any) -> Wait:
    return Wait(
        title=f"job queue {name} {state}",
        read=_describe(name),
        items="jobQueues",
        among="jobQueues",
        named_by=("jobQueueName",),
        **how,
    )


def _describe(name: str) -> Call:
    return Call("batch", "DescribeJobQueues", {"jobQueues": [name]})


def disruption(_live: Live, want: Want, diff: Diff) -> str:
    """The effect of ``diff`` on the jobs in the queue."""
    if diff.replaces:
        return Disruption(
            "every job in the queue is cancelled or terminated; no job can be submitted until the new queue is VALID"
        )
    if diff.under("state") and want.props.get("state") == "DISABLED":
        return Disruption("no new jobs are accepted; jobs already in the queue continue")
    if diff.under("computeEnvironmentOrder"):
        return "waiting jobs are placed by the new order; running jobs are not affected"
    return "not affected"


def deletion_effect(_live: Live, _lifecycle: Lifecycle | None) -> str:
    """What the deletion does to the jobs in the queue.

    https://docs.aws.amazon.com/batch/latest/APIReference/API_DeleteJobQueue.html
    """
    return Disruption("every waiting and running job in the queue is cancelled or terminated")


# --- checks ----------------------------------------------------------------------------------------------------------


def check(name: str, props: Json) -> Iterator[Finding]:
    """Findings about the declared properties; an unknown value (an expression) is not judged."""
    yield from batch.check_name(name, "job queue")
    yield from _check_priority(props)
    yield from _check_environments(props)
    yield from _check_limits(props)


def _check_priority(props: Json) -> Iterator[Finding]:
    if props.get("priority") is None:
        hint = "give a number from 0 to 1000; queues with a higher priority are served first"
        yield Finding((), "priority is missing", hint, code=codes.MISSING_FIELD)
    number = as_int(props.get("priority"))
    if number is not None and not 0 <= number <= 1000:
        yield Finding(("priority",), f"priority {number} is out of range", "it must be from 0 to 1000")


def _check_environments(props: Json) -> Iterator[Finding]:
    computes, services = props.get("computeEnvironmentOrder"), props.get("serviceEnvironmentOrder")
    kind = as_text(props.get("jobQueueType"))
    if is_given(computes) and is_given(services):
        yield Finding(
            ("serviceEnvironmentOrder",),
            "a queue has compute environments or a service environment, not both",
            "keep computeEnvironmentOrder for container jobs, serviceEnvironmentOrder for SageMaker training jobs",
        )
    elif kind == "SAGEMAKER_TRAINING" and not is_given(services):
        hint = "name one service environment: [{order: 1, serviceEnvironment: NAME}]"
        yield Finding((), "a SAGEMAKER_TRAINING queue needs serviceEnvironmentOrder", hint, code=codes.MISSING_FIELD)
    elif not is_given(computes) and not is_given(services):
        path: Path = ("computeEnvironmentOrder",) if "computeEnvironmentOrder" in props else ()
        hint = "list one to three: [{order: 1, computeEnvironment: NAME}]"
        yield Finding(path, "computeEnvironmentOrder is missing or empty", hint, code=codes.MISSING_FIELD)
    if is_given(services) and kind in CONTAINER_TYPES:
        hint = "use jobQueueType: SAGEMAKER_TRAINING"
        yield Finding(("jobQueueType",), f"jobQueueType {kind} cannot be combined with serviceEnvironmentOrder", hint)
    elif is_given(services) and not is_given(computes) and props.get("jobQueueType") is None:
        hint = "add jobQueueType: SAGEMAKER_TRAINING; without it AWS treats the queue as ECS, and refuses it"
        yield Finding((), "a queue with serviceEnvironmentOrder needs jobQueueType", hint, code=codes.MISSING_FIELD)
    yield from _check_order(props, "computeEnvironmentOrder", "computeEnvironment", MOST_ENVIRONMENTS)
    yield from _check_order(props, "serviceEnvironmentOrder", "serviceEnvironment", 1)


def _check_order(props: Json, member: str, target: str, most: int) -> Iterator[Finding]:
    listed = items(props.get(member))
    for index, item in enumerate(listed):
        if isinstance(item, str):
            hint = f"write {{order: {index + 1}, {target}: {item}}}"
            yield Finding((member, index), f"an entry of {member} is a mapping, not a name", hint)
    if len(listed) > most == 1:
        yield Finding((member, most), f"{member} has {len(listed)} entries; 1 at most", "AWS allows one")
    elif len(listed) > most:
        hint = "list the rest in another queue, or request a quota increase"
        why = f"{member} has {len(listed)} entries, and the default quota is {most}"
        yield Finding((member, most), why, hint, warning=True)
    found = list(entries(listed))
    for index, item in found:
        for needed in ("order", target):
            if item.get(needed) in (None, ""):
                hint = "a number: lower ones are tried first" if needed == "order" else "a name or an ARN"
                yield Finding((member, index), f"{needed} is missing", hint, code=codes.MISSING_FIELD)
    for path, number in repeats([((member, i, "order"), item.get("order")) for i, item in found]):
        yield Finding(path, f"duplicate order {number} in {member}", "number the entries 1, 2, 3")
    for path, name in repeats([((member, i, target), _name_of(item.get(target))) for i, item in found]):
        yield Finding(path, f'duplicate "{name}" in {member}', "list each environment once")


def _name_of(value: Any) -> Any:
    """The name in a reference: by name, by ARN, or by an expression such as ``${computeEnvironments.c.arn}``."""
    part = value.whole if isinstance(value, Template) else None
    return part.address.name if part and part.address else bare(value)


# https://docs.aws.amazon.com/batch/latest/APIReference/API_JobStateTimeLimitAction.html
REASONS = (
    "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY",
    "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE",
    "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT",
)
# what AWS Batch only shows in the status reason of a job
ONLY_SHOWN = ("MISCONFIGURATION:SERVICE_ROLE_PERMISSIONS", "ACTION_REQUIRED", "UNDETERMINED")


def _check_limits(props: Json) -> Iterator[Finding]:
    member = "jobStateTimeLimitActions"
    service = is_given(props.get("serviceEnvironmentOrder"))
    allowed = "TERMINATE" if service else "CANCEL"
    found = list(entries(props.get(member)))
    for index, item in found:
        for needed in ("reason", "state", "maxTimeSeconds", "action"):
            if item.get(needed) is None:
                hint = f"{{state: RUNNABLE, reason: ..., maxTimeSeconds: 600, action: {allowed}}}"
                yield Finding((member, index), f"{needed} is missing", hint, code=codes.MISSING_FIELD)
        reason = as_text(item.get("reason"))
        known = reason.partition(" ")[0] if reason else ""
        if known.upper() in ONLY_SHOWN:
            why = f"this action is never taken: {known} only appears in the status reason of a job"
            yield Finding((member, index, "reason"), why, f"one of {', '.join(REASONS)}", warning=True)
        elif known and not service and known not in REASONS:
            hint = f"one of {', '.join(REASONS)}"
            why = f'"{reason}" is not a known reason of AWS Batch, so this action may never be taken'
            yield Finding((member, index, "reason"), why, hint, warning=True)
        seconds = as_int(item.get("maxTimeSeconds"))
        if seconds is not None and not 600 <= seconds <= 86400:
            hint = "it must be from 600 (10 minutes) to 86400 (a day)"
            yield Finding((member, index, "maxTimeSeconds"), f"maxTimeSeconds {seconds} is out of range", hint)
        action = as_text(item.get("action"))
        if action and action.upper() != allowed:
            why = f'"{action}" is not an action of this queue'
            hint = f"use {allowed}: TERMINATE is for queues with a service environment, CANCEL for all others"
            yield Finding((member, index, "action"), why, hint)
    for path, reason in repeats([((member, i, "reason"), at(item, "reason")) for i, item in found]):
        yield Finding(path, f'two actions for the reason "{reason}"', "AWS refuses duplicates; keep one")


ACCESS = Access(
    types=("batch:job-queue",),
    always=("batch:DescribeJobQueues",),
    creates=("batch:CreateJobQueue",),
    changes=("batch:UpdateJobQueue",),
    deletes=("batch:UpdateJobQueue", "batch:DeleteJobQueue"),
    tags=batch.TAGS,
)

OTHER_TOOLS = OtherTools(
    terraform={"aws_batch_job_queue": ("arn", "name")},
    cloudformation={"AWS::Batch::JobQueue": "JobQueueName"},
)

KIND = Kind(
    name="job queue",
    section="jobQueues",
    audit=AUDIT,
    status=READER,
    file="batch",
    other_tools=OTHER_TOOLS,
    preflight=preflight,
    access=ACCESS,
    complete_lists=(
        CompleteList(
            "DescribeJobQueues", frozenset({"jobQueues"}), Call("batch", "DescribeJobQueues", {}, all_pages=True)
        ),
    ),
    recorded=batch.recorded("JobQueue", "jobQueue", "jobQueueName"),
    name_member="jobQueueName",
    everything=batch.everything("DescribeJobQueues", "jobQueues", "jobQueueName"),
    read=read,
    read_many=ReadMany(read),
    attrs=batch.attrs("job-queue"),
    create=create,
    update=update,
    delete=delete,
    tag=batch.tag,
    wait_until_settled=wait_until_settled,
    wait_until_gone=wait_until_gone,
    repair=repair,
    fields=FIELDS,
    refs=REFS,
    api=Api(
        service="batch",
        create=("CreateJobQueue",),
        update=("UpdateJobQueue",),
        reply="DescribeJobQueues.jobQueues[]",
        aside=frozenset({"jobQueue"}),
    ),
    replace=Replace.DECLARED,
    expand=expand,
    declare=declare,
    check=check,
    relations=relations.relations,
    takes_jobs=takes_jobs,
    disruption=disruption,
    deletion_effect=deletion_effect,
    side_effects=relations.side_effects,
    diagnosis=DIAGNOSIS_OF_QUEUE,
)
