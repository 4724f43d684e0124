"""SNS topics with their subscriptions.

What is peculiar about them:

- Attributes are one text each, written one at a time; the API's spelling of their names stays (``DisplayName``).
- SNS gives every topic a policy of its own, which is what ``policy`` left out means; ``dataProtectionPolicy`` left out
  is not ours.
- A subscription is known by protocol and endpoint, and the declared ones are all there may be.
- A subscription by mail waits for its recipient. Until then it can be neither changed nor removed, and asking again
  sends another mail: it counts as done, with a note. After two days without an answer it is gone, and planned anew.
- CreateTopic answers a known name with the existing topic, but refuses it when anything differs: never an update.

https://docs.aws.amazon.com/sns/latest/api/API_CreateTopic.html
https://docs.aws.amazon.com/sns/latest/api/API_Subscribe.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from reconciler.kinds.common.declared import mapping
from reconciler.kinds.common.ownership_index import (
    Index,
    asked_for,
    by_name,
    index,
    not_sought,
    owned_names,
    tags_from_index,
    tags_if_expected,
)
from reconciler.kinds.common.policy_document.compare import compared
from reconciler.kinds.common.policy_document.document import (
    OLD_VERSION,
    Place,
    atoms,
    names_principal_of,
    parse,
    statements,
    written,
)
from reconciler.kinds.common.replies import ok, tag_list, tag_map
from reconciler.kinds.common.values import align, same_key
from reconciler.kinds.sns import _subscriptions as subs
from reconciler.kinds.sns._subscriptions import Subscription, as_text, meaning
from reconciler.kinds.sns._topic_checks import check
from reconciler.model import (
    Action,
    Call,
    Diff,
    Effect,
    Field,
    Json,
    JsonText,
    Kind,
    Live,
    On,
    Proof,
    Query,
    Reads,
    Replace,
    Reply,
    Scope,
    Sought,
    Want,
)

# what an attribute means when it is left out; others than these are compared only where they are declared
DEFAULTS: Mapping[str, str] = {
    "DisplayName": "",
    "KmsMasterKeyId": "",
    "TracingConfig": "PassThrough",
    "SignatureVersion": "1",
    "FifoTopic": "false",
    "ContentBasedDeduplication": "false",
    "DeliveryPolicy": "",
    "ArchivePolicy": "",
    **{f"{kind}{end}": "" for kind in ("Application", "HTTP", "Lambda", "SQS", "Firehose") for end in (
        "SuccessFeedbackRoleArn", "FailureFeedbackRoleArn")},
}  # fmt: skip
CLEARED = {"ArchivePolicy": "{}"}
# the rest is set by calls of its own
AT_CREATION = (
    *("DisplayName", "KmsMasterKeyId", "TracingConfig", "SignatureVersion", "FifoTopic"),
    *("ContentBasedDeduplication", "FifoThroughputScope", "DeliveryPolicy", "ArchivePolicy"),
)

FIFO_ONLY = ("FifoTopic", "ContentBasedDeduplication")

FIELDS = {
    "attributes": Field(),
    "attributes.FifoTopic": Field(effect=Effect.REPLACE),
    "policy": Field(computed=True),
    "dataProtectionPolicy": Field(computed=True),
    "subscriptions": Field(),
}

# what the account may do by the policy SNS gives a topic; older topics have one action more
# https://docs.aws.amazon.com/sns/latest/dg/sns-access-policy-language-api-permissions-reference.html
OWNER_ACTIONS = (
    *("SNS:GetTopicAttributes", "SNS:SetTopicAttributes", "SNS:AddPermission", "SNS:RemovePermission"),
    *("SNS:DeleteTopic", "SNS:Subscribe", "SNS:ListSubscriptionsByTopic", "SNS:Publish"),
)
FORMER_ACTION = "SNS:Receive"

BUSY = (On("ConcurrentAccess"), On("StaleTag"))
NEW_PRINCIPAL = On("InvalidParameter", "PrincipalNotFound")


# --- reading ---------------------------------------------------------------------------------------------------------


def attrs(scope: Scope, name: str, _: Json) -> Mapping[str, str]:
    return {"name": name, "arn": scope.arn("sns", name)}


def read(query: Query) -> Reads[Sequence[Live]]:
    sought, ask = by_name(query), index(query)
    calls = _read_calls(query, list(sought))
    replies = (yield (*ask, *calls)) if ask or calls else ()
    tagged = yield from tags_from_index(ask, replies[: len(ask)])
    topics = _existing(calls, replies[len(ask) :])
    more = [name for name in owned_names(tagged, query.scope, "sns", "") if ":" not in name]
    calls = _read_calls(query, not_sought(query, more))
    topics |= _existing(calls, (yield calls) if calls else ())
    tags = yield from _tags(query.scope, topics, tagged, sought)
    topics = {name: parts for name, parts in topics.items() if asked_for(query, name, tags[name])}
    found = (yield from subs.subscriptions_of(topics)) if topics else {}
    return [_live(query.scope, name, parts, tags[name], found[name]) for name, parts in topics.items()]


def _read_calls(query: Query, names: Iterable[str]) -> tuple[Call, ...]:
    guarded = {sought.name for sought in query.sought if sought.props.get("dataProtectionPolicy")}
    subscribed = {sought.name for sought in query.sought if sought.props.get("subscriptions")}
    found: list[Call] = []
    for name in names:
        arn = attrs(query.scope, name, {})["arn"]
        found += [
            Call("sns", "GetTopicAttributes", {"TopicArn": arn}),
            *([subs.list_call(arn)] if name in subscribed else []),
            *([Call("sns", "GetDataProtectionPolicy", {"ResourceArn": arn})] if name in guarded else []),
        ]
    return tuple(found)


def _existing(calls: Sequence[Call], replies: Sequence[Reply]) -> dict[str, dict[str, Json]]:
    """What was answered about each topic that is there, by operation."""
    found: dict[str, dict[str, Json]] = {}
    for call, reply in zip(calls, replies, strict=True):
        arn = str(call.params.get("TopicArn") or call.params.get("ResourceArn"))
        found.setdefault(arn.rpartition(":")[2], {})[call.operation] = ok(call, reply, *subs.ABSENT) or {}
    return {name: parts for name, parts in found.items() if parts["GetTopicAttributes"]}


def _tags(
    scope: Scope, names: Iterable[str], tagged: Index, sought: Mapping[str, Sought]
) -> Reads[dict[str, Mapping[str, str]]]:
    arns = {name: str(attrs(scope, name, {})["arn"]) for name in names}
    found = {name: tags_if_expected(tagged, arn, sought.get(name)) for name, arn in arns.items()}
    rest = [name for name, tags in found.items() if tags is None]
    calls = tuple(Call("sns", "ListTagsForResource", {"ResourceArn": arns[name]}) for name in rest)
    for name, call, reply in zip(rest, calls, (yield calls) if calls else (), strict=True):
        found[name] = tag_map((ok(call, reply, *subs.ABSENT) or {}).get("Tags"))
    return {name: tags or {} for name, tags in found.items()}


def _live(
    scope: Scope,
    name: str,
    parts: Mapping[str, Json],
    tags: Mapping[str, str],
    found: Mapping[str, Subscription],
) -> Live:
    attributes: Mapping[str, str] = parts["GetTopicAttributes"]["Attributes"]
    guard = parts.get("GetDataProtectionPolicy", {}).get("DataProtectionPolicy")
    props = {
        "attributes": {key: value for key, value in sorted(attributes.items()) if key not in SERVICE_OWNED},
        "policy": parse(attributes.get("Policy")),
        "dataProtectionPolicy": parse(guard) or None,
        "subscriptions": [one.props() for _, one in sorted(found.items())],
    }
    return Live(
        physical=name,
        attrs=attrs(scope, name, {}),
        props={member: value for member, value in props.items() if value},
        tags=tags,
        extra={"subscriptions": {key: one.arn for key, one in found.items()}},
    )


SERVICE_OWNED = frozenset(
    (
        *("TopicArn", "Owner", "Policy", "EffectiveDeliveryPolicy", "BeginningArchiveTime"),
        *("SubscriptionsConfirmed", "SubscriptionsPending", "SubscriptionsDeleted"),
    )
)


# --- comparing -------------------------------------------------------------------------------------------------------


def expand(props: Json) -> Json:
    """Documents given as text become mappings; a policy among the attributes stands beside them."""
    done = dict(props)
    attributes = props.get("attributes")
    if isinstance(attributes, Mapping) and "Policy" in attributes and "policy" not in props:
        done["policy"] = attributes["Policy"]
        done["attributes"] = {name: value for name, value in attributes.items() if name != "Policy"}
    for name in ("policy", "dataProtectionPolicy"):
        if name in done:
            done[name] = parse(done[name])
    return done


def normalize(live: Live, want: Want) -> tuple[Json, Json]:
    left, right = dict(live.props), dict(want.props)
    left["attributes"], right["attributes"] = _attributes(left.get("attributes"), right.get("attributes"))
    place = Place("resource", want.scope.account, want.scope.partition)
    if not right.get("policy") and left.get("policy") and not _is_default_policy(left["policy"], live, place):
        right["policy"] = _default_policy(live.attrs["arn"], want.scope.account)
    if right.get("policy"):
        left["policy"], right["policy"] = compared(left.get("policy"), right["policy"], place)
    have, wish = _subscriptions(live, want)
    one, other = align(have, wish, Subscription.is_change_of)
    left["subscriptions"] = [item.props() for item in one]
    right["subscriptions"] = [item.props() for item in other]
    return left, right


def _default_policy(arn: str, account: str, actions: Sequence[str] = OWNER_ACTIONS) -> Json:
    """The policy that SNS gives a new topic: all that the account itself may do."""
    statement = {
        "Sid": "__default_statement_ID",
        "Effect": "Allow",
        "Principal": {"AWS": "*"},
        "Action": list(actions),
        "Resource": arn,
        "Condition": {"StringEquals": {"AWS:SourceOwner": account}},
    }
    return {"Version": OLD_VERSION, "Id": "__default_policy_ID", "Statement": [statement]}


def _is_default_policy(policy: Any, live: Live, place: Place) -> bool:
    """Whether it is the policy SNS gives: as many of those actions as there were in its time, and nothing else."""
    given = statements(_default_policy(live.attrs["arn"], place.account, (*OWNER_ACTIONS, FORMER_ACTION)))[0]
    declared = frozenset(atom for found in statements(policy) for atom in atoms(_trimmed(found), place))
    return bool(declared) and declared <= atoms(given, place)


def _trimmed(statement: Any) -> Any:
    """The statement with its account as twelve digits: SNS is on record with a zero more in front."""
    tests = mapping(mapping(statement).get("Condition"))
    equal = mapping(tests.get("StringEquals"))
    owner = equal.get("AWS:SourceOwner")
    if not isinstance(owner, str) or len(tests) + len(equal) > 2:
        return statement
    return {**statement, "Condition": {"StringEquals": {"AWS:SourceOwner": owner.strip()[-12:]}}}


def _attributes(live: Any, want: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Both with their defaults; what has none is compared only where it is declared."""
    have, wish = dict(live or {}), dict(want or {})
    names = [*DEFAULTS, *(name for name in wish if name not in DEFAULTS and name not in SERVICE_OWNED)]
    left = {name: meaning(name, have.get(name, DEFAULTS.get(name))) for name in names}
    right = {name: meaning(name, wish.get(name, DEFAULTS.get(name))) for name in names}
    if same_key(right["KmsMasterKeyId"], left["KmsMasterKeyId"]):
        right["KmsMasterKeyId"] = left["KmsMasterKeyId"]
    return left, right


def _subscriptions(live: Live, want: Want) -> tuple[dict[str, Subscription], dict[str, Subscription]]:
    """What is there and what is declared. What waits for its recipient is as declared, or none of our business."""
    wish = subs.declared(want.props.get("subscriptions"))
    arns: Mapping[str, str] = live.extra.get("subscriptions", {})
    have = subs.declared(live.props.get("subscriptions"), arns)
    have = {key: wish.get(key, one) if one.pending else one for key, one in have.items()}
    return {key: one for key, one in have.items() if key in wish or not one.pending}, wish


def notes(live: Live, want: Want) -> Iterable[str]:
    wish = subs.declared(want.props.get("subscriptions"))
    for key, arn in sorted(live.extra.get("subscriptions", {}).items()):
        if arn.startswith("arn:"):
            continue
        if key in wish:
            yield f"the subscription {key} waits for its recipient to confirm it"
        else:
            yield f"the undeclared subscription {key} cannot be removed until it is confirmed or expires"


# --- writing ---------------------------------------------------------------------------------------------------------


def create(want: Want) -> Sequence[Action]:
    arn = want.attrs["arn"]
    attributes = {name: as_text(value) for name, value in (want.declared.get("attributes") or {}).items()}
    # a standard topic is one that does not say FifoTopic at all
    given = {name: attributes[name] for name in AT_CREATION if attributes.get(name) not in (None, "")}
    given = {name: value for name, value in given.items() if name not in FIFO_ONLY or value != "false"}
    document = want.declared.get("policy")
    if document:
        given["Policy"] = JsonText(written(document))
    params: dict[str, Any] = {"Name": want.physical, "Attributes": given, "Tags": tag_list(want.tags)}
    guard = want.declared.get("dataProtectionPolicy")
    if guard:
        params["DataProtectionPolicy"] = JsonText(guard)
    later = [_set(arn, name, value) for name, value in sorted(attributes.items()) if value and name not in AT_CREATION]
    wish = subs.declared(want.declared.get("subscriptions"))
    subscribed = [subs.subscribe(arn, one) for _, one in sorted(wish.items())]
    sent = {name: value for name, value in params.items() if value}
    # sent again it is refused where SNS keeps an attribute in other words
    created = Call(
        "sns",
        "CreateTopic",
        sent,
        retry_on=(*BUSY, *_new_principal(document, want)),
        patience=120.0,
        proof=Proof.EXISTS,
    )
    return [created, *later, *subscribed]


def update(live: Live, want: Want, diff: Diff) -> Sequence[Action]:
    arn, changed = live.attrs["arn"], diff.tops()
    calls: list[Action] = []
    if "attributes" in changed:
        left, right = _attributes(live.props.get("attributes"), want.props.get("attributes"))
        wish = want.props.get("attributes") or {}
        for name in sorted(name for name in right if left[name] != right[name]):
            value = as_text(wish.get(name, DEFAULTS.get(name, "")))
            calls.append(_set(arn, name, value or CLEARED.get(name, "")))
    if "policy" in changed:
        calls.append(_set_policy(want, arn))
    if "dataProtectionPolicy" in changed:
        guard = {"ResourceArn": arn, "DataProtectionPolicy": JsonText(want.props["dataProtectionPolicy"])}
        calls.append(Call("sns", "PutDataProtectionPolicy", guard, retry_on=BUSY))
    if "subscriptions" in changed:
        calls += _update_subscriptions(live, want)
    return calls


def _update_subscriptions(live: Live, want: Want) -> list[Action]:
    """New ones first, then what changes, then what goes."""
    arn = live.attrs["arn"]
    have, wish = _subscriptions(live, want)
    calls: list[Action] = [subs.subscribe(arn, wish[key]) for key in sorted(wish.keys() - have.keys())]
    for key in sorted(wish.keys() & have.keys()):
        calls += subs.update_calls(have[key], wish[key])
    return [*calls, *(subs.unsubscribe(have[key]) for key in sorted(have.keys() - wish.keys()))]


def _set(arn: str, name: str, value: Any) -> Call:
    params = {"TopicArn": arn, "AttributeName": name, "AttributeValue": value}
    return Call("sns", "SetTopicAttributes", params, retry_on=BUSY)


def _set_policy(want: Want, arn: str) -> Call:
    document = want.props.get("policy") or _default_policy(arn, want.scope.account)
    params = {"TopicArn": arn, "AttributeName": "Policy", "AttributeValue": JsonText(written(document))}
    return Call("sns", "SetTopicAttributes", params, retry_on=(*BUSY, *_new_principal(document, want)), patience=120.0)


def _new_principal(document: Any, want: Want) -> tuple[On, ...]:
    """What a policy may be told whose principal this run created a moment ago."""
    return (NEW_PRINCIPAL,) if document and names_principal_of(document, want.scope.account) else ()


def delete(live: Live, _: Json) -> Sequence[Action]:
    """Its subscriptions go with it."""
    params = {"TopicArn": live.attrs["arn"]}
    return [Call("sns", "DeleteTopic", params, retry_on=BUSY, ok_if=(On("NotFound"),))]


def tag(live: Live, add: Mapping[str, str], remove: Sequence[str]) -> Sequence[Action]:
    resource = {"ResourceArn": live.attrs["arn"]}
    calls: list[Action] = []
    if remove:
        calls.append(Call("sns", "UntagResource", {**resource, "TagKeys": sorted(remove)}, retry_on=BUSY))
    if add:
        calls.append(Call("sns", "TagResource", {**resource, "Tags": tag_list(add)}, retry_on=BUSY))
    return calls


KIND = Kind(
    name="topic",
    section="topics",
    read=read,
    attrs=attrs,
    create=create,
    update=update,
    delete=delete,
    tag=tag,
    fields=FIELDS,
    replace=Replace.DELETE_FIRST,
    max_name=256,
    expand=expand,
    normalize=normalize,
    check=check,
    notes=notes,
)
