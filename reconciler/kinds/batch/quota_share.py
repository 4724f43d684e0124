"""AWS Batch quota shares: the capacity of a SageMaker training queue that one group of users may use.

What is peculiar about them:

- A share belongs to one queue, which cannot be changed, and its name is unique in that queue. So it is declared as
  ``queue/share``. The name implies the reference ``jobQueue``: a share is created after its queue is VALID, and deleted
  before it.
- The queue must use a quota-share scheduling policy.
- Shares are listed by queue, without tags, and described one by one. The ARN follows from the name.
- ``status`` changes asynchronously, as that of a queue. Only a DISABLED share can be deleted. Replies have no
  ``statusReason``.
- Jobs name the share they are submitted to, and everything but the name can be changed, so a share is never replaced.

https://docs.aws.amazon.com/batch/latest/APIReference/API_CreateQuotaShare.html
https://docs.aws.amazon.com/batch/latest/userguide/quota-management.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from reconciler.kinds.batch import _capacity_limits as capacity
from reconciler.kinds.batch import _common as batch
from reconciler.kinds.common import normal_forms
from reconciler.kinds.common.declared import as_text, at, entries
from reconciler.kinds.common.normal_forms import without
from reconciler.model import (
    Access,
    Action,
    Api,
    Call,
    Declared,
    Diff,
    Disruption,
    Effect,
    Existing,
    Field,
    Finding,
    Json,
    Kind,
    Live,
    OtherTools,
    Proof,
    Query,
    Reads,
    Ref,
    Referrer,
    Replace,
    Resource,
    Scope,
    Sought,
    Template,
    Wait,
    Want,
)
from reconciler.model import problem_codes as codes
from reconciler.model.audit import Audit
from reconciler.model.paths import values_at
from reconciler.model.when_used import when_used

with when_used():
    from reconciler.kinds.common import ownership_index
    from reconciler.kinds.common.ownership_index import index, owned_names, tags_from_index
    from reconciler.kinds.common.referrers import referrer
    from reconciler.kinds.common.replies import chunks, top_members

NAME, QUEUE = "quotaShareName", "jobQueue"
SHARING = "resourceSharingConfiguration"
READ_ONLY = frozenset({"quotaShareArn", "jobQueueArn", "status"})
BORROWING = "LEND_AND_BORROW"
WITHOUT_LIMIT = -1
# https://docs.aws.amazon.com/batch/latest/userguide/create-quota-shares.html
MOST_LIMITS = 5
# https://docs.aws.amazon.com/batch/latest/userguide/quota-management.html
MOST_SHARES = 20


def _queue(_live: Json, _want: Json) -> tuple[Effect, str]:
    return Effect.REPLACE, "the queue of a quota share cannot be changed"


def _sharing(value: Any) -> Any:
    """The configuration with the default ``borrowLimit`` (-1: unlimited), without one if the share cannot borrow."""
    if not isinstance(value, Mapping):
        return value
    limit = value.get("borrowLimit")
    bare = without(value, "borrowLimit")
    if value.get("strategy") != BORROWING:
        return bare
    return {**bare, "borrowLimit": WITHOUT_LIMIT if limit is None else limit}


FIELDS = {
    NAME: Field(ignore=True),
    QUEUE: Field(effect=_queue, normalize=normal_forms.bare),
    "state": Field(default="ENABLED"),
    SHARING: Field(normalize=_sharing),
    **capacity.FIELDS,
}

REFS = {QUEUE: Ref(section="jobQueues", same_account_and_region=True)}


def _parts(name: str) -> tuple[str, str]:
    queue, _, share = name.partition("/")
    return queue, share


def attrs(scope: Scope, name: str, _props: Json) -> Mapping[str, str]:
    """The name ``queue/share``, and the ARN computed from it."""
    return {"name": name, "arn": _arn(scope, name)}


def _arn(scope: Scope, name: str) -> str:
    queue, share = _parts(name)
    return scope.arn("batch", f"job-queue/{queue}/quota-share/{share}")


# --- reading ---------------------------------------------------------------------------------------------------------


def referrers(scope: Scope, targets: Mapping[str, Sequence[Live]]) -> Reads[Sequence[Referrer]]:
    """The shares of the queues in ``targets``. The list shows no owners."""
    calls = tuple(
        Call("batch", "ListQuotaShares", {"jobQueue": live.physical}, all_pages=True)
        for live in targets["jobQueues"]
        if _may_have_shares(live.props)
    )
    answers = zip(calls, (yield calls) if calls else (), strict=True)
    return [
        referrer(scope, "quota share", f"{queue}/{item['quotaShareName']}", item["quotaShareArn"], {QUEUE: queue})
        for call, reply in answers
        for queue in (call.params["jobQueue"],)
        for item in (batch.described_or_none(call, reply, listed=False) or {}).get("quotaShares", [])
    ]


def read(query: Query) -> Reads[Sequence[Live]]:
    """The shares of sought names, and those that the environment owns.

    Owned shares are in the lists of the queues that are read here, or else are proposed by the index.
    """
    sought = [item.name for item in query.sought]
    queues, proposals = yield from _queues(query, sorted({_parts(name)[0] for name in sought}))
    calls = tuple(
        Call("batch", "ListQuotaShares", {"jobQueue": item["jobQueueName"]}, all_pages=True)
        for item in queues
        if _may_have_shares(item)
    )
    replies = (yield calls) if calls else ()
    listed = {
        item["quotaShareArn"]
        for call, reply in zip(calls, replies, strict=True)
        for item in (batch.described_or_none(call, reply, listed=False) or {}).get("quotaShares", [])
    }
    asked = sorted({_arn(query.scope, name) for name in sought} | listed | proposals)
    calls = tuple(Call("batch", "DescribeQuotaShare", {"quotaShareArn": arn}) for arn in asked)
    replies = (yield calls) if calls else ()
    found = [batch.described_or_none(c, r, listed=a in listed) for a, c, r in zip(asked, calls, replies, strict=True)]
    lives = [_live(item) for item in found if item]
    return sorted(
        (live for live in lives if batch.matches_query(query, live.physical, live.tags)), key=lambda x: x.physical
    )


def _queues(query: Query, named: Sequence[str]) -> Reads[tuple[list[Json], set[str]]]:
    """The queues whose shares are listed, and the ARNs of shares that the index proposes."""
    operation = "DescribeJobQueues"
    found: list[Json] = []
    more = True
    if query.owned and not query.indexed:
        return (yield from batch.every(operation, "jobQueues")), set()
    if query.owned and (named or "jobQueues" in query.declared):
        found, more = yield from batch.first_page(operation, "jobQueues")
    if not more:
        return found, set()
    known = {item["jobQueueName"] for item in found}
    ask = index(query, ("batch:job-queue",) if known else ownership_index.LARGE)
    calls = tuple(
        Call("batch", operation, {"jobQueues": list(some)})
        for some in chunks([name for name in named if name not in known], 100)
    )
    replies = (yield (*ask, *calls)) if ask or calls else ()
    tagged = yield from tags_from_index(ask, replies[: len(ask)])
    shares = {
        query.scope.arn("batch", f"job-queue/{path}")
        for path in owned_names(tagged, query.scope, "batch", "job-queue/")
    }
    shares = {arn for arn in shares if "/quota-share/" in arn}
    return found + batch.items_in(calls, replies[len(ask) :], "jobQueues"), shares


def _may_have_shares(queue: Json) -> bool:
    """Whether a queue can have shares. With a fair-share policy their list is refused or empty."""
    return bool(queue.get("schedulingPolicyArn") and queue.get("serviceEnvironmentOrder"))


def everything(_: Scope) -> Reads[Sequence[Existing]]:
    """The shares of every queue that may have some."""
    queues = yield from batch.every("DescribeJobQueues", "jobQueues")
    calls = tuple(
        Call("batch", "ListQuotaShares", {"jobQueue": item["jobQueueName"]}, all_pages=True)
        for item in queues
        if item.get("status") != "DELETED" and _may_have_shares(item)
    )
    return [
        Existing(Sought(f"{call.params['jobQueue']}/{item['quotaShareName']}"))
        for call, reply in zip(calls, (yield calls) if calls else (), strict=True)
        for item in (batch.described_or_none(call, reply, listed=False) or {}).get("quotaShares", [])
    ]


def _live(item: Json) -> Live:
    queue = str(item["jobQueueArn"])
    shared = batch.live_object(item, "quotaShare", read_only=READ_ONLY)
    name = f"{normal_forms.bare(queue)}/{shared.physical}"
    return Live(
        physical=name,
        attrs={**shared.attrs, "name": name},
        props={QUEUE: queue, **shared.props},
        tags=shared.tags,
        status=shared.status,
        settled=shared.settled,
        deleting=shared.deleting,
        invalid=shared.invalid,
    )


def expand(props: Json) -> Json:
    """The properties without read-only members."""
    return without(props, *READ_ONLY)


def implied(name: str) -> Json:
    """The queue in the name ``queue/share``."""
    return {QUEUE: _parts(name)[0]}


# --- writing ---------------------------------------------------------------------------------------------------------


def create(want: Want) -> Sequence[Action]:
    """The call that creates a share, and the wait until it is VALID."""
    params = {NAME: _parts(want.physical)[1], **without(want.declared, NAME)}
    tags = {"tags": dict(want.tags)} if want.tags else {}
    arn = str(want.attrs["arn"])
    return [batch.write("CreateQuotaShare", {**params, **tags}, proof=Proof.EXISTS), _valid(want.physical, arn)]


def update(live: Live, want: Want, diff: Diff) -> Sequence[Action]:
    """One call with the changed properties, and the wait until VALID."""
    members = top_members(want, diff, FIELDS)
    if SHARING in members:
        members[SHARING] = _sharing(members[SHARING])
    return _set(live, members)


def delete(live: Live, _declared: Json) -> Sequence[Action]:
    """Disable, delete, wait: AWS deletes only DISABLED shares.

    https://docs.aws.amazon.com/batch/latest/APIReference/API_DeleteQuotaShare.html
    """
    disable = () if live.props.get("state") == "DISABLED" else _disable(live)
    call = batch.write("DeleteQuotaShare", {"quotaShareArn": live.attrs["arn"]}, ok_if=(batch.MISSING,))
    return [*disable, call, *wait_until_gone(live)]


def wait_until_settled(live: Live) -> Sequence[Action]:
    """The wait until a share found in change is VALID."""
    return [_valid(live.physical, live.attrs["arn"])]


def wait_until_gone(live: Live) -> Sequence[Action]:
    """The wait until a share does not exist."""
    return [
        Wait(
            title=f"quota share {live.physical} deleted",
            read=_describe(live.attrs["arn"]),
            items="",
            until={"status": batch.DELETED},
            gone=True,
            absent=(batch.MISSING,),
        )
    ]


def repair(live: Live, want: Want) -> Sequence[Action]:
    """Update with all properties, so that the service checks an INVALID share again."""
    names = ("capacityLimits", SHARING, "preemptionConfiguration", "state")
    return _set(live, {name: want.props[name] for name in names if name in want.props})


def _set(live: Live, members: Json) -> list[Action]:
    if not members:
        return []
    arn = live.attrs["arn"]
    return [batch.write("UpdateQuotaShare", {"quotaShareArn": arn, **members}), _valid(live.physical, arn)]


def _disable(live: Live) -> list[Action]:
    off = {"quotaShareArn": live.attrs["arn"], "state": "DISABLED"}
    settled = Wait(
        title=f"quota share {live.physical} DISABLED",
        read=_describe(live.attrs["arn"]),
        items="",
        until={"status": batch.SETTLED | batch.DELETED},
        gone=True,
        absent=(batch.MISSING,),
    )
    return [batch.write("UpdateQuotaShare", off, ok_if=(batch.MISSING,)), settled]


def _valid(name: str, arn: str) -> Wait:
    return Wait(
        title=f"quota share {name} VALID",
        read=_describe(arn),
        items="",
        until={"status": batch.VALID},
        fail={"status": batch.INVALID},
        timeout=600.0,
    )


def _describe(arn: str) -> Call:
    return Call("batch", "DescribeQuotaShare", {"quotaShareArn": arn})


def disruption(_live: Live, want: Want, diff: Diff) -> str:
    """The effect of ``diff`` on jobs of the share."""
    if diff.under("state") and want.props.get("state") == "DISABLED":
        return Disruption("no new jobs are accepted; jobs already submitted continue")
    if diff.under("capacityLimits") or diff.under(SHARING):
        return Disruption("waiting jobs are scheduled by the new shares; jobs on borrowed capacity may be preempted")
    return "not affected"


# --- checks ----------------------------------------------------------------------------------------------------------


def check(name: str, props: Json) -> Iterator[Finding]:
    """Findings about the name ``queue/share``, the capacity limits and borrowing."""
    queue, share = _parts(name)
    if not queue or not share or "/" in share:
        hint = "write the queue, a slash and the share, for example training/team-a"
        yield Finding((), f'"{name}" cannot name a quota share: it must begin with its queue', hint, codes.INVALID_NAME)
        return
    yield from batch.check_name(queue, "job queue")
    yield from batch.check_name(share, "quota share")
    given = normal_forms.bare(as_text(props.get(QUEUE)))
    if given is not None and given != queue:
        why = f'jobQueue is "{given}", but the name has "{queue}"'
        yield Finding((QUEUE,), why, f"leave {QUEUE} out, or rename the share to {given}/{share}")
    yield from capacity.check(props, most=MOST_LIMITS)
    yield from _check_sharing(props)


def _check_sharing(props: Json) -> Iterator[Finding]:
    strategy, limit = as_text(at(props, SHARING, "strategy")), at(props, SHARING, "borrowLimit")
    if strategy is not None and strategy != BORROWING and limit is not None:
        hint = f"remove it, or use the strategy {BORROWING}"
        yield Finding(
            (SHARING, "borrowLimit"), f"borrowLimit is only valid with the strategy {BORROWING}, not {strategy}", hint
        )


# --- with the queue, its policy and its environment -------------------------------------------------------------------


def relations(share: Resource, declared: Declared) -> Iterator[Finding]:
    """Checks of a share with its queue: SageMaker training, a quota-share policy, the quota of shares."""
    queue = declared.resource("jobQueues", share.props.get(QUEUE))
    if queue is None:
        return
    named = queue.props.get("schedulingPolicyArn")
    policy = declared.resource("schedulingPolicies", named)
    if queue.props.get("computeEnvironmentOrder"):
        message = f"{queue.address.name} takes container jobs, but quota shares are for SageMaker training"
        yield Finding((), message, "use a scheduling policy with fairsharePolicy instead")
    elif not named or (policy and not policy.props.get("quotaSharePolicy")):
        hint = f"give {queue.address} a scheduling policy with quotaSharePolicy"
        yield Finding((), f"{queue.address.name} has no quota-share policy", hint)
    siblings = declared.section(share.address.section)
    there = [one for one in siblings if _parts(one.address.name)[0] == queue.address.name]
    if len(there) > MOST_SHARES and share is there[MOST_SHARES]:
        message = f"{queue.address.name} has {len(there)} quota shares; the maximum is {MOST_SHARES}"
        yield Finding((), message, "declare fewer shares")
    yield from _counted(share, queue, declared)


def _counted(share: Resource, queue: Resource, declared: Declared) -> Iterator[Finding]:
    """A share has the capacity units of its queue's service environment: one with other units never runs a job.

    https://docs.aws.amazon.com/batch/latest/APIReference/API_CapacityLimit.html
    """
    named = [name for _, name in values_at(queue.props, "serviceEnvironmentOrder[].serviceEnvironment")]
    environment = declared.resource("serviceEnvironments", named[0]) if len(named) == 1 else None
    units = _units(environment.props) if environment else []
    if environment is None or not units or any(isinstance(unit, Template) for _, unit in units):
        return
    there = list(dict.fromkeys(unit for _, unit in units))
    for position, unit in _units(share.props):
        if isinstance(unit, str) and unit not in there:
            message = f"the share counts {unit}, but {environment.address} has only {', '.join(there)}"
            hint = f"add a limit for {unit} to {environment.address}, or set capacityUnit: {there[0]}"
            if there == [capacity.ALL]:
                hint = f"count {environment.address} by instance types, too: capacityUnit: {unit}"
            yield Finding((capacity.MEMBER, position, "capacityUnit"), message, hint)


def _units(props: Json) -> list[tuple[int, Any]]:
    """What the limits of a service environment or a quota share count, each with its position."""
    return [(index, item.get("capacityUnit") or capacity.ALL) for index, item in entries(props.get(capacity.MEMBER))]


AUDIT = Audit(
    shown_by="batch:DescribeQuotaShare",
    everything=True,
    reads=("batch:DescribeJobQueues", "batch:ListQuotaShares", "batch:DescribeQuotaShare"),
)

ACCESS = Access(
    types=("batch:quota-share",),
    reads=("batch:DescribeQuotaShare",),
    looks=("batch:DescribeJobQueues", "batch:ListQuotaShares"),
    referrers=("batch:ListQuotaShares",),
    waits=("batch:DescribeQuotaShare",),
    creates=("batch:CreateQuotaShare",),
    changes=("batch:UpdateQuotaShare",),
    deletes=("batch:UpdateQuotaShare", "batch:DeleteQuotaShare"),
    tags=batch.TAGS,
)

OTHER_TOOLS = OtherTools(
    cloudformation={"AWS::Batch::QuotaShare": "QuotaShareName"},
)

KIND = Kind(
    name="quota share",
    section="quotaShares",
    audit=AUDIT,
    file="batch",
    other_tools=OTHER_TOOLS,
    access=ACCESS,
    recorded=batch.recorded("QuotaShare", "quotaShareArn", "jobQueue/quotaShareName"),
    name_member="quotaShareName",
    named_below="jobQueues",
    everything=everything,
    read=read,
    attrs=attrs,
    create=create,
    update=update,
    delete=delete,
    tag=batch.tag,
    wait_until_settled=wait_until_settled,
    wait_until_gone=wait_until_gone,
    repair=repair,
    fields=FIELDS,
    refs=REFS,
    referrers=referrers,
    api=Api(
        service="batch",
        create=("CreateQuotaShare",),
        update=("UpdateQuotaShare",),
        reply="DescribeQuotaShare",
        aside=frozenset({"quotaShareArn"}),
    ),
    replace=Replace.FORBIDDEN,
    max_name=257,
    expand=expand,
    implied=implied,
    check=check,
    relations=relations,
    disruption=disruption,
)
