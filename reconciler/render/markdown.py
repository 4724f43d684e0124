"""The plan as a comment on a pull request: the summary, dangers, changes, warnings and look-ups, in this order.

What a reviewer must read is visible without a click. Where the comment would be too long for the host, this is left
out, in order: what does not change, the places and then the names of equal changes, the differences of changes from
the last one on, then these changes (:mod:`.blocks`); the banner (:mod:`.banner`) is not. What is missing is said.
Everything from YAML or AWS is escaped: a name cannot close a block, start a link or add HTML.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from reconciler.model.paths import located
from reconciler.model.problems import Problem
from reconciler.render import banner, blocks, equal_problems, text
from reconciler.render.markup import alert, code, fenced, folded, mark, plain
from reconciler.render.mask import Mask
from reconciler.render.ranges import within
from reconciler.render.view import LookupView, View

# GitHub takes 65,536 characters in the text of a pull request, and as many of 4 bytes each in a comment
# (https://github.com/dead-claudia/github-limits): the rest is for what others put around it
LIMIT: Final = 65_400
MOST_WARNINGS: Final = 15  # shown unfolded; equal ones are one
MOST_USERS: Final = 200  # characters of the addresses that an equal warning or a look-up concerns
_NOTE: Final = 560  # characters that the sentence on what is missing has at most
_SHORT_NOTE: Final = 230  # the same where there are addresses only
# parts of the room for errors, warnings and look-ups, of which 0 is none: while they leave enough for the banner
_SHARES: Final = ((4, 6, 12), (12, 40, 0))
_ERRORS_ALONE: Final = ((2, 6, 12),)
_NO_COLOUR: Final = text.Paint(colour=False)


_PARTS: Final = ("error", "warning", "look-up")


class _Part(NamedTuple):
    """A part of the comment, and the number of things in it that are left out."""

    text: str
    left: int = 0


class _Around(NamedTuple):
    """What stands around the banner and the changes."""

    errors: _Part
    warnings: _Part
    lookups: _Part

    @property
    def size(self) -> int:
        return sum(len(part.text) + 2 for part in self)


def plan(view: View, *, verbose: bool = False, limit: int = LIMIT) -> str:
    """Markdown of at most ``limit`` characters. ``verbose``: with the API calls."""
    start, end = _head(view), _foot(view)
    around, dangers = _around(view, (limit, limit, limit)), banner.fitted(view, limit)
    if not any((*(part.left for part in around), dangers.missing)):
        room = limit - len(_joined([start, around.errors.text, dangers.text, *(part.text for part in around[1:]), end]))
        found, missing = blocks.fitted(view.groups, room, verbose=verbose)
        if not missing:
            return _joined([start, around.errors.text, dangers.text, *found, *(part.text for part in around[1:]), end])
    room = limit - len(_joined([start, end])) - _NOTE
    for shares in _SHARES if view.groups else _ERRORS_ALONE:
        around = _around(view, tuple(room // share if share else 0 for share in shares))
        dangers = banner.fitted(view, room - around.size)
        if not dangers.left:
            break
    else:
        return _addresses(view, start, end, limit)
    found, missing = blocks.fitted(view.groups, room - around.size - len(dangers.text) - 2, verbose=verbose)
    counts = (text.counted(part.left, noun) if part.left else "" for part, noun in zip(around, _PARTS, strict=True))
    note = _left_out([dangers.missing, *missing, *counts], limit)
    return _joined([start, around.errors.text, dangers.text, note, *found, *(part.text for part in around[1:]), end])


def _addresses(view: View, start: str, end: str, limit: int) -> str:
    """The comment that has room for the addresses in the banner and nothing else."""
    dangers = banner.fitted(view, limit - len(_joined([start, end])) - _SHORT_NOTE)
    total = sum(len(group.entries) for group in view.dangers)
    unlisted = f"{dangers.left} of {total} deletions, replacements and interruptions" if dangers.left else ""
    return _joined([start, dangers.text, _left_out(["all but these addresses", unlisted], limit), end])


def _left_out(parts: Iterable[str], limit: int) -> str:
    missing = "; ".join(filter(None, parts))
    reason = f"**Left out, since a comment has at most {limit:,} characters:**"
    return f"{reason} {missing}. The output of `reconcile plan` has all of it." if missing else ""


def _joined(parts: Iterable[str]) -> str:
    return "\n\n".join(filter(None, parts)) + "\n"


# --- head and foot ---------------------------------------------------------------------------------------------------


def _head(view: View) -> str:
    blocked = text.blocked(view.problems)
    where = f"{code(view.environment)} in account {code(view.account)}, {code(view.place)}"
    warnings = sum(problem.warning and not problem.note for problem in view.problems)
    counts = [
        text.counted(view.unchanged, "resource") + " unchanged" if view.unchanged and not view.refused else "",
        text.counted(warnings, "warning") + " (below)" if warnings else "",
    ]
    lines = [f"### {blocked or ('Not planned' if view.refused else view.summary)}"]
    lines += ["", "; ".join(filter(None, (where, *counts)))]
    lines += ["", plain(f"From a snapshot {view.facts['snapshot']}.")] if view.facts.get("snapshot") else []
    if not view.refused:
        lines += ["", f"**{view.summary}**"] if blocked else []
        lines += ["", view.limits] if view.limits else []
        lines += ["", view.preflight] if view.preflight else []
    return "\n".join(lines)


def _foot(view: View) -> str:
    """When, of what and by what it was planned; and a mark by which a pipeline finds the comment to replace it."""
    facts = view.facts
    said = [f"at {code(facts['planned'])}"] if facts.get("planned") else []
    said += [f"of commit {code(facts['commit'])}"] if facts.get("commit") else []
    said += [f"by reconcile {code(facts['version'])}"] if facts.get("version") else []
    calls = f"{text.counted(view.calls, 'API call')}: `--verbose` shows {text.them(view.calls)}." if view.calls else ""
    lines = " ".join(filter(None, (f"Planned {' '.join(said)}." if said else "", calls)))
    return "\n\n".join(filter(None, (lines, mark(view.environment, view.account, view.region))))


# --- what stands around the changes ----------------------------------------------------------------------------------


def _around(view: View, rooms: Sequence[int]) -> _Around:
    errors = [problem for problem in view.problems if not problem.warning]
    warnings = [problem for problem in view.problems if problem.warning]
    return _Around(
        _errors(errors, view.root, rooms[0]), _warnings(warnings, view.root, rooms[1]), _lookups(view.lookups, rooms[2])
    )


def _errors(found: Sequence[Problem], root: str, room: int) -> _Part:
    """Errors literally, as many as ``room`` takes, and the first one in any case, if only its beginning."""
    if not found:
        return _Part("")
    kept: list[str] = []
    for problem in found:
        more = [*kept, text.problems([problem], Mask(), _NO_COLOUR, root)]
        if len("\n".join(fenced("\n".join(more)))) > room:
            break
        kept = more
    if kept:
        return _Part("\n".join(fenced("\n".join(kept))), len(found) - len(kept))
    first = text.problems(found[:1], Mask(), _NO_COLOUR, root)
    return _Part("\n".join(fenced(f"{first[: room // 3]}...")), len(found))


def _warnings(found: Sequence[Problem], root: str, room: int) -> _Part:
    """Warnings, then notes: equal ones once, and the first unfolded."""
    if not found:
        return _Part("")
    warnings = sum(not problem.note for problem in found)
    counts = ((warnings, "warning"), (len(found) - warnings, "note"))
    title = f"**{', '.join(text.counted(number, noun) for number, noun in counts if number)}**"
    shown: list[str] = []
    more: list[str] = []
    left, taken = 0, len(title) + 100
    for group in equal_problems.grouped(found):
        item = _warning(group, root)
        taken += len(item) + 3
        if taken > room:
            left += len(group)
        else:
            (shown if len(shown) < MOST_WARNINGS else more).append(item)
    if not shown:
        return _Part("", len(found))
    parts = [alert("WARNING" if warnings else "NOTE", [title, "", *shown])]
    if more:
        parts.append("\n".join(folded(f"{len(more)} more", more)))
    return _Part("\n\n".join(parts), left)


def _warning(group: Sequence[Problem], root: str) -> str:
    one = group[0]
    who, place = f" {code(one.address)}" if one.address else "", ""
    if len(group) > 1:
        users, left = within([problem.address or _place(problem, root) for problem in group], MOST_USERS)
        who = f" {len(group)} times, in {code(users)}" + (f" and {left} more" if left else "") + "; the first"
    elif one.pos and one.pos.file:
        place = f" ({code(_place(one, root))})"
    severity = "note: " if one.note else ""
    hint = f"; {plain(one.hint)}" if one.hint else ""
    return f"- {severity}**{plain(one.code)}**{who}: {plain(one.message)}{hint}{place}"


def _place(problem: Problem, root: str) -> str:
    return located(root, problem.pos) if problem.pos and problem.pos.file else "?"


def _lookups(found: Sequence[LookupView], room: int) -> _Part:
    """Look-ups that moved, with what uses them; the others folded."""
    moved, left, taken = [], 0, 200
    for one in found:
        if one.moved:
            users, unnamed = within(one.users, MOST_USERS)
            more = f" and {unnamed} more" if unnamed else ""
            item = f"- {code(one.name)}: {code(one.moved)}, used by {code(users)}{more}"
            taken += len(item) + 1
            if taken > room:
                left += 1
            else:
                moved.append(item)
    parts = ["\n".join(["**Look-ups that moved**", "", *moved])] if moved else []
    others = [one for one in found if not one.moved]
    if others:
        values = fenced("\n".join(f"{one.name} = {one.value}" for one in others))
        block = "\n".join(folded(text.counted(len(others), "look-up"), values))
        if taken + len(block) <= room:
            parts.append(block)
        else:
            left += len(others)
    return _Part("\n\n".join(parts), left)
