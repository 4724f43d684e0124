"""CloudWatch log groups.

What is peculiar about them:

- ``retentionInDays`` left out means "never expire"; it has its own calls to set and delete it.
- A describe call returns two ARNs; only the one without ``:*`` can be tagged. The tagging index is on record with both.
- The list filters by prefix: the exact name has to be picked from it.
- A group with deletion protection is not deleted, unless the declaration has it switched off.

https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_CreateLogGroup.html
https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_TagResource.html
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from reconciler.kinds.common.listing import listing
from reconciler.model import (
    KEEP_TAG,
    OWNER_TAG,
    Access,
    Action,
    Call,
    Change,
    CompleteList,
    Diff,
    Effect,
    Field,
    Finding,
    Json,
    Kind,
    Live,
    On,
    OtherTools,
    Proof,
    Query,
    ReadLeaving,
    ReadMany,
    Reads,
    Replace,
    Reply,
    Scope,
    Sought,
    Want,
)
from reconciler.model.patterns import regex
from reconciler.model.recorded import Recorded
from reconciler.model.stand_ins import known
from reconciler.model.when_used import when_used

with when_used():
    from reconciler.kinds.common import kms_keys, recorded
    from reconciler.kinds.common.leaving import tags_again
    from reconciler.kinds.common.ownership_index import (
        Index,
        by_name,
        index,
        is_expected,
        matches_query,
        not_sought,
        owned_names,
        tags_from_index,
        tags_if_expected,
    )
    from reconciler.kinds.common.replies import chunks, ok

# as DescribeLogGroups has it in ``arn``, for all streams
ARN_OF_STREAMS = r"arn:[^:]+:logs:[^:]+:\d{12}:log-group:(?P<name>[^:]+):\*"

RETENTION = (
    *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096),
    *(1827, 2192, 2557, 2922, 3288, 3653),
)
# https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_TagResource.html
TAG_SYMBOLS = "_.:/=+-@"
NAME = regex(r"[A-Za-z0-9_./#-]{1,512}")
KEY_ARN = regex(r"arn:[^:]+:kms:[^:]+:\d{12}:(key|alias)/.+")

FIELDS = {
    "retentionInDays": Field(),
    "kmsKeyId": Field(),
    "logGroupClass": Field(effect=Effect.REPLACE, default="STANDARD"),
    "deletionProtectionEnabled": Field(default=False),
}

BUSY = (On("OperationAbortedException"),)
ABSENT = "ResourceNotFoundException"
PAGE = 1000
ALONE = 3  # groups whose tags are read in no more calls than those of many


def attrs(scope: Scope, name: str, _: Json) -> Mapping[str, str]:
    """Name and ARN, computed from account, Region and name."""
    return {"name": name, "arn": scope.arn("logs", f"log-group:{name}")}


def read(query: Query) -> Reads[Sequence[Live]]:
    """The groups that are sought or owned, with their tags."""
    sought = by_name(query)
    listing = (_list_by_tag(query.scope),) if query.owned and not query.indexed else ()
    ask, calls = listing or index(query), _describe_calls(list(sought))
    replies = (yield (*ask, *calls)) if ask or calls else ()
    tagged: Index = {}
    if listing:
        more = [item["logGroupName"] for item in (ok(listing[0], replies[0]) or {}).get("logGroups", ())]
    else:
        found = yield from tags_from_index(ask, replies[: len(ask)])
        tagged = _by_arn(found)
        more = owned_names(tagged, query.scope, "logs", "log-group:")
    groups = yield from _existing(calls, replies[len(ask) :])
    calls = _describe_calls(not_sought(query, more))
    groups |= (yield from _existing(calls, (yield calls))) if calls else {}
    tags = yield from _tags(query.scope, groups, tagged, sought)
    names = [name for name in groups if name in tags and matches_query(query, name, tags[name])]
    pairs = {name: (_declared_key(sought.get(name)), groups[name].get("kmsKeyId")) for name in names}
    keys = yield from kms_keys.resolved(pairs.values())
    return [
        _live(query.scope, name, groups[name], tags[name], kms_keys.known_keys(keys, *pairs[name])) for name in names
    ]


def _read_untagged(query: Query) -> Reads[Sequence[Live]]:
    """The sought groups without their tags."""
    sought = by_name(query)
    calls = _describe_calls(list(sought))
    groups = yield from _existing(calls, (yield calls))
    pairs = {name: (_declared_key(sought.get(name)), item.get("kmsKeyId")) for name, item in groups.items()}
    keys = yield from kms_keys.resolved(pairs.values())
    return [
        _live(query.scope, name, item, {}, kms_keys.known_keys(keys, *pairs[name])) for name, item in groups.items()
    ]


def _with_tags(live: Live) -> Reads[Live | None]:
    return next(iter((yield from _tags_again([live]))), None)


def _tags_again(lives: Sequence[Live]) -> Reads[list[Live]]:
    return (
        yield from tags_again(
            lives, lambda live: _list_tags(live.attrs["arn"]), lambda answer: dict(answer["tags"]), ABSENT
        )
    )


def read_leaving(scope: Scope, lives: Sequence[Live]) -> Reads[Sequence[Live]]:
    """The groups with their tags alone; of several those are left out whose tags may have changed.

    The list of CloudWatch Logs itself shows by tag whose a group is, and whether it is to be kept. It can show neither
    which other tags there are nor how old its knowledge is: the index of tags, which may be behind, has to agree. Where
    the filters mean nothing to CloudWatch Logs, every group seems to be one that is to be kept.
    """
    if len(lives) <= ALONE:
        return (yield from _tags_again(lives))
    asked = (_list_by_tag(scope), _list_by_tag(scope, KEEP_TAG), *index(Query(scope, owned=True), ("logs",)))
    replies = yield asked
    ours, kept = (
        {item["logGroupName"] for item in (ok(call, reply) or {}).get("logGroups", ())}
        for call, reply in zip(asked[:2], replies[:2], strict=True)
    )
    tagged = _by_arn((yield from tags_from_index(asked[2:], replies[2:])))
    return [
        live
        for live in lives
        if live.physical in ours - kept and is_expected(tagged.get(live.attrs["arn"], {}), live.tags)
    ]


def _declared_key(sought: Sought | None) -> Any:
    return sought.props.get("kmsKeyId") if sought else None


def _list_by_tag(scope: Scope, *also: str) -> Call:
    """The groups of the environment that have the tags ``also``, whatever their values."""
    wanted = [{"key": OWNER_TAG, "values": [scope.environment]}, *({"key": tag} for tag in also)]
    return Call("logs", "ListLogGroups", {"logGroupTags": wanted, "limit": PAGE}, all_pages=True)


def _list_tags(arn: str) -> Call:
    return Call("logs", "ListTagsForResource", {"resourceArn": arn})


def _by_arn(found: Index) -> Index:
    return {arn.removesuffix(":*"): tags for arn, tags in found.items()}


def _describe_calls(names: Sequence[str]) -> tuple[Call, ...]:
    """Fifty names a call; it filters the list of groups, so the reply lacks names that do not exist."""
    return tuple(Call("logs", "DescribeLogGroups", {"logGroupIdentifiers": list(some)}) for some in chunks(names, 50))


def _existing(calls: Sequence[Call], replies: Sequence[Reply]) -> Reads[dict[str, Json]]:
    """The groups that exist, by name; if a call is refused for one of its names, each name is read by its own call."""
    found: dict[str, Json] = {}
    again: list[Call] = []
    for call, reply in zip(calls, replies, strict=True):
        answer = ok(call, reply, ABSENT)
        names: Sequence[str] = call.params["logGroupIdentifiers"]
        found |= {item["logGroupName"]: item for item in (answer or {}).get("logGroups", ())}
        if answer is None:
            again += [Call("logs", "DescribeLogGroups", {"logGroupNamePrefix": n}, all_pages=True) for n in names]
    for call, reply in zip(again, (yield tuple(again)) if again else (), strict=True):
        items = (ok(call, reply, ABSENT) or {}).get("logGroups", ())
        wanted = call.params["logGroupNamePrefix"]
        found |= {item["logGroupName"]: item for item in items if item["logGroupName"] == wanted}
    return found


def _tags(
    scope: Scope, names: Iterable[str], tagged: Index, sought: Mapping[str, Sought]
) -> Reads[dict[str, Mapping[str, str]]]:
    """The tags by name, of groups that still exist."""
    arns = {name: str(attrs(scope, name, {})["arn"]) for name in names}
    known = {name: tags_if_expected(tagged, arn, sought.get(name)) for name, arn in arns.items()}
    found = {name: tags for name, tags in known.items() if tags is not None}
    rest = [name for name in arns if name not in found]
    calls = tuple(_list_tags(arns[name]) for name in rest)
    for name, call, reply in zip(rest, calls, (yield calls) if calls else (), strict=True):
        answer = ok(call, reply, ABSENT)
        if answer is not None:
            found[name] = answer["tags"]
    return found


def _live(scope: Scope, name: str, item: Json, tags: Mapping[str, str], extra: Json) -> Live:
    return Live(
        physical=name,
        attrs=attrs(scope, name, {}),
        props={member: item[member] for member in FIELDS if member in item},
        tags=dict(tags),
        extra=extra,
    )


def normalize(live: Live, want: Want) -> tuple[Json, Json]:
    """KMS keys by the key they name; the retention of a DELIVERY group is set by AWS."""
    left, right = dict(live.props), dict(want.props)
    if kms_keys.same_key(right.get("kmsKeyId"), left.get("kmsKeyId"), kms_keys.keys_of(live)):
        right["kmsKeyId"] = left.get("kmsKeyId")
    if left.get("logGroupClass") == "DELIVERY" and "retentionInDays" not in want.declared:
        left.pop("retentionInDays", None)
    return left, right


def notes(live: Live, _: Want) -> Iterable[str]:
    """A note if the key could not be compared."""
    return kms_keys.notes(live)


def create(want: Want) -> Sequence[Action]:
    """CreateLogGroup with tags, then the retention."""
    sent = {name: value for name, value in want.declared.items() if name in FIELDS and name != "retentionInDays"}
    params = {"logGroupName": want.physical, **sent, "tags": dict(want.tags)}
    created = replace(_call("CreateLogGroup", params), proof=Proof.EXISTS)
    days = want.declared.get("retentionInDays")
    return [created, *([] if days is None else [_retention(want.physical, days)])]


def update(live: Live, want: Want, diff: Diff) -> Sequence[Action]:
    """One call each for key, retention and deletion protection."""
    changed = diff.tops()
    name, props = live.physical, want.props
    calls: list[Action] = []
    if "kmsKeyId" in changed:
        key = props.get("kmsKeyId")
        calls.append(
            _call("AssociateKmsKey", {"logGroupName": name, "kmsKeyId": key})
            if key
            else _call("DisassociateKmsKey", {"logGroupName": name})
        )
    if "retentionInDays" in changed:
        calls.append(_retention(name, props.get("retentionInDays")))
    if "deletionProtectionEnabled" in changed:
        calls.append(_protection(name, bool(props.get("deletionProtectionEnabled", False))))
    return calls


def delete(live: Live, declared: Json) -> Sequence[Action]:
    """DeleteLogGroup; before it, protection is switched off if the declaration has it off."""
    unprotect = live.props.get("deletionProtectionEnabled") and declared
    first = unprotect and not declared.get("deletionProtectionEnabled")
    deleted = _call("DeleteLogGroup", {"logGroupName": live.physical}, ok_if=(On(ABSENT),))
    return [*([_protection(live.physical, on=False)] if first else []), deleted]


def tag(live: Live, set_: Mapping[str, str], remove: Sequence[str]) -> Sequence[Action]:
    """UntagResource and TagResource by the ARN without ``:*``."""
    arn = live.attrs["arn"]
    calls: list[Action] = []
    if remove:
        calls.append(_call("UntagResource", {"resourceArn": arn, "tagKeys": sorted(remove)}))
    if set_:
        calls.append(_call("TagResource", {"resourceArn": arn, "tags": dict(set_)}))
    return calls


def _retention(name: str, days: Any) -> Call:
    if days is None:
        return _call("DeleteRetentionPolicy", {"logGroupName": name})
    return _call("PutRetentionPolicy", {"logGroupName": name, "retentionInDays": days})


def _protection(name: str, on: bool) -> Call:  # noqa: FBT001 - the API's own boolean
    params = {"logGroupIdentifier": name, "deletionProtectionEnabled": on}
    return _call("PutLogGroupDeletionProtection", params)


def _call(operation: str, params: Json, ok_if: tuple[On, ...] = ()) -> Call:
    return Call("logs", operation, params, retry_on=BUSY, ok_if=ok_if)


def check(name: str, props: Json) -> Iterator[Finding]:
    """Findings about name, retention and key; an expression is accepted wherever its value is unknown."""
    if not NAME.fullmatch(name):
        yield Finding((), f'"{name}" is not a valid log group name', "1 to 512 of letters, digits and _ . / # -")
    elif name.startswith("aws/"):
        yield Finding((), 'a log group name must not start with "aws/"', f'did you mean "/{name}"?')
    days = props.get("retentionInDays")
    if isinstance(days, int) and days not in RETENTION:
        near = min(RETENTION, key=lambda allowed: abs(allowed - days))
        known_days = ", ".join(map(str, RETENTION))
        yield Finding(
            ("retentionInDays",),
            f"{days} days is not a retention period of CloudWatch Logs",
            f"the nearest is {near}; one of {known_days}, or remove it to never expire",
        )
    if props.get("logGroupClass") == "DELIVERY" and days is not None:
        yield Finding(("retentionInDays",), "a log group of class DELIVERY has a fixed retention", "remove it")
    key = props.get("kmsKeyId")
    if isinstance(key, str) and known(key) and not KEY_ARN.fullmatch(key):
        yield Finding(("kmsKeyId",), "CloudWatch Logs requires the full ARN of a key", "arn:aws:kms:...:key/...")


def _arns(scope: Scope, name: str, _: Json) -> Sequence[str]:
    """The group and, as most actions are checked, its streams."""
    arn = scope.arn("logs", f"log-group:{name}")
    return arn, f"{arn}:*"


ACCESS = Access(
    types=("logs:log-group",),
    reads=("logs:ListTagsForResource",),
    looks=("logs:DescribeLogGroups", "kms:DescribeKey"),
    leaving=("logs:ListLogGroups",),
    creates=("logs:CreateLogGroup",),
    changes=(
        *("logs:PutRetentionPolicy", "logs:DeleteRetentionPolicy", "logs:PutLogGroupDeletionProtection"),
        *("logs:AssociateKmsKey", "logs:DisassociateKmsKey"),
    ),
    deletes=("logs:DeleteLogGroup",),
    tags=("logs:TagResource", "logs:UntagResource"),
    arns=_arns,
    only_if={"kms:DescribeKey": "kmsKeyId", "logs:AssociateKmsKey": "kmsKeyId"},
    of_several=frozenset({"logs:ListLogGroups"}),
)


def recorded_update(change: Change) -> tuple[str, ...]:
    """The events that may have made a change."""
    return {
        "retentionInDays": recorded.events(change, "PutRetentionPolicy", "DeleteRetentionPolicy"),
        "kmsKeyId": recorded.events(change, "AssociateKmsKey", "DisassociateKmsKey"),
        "deletionProtectionEnabled": ("PutLogGroupDeletionProtection",),
    }.get(change.top, ("CreateLogGroup",))


RECORDED = Recorded(
    service="logs",
    named=("logGroupName", "logGroupIdentifier", "resourceArn"),
    create=("CreateLogGroup",),
    update=recorded_update,
    delete=("DeleteLogGroup",),
)

OTHER_TOOLS = OtherTools(
    terraform={"aws_cloudwatch_log_group": ("arn", "name")},
    cloudformation={"AWS::Logs::LogGroup": "LogGroupName"},
)

KIND = Kind(
    name="log group",
    section="logGroups",
    file="logging",
    other_tools=OTHER_TOOLS,
    access=ACCESS,
    complete_lists=(
        CompleteList(
            "DescribeLogGroups",
            frozenset({"logGroupIdentifiers"}),
            Call("logs", "DescribeLogGroups", {}, all_pages=True),
        ),
    ),
    recorded=RECORDED,
    name_member="logGroupName",
    lookups={"kmsKeyId": "kmsKey"},
    everything=listing(Call("logs", "DescribeLogGroups", {}, all_pages=True), "logGroups", "logGroupName"),
    read=read,
    read_many=ReadMany(_read_untagged, rest=_with_tags, most=50),
    read_leaving=ReadLeaving(read_leaving, most=100),
    attrs=attrs,
    create=create,
    update=update,
    delete=delete,
    tag=tag,
    fields=FIELDS,
    arn_forms=(ARN_OF_STREAMS,),
    replace=Replace.DELETE_FIRST,
    max_name=512,
    tag_symbols=TAG_SYMBOLS,
    normalize=normalize,
    check=check,
    notes=notes,
)
