"""A client whose reads several environments share: what lists a whole account is asked for once a minute.

Only where nothing is written, as in the drift of a fleet: a run that changes something must see its changes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Final

from reconciler.account.client import READS, AwsClient
from reconciler.model import Call, Refused, Reply, compact

KEPT: Final = 60.0  # seconds, in which most environments of an account are compared
MOST_KEPT: Final = 16  # replies: those of one account's lists, each of which may have megabytes


class SharingClient(AwsClient):
    """Sends equal calls of whole lists once in ``KEPT`` seconds, also for callers in several threads."""

    def __init__(self, client: AwsClient, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__(client.session, client.endpoint, client.source)
        self._now = now
        self._shared: dict[str, tuple[float, Future[Reply]]] = {}
        self._sharing = threading.Lock()

    def call(self, call: Call) -> Reply:
        """As :meth:`.AwsClient.call`; a refusal is not kept for others."""
        if not call.all_pages or not call.operation.startswith(READS):
            return super().call(call)
        key = f"{self.session.region_name} {call}{compact(dict(call.params))}"  # in_region shares what is known
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
