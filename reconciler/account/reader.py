"""Reads the account: runs the kinds' reads, equal calls once, independent ones in parallel."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from queue import SimpleQueue
from typing import Any, Final, TypeVar

from reconciler.model import EMPTY, Aws, Call, Reads, Refused, Reply, Unreadable, compact
from reconciler.model.records import dataclass
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
        # of a client that several environments share
        self._kept: Callable[[Call], Reply | None] = getattr(aws, "kept", lambda _: None)
        self._read: Callable[[Call], Reply] = getattr(aws, "read", aws.call)

    def ask(self, calls: Sequence[Call]) -> tuple[Reply, ...]:
        """The replies to ``calls``, in their order; a single call is sent in the calling thread."""
        pool = None if len(calls) == 1 else self._pool

        def send(call: Call, future: Future[Reply]) -> None:
            if pool:
                pool.submit(self._fulfil, call, future)
            else:
                self._fulfil(call, future)

        return tuple(future.result() for future in [self._future(call, send) for call in calls])

    def _future(self, call: Call, send: Callable[[Call, Future[Reply]], None]) -> Future[Reply]:
        """The reply when it comes; ``send`` is for a call that is new."""
        key = f"{call}{call.all_pages}{compact(dict(call.params))}"
        with self._lock:
            if key in self._known:
                return self._known[key]
            future: Future[Reply] = Future()
            self._known[key] = future
        if (reply := self._kept(call)) is not None:
            future.set_result(reply)
        else:
            send(call, future)
        return future

    def _fulfil(self, call: Call, future: Future[Reply]) -> None:
        try:
            future.set_result(self._read(call))
        except BaseException as error:  # noqa: BLE001  (raised again by the future)
            future.set_exception(error)

    def drive(self, reads: Reads[T]) -> T:
        """The result of one read (a generator of calls); raises what it raises, and Unreadable for replies that lack a
        member which AWS always sends, or whose pages never end.
        """
        return self._driven(bounded(reads))

    def _driven(self, reads: Reads[T]) -> T:
        try:
            calls = next(reads)
            while True:
                calls = reads.send(self.ask(calls))
        except StopIteration as end:
            found: T = end.value
            return found

    def read_all(
        self, reads: Mapping[Any, Reads[T]], later: Mapping[Any, Callable[[], Reads[T]]] = EMPTY
    ) -> dict[Any, T | BaseException]:
        """The result, or the exception, of each of the reads, which are :func:`bounded`.

        Their calls are sent in parallel, and each goes on in this thread when it has its replies: a thread for each of
        them takes longer than what they do. Only those of ``later`` are begun by threads, since they may wait.
        """
        if self._pool is None:
            every = {name: partial(self._driven, read) for name, read in reads.items()}
            every |= {name: partial(lambda begin: self._driven(begin()), begin) for name, begin in later.items()}
            return {name: _result_or_error(job) for name, job in every.items()}
        single = ThreadPoolExecutor(min(len(reads) + len(later), 32) or 1)
        try:
            return _Turns(self._future, self._fulfil, self._pool, single).taken(reads, later)
        finally:
            single.shutdown(wait=False, cancel_futures=True)  # an interrupt does not wait for calls that hang

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


class _Turns:
    """Reads that go on, one at a time, as their replies come.

    Calls are sent when nothing else can go on: by ``single`` where a read has asked for one only, by ``pool`` those of
    several, and by this thread where there is nothing else to wait for.
    """

    def __init__(
        self,
        future: Callable[[Call, Callable[[Call, Future[Reply]], None]], Future[Reply]],
        fulfil: Callable[[Call, Future[Reply]], None],
        pool: ThreadPoolExecutor,
        single: ThreadPoolExecutor,
    ) -> None:
        self._future, self._fulfil, self._pool, self._single = future, fulfil, pool, single
        self._ready: SimpleQueue[_Turn] = SimpleQueue()
        self._unsent: list[tuple[ThreadPoolExecutor, Call, Future[Reply]]] = []
        self._sent: list[Future[Any]] = []

    def taken(
        self, reads: Mapping[Any, Reads[T]], later: Mapping[Any, Callable[[], Reads[T]]]
    ) -> dict[Any, T | BaseException]:
        """The results, or the exceptions."""
        found: dict[Any, Any] = {}
        for name, begin in later.items():
            self._sent.append(self._single.submit(self._begin, name, begin))
        for name, read in reads.items():
            self._ready.put(_Turn(name, read))
        while len(found) < len(reads) + len(later):
            if self._ready.empty():
                self._send()
            turn = self._ready.get()
            try:
                self._go_on(turn)
            except StopIteration as end:
                found[turn.name] = end.value
            except KeyboardInterrupt:  # of this thread, in which the reads go on
                raise
            except BaseException as error:  # noqa: BLE001  (returned to the caller)
                found[turn.name] = error
        return found

    def _begin(self, name: Any, begin: Callable[[], Reads[Any]]) -> None:
        read = _result_or_error(begin)
        self._ready.put(_Turn(name, _raising(read) if isinstance(read, BaseException) else read))

    def _go_on(self, turn: _Turn) -> None:
        """Give what was answered, and ask for more, until something has to be waited for. Raises StopIteration with the
        result, and what the read raises.
        """
        while True:
            asked = turn.asked or []
            while turn.answered < len(asked) and asked[turn.answered].done():
                turn.answered += 1  # from where it was: there may be thousands
            if turn.answered < len(asked):
                asked[turn.answered].add_done_callback(lambda _: self._ready.put(turn))
                return
            replies = tuple(future.result() for future in asked)
            calls = next(turn.read) if turn.asked is None else turn.read.send(replies)
            pool = self._single if len(calls) == 1 else self._pool
            put = partial(self._put, pool)
            turn.asked, turn.answered = [self._future(call, put) for call in calls], 0

    def _put(self, pool: ThreadPoolExecutor, call: Call, future: Future[Reply]) -> None:
        self._unsent.append((pool, call, future))

    def _send(self) -> None:
        unsent, self._unsent = self._unsent, []
        while self._sent and self._sent[-1].done():  # whether any is not: each of them is looked at once
            self._sent.pop()
        if len(unsent) == 1 and not self._sent:
            self._fulfil(*unsent[0][1:])
        else:
            for pool, call, future in unsent:
                self._sent.append(pool.submit(self._fulfil, call, future))


@dataclass(slots=True)
class _Turn:
    """A read, what it has asked for last (None before it has begun), and how much of that is surely answered."""

    name: Any
    read: Reads[Any]
    asked: list[Future[Reply]] | None = None
    answered: int = 0


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


def bounded(reads: Reads[T]) -> Reads[T]:
    """The same read, which ends: it raises Unreadable for replies that lack a member which AWS always sends, and where
    their pages never end.
    """
    calls: tuple[Call, ...] = ()
    try:
        calls = next(reads)
        for _ in range(MOST_ROUNDS):
            calls = reads.send((yield calls))
    except StopIteration as end:
        found: T = end.value
        return found
    except KeyError as error:
        if not calls:
            raise
        raise _not_aws(calls[-1], f"its reply has no {error.args[0]}") from error
    raise _not_aws(calls[-1], "its pages never end")


def _raising(error: BaseException) -> Reads[Any]:
    raise error
    yield ()


def _not_aws(call: Call, why: str) -> Unreadable:
    return Unreadable(call, Refused(NOT_AWS_REPLY, f"{call.service} did not answer like AWS: {why}"))
