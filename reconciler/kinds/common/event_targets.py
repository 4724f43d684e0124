"""What the targets of EventBridge's rules and of its Scheduler's schedules have in common.

https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_Target.html
https://docs.aws.amazon.com/scheduler/latest/APIReference/API_Target.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from reconciler.kinds.common.declared import mapping
from reconciler.kinds.common.normal_forms import unless
from reconciler.kinds.common.policy_document.document import parse
from reconciler.model import Field, Json, Ref, Template
from reconciler.model.when_used import when_used

with when_used():
    from reconciler.kinds.common.json_text import from_json

SET: Final = Field(unordered=True)
OFF: Final = Field(normalize=unless(False))
ECS: Final = "ecsParameters"
VPC: Final = f"{ECS}.networkConfiguration.awsvpcConfiguration"
# members that begin with a lower-case letter in the API, too
SMALL: Final = ("capacityProviderStrategy", "placementConstraints", "placementStrategy")

MEMBERS: Final[Mapping[str, Field]] = {
    "retryPolicy.maximumRetryAttempts": Field(normalize=unless(185)),
    "retryPolicy.maximumEventAgeInSeconds": Field(normalize=unless(86400)),
    f"{ECS}.taskCount": Field(normalize=unless(1)),
    f"{ECS}.enableECSManagedTags": OFF,
    f"{ECS}.enableExecuteCommand": OFF,
    f"{VPC}.subnets": SET,
    f"{VPC}.securityGroups": SET,
    f"{VPC}.assignPublicIp": Field(normalize=unless("DISABLED")),
}

# the plain name means the latest revision, so that a new revision changes neither a rule nor a schedule
JOB_DEFINITION: Final = Ref(
    section="jobDefinitions", attr="name", literal=r"arn:|[^:]+:\d+$", holds=False, same_account_and_region=True
)
ROLE: Final = Ref(section="roles", same_account_and_region=True)
SECURITY_GROUP: Final = Ref(section="securityGroups", attr="id", literal=r"sg-")


def parse_input(text: Any) -> Any:
    """JSON text of an object or a list, parsed; anything else unchanged, since an input may be a plain text."""
    if isinstance(text, Template):
        return parse(text)
    if not isinstance(text, str):
        return text
    try:
        found = from_json(text)
    except ValueError:
        return text
    return found if isinstance(found, dict | list) else text


def small_network(raised_ecs: Json) -> dict[str, Any]:
    """ECS parameters of a request with ``awsvpcConfiguration`` as the API spells it, with a lower-case letter."""
    network = mapping(raised_ecs.get("NetworkConfiguration"))
    if "AwsvpcConfiguration" not in network:
        return dict(raised_ecs)
    return {**raised_ecs, "NetworkConfiguration": {"awsvpcConfiguration": network["AwsvpcConfiguration"]}}


def without_empty(value: Any, *, everything: bool = False) -> Any:
    """The value without null and empty members, except inside ``input``, where they are data."""
    if isinstance(value, Mapping):
        kept = {name: without_empty(item, everything=everything or name == "input") for name, item in value.items()}
        return kept if everything else {name: item for name, item in kept.items() if item not in (None, [], {}, "")}
    return [without_empty(item, everything=everything) for item in value] if isinstance(value, list | tuple) else value
