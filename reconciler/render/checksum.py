"""The checksum of a plan, by which a saved plan is compared with a new one."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, assert_never

from reconciler.model import (
    MISSING,
    Base64,
    Call,
    Digest,
    JsonText,
    Later,
    Plan,
    Reference,
    Secret,
    Step,
    Template,
    Text,
    Verb,
    compact,
    fingerprint,
)
from reconciler.model.masking import SENSITIVE
from reconciler.model.stand_ins import StandIn, convert
from reconciler.render.entries import resource
from reconciler.render.mask import Mask


def checksum(plan: Plan, mask: Mask) -> str:
    """``sha256:...`` over the changes of a plan and their scope; equal for equal plans.

    Where secrets are sent, it includes a slow salted digest of everything that is sent: plans that differ only in
    secrets have different checksums, and a checksum reveals nothing about a secret.
    """
    where = [plan.scope.environment, plan.scope.account, plan.scope.region, plan.destroy]
    changed = [item for item in plan.resources if item.verb is not Verb.NOOP]
    doing = [[essence(resource(item, mask)), [mask.text(note) for note in item.side_effects]] for item in changed]
    seen, sent = ([_sent(part, how) for item in changed for part in item.steps] for how in (mask, None))
    hidden = "" if seen == sent else fingerprint(sent, compact(where))
    whole = compact([where, doing, seen, hidden]).encode("utf-8", "surrogatepass")
    return f"sha256:{hashlib.sha256(whole).hexdigest()}"


def essence(entry: Mapping[str, Any]) -> dict[str, Any]:
    """The members of an entry of ``resource_changes`` that must be equal in a saved plan and a new one.

    Without the place of its declaration (moving a line changes nothing), without notes, and without properties that do
    not differ (other tools may change them, as with ``ignoreChanges``). Of a deletion, all properties that are deleted.
    """
    change = entry["change"]
    gone = {"before": change["before"]} if entry["action"] == "delete" else {}
    alike = {name: entry[name] for name in ("address", "physical_name", "action", "disruption", "steps", "depends_on")}
    differences = [{name: value for name, value in told.items() if name != "reason"} for told in entry["differences"]]
    how = {"actions": change["actions"], "importing": change.get("importing"), "forced_by": change["replace_paths"]}
    return {**alike, **how, **gone, "differences": differences}


def _sent(part: Step, mask: Mask | None) -> list[Any]:
    """All details of a step; without a ``mask`` secrets are included."""
    if isinstance(part.action, Call):
        return [str(part.action), _plain_json(part.action.params, mask)]
    return [part.action.title, part.action.timeout, part.action.or_go_on]


def _plain_json(value: Any, mask: Mask | None) -> Any:
    """``value`` as plain JSON in which different stand-ins differ."""
    return convert(value, lambda stand_in: _plain_stand_in(stand_in, mask), lambda scalar: _plain_scalar(scalar, mask))


def _plain_stand_in(value: StandIn, mask: Mask | None) -> Any:
    match value:
        case Later():
            return {"later": [str(value.address), value.attr]}
        case Text():
            return {"text": _plain_json(value.parts, mask)}
        case JsonText() | Base64():
            return _plain_json(value.value, mask)
        case Secret():
            return SENSITIVE if mask else _plain_json(value.value, mask)
        case Digest():
            return {"digest": [_plain_json(value.value, mask), _plain_json(value.salt, mask)]}
        case Template() | Reference():
            return _plain_scalar(str(value), mask)
        case _:
            assert_never(value)


def _plain_scalar(value: Any, mask: Mask | None) -> Any:
    if isinstance(value, str):
        return mask.text(value) if mask else value
    return None if value is MISSING else value
