"""A client whose reads several environments share: what lists a whole account is asked for once a minute, what one
environment has asked for is kept for the others once a second has asked, and twenty ask at once what they own.

Only where nothing is written, as in the drift of a fleet: a run that changes something must see its changes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import field
from itertools import islice
from typing import Any, Final, TypeAlias

from reconciler.account.client import READS, AwsClient
from reconciler.model import Call, Refused, Reply, compact
from reconciler.model.records import dataclass

KEPT: Final = 60.0  # seconds, in which most environments of an account are compared
MOST_KEPT: Final = 16  # replies: those of one account's lists, each of which may have megabytes
MOST_REPEATED: Final = 256  # replies to what several have asked, such as the tags of a profile that no list has
MOST_SEEN: Final = 20_000  # calls that one has asked: their hashes
# Values of one filter: https://docs.aws.amazon.com/resourcegroupstagging/latest/APIReference/API_TagFilter.html
MOST_VALUES: Final = 20

_Parts: TypeAlias = Mapping[str, Reply] | Refused
_Store: TypeAlias = dict[str, tuple[float, Future[Reply]]]


@dataclass(slots=True)
class _Taken:
    """What was asked for several values of a tag, by value; the expected ones before ``reached`` were asked for."""

    of: dict[str, tuple[float, Future[_Parts]]] = field(default_factory=dict)
    reached: int = 0


class SharingClient(AwsClient):
    """Sends equal calls of whole lists once in ``KEPT`` seconds, also for callers in several threads.

    ``expected`` are the environments that will be compared, in their order, and grows: one call asks what several of
    them own.
    """

    def __init__(
        self, client: AwsClient, now: Callable[[], float] = time.monotonic, expected: Sequence[str] = ()
    ) -> None:
        super().__init__(client.session, client.endpoint, client.source)
        self._now = now
        self._shared: _Store = {}
        self._repeated: _Store = {}
        self._seen: dict[int, None] = {}
        self._expected = expected
        self._taken: dict[str, _Taken] = {}
        self._sharing = threading.Lock()

    def call(self, call: Call) -> Reply:
        """As :meth:`.AwsClient.call`; a refusal is not kept for others."""
        if not call.all_pages or not call.operation.startswith(READS):
            return super().call(call)
        if (owner := _one_owner(call)) and len(self._expected) > 1:
            parts = self._of_several(call, *owner)
            return super().call(call) if isinstance(parts, Refused) else parts[owner[1]]
        return self._kept_in(self._shared, MOST_KEPT, self._key(call), call)

    def read(self, call: Call) -> Reply:
        """As :meth:`call`, of a read whose reply is the same for every environment: also of a single object."""
        if call.all_pages or not call.operation.startswith(READS):
            return self.call(call)
        key = self._key(call)
        with self._sharing:
            first, known = hash(key) not in self._seen, key in self._repeated
            self._seen[hash(key)] = None
            if len(self._seen) > MOST_SEEN:
                del self._seen[next(iter(self._seen))]
        if first and not known:
            return super().call(call)
        return self._kept_in(self._repeated, MOST_REPEATED, key, call)

    def _kept_in(self, store: _Store, most: int, key: str, call: Call) -> Reply:
        """The reply in ``store``; asked for where it is not there, or no longer."""
        with self._sharing:
            asked, future = store.pop(key, (float("-inf"), None))
            first = future is None or self._now() - asked > KEPT
            if future is None or first:
                asked, future = self._now(), Future()
            store[key] = (asked, future)
            while len(store) > most:
                del store[next(iter(store))]
        if first:
            try:
                reply = super().call(call)
            except BaseException as error:
                self._forget(store, key, future)
                future.set_exception(error)
                raise
            if isinstance(reply, Refused):
                self._forget(store, key, future)
            future.set_result(reply)
        return future.result()

    def kept(self, call: Call) -> Reply | None:
        """The reply to ``call`` where it is there already: no thread need wait for it."""
        if not call.operation.startswith(READS):
            return None
        owner = _one_owner(call)
        with self._sharing:
            if owner and len(self._expected) > 1:
                taken = self._taken.get(self._key(_with_owners(call, owner[0], ())))
                there = taken.of.get(owner[1]) if taken else None
            else:
                there = (self._shared if call.all_pages else self._repeated).get(self._key(call))
        if there is None or not there[1].done() or self._now() - there[0] > KEPT or there[1].exception():
            return None
        return self.read(call)

    def _key(self, call: Call) -> str:
        return f"{self.session.region_name} {call}{compact(dict(call.params))}"  # in_region shares what is known

    def _forget(self, store: _Store, key: str, future: Future[Reply]) -> None:
        with self._sharing:
            if store.get(key, (0, None))[1] is future:
                del store[key]

    def _of_several(self, call: Call, tag: str, value: str) -> _Parts:
        """The replies for ``value`` and what is expected next, by value, each of which is kept until it is taken."""
        key = self._key(_with_owners(call, tag, ()))
        with self._sharing:
            taken = self._taken.setdefault(key, _Taken())
            asked, future = taken.of.pop(value, (float("-inf"), None))
            if future is not None and self._now() - asked <= KEPT:
                values = None
            else:
                values, future = [value, *self._next(taken, value)], Future()
                taken.of |= {other: (self._now(), future) for other in values[1:]}
        if values:
            try:
                parts = _by_owner(super().call(_with_owners(call, tag, values)), tag, values)
            except BaseException as error:
                future.set_exception(error)
                self._drop(taken, future)
                raise
            if isinstance(parts, Refused):
                self._drop(taken, future)
            future.set_result(parts)
        return future.result()

    def _next(self, taken: _Taken, value: str) -> list[str]:
        """What is expected next and was not asked for yet."""
        found: dict[str, None] = {}
        for other in islice(self._expected, taken.reached, None):
            if len(found) == MOST_VALUES - 1:
                break
            taken.reached += 1
            if other != value:
                found[other] = None
        return list(found)

    def _drop(self, taken: _Taken, future: Future[_Parts]) -> None:
        """Forget what was refused: each asks for itself."""
        with self._sharing:
            taken.of = {value: kept for value, kept in taken.of.items() if kept[1] is not future}


def _one_owner(call: Call) -> tuple[str, str] | None:
    """The key and the value of the one tag that a call of the index is about; None for any other call."""
    filters: Any = call.params.get("TagFilters", ()) if call.operation == "GetResources" else ()
    if len(filters) != 1 or len(filters[0].get("Values", ())) != 1:
        return None
    return filters[0]["Key"], filters[0]["Values"][0]


def _with_owners(call: Call, tag: str, values: Sequence[str]) -> Call:
    params = {**call.params, "TagFilters": [{"Key": tag, "Values": list(values)}]}
    return Call(call.service, call.operation, params, all_pages=True)


def _by_owner(reply: Reply, tag: str, values: Sequence[str]) -> _Parts:
    """The reply as it is for each value by itself, or the refusal."""
    if isinstance(reply, Refused):
        return reply
    found: dict[str, list[Any]] = {value: [] for value in values}
    for item in reply.get("ResourceTagMappingList", ()):
        for one in item.get("Tags", ()):
            if one.get("Key") == tag and one.get("Value") in found:
                found[one["Value"]].append(item)
    return {value: {**reply, "ResourceTagMappingList": items} for value, items in found.items()}
