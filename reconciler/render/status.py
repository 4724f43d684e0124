"""How an environment is, as text, JSON and an HTML page. All three say the same, masked.

Counts that were not read to their end end in ``+``; what was not read, or does not apply, is ``-`` and null.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from typing import Any, Final

from reconciler.model import compact
from reconciler.model.diagnosis import Unread
from reconciler.model.status import Blocked, Capacity, Failed, Front, Line, Share, Status
from reconciler.render import html
from reconciler.render import json as as_json
from reconciler.render.mask import Mask
from reconciler.render.text import Paint, counted

FORMAT_VERSION: Final = "1.0"
GOOD: Final = frozenset({"VALID", "ENABLED", ""})
_NONE: Final = "-"
_CAPACITY_HEADS: Final = ("", "type", "state", "vCPUs: running", "desired", "max", "instances", "tasks")
_LINE_HEADS: Final = ("", "state", "waiting", "starting", "running")
_WAITING: Final = ("SUBMITTED", "PENDING", "RUNNABLE")
_STARTING: Final = ("SCHEDULED", "STARTING")
_MINUTE, _HOUR, _DAY = 60, 3600, 86400


# --- text -------------------------------------------------------------------------------------------------------------


def text(found: Status, mask: Mask, paint: Paint) -> str:
    """The complete text."""
    return "\n".join(lines(found, mask, paint))


def lines(found: Status, mask: Mask, paint: Paint) -> list[str]:
    """Its lines: the environments, the queues with what keeps them, and what failed lately."""
    shown = [paint(mask.line(_title(found)), "bold")]
    for heading, rows in (("Compute environments", _capacities(found, paint)), ("Queues", _lines(found, paint))):
        if rows:
            shown += ["", paint(heading, "bold"), *rows]
    if not found.capacities and not found.lines and not found.unread:
        shown += ["", "Nothing that runs jobs is declared."]
    if found.lines:
        shown += ["", paint(f"Failed in the last {_span(found.at - found.since)}", "bold"), *_failures(found, paint)]
    if found.unread:
        shown += ["", *(paint("not read", "error") + f": {one}" for one in map(_unread, found.unread))]
    return [mask.text(one) if not paint.colour else _masked(mask, one) for one in shown]


def _masked(mask: Mask, line: str) -> str:
    """A line with our colours, and nothing else, kept."""
    return "\x1b[".join(mask.text(part) for part in line.split("\x1b["))


def _title(found: Status) -> str:
    return f"{found.environment}  account {found.account} ({found.region})  {_time(found.at)}"


def _capacities(found: Status, paint: Paint) -> list[str]:
    if not found.capacities:
        return []
    rows = _table([_CAPACITY_HEADS, *map(_capacity_cells, found.capacities)], paint)
    shown = [rows[0]]
    for one, row in zip(found.capacities, rows[1:], strict=True):
        shown += [row, *([f"    {paint(one.reason, 'error')}"] if one.reason and one.status not in GOOD else [])]
    return shown


def _capacity_cells(one: Capacity) -> tuple[str, ...]:
    if not one.live:
        return (one.name, "does not exist", *[""] * 6)
    instances = _NONE if one.instances is None else str(sum(one.instances.values()))
    if one.instances:
        instances += f" ({', '.join(_types(one.instances))})"
    limits = ", ".join(one.limits) or _number(one.max_vcpus)
    return (
        one.name,
        one.type,
        _state(one),
        _number(one.running_vcpus),
        _number(one.desired_vcpus),
        limits,
        instances,
        _number(one.tasks),
    )


def _types(instances: Mapping[str, int]) -> Iterator[str]:
    for name, count in sorted(instances.items(), key=lambda each: (-each[1], each[0])):
        yield f"{count} {name}" if len(instances) > 1 else name


def _lines(found: Status, paint: Paint) -> list[str]:
    if not found.lines:
        return []
    rows = _table([_LINE_HEADS, *map(_line_cells, found.lines)], paint)
    shown = [rows[0]]
    for one, row in zip(found.lines, rows[1:], strict=True):
        shown += [row, *(f"    {line}" for line in _about(one, found.at, paint))]
    return shown


def _line_cells(one: Line) -> tuple[str, ...]:
    if not one.live:
        return (one.name, "does not exist", *[""] * 3)
    return (one.name, _state(one), _jobs(one, _WAITING), _jobs(one, _STARTING), _jobs(one, ("RUNNING",)))


def _jobs(one: Line, statuses: Sequence[str]) -> str:
    if one.counts is None:
        return _NONE
    count = sum(one.counts.get(status, 0) for status in statuses)
    return f"{count}+" if one.more & {*statuses} else str(count)


def _about(one: Line, now: float, paint: Paint) -> Iterator[str]:
    """What belongs to a queue: why it is blocked, what is at its front, its shares."""
    if one.reason and one.status not in GOOD:
        yield paint(one.reason, "error")
    for each in one.blocked:
        yield f"{paint('blocked', 'warning')}: {each.cause}: {each.message} ({counted(each.jobs, 'job')})"
    for job in one.front:
        yield f"front: {_front(job, now)}"
    for share in one.shares:
        yield f"share {_share(share)}"


def _front(job: Front, now: float) -> str:
    where = f" of {job.share}" if job.share else ""
    since = f" for {_span(now - job.since)}" if job.since else ""
    return f"{_named(job.name, job.id)}{where}{since}"


def _share(share: Share) -> str:
    used = ", ".join(f"{_plain(quantity)} {unit}" for unit, quantity in share.used.items())
    return f"{share.name}: {share.waiting} waiting, {share.running} running{f', uses {used}' if used else ''}"


def _failures(found: Status, paint: Paint) -> list[str]:
    if not found.failed:
        return [f"  {_no_failures(found)}"]
    rows = [
        (
            f"{_span(found.at - one.at)} ago",
            _named(one.name, one.id),
            one.queue,
            _why(one),
        )
        for one in found.failed
    ]
    return _table(rows, paint, head=False)


def _no_failures(found: Status) -> str:
    unread = any(one.live and one.counts is None for one in found.lines) or (found.unread and not found.lines)
    return "unknown: the jobs could not be read" if unread else "nothing"


def _table(rows: Sequence[Sequence[str]], paint: Paint, *, head: bool = True) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    shown = []
    for number, row in enumerate(rows):
        line = "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        shown.append(f"  {paint(line, 'dim') if head and number == 0 else line}")
    return shown


def _state(one: Capacity | Line) -> str:
    """One word where all is well."""
    return " ".join(word for word in (one.state, one.status) if word not in GOOD) or one.status or one.state


def _unread(one: Unread) -> str:
    return f"{one.call}: allow {one.permission}" if one.permission else f"{one.call}: {_one_line(one.why)}"


def _named(name: str, identity: str) -> str:
    return f"{name} ({identity})" if name else identity


def _number(value: int | None) -> str:
    return _NONE if value is None else str(value)


def _plain(quantity: float) -> str:
    return str(int(quantity)) if quantity == int(quantity) else str(quantity)


def _why(one: Failed) -> str:
    return f"{one.cause}: {_one_line(one.message)}"


def _one_line(message: str) -> str:
    return " ".join(message.split())


def _span(seconds: float) -> str:
    """How long: in the largest unit of which there is more than one."""
    for size, unit in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min")):
        if seconds >= 2 * size:
            return f"{int(seconds // size)} {unit}"
    return f"{max(int(seconds), 0)} s"


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


# --- JSON -------------------------------------------------------------------------------------------------------------


def document(found: Status, mask: Mask) -> dict[str, Any]:
    """As `schemas/status.schema.json` describes it."""
    shown: dict[str, Any] = mask.value(
        {
            "format_version": FORMAT_VERSION,
            "environment": found.environment,
            "account": found.account,
            "region": found.region,
            "timestamp": _time(found.at),
            "failed_since": _time(found.since),
            "environments": [_capacity_json(one) for one in found.capacities],
            "queues": [_line_json(one) for one in found.lines],
            "failed": [_failed_json(one) for one in found.failed],
            "unread": [_unread_json(one) for one in found.unread],
        }
    )
    return shown


def json(found: Status, mask: Mask) -> str:
    """One document over several lines."""
    return as_json.dumps(document(found, mask), indent=2)


def json_line(found: Status, mask: Mask) -> str:
    """One document in one line."""
    return compact(document(found, mask))


def _capacity_json(one: Capacity) -> dict[str, Any]:
    return {
        "name": one.name,
        "exists": one.live,
        "type": one.type or None,
        "state": one.state or None,
        "status": one.status or None,
        "status_reason": one.reason or None,
        "vcpus": {"desired": one.desired_vcpus, "running": one.running_vcpus, "max": one.max_vcpus},
        "instances": None if one.instances is None else dict(one.instances),
        "tasks": one.tasks,
        "limits": list(one.limits),
    }


def _line_json(one: Line) -> dict[str, Any]:
    return {
        "name": one.name,
        "exists": one.live,
        "state": one.state or None,
        "status": one.status or None,
        "status_reason": one.reason or None,
        "priority": one.priority,
        "runs_on": list(one.runs_on),
        "jobs": None if one.counts is None else dict(one.counts),
        "at_least": sorted(one.more),
        "blocked": [_blocked_json(each) for each in one.blocked],
        "front": [
            {
                "id": job.id,
                "name": job.name or None,
                "since": _time(job.since) if job.since else None,
                "share": job.share or None,
            }
            for job in one.front
        ],
        "shares": [
            {"name": each.name, "waiting": each.waiting, "running": each.running, "used": dict(each.used)}
            for each in one.shares
        ],
    }


def _blocked_json(one: Blocked) -> dict[str, Any]:
    return {"cause": one.cause, "message": one.message, "status_reason": one.reason, "jobs": one.jobs}


def _unread_json(one: Unread) -> dict[str, Any]:
    return {"call": one.call, "permission": one.permission or None, "why": one.why}


def _failed_json(one: Failed) -> dict[str, Any]:
    return {
        "id": one.id,
        "name": one.name,
        "queue": one.queue,
        "at": _time(one.at),
        "attempts": one.attempts,
        "cause": one.cause,
        "message": one.message,
    }


# --- HTML -------------------------------------------------------------------------------------------------------------


def page(found: Status, mask: Mask) -> str:
    """A complete page, in the style of plans."""
    return html.page(f"Status: {mask.line(found.environment)}", "main", _body(found, mask))


def _body(found: Status, mask: Mask) -> Iterator[str]:
    facts = {"account": f"{found.account} ({found.region})", "at": _time(found.at)}
    yield f"<header><h1>{escape(mask.line(found.environment))}</h1>"
    yield from html.facts(facts)
    if found.unread:
        said = "; ".join(map(_unread, found.unread))
        yield f'<p class="blocked"><strong>Not read:</strong> {escape(mask.line(said))}</p>'
    yield '</header><main id="main" tabindex="-1">'
    none = "unknown" if found.unread else "nothing"  # it may be what was not read
    yield from _html_table("Compute environments", _CAPACITY_HEADS, _capacity_rows(found), mask, none)
    about = (*_LINE_HEADS, "blocked by, jobs at the front, shares")
    yield from _html_table("Queues", about, _line_rows(found), mask, none)
    title, heads = f"Failed in the last {_span(found.at - found.since)}", ("when", "job", "queue", "why")
    yield from _html_table(title, heads, _failed_rows(found), mask, _no_failures(found))
    yield "</main>"


def _capacity_rows(found: Status) -> list[tuple[str, ...]]:
    """With the reason of one that is not well beside its state."""
    rows = []
    for one in found.capacities:
        name, kind, state, *rest = _capacity_cells(one)
        rows.append((name, kind, f"{state}: {one.reason}" if one.reason and one.status not in GOOD else state, *rest))
    return rows


def _line_rows(found: Status) -> list[tuple[str, ...]]:
    plain = Paint(colour=False)
    return [(*_line_cells(one), "\n".join(_about(one, found.at, plain))) for one in found.lines]


def _failed_rows(found: Status) -> list[tuple[str, ...]]:
    return [(f"{_span(found.at - one.at)} ago", _named(one.name, one.id), one.queue, _why(one)) for one in found.failed]


def _html_table(
    title: str, heads: Sequence[str], rows: Iterable[Sequence[str]], mask: Mask, none: str
) -> Iterator[str]:
    yield f"<section><h2>{escape(title)}</h2>"
    known = list(rows)
    if not known:
        yield f"<p>{none}</p></section>"
        return
    yield '<div class="scroll"><table class="cells"><thead><tr>'
    yield from (f'<th scope="col">{escape(head) or "name"}</th>' for head in heads)
    yield "</tr></thead><tbody>"
    for first, *others in known:
        cells = "".join(f"<td>{_cell(cell, mask)}</td>" for cell in others)
        yield f'<tr><th scope="row">{escape(mask.line(first))}</th>{cells}</tr>'
    yield "</tbody></table></div></section>"


def _cell(text: str, mask: Mask) -> str:
    return "<br>".join(escape(mask.line(one)) for one in text.split("\n"))
