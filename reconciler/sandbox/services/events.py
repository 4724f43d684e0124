"""EventBridge: tags are ignored when a rule is put again; targets and roles are checked.

https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutRule.html
https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutTargets.html
"""

from __future__ import annotations

import json
import re
from typing import Any

from reconciler.model.patterns import regex
from reconciler.sandbox.services._hooks import Rules, ServiceCall
from reconciler.sandbox.services.iam import changed_at
from reconciler.sandbox.wire import Json, Refusal

RULES = Rules("events")

_PRINCIPAL = "events.amazonaws.com"


@RULES.before("PutRule")
def patterns_are_valid(call: ServiceCall) -> None:
    """A pattern is an object whose leaves are lists.

    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-patterns.html
    """
    text = call.params.get("EventPattern")
    if not text:
        return
    try:
        pattern = json.loads(text)
    except ValueError as error:
        raise _bad_pattern(str(error)) from error
    if not isinstance(pattern, dict) or not pattern:
        raise _bad_pattern("Empty or no object")
    _pattern(pattern)


@RULES.before("PutRule")
def schedules_are_valid(call: ServiceCall) -> None:
    """A rate has a count and its unit in the right number, a cron expression six fields with ``?`` for one of the days.

    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-scheduled-rule-pattern.html
    """
    text = call.params.get("ScheduleExpression") or ""
    if text and not (_is_rate(text) or _is_cron(text)):
        raise Refusal("ValidationException", "Parameter ScheduleExpression is not valid.")


def _is_rate(text: str) -> bool:
    found = re.fullmatch(r"rate\((\d+) (minute|hour|day)(s?)\)", text)
    return found is not None and int(found[1]) > 0 and (int(found[1]) == 1) == (not found[3])


def _is_cron(text: str) -> bool:
    found = re.fullmatch(r"cron\((.+)\)", text)
    fields = found[1].split() if found else []
    return (
        len(fields) == 6
        and (fields[2] == "?") != (fields[4] == "?")
        and all(_is_field(field, place) for place, field in enumerate(fields))
    )


_RANGES = (range(60), range(24), range(1, 32), range(1, 13), range(1, 8), range(1970, 2200))
_NAMES = {
    3: ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"],
    4: ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"],
}
_SPECIAL = {2: regex(r"[?L]|LW|L-\d+|\d+W"), 4: regex(r"[?L]|[1-7A-Z]+(L|#[1-5])")}


def _is_field(text: str, place: int) -> bool:
    for term in text.split(","):
        if place in _SPECIAL and _SPECIAL[place].fullmatch(term):
            continue
        found = re.fullmatch(r"(?:\*|(\w+)(?:-(\w+))?)(?:/0*[1-9]\d*)?", term)
        ends = [end for end in (found.groups() if found else ()) if end]
        if not found or not all(
            end.upper() in _NAMES.get(place, ()) or (end.isdecimal() and int(end) in _RANGES[place]) for end in ends
        ):
            return False
    return True


def _pattern(pattern: Any) -> None:
    for name, value in pattern.items():
        if isinstance(value, dict):
            if not value:
                raise _bad_pattern(f'Empty objects are not allowed: "{name}"')
            _pattern(value)
        elif not isinstance(value, list):
            raise _bad_pattern(f'"{name}" must be an object or an array')
        elif not value:
            raise _bad_pattern(f'Empty arrays are not allowed: "{name}"')


def _bad_pattern(why: str) -> Refusal:
    return Refusal("InvalidEventPatternException", f"Event pattern is not valid. Reason: {why}")


@RULES.before("PutRule")
def tags_of_an_update_are_ignored(call: ServiceCall) -> None:
    """PutRule uses tags only for a new rule."""
    bus = call.backend.event_buses.get(_bus(call))
    if bus is not None and call.params["Name"] in bus.rules:
        call.rewrite(Tags=None)


@RULES.before("PutRule")
def a_rule_has_a_pattern_or_a_schedule(call: ServiceCall) -> None:
    """PutRule without both is refused."""
    if not call.params.get("EventPattern") and not call.params.get("ScheduleExpression"):
        message = "Parameter(s) EventPattern or ScheduleExpression must be specified."
        raise Refusal("ValidationException", message)


@RULES.before("PutRule", "PutTargets", "RemoveTargets", "DeleteRule", "TagResource", "UntagResource")
def managed_rules_are_protected(call: ServiceCall) -> None:
    """A rule that an AWS service manages cannot be changed without ``Force``.

    https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_DeleteRule.html
    """
    arn = call.params.get("ResourceARN")
    name = arn.rpartition("/")[2] if arn else call.params.get("Rule") or call.params.get("Name")
    bus = call.backend.event_buses.get(_bus(call))
    rule = bus.rules.get(name) if bus is not None else None
    if rule is not None and rule.managed_by and not call.params.get("Force"):
        message = f"Rule {name} is managed by an AWS service can only be modified if force is used."
        raise Refusal("ManagedRuleException", message)


@RULES.before("PutTargets")
def targets_are_checked(call: ServiceCall) -> None:
    """A job queue needs parameters and a role; a rule has at most five targets."""
    for target in call.params.get("Targets") or []:
        if ":batch:" in target["Arn"] and ":job-queue/" in target["Arn"]:
            if not target.get("BatchParameters"):
                raise Refusal("ValidationException", f"BatchParameters must be specified for target {target['Id']}.")
            if not target.get("RoleArn"):
                raise Refusal("ValidationException", f"RoleArn is required for target {target['Arn']}.")
    bus = call.backend.event_buses.get(_bus(call))
    rule = bus.rules.get(call.params["Rule"]) if bus else None
    if rule is not None:
        ids = {target["Id"] for target in rule.targets} | {target["Id"] for target in call.params.get("Targets") or []}
        if len(ids) > 5:
            message = "The requested resource exceeds the maximum number allowed."
            raise Refusal("LimitExceededException", message)


@RULES.before("PutTargets")
def arns_and_parameters_fit(call: ServiceCall) -> None:
    """ARNs are whole, a target in AWS Batch is a queue, a cluster has parameters, dead letters go to standard queues.

    https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutTargets.html
    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html
    """
    for target in call.params.get("Targets") or []:
        arn, name = target["Arn"], target["Id"]
        if len(arn.split(":", 5)) < 6:
            raise Refusal(
                "ValidationException", f"Parameter {arn} is not valid. Reason: Provided Arn is not in correct format."
            )
        if arn.split(":")[2] == "batch" and ":job-queue/" not in arn:
            raise Refusal("ValidationException", f"Parameter {arn} is not valid. Reason: Not a supported target.")
        if arn.split(":")[2] == "ecs" and not target.get("EcsParameters"):
            raise Refusal("ValidationException", f"EcsParameters must be specified for target {name}.")
        dead = (target.get("DeadLetterConfig") or {}).get("Arn")
        if dead and (":sqs:" not in dead or dead.endswith(".fifo")):
            raise Refusal("ValidationException", f"The dead-letter queue {dead} of target {name} is not valid.")
        if not (target.get("InputPath") or "$").startswith("$"):
            raise Refusal("ValidationException", f"InputPath for target {name} is invalid.")


@RULES.before("PutTargets")
def inputs_are_json_and_only_one(call: ServiceCall) -> None:
    """A target has at most one kind of input, and its text is JSON."""
    for target in call.params.get("Targets") or []:
        given = [name for name in ("Input", "InputPath", "InputTransformer") if target.get(name)]
        if len(given) > 1:
            message = f"Only one of Input, InputPath, or InputTransformer must be provided for target {target['Id']}."
            raise Refusal("ValidationException", message)
        try:
            json.loads(target.get("Input") or "{}")
        except ValueError as error:
            raise Refusal("ValidationException", f"Invalid JSON text in Input of target {target['Id']}.") from error


@RULES.before("PutRule", "PutTargets")
def roles_can_be_assumed(call: ServiceCall) -> None:
    """Roles of the account must trust EventBridge, and be visible to it."""
    targets = call.params.get("Targets") or []
    for arn in [call.params.get("RoleArn"), *(target.get("RoleArn") for target in targets)]:
        if arn and arn.split(":")[4] == call.account.id and not _assumed(call, arn):
            raise Refusal(
                "ValidationException", f"Provided role '{arn}' cannot be assumed by principal '{_PRINCIPAL}'."
            )


def _assumed(call: ServiceCall, arn: str) -> bool:
    """Whether the role exists, trusts EventBridge, and was last changed more than ``iam_delay`` ago."""
    roles = call.account.moto.backend("iam", call.region).roles.values()
    role = next((one for one in roles if one.arn == arn), None)
    if role is None or _PRINCIPAL not in role.assume_role_policy_document:
        return False
    return bool(call.now - changed_at(call.account, "role", role.id) >= call.account.settings.iam_delay)


@RULES.before("DeleteRule")
def deleting_a_missing_rule_succeeds(call: ServiceCall) -> Json | None:
    """DeleteRule succeeds for a rule that does not exist."""
    bus = call.backend.event_buses.get(_bus(call))
    return {} if bus is not None and call.params["Name"] not in bus.rules else None


def _bus(call: ServiceCall) -> str:
    return str(call.params.get("EventBusName") or "default").rpartition("/")[2]


@RULES.before("PutEvents")
def events_are_delivered(call: ServiceCall) -> Json:
    """To all kinds of targets that the sandbox has, of which moto knows some.

    https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html
    """
    entries = [_put(call, one) for one in call.params.get("Entries") or ()]
    return {"FailedEntryCount": sum("ErrorCode" in one for one in entries), "Entries": entries}


def _put(call: ServiceCall, entry: Json) -> Json:
    for name in ("Source", "DetailType", "Detail"):
        if not entry.get(name):
            message = f"Parameter {name} is not valid. Reason: {name} is a required argument."
            return {"ErrorCode": "InvalidArgument", "ErrorMessage": message}
    if entry["Source"].startswith("aws."):
        message = f"Not authorized for the source {entry['Source']}."
        return {"ErrorCode": "NotAuthorizedForSourceException", "ErrorMessage": message}
    try:
        detail = json.loads(entry["Detail"])
    except ValueError:
        detail = None
    if not isinstance(detail, dict):
        return {"ErrorCode": "MalformedDetail", "ErrorMessage": "Detail is malformed."}
    bus = str(entry.get("EventBusName") or "default").rpartition("/")[2]
    event = {
        "detail-type": entry["DetailType"],
        "source": entry["Source"],
        "resources": entry.get("Resources") or [],
        "detail": detail,
    }
    return {"EventId": call.account.deliver(call.region, event, bus)}
