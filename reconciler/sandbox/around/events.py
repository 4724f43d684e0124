"""EventBridge: tags are ignored when a rule is rewritten, and targets are checked.

https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutRule.html
"""

from __future__ import annotations

from reconciler.sandbox.around._rules import Ask, Rules
from reconciler.sandbox.wire import Json, Refusal

RULES = Rules("events")


@RULES.before("PutRule")
def tags_of_an_update_are_ignored(ask: Ask) -> None:
    bus = ask.backend.event_buses.get(_bus(ask))
    if bus is not None and ask.params["Name"] in bus.rules:
        ask.send(Tags=None)


@RULES.before("PutRule")
def a_rule_has_a_pattern_or_a_schedule(ask: Ask) -> None:
    if not ask.params.get("EventPattern") and not ask.params.get("ScheduleExpression"):
        told = "Parameter(s) EventPattern or ScheduleExpression must be specified."
        raise Refusal("ValidationException", told)


@RULES.before("PutTargets")
def targets_are_checked(ask: Ask) -> None:
    for target in ask.params.get("Targets") or []:
        if ":batch:" in target["Arn"] and ":job-queue/" in target["Arn"]:
            if not target.get("BatchParameters"):
                raise Refusal("ValidationException", f"BatchParameters must be specified for target {target['Id']}.")
            if not target.get("RoleArn"):
                raise Refusal("ValidationException", f"RoleArn is required for target {target['Arn']}.")
    bus = ask.backend.event_buses.get(_bus(ask))
    rule = bus.rules.get(ask.params["Rule"]) if bus else None
    if rule is not None:
        ids = {target["Id"] for target in rule.targets} | {target["Id"] for target in ask.params.get("Targets") or []}
        if len(ids) > 5:
            told = "The requested resource exceeds the maximum number allowed."
            raise Refusal("LimitExceededException", told)


@RULES.before("DeleteRule")
def a_missing_rule_is_no_error(ask: Ask) -> Json | None:
    bus = ask.backend.event_buses.get(_bus(ask))
    return {} if bus is not None and ask.params["Name"] not in bus.rules else None


def _bus(ask: Ask) -> str:
    return str(ask.params.get("EventBusName") or "default").rpartition("/")[2]
