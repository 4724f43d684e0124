"""Who changed what has drifted: looks it up in CloudTrail, within the limits of LookupEvents.

- LookupEvents has one attribute, serves two requests a second for an account and Region, and 90 days. One look-up by
  name of the event serves all resources that an event of this name may have changed.
- An event appears some minutes after its call: of a younger change nothing can be said.
- What cannot be looked up is a warning, never an error: drift is found without it.

https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html
https://docs.aws.amazon.com/awscloudtrail/latest/userguide/how-cloudtrail-works.html
"""

from __future__ import annotations

import heapq
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import field
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final, Protocol

from reconciler.model import EMPTY, Address, Call, Change, Kind, Path, Plan, Refused, Reply, Scope, Verb
from reconciler.model import problem_codes as codes
from reconciler.model.problems import Problem
from reconciler.model.records import dataclass
from reconciler.operations.drift import events
from reconciler.operations.drift.events import ChangedBy, Recording, Search

MOST: Final = 20  # look-ups of one environment: ten seconds
MOST_PAGES: Final = 4  # of one look-up
MOST_NAMES: Final = 2  # names of events that are looked up for one resource
APART: Final = 0.5  # seconds between two requests
DELIVERY: Final = 15 * 60.0  # seconds in which an event may not have been delivered yet
KEPT: Final = 90 * 86400.0
SKEW: Final = 60.0
WAITS: Final = (1.0, 2.0, 4.0)  # seconds after a request that was throttled
PERMISSION: Final = "cloudtrail:LookupEvents"
_OPERATION: Final = Call("cloudtrail", "LookupEvents")
_HOMES: Final = {  # https://docs.aws.amazon.com/IAM/latest/UserGuide/cloudtrail-integration.html
    "aws": "us-east-1",
    "aws-cn": "cn-north-1",
    "aws-us-gov": "us-gov-west-1",
    "aws-iso": "us-iso-east-1",
    "aws-iso-b": "us-isob-east-1",
}

NOT_YET: Final = "not yet in CloudTrail: the change is less than 15 minutes old"
TOO_OLD: Final = "older than the 90 days that CloudTrail keeps"
NO_EVENT: Final = (
    "unknown: CloudTrail has no such call; the change may be older than 90 days or younger than 15 minutes"
)
NOT_FOUND: Final = "unknown: CloudTrail has no such call"
UNKNOWN_KIND: Final = "unknown: no event of CloudTrail names the resource of such a change"
LIMIT: Final = "unknown: the limit of {most} look-ups was reached"
TOO_MANY: Final = "unknown: CloudTrail has more such calls than are read"
REFUSED: Final = "unknown: CloudTrail cannot be read"


class Client(Protocol):
    """What sends calls: an ``AwsClient``."""

    def call(self, call: Call) -> Reply:
        """The reply, or the refusal."""
        ...

    def in_region(self, region: str) -> Client:
        """The same account in another Region."""
        ...


class Clock(Protocol):
    """A monotonic clock, in seconds."""

    def now(self) -> float:
        """The time."""
        ...

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        ...


class Pace:
    """Keeps the look-ups of one process apart, by account and Region. Thread-safe: share one between environments."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._next: dict[tuple[str, str], float] = {}
        self._lock = threading.Lock()

    def wait(self, account: str, region: str) -> None:
        """Wait until another look-up may be made."""
        with self._lock:
            now = self.clock.now()
            at = max(now, self._next.get((account, region), now))
            self._next[account, region] = at + APART
        if at > now:
            self.clock.sleep(at - now)


@dataclass(frozen=True, slots=True)
class Window:
    """When a resource changed, in seconds since the epoch: after it was last seen without drift, before it was first
    seen with it. None where that is not known.
    """

    after: float | None = None
    before: float | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """By address who made the change, None where that is unknown; ``reasons`` has why, in words. ``also`` has who made
    the other changes of a resource, where they were other calls.
    """

    changed_by: Mapping[Address, ChangedBy | None] = EMPTY
    reasons: Mapping[Address, str] = EMPTY
    warnings: tuple[Problem, ...] = ()
    also: Mapping[Address, tuple[ChangedBy, ...]] = EMPTY


@dataclass(slots=True)
class _Stream:
    """The events that one look-up finds, newest first, as far as they were asked for."""

    region: str
    attribute: str
    value: str
    found: list[Recording] = field(default_factory=list)
    token: str = ""
    pages: int = 0
    ended: bool = False

    def reaches(self, after: float | None) -> bool:
        """Whether no event after a time is missing; None: no event at all."""
        return self.ended or bool(after is not None and self.found and self.found[-1].at < after - SKEW)


class History:
    """The event history of an account and Region, asked as little as possible.

    ``now`` is the time in seconds since the epoch by AWS's clock, ``since`` the oldest time that is looked up.
    """

    def __init__(
        self, client: Client, scope: Scope, pace: Pace, *, now: float, since: float | None = None, most: int = MOST
    ) -> None:
        self.warnings: list[Problem] = []
        self.asked = 0
        self._client, self._scope, self._pace = client, scope, pace
        self._now, self._since, self._most = now, since, most
        self._clients: dict[str, Client] = {scope.region: client}
        self._streams: dict[tuple[str, str, str], _Stream] = {}
        self._closed: set[str] = set()

    def stream(self, attribute: str, value: str, *, at_home: bool) -> _Stream:
        """The look-up of an attribute, which is made as its events are read."""
        region = _HOMES.get(self._scope.partition, self._scope.region) if at_home else self._scope.region
        return self._streams.setdefault((region, attribute, value), _Stream(region, attribute, value))

    def events(self, stream: _Stream) -> Iterator[Recording]:
        """The events of a look-up, page by page; ends early at a limit or a refusal."""
        position = 0
        while True:
            yield from islice(stream.found, position, None)
            position = len(stream.found)
            if stream.ended or stream.pages >= MOST_PAGES or not self._next_page(stream):
                return

    def why(self, streams: Sequence[_Stream], after: float | None) -> str:
        """Why the look-ups did not show every event after a time; empty if they did."""
        unfinished = [one for one in streams if not one.reaches(after)]
        if any(one.region in self._closed for one in unfinished):
            return REFUSED
        if any(one.pages < MOST_PAGES for one in unfinished):
            return LIMIT.format(most=self._most)
        return TOO_MANY if unfinished else ""

    def _next_page(self, stream: _Stream) -> bool:
        if stream.region in self._closed:
            return False
        params: dict[str, Any] = {
            "LookupAttributes": [{"AttributeKey": stream.attribute, "AttributeValue": stream.value}]
        }
        if self._since is not None and self._now - self._since < KEPT:
            params["StartTime"] = datetime.fromtimestamp(self._since, UTC)
        if stream.token:
            params["NextToken"] = stream.token
        reply = self._ask(stream.region, Call(_OPERATION.service, _OPERATION.operation, params))
        if reply is None:
            return False
        stream.pages += 1
        stream.found += [one for item in reply.get("Events", ()) if (one := events.parsed(item))]
        stream.token = str(reply.get("NextToken") or "")
        stream.ended = not stream.token
        return True

    def _ask(self, region: str, call: Call) -> Mapping[str, Any] | None:
        """The reply; None at the limit, or where it is refused, of which there is one warning."""
        if region not in self._clients:
            self._clients[region] = self._client.in_region(region)
        pauses = iter(WAITS)
        while self.asked < self._most:
            self.asked += 1
            self._pace.wait(self._scope.account, region)
            reply = self._clients[region].call(call)
            if not isinstance(reply, Refused):
                return reply
            pause = next(pauses, None) if reply.not_processed or reply.unknown_outcome else None
            if pause is None:
                self._close(region, reply)
                return None
            self._pace.clock.sleep(pause)
        return None

    def _close(self, region: str, refused: Refused) -> None:
        if refused.denied:  # it is not granted by Region
            self._closed |= {self._scope.region, _HOMES.get(self._scope.partition, self._scope.region)}
            hint = f"allow {PERMISSION}, which has no narrower resource than *"
        else:
            hint = f"CloudTrail replied {refused}"
        self._closed.add(region)
        message = f"the callers of these changes are unknown: AWS refused {PERMISSION} in {region}"
        self.warnings.append(
            Problem(
                code=codes.EVENT_HISTORY,
                message=message,
                hint=hint,
                warning=True,
                environment=self._scope.environment,
            )
        )


def find_callers(
    plan: Plan,
    kinds: Mapping[str, Kind],
    client: Client,
    pace: Pace,
    *,
    now: float,
    windows: Mapping[Address, Window] = EMPTY,
    most: int = MOST,
) -> Report:
    """Who made the changes of a plan; resources without one are left out. ``kinds`` are by section; ``now`` is AWS's
    time in seconds since the epoch; ``most`` is the maximum number of look-ups.
    """
    drifted = [resource for resource in plan.resources if resource.verb is not Verb.NOOP]
    chosen = {resource.address: windows.get(resource.address, Window()) for resource in drifted}
    since = [window.after for window in chosen.values()]
    oldest = min((at for at in since if at is not None), default=None) if None not in since else None
    history = History(client, plan.scope, pace, now=now, since=None if oldest is None else oldest - SKEW, most=most)
    searches = {one.address: events.search(kinds[one.address.section], one, plan.scope) for one in drifted}
    found: dict[Address, ChangedBy | None] = {}
    also: dict[Address, tuple[ChangedBy, ...]] = {}
    reasons: dict[Address, str] = {}
    for address, sought in searches.items():
        answer = _newest(history, sought, chosen[address], now)
        found[address] = None if isinstance(answer, str) else events.changed_by(answer)
        if isinstance(answer, str):
            reasons[address] = answer
    for address, sought in searches.items():  # with the look-ups that are left
        if sought and found[address] and len({change.path for change in _changes(sought)}) > 1:
            first, *others = _callers(history, sought, chosen[address])
            found[address], also[address] = first, tuple(others)
    return Report(found, reasons, tuple(history.warnings), {one: more for one, more in also.items() if more})


def _newest(history: History, sought: Search | None, window: Window, now: float) -> Recording | str:
    """The newest event that changed a resource, or why it is unknown."""
    if window.before is not None and now - window.before > KEPT:
        return TOO_OLD
    if sought is None or not sought.events or not sought.names:
        return UNKNOWN_KIND
    by_name, named = _streams(history, sought)
    if by_name and (hit := next(_hits(history, by_name, sought, window), None)):
        return hit
    hits = [hit for stream in named[:MOST_NAMES] if (hit := next(_hits(history, stream, sought, window), None))]
    if hits:
        return max(hits, key=lambda hit: hit.at)
    return history.why(named[:MOST_NAMES], window.after) or _absent(window, now)


def _callers(history: History, sought: Search, window: Window) -> list[ChangedBy]:
    """Who made the changes of a resource, each the last event that made it, the weightiest first."""
    made: list[tuple[Recording, list[Change]]] = []
    missing = {change.path for change in _changes(sought)}
    by_name, named = _streams(history, sought)
    for streams in ([by_name] if by_name else [], named):
        wanted = [one for one in streams if one is by_name or _is_wanted(sought.events[one.value], missing)]
        hits = (_hits(history, stream, sought, window) for stream in wanted)
        for found in heapq.merge(*hits, key=lambda one: -one.at):
            if own := [change for change in events.explained(sought, found) if change.path in missing]:
                made.append((found, own))
                missing -= {change.path for change in own}
            if not missing:
                break
    made.sort(key=lambda one: events.weight(*one), reverse=True)
    return [events.changed_by(found) for found, _ in made]


def _changes(sought: Search) -> Iterator[Change]:
    for changes in sought.events.values():
        yield from changes


def _is_wanted(changes: Sequence[Change], missing: Collection[Path]) -> bool:
    return any(change.path in missing for change in changes)


def _streams(history: History, sought: Search) -> tuple[_Stream | None, list[_Stream]]:
    """The look-up by the name of the resource, where there is one, and those by the names of events."""
    home, name = sought.recorded.at_home, sought.resource_name
    by_name = history.stream("ResourceName", name, at_home=home) if name else None
    return by_name, [history.stream("EventName", event, at_home=home) for event in sought.events]


def _hits(history: History, stream: _Stream, sought: Search, window: Window) -> Iterator[Recording]:
    """The events of a look-up that made a change, newest first."""
    for found in history.events(stream):
        if window.after is not None and found.at < window.after - SKEW:
            return
        late = window.before is not None and found.at > window.before + SKEW
        if not late and events.is_it(sought, found):
            yield found


def _absent(window: Window, now: float) -> str:
    """Why CloudTrail has no event, as far as it is known when the change was made."""
    if window.after is not None and now - window.after < DELIVERY:
        return NOT_YET
    if window.after is not None and now - window.after < KEPT:
        return NOT_FOUND
    if window.before is not None and now - window.before > DELIVERY:
        return TOO_OLD
    return NO_EVENT
