"""EventBridge: which rules want an event, what their targets get of it, and whether they may.

Topics, queues and log groups get an event if their own policies let EventBridge in, job queues if the role of the
target may submit jobs. What is not delivered is in the outbox, with the reason.

Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html and
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-transform-target-input.html
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from reconciler.model.patterns import regex
from reconciler.sandbox import outbox, task_logs
from reconciler.sandbox.iam.evaluation import Effect, Request, effect_among, names
from reconciler.sandbox.iam.policies import statements
from reconciler.sandbox.services import Account
from reconciler.sandbox.services._moto import partition_of
from reconciler.sandbox.services._moto_objects import REFUSED, queues
from reconciler.sandbox.services.sns_messages import publish
from reconciler.sandbox.wire import Json

_SERVICE = "events.amazonaws.com"
_PENDING = "jobs of rules"
_PLACEHOLDER = regex(r"<([\w.-]+)>")
_STEP = regex(r"\.([\w-]+)|\[(\d+|\*)\]|\['([^']+)'\]")


def announce(
    account: Account,
    region: str,
    kind: str,
    resources: Sequence[str],
    detail: Callable[[], Mapping[str, Any]],
    at: float,
) -> None:
    """An event of AWS Batch, of which nothing is made unless a rule might want it."""
    if any(_rules(account, region, "default")):
        event = {"detail-type": kind, "source": "aws.batch", "resources": [*resources], "detail": {**detail()}}
        deliver(account, region, event, at)


def deliver(account: Account, region: str, event: Json, at: float, bus: str = "default") -> str:
    """Send an event (its type, source, resources and detail) to the targets of the rules that match; its id."""
    whole: Json = {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": event["detail-type"],
        "source": event["source"],
        "account": account.id,
        "time": _moment(event.get("time", at)),
        "region": region,
        "resources": event["resources"],
        "detail": event["detail"],
    }
    _to_bus(account, region, bus, whole, at, frozenset())
    return str(whole["id"])


def _to_bus(account: Account, region: str, bus: str, event: Json, at: float, before: frozenset[str]) -> None:
    """An event is on a bus once: ``before`` has those that it was on."""
    here = f"{region}/{bus}"
    for rule in _rules(account, region, bus) if here not in before else ():
        if not rule.event_pattern.matches_event(event):
            continue
        for target in list(rule.targets):
            parts = target["Arn"].split(":")
            if parts[2] == "events" and parts[4] == account.id and parts[5].startswith("event-bus/"):
                _to_bus(account, parts[3], parts[5].partition("/")[2], event, at, before | {here})
                continue
            why = _to_target(account, rule.arn, target, event, at)
            if why:
                outbox.undelivered(account, target["Arn"], rule.arn, why, at)


def submissions(account: Account) -> list[tuple[str, str, Json]]:
    """The jobs that rules have submitted since this was last asked: Region, role and parameters of SubmitJob."""
    if _PENDING not in account.memory:
        return []
    return list(account.memory.pop(_PENDING).get("all", ()))


def _rules(account: Account, region: str, bus: str) -> Iterator[Any]:
    found = account.moto.backend("events", region).event_buses.get(bus)
    for rule in list(found.rules.values()) if found is not None else ():
        if rule.state != "DISABLED" and rule.event_pattern.get_pattern():
            yield rule


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


# --- targets ---------------------------------------------------------------------------------------------------------


def _to_target(account: Account, rule: str, target: Json, event: Json, at: float) -> str:
    """Why the target gets nothing; empty: it gets its input."""
    arn = target["Arn"]
    service = arn.split(":")[2]
    text = target_input(target, event, rule)
    if service == "sns":
        return _to_topic(account, arn, rule, text, at)
    if service == "sqs":
        return _to_queue(account, arn, rule, target, text)
    if service == "logs":
        return _to_log_group(account, arn, rule, text, at)
    if service == "batch":
        return _to_job_queue(account, target, text)
    return f"the sandbox has no targets of {service}"


def _to_topic(account: Account, arn: str, rule: str, text: str, at: float) -> str:
    topic = account.moto.backend("sns", arn.split(":")[3]).topics.get(arn)
    if topic is None:
        return "the topic does not exist"
    if not _lets_in(topic.policy, "sns:Publish", arn, rule, account.id):
        return f"the policy of the topic does not allow {_SERVICE} to publish (sns:Publish)"
    publish(account, topic, text, at)
    return ""


def _to_queue(account: Account, arn: str, rule: str, target: Json, text: str) -> str:
    backend = queues(account.id, arn.split(":")[3])
    queue = backend.queues.get(arn.rsplit(":", 1)[-1])
    if queue is None:
        return "the queue does not exist"
    policy = queue.policy if isinstance(queue.policy, str) else json.dumps(queue.policy or {})
    if not _lets_in(policy, "sqs:SendMessage", arn, rule, account.id):
        return f"the policy of the queue does not allow {_SERVICE} to send messages (sqs:SendMessage)"
    group = (target.get("SqsParameters") or {}).get("MessageGroupId")
    try:
        backend.send_message(queue.name, text, group_id=group)
    except REFUSED as error:
        return f"the queue refuses the message: {error}"
    return ""


def _to_log_group(account: Account, arn: str, rule: str, text: str, at: float) -> str:
    region = arn.split(":")[3]
    backend = account.moto.backend("logs", region)
    group = backend.groups.get(arn.partition(":log-group:")[2].removesuffix(":*"))
    if group is None:
        return "the log group does not exist"
    name = str(uuid.uuid4())
    stream = f"arn:{partition_of(region)}:logs:{region}:{account.id}:log-group:{group.name}:log-stream:{name}"
    documents = [one.policy_document for one in backend.resource_policies.values()]
    services = (_SERVICE, "delivery.logs.amazonaws.com")
    if not any(_lets_in(one, "logs:PutLogEvents", stream, rule, account.id, services) for one in documents):
        return f"no resource policy of CloudWatch Logs allows {_SERVICE} to write to the group (logs:PutLogEvents)"
    task_logs.put(account, region, task_logs.create_stream(account, region, group, name, at), text, at)
    return ""


def _to_job_queue(account: Account, target: Json, text: str) -> str:
    given = target.get("BatchParameters") or {}
    params: Json = {
        "jobName": given["JobName"],
        "jobQueue": target["Arn"],
        "jobDefinition": given["JobDefinition"],
    }
    if (given.get("ArrayProperties") or {}).get("Size"):
        params["arrayProperties"] = {"size": given["ArrayProperties"]["Size"]}
    if (given.get("RetryStrategy") or {}).get("Attempts"):
        params["retryStrategy"] = {"attempts": given["RetryStrategy"]["Attempts"]}
    with suppress(ValueError):
        value = json.loads(text)
        if isinstance(value, dict) and isinstance(value.get("Parameters"), dict):
            params["parameters"] = {name: str(one) for name, one in value["Parameters"].items()}
    account.memory[_PENDING].setdefault("all", []).append((target["Arn"].split(":")[3], target["RoleArn"], params))
    return ""


def _lets_in(
    document: str, action: str, arn: str, rule: str, account: str, services: Sequence[str] = (_SERVICE,)
) -> bool:
    """Whether a resource policy lets EventBridge do this for a rule."""
    try:
        found = [one for one in statements(document) if names(one, "Service", services)]
    except ValueError:
        return False
    context = {"aws:sourcearn": (rule,), "aws:sourceaccount": (account,), "aws:securetransport": ("true",)}
    return effect_among(Request(action, (arn,), context), found) is Effect.ALLOW


# --- inputs ----------------------------------------------------------------------------------------------------------


def target_input(target: Json, event: Json, rule: str) -> str:
    """The text that a target gets: the event, a part of it, a constant, or a template filled from it."""
    if target.get("Input"):
        return str(target["Input"])
    if target.get("InputPath"):
        return json.dumps(at_path(event, target["InputPath"]))
    transformer = target.get("InputTransformer")
    if transformer:
        return _filled(transformer["InputTemplate"], transformer.get("InputPathsMap") or {}, event, rule)
    return json.dumps(event)


def at_path(event: Any, path: str) -> Any:
    """What a JSON path such as `$.detail.attempts[0].container.reason` leads to; None if nothing."""
    value = event
    for name, index, quoted in _STEP.findall(path.removeprefix("$")):
        try:
            value = value[int(index)] if index and index != "*" else value if index else value[name or quoted]
        except (KeyError, IndexError, TypeError):
            return None
    return value


def _filled(template: str, paths: Mapping[str, str], event: Json, rule: str) -> str:
    """A template with its variables: within quotes as text, elsewhere as JSON; without a value, nothing.

    Text in quotes is sent with them, so that it is JSON: mails show them.
    """
    known: Json = {name: at_path(event, path) for name, path in paths.items()}
    known |= {
        "aws.events.rule-arn": rule,
        "aws.events.rule-name": rule.rpartition("/")[2],
        "aws.events.event.ingestion-time": event["time"],
        "aws.events.event": {name: value for name, value in event.items() if name != "detail"},
        "aws.events.event.json": event,
    }
    quoted = False
    written: list[str] = []
    at = 0
    for found in _PLACEHOLDER.finditer(template):
        if found[1] not in known:
            continue
        between = template[at : found.start()]
        quoted ^= len(re.findall(r'(?<!\\)"', between)) % 2 == 1
        value = known[found[1]]
        text = "" if value is None else value if isinstance(value, str) else json.dumps(value)
        written += [between, _inside(text) if quoted else json.dumps(value) if isinstance(value, str) else text]
        at = found.end()
    return "".join([*written, template[at:]])


def _inside(text: str) -> str:
    return json.dumps(text)[1:-1]
