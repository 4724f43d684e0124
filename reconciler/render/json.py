"""The plan as JSON: the contract's section 7, after terraform's ``show -json``."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from reconciler import __version__
from reconciler.config.references import dotted
from reconciler.model import (
    MISSING,
    Address,
    Base64,
    Call,
    Change,
    Digest,
    Effect,
    Json,
    JsonText,
    Later,
    Plan,
    ResourcePlan,
    Secret,
    Step,
    Template,
    Text,
    Verb,
    compact,
    fingerprint,
)
from reconciler.model.masking import SENSITIVE, in_json
from reconciler.model.problems import Problem
from reconciler.render.mask import Mask, known_part, unknown_part

FORMAT_VERSION = "1.0"

_ACTIONS = {
    Verb.NOOP: ["no-op"],
    Verb.CREATE: ["create"],
    Verb.UPDATE: ["update"],
    Verb.DELETE: ["delete"],
}


def dumps(value: Any, *, indent: int | None = None) -> str:
    """JSON text of ``value`` in which nothing is left that a terminal would obey."""
    return in_json(json.dumps(value, indent=indent, ensure_ascii=False, default=str))


def plan(
    plan: Plan, *, timestamp: str, mask: Mask, errored: bool = False, only_changes: bool = False
) -> dict[str, Any]:
    """The whole document. ``timestamp`` is the only part that differs between two plans of the same thing."""
    resources = [r for r in plan.resources if not (only_changes and r.verb is Verb.NOOP)]
    return {
        "format_version": FORMAT_VERSION,
        "reconcile_version": __version__,
        "timestamp": timestamp,
        "environment": plan.scope.environment,
        "account": plan.scope.account,
        "region": plan.scope.region,
        "applyable": plan.applyable and not errored,
        "complete": plan.complete,
        "errored": errored,
        "checksum": checksum(plan, mask),
        "summary": {verb.value: plan.count(verb) for verb in _SUMMARY},
        "lookups": mask.value(plan.lookups),
        "resource_changes": [resource(item, mask) for item in resources],
    }


_SUMMARY = (Verb.CREATE, Verb.ADOPT, Verb.UPDATE, Verb.REPLACE, Verb.DELETE, Verb.NOOP)


def checksum(plan: Plan, mask: Mask) -> str:
    """``sha256:...`` over what would be done, and where; planning the same thing again gives the same.

    Where something secret is sent, a slow salted digest of all that is sent is part of it: plans that look alike and
    send other secrets have other checksums, and a checksum says nothing about a secret.
    """
    where = [plan.scope.environment, plan.scope.account, plan.scope.region, plan.destroy]
    changed = [item for item in plan.resources if item.verb is not Verb.NOOP]
    doing = [[essence(resource(item, mask)), [mask.text(note) for note in item.foreseen]] for item in changed]
    seen, sent = ([_sent(part, how) for item in changed for part in item.steps] for how in (mask, None))
    hidden = "" if seen == sent else fingerprint(sent, compact(where))
    whole = compact([where, doing, seen, hidden]).encode("utf-8", "surrogatepass")
    return f"sha256:{hashlib.sha256(whole).hexdigest()}"


def essence(entry: Mapping[str, Any]) -> dict[str, Any]:
    """What of an entry of ``resource_changes`` a saved plan is held to.

    Not where it is declared (moving a line changes nothing), nor mere advice, nor what was and will be where that is
    no difference (what others move, and ``ignoreChanges`` leaves alone). Of what is deleted it is all that goes.
    """
    change = entry["change"]
    gone = {"before": change["before"]} if entry["action"] == "delete" else {}
    alike = {name: entry[name] for name in ("address", "physical_name", "action", "disruption", "steps", "depends_on")}
    differences = [{name: value for name, value in told.items() if name != "reason"} for told in entry["differences"]]
    how = {"actions": change["actions"], "importing": change.get("importing"), "forced_by": change["replace_paths"]}
    return {**alike, **how, **gone, "differences": differences}


def _sent(part: Step, mask: Mask | None) -> list[Any]:
    """What a step does to the last detail; secrets as they are without a ``mask``."""
    if isinstance(part.action, Call):
        return [str(part.action), _spelt(part.action.params, mask)]
    return [part.action.title, part.action.timeout, part.action.or_go_on]


def _spelt(value: Any, mask: Mask | None) -> Any:
    """``value`` as plain JSON in which things that only look alike (what is not known yet) differ."""
    if isinstance(value, Mapping):
        return {str(name): _spelt(item, mask) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_spelt(item, mask) for item in value]
    if isinstance(value, JsonText | Base64):
        return _spelt(value.value, mask)
    if isinstance(value, Later | Secret | Digest | Text):
        return _stand_in(value, mask)
    if isinstance(value, Template | str):
        return mask.text(str(value)) if mask else str(value)
    return None if value is MISSING else value


def _stand_in(value: Later | Secret | Digest | Text, mask: Mask | None) -> Any:
    if isinstance(value, Later):
        return {"later": [str(value.address), value.attr]}
    if isinstance(value, Secret):
        return SENSITIVE if mask else _spelt(value.value, mask)
    if isinstance(value, Digest):
        return {"digest": [_spelt(value.value, mask), _spelt(value.salt, mask)]}
    return {"text": _spelt(value.parts, mask)}


def resource(item: ResourcePlan, mask: Mask) -> dict[str, Any]:
    """One entry of ``resource_changes``."""
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
        "notes": [mask.text(note) for note in item.notes],
        "steps": [step(part, mask) for part in item.steps],
        "depends_on": [mask.text(str(address)) for address in item.depends_on],
        "source": source,
    }


def actions(item: ResourcePlan) -> list[str]:
    """Terraform's list of actions."""
    if item.verb is Verb.REPLACE:
        return ["create", "delete"] if item.create_first else ["delete", "create"]
    if item.verb is Verb.ADOPT:
        return ["update"] if item.steps else ["no-op"]
    return _ACTIONS[item.verb]


def difference(change: Change, mask: Mask) -> dict[str, Any]:
    """One leaf that differs."""
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
    """One step: a call with its parameters as they will be sent, or a wait."""
    if isinstance(part.action, Call):
        return {"call": str(part.action), "parameters": mask.value(part.action.params)}
    return {"wait": mask.text(part.action.title)}


def cause(plan: Plan, address: Address, path: str, root: str = "") -> dict[str, Any]:
    """The property that a failure lies in, and where it stands."""
    item = next(item for item in plan.resources if item.address == address)
    pos = item.declared.at(tuple(path.split("."))) if item.declared else None
    place = {"file": f"{root}{pos.file}", "line": pos.line, "column": pos.column} if pos else {}
    return {"path": path, **place}


def problem(found: Problem, mask: Mask) -> dict[str, Any]:
    """One problem, as ``validate --format json`` prints it (the contract's section 8)."""
    return {
        "code": found.code,
        "severity": found.severity,
        "message": mask.text(found.message),
        "hint": mask.text(found.hint),
        "address": mask.text(found.address),
        "path": mask.text(found.path),
        "file": found.pos.file if found.pos else None,
        "line": found.pos.line if found.pos else None,
        "column": found.pos.column if found.pos else None,
    }


def _masked(props: Json | None, item: ResourcePlan, mask: Mask) -> Any:
    if props is None:
        return None
    return {name: SENSITIVE if name in item.secret_paths else value for name, value in mask.value(props).items()}


def _sensitive(props: Json | None, item: ResourcePlan) -> dict[str, bool]:
    return {name: True for name in sorted(item.secret_paths) if props and name in props}
