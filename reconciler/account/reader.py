"""What is there: runs the kinds' reads, equal calls once, independent ones at the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from reconciler.model import Aws, Call, Reads, Reply, compact

T = TypeVar("T")
Ask = Callable[[Sequence[Call]], tuple[Reply, ...]]


class Reader:
    """Asks AWS for facts, each once. ``parallelism`` 0 asks one after the other, in this thread."""

    def __init__(self, aws: Aws, *, parallelism: int = 16) -> None:
        self.aws = aws
        self._pool = ThreadPoolExecutor(parallelism) if parallelism else None
        self._known: dict[str, Future[Reply]] = {}
        self._lock = threading.Lock()

    def ask(self, calls: Sequence[Call]) -> tuple[Reply, ...]:
        """The replies to ``calls``, in their order. One alone is made in the thread of whoever wants it."""
        alone = len(calls) == 1
        return tuple(future.result() for future in [self._future(call, alone=alone) for call in calls])

    def _future(self, call: Call, *, alone: bool) -> Future[Reply]:
        key = f"{call}{call.all_pages}{compact(call.params)}"
        with self._lock:
            if key in self._known:
                return self._known[key]
            made: Future[Reply] = Future()
            self._known[key] = made
        if self._pool and not alone:
            self._pool.submit(self._make, call, made)
        else:
            self._make(call, made)
        return made

    def _make(self, call: Call, made: Future[Reply]) -> None:
        try:
            made.set_result(self.aws.call(call))
        except BaseException as error:  # noqa: BLE001  (it is raised again where the reply is wanted)
            made.set_exception(error)

    def drive(self, reads: Reads[T]) -> T:
        """Runs one read to its end; raises what it raises."""
        try:
            calls = next(reads)
            while True:
                calls = reads.send(self.ask(calls))
        except StopIteration as end:
            found: T = end.value
            return found

    def run_all(self, jobs: Mapping[Any, Callable[[], T]]) -> dict[Any, T | BaseException]:
        """Runs ``jobs`` at the same time; the result or the exception of each."""
        if self._pool is None or len(jobs) < 2:
            return {name: _result_or_error(job) for name, job in jobs.items()}
        pool = ThreadPoolExecutor(min(len(jobs), 32))
        try:
            futures = {name: pool.submit(_result_or_error, job) for name, job in jobs.items()}
            return {name: future.result() for name, future in futures.items()}
        finally:
            pool.shutdown(wait=False, cancel_futures=True)  # who interrupts does not wait for what hangs

    def close(self) -> None:
        if self._pool:
            self._pool.shutdown(wait=False, cancel_futures=True)


class SharedResult:
    """A function that is run by the first who asks, while all others wait for what it gives or raises."""

    def __init__(self, run: Callable[[], Any]) -> None:
        self._run = run
        self._lock = threading.Lock()
        self._found: Future[Any] | None = None

    def __call__(self) -> Any:
        with self._lock:
            if self._found is None:
                self._found = Future()
                try:
                    self._found.set_result(self._run())
                except BaseException as error:  # noqa: BLE001  (it is raised again for whoever asks)
                    self._found.set_exception(error)
        return self._found.result()


def _result_or_error(job: Callable[[], T]) -> T | BaseException:
    try:
        return job()
    except BaseException as error:  # noqa: BLE001  (given back to whoever asked)
        return error
