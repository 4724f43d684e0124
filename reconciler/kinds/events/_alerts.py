"""The setting ``alerts``: rules that send what happens to the jobs and queues of an environment to topics.

An alert is a rule with the topic as its target, for the queues of this environment and no others: an event names its
queue by ARN. A topic that is declared gets the statement that lets EventBridge publish to it, beside those it has.

What AWS offers, and what it does not:

- AWS Batch sends two kinds of events: a job has changed its state, and a job blocks its queue. None says that a compute
  environment has become INVALID. It is reported where it shows: as the reason for which a job blocks its queue.
  https://docs.aws.amazon.com/eventbridge/latest/ref/events-ref-batch.html
- The statement cannot be limited to the rules: EventBridge meets no Condition at a topic.
  https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html#eb-sns-permissions
- A pattern may have 4096 characters, so the queues of a large environment need several rules.
- Of an array job every child is reported as well: only the parent is sent on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field
from typing import Any, Final

from reconciler.kinds.common.declared import mapping
from reconciler.kinds.common.policy_document.document import listed, parse, statements
from reconciler.kinds.common.topic_policy import default_policy
from reconciler.kinds.events._topic_delivery import EVENTS, lets_events_publish
from reconciler.model import Address, Derived, Expansion, Finding, Json, Naming, Path, Reference, Template, Written
from reconciler.model import problem_codes as codes
from reconciler.model.problems import did_you_mean
from reconciler.model.records import dataclass

SETTING: Final = "alerts"
SID: Final = "ReconcileAlerts"
MOST_QUEUES: Final = 20  # in one rule: their ARNs have up to 190 characters
LONGEST_NAME: Final = 64  # of a rule
# https://docs.aws.amazon.com/batch/latest/userguide/job_stuck_in_runnable.html
INVALID: Final = "ACTION_REQUIRED"  # what begins "ACTION_REQUIRED - CE(s) associated with the job queue are invalid."
_JOB: Final = {
    "name": "$.detail.jobName",
    "id": "$.detail.jobId",
    "queue": "$.detail.jobQueue",
    "reason": "$.detail.statusReason",
    "time": "$.time",
    "where": "$.region",
}
_LINK: Final = "https://<where>.console.aws.amazon.com/batch/home?region=<where>#jobs/detail/<id>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """What is reported: the events, beside the queues they are about, and what the message says of one."""

    description: str
    events: str
    message: str
    detail: Json = field(default_factory=dict)


ALERTS: Final[Mapping[str, Alert]] = {
    "job-failed": Alert(
        description="Jobs that failed for good",
        events="Batch Job State Change",
        detail={"status": ["FAILED"], "arrayProperties": {"index": [{"exists": False}]}},
        message="job <name> failed at <time>: <reason>",
    ),
    "queue-blocked": Alert(
        description="Jobs that block their queue",
        events="Batch Job Queue Blocked",
        message="job <name> blocks its job queue at <time>: <reason>",
    ),
    "environment-invalid": Alert(
        description="Queues that are blocked because their compute environments are invalid",
        events="Batch Job Queue Blocked",
        detail={"statusReason": [{"prefix": INVALID}]},
        message="job <name> waits at <time> for compute environments that are invalid: <reason>",
    ),
}


@dataclass(slots=True)
class _Sending:
    """One alert to one topic: the queues it is for, each with its path in the setting, and the path of the alert."""

    topic: Any
    origin: Path
    queues: dict[Any, Path] = field(default_factory=dict)


def expand(value: Any, naming: Naming, written: Written) -> Iterator[Derived | Finding]:
    """The rules of all alerts, and the policies of their topics."""
    sendings: dict[tuple[str, str], _Sending] = {}
    topics: dict[str, Path] = {}
    several = isinstance(value, list)
    for path, entry in enumerate(value) if several else [(None, value)]:
        at: Path = () if path is None else (path,)
        topic = _topic(entry.get("topic"), written)
        if isinstance(topic, Finding):
            yield _below((*at, "topic"), topic)
            continue
        queues, wrong = _queues(entry, at, written)
        yield from wrong
        if topic.declared:
            topics.setdefault(topic.name, (*at, "topic"))
        else:
            yield _below((*at, "topic"), _outside(topic))
        for index, alert in enumerate(entry["on"]):
            sending = sendings.setdefault((alert, topic.name), _Sending(topic.arn, (*at, "on", index)))
            sending.queues.update(queues)
    for (alert, name), sending in sendings.items():
        both = alert == "queue-blocked" and ("environment-invalid", name) in sendings
        yield from _rules(alert, name, sending, naming, both=both)
    for name, origin in topics.items():
        yield from _policy(name, written["topics"][name], origin)


def _below(path: Path, found: Finding) -> Finding:
    return Finding((*path, *found.path), found.message, found.hint, found.code, found.warning)


# --- topics and queues -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Topic:
    name: str
    arn: Any
    declared: bool


def _topic(given: Any, written: Written) -> _Topic | Finding:
    declared = written.get("topics", {})
    part = given.whole if isinstance(given, Template) else None
    if part is not None and part.address is not None and part.address.section == "topics":
        given = part.address.name
    if isinstance(given, str) and given in declared:
        return _Topic(given, _attribute(Address("topics", given), "arn"), declared=True)
    if isinstance(given, str) and given.startswith("arn:"):
        return _Topic(given.rpartition(":")[2], given, declared=False)
    if part is not None and part.address is None:
        return _Topic(part.attr or "topic", given, declared=False)
    hint = did_you_mean(str(given), declared) or f"declare it: topics: {{{given}: {{...}}}}; or give the ARN of another"
    return Finding((), f'there is no topic "{given}" in this environment', hint, codes.UNKNOWN_REFERENCE)


def _outside(topic: _Topic) -> Finding:
    message = f"the topic {topic.name} is not declared here, so its policy is not changed: it must let {EVENTS} publish"
    hint = "declare the topic in this environment; or see to its policy, and add foreign-topic to ignoreRules"
    return Finding((), message, hint, codes.FOREIGN_TOPIC, warning=True)


def _queues(entry: Json, at: Path, written: Written) -> tuple[dict[Any, Path], list[Finding]]:
    """The ARNs of the queues that an entry is for, each with its path, and what is wrong with them."""
    declared = written.get("jobQueues", {})
    given = entry.get("queues")
    found: dict[Any, Path] = {}
    wrong: list[Finding] = []
    if given is None:
        found = {_attribute(Address("jobQueues", name), "arn"): (*at, "on") for name in declared}
        if not found:
            message = "there is no job queue in this environment to send alerts of"
            wrong.append(Finding(at, message, "declare one, or list ARNs: queues: [...]", codes.MISSING_FIELD))
    for index, queue in enumerate(given or ()):
        path: Path = (*at, "queues", index)
        if isinstance(queue, Template) or str(queue).startswith("arn:"):
            found[queue] = path
        elif queue in declared:
            found[_attribute(Address("jobQueues", queue), "arn")] = path
        else:
            hint = did_you_mean(str(queue), declared) or "declare it, or give the ARN of another queue"
            message = f'there is no job queue "{queue}" in this environment'
            wrong.append(Finding(path, message, hint, codes.UNKNOWN_REFERENCE))
    return found, wrong


def _attribute(address: Address, attribute: str) -> Template:
    return Template((Reference("resource", f"${{{address}.{attribute}}}", address, attribute),))


# --- rules -----------------------------------------------------------------------------------------------------------


def _rules(alert: str, topic: str, sending: _Sending, naming: Naming, *, both: bool) -> Iterator[Derived]:
    queues = list(sending.queues.items())
    runs = [queues[start : start + MOST_QUEUES] for start in range(0, len(queues), MOST_QUEUES)]
    for number, run in enumerate(runs, start=1):
        key = f"{alert}-to-{topic}" + (f"-{number}" if number > 1 else "")
        places: dict[Path, Path] = {
            ("eventPattern", "detail", "jobQueue", index): path for index, (_, path) in enumerate(run)
        }
        value = _rule(alert, sending, naming.environment, [queue for queue, _ in run])
        if both:
            value["eventPattern"]["detail"]["statusReason"] = [{"anything-but": {"prefix": INVALID}}]
        address = Address("eventRules", naming.unique(key, LONGEST_NAME))
        yield Derived(address=address, value=value, origin=sending.origin, places=places)


def _rule(alert: str, sending: _Sending, environment: str, queues: list[Any]) -> dict[str, Any]:
    about = ALERTS[alert]
    words = f"{about.message}\n<queue>\n{_LINK}".splitlines()
    used = {name: path for name, path in _JOB.items() if any(f"<{name}>" in line for line in words)}
    return {
        "description": f"{about.description} in {environment}",
        "eventPattern": {
            "source": ["aws.batch"],
            "detail-type": [about.events],
            "detail": {**about.detail, "jobQueue": queues},
        },
        "targets": [
            {
                "id": "topic",
                "arn": sending.topic,
                "inputTransformer": {
                    "inputPathsMap": used,
                    "inputTemplate": "".join(f'"{line}"\n' for line in (f"{environment}: {words[0]}", *words[1:])),
                },
            }
        ],
    }


# --- the topic's policy ----------------------------------------------------------------------------------------------


def _policy(name: str, topic: Json, origin: Path) -> Iterator[Derived | Finding]:
    """The topic's policy with the statement that lets EventBridge publish, unless it has one."""
    arn = _attribute(Address("topics", name), "arn")
    attributes = mapping(topic.get("attributes"))
    own = topic.get("policy") or attributes.get("Policy")
    document = parse(own)
    if own and not isinstance(document, Mapping):
        message = f"cannot add a statement to the policy of topics.{name}: it is not a mapping"
        yield Finding(origin, message, f"let {EVENTS} publish in it", codes.MISFIT, warning=True)
        return
    if own and lets_events_publish(document):
        return
    account = Template((Reference("account", "${account}"),))
    before = document if own else default_policy(arn, account)
    listing = [*statements(before)]
    allowed = {
        "Sid": SID,
        "Effect": "Allow",
        "Principal": {"Service": EVENTS},
        "Action": "sns:Publish",
        "Resource": arn,
    }
    place: Path = ("policy", "Statement", len(listing)) if own else ("policy",)
    value: dict[str, Any] = {"policy": {**before, "Statement": [*listed(listing), allowed]}}
    if "Policy" in attributes:
        value["attributes"] = {name: item for name, item in attributes.items() if name != "Policy"}
    yield Derived(address=Address("topics", name), value=value, origin=origin, places={place: origin}, members=True)


ALERTS_SETTING: Final = Expansion(setting=SETTING, expand=expand)
