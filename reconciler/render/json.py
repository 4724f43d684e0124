"""The plan as JSON: the contract's section 7, after terraform's ``show -json``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from reconciler import __version__
from reconciler.model import (
    Address,
    Plan,
    Verb,
)
from reconciler.model.masking import in_json
from reconciler.model.paths import opened
from reconciler.model.problems import Problem
from reconciler.render.checksum import checksum
from reconciler.render.entries import resource
from reconciler.render.mask import Mask

FORMAT_VERSION = "1.0"


def dumps(value: Any, *, indent: int | None = None) -> str:
    """JSON text of ``value`` without control characters that a terminal would interpret."""
    return in_json(json.dumps(value, indent=indent, ensure_ascii=False, default=str))


def plan(
    plan: Plan, *, timestamp: str, mask: Mask, errored: bool = False, only_changes: bool = False
) -> dict[str, Any]:
    """The complete document. ``timestamp`` is the only member that differs between two equal plans."""
    resources = [r for r in plan.resources if not (only_changes and r.verb is Verb.NOOP)]
    return {
        "format_version": FORMAT_VERSION,
        "reconcile_version": __version__,
        "timestamp": timestamp,
        "environment": plan.scope.environment,
        "account": plan.scope.account,
        "region": plan.scope.region,
        **({"endpoint": mask.line(plan.scope.endpoint)} if plan.scope.endpoint else {}),
        "applyable": plan.applyable and not errored,
        "complete": plan.complete,
        "errored": errored,
        "checksum": checksum(plan, mask),
        "summary": {verb.value: plan.count(verb) for verb in _SUMMARY},
        "lookups": {mask.text(name): value for name, value in _lookups(plan, mask)},
        "resource_changes": [resource(item, mask) for item in resources],
    }


_SUMMARY = (Verb.CREATE, Verb.ADOPT, Verb.UPDATE, Verb.REPLACE, Verb.DELETE, Verb.NOOP)


def _lookups(plan: Plan, mask: Mask) -> Iterator[tuple[str, Any]]:
    """The values of the look-ups; the ARN of a secret is none, so it is shown although its look-up is called token."""
    for name, value in plan.lookups.items():
        public = isinstance(value, str) and value.startswith("arn:")
        yield name, mask.value(value) if public else next(iter(mask.value({name: value}).values()))


def cause(plan: Plan, address: Address, path: str, root: str = "") -> dict[str, Any]:
    """The property at ``path`` that caused a failure, and where it is declared."""
    item = next(item for item in plan.resources if item.address == address)
    pos = item.declared.at(tuple(path.split("."))) if item.declared else None
    place = {"file": opened(root, pos.file), "line": pos.line, "column": pos.column} if pos else {}
    return {"path": path, **place}


def problem(found: Problem, mask: Mask, root: str = "", environment: str = "") -> dict[str, Any]:
    """One problem, as ``validate --format json`` prints it (the contract's section 8).

    ``root`` is the path prefix of its file; ``environment`` names the environment of a problem that names none.
    """
    pos = replace(found.pos, file=opened(root, found.pos.file)) if found.pos else None
    return {
        "code": found.code,
        "severity": found.severity,
        "environment": found.environment or environment,
        "message": mask.text(found.message),
        "hint": mask.text(found.hint),
        "address": mask.text(found.address),
        "path": mask.text(found.path),
        "file": pos.file if pos else None,
        "line": pos.line if pos else None,
        "column": pos.column if pos else None,
    }
