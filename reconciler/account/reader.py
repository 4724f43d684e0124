"""Reads the account: runs the kinds' reads, equal calls once, independent ones in parallel."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final, TypeVar

from reconciler.model import Aws, Call, Reads, Refused, Reply, Unreadable, compact
from reconciler.model.steps import NOT_AWS_REPLY

T = TypeVar("T")
MOST_ROUNDS: Final = 5000  # of calls in one read; the fullest accounts have a few hundred pages of one kind
Ask = Callable[[Sequence[Call]], tuple[Reply, ...]]


class Reader:
    """Sends read calls, equal ones once. ``parallelism`` 0 sends one after the other, in the calling thread."""

    def __init__(self, aws: Aws, *, parallelism: int = 16) -> None:
        self.aws = aws
        self._pool = ThreadPoolExecutor(parallelism) if parallelism else None
        self._known: dict[str, Future[Reply]] = {}
        self._lock = threading.Lock()

    def ask(self, calls: Sequence[Call]) -> tuple[Reply, ...]:
        """The replies to ``calls``, in their order; a single call is sent in the calling thread."""
        alone = len(calls) == 1
        return tuple(future.result() for future in [self._future(call, alone=alone) for call in calls])

    def _future(self, call: Call, *, alone: bool) -> Future[Reply]:
        key = f"{call}{call.all_pages}{compact(dict(call.params))}"
        with self._lock:
            if key in self._known:
                return self._known[key]
            future: Future[Reply] = Future()
            self._known[key] = future
        if self._pool and not alone:
            self._pool.submit(self._fulfil, call, future)
        else:
            self._fulfil(call, future)
        return future

    def _fulfil(self, call: Call, future: Future[Reply]) -> None:
        try:
            future.set_result(self.aws.call(call))
        except BaseException as error:  # noqa: BLE001  (raised again by the future)
            future.set_exception(error)

    def drive(self, reads: Reads[T]) -> T:
        """The result of one read (a generator of calls); raises what it raises, and Unreadable for replies that lack a
        member which AWS always sends, or whose pages never end.
        """
        calls: tuple[Call, ...] = ()
        try:
            calls = next(reads)
            for _ in range(MOST_ROUNDS):
                calls = reads.send(self.ask(calls))
        except StopIteration as end:
            found: T = end.value
            return found
        except KeyError as error:
            if not calls:
                raise
            raise _not_aws(calls[-1], f"its reply has no {error.args[0]}") from error
        raise _not_aws(calls[-1], "its pages never end")

    def run_all(self, jobs: Mapping[Any, Callable[[], T]]) -> dict[Any, T | BaseException]:
        """The result, or the exception, of each of ``jobs``, run in parallel."""
        if self._pool is None or len(jobs) < 2:
            return {name: _result_or_error(job) for name, job in jobs.items()}
        pool = ThreadPoolExecutor(min(len(jobs), 32))
        try:
            futures = {name: pool.submit(_result_or_error, job) for name, job in jobs.items()}
            return {name: future.result() for name, future in futures.items()}
        finally:
            pool.shutdown(wait=False, cancel_futures=True)  # an interrupt does not wait for calls that hang

    def close(self) -> None:
        """Stop the workers; calls that have not started are dropped."""
        if self._pool:
            self._pool.shutdown(wait=False, cancel_futures=True)


class SharedResult:
    """A function that the first caller runs, while all others wait for its result or exception."""

    def __init__(self, run: Callable[[], Any]) -> None:
        self._run = run
        self._lock = threading.Lock()
        self._found: Future[Any] | None = None

    def __call__(self) -> Any:
        """The result; raises what the function raised."""
        with self._lock:
            if self._found is None:
                self._found = Future()
                try:
                    self._found.set_result(self._run())
                except BaseException as error:  # noqa: BLE001  (raised again for every caller)
                    self._found.set_exception(error)
        return self._found.result()


def _result_or_error(job: Callable[[], T]) -> T | BaseException:
    try:
        return job()
    except BaseException as error:  # noqa: BLE001  (returned to the caller)
        return error


def _not_aws(call: Call, why: str) -> Unreadable:
    return Unreadable(call, Refused(NOT_AWS_REPLY, f"{call.service} did not answer like AWS: {why}"))
