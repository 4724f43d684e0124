"""What becomes of failed attempts, as text and as JSON: one decision, a time line, or the table of all known ends."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from reconciler.model.attempts import Decision, Ending, Retries, Verdict
from reconciler.model.problems import Problem
from reconciler.model.records import dataclass
from reconciler.render import json as as_json
from reconciler.render import text
from reconciler.render.mask import Mask
from reconciler.render.text import counted

HOUR, MINUTE = 3600, 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """An end that was asked about: ``outcome`` is its name, or empty where it was described instead."""

    ending: Ending
    outcome: str = ""
    title: str = ""
    source: str = ""
    started: bool = True

    @property
    def words(self) -> str:
        """Its name, or its description."""
        end = self.ending
        words: tuple[tuple[str, Any], ...] = (("exit code", end.exit_code), ("reason", end.reason))
        words += (("statusReason", end.status_reason), ("cause", end.cause))
        return (
            self.outcome or ", ".join(f"{name} {value}" for name, value in words if value is not None) or "no details"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """The end of one attempt and what becomes of the job; ``source`` is where the entry that decided is declared."""

    attempt: int
    asked: Asked
    decision: Decision
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeLine:
    """Several attempts of one job; ``unused`` are ends that were asked about and that the job does not reach."""

    address: str
    retries: Retries
    steps: tuple[Step, ...]
    unused: tuple[Asked, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A known end, if every attempt ends so; ``most`` is how many seconds all attempts run at most (None: no limit)."""

    asked: Asked
    steps: tuple[Step, ...]
    most: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """All known ends of attempts of one definition."""

    address: str
    retries: Retries
    rows: tuple[Row, ...]
    most: int | None
    #: The entries that decide none of these ends.
    idle: tuple[int, ...] = ()
    #: What `validate` warns of in its rules.
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What is not as expected."""

    what: str
    expected: Any
    found: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """An expectation: its ``name``, its ``place`` in a file, what becomes of the job, and what is not as expected."""

    name: str
    place: str
    last: Step
    line: TimeLine
    differences: tuple[Difference, ...]

    @property
    def title(self) -> str:
        """Its name, or what it is about."""
        ends = ", ".join(step.asked.words for step in self.line.steps)
        about = f"{self.line.address}, {ends}"
        return f"{self.name} ({about})" if self.name else about


def duration(seconds: int | None) -> str:
    """``1 h 30 min``; of what may last for ever ``no limit``, of what takes no time ``-``."""
    if seconds is None:
        return "no limit"
    days, rest = divmod(seconds, 24 * HOUR)
    hours, rest = divmod(rest, HOUR)
    minutes, rest = divmod(rest, MINUTE)
    parts = ((days, "d"), (hours, "h"), (minutes, "min"), (rest, "s"))
    return " ".join(f"{count} {unit}" for count, unit in parts if count) or "-"


# --- JSON -------------------------------------------------------------------------------------------------------------


def step_document(step: Step) -> dict[str, Any]:
    """One decision as JSON."""
    found = step.decision
    return {
        "decision": found.verdict.value,
        "entry": found.entry,
        "job_status": found.job_status,
        "because": found.because,
        "assumed": bool(found.assumed),
        "assumptions": [str(each) for each in found.assumed],
        "attempt": step.attempt,
        "outcome": step.asked.outcome or None,
        "source": step.source or None,
    }


def time_line_document(line: TimeLine) -> dict[str, Any]:
    """A time line as JSON."""
    return {
        "address": line.address,
        "job_status": line.steps[-1].decision.job_status,
        "most_seconds": most_seconds(line.retries, line.steps[-1].attempt),
        "attempts": [step_document(step) for step in line.steps],
        "not_reached": [asked.words for asked in line.unused],
    }


def table_document(table: Table, root: str = "", environment: str = "") -> dict[str, Any]:
    """The table as JSON; ``root`` is the prefix of files."""
    return {
        "address": table.address,
        "attempts": table.retries.attempts,
        "timeout_seconds": table.retries.timeout,
        "nodes": table.retries.nodes,
        "most_seconds": table.most,
        "notes": list(table.retries.notes),
        "idle_entries": list(table.idle),
        "problems": [as_json.problem(one, Mask(), root, environment) for one in table.problems],
        "outcomes": [
            {
                "outcome": row.asked.outcome,
                "title": row.asked.title,
                "ending": asdict(row.asked.ending),
                "words_from": row.asked.source,
                "attempts": [step_document(step) for step in row.steps],
                "most_seconds": row.most,
            }
            for row in table.rows
        ],
    }


def expectations_document(checked: Sequence[Checked]) -> dict[str, Any]:
    """Expectations as JSON."""
    failed = sum(bool(one.differences) for one in checked)
    return {
        "expectations": [
            {
                "name": one.name or None,
                "place": one.place,
                "address": one.line.address,
                "status": "failed" if one.differences else "passed",
                "differences": [asdict(each) for each in one.differences],
                "found": step_document(one.last),
            }
            for one in checked
        ],
        "summary": {"passed": len(checked) - failed, "failed": failed},
    }


def most_seconds(retries: Retries, attempts: int) -> int | None:
    """How many seconds so many attempts run at most."""
    return None if retries.timeout is None else retries.timeout * attempts


# --- text -------------------------------------------------------------------------------------------------------------


def step_text(address: str, retries: Retries, step: Step) -> str:
    """One decision as text."""
    found = step.decision
    left = f"attempt {step.attempt} of {retries.attempts}"
    lines = [f"{address}, {left}, {step.asked.words}: {found.verdict.value}; the job is {found.job_status}"]
    lines.append(f"  because {found.because}" + (f" ({step.source})" if step.source else ""))
    lines += [f"  {each}" for each in found.assumed]
    return "\n".join(lines)


def time_line_text(line: TimeLine) -> str:
    """A time line as text."""
    notes = _Notes()
    rows = [
        (f"attempt {step.attempt}", step.asked.words, step.decision.verdict.value, _because(step, notes))
        for step in line.steps
    ]
    last = line.steps[-1]
    lines = [_head(line.address, line.retries), "", *_columns(rows), ""]
    run = duration(most_seconds(line.retries, last.attempt))
    if last.decision.verdict is Verdict.RETRY:
        lines.append(f"The job is RUNNABLE again: attempt {last.attempt + 1} follows.")
    else:
        many = counted(last.attempt, "attempt")
        lines.append(f"The job is {last.decision.job_status} after {many}; run time at most: {run}.")
    if line.unused:
        lines.append(f"Not reached: {', '.join(asked.words for asked in line.unused)}.")
    return "\n".join([*lines, *notes.lines()])


def table_text(table: Table, root: str = "") -> str:
    """The table as text; ``root`` is the prefix of files."""
    notes = _Notes()
    rows = [("OUTCOME", "HOW EVERY ATTEMPT ENDS", "THEN", "AT MOST", "BECAUSE")]
    rows += [
        (row.asked.outcome, row.asked.title, _then(row.steps), duration(row.most), _because(row.steps[0], notes))
        for row in table.rows
    ]
    lines = [_head(table.address, table.retries), "", *_columns(rows), *notes.lines(), ""]
    lines += [f"note: {note}" for note in table.retries.notes]
    if table.idle:
        entries = ("entry", "decides") if len(table.idle) == 1 else ("entries", "decide")
        lines.append(
            f"note: {entries[0]} {', '.join(map(str, table.idle))} of evaluateOnExit {entries[1]} none of these ends"
        )
    found = text.problems(table.problems, Mask(), text.Paint(colour=False), root)
    return "\n\n".join(part for part in ("\n".join(lines).rstrip(), found) if part)


def expectations_text(checked: Sequence[Checked]) -> str:
    """Expectations as text: those that failed, and how many did not."""
    lines: list[str] = []
    for one in checked:
        if one.differences:
            lines.append(f"{one.place}: failed: {one.title}")
            lines += [
                f"  {each.what}: expected {_word(each.expected)}, found {_word(each.found)}" for each in one.differences
            ]
            source = f" ({one.last.source})" if one.last.source else ""
            lines.append(f"  because {one.last.decision.because}{source}")
    failed = sum(bool(one.differences) for one in checked)
    lines.append(f"{counted(len(checked), 'expectation')}: {len(checked) - failed} passed, {failed} failed")
    return "\n".join(lines)


def _word(value: Any) -> str:
    if value is None:
        return "none"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _head(address: str, retries: Retries) -> str:
    attempts = counted(retries.attempts, "attempt")
    if retries.timeout is None:
        return f"{address}: {attempts} at most, without a timeout: run time has no limit"
    most = duration(most_seconds(retries, retries.attempts))
    nodes = f" on {retries.nodes} nodes" if retries.nodes else ""
    return f"{address}: {attempts} at most, each {duration(retries.timeout)} at most: {most} of run time{nodes}"


def _then(steps: Sequence[Step]) -> str:
    end = steps[-1].decision.job_status
    return f"{end} at once" if len(steps) == 1 else f"retried, {end} after {len(steps)}"


def _because(step: Step, notes: _Notes) -> str:
    marks = "".join(f" [{notes.number(each)}]" for each in step.decision.assumed)
    return f"{step.decision.because}{marks}"


def _columns(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


class _Notes:
    """The assumptions of a result, each once, by number."""

    def __init__(self) -> None:
        self.known: dict[str, int] = {}

    def number(self, note: str) -> int:
        return self.known.setdefault(str(note), len(self.known) + 1)

    def lines(self) -> list[str]:
        return ["", *(f"[{number}] {note}" for note, number in self.known.items())] if self.known else []
