"""AWS Batch service environments: the capacity of another service (SageMaker training) for the jobs of queues.

What is peculiar about them:

- They change as compute environments do: ``state`` is the user's, ``status`` changes asynchronously, and AWS accepts
  one change at a time. But replies have no ``statusReason``.
- Only a DISABLED environment that no queue lists can be deleted, and the service may notice late that a queue no longer
  lists it.
- Capacity is limited for all instances together (``NUM_INSTANCES``) or for up to five instance types, not both.
- Queues refer to an environment by its ARN and can exchange it. So a replacement is created under a derived name before
  the old one is deleted.

https://docs.aws.amazon.com/batch/latest/APIReference/API_ServiceEnvironmentDetail.html
https://docs.aws.amazon.com/batch/latest/userguide/service-environments.html
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from reconciler.kinds.batch import _capacity_limits as capacity
from reconciler.kinds.batch import _common as batch
from reconciler.kinds.batch import _queue_dependents as queue_users
from reconciler.kinds.common.normal_forms import without
from reconciler.model import (
    Access,
    Action,
    Api,
    Call,
    CompleteList,
    Declared,
    Diff,
    Disruption,
    Effect,
    Field,
    Finding,
    Grant,
    Json,
    Kind,
    Live,
    OtherTools,
    Proof,
    Query,
    ReadMany,
    Reads,
    Replace,
    Resource,
    Scope,
    Wait,
    Want,
)
from reconciler.model.audit import Audit
from reconciler.model.when_used import when_used

with when_used():
    from reconciler.kinds.batch import _quotas as quotas
    from reconciler.kinds.batch._service_environment_status import READER
    from reconciler.kinds.common.ownership_index import index, not_sought, owned_names, tags_from_index
    from reconciler.kinds.common.replies import chunks, top_members

NAME = "serviceEnvironmentName"
LISTED = "serviceEnvironments"
READ_ONLY = frozenset({"serviceEnvironmentArn", "status"})
MOST_LIMITS = 5


def _type(_live: Json, _want: Json) -> tuple[Effect, str]:
    return Effect.REPLACE, "no update exists for it"


FIELDS = {
    NAME: Field(ignore=True),
    "serviceEnvironmentType": Field(effect=_type),
    "state": Field(default="ENABLED"),
    **capacity.FIELDS,
}


def read(query: Query) -> Reads[Sequence[Live]]:
    """The environments of sought names and those that the index proposes, or all of them if there is no index."""
    found = yield from _described(query)
    lives = [
        batch.live_object(item, "serviceEnvironment", read_only=READ_ONLY)
        for item in found
        if item.get("status") != "DELETED" and batch.matches_query(query, item[NAME], item.get("tags") or {})
    ]
    return sorted(lives, key=lambda live: live.physical)


def _described(query: Query) -> Reads[list[Json]]:
    operation = "DescribeServiceEnvironments"
    if query.owned and not query.indexed:
        return (yield from batch.every(operation, LISTED))
    ask, names = index(query), sorted({sought.name for sought in query.sought})
    calls = tuple(Call("batch", operation, {LISTED: list(some)}) for some in chunks(names, 100))
    replies = (yield (*ask, *calls)) if ask or calls else ()
    tagged = yield from tags_from_index(ask, replies[: len(ask)])
    more = not_sought(query, owned_names(tagged, query.scope, "batch", "service-environment/"))
    others = tuple(Call("batch", operation, {LISTED: list(some)}) for some in chunks(more, 100))
    found = batch.items_in(calls, replies[len(ask) :], LISTED)
    return found + ((yield from batch.listed(others, LISTED)) if others else [])


def expand(props: Json) -> Json:
    """The properties without read-only members."""
    return without(props, *READ_ONLY)


def create(want: Want) -> Sequence[Action]:
    """The call that creates an environment, and the wait until it is VALID."""
    params = {NAME: want.physical, **without(want.declared, NAME)}
    tags = {"tags": dict(want.tags)} if want.tags else {}
    return [batch.write("CreateServiceEnvironment", {**params, **tags}, proof=Proof.EXISTS), _valid(want.physical)]


def update(live: Live, want: Want, diff: Diff) -> Sequence[Action]:
    """One call with the changed properties, and the wait until VALID."""
    return _set(live.physical, top_members(want, diff, FIELDS))


def delete(live: Live, _declared: Json) -> Sequence[Action]:
    """Disable, delete, wait: AWS deletes only DISABLED environments that no queue lists.

    https://docs.aws.amazon.com/batch/latest/APIReference/API_DeleteServiceEnvironment.html
    """
    disable = () if live.props.get("state") == "DISABLED" else _disable(live.physical)
    call = batch.write(
        "DeleteServiceEnvironment",
        {"serviceEnvironment": live.physical},
        retry_on=(batch.BUSY, batch.RELATED),
        ok_if=(batch.MISSING,),
    )
    return [*disable, call, *wait_until_gone(live)]


def wait_until_settled(live: Live) -> Sequence[Action]:
    """The wait until an environment found in change is VALID."""
    return [_valid(live.physical)]


def wait_until_gone(live: Live) -> Sequence[Action]:
    """The wait until an environment does not exist."""
    return [
        Wait(
            title=f"service environment {live.physical} deleted",
            read=_describe(live.physical),
            items=LISTED,
            among=LISTED,
            named_by=("serviceEnvironmentName",),
            until={"status": batch.DELETED},
            gone=True,
        )
    ]


def repair(live: Live, want: Want) -> Sequence[Action]:
    """Update with all properties, so that the service checks an INVALID environment again."""
    return _set(live.physical, {name: want.props[name] for name in ("capacityLimits", "state") if name in want.props})


def _set(name: str, members: Json) -> list[Action]:
    if not members:
        return []
    return [batch.write("UpdateServiceEnvironment", {"serviceEnvironment": name, **members}), _valid(name)]


def _disable(name: str) -> list[Action]:
    off = {"serviceEnvironment": name, "state": "DISABLED"}
    settled = Wait(
        title=f"service environment {name} DISABLED",
        read=_describe(name),
        items=LISTED,
        among=LISTED,
        named_by=("serviceEnvironmentName",),
        until={"status": batch.SETTLED | batch.DELETED},
        gone=True,
    )
    return [batch.write("UpdateServiceEnvironment", off, ok_if=(batch.MISSING,)), settled]


def _valid(name: str) -> Wait:
    return Wait(
        title=f"service environment {name} VALID",
        read=_describe(name),
        items=LISTED,
        among=LISTED,
        named_by=("serviceEnvironmentName",),
        until={"status": batch.VALID},
        fail={"status": batch.INVALID | batch.DELETED},
        timeout=600.0,
    )


def _describe(name: str) -> Call:
    return Call("batch", "DescribeServiceEnvironments", {LISTED: [name]})


def disruption(_live: Live, want: Want, diff: Diff) -> str:
    """The effect of ``diff`` on service jobs."""
    if diff.replaces:
        return "the queues move to a new environment first; then the old one is disabled and deleted"
    if diff.under("state") and want.props.get("state") == "DISABLED":
        return Disruption("no new service jobs are started on it; running ones continue")
    return "not affected"


def check(name: str, props: Json) -> Iterator[Finding]:
    """Findings about the name and the capacity limits."""
    yield from batch.check_name(name, "service environment")
    yield from capacity.check(props, most=MOST_LIMITS)


def relations(resource: Resource, declared: Declared) -> Iterator[Finding]:
    """A warning if more service environments are declared than AWS allows in a Region."""
    yield from quotas.check_quota(resource, declared, "service environments")


# https://docs.aws.amazon.com/batch/latest/userguide/using-service-linked-roles-batch-sagemaker.html
SAGEMAKER = "sagemaker-queuing.batch.amazonaws.com"


def _more(scope: Scope, _: Resource) -> Iterator[Grant]:
    role = scope.arn("iam", f"role/aws-service-role/{SAGEMAKER}/*", region="")
    yield Grant(
        actions=("iam:CreateServiceLinkedRole",),
        resources=(role,),
        conditions={"iam:AWSServiceName": (SAGEMAKER,)},
        only_created=True,
        why="AWS Batch creates its service-linked role",
    )


AUDIT = Audit(
    shown_by="batch:DescribeServiceEnvironments",
    everything=True,
    users="job queue",
    reads=("batch:DescribeServiceEnvironments",),
)

ACCESS = Access(
    types=("batch:service-environment",),
    reads=("batch:DescribeServiceEnvironments",),
    removals=("batch:DescribeJobQueues",),
    creates=("batch:CreateServiceEnvironment",),
    changes=("batch:UpdateServiceEnvironment",),
    deletes=("batch:UpdateServiceEnvironment", "batch:DeleteServiceEnvironment"),
    tags=batch.TAGS,
    more=_more,
)

OTHER_TOOLS = OtherTools(
    cloudformation={"AWS::Batch::ServiceEnvironment": "ServiceEnvironmentName"},
)

KIND = Kind(
    name="service environment",
    section="serviceEnvironments",
    audit=AUDIT,
    status=READER,
    file="batch",
    other_tools=OTHER_TOOLS,
    access=ACCESS,
    complete_lists=(
        CompleteList(
            "DescribeServiceEnvironments",
            frozenset({"serviceEnvironments"}),
            Call("batch", "DescribeServiceEnvironments", {}, all_pages=True),
        ),
    ),
    recorded=batch.recorded("ServiceEnvironment", "serviceEnvironment", "serviceEnvironmentName"),
    name_member="serviceEnvironmentName",
    everything=batch.everything("DescribeServiceEnvironments", LISTED, NAME),
    read=read,
    read_many=ReadMany(read),
    attrs=batch.attrs("service-environment"),
    create=create,
    update=update,
    delete=delete,
    tag=batch.tag,
    wait_until_settled=wait_until_settled,
    wait_until_gone=wait_until_gone,
    repair=repair,
    fields=FIELDS,
    api=Api(
        service="batch",
        create=("CreateServiceEnvironment",),
        update=("UpdateServiceEnvironment",),
        reply="DescribeServiceEnvironments.serviceEnvironments[]",
        aside=frozenset({"serviceEnvironment"}),
    ),
    replace=Replace.CREATE_FIRST,
    expand=expand,
    check=check,
    relations=relations,
    disruption=disruption,
    dependents=(queue_users.listing("serviceEnvironmentOrder", "serviceEnvironment"),),
)
