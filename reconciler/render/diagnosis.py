"""What is wrong with a subject, as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from reconciler.model.diagnosis import NONE, UNKNOWN, Certainty, Diagnosis, Suspect
from reconciler.model.paths import located, opened
from reconciler.model.records import dataclass
from reconciler.model.values import Pos
from reconciler.render.mask import Mask
from reconciler.render.text import Paint

_LONGEST = 300  # characters of a piece of evidence in text


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A property to change, and where it is declared; ``address`` is None for an object that is not declared, and
    ``overridden`` is a value that the request of the job has in its place.
    """

    address: str | None
    name: str
    path: str
    pos: Pos | None
    root: str
    value: Any
    overridden: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """A diagnosis, the address of its subject, and what to change for each of its causes."""

    diagnosis: Diagnosis
    address: str | None
    changes: tuple[Place | None, ...]

    @property
    def unknown(self) -> bool:
        """Whether no cause is named."""
        return all(one.id == UNKNOWN for one in self.diagnosis.causes)


def document(shown: Explained) -> dict[str, Any]:
    """A diagnosis as JSON."""
    found = shown.diagnosis
    return {
        "subject": {"kind": found.kind, "id": found.id, "address": shown.address},
        "state": found.state,
        "causes": [_cause(one, change) for one, change in zip(found.causes, shown.changes, strict=True)],
        "unread": [{"call": one.call, "permission": one.permission or None, "why": one.why} for one in found.unread],
        "attempts": [
            {
                "attempt": one.number,
                "exit_code": one.ending.exit_code,
                "reason": one.ending.reason,
                "status_reason": one.ending.status_reason,
                "cause": one.cause,
                "decision": one.verdict,
                "entry": one.entry,
                "because": one.because,
                "assumed": bool(one.assumed),
            }
            for one in found.attempts
        ],
        "asked": list(found.asked),
        "notes": list(found.notes),
    }


def text(shown: Explained, mask: Mask, paint: Paint) -> str:
    """A diagnosis as text."""
    return "\n".join((paint(mask.text(bold), "bold") if bold else "") + mask.text(rest) for bold, rest in _lines(shown))


def _lines(shown: Explained) -> Iterator[tuple[str, str]]:
    """Each line: how it begins in bold, and the rest."""
    found = shown.diagnosis
    name = f" ({shown.address})" if shown.address and shown.address.partition(".")[2] != found.id else ""
    state = f": {found.state}" if found.state else ""
    head = f"{found.kind} {found.id}{name}{state}"
    yield head + (f", {', '.join(found.notes)}" if found.notes else ""), ""
    for one, change in zip(found.causes, shown.changes, strict=True):
        yield from (("", ""), *_paragraph(one, change))
    plain = ["", "Attempts:", *_attempts(found)] if found.attempts else []
    if found.unread:
        plain += ["", "Not read:"]
        plain += [f"  {one.call}: {f'allow {one.permission}' if one.permission else one.why}" for one in found.unread]
    if shown.unknown:
        plain += ["", f"Read: {', '.join(found.asked)}"]
    yield from (("", line) for line in plain)


def _paragraph(one: Suspect, change: Place | None) -> Iterator[tuple[str, str]]:
    about = f"{one.about}: " if one.about else ""
    if one.id == NONE:
        yield "", f"{about}{one.message}"
        return
    sure = "" if one.certainty is Certainty.certain else f", {one.certainty.value}"
    yield f"{about}{one.message}", f" [{one.id}{sure}]"
    for piece in one.evidence:
        yield "", f"  {piece.call}  {piece.field}: {_short(piece.value)}"
    if change is not None:
        yield "", f"  change: {_change(change)}"
    if one.advice:
        yield "", f"  fix: {' '.join(one.advice.split())}"


def _change(change: Place) -> str:
    of = change.address or f"{change.name} (not declared here)"
    to = "" if change.value is None else f" to {change.value}"
    at = f" ({located(change.root, change.pos)})" if change.pos else ""
    if change.overridden:
        return f"the value with which the job was submitted{to}; it overrides {change.path} of {of}{at}"
    return f"{change.path} of {of}{to}{at}"


def _attempts(found: Diagnosis) -> Iterator[str]:
    for one in found.attempts:
        ended = one.cause if one.ending.exit_code is None else f"{one.cause}, exit code {one.ending.exit_code}"
        if one.cause == NONE:
            ended = f"exit code {one.ending.exit_code}"
        because = f"{one.because}{' (assumed)' if one.assumed else ''}"
        yield f"  {one.number}  {ended}: {one.verdict}, because {because}"


def _short(value: Any) -> str:
    shown = " ".join(str(value).split())
    return shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]}..."


def _cause(one: Suspect, change: Place | None) -> dict[str, Any]:
    return {
        "id": one.id,
        "certainty": one.certainty.value,
        "message": one.message,
        "about": one.about or None,
        "evidence": [{**asdict(piece), "value": _plain(piece.value)} for piece in one.evidence],
        "advice": " ".join(one.advice.split()) or None,
        "change": None if change is None else _place(change),
    }


def _place(change: Place) -> dict[str, Any]:
    pos = change.pos
    return {
        "address": change.address,
        "name": change.name,
        "path": change.path,
        "value": change.value,
        "overridden": change.overridden,
        "file": opened(change.root, pos.file) if pos else None,
        "line": pos.line if pos else None,
        "column": pos.column if pos else None,
    }


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    return str(value)
