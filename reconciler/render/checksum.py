"""A digest over what would be done, to which a saved plan is held."""

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
    """``sha256:...`` over what would be done, and where; planning the same thing again gives the same.

    Where something secret is sent, a slow salted digest of all that is sent is part of it: plans that look alike and
    send other secrets have other checksums, and a checksum says nothing about a secret.
    """
    where = [plan.scope.environment, plan.scope.account, plan.scope.region, plan.destroy]
    changed = [item for item in plan.resources if item.verb is not Verb.NOOP]
    doing = [[essence(resource(item, mask)), [mask.text(note) for note in item.side_effects]] for item in changed]
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
    return convert(value, lambda stand_in: _spelt_stand_in(stand_in, mask), lambda scalar: _spelt_scalar(scalar, mask))


def _spelt_stand_in(value: StandIn, mask: Mask | None) -> Any:
    match value:
        case Later():
            return {"later": [str(value.address), value.attr]}
        case Text():
            return {"text": _spelt(value.parts, mask)}
        case JsonText() | Base64():
            return _spelt(value.value, mask)
        case Secret():
            return SENSITIVE if mask else _spelt(value.value, mask)
        case Digest():
            return {"digest": [_spelt(value.value, mask), _spelt(value.salt, mask)]}
        case Template() | Reference():
            return _spelt_scalar(str(value), mask)
        case _:
            assert_never(value)


def _spelt_scalar(value: Any, mask: Mask | None) -> Any:
    if isinstance(value, str):
        return mask.text(value) if mask else value
    return None if value is MISSING else value
