"""Every deletion, replacement and interruption of jobs, in the room there is: a reviewer must not miss one.

With less room the reasons are left out, then the effects on running jobs. Addresses are left out last, and then the
number of those that are not listed is given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from textwrap import wrap
from typing import Final

from reconciler.model.records import dataclass
from reconciler.render.difference import WIDTH
from reconciler.render.markup import alert, code, fenced, plain
from reconciler.render.ranges import ranges
from reconciler.render.view import Entry, Group, View

SHORT: Final = 80  # characters of what happens to running jobs, where there is little room
_DENSE: Final = 4000
_HOW: Final = {"-/+": " (delete, then create)", "+/-": " (create, then delete)"}
_NOUNS: Final = {"delete": "deletion", "replace": "replacement"}


@dataclass(frozen=True, slots=True)
class Banner:
    """Its Markdown, empty without dangers; what it lacks of them; and the number of resources that it does not list."""

    text: str
    missing: str = ""
    left: int = 0


def fitted(view: View, room: int) -> Banner:
    """The banner with as much as ``room`` characters take."""
    dangers = view.dangers
    if not dangers:
        return Banner("")
    for missing, body in _LEVELS:
        shown = _whole(dangers, body(dangers))
        if len(shown) <= room:
            return Banner(shown, missing)
    return _cut(dangers, room)


def counted(dangers: Sequence[Group]) -> str:
    """``2 deletions, 1 replacement, 3 interruptions of jobs``; a deletion that interrupts jobs counts as both."""
    numbers: dict[str, int] = {}
    for group in dangers:
        nouns = [_NOUNS.get(group.first.verb, ""), "interruption" if group.first.interrupts else ""]
        for noun in filter(None, nouns):
            numbers[noun] = numbers.get(noun, 0) + len(group.entries)
    of = {"interruption": " of jobs"}
    found = ((noun, numbers[noun]) for noun in ("deletion", "replacement", "interruption") if noun in numbers)
    return ", ".join(f"{number} {noun}{'s' * (number != 1)}{of.get(noun, '')}" for noun, number in found)


def _whole(dangers: Sequence[Group], body: Iterable[str]) -> str:
    return alert("CAUTION", [f"**{counted(dangers)}**", "", *body])


def _complete(dangers: Sequence[Group]) -> Iterator[str]:
    for group in dangers:
        place = f" ({code(group.first.place)})" if len(group.entries) == 1 and group.first.place else ""
        why = f": {plain(group.first.reason)}" if group.first.reason else ""
        label = "**Running jobs**" if group.first.interrupts else "Running jobs"
        jobs = f". {label}: {plain(group.jobs)}" if group.jobs else ""
        yield f"- {_what(group)}{_HOW.get(group.first.sign, '')}{why}{jobs}{place}"


def _short(dangers: Sequence[Group]) -> Iterator[str]:
    for group in dangers:
        jobs = group.jobs if len(group.jobs) <= SHORT else f"{group.jobs[: SHORT - 1]}…"
        yield f"- {_what(group)}" + (f": {plain(jobs)}" if jobs else "")


def _what(group: Group) -> str:
    """The action and all addresses of a group."""
    one, number = group.first, len(group.entries)
    if number == 1:
        return f"**{one.verb}** {code(one.address)}"
    names = ", ".join(ranges([each.name for each in group.entries]))
    return f"**{one.verb} {number}** {plain(one.section)}: {code(names)}"


def _addresses(width: int, separator: str) -> Callable[[Sequence[Group]], list[str]]:
    """A renderer of the addresses alone, in a block in which no character needs an escape."""

    def render(dangers: Sequence[Group]) -> list[str]:
        lines: list[str] = []
        for (verb, section), entries in _by_kind(dangers).items():
            names = separator.join(ranges([one.name for one in entries]))
            lines.append(f"{verb} {len(entries)} {section}:")
            lines += [f"  {line}" for line in wrap(names, width, break_long_words=False, break_on_hyphens=False)]
        return fenced("\n".join(lines))

    return render


def _by_kind(dangers: Sequence[Group]) -> dict[tuple[str, str], list[Entry]]:
    found: dict[tuple[str, str], list[Entry]] = {}
    for group in dangers:
        for one in group.entries:
            found.setdefault((one.verb, one.section), []).append(one)
    return found


def _cut(dangers: Sequence[Group], room: int) -> Banner:
    """As many addresses as there is room for, by bisection."""
    entries = [one for group in dangers for one in group.entries]
    most, more, kept = 0, len(entries), ""
    while most < more:
        middle = (most + more + 1) // 2
        shown = _whole(dangers, _dense([Group((one,)) for one in entries[:middle]]))
        if len(shown) <= room:
            most, kept = middle, shown
        else:
            more = middle - 1
    return Banner(kept or _whole(dangers, []), _BARE, len(entries) - most)


_dense: Final = _addresses(_DENSE, " ")
_BARE: Final = "the reasons in the banner, and what happens to running jobs"
_LEVELS: Final[Sequence[tuple[str, Callable[[Sequence[Group]], Iterable[str]]]]] = (
    ("", _complete),
    ("the reasons in the banner", _short),
    (_BARE, _addresses(WIDTH, ", ")),
    (_BARE, _dense),
)
