"""The report of `drift` as one comment or issue for all environments, worst first.

The table names every environment with drift or errors; below it each has its differences, whole as long as there is
room. What is left out is said. The last line is a mark by which a pipeline finds the issue to update it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from reconciler.render import blocks, text
from reconciler.render.drift_text import details, names
from reconciler.render.drift_view import WORDS, Checked, How, Report, Status
from reconciler.render.markdown import LIMIT
from reconciler.render.markup import code, fenced, folded, mark, plain
from reconciler.render.mask import Mask
from reconciler.render.ranges import within

MARK: Final = mark("..drift")  # which is no environment's name
_NO_COLOUR: Final = text.Paint(colour=False)
_SIGNS: Final = {Status.ERROR: "❌", Status.DRIFTED: "⚠️", Status.CLEAN: "✅"}
_MOST_NAMES: Final = 2000  # characters of the names of clean environments, and of those that the table leaves out
_ERRORS: Final = 2000  # characters of the errors of one environment, at most
_NOTE: Final = 200  # characters of what is said about what is left out
_MOST_ADVICE: Final = 20


def report(found: Report, *, limit: int = LIMIT) -> str:
    """Markdown of at most ``limit`` characters."""
    wrong = found.wrong
    end = _foot(found)
    head = _head(found)
    room = limit - len(head) - len(end) - _NOTE
    table = _table(wrong, room // 2)
    clean = _clean(found, room // 8)
    room -= len(table) + len(clean) + 6
    advice = _advice(found, room // 6)
    room -= len(advice) + 2
    sections, left = _sections(wrong, room)
    note = f"**{text.counted(left, 'environment')} left out here:** `--format json` has all of them." if left else ""
    return "\n\n".join(filter(None, (head, table, *sections, note, clean, advice, end))) + "\n"


def _head(found: Report) -> str:
    lines = [f"### Drift: {plain(found.summary)}"]
    if found.since:
        lines += ["", f"Since {code(found.since)}: {plain(found.changes or 'nothing new')}."]
    if found.unchecked:
        lines += ["", f"Not checked this time: {plain(names(found.unchecked))}."]
    if found.problems:
        lines += ["", *fenced(text.problems(found.problems, Mask(), _NO_COLOUR)[:_ERRORS])]
    return "\n".join(lines)


def _foot(found: Report) -> str:
    return f"Checked at {code(found.at)} by reconcile {code(found.version)}.\n\n{MARK}"


def _table(wrong: Sequence[Checked], room: int) -> str:
    """A row for each environment with drift or errors, as many as there is room for; then the names of the others."""
    if not wrong:
        return ""
    history = any(one.since or one.resolved or any(drift.since for drift in one.drifts) for one in wrong)
    rows = ["| | environment | account | Region | result |" + (" since the last report |" if history else "")]
    rows.append("| --- | --- | --- | --- | --- |" + (" --- |" if history else ""))
    size = sum(map(len, rows)) + _MOST_NAMES + 100
    left: list[str] = []
    for one in wrong:
        row = " | ".join(
            (
                f"| {_SIGNS[one.status]}",
                code(one.name),
                code(one.account) if one.account else "",
                code(one.region) if one.region else "",
                plain(one.result) + (f" | {_since(one)}" if history else ""),
            )
        )
        size += len(row) + 3
        if size > room:
            left.append(one.name)
        else:
            rows.append(f"{row} |")
    table = "\n".join(rows)
    if left:
        shown, more = within(left, _MOST_NAMES // 2)
        others = f" and {more} more" if more else ""
        table += f"\n\n{text.counted(len(left), 'more environment')}: {plain(shown)}{others}"
    return table


def _since(one: Checked) -> str:
    """``1 new, 2 still there``."""
    if one.status is Status.ERROR and one.since:
        return "new" if one.since == "new" else "still there"
    return ", ".join(f"{len(addresses)} {word}" for word, addresses in one.history)


def _clean(found: Report, room: int) -> str:
    clean = [one for one in found.environments if one.status is Status.CLEAN]
    if not clean:
        return ""
    said = [f"- {code(one.name)}: {plain(line)}" for one in clean for line in details(one)]
    shown, more = within([one.name for one in clean], max(min(_MOST_NAMES, room // 2), 60))
    body = [plain(shown) + (f" and {more} more" if more else "")]
    if said and sum(len(line) + 1 for line in said) < room // 2:
        body += ["", *said]
    return "\n".join(folded(f"{text.counted(len(clean), 'environment')} without drift", body))


def _advice(found: Report, room: int) -> str:
    """Warnings and notes, folded: they are no drift."""
    lines: list[str] = []
    total, size = 0, 200
    for one in found.environments:
        said = [f"{problem.address}: {problem.message}".lstrip(": ") for problem in one.warnings]
        for line in (*said, *one.advice):
            total += 1
            item = f"- {code(one.name)}: {plain(line)}"
            size += len(item) + 1
            if len(lines) < _MOST_ADVICE and size < room:
                lines.append(item)
    if not total:
        return ""
    more = [f"- and {total - len(lines)} more"] if total > len(lines) else []
    return "\n".join(folded(f"Advice, which is not drift: {total}", [*lines, *more]))


def _sections(wrong: Sequence[Checked], room: int) -> tuple[list[str], int]:
    """The details of each environment, each in its share of the room; and how many have none."""
    made: list[str] = []
    for number, one in enumerate(wrong):
        share = max(room // (len(wrong) - number), min(room, 1500))
        section = _section(one, share)
        if len(section) + 2 > room:
            return made, len(wrong) - number
        made.append(section)
        room -= len(section) + 2
    return made, 0


def _section(one: Checked, room: int) -> str:
    parts = [f"#### {_SIGNS[one.status]} {code(one.title)}: {plain(one.result)}"]
    if one.errors:
        parts.append("\n".join(fenced(_errors(one, max(min(_ERRORS, room // 2), 200)))))
    parts += ["\n".join(f"- {plain(line[:1000])}" for line in details(one))]
    room -= sum(len(part) + 2 for part in parts) + 100
    missing: list[str] = []
    every = [*one.groups]
    for number, (how, groups) in enumerate(every):
        shown, lacking = blocks.fitted(groups, room // (len(every) - number) - len(_words(how)) - 4)
        if shown:
            parts += [_words(how), *shown]
            room -= sum(len(part) + 2 for part in (_words(how), *shown))
        missing += lacking
    if missing:
        parts.append(f"Left out: {plain('; '.join(dict.fromkeys(missing)))}.")
    return "\n\n".join(filter(None, parts))


def _words(how: How) -> str:
    return f"**{plain(WORDS[how])}**"


def _errors(one: Checked, room: int) -> str:
    lines: list[str] = []
    for number, problem in enumerate(one.errors):
        said = text.problems([problem], Mask(), _NO_COLOUR, one.root)
        if sum(map(len, lines)) + len(said) > room:
            cut = [f"{said[:room]}..."] if not lines else []
            return "\n".join([*lines, *cut, f"... and {len(one.errors) - number - len(cut)} more"])
        lines.append(said)
    return "\n".join(lines)
