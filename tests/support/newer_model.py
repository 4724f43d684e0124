"""An AWS model that is newer than the schemas: the installed one with members and values that nobody has yet.

What is made up is named so that nobody takes it for real. Written where botocore looks for models, it is what the tool,
boto3 and the sandbox find, each by itself.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from botocore.loaders import Loader

# shape -> members that it gets; a type stands for a shape of its own
BATCH: Mapping[str, Mapping[str, str]] = {
    "CreateComputeEnvironmentRequest": {"moonMode": "MoonMode", "birthSign": "String", "secondThought": "Boolean"},
    "UpdateComputeEnvironmentRequest": {"moonMode": "MoonMode", "secondThought": "Boolean", "afterlife": "String"},
    "ComputeEnvironmentDetail": {
        "moonMode": "MoonMode",
        "birthSign": "String",
        "secondThought": "Boolean",
        "afterlife": "String",
    },
    "ComputeResource": {"bootRites": "BootRites", "graveGoods": "String"},
    "ComputeResourceUpdate": {"bootRites": "BootRites"},
    "CreateJobQueueRequest": {"queueJumping": "Boolean", "whisper": "String"},
    "UpdateJobQueueRequest": {"queueJumping": "Boolean", "whisper": "String"},
    "JobQueueDetail": {"queueJumping": "Boolean"},
    "ComputeEnvironmentOrder": {"charm": "Integer"},
    "JobStateTimeLimitAction": {"epitaph": "String"},
    "RegisterJobDefinitionRequest": {"horoscope": "String"},
    "JobDefinition": {"horoscope": "String"},
    "ContainerProperties": {"amulet": "Boolean", "password": "Password", "incense": "IncenseList"},
    "KeyValuePair": {"rune": "String"},
    "NodeRangeProperty": {"constellation": "String"},
    "EcsTaskProperties": {"altar": "String"},
    "TaskContainerProperties": {"candles": "Integer"},
    "EksPodProperties": {"oracle": "String"},
    "EksContainer": {"omen": "Boolean"},
    "FairsharePolicy": {"mercySeconds": "Integer"},
    "CreateSchedulingPolicyRequest": {"totem": "String"},
    "UpdateSchedulingPolicyRequest": {"totem": "String"},
    "SchedulingPolicyDetail": {"totem": "String"},
    "CreateConsumableResourceRequest": {"vintage": "String"},
    "UpdateConsumableResourceRequest": {"vintage": "String"},
    "DescribeConsumableResourceResponse": {"vintage": "String"},
    "CreateServiceEnvironmentRequest": {"patron": "String"},
    "UpdateServiceEnvironmentRequest": {"patron": "String"},
    "ServiceEnvironmentDetail": {"patron": "String"},
}
SHAPES: Mapping[str, Any] = {
    "MoonMode": {"type": "string", "enum": ["FULL", "NEW"]},
    "BootRites": {
        "type": "structure",
        "required": ["dance"],
        "members": {
            "dance": {"shape": "MoonMode"},
            "rounds": {"shape": "RiteRounds"},
            "herbs": {"shape": "TagsMap"},
            "offerings": {"shape": "IncenseList"},
        },
    },
    "Password": {"type": "string", "sensitive": True, "min": 4, "max": 40},
    "RiteRounds": {"type": "integer", "min": 1, "max": 9},
    "IncenseList": {"type": "list", "member": {"shape": "Incense"}, "max": 2},
    "Incense": {"type": "structure", "required": ["resin"], "members": {"resin": {"shape": "String"}}},
}
ENUMS: Mapping[str, str] = {
    "CRAllocationStrategy": "GREEDY_FIT",
    "CRUpdateAllocationStrategy": "GREEDY_FIT",
    "LogDriver": "otlp",
    "JobStateTimeLimitActionsState": "STARTING",
}
EC2: Mapping[str, Mapping[str, str]] = {
    "RequestLaunchTemplateData": {"SpiritLevel": "String"},
    "ResponseLaunchTemplateData": {"SpiritLevel": "String"},
}
EVENTS: Mapping[str, Mapping[str, str]] = {"Target": {"Incantation": "String", "Wards": "TransformerPaths"}}


def write(folder: Path) -> Path:
    """The models below ``folder``, which is what AWS_DATA_PATH is to say."""
    batch = dict(Loader().load_service_model("batch", "service-2"))
    shapes = batch["shapes"] = {**batch["shapes"], **SHAPES}
    _add(shapes, BATCH)
    for name, word in ENUMS.items():
        shapes[name] = {**shapes[name], "enum": [*shapes[name]["enum"], word]}
    _save(folder, "batch", "2016-08-10", batch)
    ec2 = dict(Loader().load_service_model("ec2", "service-2"))
    _add(ec2["shapes"], EC2)
    _save(folder, "ec2", "2016-11-15", ec2)
    events = dict(Loader().load_service_model("events", "service-2"))
    _add(events["shapes"], EVENTS)
    _save(folder, "events", "2015-10-07", events)
    return folder


def _add(shapes: dict[str, Any], added: Mapping[str, Mapping[str, str]]) -> None:
    for name, members in added.items():
        more = {member: {"shape": shape} for member, shape in members.items()}
        shapes[name] = {**shapes[name], "members": {**shapes[name]["members"], **more}}


def _save(folder: Path, service: str, version: str, model: Mapping[str, Any]) -> None:
    place = folder / service / version
    place.mkdir(parents=True)
    (place / "service-2.json").write_text(json.dumps(model), encoding="utf-8")
