"""The event history of CloudTrail: what every request is recorded as.

A request is kept as it arrived and becomes an event only when it is looked up: recording one costs next to nothing.
Data events (``sns:Publish``, objects of S3, log events) are not in the history.

https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import field
from functools import cache
from itertools import count
from typing import Any, NamedTuple

from reconciler.model.patterns import regex
from reconciler.model.records import dataclass
from reconciler.sandbox.wire import Json, Refusal, Reply, Request

LONGEST, LONGEST_READS = 20_000, 5_000  # events kept, of those that write and of those that read
_READS = regex(r"(Describe|Get|List|Batch(Get|Check)|Lookup|Simulate|AssumeRole)[A-Z]|AssumeRole")
_DATA = frozenset(
    {
        ("sns", "Publish"),
        ("sns", "PublishBatch"),
        ("logs", "PutLogEvents"),
        ("logs", "GetLogEvents"),
        ("logs", "FilterLogEvents"),
        ("events", "PutEvents"),
    }
)
_UNMANAGED = frozenset({"", "s3", "sqs"})
_OURS = 501  # the status of what the sandbox lacks, and AWS has


class Entry(NamedTuple):
    """A recorded request. ``region`` is that of the request; ``reply`` is kept for writes and for refusals."""

    n: int
    at: float
    service: str
    operation: str
    region: str
    params: Mapping[str, Any]
    request: Request
    identity: Json | None
    reads: bool
    reply: Reply | None = None
    refusal: Refusal | None = None
    principal: str = ""
    """The service that made the call: ``scheduler.amazonaws.com``."""


@dataclass
class Trail:
    """The history of one account, the last ``LONGEST`` that write and ``LONGEST_READS`` that read.

    ``identities`` are those of access keys, as ``userIdentity`` has them; a key without one is an IAM user's or an
    assumed role's if the account knows it, which ``identify`` says, else the root user's.
    """

    now: Callable[[], float]
    identify: Callable[[str, str], Json | None]
    identities: dict[str, Json] = field(default_factory=dict)
    lookups: dict[str, list[float]] = field(default_factory=dict)
    _writes: deque[Entry] = field(default_factory=lambda: deque(maxlen=LONGEST))
    _reads: deque[Entry] = field(default_factory=lambda: deque(maxlen=LONGEST_READS))
    _count: Iterator[int] = field(default_factory=lambda: count(1))

    def record(
        self,
        service: str,
        operation: str,
        region: str,
        params: Mapping[str, Any],
        request: Request,
        *,
        reply: Reply | None = None,
        refusal: Refusal | None = None,
    ) -> None:
        """One request with its reply, or with its refusal."""
        reads = _reads(service, operation)
        status = refusal.status if refusal else reply.status if reply else 200
        if reads is None or status == _OURS:
            return
        kept = reply if not reads or status >= 300 else None
        self._add(service, operation, region, params, request, self._identity(request, region), reads, kept, refusal)

    def record_service(
        self, principal: str, service: str, operation: str, region: str, params: Mapping[str, Any], identity: Json
    ) -> None:
        """One request that the AWS service ``principal`` made in the account."""
        request = Request("POST", "/", "", {"user-agent": principal}, b"")
        self._add(service, operation, region, params, request, identity, False, None, None, principal)

    def newest_first(self, *, reads: bool | None = None) -> Iterator[Entry]:
        """All events, or those that read or write only."""
        chosen = [self._writes, self._reads] if reads is None else [self._reads if reads else self._writes]
        return heapq.merge(*(reversed(some) for some in chosen), key=lambda entry: -entry.n)

    def clear(self) -> None:
        """Forget everything."""
        self._writes.clear()
        self._reads.clear()
        self.identities.clear()
        self.lookups.clear()

    def _add(self, service: str, operation: str, region: str, params: Mapping[str, Any], *rest: Any) -> None:
        entry = Entry(next(self._count), self.now(), service, operation, region, params, *rest)
        (self._reads if entry.reads else self._writes).append(entry)

    def _identity(self, request: Request, region: str) -> Json | None:
        key = request.access_key
        if key in self.identities:
            return self.identities[key]
        found = self.identify(key, region) if key[:4] in ("AKIA", "ASIA", "LKIA", "LSIA") else None
        if found:
            self.identities[key] = found
        return found


@cache
def _reads(service: str, operation: str) -> bool | None:
    """Whether an operation only reads; None for one whose calls are no management events."""
    if not operation or service in _UNMANAGED or (service, operation) in _DATA:
        return None
    return bool(_READS.match(operation))
