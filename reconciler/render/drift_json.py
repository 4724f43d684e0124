"""The report of `drift` as JSON: the contract's section 8. A later run compares itself with it (`--since`)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from reconciler.render import json as as_json
from reconciler.render.drift_view import HOW_BY_ACTION, Checked, Report, Status
from reconciler.render.mask import Mask

FORMAT_VERSION: Final = "1.0"
_NONE: Final = '\n  "environments": []'  # at the beginning of a line, as nothing in a text of JSON is
_NO_MASK: Final = Mask()  # everything in a report is masked already


def report(found: Report, *, only_changes: bool = False) -> str:
    """The whole report. ``only_changes``: without the resources that have not drifted."""
    return "".join(pieces(found, only_changes=only_changes))


def pieces(found: Report, *, only_changes: bool = False) -> Iterator[str]:
    """As :func:`report`, with one environment at a time: its plan is most of the text."""
    head, _, end = as_json.dumps(_document(found, []), indent=2).partition(_NONE)
    yield head + _NONE[:-1]
    between = "\n    "
    for one in found.environments:
        text = as_json.dumps(_environment(one, found, only_changes=only_changes), indent=2)
        yield between + text.replace("\n", "\n    ")
        between = ",\n    "
    yield f"\n  ]{end}" if found.environments else f"]{end}"


def document(found: Report, *, only_changes: bool = False) -> dict[str, Any]:
    """As :func:`report`, as data."""
    return _document(found, [_environment(one, found, only_changes=only_changes) for one in found.environments])


def _document(found: Report, environments: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "format_version": FORMAT_VERSION,
        "reconcile_version": found.version,
        "timestamp": found.at,
        **({"since": found.since, "unchecked": list(found.unchecked)} if found.since else {}),
        "environments": environments,
        "summary": {status.value: found.count(status) for status in Status},
        **({"problems": [as_json.problem(one, _NO_MASK) for one in found.problems]} if found.problems else {}),
        **({"unsent": [*found.unsent]} if found.unsent else {}),
    }


def _environment(one: Checked, found: Report, *, only_changes: bool) -> dict[str, Any]:
    since: dict[str, Any] = {"resolved": list(one.resolved), "recovered": one.recovered} if found.since else {}
    if found.since and one.status is Status.ERROR:
        since["since"] = one.since
    return {
        "environment": one.name,
        "account": one.account or None,
        "region": one.region or None,
        "status": one.status.value,
        "plan": _plan(one, only_changes=only_changes),
        "problems": [as_json.problem(problem, _NO_MASK, one.root, one.name) for problem in one.problems],
        **({"moving": list(one.moving)} if one.moving else {}),
        **since,
    }


def _plan(one: Checked, *, only_changes: bool) -> dict[str, Any] | None:
    """The plan, in which every change says how it is drift, since when, and who made it."""
    if one.plan is None:
        return None
    by_address = {drift.address: drift for drift in one.drifts}
    entries = []
    for entry in one.plan["resource_changes"]:
        how = HOW_BY_ACTION.get(entry["action"])
        if how is None:
            entries += [] if only_changes else [entry]
            continue
        drift = by_address.get(entry["address"])
        more: dict[str, Any] = {"drift": how.value}
        if drift and drift.since:
            more["since"] = drift.since
        if drift and (drift.changed_by or drift.unknown_because):
            more["changed_by"] = dict(drift.changed_by) if drift.changed_by else None
            more |= {"also_changed_by": [*map(dict, drift.also_changed_by)]} if drift.also_changed_by else {}
        entries.append({**entry, **more})
    return {**one.plan, "resource_changes": entries}
