"""A client whose reads several environments share: what lists a whole account is asked for once a minute, and what
environments own for twenty of them at once.

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
# Values of one filter: https://docs.aws.amazon.com/resourcegroupstagging/latest/APIReference/API_TagFilter.html
MOST_VALUES: Final = 20

_Parts: TypeAlias = Mapping[str, Reply] | Refused


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
        self._shared: dict[str, tuple[float, Future[Reply]]] = {}
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
        key = self._key(call)
        with self._sharing:
            asked, future = self._shared.pop(key, (float("-inf"), None))
            first = future is None or self._now() - asked > KEPT
            if future is None or first:
                asked, future = self._now(), Future()
            self._shared[key] = (asked, future)
            while len(self._shared) > MOST_KEPT:
                del self._shared[next(iter(self._shared))]
        if first:
            self._fulfil(key, future, super().call, call)
        return future.result()

    def kept(self, call: Call) -> Reply | None:
        """The reply to ``call`` where it is there already: no thread need wait for it."""
        if not call.all_pages or not call.operation.startswith(READS):
            return None
        owner = _one_owner(call)
        with self._sharing:
            if owner and len(self._expected) > 1:
                taken = self._taken.get(self._key(_with_owners(call, owner[0], ())))
                there = taken.of.get(owner[1]) if taken else None
            else:
                there = self._shared.get(self._key(call))
        if there is None or not there[1].done() or self._now() - there[0] > KEPT or there[1].exception():
            return None
        return self.call(call)

    def _key(self, call: Call) -> str:
        return f"{self.session.region_name} {call}{compact(dict(call.params))}"  # in_region shares what is known

    def _fulfil(self, key: str, future: Future[Reply], ask: Callable[[Call], Any], call: Call) -> None:
        try:
            reply: Reply = ask(call)
        except BaseException as error:
            self._forget(key, future)
            future.set_exception(error)
            raise
        if isinstance(reply, Refused):
            self._forget(key, future)
        future.set_result(reply)

    def _forget(self, key: str, future: Future[Reply]) -> None:
        with self._sharing:
            if self._shared.get(key, (0, None))[1] is future:
                del self._shared[key]

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
