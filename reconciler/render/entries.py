"""The entries of ``resource_changes`` in the plan's JSON (the contract's section 7)."""

from __future__ import annotations

from typing import Any

from reconciler.model import Call, Change, Effect, Json, ResourcePlan, Step, Verb
from reconciler.model.masking import SENSITIVE
from reconciler.model.paths import dotted
from reconciler.render.mask import Mask, known_part, unknown_part

_ACTIONS = {
    Verb.NOOP: ["no-op"],
    Verb.CREATE: ["create"],
    Verb.UPDATE: ["update"],
    Verb.DELETE: ["delete"],
}


def resource(item: ResourcePlan, mask: Mask) -> dict[str, Any]:
    """One entry of ``resource_changes``, with secrets masked."""
    change: dict[str, Any] = {
        "actions": actions(item),
        "before": _masked(item.before, item, mask),
        "after": _masked(None if item.after is None else known_part(item.after), item, mask),
        "after_unknown": unknown_part(item.after) if item.after else {},
        "before_sensitive": _sensitive(item.before, item),
        "after_sensitive": _sensitive(item.after, item),
        "replace_paths": [list(c.path) for c in item.changes if c.effect is Effect.REPLACE],
    }
    if item.importing:
        change["importing"] = {"id": mask.text(item.importing)}
    source = {"file": item.pos.file, "line": item.pos.line, "column": item.pos.column} if item.pos else None
    return {
        "address": mask.text(str(item.address)),
        "mode": "managed",
        "type": item.address.section,
        "name": mask.text(item.address.name),
        "physical_name": mask.text(item.physical),
        "action": item.verb.value,
        "change": change,
        "action_reason": mask.text(item.reason),
        "differences": [difference(change, mask) for change in item.changes],
        "disruption": mask.text(item.disruption),
        "interrupts": item.interrupts,
        "notes": [mask.text(note) for note in item.notes],
        "steps": [step(part, mask) for part in item.steps if item.verb is not Verb.NOOP],
        "depends_on": [mask.text(str(address)) for address in item.depends_on],
        "source": source,
    }


def actions(item: ResourcePlan) -> list[str]:
    """Terraform's list of actions: https://developer.hashicorp.com/terraform/internals/json-format."""
    if item.verb is Verb.REPLACE:
        return ["create", "delete"] if item.create_first else ["delete", "create"]
    if item.verb is Verb.ADOPT:
        return ["update"] if item.steps else ["no-op"]
    return _ACTIONS[item.verb]


def difference(change: Change, mask: Mask) -> dict[str, Any]:
    """One entry of ``differences``: a leaf that differs."""
    return {
        "path": mask.text(dotted(change.path)),
        "before": None if change.secret else mask.value(change.before),
        "after": None if change.secret or change.unknown else mask.value(change.after),
        "effect": change.effect.value,
        "reason": mask.text(change.because),
        "sensitive": change.secret or mask.hides(change.after),
        "unknown": change.unknown,
    }


def step(part: Step, mask: Mask) -> dict[str, Any]:
    """One entry of ``steps``: a call with its parameters, masked, or a wait."""
    if isinstance(part.action, Call):
        return {"call": str(part.action), "parameters": mask.value(part.action.params)}
    return {"wait": mask.text(part.action.title)}


def _masked(props: Json | None, item: ResourcePlan, mask: Mask) -> Any:
    if props is None:
        return None
    return {name: SENSITIVE if name in item.secret_paths else value for name, value in mask.value(props).items()}


def _sensitive(props: Json | None, item: ResourcePlan) -> dict[str, bool]:
    return {name: True for name in sorted(item.secret_paths) if props and name in props}
