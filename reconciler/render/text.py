"""The plan as text: terraform's signs, dangers first, the reason next to each change, all that differs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from textwrap import wrap
from typing import Final

from reconciler.model.paths import located
from reconciler.model.problems import Problem
from reconciler.model.when_used import when_used
from reconciler.render.difference import WIDTH, Line
from reconciler.render.mask import Mask
from reconciler.render.view import Entry, Group, LookupView, View

with when_used():
    from reconciler.render.ranges import ranges, within

LISTED: Final = 12  # lines of names below changes that are equal; of deletions and interruptions all are listed
_COLOURS: Final = {
    "+": 32,
    "-": 31,
    "~": 33,
    "-/+": 31,
    "+/-": 31,
    "&": 36,
    "error": 31,
    "warning": 33,
    "bold": 1,
    "dim": 2,
}


class Paint:
    """Adds ANSI colours to texts, or nothing without ``colour``."""

    def __init__(self, *, colour: bool) -> None:
        self.colour = colour

    def __call__(self, text: str, what: str) -> str:
        """``text`` in the colour of ``what``: a sign, a severity or a style."""
        return f"\x1b[{_COLOURS[what]}m{text}\x1b[0m" if self.colour and what in _COLOURS else text


def plan(view: View, paint: Paint, *, verbose: bool = False) -> str:
    """The complete plan; its last line is the summary. ``verbose``: each resource by itself, with its API calls."""
    lines = [paint(title(view), "bold")]
    if "snapshot" in view.facts:
        lines.append(f"From a snapshot {view.facts['snapshot']}.")
    if view.lookups:
        width = max(len(one.name) for one in view.lookups)
        lines += ["", "Look-ups:", *(f"  {one.name:<{width}}  {looked_up(one)}" for one in view.lookups)]
    groups = [Group((one,)) for one in view.entries] if verbose else view.groups
    for found in groups:
        lines += ["", *group(found, paint, verbose=verbose)]
    lines.append("")
    if view.calls and not verbose:
        lines += [paint(f"{counted(view.calls, 'API call')} (--verbose shows {them(view.calls)})", "dim"), ""]
    if view.limits:
        lines += [view.limits, ""]
    if view.preflight:
        lines += [view.preflight, ""]
    return "\n".join([*lines, view.summary])


def title(view: View) -> str:
    """What is planned, and where."""
    return f"{view.environment} in account {view.account}, {view.place}"


def looked_up(one: LookupView) -> str:
    """The value of a look-up, and how it moved, with some of what uses it: each of these stands below, too."""
    if not one.moved:
        return one.value
    users, unnamed = within(one.users, WIDTH)
    more = " and ".join(filter(None, (users, f"{unnamed} more" if unnamed else "")))
    return f"{one.value}  # moved: {one.moved} ({more})"


def group(found: Group, paint: Paint, *, verbose: bool = False) -> Iterator[str]:
    """The lines of one group: its heading, what differs, running jobs and notes, and the resources, if several."""
    yield heading(found, paint)
    for line in body(found):
        shown = f"    {'  ' * line.depth}{line.sign or ' '} {line.text}" if line.depth else f"    {line.text}"
        yield paint(shown if line.text else shown.rstrip(), line.sign if line.depth else "")
    if rest := hidden(found, verbose=verbose):
        yield paint(f"    ({rest})", "dim")
    if verbose:
        yield from (paint(f"      {number}. {step}", "dim") for number, step in enumerate(found.first.steps, 1))
    if len(found.entries) > 1:
        yield from (f"    {line}" for line in listed(found.entries, None if found.first.dangerous else LISTED))


def heading(found: Group, paint: Paint) -> str:
    """The first line of a group: the sign, the address or the number of resources, and why they change."""
    one = found.first
    reason = f"  {one.reason}" if one.reason else ""
    count = len(found.entries)
    name = paint(one.address if count == 1 else f"{count} {one.section}", "bold")
    physical = f" as {one.physical}" if one.physical and count == 1 else ""
    return f"{paint(one.sign, one.sign)} {name}{physical}{paint(reason, 'dim')}"


def body(found: Group) -> Iterator[Line]:
    """What is created or differs, complete; what happens to running jobs; notes. Depth 0 is an attribute's own line."""
    yield from found.lines
    if found.jobs:
        yield Line("", 0, f"running jobs: {found.jobs}")
    yield from (Line("", 0, f"note: {note}") for note in found.notes)


def hidden(found: Group, *, verbose: bool = False) -> str:
    """How many attributes do not differ, and how many API calls are not shown."""
    counts = [one.unchanged for one in found.entries]
    several = " each" if len(found.entries) > 1 else ""
    unchanged = counted(counts[0], "unchanged attribute") + several if counts[0] and len({*counts}) == 1 else ""
    calls = counted(found.calls, "API call") if found.calls and not verbose else ""
    return ", ".join(filter(None, (unchanged, calls)))


def listed(entries: Sequence[Entry], most: int | None = None) -> list[str]:
    """The names of ``entries`` on as many lines as it takes, or on ``most`` lines with the number of the others."""
    names = ranges([one.name for one in entries])
    lines = wrap(", ".join(names), WIDTH, break_long_words=False, break_on_hyphens=False)
    if most is None or len(lines) <= most:
        return lines
    kept = lines[: most - 1]
    left = len(names) - sum(line.count(", ") + line.endswith(",") for line in kept)
    return [*kept, f"... and {left} more (--verbose shows each)"]


def fitting(lines: list[str], rows: int) -> list[str]:
    """As many lines as there is room for; the last says how many are missing."""
    return lines if len(lines) <= rows else [*lines[: rows - 1], f"... and {len(lines) - rows + 1} more lines"]


def counted(count: int, noun: str) -> str:
    """``1 API call``, ``2 API calls``."""
    return f"{count} {noun}{'s' * (count != 1)}"


def them(count: int) -> str:
    """The pronoun for ``count`` things."""
    return "it" if count == 1 else "them"


def problems(found: Sequence[Problem], mask: Mask, paint: Paint, root: str = "") -> str:
    """Problems, as editors and CI can link them (``file:line:column: severity[code]: ...``); ``root`` is the path
    prefix.
    """
    lines = []
    for problem in found:
        place = f"{located(root, problem.pos)}: " if problem.pos and problem.pos.file else ""
        who = f"{problem.address}: " if problem.address else ""
        hint = f"\n    {mask.lines(problem.hint)}" if problem.hint else ""
        severity = paint(f"{problem.severity}[{problem.code}]", problem.severity)
        lines.append(f"{mask.line(place)}{severity}: {mask.lines(who + problem.message)}{hint}")
    return "\n".join(lines)


def blocked(found: Sequence[Problem]) -> str:
    """A sentence that there are errors, so that the plan cannot be applied; empty where there are none."""
    errors = sum(not problem.warning for problem in found)
    return f"This cannot be applied: {errors} error{'s' * (errors > 1)}." if errors else ""
