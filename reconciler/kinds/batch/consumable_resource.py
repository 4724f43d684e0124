"""AWS Batch consumable resources: a named quantity (licences, bandwidth) that jobs take from.

What is peculiar about them:

- There is no status: every change takes effect immediately.
- The total is changed by an operation (SET, ADD, REMOVE). SET is sent without a client token: sent again it has the
  same result, but AWS would ignore a later change between the same two numbers for eight hours if the token were
  computed from them.
- Jobs use up the total of a NON_REPLENISHABLE resource, which is not drift. It is set only if the *declared* number
  has changed; the tag ``reconciler/totalQuantity`` contains the number that was set last.
- A resource can be deleted while it is in use. Jobs that need it keep waiting, until a resource of the same name
  exists. Job definitions and jobs refer to it by name, so a replacement deletes the old one first.
- The list has neither tags nor quantities, so each resource is described.

https://docs.aws.amazon.com/batch/latest/APIReference/API_UpdateConsumableResource.html
https://docs.aws.amazon.com/batch/latest/userguide/resource-aware-scheduling.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from reconciler.kinds.batch import _common as batch
from reconciler.kinds.common.listing import listing
from reconciler.kinds.common.normal_forms import without
from reconciler.model import (
    OWNER_PREFIX,
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
    Proof,
    Query,
    Reads,
    Refused,
    Replace,
    Reply,
    Scope,
    Want,
)
from reconciler.model import problem_codes as codes
from reconciler.model.audit import Audit
from reconciler.model.when_used import when_used

with when_used():
    from reconciler.kinds.common.ownership_index import index, owned_names, tags_from_index
    from reconciler.kinds.common.replies import top_members

NAME, TOTAL, TYPE = "consumableResourceName", "totalQuantity", "resourceType"
ARN = "consumableResourceArn"
RESOURCE = "consumableResource"
LIST = Call("batch", "ListConsumableResources", {}, all_pages=True)
READ_ONLY = frozenset({ARN, "inUseQuantity", "availableQuantity", "createdAt"})
USED_UP = "NON_REPLENISHABLE"
NOTHING_ADDED = {"operation": "ADD", "quantity": 0}
SET_LAST = f"{OWNER_PREFIX}{TOTAL}"


def _type(_live: Json, _want: Json) -> tuple[Effect, str]:
    return Effect.REPLACE, "no update exists for it"


FIELDS = {
    NAME: Field(ignore=True),
    TYPE: Field(effect=_type, default="REPLENISHABLE"),
    TOTAL: Field(computed=True),
}


# --- reading and comparing -------------------------------------------------------------------------------------------


def read(query: Query) -> Reads[Sequence[Live]]:
    """The resources of sought names and those that the index proposes, or all listed ones if there is no index.

    AWS documents no text for an unknown resource. If a refusal is unclear, the list shows whether the resource exists.
    """
    names = sorted({sought.name for sought in query.sought})
    every = (LIST,) if query.owned and not query.indexed else ()
    ask, calls = every or index(query), _describing(names)
    replies = (yield (*ask, *calls)) if ask or calls else ()
    if every:
        listed = more = {item[NAME] for item in batch.items_in(every, replies[:1], "consumableResources")}
    else:
        tagged = yield from tags_from_index(ask, replies[: len(ask)])
        listed = set()
        more = set(owned_names(tagged, query.scope, "batch", "consumable-resource/"))
    others = _describing(sorted(more - set(names)))
    answers = [*replies[len(ask) :], *((yield others) if others else ())]
    if not every and any(map(_unclear, answers)):
        listed = {item[NAME] for item in (yield from batch.listed((LIST,), "consumableResources"))}
    found = [
        batch.described_or_none(call, reply, listed=call.params[RESOURCE] in listed)
        for call, reply in zip((*calls, *others), answers, strict=True)
    ]
    lives = [_live(item) for item in found if item and batch.matches_query(query, item[NAME], item.get("tags") or {})]
    return sorted(lives, key=lambda live: live.physical)


def _unclear(reply: Reply) -> bool:
    return isinstance(reply, Refused) and not batch.MISSING.matches(reply) and reply.code == "ClientException"


def _describing(names: Sequence[str]) -> tuple[Call, ...]:
    return tuple(Call("batch", "DescribeConsumableResource", {RESOURCE: name}) for name in names)


def _live(item: Json) -> Live:
    return Live(
        physical=str(item[NAME]),
        attrs={"name": str(item[NAME]), "arn": str(item[ARN])},
        props=without(item, *READ_ONLY, NAME, "tags"),
        tags=dict(item.get("tags") or {}),
        extra={TOTAL: item.get(TOTAL)},
    )


def expand(props: Json) -> Json:
    """The properties without read-only members."""
    return without(props, *READ_ONLY)


def declare(live: Live, _: Scope) -> Json:
    """The properties; the total of a NON_REPLENISHABLE resource is the one that was set last, if that is known."""
    last = live.tags.get(SET_LAST, "")
    used_up = live.props.get(TYPE) == USED_UP and last.isdecimal()
    return {**live.props, TOTAL: int(last)} if used_up else live.props


def normalize(live: Live, want: Want) -> tuple[Json, Json]:
    """Both sides; the total of a NON_REPLENISHABLE resource is the one that was set last, if that is known."""
    wanted = want.props.get(TOTAL)
    if live.props.get(TYPE) != USED_UP or want.props.get(TYPE) != USED_UP or wanted is None:
        return live.props, want.props
    last = live.tags.get(SET_LAST)
    return {**live.props, TOTAL: int(last) if last and last.isdecimal() else wanted}, want.props


def notes(live: Live, want: Want) -> Sequence[str]:
    """The note about how much of a NON_REPLENISHABLE resource remains, if less than declared."""
    left, wanted = live.props.get(TOTAL), want.props.get(TOTAL)
    if live.props.get(TYPE) != USED_UP or wanted is None or left == wanted:
        return []
    if live.tags.get(SET_LAST) in (None, str(wanted)):
        return [f"{left} remaining: what jobs use up is not refilled until the declared number changes"]
    return []


def adoption_tags(_live: Live, want: Want) -> Mapping[str, str]:
    """The tag with the declared number for a resource that is adopted: what remains of it is not changed."""
    return _quantity_tags(want.declared)


def _quantity_tags(declared: Json) -> dict[str, str]:
    total = declared.get(TOTAL) or 0
    return {SET_LAST: str(total)} if declared.get(TYPE) == USED_UP else {}


# --- writing ---------------------------------------------------------------------------------------------------------


def create(want: Want) -> Sequence[Action]:
    """One call, with the tag of the quantity."""
    declared = {name: value for name, value in without(want.declared, NAME).items() if value is not None}
    tags = {**want.tags, **_quantity_tags(declared)}
    params = {NAME: want.physical, **declared, **({"tags": tags} if tags else {})}
    return [batch.write("CreateConsumableResource", params, proof=Proof.EXISTS)]


def update(live: Live, want: Want, diff: Diff) -> Sequence[Action]:
    """One call with the changed properties, and the tag of the quantity if that changes.

    https://docs.aws.amazon.com/batch/latest/APIReference/API_UpdateConsumableResource.html
    """
    changed = top_members(want, diff, FIELDS)
    if not changed:
        return []
    # An operation is required. Where the total does not change, ADD 0 is safe although jobs may be taking from it.
    total = {"operation": "SET", "quantity": want.props[TOTAL]} if TOTAL in changed else NOTHING_ADDED
    params: dict[str, Any] = {"consumableResource": live.physical, **total, **without(changed, TOTAL)}
    tags = _quantity_tags(want.props) if TOTAL in changed else {}
    return [batch.write("UpdateConsumableResource", params), *(batch.tag(live, tags, ()) if tags else ())]


def delete(live: Live, _declared: Json) -> Sequence[Action]:
    """One call; AWS accepts it while jobs use the resource."""
    params = {"consumableResource": live.physical}
    return [batch.write("DeleteConsumableResource", params, ok_if=(batch.MISSING,))]


def disruption(live: Live, want: Want, diff: Diff) -> str:
    """The effect of ``diff`` on jobs that need the resource."""
    if diff.replaces:
        return Disruption(
            "deleted and created again under the same name: jobs that need it wait meanwhile; running jobs continue"
        )
    wanted, present = want.props.get(TOTAL), live.props.get(TOTAL)
    if diff.under(TOTAL) and isinstance(wanted, int) and isinstance(present, int) and wanted < present:
        return Disruption("jobs that need more than the new quantity wait; running jobs keep what they have")
    return "not affected"


def deletion_effect(_live: Live, _lifecycle: Lifecycle | None) -> str:
    """What the deletion does to jobs that need the resource."""
    return Disruption("jobs that need it wait until a resource of this name exists again; running jobs continue")


def check(name: str, props: Json) -> Iterator[Finding]:
    """Findings about the name and a missing quantity."""
    yield from batch.check_name(name, "consumable resource")
    if props.get(TOTAL) is None:
        why = f"{TOTAL} is missing: AWS starts with a quantity of 0, and every job that needs it waits"
        yield Finding((), why, f"set the quantity: {TOTAL}: 10", code=codes.MISSING_FIELD, warning=True)


AUDIT = Audit(
    shown_by="batch:DescribeConsumableResource",
    everything=True,
    users="job definition",
    reads=("batch:ListConsumableResources", "batch:DescribeConsumableResource"),
)

ACCESS = Access(
    types=("batch:consumable-resource",),
    reads=("batch:DescribeConsumableResource",),
    creates=("batch:CreateConsumableResource",),
    changes=("batch:UpdateConsumableResource",),
    deletes=("batch:DeleteConsumableResource",),
    tags=batch.TAGS,
)

OTHER_TOOLS = OtherTools(
    terraform={"aws_batch_consumable_resource": ("arn", "name")},
    cloudformation={"AWS::Batch::ConsumableResource": "ConsumableResourceName"},
)

KIND = Kind(
    name="consumable resource",
    section="consumableResources",
    audit=AUDIT,
    file="batch",
    other_tools=OTHER_TOOLS,
    access=ACCESS,
    complete_lists=(
        CompleteList(
            "DescribeConsumableResource",
            frozenset({"consumableResource"}),
            Call("batch", "ListConsumableResources", {}, all_pages=True),
        ),
    ),
    recorded=batch.recorded(
        "ConsumableResource", "consumableResource", "consumableResourceName", sent_as={"totalQuantity": "quantity"}
    ),
    name_member="consumableResourceName",
    everything=listing(LIST, "consumableResources", NAME),
    read=read,
    attrs=batch.attrs("consumable-resource"),
    create=create,
    update=update,
    delete=delete,
    tag=batch.tag,
    fields=FIELDS,
    api=Api(
        service="batch",
        create=("CreateConsumableResource",),
        update=("UpdateConsumableResource",),
        reply="DescribeConsumableResource",
        aside=frozenset({"consumableResource", "operation", "quantity", "clientToken"}),
    ),
    replace=Replace.DELETE_FIRST,
    expand=expand,
    declare=declare,
    normalize=normalize,
    check=check,
    disruption=disruption,
    deletion_effect=deletion_effect,
    adoption_tags=adoption_tags,
    notes=notes,
)
