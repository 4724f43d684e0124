"""CloudTrail: the history of the account's management events, of which LookupEvents alone is served.

An event can be looked up some minutes after its call, for 90 days. Two look-ups a second are answered, for an account
and Region.

https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from reconciler.sandbox.faults import THROTTLING_ELSEWHERE
from reconciler.sandbox.services import _trail_events as events
from reconciler.sandbox.services._hooks import Rules, ServiceCall
from reconciler.sandbox.services._trail import Entry
from reconciler.sandbox.wire import Json, Refusal

RULES = Rules("cloudtrail")

_DAYS = 90 * 86400.0
_PAGE = 50
_A_SECOND = 2
_READS = {"true": True, "false": False}


@RULES.before("LookupEvents")
def two_look_ups_a_second(call: ServiceCall) -> None:
    """More are throttled; those do not count."""
    times = call.account.trail.lookups.setdefault(call.region, [])
    times[:] = [at for at in times if call.now - at < 0.999]
    if len(times) >= _A_SECOND:
        raise Refusal(*THROTTLING_ELSEWHERE)
    times.append(call.now)


@RULES.before("LookupEvents")
def events_are_found_by_one_attribute(call: ServiceCall) -> Json:
    """Pages of at most 50 events, the newest first."""
    attributes = call.params.get("LookupAttributes", [])
    if len(attributes) > 1:
        raise Refusal("InvalidLookupAttributesException", "You can only specify one lookup attribute.")
    start, end = (_seconds(call.params.get(name)) for name in ("StartTime", "EndTime"))
    if start is not None and end is not None and start > end:
        raise Refusal("InvalidTimeRangeException", "The start time occurs after the end time.")
    most = call.params.get("MaxResults", _PAGE)
    if not 1 <= most <= _PAGE:
        raise Refusal("InvalidMaxResultsException", f"MaxResults must be from 1 to {_PAGE}.")
    key, value = (attributes[0]["AttributeKey"], attributes[0]["AttributeValue"]) if attributes else ("", "")
    query = hashlib.sha256(repr((key, value, start, end, most)).encode()).hexdigest()[:12]
    before = _before(call.params.get("NextToken"), query)
    found = list(islice(_found(call, key, value, start, end, before), most + 1))
    reply: Json = {"Events": [_event(entry, call.account.id) for entry in found[:most]]}
    if len(found) > most:
        reply["NextToken"] = f"{query}:{found[most - 1].n}"
    return reply


def _before(token: str | None, query: str) -> int | None:
    if token is None:
        return None
    asked, _, number = token.partition(":")
    if asked != query or not number.isdigit():
        raise Refusal("InvalidNextTokenException", "The token is not valid, or was used with other parameters.")
    return int(number)


def _found(
    call: ServiceCall, key: str, value: str, start: float | None, end: float | None, before: int | None
) -> Iterator[Entry]:
    trail, account = call.account.trail, call.account.id
    delivered = call.now - call.account.settings.trail_delay
    oldest = max(call.now - _DAYS, start or 0.0)
    matches = _matcher(key, value, account)
    for entry in trail.newest_first(reads=_READS.get(value) if key == "ReadOnly" else None):
        if entry.at < oldest:
            return
        late = entry.at > delivered or (end is not None and entry.at > end)
        if late or (before is not None and entry.n >= before) or events.region_of(entry) != call.region:
            continue
        if matches(entry):
            yield entry


def _matcher(key: str, value: str, account: str) -> Callable[[Entry], bool]:
    """Whether an event has an attribute; only what the attribute needs is made of each event."""
    of_keys: dict[str, Callable[[Entry], Any]] = {
        "EventId": events.event_id,
        "EventName": lambda entry: entry.operation,
        "EventSource": lambda entry: f"{entry.service}.amazonaws.com",
        "ReadOnly": lambda entry: str(entry.reads).lower(),
        "AccessKeyId": lambda entry: entry.request.access_key,
        "Username": lambda entry: events.username(events.identity(entry, account)),
    }
    if key in ("ResourceName", "ResourceType"):
        return lambda entry: any(one[key] == value for one in events.resources(entry, account))
    found = of_keys.get(key)
    return (lambda entry: found(entry) == value) if found else (lambda _: True)


def _event(entry: Entry, account: str) -> Json:
    found = events.written(entry, account)
    key = found["userIdentity"].get("accessKeyId", "")
    name = events.username(found["userIdentity"])
    return {
        "EventId": found["eventID"],
        "EventName": entry.operation,
        "ReadOnly": str(entry.reads).lower(),
        **({"AccessKeyId": key} if key else {}),
        "EventTime": datetime.fromtimestamp(int(entry.at), UTC),
        "EventSource": found["eventSource"],
        **({"Username": name} if name else {}),
        "Resources": events.resources(entry, account),
        "CloudTrailEvent": json.dumps(found, default=str),
    }


def _seconds(value: Any) -> float | None:
    if isinstance(value, datetime):
        return value.timestamp()
    return float(value) if value is not None else None
