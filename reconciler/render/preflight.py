"""What a preflight found: as JSON (the contract's section 8), and in one line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reconciler.model import Address, Resource
from reconciler.model.paths import dotted
from reconciler.model.preflight import Checked, Fit
from reconciler.render.mask import Mask


def rows(found: Sequence[Checked], resources: Mapping[Address, Resource], mask: Mask) -> list[dict[str, Any]]:
    """Each check, with its place in YAML. ``permission`` is the action that was not permitted, where that is why."""
    return [_row(one, resources[one.address], mask) for one in found]


def _row(one: Checked, resource: Resource, mask: Mask) -> dict[str, Any]:
    check, pos = one.check, resource.at(one.check.path)
    return {
        "address": mask.text(str(one.address)),
        "queue": mask.text(check.queue) or None,
        "environment": mask.text(check.environment) or None,
        "check": check.check,
        "verdict": check.verdict.value,
        "certainty": None if check.verdict is Fit.unknown else "certain" if check.certain else "likely",
        "message": mask.text(check.message),
        "hint": mask.text(check.hint),
        "path": mask.text(dotted(check.path)),
        "file": pos.file or None,
        "line": pos.line if pos.file else None,
        "column": pos.column if pos.file else None,
        **({"permission": check.denied} if check.denied else {}),
    }


def summary(found: Sequence[Checked]) -> str:
    """The number of checks by verdict: ``Preflight: 12 checks fit, 1 cannot, 2 unknown.``"""
    if not found:
        return "Preflight: nothing to check."
    counts = {fit: sum(one.check.verdict is fit for one in found) for fit in Fit}
    parts = [f"{counts[Fit.fits]} check{'s' * (counts[Fit.fits] != 1)} fit"]
    parts[0] += "s" * (counts[Fit.fits] == 1)
    parts += [f"{counts[fit]} {fit.value}" for fit in (Fit.cannot, Fit.unknown) if counts[fit]]
    denied = sorted({one.check.denied for one in found if one.check.denied})
    allow = f" (not permitted: {', '.join(denied)})" if denied else ""
    return f"Preflight: {', '.join(parts)}{allow}."
