"""The result of one environment as plain JSON, for the parts of a report; and read again as untrusted.

A plan is beside it, since few formats need it: it is most of the text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from reconciler.model import EMPTY
from reconciler.render import stored
from reconciler.render.drift_view import Checked, Difference, Drift, How
from reconciler.render.mask import Mask
from reconciler.render.view import Entry

_CLEAN = Mask()
_CALLERS: Final = tuple[Mapping[str, str], ...]


def write(one: Checked) -> dict[str, Any]:
    """``one`` without its plan."""
    view = replace(one.view, others=EMPTY, problems=()) if one.view else None
    written: dict[str, Any] = stored.plain(replace(one, view=view, drifts=(), plan=None))
    return {**written, "drifts": [_written(drift) for drift in one.drifts]}


def read(written: Any, plan: Mapping[str, Any] | None) -> Checked:
    """What :func:`write` has written, with its plan; nothing in it is obeyed by a terminal.

    Raises ValueError, TypeError, KeyError or AttributeError for anything else.
    """
    drifts = written.pop("drifts")
    one: Checked = stored.typed(Checked, written)
    entries = {entry.address: entry for entry in (one.view.entries if one.view else ())}
    return replace(one, plan=plan, drifts=tuple(_drift(each, entries) for each in drifts))


def _written(drift: Drift) -> dict[str, Any]:
    return {
        "how": drift.how.value,
        "address": drift.address,
        "differences": [[one.path, one.text, one.file, one.line, one.column] for one in drift.differences],
        "since": drift.since,
        "changed_by": dict(drift.changed_by) if drift.changed_by else None,
        "also_changed_by": [*map(dict, drift.also_changed_by)],
        "unknown_because": drift.unknown_because,
    }


def _drift(written: Any, entries: Mapping[str, Entry]) -> Drift:
    by = written["changed_by"]
    return Drift(
        how=How(written["how"]),
        entry=entries[stored.typed(str, written["address"])],
        differences=tuple(_difference(*each) for each in written["differences"]),
        since=stored.typed(str, written["since"]),
        changed_by=None if by is None else stored.typed(Mapping[str, str], by),
        also_changed_by=stored.typed(_CALLERS, written.get("also_changed_by", [])),
        unknown_because=stored.typed(str, written["unknown_because"]),
    )


def _difference(*members: Any) -> Difference:
    path, text, file, line, column = members
    if not isinstance(text, str):
        raise TypeError("str expected")
    return Difference(
        path=stored.typed(str, path),
        text=_CLEAN.text(text),
        file=stored.typed(str, file),
        line=stored.typed(int, line),
        column=stored.typed(int, column),
    )
