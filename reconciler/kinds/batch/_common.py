"""What the kinds of AWS Batch have in common: describes, states, tags, and the refusals that pass.

Peculiar about the service:

- it refuses everything with ``ClientException``, so refusals are told apart by their text;
- a describe by names takes at most 100 and must not be given ``maxResults``; unknown names are left out of the reply;
- a resource changes asynchronously (CREATING, UPDATING, DELETING), takes one change at a time, and may be listed as
  DELETED for a while after it is gone.

https://docs.aws.amazon.com/batch/latest/APIReference/API_Operations.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from reconciler.kinds.common.ownership_index import LARGE, index, not_sought, owned_names, tags_from_index
from reconciler.kinds.common.replies import chunks, ok
from reconciler.model import (
    EMPTY,
    OWNER_TAG,
    Action,
    Call,
    Finding,
    Json,
    Live,
    On,
    Proof,
    Query,
    Reads,
    Refused,
    Reply,
    Scope,
)

BUSY = On(message="is being modified")
RELATED = On(message="found existing JobQueue relationship")
NOT_YET_VALID = On(message="valid before attaching")
MISSING = On(message="does not exist")

VALID = frozenset({"VALID"})
SETTLED = frozenset({"VALID", "INVALID"})
INVALID = frozenset({"INVALID"})
DELETED = frozenset({"DELETED"})

NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,127}")


def described(operation: str, member: str, name: str, prefix: str, query: Query) -> Reads[list[Json]]:
    """Objects described: those of the sought names, and those the environment may own.

    ``member`` is what the operation calls its list of names and of objects both, ``name`` the member with an object's
    own, ``prefix`` what stands before it in its ARN. Most accounts hold a page of them, which then is all there is to
    see. Where there is more, what is missing is asked for by name: no fewer calls than further pages when most are
    ours, far fewer when most are others', and they are made at once.
    """
    wanted = sorted({sought.name for sought in query.sought})
    found: list[Json] = []
    if query.owned and (wanted or not query.indexed):
        found, more = yield from first_page(operation, member)
        if not more:
            return found
        if not query.indexed:
            return (yield from every(operation, member))
    ask = index(query, (f"batch:{prefix.rstrip('/')}",) if wanted else LARGE)
    known = {item[name] for item in found}
    calls = tuple(
        Call("batch", operation, {member: list(some)})
        for some in chunks([one for one in wanted if one not in known], 100)
    )
    replies = (yield (*ask, *calls)) if ask or calls else ()
    tagged = yield from tags_from_index(ask, replies[: len(ask)])
    found += items_in(calls, replies[len(ask) :], member)
    others = [one for one in not_sought(query, owned_names(tagged, query.scope, "batch", prefix)) if "/" not in one]
    calls = tuple(
        Call("batch", operation, {member: list(some)})
        for some in chunks([one for one in others if one not in known], 100)
    )
    return found + ((yield from listed(calls, member)) if calls else [])


def every(operation: str, member: str, params: Json = EMPTY) -> Reads[list[Json]]:
    """Every item there is, page by page, so that whoever sweeps through the same pages shares them."""
    found: list[Json] = []
    token = ""
    while True:
        call = page(operation, params, token)
        (reply,) = yield (call,)
        answer = ok(call, reply) or {}
        found += answer.get(member, [])
        token = answer.get("nextToken") or ""
        if not token:
            return found


def page(operation: str, params: Json = EMPTY, token: str = "") -> Call:
    """One page of what a describe without names shows."""
    return Call("batch", operation, {**params, **({"nextToken": token} if token else {})})


def first_page(operation: str, member: str) -> Reads[tuple[list[Json], bool]]:
    """The first hundred, and whether there are more."""
    call = page(operation)
    (reply,) = yield (call,)
    answer = ok(call, reply) or {}
    return list(answer.get(member, [])), bool(answer.get("nextToken"))


def listed(calls: tuple[Call, ...], member: str) -> Reads[list[Json]]:
    """Every item under ``member`` of every reply."""
    return items_in(calls, (yield calls), member)


def items_in(calls: Sequence[Call], replies: Sequence[Reply], member: str) -> list[Json]:
    return [
        item for call, reply in zip(calls, replies, strict=True) for item in (ok(call, reply) or {}).get(member, [])
    ]


def described_or_none(call: Call, reply: Reply, *, listed: bool = True) -> Json | None:
    """The reply to a describe of one thing; None where there is no such thing.

    No text is documented for that, so of what the service did not list any refusal of its own means it.
    """
    if isinstance(reply, Refused) and (MISSING.matches(reply) or (not listed and reply.code == "ClientException")):
        return None
    return ok(call, reply)


def matches_query(query: Query, name: str, tags: Mapping[str, str]) -> bool:
    """Whether an object of this name with these tags is one that ``query`` asks for."""
    mine = query.owned and tags.get(OWNER_TAG) == query.scope.environment
    return mine or any(sought.name == name for sought in query.sought)


def live_object(item: Json, noun: str, *, read_only: frozenset[str]) -> Live:
    """One described compute environment, queue or the like; ``noun`` is its name's prefix (``jobQueue``)."""
    status = str(item.get("status", "VALID"))
    own = read_only | {f"{noun}Name", f"{noun}Arn", "status", "statusReason", "tags"}
    name = str(item[f"{noun}Name"])
    return Live(
        physical=name,
        attrs={"name": name, "arn": str(item[f"{noun}Arn"])},
        props={member: value for member, value in item.items() if member not in own},
        tags=dict(item.get("tags") or {}),
        status=status,
        reason=str(item.get("statusReason") or ""),
        settled=status in SETTLED,
        deleting=status == "DELETING",
        invalid=status == "INVALID",
        extra={member: item[member] for member in sorted(read_only) if member in item},
    )


def attrs(resource: str) -> Callable[[Scope, str, Json], dict[str, str]]:
    """The attributes of a kind whose ARN is ``batch:REGION:ACCOUNT:resource/NAME``."""
    return lambda scope, name, _props: {"name": name, "arn": scope.arn("batch", f"{resource}/{name}")}


def write(
    operation: str,
    params: Json,
    *,
    retry_on: Sequence[On] = (BUSY,),
    ok_if: Sequence[On] = (),
    proof: Proof = Proof.NONE,
) -> Call:
    """One changing call."""
    return Call("batch", operation, params, retry_on=tuple(retry_on), ok_if=tuple(ok_if), proof=proof)


def tag(target: Live, put: Mapping[str, str], remove: Sequence[str]) -> Sequence[Action]:
    """TagResource for what is new or differs, UntagResource for what goes: the update operations take no tags."""
    arn = target.attrs["arn"]
    tagged = [write("TagResource", {"resourceArn": arn, "tags": dict(sorted(put.items()))})] if put else []
    runs = chunks(sorted(remove), 50)
    return [*tagged, *(write("UntagResource", {"resourceArn": arn, "tagKeys": list(keys)}) for keys in runs)]


def check_name(name: str, noun: str) -> list[Finding]:
    """What is wrong with a resource's own name."""
    if NAME.fullmatch(name):
        return []
    odd = next((char for char in name if not re.fullmatch(r"[0-9A-Za-z_-]", char)), "")
    if odd:
        why = f'"{name}" cannot name a {noun}: "{odd}" is not allowed in it'
    elif len(name) > 128:
        why = f'"{name[:20]}..." cannot name a {noun}: it has {len(name)} characters, 128 are allowed'
    else:
        why = f'"{name}" cannot name a {noun}: it must begin with a letter or digit'
    hint = "use letters, digits, - and _, beginning with a letter or digit, at most 128 in all"
    return [Finding((), why, hint, code="invalid-name")]


def check_name_member(props: Json, member: str, name: str) -> list[Finding]:
    """The name given once more inside the resource, and differently."""
    given = props.get(member)
    if not isinstance(given, str) or given == name:
        return []
    return [Finding((member,), f'{member} is "{given}", but the resource is named "{name}"', f"leave {member} out")]
