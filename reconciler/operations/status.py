"""How an environment is right now, with few calls: all kinds read their objects at the same time.

Equal calls of one look are made once; nothing is kept for the next.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Final

from reconciler.account.reader import Reader
from reconciler.config import names
from reconciler.kinds import discover
from reconciler.model import Kind, Unreadable
from reconciler.model.diagnosis import Unread
from reconciler.model.records import dataclass
from reconciler.model.status import Asked, Line, Part, Status, StatusReader
from reconciler.operations.session import Session, now_at

PERIOD: Final = 10.0  # seconds between two looks


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What failed within so many seconds, and at most so many jobs of each queue."""

    seconds: float
    most: int


def look(account: Session, wanted: Wanted) -> Status:
    """How the environment is. Raises Problems where there are no credentials."""
    env = names.in_account(account.env, account.scope)
    now = now_at(account)
    declared: dict[str, tuple[str, ...]] = {}
    for address, one in env.resources.items():
        declared[address.section] = (*declared.get(address.section, ()), one.name)
    asked = {
        section: Asked(scope=account.scope, names=mine, now=now, since=now - wanted.seconds, most=wanted.most)
        for section, mine in declared.items()
    }
    parts = _read(account, discover(), asked)
    lines = tuple(one for part in parts for one in part.lines)
    at = max(now, *_reported(lines))
    return Status(
        environment=env.name,
        account=account.scope.account,
        region=account.scope.region,
        at=at,
        since=at - wanted.seconds,
        capacities=tuple(one for part in parts for one in part.capacities),
        lines=lines,
        unread=tuple({one.call: one for part in parts for one in part.unread}.values()),
    )


def _reported(lines: Iterable[Line]) -> Iterator[float]:
    """Times in AWS's replies: none of them is after now, whatever the clock of this machine shows."""
    yield 0.0
    for line in lines:
        yield from (one.at for one in line.failed)
        yield from (one.since for one in line.front)


def watch(account: Session, wanted: Wanted, period: float = PERIOD) -> Iterator[Status]:
    """How the environment is, again and again, with ``period`` seconds in between."""
    while True:
        yield look(account, wanted)
        time.sleep(period)


def _read(account: Session, kinds: Mapping[str, Kind], asked: Mapping[str, Asked]) -> list[Part]:
    """What each kind that has declared objects found out, in the order of the kinds."""
    reader = Reader(account.client)
    jobs = {
        section: partial(_drive, reader, kind.status, asked[section])
        for section, kind in kinds.items()
        if kind.status is not None and section in asked
    }
    try:
        results = reader.run_all(jobs)
    finally:
        reader.close()
    return [_part(result) for result in results.values()]


def _drive(reader: Reader, kind: StatusReader, asked: Asked) -> Part:
    return reader.drive(kind.read(asked))


def _part(result: Part | BaseException) -> Part:
    """What was found; a reply that is not AWS's counts as a read that was refused."""
    if isinstance(result, Unreadable):
        about = Unread(call=str(result.call), permission="", why=str(result.refused))
        return Part(unread=(about,))
    if isinstance(result, BaseException):
        raise result
    return result
