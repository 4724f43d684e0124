"""What a plan file contains for ``show``: the plan for the renderers (:mod:`reconciler.render.stored`), its warnings,
and where the files in them are; and of which commit they were.

It has no part in the plan's checksum, and ``apply`` does not read it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from reconciler import __version__
from reconciler.model import Environment, Plan, Pos
from reconciler.model.problem_codes import catalogue
from reconciler.model.problems import Problem, Problems
from reconciler.operations import saved_plan
from reconciler.operations.commit import Commit
from reconciler.operations.pipeline import Planned
from reconciler.operations.saved_plan import Saved
from reconciler.render import json, stored, view
from reconciler.render.mask import Mask

_SEED: Final = 24  # characters of the plan's checksum, which no text of it contains


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A plan to show.

    ``document`` is its JSON, empty where that is not needed, ``planned_at`` the time, ``version`` that of reconcile;
    ``root`` is the path prefix of the files, ``checked`` are the warnings of these, and ``commit`` is their commit,
    where it is known.
    """

    planned: Planned
    document: Mapping[str, Any]
    planned_at: str
    root: str = ""
    checked: tuple[Problem, ...] = ()
    commit: Commit | None = None
    version: str = __version__

    @property
    def facts(self) -> dict[str, str]:
        """What comments and pages have in their heads about it."""
        commit = {"commit": str(self.commit)} if self.commit else {}
        taken = {"snapshot": self.planned.taken.sentence} if self.planned.taken else {}
        found = {**taken, "planned": self.planned_at, **commit, "version": self.version}
        return {name: self.planned.mask.line(value) for name, value in found.items()}


def to_save(shown: Shown, mask: Mask) -> dict[str, Any]:
    """The member ``shown`` of a plan file; nothing in it is secret. ``mask`` is that of the warnings."""
    seed = str(shown.document["checksum"]).removeprefix("sha256:")[:_SEED]
    return {
        **stored.write(shown.planned.plan, shown.planned.mask, seed),
        "warnings": _written(shown.planned.warnings, mask),
        "checked": _written(shown.checked, mask),
        "root": mask.text(shown.root),
        "commit": None if shown.commit is None else [shown.commit.id, shown.commit.dirty],
    }


def of(saved: Saved, path: Path) -> Shown:
    """The plan in the plan file ``saved``, which was read from ``path``. Raises Problems where it is not one."""
    try:
        plan, mask = stored.read(saved.shown)
        _agree(saved.document, plan, mask)
        warnings, checked = (tuple(map(_problem, saved.shown[name])) for name in ("warnings", "checked"))
        commit = saved.shown["commit"]
        return Shown(
            planned=Planned(env=Environment(name=plan.scope.environment), plan=plan, mask=mask, warnings=warnings),
            document=saved.document,
            planned_at=str(saved.document["timestamp"]),
            version=str(saved.document["reconcile_version"]),
            root=str(saved.shown["root"]),
            checked=checked,
            commit=None if commit is None else Commit(str(commit[0]), bool(commit[1])),
        )
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
        raise Problems([saved_plan.not_one(path)]) from error


def _agree(document: Mapping[str, Any], plan: Plan, mask: Mask) -> None:
    """Raises ValueError or KeyError where the plan as JSON and the one for the renderers are not of the same place, or
    do not do the same to the same.
    """
    places = [(document[name], getattr(plan.scope, name)) for name in ("environment", "account", "region")]
    changes = [(entry["address"], entry["action"]) for entry in document["resource_changes"]]
    shown = [(mask.text(str(item.address)), item.verb.value) for item in plan.resources]
    view.limits(plan)  # of an option that is known
    if changes != shown or not all(told == here or mask.hides(here) for told, here in places):
        raise ValueError("the plan that is shown is not the one that is applied")


def _written(found: Sequence[Problem], mask: Mask) -> list[dict[str, Any]]:
    return [json.problem(problem, mask) for problem in found]


def _problem(written: Mapping[str, Any]) -> Problem:
    texts = {name: str(written[name]) for name in ("message", "hint", "address", "path", "environment")}
    severity, file = written["severity"], written["file"]
    return Problem(
        code=catalogue()[written["code"]],
        warning=severity != "error",
        note=severity == "note",
        pos=Pos(str(file), int(written["line"]), int(written["column"])) if file else None,
        **texts,
    )
