"""The report of `drift` as text: each environment in the order in which it was named; the last line is the summary."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.render import text
from reconciler.render.drift_view import WORDS, Checked, Report, Status
from reconciler.render.mask import Mask
from reconciler.render.ranges import within
from reconciler.render.text import Paint
from reconciler.render.view import Entry, Group

MOST_NAMES = 400  # characters of the addresses in one line
_COLOURS = {Status.ERROR: "error", Status.DRIFTED: "warning", Status.CLEAN: "+"}


def report(found: Report, paint: Paint, *, verbose: bool = False) -> str:
    """The whole report. ``verbose``: each resource by itself, with the calls that would end its drift."""
    lines: list[str] = []
    for one in found.environments:
        lines += [*_environment(one, paint, verbose=verbose)]
        if lines[-1] and one.status is not Status.CLEAN:
            lines.append("")
    if found.problems:
        lines += [text.problems(found.problems, Mask(), paint), ""]
    advice = [line for one in found.environments for line in _advice(one, paint)]
    if advice:
        lines += ["" if lines and lines[-1] else None, "Advice (not drift):", *advice, ""]  # type: ignore[list-item]
    if found.since:
        lines.append(f"Since {found.since}: {found.changes or 'nothing new'}.")
    if found.unchecked:
        lines.append(f"Not checked this time: {names(found.unchecked)}.")
    return "\n".join(line for line in [*lines, found.summary] if line is not None)


def names(found: tuple[str, ...]) -> str:
    """Names on one line, and how many others there are."""
    shown, left = within(list(found), MOST_NAMES)
    return shown + (f" and {left} more" if left else "")


def details(one: Checked) -> Iterator[str]:
    """What is said about the drift of an environment as a whole, a line each."""
    for word, addresses in one.history:
        yield f"{word}: {names(addresses)}"
    yield from (f"who: {line}" for line in one.changed_by)
    if one.moving:
        yield f"left out, since AWS is still changing it: {names(one.moving)}"
    if one.recovered:
        yield "it could not be read at the time of the last report"
    if one.since:
        yield {"new": "it could be read at the time of the last report"}.get(
            one.since, "it could not be read at the time of the last report either"
        )


def _environment(one: Checked, paint: Paint, *, verbose: bool) -> Iterator[str]:
    yield f"{paint(one.title, 'bold')}: {paint(one.result, _COLOURS[one.status])}"
    if one.errors:
        yield from _indented(text.problems(one.errors, Mask(), paint, one.root))
    for how, groups in one.groups:
        yield f"  {WORDS[how]}:"
        for group in [Group((each,)) for each in _entries(groups)] if verbose else groups:
            yield from _indented("\n".join(text.group(group, paint, verbose=verbose)), "    ")
    yield from (f"  {line}" for line in details(one))


def _entries(groups: list[Group]) -> Iterator[Entry]:
    return (entry for group in groups for entry in group.entries)


def _advice(one: Checked, paint: Paint) -> Iterator[str]:
    if one.warnings:
        yield from _indented(text.problems(one.warnings, Mask(), paint, one.root))
    yield from (f"  {one.name}: {line}" for line in one.advice)


def _indented(lines: str, indent: str = "  ") -> Iterator[str]:
    return (f"{indent}{line}" if line else "" for line in lines.split("\n"))
