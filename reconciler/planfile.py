"""Saved plans: a claim to be checked, not a script to be replayed.

``apply FILE`` plans again, and goes on only when that comes out the same. So the file holds the plan as JSON (the
contract's section 7) and what is needed to make it again; no secret is in it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from reconciler.model import Address, Options
from reconciler.problems import Problem, Problems

MARK: Final = "reconcile-plan/1"
_ADDRESSES: Final = ("targets", "exclude", "replace", "refresh")


@dataclass(frozen=True, slots=True)
class Saved:
    """What a plan file says."""

    env: str | None
    options: Options
    checksum: str


def write(path: Path, document: Mapping[str, Any], *, env: str | None, options: Options) -> None:
    """Save ``document`` and how it was asked for. Raises Problems when the file cannot be written."""
    asked = {
        "env": env,
        "adopt": options.adopt,
        "destroy": options.destroy,
        "allow_deletions": options.allow_deletions,
        **{name: [[a.section, a.name] for a in getattr(options, name)] for name in _ADDRESSES},
    }
    try:
        path.write_text(json.dumps({"file": MARK, "asked": asked, "plan": document}, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise Problems(
            [_problem(f"{path} cannot be written: {error.strerror}", "choose another --out FILE")]
        ) from error


def read(path: Path) -> Saved:
    """Read a plan file. Raises Problems when it is not one."""
    try:
        saved = json.loads(path.read_text(encoding="utf-8"))
        asked = saved["asked"] if saved["file"] == MARK else {}
        options = Options(
            adopt=bool(asked["adopt"]),
            destroy=bool(asked["destroy"]),
            allow_deletions=asked["allow_deletions"],
            **{n: tuple(Address(*pair) for pair in asked[n]) for n in _ADDRESSES},
        )
        return Saved(env=asked["env"], options=options, checksum=str(saved["plan"]["checksum"]))
    except OSError as error:
        raise Problems([_problem(f"{path} cannot be read: {error.strerror}", "")]) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        found = _problem(f"{path} is not a saved plan", "write one with `reconcile plan --out FILE`")
        raise Problems([found]) from error


def _problem(message: str, hint: str) -> Problem:
    return Problem(code="plan-file", message=message, hint=hint)
