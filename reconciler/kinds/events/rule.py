"""EventBridge rules with their targets.

What is peculiar about them:

- PutRule replaces the whole rule: what the request does not contain is removed, and a disabled rule is enabled again.
  So every member is always sent. Tags are only used when the rule is created.
- Patterns are compared by meaning: the values of a member are a set.
- PutTargets and RemoveTargets may succeed although some targets fail: the reply lists them.
- A rule may have five targets. New ones are added before old ones are removed, if both fit.
- Targets are removed before the rule is deleted. A role that was just created cannot be assumed yet.
- A rule of another bus is another rule. EventBridge refuses to change a rule that an AWS service manages; ``Force`` is
  never used.

https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutRule.html
https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutTargets.html
https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_DeleteRule.html
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from reconciler.kinds.common.declared import items
from reconciler.kinds.common.normal_forms import unless, without
from reconciler.kinds.common.policy_document.document import parse
from reconciler.kinds.common.visibility import not_visible
from reconciler.kinds.events import _rule_targets as targets
from reconciler.kinds.events import _topic_delivery
from reconciler.kinds.events._alerts import ALERTS_SETTING
from reconciler.kinds.events._rule_checks import check
from reconciler.model import (
    OWNER_TAG,
    Access,
    Action,
    Api,
    Call,
    Change,
    CompleteList,
    Diff,
    Disruption,
    Effect,
    Existing,
    Field,
    Json,
    JsonText,
    Kind,
    Later,
    Live,
    On,
    OtherTools,
    Query,
    ReadLeaving,
    Reads,
    Ref,
    Referrer,
    Refused,
    Replace,
    Scope,
    Sought,
    Template,
    Text,
    Want,
    compact,
)
from reconciler.model.recorded import Recorded
from reconciler.model.when_used import when_used

with when_used():
    from reconciler.kinds.common import event_rules, recorded
    from reconciler.kinds.common.leaving import tags_again
    from reconciler.kinds.common.ownership_index import Index, index, owned_names, tags_from_index, tags_if_expected
    from reconciler.kinds.common.referrers import referrer
    from reconciler.kinds.common.replies import chunks, ok, tag_list, tag_map, together

DEFAULT_BUS = "default"
READ_ONLY = ("name", "arn", "managedBy", "createdBy")
# what PutRule takes, in its spelling; all but the pattern are text
MEMBERS = {
    "scheduleExpression": "ScheduleExpression",
    "state": "State",
    "description": "Description",
    "roleArn": "RoleArn",
}
BUSY = On("ConcurrentModificationException")
NEW_ROLE = On("ValidationException", "cannot be assumed by principal", because=not_visible("role"))
MISSING = On("ResourceNotFoundException")
MAX_TARGETS_PER_CALL = 10
PAGE = 100
MAX_TARGETS = 5


def bus_of(value: Any) -> Any:
    """The name of a bus that is given by name or ARN; the default bus if none is given."""
    return value.split(":event-bus/")[-1] if isinstance(value, str) and value else DEFAULT_BUS


def meaning(pattern: Any) -> Any:
    """A pattern in which lists of values are sorted and unique; the operators of a numeric range keep their order."""
    if isinstance(pattern, Mapping):
        return {name: item if name == "numeric" else meaning(item) for name, item in pattern.items()}
    if isinstance(pattern, list | tuple):
        unique = {_key(item): item for item in map(meaning, pattern)}
        return [unique[key] for key in sorted(unique)]
    return pattern


def _key(value: Any) -> str:
    if isinstance(value, Later | Text | Template):
        return f"expression {value}"
    try:
        return compact(value)
    except TypeError:  # an expression deeper inside
        return repr(value)


FIELDS = {
    "eventBusName": Field(effect=Effect.REPLACE, default=DEFAULT_BUS, normalize=bus_of),
    "eventPattern": Field(normalize=meaning),
    "state": Field(default="ENABLED"),
    "description": Field(normalize=unless("")),
    "scheduleExpression": Field(normalize=unless("")),
    **targets.FIELDS,
}
REFS = {"roleArn": Ref(section="roles", same_account_and_region=True), **targets.REFS}
PASSES_ROLES = {"roleArn": "events.amazonaws.com", "targets[].roleArn": "events.amazonaws.com"}


# --- reading ---------------------------------------------------------------------------------------------------------


def attrs(scope: Scope, name: str, props: Json) -> Mapping[str, str]:
    """Name and ARN; the ARN is computed from account, Region, bus and name."""
    return {"name": name, "arn": _arn(scope, bus_of(props.get("eventBusName")), name)}


def _arn(scope: Scope, bus: str, name: str) -> str:
    return scope.arn("events", f"rule/{name}" if bus == DEFAULT_BUS else f"rule/{bus}/{name}")


def read(query: Query) -> Reads[Sequence[Live]]:
    """The rules that are sought or owned, with targets and tags."""
    sought = {(bus_of(one.props.get("eventBusName")), one.name): one for one in query.sought}
    ask = index(query)
    found, replies = yield from together(_existing(list(sought)), ask)
    tagged = yield from tags_from_index(ask, replies)
    more = [
        place for place in map(_rule_key, owned_names(tagged, query.scope, "events", "rule/")) if place not in sought
    ]
    found |= yield from _existing(more)
    tags = yield from _tags(query.scope, found, tagged, sought)
    return [
        _live(query.scope, bus, rule, targets, tags[bus, name])
        for (bus, name), (rule, targets) in found.items()
        if (bus, name) in sought or (query.owned and tags[bus, name].get(OWNER_TAG) == query.scope.environment)
    ]


RuleKey: TypeAlias = tuple[str, str]
"""Bus and name of a rule."""


def everything(_: Scope) -> Reads[Sequence[Existing]]:
    """The rules of every bus, but those that AWS services manage; of other buses also by the name in CloudFormation."""
    found = yield from event_rules.rules()
    return [
        Existing(Sought(rule["Name"]))
        if bus == DEFAULT_BUS
        else Existing(Sought(rule["Name"], {"eventBusName": bus}), (f"{bus}|{rule['Name']}",))
        for bus, rule in found
        if not rule.get("ManagedBy")
    ]


def _existing(places: Sequence[RuleKey]) -> Reads[dict[RuleKey, tuple[Json, Json]]]:
    """The rules that exist, each as (description, reply with its targets)."""
    found = yield from _described(places)
    existing = [place for place in places if place in found]
    calls = tuple(map(_list_targets, existing))
    replies = (yield calls) if calls else ()
    return {
        place: (found[place], ok(call, reply, MISSING.code) or {})
        for place, call, reply in zip(existing, calls, replies, strict=True)
    }


def _described(places: Sequence[RuleKey]) -> Reads[dict[RuleKey, Json]]:
    """The rules that exist.

    Several rules of a bus are looked up in the first page of its list, in one call. Rules that are not in it, and those
    of a bus that may not be listed, are described one by one.
    """
    many = Counter(bus for bus, _ in places)
    pages = {bus: _list_page(bus, [name for where, name in places if where == bus]) for bus in many if many[bus] > 1}
    calls = (*pages.values(), *(_describe(place) for place in places if place[0] not in pages))
    replies = (yield calls) if calls else ()
    found: dict[RuleKey, Json] = {}
    complete: set[str] = set()
    for (bus, page), reply in zip(pages.items(), replies, strict=False):
        if not isinstance(reply, Refused):
            found |= {(bus, rule["Name"]): rule for rule in (ok(page, reply) or {}).get("Rules", ())}
            complete |= set() if reply.get("NextToken") else {bus}
    rest = [place for place in places if place[0] in pages and place[0] not in complete and place not in found]
    more = (yield tuple(map(_describe, rest))) if rest else ()
    alone = [place for place in places if place[0] not in pages] + rest
    for place, reply in zip(alone, (*replies[len(pages) :], *more), strict=True):
        if (answer := ok(_describe(place), reply, MISSING.code)) is not None:
            found[place] = answer
    return found


def _list_page(bus: str, names: Sequence[str]) -> Call:
    """The first page of the rules of a bus whose names share the common prefix of ``names``."""
    first, last = min(names), max(names)
    common = next((i for i, letter in enumerate(first) if letter != last[i : i + 1]), len(first))
    begin = {"NamePrefix": first[:common]} if common else {}
    return Call("events", "ListRules", {"Limit": PAGE, **begin, **_bus_parameter(bus)})


def _describe(place: RuleKey) -> Call:
    bus, name = place
    return Call("events", "DescribeRule", {"Name": name, **_bus_parameter(bus)})


def _list_targets(place: RuleKey) -> Call:
    bus, name = place
    return Call("events", "ListTargetsByRule", {"Rule": name, **_bus_parameter(bus)}, all_pages=True)


def _tags(
    scope: Scope, places: Iterable[RuleKey], tagged: Index, sought: Mapping[RuleKey, Sought]
) -> Reads[dict[RuleKey, Mapping[str, str]]]:
    found = {place: tags_if_expected(tagged, _arn(scope, *place), sought.get(place)) for place in places}
    open_ones = [place for place, tags in found.items() if tags is None]
    calls = tuple(_list_tags(_arn(scope, *place)) for place in open_ones)
    for place, call, reply in zip(open_ones, calls, (yield calls) if calls else (), strict=True):
        found[place] = tag_map((ok(call, reply, MISSING.code) or {}).get("Tags"))
    return {place: tags or {} for place, tags in found.items()}


def _list_tags(arn: str) -> Call:
    return Call("events", "ListTagsForResource", {"ResourceARN": arn})


def read_leaving(_: Scope, lives: Sequence[Live]) -> Reads[Sequence[Live]]:
    """The rules with their tags alone: EventBridge refuses to delete one that has targets beside the planned ones."""
    return (
        yield from tags_again(
            lives, lambda live: _list_tags(live.attrs["arn"]), lambda answer: tag_map(answer.get("Tags")), MISSING.code
        )
    )


def _rule_key(path: str) -> tuple[str, str]:
    """Bus and name, from the text after ``rule/`` in an ARN; the name of a bus may contain slashes."""
    bus, _, name = path.rpartition("/")
    return bus or DEFAULT_BUS, name


def _bus_parameter(bus: str) -> dict[str, str]:
    return {} if bus == DEFAULT_BUS else {"EventBusName": bus}


def _live(scope: Scope, bus: str, rule: Json, listed: Json, tags: Mapping[str, str]) -> Live:
    name = rule["Name"]
    props = {
        "eventBusName": bus if bus != DEFAULT_BUS else None,
        "eventPattern": parse(rule.get("EventPattern")),
        **{name: rule.get(member) for name, member in MEMBERS.items()},
        "targets": [
            targets.from_api(target) for target in sorted(listed.get("Targets", ()), key=lambda one: one["Id"])
        ],
    }
    return Live(
        physical=name,
        attrs={"name": name, "arn": rule.get("Arn") or _arn(scope, bus, name)},
        props={member: value for member, value in props.items() if value},
        tags=tags,
        extra={"bus": bus},
        managed_by=rule.get("ManagedBy") or "",
    )


def expand(props: Json) -> Json:
    """JSON text parsed; without read-only members, which pasted describe output contains."""
    done = dict(without(props, *READ_ONLY))
    if "eventPattern" in done:
        done["eventPattern"] = parse(done["eventPattern"])
    if isinstance(done.get("targets"), list | tuple):
        done["targets"] = [targets.from_yaml(target) for target in done["targets"]]
    return done


def notes(live: Live, _: Want) -> Iterable[str]:
    """A note if an AWS service manages the rule."""
    if live.managed_by:
        yield f"the rule is managed by {live.managed_by}: EventBridge refuses to change or delete it"


def referrers(scope: Scope, removed: Mapping[str, Sequence[Live]]) -> Reads[Sequence[Referrer]]:
    """The rules of the account, on any bus, with their targets. The list shows no owners.

    Reading targets takes a call for each rule. In an account with many rules, those with a target that is removed are
    found by it; only for roles, groups and secrets all are read. A role that EventBridge cannot assume needs no call.
    """
    roles = any(_assumable(live) for live in removed.get("roles", ()))
    arns = [live.attrs["arn"] for section in REFS["targets[].arn"].sections for live in removed.get(section, ())]
    others = {ref.section for path, ref in REFS.items() if path != "targets[].arn"} - {"roles"}
    if not (roles or arns or others & removed.keys()):
        return []
    listed = yield from event_rules.rules()
    if len(listed) > PAGE and not roles and not others & removed.keys():
        both = [*arns, *(f"{arn}:*" for arn in arns if ":log-group:" in arn)]
        aiming = yield from event_rules.aiming_at(list(dict.fromkeys(bus for bus, _ in listed)), both)
        listed = [(bus, rule) for bus, rule in listed if (bus, rule["Name"]) in aiming]
    return [
        referrer(
            scope,
            "event rule",
            rule["Name"],
            rule["Arn"],
            {"roleArn": rule.get("RoleArn"), "targets": [targets.from_api(target) for target in found]},
        )
        for rule, found in (yield from event_rules.targets_of(listed))
    ]


def _assumable(role: Live) -> bool:
    """Whether EventBridge may be able to assume the role, by its trust policy."""
    trust = str(role.props.get("assumeRolePolicyDocument", PASSES_ROLES["roleArn"]))
    return PASSES_ROLES["roleArn"] in trust or "*" in trust


# --- writing ---------------------------------------------------------------------------------------------------------


def create(want: Want) -> Sequence[Action]:
    """PutRule with tags, then PutTargets."""
    bus = bus_of(want.declared.get("eventBusName"))
    tags = {"Tags": tag_list(want.tags)} if want.tags else {}
    put = items(want.declared.get("targets"))
    return [_put_rule(want, bus, tags), *_put_targets(want.physical, bus, put)]


def rival(want: Want, _: Mapping[str, Any]) -> Reads[tuple[str, Sequence[Call]]]:
    """Whether the rule has the owner tag of another environment: PutRule overwrites a rule, and keeps its tags.

    No call creates a rule only where there is none, and the settings that were overwritten cannot be read any more.
    """
    arn = _arn(want.scope, bus_of(want.declared.get("eventBusName")), want.physical)
    call = _list_tags(arn)
    (reply,) = yield (call,)
    owner = tag_map((ok(call, reply, MISSING.code) or {}).get("Tags")).get(OWNER_TAG, want.scope.environment)
    if owner == want.scope.environment:
        return "", ()
    text = f"{want.physical} was created by {owner} at the same moment, and was overwritten: apply {owner} again"
    return text, ()


def update(live: Live, want: Want, diff: Diff) -> Sequence[Action]:
    """PutRule with the whole rule if it differs, then the targets that differ."""
    bus, changed = live.extra["bus"], diff.tops()
    calls: list[Action] = [_put_rule(want, bus, {})] if changed - {"targets"} else []
    if "targets" in changed:
        calls += _update_targets(live, want, diff)
    return calls


def _put_rule(want: Want, bus: str, tags: Json) -> Call:
    """PutRule with every declared member."""
    settings = {member: want.props.get(name) for name, member in MEMBERS.items()}
    pattern = want.props.get("eventPattern")
    params = {
        "Name": want.physical,
        **_bus_parameter(bus),
        **({"EventPattern": JsonText(pattern)} if pattern else {}),
        **{member: value for member, value in settings.items() if value},
        **tags,
    }
    return Call("events", "PutRule", params, retry_on=(BUSY, NEW_ROLE))


def _update_targets(live: Live, want: Want, diff: Diff) -> Iterator[Call]:
    """Puts the targets that differ and removes undeclared ones; removes first if both together exceed the maximum."""
    have, wish = targets.by_id(live.props.get("targets")), targets.by_id(want.props.get("targets"))
    differing = {str(change.path[1]) for change in diff.changes if change.top == "targets" and len(change.path) > 1}
    put = [target for name, target in wish.items() if name in differing or name not in have]
    removed = sorted(have.keys() - wish.keys())
    bus = live.extra["bus"]
    room = len(have.keys() | wish.keys()) <= MAX_TARGETS
    both = (_put_targets(live.physical, bus, put), _remove_targets(live.physical, bus, removed))
    for calls in both if room else reversed(both):
        yield from calls


def _put_targets(name: str, bus: str, put: Sequence[Json]) -> Iterator[Call]:
    for some in chunks(put, MAX_TARGETS_PER_CALL):
        params = {"Rule": name, **_bus_parameter(bus), "Targets": [targets.to_api(target) for target in some]}
        yield Call("events", "PutTargets", params, retry_on=(BUSY, NEW_ROLE), refuse_if="FailedEntries")


def _remove_targets(name: str, bus: str, removed: Sequence[str]) -> Iterator[Call]:
    for some in chunks(removed, MAX_TARGETS_PER_CALL):
        params = {"Rule": name, **_bus_parameter(bus), "Ids": list(some)}
        yield Call("events", "RemoveTargets", params, retry_on=(BUSY,), ok_if=(MISSING,), refuse_if="FailedEntries")


def delete(live: Live, _: Json) -> Sequence[Action]:
    """RemoveTargets, then DeleteRule."""
    bus, name = live.extra["bus"], live.physical
    removed = targets.ids(live.props.get("targets", ()))
    deleted = Call("events", "DeleteRule", {"Name": name, **_bus_parameter(bus)}, retry_on=(BUSY,), ok_if=(MISSING,))
    return [*_remove_targets(name, bus, removed), deleted]


def tag(live: Live, add: Mapping[str, str], remove: Sequence[str]) -> Sequence[Action]:
    """UntagResource and TagResource by ARN."""
    resource = {"ResourceARN": live.attrs["arn"]}
    calls: list[Action] = []
    if remove:
        calls.append(Call("events", "UntagResource", {**resource, "TagKeys": sorted(remove)}, retry_on=(BUSY,)))
    if add:
        calls.append(Call("events", "TagResource", {**resource, "Tags": tag_list(add)}, retry_on=(BUSY,)))
    return calls


def disruption(_: Live, want: Want, diff: Diff) -> str:
    """The effect of ``diff`` on events, as one sentence; 'not affected' if none."""
    if diff.replaces:
        return Disruption("events between deleting the old rule and creating the new one are lost")
    if diff.under("state") and want.props.get("state") == "DISABLED":
        return Disruption("matching events are no longer delivered")
    return "not affected"


ACCESS = Access(
    types=("events:rule-on-default-event-bus", "events:rule-on-custom-event-bus"),
    reads=("events:DescribeRule", "events:ListTagsForResource", "events:ListTargetsByRule"),
    looks=("events:ListRules",),
    referrers=("events:ListEventBuses", "events:ListRules", "events:ListTargetsByRule", "events:ListRuleNamesByTarget"),
    creates=("events:PutRule",),
    changes=("events:PutTargets", "events:RemoveTargets"),
    deletes=("events:RemoveTargets", "events:DeleteRule"),
    upserts=("events:PutRule",),
    tags=("events:TagResource", "events:UntagResource"),
)


def recorded_update(change: Change) -> tuple[str, ...]:
    """The events that may have made a change."""
    if change.top == "targets":
        return recorded.events(change, "PutTargets", "RemoveTargets")
    if change.top == "state":
        return ("DisableRule" if change.before == "DISABLED" else "EnableRule", "PutRule")
    return ("PutRule",)


def recorded_names(attrs: Mapping[str, str]) -> list[str]:
    """``BUS/RULE``: rules of several buses may have one name."""
    found = attrs.get("arn", "").partition(":rule/")[2]
    return [found if "/" in found else f"{DEFAULT_BUS}/{found}"] if found else []


RECORDED = Recorded(
    service="events",
    named=("eventBusName/name", "eventBusName/rule", "resourceARN"),
    create=("PutRule",),
    update=recorded_update,
    delete=("DeleteRule",),
    also=recorded_names,
)

OTHER_TOOLS = OtherTools(
    terraform={"aws_cloudwatch_event_rule": ("arn", "name")},
    cloudformation={"AWS::Events::Rule": "Name"},
    parts={
        "aws_cloudwatch_event_target": "rule",
    },
)

KIND = Kind(
    name="event rule",
    section="eventRules",
    file="events",
    other_tools=OTHER_TOOLS,
    access=ACCESS,
    complete_lists=(
        CompleteList("DescribeRule", frozenset({"Name"}), Call("events", "ListRules", {}, all_pages=True)),
    ),
    recorded=RECORDED,
    name_member="name",
    from_setting=ALERTS_SETTING,
    everything=everything,
    read=read,
    read_leaving=ReadLeaving(read_leaving),
    attrs=attrs,
    create=create,
    update=update,
    delete=delete,
    tag=tag,
    fields=FIELDS,
    refs=REFS,
    referrers=referrers,
    lookups=targets.LOOKUPS,
    api=Api(
        service="events",
        create=("PutTargets",),
        update=("PutTargets",),
        reply="ListTargetsByRule",
        below=("targets",),
    ),
    replace=Replace.DELETE_FIRST,
    max_name=64,
    passes_roles=PASSES_ROLES,
    expand=expand,
    check=check,
    relations=_topic_delivery.relations,
    disruption=disruption,
    rival=rival,
    notes=notes,
)
