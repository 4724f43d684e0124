"""The groups of a plan as blocks of a comment: whole, or with less, in the order in which it can be spared.

A difference is never cut: it is shown whole or not at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import accumulate
from textwrap import wrap
from typing import Final

from reconciler.render import text
from reconciler.render.difference import WIDTH, Line
from reconciler.render.markup import code, fenced, folded
from reconciler.render.ranges import ranges, within
from reconciler.render.view import Entry, Group

OPEN: Final = 10  # changes shown unfolded besides dangers, each of at most as many lines
MOST_LINES: Final = 40  # of a danger that is shown unfolded: it is in the banner, too
MOST_NAMES: Final = 1000  # characters of the names of equal changes, where there is little room
_CALM: Final = ("update", "adopt")
_SIGNS: Final = {"~": "!"}
_NO_COLOUR: Final = text.Paint(colour=False)
_EVERYTHING, _CHANGES, _NAMES, _SOME_NAMES = range(4)
_SPARED: Final = ("", "unchanged details", "the places of equal changes", "most names of equal changes")


def fitted(groups: Sequence[Group], room: int, *, verbose: bool = False) -> tuple[list[str], list[str]]:
    """Blocks of at most ``room`` characters, with an empty line after each; and what is missing of them."""
    missing: list[str] = []
    shown = _opened(groups)
    made: list[str] = []
    for stage, spared in enumerate(_SPARED):
        before = made
        made = [_block(group, stage, shown=one, verbose=verbose) for group, one in zip(groups, shown, strict=True)]
        if spared and made != before:
            missing.append(spared)
        if _size(made) <= room:
            return made, missing
    headings = [_heading(group) for group in groups]
    kept = _most(made, headings, room)
    if kept is not None:
        details = sum(len(group.entries) for group in groups[kept:])
        return made[:kept] + headings[kept:], [*missing, f"the differences of {text.counted(details, 'resource')}"]
    kept = _most(headings, [""] * len(groups), room, each=0) or 0
    return headings[:kept], [*missing, "all differences", _left(groups[kept:])]


def _size(parts: Sequence[str]) -> int:
    return sum(len(part) + 2 for part in parts)


def _most(long: Sequence[str], short: Sequence[str], room: int, each: int = 2) -> int | None:
    """How many of ``long`` fit when the others are ``short``; None where nothing does."""
    before = [0, *accumulate(len(one) + 2 for one in long)]
    after = [0, *accumulate(len(one) + each for one in reversed(short))][::-1]
    fitting = [number for number in range(len(long) + 1) if before[number] + after[number] <= room]
    return max(fitting, default=None)


def _left(groups: Sequence[Group]) -> str:
    """The number of resources that are not shown, by action."""
    numbers: dict[str, int] = {}
    for group in groups:
        what = "with notes" if group.first.verb == "noop" else f"to {group.first.verb}"
        numbers[what] = numbers.get(what, 0) + len(group.entries)
    by_action = ", ".join(f"{number} {what}" for what, number in numbers.items())
    return f"{text.counted(sum(numbers.values()), 'resource')} ({by_action})"


def _opened(groups: Sequence[Group]) -> list[bool]:
    """Which groups begin unfolded: dangers, and the first changes of few lines, since creations seldom surprise."""
    shown: list[bool] = []
    calm = 0
    for group in groups:
        lines = sum(1 for _ in text.body(group))
        small = group.first.verb in _CALM and lines <= OPEN and calm < OPEN
        calm += small and not group.first.dangerous
        shown.append(lines <= MOST_LINES if group.first.dangerous else small)
    return shown


def _heading(group: Group) -> str:
    place = group.first.place if len(group.entries) == 1 else ""
    return code(text.heading(group, _NO_COLOUR)) + (f" {code(place)}" if place else "")


def _block(group: Group, stage: int, *, shown: bool, verbose: bool) -> str:
    body = list(_body(group, stage, verbose=verbose))
    members = _members(group, stage) if len(group.entries) > 1 else []
    if not body and not members:
        return _heading(group)
    inside = fenced("\n".join(body), "diff") if body else []
    return "\n".join(folded(_heading(group), [*inside, *([""] if inside and members else []), *members], shown=shown))


def _body(group: Group, stage: int, *, verbose: bool) -> Iterator[str]:
    yield from map(_line, text.body(group) if stage < _CHANGES else text.body(Group(tuple(map(_core, group.entries)))))
    if stage < _CHANGES:
        if rest := text.hidden(group, verbose=True):
            yield f"    ({rest})"
        if verbose:
            yield from (f"    {number}. {step}" for number, step in enumerate(group.first.steps, 1))


def _core(one: Entry) -> Entry:
    return replace(one, lines=one.core)


def _line(line: Line) -> str:
    """A line as hosts colour it in a ``diff``: by its first character, where ``!`` stands for a change."""
    shown = f"{_SIGNS.get(line.sign, line.sign) or ' '}   {'  ' * line.depth}{line.text}"
    return shown if line.text else shown.rstrip()


def _members(group: Group, stage: int) -> list[str]:
    """The resources of a group, with their places, or their names alone; folded where it takes many lines."""
    names = [one.name for one in group.entries]
    first, more = within(names, WIDTH)
    summary = code(f"{len(names)} {group.first.section}: {first}") + (f" and {more} more" if more else "")
    if stage < _NAMES and any(one.place for one in group.entries):
        width = max(len(one.address) for one in group.entries)
        lines = [f"{one.address:<{width}}  {one.place}".rstrip() for one in group.entries]
    elif not more:
        return [summary]
    else:
        some, left = within(names, MOST_NAMES) if stage == _SOME_NAMES else (", ".join(ranges(names)), 0)
        lines = wrap(some, WIDTH, break_long_words=False, break_on_hyphens=False)
        lines += [f"... and {left} more"] if left else []
    return folded(summary, fenced("\n".join(lines)))
