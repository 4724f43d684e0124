"""``Kind.dependents`` of a revision of a job definition: event rules, schedules, other definitions, unfinished jobs.

- A target of an event rule, or a schedule, names a revision as ``NAME:REV`` or by ARN; without a revision it uses the
  latest one.
- The text of a definition (environment, command, parameters) may name another one with which its jobs submit jobs.
- A job keeps its revision, also for retries and for the rest of an array.

And what definitions of the account refer to (``Kind.referrers``): their ACTIVE revisions, with which jobs may still be
submitted, and INACTIVE ones while jobs of theirs have not finished.

https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_BatchParameters.html
https://docs.aws.amazon.com/batch/latest/APIReference/API_ListJobs.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

from reconciler.kinds.batch._common import every, items_in
from reconciler.kinds.batch._jobs import UNFINISHED, any_state, in_state
from reconciler.kinds.common import event_rules, schedules
from reconciler.kinds.common.declared import items, mapping
from reconciler.kinds.common.normal_forms import without
from reconciler.kinds.common.referrers import active_definitions, revision
from reconciler.kinds.common.replies import chunks
from reconciler.model import Call, Dependent, Json, Live, Reads, Referrer, Removals, Scope
from reconciler.model.patterns import regex

Named: TypeAlias = Mapping[str, tuple[Dependent, ...]]
_Latest: TypeAlias = tuple[str, frozenset[str], frozenset[str]]

FEW = 20

# Not a part of a path, of a longer name or of a version number ("python:3.11"); images are not searched.
REVISION = regex(
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


def definitions(_: Scope, lives: Sequence[Live], __: Removals) -> Reads[Named]:
    """The ACTIVE definitions of the account, of any owner, that name one of ``lives`` in their text."""
    active = yield from active_definitions()
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


def rules(_: Scope, lives: Sequence[Live], __: Removals) -> Reads[Named]:
    """The event rules, on any bus, with a target that starts jobs with one of ``lives``."""
    active, queues = (yield from active_definitions()), (yield from _queues())
    candidates = yield from _rules([item["jobQueueArn"] for item in queues])
    words, latest = _words(lives), _latest_revisions(lives, active)
    found: list[tuple[str, Dependent]] = []
    for rule, targets in (yield from event_rules.targets_of(candidates)):
        for target in targets:
            named = mapping(target.get("BatchParameters")).get("JobDefinition")
            where = f"event rule {rule['Name']} (target {target['Id']}) starts jobs with"
            found += _starting(where, named, rule["Arn"], words, latest)
    return _gathered(found)


def _starting(
    where: str, named: Any, arn: str, words: Mapping[str, str], latest: Mapping[str, _Latest]
) -> Iterator[tuple[str, Dependent]]:
    """The dependent at ``arn`` whose target starts jobs with ``named``, if that is one of the definitions."""
    if named in words:
        hint = "to delete it, change the target to the definition's name without a revision"
        spelt = frozenset(word for word, physical in words.items() if physical == words[named])
        yield words[named], Dependent(text=f"{where} it", hint=hint, arn=arn, words=spelt)
    elif named in latest:
        physical, spelt, others = latest[named]
        hint = "to delete it, remove the target, or change it to another definition"
        yield physical, Dependent(text=f"{where} the latest revision", hint=hint, arn=arn, words=spelt, others=others)


def scheduled(_: Scope, lives: Sequence[Live], __: Removals) -> Reads[Named]:
    """The schedules, in any group, that submit jobs with one of ``lives``."""
    found = yield from schedules.submitting()
    active = (yield from active_definitions()) if found else []
    words, latest = _words(lives), _latest_revisions(lives, active)
    return _gathered(
        dependent
        for schedule, request in found
        for dependent in _starting(
            f"schedule {schedule['Name']} starts jobs with",
            request.get("JobDefinition"),
            schedule["Arn"],
            words,
            latest,
        )
    )


def _rules(queues: Sequence[str]) -> Reads[list[tuple[str, Json]]]:
    """(bus, rule) for each rule that may have a target of AWS Batch.

    Reading targets takes a call for each rule. If the account has many more rules than queues, the rules are found by
    their target queue instead: a rule without an existing queue starts no jobs.
    """
    listed = yield from event_rules.rules()
    buses = list(dict.fromkeys(bus for bus, _ in listed))
    if len(listed) <= max(FEW, len(buses) * len(queues)):
        return listed
    aiming = yield from event_rules.aiming_at(buses, queues)
    return [(bus, rule) for bus, rule in listed if (bus, rule["Name"]) in aiming]


# --- jobs ------------------------------------------------------------------------------------------------------------


def jobs(_: Scope, lives: Sequence[Live], removals: Removals) -> Reads[Named]:
    """The kept queues with unfinished jobs of one of ``lives``. An array is PENDING while its children run."""
    words = _words(lives)
    using = yield from _unfinished(removals)
    found = {(words[word], *place) for word, *place in using if word in words}
    hint = "apply again after they have finished to delete it"
    return _gathered(
        (physical, Dependent(text=f"jobs in queue {queue} that use it have not finished", hint=hint, arn=arn))
        for physical, queue, arn in sorted(found)
    )


def _unfinished(removals: Removals) -> Reads[set[tuple[str, str, str]]]:
    """(definition's ARN, queue's name, queue's ARN) of the unfinished jobs, but in queues that the plan deletes: AWS
    ends the jobs of a queue with it.

    A first call for each queue has its newest hundred jobs of every state, which are mostly all that it lists; where
    there are more, those of each state are listed.
    """
    leaving = {live.identity for live in removals.get("jobQueues", ())}
    queues = [
        item
        for item in (yield from _queues())
        if item.get("jobQueueType") != "SAGEMAKER_TRAINING" and item["jobQueueArn"] not in leaving
    ]
    found: set[tuple[str, str, str]] = set()
    following: list[Json] = []
    for item, reply in (yield from _listed(queues, any_state)):
        summaries = items(reply.get("jobSummaryList"))
        if reply.get("nextToken"):
            following.append(item)
        else:
            found |= _using(item, [job for job in summaries if job.get("status") in UNFINISHED])
    for status in UNFINISHED if following else ():
        for item, reply in (yield from _listed(following, partial(in_state, status=status))):
            found |= _using(item, items(reply.get("jobSummaryList")))
    return found


def _listed(queues: Sequence[Json], listing: Callable[[str], Call]) -> Reads[list[tuple[Json, Json]]]:
    """Each of the queues with its reply; nothing of one that was deleted meanwhile."""
    calls = tuple(listing(item["jobQueueName"]) for item in queues)
    replies = (yield calls) if calls else ()
    answers = (event_rules.unless_deleted(call, answer) or {} for call, answer in zip(calls, replies, strict=True))
    return list(zip(queues, answers, strict=True))


def _using(queue: Json, summaries: Iterable[Json]) -> set[tuple[str, str, str]]:
    using = {str(job["jobDefinition"]) for job in summaries if job.get("jobDefinition")}
    return {(one, queue["jobQueueName"], queue["jobQueueArn"]) for one in using}


# --- what definitions refer to ---------------------------------------------------------------------------------------


def referrers(scope: Scope, removals: Removals) -> Reads[Sequence[Referrer]]:
    """The ACTIVE revisions of the account, and those with unfinished jobs, which may be INACTIVE.

    A revision that the same plan deregisters does not count, unless its own ``dependents`` keep it.
    """
    active = yield from active_definitions()
    known = {item["jobDefinitionArn"] for item in active}
    unfinished = {one: place for one, *place in sorted((yield from _unfinished(removals))) if one not in known}
    calls = tuple(
        Call("batch", "DescribeJobDefinitions", {"jobDefinitions": list(some)})
        for some in chunks(sorted(unfinished), 100)
    )
    inactive = items_in(calls, (yield calls), "jobDefinitions") if calls else []
    return [
        *(_revision(scope, item) for item in active),
        *(_with_jobs(item, *unfinished[item["jobDefinitionArn"]]) for item in inactive),
    ]


def _revision(scope: Scope, item: Json) -> Referrer:
    label, hint = revision(scope, item)
    return Referrer(props=item, text=label, arn=item["jobDefinitionArn"], hint=hint)


def _with_jobs(item: Json, queue: str, queue_arn: str) -> Referrer:
    text = f"job definition {item['jobDefinitionName']}:{item['revision']}, of unfinished jobs in queue {queue},"
    return Referrer(props=item, text=text, arn=queue_arn, hint="apply again after they have finished to delete it")


# --- what they share -------------------------------------------------------------------------------------------------


def _queues() -> Reads[list[Json]]:
    return [item for item in (yield from every("DescribeJobQueues", "jobQueues")) if item.get("status") != "DELETED"]


def _words(lives: Iterable[Live]) -> dict[str, str]:
    """The physical name of a revision, by each of its names: ``NAME:REV`` and ARN."""
    return {word: live.physical for live in lives for word in (live.physical, live.attrs["arn"])}


def _latest_revisions(lives: Iterable[Live], active: Iterable[Json]) -> dict[str, _Latest]:
    """(physical name of the latest revision, all names without a revision, ARNs of all revisions), by each name
    without a revision. Only for definitions whose latest revision is among ``lives``.
    """
    by_name: dict[str, dict[int, str]] = {}
    for item in active:
        by_name.setdefault(item["jobDefinitionName"], {})[int(item["revision"])] = item["jobDefinitionArn"]
    found: dict[str, _Latest] = {}
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
