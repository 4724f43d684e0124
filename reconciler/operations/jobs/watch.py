"""Watches jobs until they have ended: one DescribeJobs for up to a hundred jobs, every few seconds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeVar

from reconciler.operations.jobs.desk import ENDED, Clock, Desk, Passing

PERIOD: Final = 5.0
LATER: Final = 10.0  # after the first minutes
_SOON: Final = 120.0
PATIENCE: Final = 300.0  # seconds in which reads may fail, or a job may not be visible yet

Seen = TypeVar("Seen")
Details = dict[str, dict[str, Any]]


def polls(desk: Desk, ids: Sequence[str], timeout: float | None = None) -> Iterator[Details]:
    """The jobs as they are, again and again until all have ended or ``timeout`` seconds are over. Raises Problems."""
    began, poll = desk.clock.now(), Poll(desk, ids)
    while True:
        yield poll()
        passed = desk.clock.now() - began
        if poll.over or (timeout is not None and passed >= timeout):
            return
        pause = PERIOD if passed < _SOON else LATER
        desk.clock.sleep(pause if timeout is None else min(pause, max(timeout - passed, 0.1)))


def repeated(clock: Clock, look: Callable[[], Seen]) -> Iterator[Seen]:
    """What each look shows, without an end; a look that fails is left out for a while. Raises Problems."""
    seen = clock.now()
    while True:
        try:
            found = look()
        except Passing:
            if clock.now() - seen > PATIENCE:
                raise
        else:
            seen = clock.now()
            yield found
        clock.sleep(PERIOD)


class Poll:
    """Some jobs, read again with each call. Those that have ended are not read again."""

    def __init__(self, desk: Desk, ids: Sequence[str]) -> None:
        self.desk, self.ids, self.known = desk, ids, Details()
        self._read = self._began = desk.clock.now()

    def __call__(self) -> Details:
        """The jobs as they are now; as they were where AWS cannot be read for a while. Raises Problems."""
        try:
            self.known |= self.desk.describe([one for one in self.ids if not over(self.known.get(one))])
            self._read = self.desk.clock.now()
        except Passing:
            if self.desk.clock.now() - self._read > PATIENCE:
                raise
        return {one: self.known[one] for one in self.ids if one in self.known}

    @property
    def over(self) -> bool:
        """Whether all have ended, or have not become visible for a long time."""
        late = self.desk.clock.now() - self._began > PATIENCE
        return all(over(self.known.get(one)) or (late and one not in self.known) for one in self.ids)


def over(job: Mapping[str, Any] | None) -> bool:
    """Whether a job has ended."""
    return job is not None and job["status"] in ENDED


def words(job: Mapping[str, Any]) -> str:
    """Its status with what belongs to it: ``RUNNABLE (MISCONFIGURATION:…)``, ``PENDING (2 RUNNING, 3 SUCCEEDED)``."""
    parts = [summary(job)] if summary(job) else []
    if job.get("statusReason"):
        parts.append(str(job["statusReason"]))
    tried = len(job.get("attempts") or ())
    if tried and job["status"] not in ENDED:
        parts.append(f"attempt {tried + 1}")
    return f"{job['status']} ({'; '.join(parts)})" if parts else str(job["status"])


def summary(job: Mapping[str, Any]) -> str:
    """How many children of an array have which status: ``2 RUNNING, 3 SUCCEEDED``; empty for other jobs."""
    counts = (job.get("arrayProperties") or {}).get("statusSummary") or {}
    return ", ".join(f"{count} {status}" for status, count in counts.items() if count)
