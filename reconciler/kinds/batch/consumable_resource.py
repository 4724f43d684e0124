"""AWS Batch consumable resources: a named quantity (licences, bandwidth) that jobs take from.

What is peculiar about them:

- There is no status: every change is effective at once.
- The total is changed by an operation of its own. SET needs no client token of ours: sent twice it means the same,
  whereas a token made from the two numbers would have AWS ignore a later change between them for eight hours.
- Of a NON_REPLENISHABLE one the jobs use up the total, which is no drift. It is set when the *declared* number has
  changed; which number was set last is kept in a tag of its own, ``reconciler/totalQuantity``.
- Deleting one is allowed while it is in use. Jobs that wait for it go on waiting, and one of the same name serves them
  again: so it is replaced by deleting it first, for its name is what job definitions and jobs ask for.
- The list has neither tags nor what is left, so each one is described.

https://docs.aws.amazon.com/batch/latest/APIReference/API_UpdateConsumableResource.html
https://docs.aws.amazon.com/batch/latest/userguide/resource-aware-scheduling.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from reconciler.kinds.batch import _common as batch
from reconciler.kinds.common.normal_forms import without
from reconciler.kinds.common.ownership_index import index, owned_names, tags_from_index
from reconciler.kinds.common.replies import top_members
from reconciler.model import (
    OWNER_PREFIX,
    Action,
    Api,
    Call,
    Diff,
    Effect,
    Field,
    Finding,
    Json,
    Kind,
    Lifecycle,
    Live,
    Proof,
    Query,
    Reads,
    Refused,
    Replace,
    Reply,
    Want,
)

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
    """What is sought by name, and what the index proposes; all that are listed where it cannot be asked.

    No text is documented for what is not there: the list tells whether a refusal that says something else means that.
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
    return without(props, *READ_ONLY)


def normalize(live: Live, want: Want) -> tuple[Json, Json]:
    """What jobs use up is compared by what was set last; where that is not known, it is left alone."""
    wanted = want.props.get(TOTAL)
    if live.props.get(TYPE) != USED_UP or want.props.get(TYPE) != USED_UP or wanted is None:
        return live.props, want.props
    last = live.tags.get(SET_LAST)
    return {**live.props, TOTAL: int(last) if last and last.isdecimal() else wanted}, want.props


def notes(live: Live, want: Want) -> Sequence[str]:
    left, wanted = live.props.get(TOTAL), want.props.get(TOTAL)
    if live.props.get(TYPE) != USED_UP or wanted is None or left == wanted:
        return []
    if live.tags.get(SET_LAST) in (None, str(wanted)):
        return [f"{left} remaining: what jobs use up is not refilled until the declared number changes"]
    return []


def adoption_tags(_live: Live, want: Want) -> Mapping[str, str]:
    """Notes which number is declared when another's is taken over: what is left in it stays."""
    return _quantity_tags(want.declared)


def _quantity_tags(declared: Json) -> dict[str, str]:
    total = declared.get(TOTAL) or 0
    return {SET_LAST: str(total)} if declared.get(TYPE) == USED_UP else {}


# --- writing ---------------------------------------------------------------------------------------------------------


def create(want: Want) -> Sequence[Action]:
    declared = {name: value for name, value in without(want.declared, NAME).items() if value is not None}
    tags = {**want.tags, **_quantity_tags(declared)}
    params = {NAME: want.physical, **declared, **({"tags": tags} if tags else {})}
    return [batch.write("CreateConsumableResource", params, proof=Proof.EXISTS)]


def update(live: Live, want: Want, diff: Diff) -> Sequence[Action]:
    changed = top_members(want, diff, FIELDS)
    if not changed:
        return []
    # where the total stays, nothing is added to it: an operation has to be named, and jobs may be taking from it
    total = {"operation": "SET", "quantity": want.props[TOTAL]} if TOTAL in changed else NOTHING_ADDED
    params: dict[str, Any] = {"consumableResource": live.physical, **total, **without(changed, TOTAL)}
    noted = _quantity_tags(want.props) if TOTAL in changed else {}
    return [batch.write("UpdateConsumableResource", params), *(batch.tag(live, noted, ()) if noted else ())]


def delete(live: Live, _declared: Json) -> Sequence[Action]:
    params = {"consumableResource": live.physical}
    return [batch.write("DeleteConsumableResource", params, ok_if=(batch.MISSING,))]


def disruption(live: Live, want: Want, diff: Diff) -> str:
    if diff.replaces:
        return "deleted and created again under the same name: jobs that need it wait meanwhile; running jobs continue"
    less, more = want.props.get(TOTAL), live.props.get(TOTAL)
    if diff.under(TOTAL) and isinstance(less, int) and isinstance(more, int) and less < more:
        return "jobs that need more than the new quantity wait; running jobs keep what they have"
    return "not affected"


def deletion_effect(_live: Live, _lifecycle: Lifecycle | None) -> str:
    return "jobs that need it wait until a resource of this name exists again; running jobs continue"


def check(name: str, props: Json) -> Iterator[Finding]:
    yield from batch.check_name(name, "consumable resource")
    yield from batch.check_name_member(props, NAME, name)
    if props.get(TOTAL) is None:
        why = f"{TOTAL} is missing: AWS starts with a quantity of 0, and every job that needs it waits"
        yield Finding((), why, f"set the quantity: {TOTAL}: 10", code="missing-field", warning=True)


KIND = Kind(
    name="consumable resource",
    section="consumableResources",
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
    normalize=normalize,
    check=check,
    disruption=disruption,
    deletion_effect=deletion_effect,
    adoption_tags=adoption_tags,
    notes=notes,
)
