"""SNS topics with their subscriptions.

What is peculiar about them:

- Each attribute is a text, and is set by a call of its own; names are spelled as in the API (``DisplayName``).
- SNS keeps the name of a KMS key as it was given: an alias and the key it names are different values.
- SNS creates every topic with a default policy, which is what ``policy`` left out means.
- A subscription is identified by protocol and endpoint, and undeclared ones are removed.
- A subscription by email waits for its recipient. Until it is confirmed it can be neither changed nor removed, and
  subscribing again sends another email: so it counts as created, with a note. Without confirmation it expires after two
  days, and is planned again.
- CreateTopic returns an existing topic of the same name, but refuses the call if anything differs: it never updates.

https://docs.aws.amazon.com/sns/latest/api/API_CreateTopic.html
https://docs.aws.amazon.com/sns/latest/api/API_Subscribe.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from reconciler.kinds.common.declared import mapping
from reconciler.kinds.common.policy_document.document import (
    Place,
    atoms,
    names_principal_of,
    parse,
    statements,
    written,
)
from reconciler.kinds.common.policy_document.trusted import principal_refs
from reconciler.kinds.common.topic_policy import OWNER_ACTIONS, default_policy
from reconciler.kinds.common.visibility import not_visible
from reconciler.kinds.sns._topic_checks import check
from reconciler.model import (
    EMPTY,
    Access,
    Action,
    Call,
    Change,
    CompleteList,
    Diff,
    Effect,
    Existing,
    Field,
    Json,
    JsonText,
    Kind,
    Live,
    On,
    OtherTools,
    Proof,
    Query,
    ReadLeaving,
    Reads,
    Replace,
    Reply,
    Scope,
    Sought,
    Want,
)
from reconciler.model.recorded import Recorded
from reconciler.model.when_used import when_used

with when_used():
    from reconciler.kinds.common import kms_keys, recorded
    from reconciler.kinds.common.leaving import tags_again
    from reconciler.kinds.common.ownership_index import (
        Index,
        by_name,
        index,
        matches_query,
        not_sought,
        owned_names,
        tags_from_index,
        tags_if_expected,
    )
    from reconciler.kinds.common.policy_document.compare import compared
    from reconciler.kinds.common.replies import ok, tag_list, tag_map, together
    from reconciler.kinds.common.values import align
    from reconciler.kinds.sns import _data_protection as protection
    from reconciler.kinds.sns import _subscriptions as subs
    from reconciler.kinds.sns._subscriptions import Subscription, as_text, meaning

# the defaults of attributes; one that is not known here is compared only if it is declared
DEFAULTS: Mapping[str, str] = {
    "DisplayName": "",
    "KmsMasterKeyId": "",
    "TracingConfig": "PassThrough",
    "SignatureVersion": "1",
    "FifoTopic": "false",
    "FifoThroughputScope": "Topic",
    "ContentBasedDeduplication": "false",
    "MaximumMessageSize": "262144",
    "DeliveryPolicy": "",
    "ArchivePolicy": "",
    **{f"{kind}{end}": "" for kind in ("Application", "HTTP", "Lambda", "SQS", "Firehose") for end in (
        "SuccessFeedbackRoleArn", "FailureFeedbackRoleArn")},
    **{f"{kind}SuccessFeedbackSampleRate": "0" for kind in ("Application", "HTTP", "Lambda", "SQS", "Firehose")},
}  # fmt: skip
CLEARED = {"ArchivePolicy": "{}"}
# the others are set one by one
AT_CREATION = (
    *("DisplayName", "KmsMasterKeyId", "TracingConfig", "SignatureVersion", "FifoTopic"),
    *("ContentBasedDeduplication", "FifoThroughputScope", "DeliveryPolicy", "ArchivePolicy", "MaximumMessageSize"),
)

FIFO_ONLY = ("FifoTopic", "ContentBasedDeduplication")

LIST = Call("sns", "ListTopics", {}, all_pages=True)
FIELDS = {
    "attributes": Field(),
    "attributes.FifoTopic": Field(effect=Effect.REPLACE),
    "policy": Field(computed=True),
    "dataProtectionPolicy": Field(),
    "subscriptions": Field(),
}

FORMER_ACTION = "SNS:Receive"  # older topics have it in their default policy, too

BUSY = (On("ConcurrentAccess"), On("StaleTag"))
NEW_PRINCIPAL = On("InvalidParameter", "PrincipalNotFound", not_visible("role in the policy"))


# --- reading ---------------------------------------------------------------------------------------------------------


def attrs(scope: Scope, name: str, _: Json) -> Mapping[str, str]:
    """Name and ARN; the ARN is computed from account, Region and name."""
    return {"name": name, "arn": scope.arn("sns", name)}


def read(query: Query) -> Reads[Sequence[Live]]:
    """The topics that are sought or owned, with attributes, policies, subscriptions and tags."""
    sought, ask = by_name(query), index(query)
    calls = _read_calls(query, list(sought))
    replies = (yield (*ask, *calls)) if ask or calls else ()
    tagged = yield from tags_from_index(ask, replies[: len(ask)])
    topics = _existing(calls, replies[len(ask) :])
    more = [name for name in owned_names(tagged, query.scope, "sns", "") if ":" not in name]
    calls = _read_calls(query, not_sought(query, more))
    topics |= _existing(calls, (yield calls) if calls else ())
    tags = yield from _tags(query.scope, topics, tagged, sought)
    topics = {name: parts for name, parts in topics.items() if matches_query(query, name, tags[name])}
    guards = protection.calls_if_not_declared(topics)
    found, replies = yield from together(subs.subscriptions_of(topics), tuple(guards.values()))
    for (name, call), reply in zip(guards.items(), replies, strict=True):
        topics[name][protection.READ] = protection.if_not_declared(call, reply)
    return [_live(query.scope, name, parts, tags[name], found[name]) for name, parts in topics.items()]


def everything(_: Scope) -> Reads[Sequence[Existing]]:
    """Every topic; the list has their ARNs only."""
    (reply,) = yield (LIST,)
    found = (ok(LIST, reply) or {}).get("Topics", ())
    return [Existing(Sought(str(item["TopicArn"]).rpartition(":")[2])) for item in found]


def _read_calls(query: Query, names: Iterable[str]) -> tuple[Call, ...]:
    guarded = {sought.name for sought in query.sought if sought.props.get("dataProtectionPolicy")}
    subscribed = {sought.name for sought in query.sought if sought.props.get("subscriptions")}
    found: list[Call] = []
    for name in names:
        arn = attrs(query.scope, name, {})["arn"]
        found += [
            Call("sns", "GetTopicAttributes", {"TopicArn": arn}),
            *([subs.list_call(arn)] if name in subscribed else []),
            *([protection.read_call(arn)] if name in guarded else []),
        ]
    return tuple(found)


def _existing(calls: Sequence[Call], replies: Sequence[Reply]) -> dict[str, dict[str, Json]]:
    """The replies about each topic that exists, by operation."""
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
    calls = tuple(_list_tags(arns[name]) for name in rest)
    for name, call, reply in zip(rest, calls, (yield calls) if calls else (), strict=True):
        found[name] = tag_map((ok(call, reply, *subs.ABSENT) or {}).get("Tags"))
    return {name: tags or {} for name, tags in found.items()}


def _list_tags(arn: str) -> Call:
    return Call("sns", "ListTagsForResource", {"ResourceArn": arn})


def read_leaving(_: Scope, lives: Sequence[Live]) -> Reads[Sequence[Live]]:
    """The topics with their tags alone."""
    return (
        yield from tags_again(
            lives, lambda live: _list_tags(live.attrs["arn"]), lambda answer: tag_map(answer.get("Tags")), *subs.ABSENT
        )
    )


def _live(
    scope: Scope,
    name: str,
    parts: Mapping[str, Json],
    tags: Mapping[str, str],
    found: Mapping[str, Subscription],
) -> Live:
    attributes: Mapping[str, str] = parts["GetTopicAttributes"]["Attributes"]
    guard = parts.get(protection.READ, EMPTY)
    props = {
        "attributes": {key: value for key, value in sorted(attributes.items()) if key not in SERVICE_OWNED},
        "policy": parse(attributes.get("Policy")),
        "dataProtectionPolicy": parse(guard.get("DataProtectionPolicy")) or None,
        "subscriptions": [one.props() for _, one in sorted(found.items())],
    }
    return Live(
        physical=name,
        attrs=attrs(scope, name, {}),
        props={member: value for member, value in props.items() if value},
        tags=tags,
        extra={
            "subscriptions": {key: one.arn for key, one in found.items()},
            **protection.not_read(guard),
        },
    )


SERVICE_OWNED = frozenset(
    (
        *("TopicArn", "Owner", "Policy", "EffectiveDeliveryPolicy", "BeginningArchiveTime"),
        *("SubscriptionsConfirmed", "SubscriptionsPending", "SubscriptionsDeleted"),
    )
)


# --- comparing -------------------------------------------------------------------------------------------------------


def expand(props: Json) -> Json:
    """Documents given as text, as mappings; a policy among the attributes becomes ``policy``."""
    done = dict(props)
    attributes = props.get("attributes")
    if isinstance(attributes, Mapping) and "Policy" in attributes and "policy" not in props:
        done["policy"] = attributes["Policy"]
        done["attributes"] = {name: value for name, value in attributes.items() if name != "Policy"}
    for name in ("policy", "dataProtectionPolicy"):
        if name in done:
            done[name] = parse(done[name])
    return done


def declare(live: Live, scope: Scope) -> Json:
    """The properties; without the policy that AWS gives a topic."""
    place = Place("resource", scope.account, scope.partition)
    usual = live.props.get("policy") and _is_default_policy(live.props["policy"], live, place)
    return {name: item for name, item in live.props.items() if not (usual and name == "policy")}


def normalize(live: Live, want: Want) -> tuple[Json, Json]:
    """Attributes with their defaults, policies by meaning, subscriptions side by side."""
    left, right = dict(live.props), dict(want.props)
    left["attributes"], right["attributes"] = _attributes(left.get("attributes"), right.get("attributes"))
    place = Place("resource", want.scope.account, want.scope.partition)
    if not right.get("policy") and left.get("policy"):
        if _is_default_policy(left["policy"], live, place):
            left.pop("policy")
        else:
            right["policy"] = default_policy(live.attrs["arn"], want.scope.account)
    if right.get("policy"):
        left["policy"], right["policy"] = compared(left.get("policy"), right["policy"], place)
    have, wish = _subscriptions(live, want)
    one, other = align(have, wish, Subscription.is_change_of)
    left["subscriptions"] = [item.props() for item in one]
    right["subscriptions"] = [item.props() for item in other]
    return left, right


def _is_default_policy(policy: Any, live: Live, place: Place) -> bool:
    """Whether the policy is one of SNS's default policies: some of their actions, and nothing else."""
    given = statements(default_policy(live.attrs["arn"], place.account, (*OWNER_ACTIONS, FORMER_ACTION)))[0]
    declared = frozenset(atom for found in statements(policy) for atom in atoms(_trimmed(found), place))
    return bool(declared) and declared <= atoms(given, place)


def _trimmed(statement: Any) -> Any:
    """The statement with its account as twelve digits: SNS is known to return one with a leading zero."""
    tests = mapping(mapping(statement).get("Condition"))
    equal = mapping(tests.get("StringEquals"))
    owner = equal.get("AWS:SourceOwner")
    if not isinstance(owner, str) or len(tests) + len(equal) > 2:
        return statement
    return {**statement, "Condition": {"StringEquals": {"AWS:SourceOwner": owner.strip()[-12:]}}}


def _attributes(live: Any, want: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Both sides with defaults; an attribute without a default is compared only if it is declared."""
    have, wish = dict(live or {}), dict(want or {})
    names = [*DEFAULTS, *(name for name in wish if name not in DEFAULTS and name not in SERVICE_OWNED)]
    left = {name: meaning(name, have.get(name, DEFAULTS.get(name))) for name in names}
    right = {name: meaning(name, wish.get(name, DEFAULTS.get(name))) for name in names}
    if kms_keys.same_name(right["KmsMasterKeyId"], left["KmsMasterKeyId"]):
        right["KmsMasterKeyId"] = left["KmsMasterKeyId"]
    return left, right


def _subscriptions(live: Live, want: Want) -> tuple[dict[str, Subscription], dict[str, Subscription]]:
    """The live and the declared subscriptions; a pending one counts as declared, or is left out if it is not."""
    wish = subs.declared(want.props.get("subscriptions"))
    arns: Mapping[str, str] = live.extra.get("subscriptions", {})
    have = subs.declared(live.props.get("subscriptions"), arns)
    have = {key: wish.get(key, one) if one.pending else one for key, one in have.items()}
    return {key: one for key, one in have.items() if key in wish or want.exact or not one.pending}, wish


def notes(live: Live, want: Want) -> Iterable[str]:
    """Notes about subscriptions that are not confirmed, and about what could not be read."""
    yield from protection.notes(live)
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
    """CreateTopic with tags, then the attributes it does not accept, then the subscriptions."""
    arn = want.attrs["arn"]
    attributes = {name: as_text(value) for name, value in (want.declared.get("attributes") or {}).items()}
    # a standard topic is created without FifoTopic
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
    # a second call is refused if SNS has rewritten an attribute
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
    """One call per attribute, policy or subscription that differs."""
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
        calls.append(protection.put_call(arn, want.props.get("dataProtectionPolicy")))
    if "subscriptions" in changed:
        calls += _update_subscriptions(live, want)
    return calls


def _update_subscriptions(live: Live, want: Want) -> list[Action]:
    """Creates new subscriptions, then updates existing ones, then removes undeclared ones."""
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
    document = want.props.get("policy") or default_policy(arn, want.scope.account)
    params = {"TopicArn": arn, "AttributeName": "Policy", "AttributeValue": JsonText(written(document))}
    return Call("sns", "SetTopicAttributes", params, retry_on=(*BUSY, *_new_principal(document, want)), patience=120.0)


def _new_principal(document: Any, want: Want) -> tuple[On, ...]:
    """The refusal to retry if the policy names a principal of this account, which this run may have just created."""
    return (NEW_PRINCIPAL,) if document and names_principal_of(document, want.scope.account) else ()


def delete(live: Live, _: Json) -> Sequence[Action]:
    """DeleteTopic, which deletes its subscriptions."""
    params = {"TopicArn": live.attrs["arn"]}
    return [Call("sns", "DeleteTopic", params, retry_on=BUSY, ok_if=(On("NotFound"),))]


def tag(live: Live, add: Mapping[str, str], remove: Sequence[str]) -> Sequence[Action]:
    """UntagResource and TagResource by ARN."""
    resource = {"ResourceArn": live.attrs["arn"]}
    calls: list[Action] = []
    if remove:
        calls.append(Call("sns", "UntagResource", {**resource, "TagKeys": sorted(remove)}, retry_on=BUSY))
    if add:
        calls.append(Call("sns", "TagResource", {**resource, "Tags": tag_list(add)}, retry_on=BUSY))
    return calls


def _arns(scope: Scope, name: str, _: Json) -> Sequence[str]:
    """The topic and its subscriptions."""
    arn = scope.arn("sns", name)
    return arn, f"{arn}:*"


ACCESS = Access(
    types=("sns:topic",),
    reads=(
        *("sns:GetTopicAttributes", "sns:ListTagsForResource", "sns:ListSubscriptionsByTopic"),
        *("sns:GetSubscriptionAttributes", "sns:GetDataProtectionPolicy"),
    ),
    creates=("sns:CreateTopic",),
    changes=(
        *("sns:SetTopicAttributes", "sns:PutDataProtectionPolicy", "sns:Subscribe", "sns:SetSubscriptionAttributes"),
        "sns:Unsubscribe",
    ),
    deletes=("sns:DeleteTopic",),
    tags=("sns:TagResource", "sns:UntagResource"),
    arns=_arns,
    only_if={
        "sns:GetSubscriptionAttributes": "subscriptions",
        "sns:Subscribe": "subscriptions",
        "sns:SetSubscriptionAttributes": "subscriptions",
        "sns:PutDataProtectionPolicy": "dataProtectionPolicy",
    },
)


def recorded_update(change: Change) -> tuple[str, ...]:
    """The events that may have made a change."""
    if change.top == "subscriptions":
        return (*recorded.events(change, "Subscribe", "Unsubscribe"), "SetSubscriptionAttributes")
    return ("PutDataProtectionPolicy",) if change.top == "dataProtectionPolicy" else ("SetTopicAttributes",)


def recorded_touches(event: str, parameters: Json, change: Change) -> bool:
    """Whether a call is about the attribute that differs, of which a topic has many."""
    if event != "SetTopicAttributes":
        return True
    member = change.path[1] if change.top == "attributes" and len(change.path) > 1 else change.top
    return str(parameters.get("attributeName")).lower() == str(member).lower()


RECORDED = Recorded(
    service="sns",
    named=("topicArn", "subscriptionArn", "resourceArn", "name"),
    create=("CreateTopic",),
    update=recorded_update,
    delete=("DeleteTopic",),
    touches=recorded_touches,
)

OTHER_TOOLS = OtherTools(
    terraform={"aws_sns_topic": ("arn", "name")},
    cloudformation={"AWS::SNS::Topic": "TopicName"},
    parts={
        "aws_sns_topic_policy": "arn",
        "aws_sns_topic_subscription": "topic_arn",
        "aws_sns_topic_data_protection_policy": "arn",
        "AWS::SNS::Subscription": "TopicArn",
        "AWS::SNS::TopicPolicy": "Topics",
        "AWS::SNS::TopicInlinePolicy": "TopicArn",
    },
)

KIND = Kind(
    name="topic",
    section="topics",
    file="events",
    other_tools=OTHER_TOOLS,
    access=ACCESS,
    complete_lists=(
        CompleteList("GetTopicAttributes", frozenset({"TopicArn"}), LIST),
        CompleteList("ListSubscriptionsByTopic", frozenset({"TopicArn"}), LIST),
    ),
    recorded=RECORDED,
    name_member="name",
    lookups={"attributes.KmsMasterKeyId": "kmsKey"},
    everything=everything,
    read=read,
    read_leaving=ReadLeaving(read_leaving),
    attrs=attrs,
    create=create,
    update=update,
    delete=delete,
    tag=tag,
    fields=FIELDS,
    refs=principal_refs("policy"),
    replace=Replace.DELETE_FIRST,
    max_name=256,
    expand=expand,
    declare=declare,
    normalize=normalize,
    check=check,
    notes=notes,
)
