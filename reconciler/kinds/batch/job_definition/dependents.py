"""``Kind.dependents`` of a revision of a job definition: event rules, other definitions, unfinished jobs.

- A target of an event rule names a revision as ``NAME:REV`` or by ARN; without a revision it uses the latest one.
- The text of a definition (environment, command, parameters) may name another one with which its jobs submit jobs.
- A job keeps its revision, also for retries and for the rest of an array.

https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_BatchParameters.html
https://docs.aws.amazon.com/batch/latest/APIReference/API_ListJobs.html
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from reconciler.kinds.batch._common import every
from reconciler.kinds.common.declared import items, mapping
from reconciler.kinds.common.normal_forms import without
from reconciler.kinds.common.replies import ok
from reconciler.model import Call, Dependent, Json, Live, On, Reads, Refused, Reply, Scope

Named: TypeAlias = Mapping[str, tuple[Dependent, ...]]

# In the order of a job's life: a job that changes its state between two calls is found by the later one.
UNFINISHED = ("SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING")
FEW = 20
NO_LONGER_EXISTS = (On("ResourceNotFoundException"), On(message="does not exist"), On(message="not found"))

# Not a part of a path, of a longer name or of a version number ("python:3.11"); images are not searched.
REVISION = re.compile(
    r"(?<![\w/.-])(?:arn:[\w-]+:batch:[\w-]+:\d+:job-definition/)?[0-9A-Za-z][\w-]*:\d+(?![\w-]|\.\w)", re.ASCII
)
NO_TEXT = frozenset({"image"})
NOT_ITS_TEXT = ("jobDefinitionName", "jobDefinitionArn", "tags")


def mentions(props: Any) -> Iterator[str]:
    """Every name (``NAME:REV``) or ARN in the properties of a definition that may be one of a revision."""
    if isinstance(props, str):
        yield from REVISION.findall(props)
    elif isinstance(props, Mapping):
        for member, value in props.items():
            if member not in NO_TEXT:
                yield from mentions(value)
    elif isinstance(props, list | tuple):
        for value in props:
            yield from mentions(value)


# --- other definitions -----------------------------------------------------------------------------------------------


def definitions(_: Scope, lives: Sequence[Live]) -> Reads[Named]:
    """The ACTIVE definitions of the account, of any owner, that name one of ``lives`` in their text."""
    active = yield from _active()
    words = _words(lives)
    found: list[tuple[str, Dependent]] = []
    for item in active:
        named = {words[word] for word in mentions(without(item, *NOT_ITS_TEXT)) if word in words}
        text = f"job definition {item['jobDefinitionName']}:{item['revision']} names it"
        user = Dependent(
            text=text, hint="to delete it, change that definition to use another", arn=item["jobDefinitionArn"]
        )
        found += [(physical, user) for physical in named]
    return _gathered(found)


# --- event rules -----------------------------------------------------------------------------------------------------


def rules(_: Scope, lives: Sequence[Live]) -> Reads[Named]:
    """The event rules, on any bus, with a target that starts jobs with one of ``lives``."""
    active, queues = (yield from _active()), (yield from _queues())
    buses = yield from _buses()
    candidates = yield from _rules(buses, [item["jobQueueArn"] for item in queues])
    calls = tuple(_call("ListTargetsByRule", bus, Rule=rule["Name"]) for bus, rule in candidates)
    replies = (yield calls) if calls else ()
    words, latest = _words(lives), _latest_revisions(lives, active)
    found: list[tuple[str, Dependent]] = []
    for (_bus, rule), call, reply in zip(candidates, calls, replies, strict=True):
        for target in items((_unless_deleted(call, reply) or {}).get("Targets")):
            named = mapping(target.get("BatchParameters")).get("JobDefinition")
            where = f"event rule {rule['Name']} (target {target['Id']}) starts jobs with"
            if named in words:
                hint = "to delete it, change the target to the definition's name without a revision"
                spelt = frozenset(word for word, physical in words.items() if physical == words[named])
                found.append((words[named], Dependent(text=f"{where} it", hint=hint, arn=rule["Arn"], words=spelt)))
            elif named in latest:
                physical, spelt, others = latest[named]
                hint = "to delete it, remove the target, or change it to another definition"
                text = f"{where} the latest revision"
                found.append((physical, Dependent(text=text, hint=hint, arn=rule["Arn"], words=spelt, others=others)))
    return _gathered(found)


def _buses() -> Reads[list[str]]:
    """The names of the event buses; botocore has no paginator for them."""
    names: list[str] = []
    params: dict[str, str] = {}
    while True:
        call = Call("events", "ListEventBuses", params)
        (reply,) = yield (call,)
        page = ok(call, reply) or {}
        names += [bus["Name"] for bus in items(page.get("EventBuses"))]
        if not page.get("NextToken"):
            return names
        params = {"NextToken": page["NextToken"]}


def _rules(buses: Sequence[str], queues: Sequence[str]) -> Reads[list[tuple[str, Json]]]:
    """(bus, rule) for each rule that may have a target of AWS Batch.

    Reading targets takes a call for each rule. If the account has many more rules than queues, the rules are found by
    their target queue instead: a rule without an existing queue starts no jobs.
    """
    calls = tuple(_call("ListRules", bus) for bus in buses)
    replies = yield calls
    listed = {
        bus: items((_unless_deleted(c, r) or {}).get("Rules")) for bus, c, r in zip(buses, calls, replies, strict=True)
    }
    asked = [(bus, queue) for bus, found in listed.items() if found for queue in queues]
    if sum(map(len, listed.values())) <= max(FEW, len(asked)):
        return [(bus, rule) for bus, found in listed.items() for rule in found]
    calls = tuple(_call("ListRuleNamesByTarget", bus, TargetArn=queue) for bus, queue in asked)
    replies = (yield calls) if calls else ()
    aiming = {
        (bus, name)
        for (bus, _), call, reply in zip(asked, calls, replies, strict=True)
        for name in items((_unless_deleted(call, reply) or {}).get("RuleNames"))
    }
    return [(bus, rule) for bus, found in listed.items() for rule in found if (bus, rule["Name"]) in aiming]


def _call(operation: str, bus: str, **params: str) -> Call:
    where = {} if bus == "default" else {"EventBusName": bus}
    return Call("events", operation, {**params, **where}, all_pages=True)


# --- jobs ------------------------------------------------------------------------------------------------------------


def jobs(_: Scope, lives: Sequence[Live]) -> Reads[Named]:
    """The queues with unfinished jobs of one of ``lives``. An array is PENDING while its children run."""
    queues = [item for item in (yield from _queues()) if item.get("jobQueueType") != "SAGEMAKER_TRAINING"]
    words = _words(lives)
    found: set[tuple[str, str, str]] = set()
    for status in UNFINISHED if queues else ():
        names = [item["jobQueueName"] for item in queues]
        calls = tuple(Call("batch", "ListJobs", {"jobQueue": n, "jobStatus": status}, all_pages=True) for n in names)
        replies = yield calls
        for item, call, answer in zip(queues, calls, replies, strict=True):
            using = {
                job.get("jobDefinition") for job in items((_unless_deleted(call, answer) or {}).get("jobSummaryList"))
            }
            place = item["jobQueueName"], item["jobQueueArn"]
            found |= {(words[word], *place) for word in using if word in words}
    hint = "apply again after they have finished to delete it"
    return _gathered(
        (physical, Dependent(text=f"jobs in queue {queue} that use it have not finished", hint=hint, arn=arn))
        for physical, queue, arn in sorted(found)
    )


# --- what they share -------------------------------------------------------------------------------------------------


def _active() -> Reads[list[Json]]:
    return (yield from every("DescribeJobDefinitions", "jobDefinitions", {"status": "ACTIVE"}))


def _queues() -> Reads[list[Json]]:
    return [item for item in (yield from every("DescribeJobQueues", "jobQueues")) if item.get("status") != "DELETED"]


def _unless_deleted(call: Call, reply: Reply) -> Json | None:
    """The reply; None if the object was deleted meanwhile. Raises Unreadable for other refusals."""
    deleted = isinstance(reply, Refused) and any(on.matches(reply) for on in NO_LONGER_EXISTS)
    return None if deleted else ok(call, reply)


def _words(lives: Iterable[Live]) -> dict[str, str]:
    """The physical name of a revision, by each of its names: ``NAME:REV`` and ARN."""
    return {word: live.physical for live in lives for word in (live.physical, live.attrs["arn"])}


def _latest_revisions(
    lives: Iterable[Live], active: Iterable[Json]
) -> dict[str, tuple[str, frozenset[str], frozenset[str]]]:
    """(physical name of the latest revision, all names without a revision, ARNs of all revisions), by each name
    without a revision. Only for definitions whose latest revision is among ``lives``.
    """
    by_name: dict[str, dict[int, str]] = {}
    for item in active:
        by_name.setdefault(item["jobDefinitionName"], {})[int(item["revision"])] = item["jobDefinitionArn"]
    found: dict[str, tuple[str, frozenset[str], frozenset[str]]] = {}
    for live in lives:
        name = live.attrs["name"]
        revisions = by_name.get(name, {})
        if live.revision >= max(revisions, default=0):
            words = frozenset({name, live.attrs["arn"].rpartition(":")[0]})
            found |= dict.fromkeys(words, (live.physical, words, frozenset({*revisions.values(), live.attrs["arn"]})))
    return found


def _gathered(found: Iterable[tuple[str, Dependent]]) -> Named:
    named: dict[str, list[Dependent]] = {}
    for physical, user in found:
        named.setdefault(physical, []).append(user)
    return {physical: tuple(users) for physical, users in named.items()}
