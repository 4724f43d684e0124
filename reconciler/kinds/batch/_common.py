"""What the kinds of AWS Batch have in common: reading, states, tags, names, and refusals that pass.

What is peculiar about the service:

- It refuses everything with ``ClientException``, so refusals are distinguished by their text.
- A describe takes at most 100 names and no ``maxResults``; the reply leaves out unknown names.
- A resource changes asynchronously (CREATING, UPDATING, DELETING) and accepts one change at a time. It may be listed
  as DELETED for a while after its deletion.

https://docs.aws.amazon.com/batch/latest/APIReference/API_Operations.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from reconciler.model import (
    EMPTY,
    OWNER_TAG,
    Action,
    Call,
    Change,
    Existing,
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
    Sought,
)
from reconciler.model import problem_codes as codes
from reconciler.model.patterns import regex
from reconciler.model.recorded import Recorded
from reconciler.model.when_used import when_used

with when_used():
    from reconciler.kinds.common import ownership_index
    from reconciler.kinds.common.ownership_index import index, not_sought, owned_names, tags_from_index
    from reconciler.kinds.common.replies import chunks, ok

BUSY = On(message="is being modified", because="AWS has not finished an earlier change yet")
RELATED = On(
    message="found existing JobQueue relationship",
    because="AWS still sees the job queue that used this (normal after changing or deleting it)",
)
NOT_YET_VALID = On(
    message="valid before attaching", because="AWS does not see yet that the compute environment is valid"
)
MISSING = On(message="does not exist")

# the service, where it is a principal or owns a role; the actions of its tags
PRINCIPAL = "batch.amazonaws.com"
TAGS = ("batch:TagResource", "batch:UntagResource")

VALID = frozenset({"VALID"})
SETTLED = frozenset({"VALID", "INVALID"})
INVALID = frozenset({"INVALID"})
DELETED = frozenset({"DELETED"})

NAME = regex(r"[0-9A-Za-z][0-9A-Za-z_-]{0,127}")


def described(operation: str, member: str, name: str, prefix: str, query: Query) -> Reads[list[Json]]:
    """The descriptions of the objects that have a sought name, and of those that the environment may own.

    ``member`` is the operation's name for its list of names and for its list of objects, ``name`` the member with an
    object's name, ``prefix`` the text before that name in the ARN. The first page is enough for most accounts. If there
    are more pages, the missing objects are read by name, in calls made at once: as many calls as pages if the
    environment owns most of the objects, and far fewer if it does not.
    """
    wanted = sorted({sought.name for sought in query.sought})
    found: list[Json] = []
    if query.owned and (wanted or not query.indexed):
        found, more = yield from first_page(operation, member)
        if not more:
            return found
        if not query.indexed:
            return (yield from every(operation, member))
    ask = index(query, (f"batch:{prefix.rstrip('/')}",) if wanted else ownership_index.LARGE)
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
    """All items of a paginated operation; one call a page, so that reads of the same pages share them."""
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


def everything(
    operation: str, member: str, name: str, params: Json = EMPTY
) -> Callable[[Scope], Reads[Sequence[Existing]]]:
    """``Kind.everything`` of a kind that a paginated describe shows; without what is DELETED."""

    def found(_: Scope) -> Reads[Sequence[Existing]]:
        items = yield from every(operation, member, params)
        names = [str(item[name]) for item in items if item.get("status") != "DELETED"]
        return [Existing(Sought(one)) for one in dict.fromkeys(names)]

    return found


def page(operation: str, params: Json = EMPTY, token: str = "") -> Call:
    """The call for one page of a describe without names; no ``token`` for the first page."""
    return Call("batch", operation, {**params, **({"nextToken": token} if token else {})})


def first_page(operation: str, member: str) -> Reads[tuple[list[Json], bool]]:
    """The items of the first page (at most 100), and whether there are more."""
    call = page(operation)
    (reply,) = yield (call,)
    answer = ok(call, reply) or {}
    return list(answer.get(member, [])), bool(answer.get("nextToken"))


def listed(calls: tuple[Call, ...], member: str) -> Reads[list[Json]]:
    """Makes the calls; the items under ``member`` of all replies. Raises Unreadable for a refusal."""
    return items_in(calls, (yield calls), member)


def items_in(calls: Sequence[Call], replies: Sequence[Reply], member: str) -> list[Json]:
    """The items under ``member`` of all replies, in order. Raises Unreadable for a refusal."""
    return [
        item for call, reply in zip(calls, replies, strict=True) for item in (ok(call, reply) or {}).get(member, [])
    ]


def described_or_none(call: Call, reply: Reply, *, listed: bool = True) -> Json | None:
    """The reply to a describe of one object; None if the object does not exist. Raises Unreadable for other refusals.

    AWS documents no text for an unknown object. So a ClientException with any text means that, unless the service has
    ``listed`` the object.
    """
    if isinstance(reply, Refused) and (MISSING.matches(reply) or (not listed and reply.code == "ClientException")):
        return None
    return ok(call, reply)


def matches_query(query: Query, name: str, tags: Mapping[str, str]) -> bool:
    """Whether ``query`` is for an object with this name and these tags: a sought name, or an owned object."""
    mine = query.owned and tags.get(OWNER_TAG) == query.scope.environment
    return mine or any(sought.name == name for sought in query.sought)


def live_object(item: Json, noun: str, *, read_only: frozenset[str]) -> Live:
    """The live object of a described item. ``noun`` is the prefix of its name and ARN members (``jobQueue``);
    ``read_only`` names the members that are no properties.
    """
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
    """``Kind.attrs`` (name and ARN) of a kind whose ARN is ``arn:PARTITION:batch:REGION:ACCOUNT:resource/NAME``."""
    return lambda scope, name, _props: {"name": name, "arn": scope.arn("batch", f"{resource}/{name}")}


def write(
    operation: str,
    params: Json,
    *,
    retry_on: Sequence[On] = (BUSY,),
    ok_if: Sequence[On] = (),
    proof: Proof = Proof.NONE,
) -> Call:
    """A call of Batch that changes something; retried while the resource is being modified."""
    return Call("batch", operation, params, retry_on=tuple(retry_on), ok_if=tuple(ok_if), proof=proof)


def tag(target: Live, put: Mapping[str, str], remove: Sequence[str]) -> Sequence[Action]:
    """TagResource for new and changed tags, UntagResource for removed ones (50 keys a call).

    The update operations take no tags. https://docs.aws.amazon.com/batch/latest/APIReference/API_UntagResource.html
    """
    arn = target.attrs["arn"]
    tagged = [write("TagResource", {"resourceArn": arn, "tags": dict(sorted(put.items()))})] if put else []
    runs = chunks(sorted(remove), 50)
    return [*tagged, *(write("UntagResource", {"resourceArn": arn, "tagKeys": list(keys)}) for keys in runs)]


def check_name(name: str, noun: str) -> list[Finding]:
    """Findings about the name of a resource; ``noun`` is the kind's name, for the message."""
    if NAME.fullmatch(name):
        return []
    invalid = next((char for char in name if not re.fullmatch(r"[0-9A-Za-z_-]", char)), "")
    if invalid:
        why = f'"{name}" cannot name a {noun}: "{invalid}" is not allowed in it'
    elif len(name) > 128:
        why = f'"{name[:20]}..." cannot name a {noun}: it has {len(name)} characters, 128 are allowed'
    else:
        why = f'"{name}" cannot name a {noun}: it must begin with a letter or digit'
    hint = "use letters, digits, - and _, beginning with a letter or digit, at most 128 in all"
    return [Finding((), why, hint, code=codes.INVALID_NAME)]


_BURSTABLE = regex(r"t\d+[a-z]*(\..*)?")


def is_burstable(value: str) -> bool:
    """Whether this is a type or family of burstable instances (t2, t3, t3a, t4g), which AWS Batch refuses.

    Observed for t3 and t3a: "Instance type can only be one of [...]", a list without them
    (https://github.com/opensupplyhub/open-supply-hub/pull/1058).
    """
    return _BURSTABLE.fullmatch(value) is not None


def recorded(noun: str, *named: str, deep: str = "", sent_as: Mapping[str, str] = EMPTY) -> Recorded:
    """What CloudTrail records of a ``noun`` (``JobQueue``) that is named at ``named``. An update changes what it names,
    and of the member ``deep`` what that names; it sends members as ``sent_as`` says. It names no resources.

    https://docs.aws.amazon.com/batch/latest/userguide/logging-using-cloudtrail.html
    """

    def update(_: Change) -> tuple[str, ...]:
        return (f"Update{noun}",)

    def touches(_: str, parameters: Json, change: Change) -> bool:
        top = sent_as.get(change.top, change.top)
        if top not in parameters:
            return False
        below = parameters[top]
        member = change.path[1] if change.top == deep and len(change.path) > 1 else None
        return member is None or not isinstance(below, Mapping) or member in below

    return Recorded(
        service="batch",
        named=(*named, "resourceArn"),
        create=(f"Create{noun}",),
        update=update,
        delete=(f"Delete{noun}",),
        touches=touches,
    )
