"""A plan to show, made now or read from a plan file.

A plan file has what is shown of it besides its JSON. That has no part in the plan's checksum, and ``apply`` does not
read it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

from reconciler import __version__
from reconciler.model import Verb
from reconciler.model import problem_codes as codes
from reconciler.model.problems import Problem, Problems, ordered
from reconciler.model.records import dataclass
from reconciler.model.when_used import when_used
from reconciler.operations import saved_plan
from reconciler.operations.commit import Commit
from reconciler.operations.pipeline import Planned
from reconciler.operations.saved_plan import Saved
from reconciler.planning.visibility import UNREADABLE_CODES
from reconciler.render import view as views
from reconciler.render.mask import Mask
from reconciler.render.view import View

with when_used():
    from reconciler.render import preflight, stored

# errors with which the plan is shown nevertheless
_SHOWN: Final = UNREADABLE_CODES | {codes.CANNOT_RUN}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A plan to show.

    ``document`` is its JSON, empty where that is not needed; ``view`` gives what the other formats have. ``errors`` are
    those of planning, ``problems`` these, the warnings of planning, and those of the safety rail that refuses it;
    ``mask`` hides the secrets in them.
    """

    document: Mapping[str, Any]
    view: Callable[[], View]
    errors: tuple[Problem, ...] = ()
    problems: tuple[Problem, ...] = ()
    mask: Mask = Mask()


def planned(
    result: Planned,
    *,
    document: Mapping[str, Any],
    at: str,
    root: str = "",
    checked: Iterable[Problem] = (),
    rails: Iterable[Problem] = (),
    commit: Commit | None = None,
) -> Shown:
    """``result``, planned ``at`` this time from files of ``commit``, if that is known.

    ``checked`` are the warnings of the files, ``rails`` the errors of a safety rail; ``root`` is the path prefix of the
    files in them.
    """
    problems = ordered((*rails, *result.problems, *result.warnings))

    @cache
    def view() -> View:
        taken = {"snapshot": result.taken.sentence} if result.taken else {}
        facts = {**taken, "planned": at, **({"commit": str(commit)} if commit else {}), "version": __version__}
        return views.of(
            result.plan,
            result.mask,
            problems=ordered((*problems, *checked)),
            root=root,
            refused=any(problem.code not in _SHOWN for problem in result.problems),
            preflight=result.mask.line(preflight.summary(result.preflight)) if result.preflight is not None else "",
            facts={name: result.mask.line(value) for name, value in facts.items()},
        )

    errors = ordered(result.problems)
    return Shown(document=document, view=view, errors=errors, problems=problems, mask=result.mask)


def to_save(shown: Shown) -> dict[str, Any]:
    """The member ``shown`` of a plan file; nothing in it is secret."""
    of_planning = {(one.pos, one.code) for one in shown.problems}
    view = shown.view()
    warnings = [number for number, one in enumerate(view.problems) if (one.pos, one.code) in of_planning]
    return {"view": stored.write(view), "warnings": warnings}


def of(saved: Saved, path: Path) -> Shown:
    """The plan in the plan file ``saved``, which was read from ``path``. Raises Problems where it is not one."""
    try:
        view = stored.read(saved.shown["view"])
        _agree(saved.document, view)
        problems = tuple(view.problems[number] for number in saved.shown["warnings"])
        return Shown(document=saved.document, view=lambda: view, problems=problems)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
        raise Problems([saved_plan.not_one(path)]) from error


def _agree(document: Mapping[str, Any], view: View) -> None:
    """Raises ValueError or KeyError where the plan as JSON and what is shown are not of the same place, or do not do
    the same to the same.
    """
    none = Verb.NOOP.value
    places = [(document[name], getattr(view, name)) for name in ("environment", "account", "region")]
    changes = {(entry["address"], entry["action"]) for entry in document["resource_changes"]}
    shown = {(entry.address, entry.verb) for entry in view.entries if entry.verb != none}
    if shown != {one for one in changes if one[1] != none} or any(told != here for told, here in places):
        raise ValueError("the plan that is shown is not the one that is applied")
