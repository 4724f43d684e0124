"""Reads the output of jobs from CloudWatch Logs, once or as it is written.

One stream is read with GetLogEvents, whose token says where to continue; several of one group with FilterLogEvents, a
hundred at a time, which reads them together. While streams are followed they are polled, at a pace within the rates of
both calls.

https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_GetLogEvents.html and API_FilterLogEvents.html
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import field
from typing import Any, Final

from reconciler.model import Call, Json, Refused
from reconciler.model.records import dataclass
from reconciler.operations.jobs import family, streams, watch
from reconciler.operations.jobs.desk import DESCRIBED, Desk, Passing, chunks
from reconciler.operations.jobs.streams import NoStream, Stream

PERIOD: Final = 2.0
LATE: Final = 10.0  # seconds after the end of an attempt in which its last lines may still arrive
FILTERED: Final = 100  # streams in one FilterLogEvents
FEW: Final = 8  # streams of one group that are followed one by one
MOST_A_SECOND: Final = 4  # calls; FilterLogEvents may be made 5 times a second
OVERLAP: Final = 15_000  # milliseconds in which lines may arrive out of order
_GONE: Final = "ResourceNotFoundException"


@dataclass(frozen=True, slots=True, order=True)
class Line:
    """One event of a stream; ``at`` is in milliseconds."""

    at: int
    stream: Stream = field(compare=False)
    text: str = field(compare=False)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which lines: times in milliseconds, a pattern that the line must contain, the number of an attempt."""

    since: int | None = None
    until: int | None = None
    grep: re.Pattern[str] | None = None
    attempt: int | None = None

    def takes(self, text: str) -> bool:
        """Whether a line with this text is wanted."""
        return self.grep is None or bool(self.grep.search(text))

    @property
    def times(self) -> dict[str, int]:
        """The members of a request."""
        found = (("startTime", self.since), ("endTime", self.until))
        return {name: value for name, value in found if value is not None}


class Logs:
    """The streams of some jobs. What is read once is not read again."""

    def __init__(self, desk: Desk, wanted: Wanted) -> None:
        self.desk, self.wanted = desk, wanted
        self.streams: dict[Stream, None] = {}
        self.missing: dict[NoStream, None] = {}
        self.calls = 0
        self.failed: Passing | None = None
        self._tokens: dict[tuple[str, str, str], str] = {}
        self._newest: dict[tuple[str, str], list[int]] = {}
        self._seen: dict[tuple[str, str], set[str]] = {}
        self._clients: dict[str, Any] = {}

    def look(self, jobs: Iterable[Mapping[str, Any]]) -> None:
        """Take the streams that jobs have now."""
        known = {(one.job, one.attempt, one.container): one for one in self.streams}
        self.missing = {}
        for job in jobs:
            listed = [*streams.of_job(job)]
            last = max((one.attempt for one in listed), default=0)
            if self.wanted.attempt is not None and 0 < last < self.wanted.attempt and watch.over(job):
                self.missing[NoStream(job["jobId"], self.wanted.attempt, f"the job ended with attempt {last}")] = None
                continue
            for one in listed:
                if self.wanted.attempt not in (None, one.attempt) and one.attempt:
                    continue
                if isinstance(one, NoStream):
                    self.missing[one] = None
                    continue
                if old := known.get((one.job, one.attempt, one.container)):
                    self.streams.pop(old)
                self.streams[one] = None

    def read(self) -> Iterator[Line]:
        """The lines of all streams, in the order of their times."""
        groups: dict[tuple[str, str], list[Stream]] = {}
        for one in self.streams:
            groups.setdefault((one.region, one.group), []).append(one)
        found = (lines for (region, group), some in groups.items() for lines in self._of_group(region, group, some))
        return heapq.merge(*found)

    def _of_group(self, region: str, group: str, some: Sequence[Stream]) -> Iterator[Iterator[Line]]:
        if len(some) == 1:
            yield self._of_stream(some[0])
            return
        by_name = {one.name: one for one in some}
        for names in chunks(by_name, FILTERED):
            yield self._filtered(region, group, {name: by_name[name] for name in names})

    def _of_stream(self, one: Stream) -> Iterator[Line]:
        for event in self.next_events(one):
            if self.wanted.takes(event["message"]):
                yield Line(event["timestamp"], one, event["message"])

    def _filtered(self, region: str, group: str, by_name: Mapping[str, Stream]) -> Iterator[Line]:
        for event in self._events_of_many(region, group, by_name, self.wanted.times):
            if self.wanted.takes(event["message"]):
                yield Line(event["timestamp"], by_name[event["logStreamName"]], event["message"])

    def _events_of_many(
        self, region: str, group: str, by_name: Mapping[str, Stream], times: Mapping[str, int]
    ) -> Iterator[Json]:
        params: dict[str, Any] = {"logGroupName": group, "logStreamNames": [*by_name], **times}
        while True:
            call = Call("logs", "FilterLogEvents", dict(params))
            reply = self._reply(region, call)
            if isinstance(reply, Refused):
                if reply.code != _GONE:
                    raise self.desk.refused(call, reply)
                for one in by_name.values():  # one of them is missing, and then all are refused
                    for event in self.next_events(one):
                        number = f"{one.name} {event['timestamp']} {event['message']}"
                        yield {"eventId": number, **event, "logStreamName": one.name}
                return
            yield from reply.get("events", ())
            if not reply.get("nextToken"):
                return
            params["nextToken"] = reply["nextToken"]

    def next_events(self, one: Stream) -> Iterator[Json]:
        """The events of a stream that were not read yet, until there are no more for now."""
        while True:
            token = self._tokens.get(one.key, "")
            params: dict[str, Any] = {"logGroupName": one.group, "logStreamName": one.name, "startFromHead": True}
            params |= {**self.wanted.times, **({"nextToken": token} if token else {})}
            call = Call("logs", "GetLogEvents", params)
            reply = self._reply(one.region, call)
            if isinstance(reply, Refused):
                if reply.code != _GONE:
                    raise self.desk.refused(call, reply)
                if not one.open:
                    self.missing[NoStream(one.job, one.attempt, _gone(one, reply))] = None
                return
            yield from reply.get("events", ())
            after = reply.get("nextForwardToken", "")
            self._tokens[one.key] = after
            if not after or after == token:
                return

    def fresh(self, some: Iterable[Stream]) -> list[Line]:
        """The lines of these streams that were not read yet, in the order of their times; ``failed`` is why some could
        not be read now.
        """
        self.calls, self.failed = 0, None
        groups: dict[tuple[str, str], list[Stream]] = {}
        for one in some:
            groups.setdefault((one.region, one.group), []).append(one)
        found: list[Line] = []
        for (region, group), members in groups.items():
            many = len(members) > FEW
            sources = [self._fresh_of_many(region, group, members)] if many else map(self._fresh_of_one, members)
            for source in sources:
                try:
                    found += source  # what was read before a failure is not read again
                except Passing as error:
                    self.failed = error
        return sorted(line for line in found if self.wanted.takes(line.text))

    def _fresh_of_one(self, one: Stream) -> Iterator[Line]:
        for event in self.next_events(one):
            yield Line(event["timestamp"], one, event["message"])

    def _fresh_of_many(self, region: str, group: str, some: Sequence[Stream]) -> Iterator[Line]:
        """FilterLogEvents has no token to continue with: it is asked again from a little before the newest line."""
        newest, seen = self._newest.setdefault((region, group), [0]), self._seen.setdefault((region, group), set())
        start = max(newest[0] - OVERLAP, self.wanted.since or 0)
        times = {**self.wanted.times, **({"startTime": start} if start > 0 else {})}
        for names in chunks((one.name for one in some), FILTERED):
            by_name = {one.name: one for one in some if one.name in names}
            for event in self._events_of_many(region, group, by_name, times):
                newest[0] = max(newest[0], event["timestamp"])
                if event["eventId"] not in seen:
                    seen.add(event["eventId"])
                    yield Line(event["timestamp"], by_name[event["logStreamName"]], event["message"])

    def _reply(self, region: str, call: Call) -> Json | Refused:
        self.calls += 1
        here = self.desk.session.client
        if region and region != self.desk.session.scope.region:
            here = self._clients.setdefault(region, here.in_region(region))
        return here.call_or_raise(call)


def _gone(one: Stream, reply: Refused) -> str:
    if "group" in reply.message:
        return f"there is no log group {one.group}: it was deleted, or the instance could not create it"
    return f"log stream {one.name} of {one.group} no longer exists: deleted, or older than the group's retention"


def _pause(members: Collection[Mapping[str, Any]]) -> float:
    """Seconds between two looks at the jobs: more for thousands of children, which take many calls."""
    calls = sum(not watch.over(one) for one in members) / DESCRIBED
    return max(watch.PERIOD, calls / MOST_A_SECOND)


def follow(logs: Logs, ids: Sequence[str]) -> Iterator[Line | Mapping[str, Mapping[str, Any]]]:
    """The lines as they are written, and between them the jobs whenever they were looked at, until all jobs have ended
    and their last lines have arrived.
    """
    desk, closed, poll = logs.desk, dict[tuple[str, str, str], float](), watch.Poll(logs.desk, ids)
    looked, ended_at, read = float("-inf"), None, desk.clock.now()
    members: dict[str, Mapping[str, Any]] = {}
    while True:
        now = desk.clock.now()
        if ended_at is None and now - looked >= _pause(members.values()):
            looked = now
            jobs = poll()
            with suppress(Passing):
                members = family.members(desk, jobs, members)
                logs.look(members.values())
            ended_at = now if poll.over else None
            yield jobs
        for one in logs.streams:
            if not one.open:
                closed.setdefault(one.key, now)
        yield from logs.fresh([one for one in logs.streams if now - closed.get(one.key, now) <= LATE])
        read = read if logs.failed else now
        if logs.failed and now - read > watch.PATIENCE:
            raise logs.failed
        if ended_at is not None and now - ended_at >= LATE and not logs.failed:
            return
        desk.clock.sleep(max(PERIOD, logs.calls / MOST_A_SECOND))
