"""What is there: runs the kinds' reads, equal calls once, independent ones at the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

from reconciler.model import EMPTY, Call, Kind, Live, Observed, Query, Reads, Reply, Scope, Sought, Unreadable, compact

T = TypeVar("T")
INDEX = "resourcegroupstaggingapi"
Ask = Callable[[Sequence[Call]], tuple[Reply, ...]]
GIVE_UP = 8


@dataclass(frozen=True, slots=True)
class _Seen:
    """What one read has found, what it could not see of what else is owned, and of what is sought, by name."""

    lives: Sequence[Live]
    beyond: tuple[Unreadable, ...] = ()
    sought: Mapping[str, Unreadable] = EMPTY


class Aws(Protocol):
    """Where calls go."""

    def call(self, call: Call) -> Reply: ...


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

    def each(self, jobs: Mapping[Any, Callable[[], T]]) -> dict[Any, T | BaseException]:
        """Runs ``jobs`` at the same time; the result or the exception of each."""
        if self._pool is None or len(jobs) < 2:
            return {name: _caught(job) for name, job in jobs.items()}
        pool = ThreadPoolExecutor(min(len(jobs), 32))
        try:
            futures = {name: pool.submit(_caught, job) for name, job in jobs.items()}
            return {name: future.result() for name, future in futures.items()}
        finally:
            pool.shutdown(wait=False, cancel_futures=True)  # who interrupts does not wait for what hangs

    def close(self) -> None:
        if self._pool:
            self._pool.shutdown(wait=False, cancel_futures=True)


class Once:
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


def observe(
    reader: Reader,
    kinds: Mapping[str, Kind],
    scope: Scope,
    sought: Mapping[str, tuple[Sought, ...]],
    elsewhere: Iterable[tuple[str, str]] = (),
    later: Mapping[str, Callable[[], tuple[Sought, ...]]] = EMPTY,
) -> Observed:
    """Everything of the sought names and everything the environment owns; and the ``elsewhere`` (section, name).

    ``later`` are the sections of which what is sought is known only when other facts are: they hold up no others.

    A refused read costs what only it can tell: what else of a section is owned (``partial``), what cannot be read by
    name either (``unreadable``). Any other error is raised.
    """
    declared = frozenset((*(section for section, names in sought.items() if names), *later))

    def everything(section: str) -> Callable[[], _Seen]:
        def read() -> _Seen:
            names = later[section]() if section in later else sought.get(section, ())
            query = Query(scope=scope, sought=names, owned=True, declared=declared)
            return _seen(reader, kinds[section], query)

        return read

    def one(section: str, name: str) -> Callable[[], _Seen]:
        query = Query(scope=scope, sought=(Sought(name),), declared=declared, brief=True)
        return lambda: _Seen(reader.drive(kinds[section].read(query)))

    jobs: dict[Any, Callable[[], _Seen]] = {section: everything(section) for section in kinds}
    jobs |= {(section, name): one(section, name) for section, name in elsewhere}
    lives: dict[str, tuple[Live, ...]] = {}
    existing: dict[tuple[str, str], Mapping[str, str] | None] = {}
    unreadable: dict[tuple[str, str], Unreadable] = {}
    partial: dict[str, tuple[Unreadable, ...]] = {}
    for key, found in reader.each(jobs).items():
        if isinstance(found, Unreadable) and not isinstance(key, str):
            unreadable[key] = found
        elif isinstance(found, BaseException):
            raise found
        elif isinstance(key, str):
            lives[key] = tuple(found.lives)
            unreadable |= {(key, name): refused for name, refused in found.sought.items()}
            if found.beyond and not kinds[key].shared:  # what is shared is never owned
                partial[key] = found.beyond
        else:
            existing[key] = next((live.attrs for live in found.lives if not live.dying), None)
    return Observed(lives=lives, existing=existing, unreadable=unreadable, partial=partial)


def _seen(reader: Reader, kind: Kind, query: Query) -> _Seen:
    """What ``query`` finds: at its best, then without the index, then by name, and then each name by itself."""
    refused: list[Unreadable] = []
    try:
        return _Seen(reader.drive(kind.read(query)))
    except Unreadable as error:
        refused.append(error)
    if refused[0].call.service == INDEX:
        try:
            return _Seen(reader.drive(kind.read(replace(query, indexed=False))))
        except Unreadable as error:
            refused.append(error)
    named = replace(query, owned=False)
    try:
        return _Seen(reader.drive(kind.read(named)), tuple(refused))
    except Unreadable as error:
        refused.append(error)
    return _one_by_one(reader, kind, named, tuple(refused))


def _one_by_one(reader: Reader, kind: Kind, query: Query, refused: tuple[Unreadable, ...]) -> _Seen:
    """Each of the sought names by itself, since a policy may allow some of them only.

    Where none of the first few may be read, it is taken to be for all of them.
    """
    lives: list[Live] = []
    unseen: dict[str, Unreadable] = {}
    for number, sought in enumerate(query.sought):
        if number == len(unseen) == GIVE_UP:
            return _Seen(lives, refused, unseen | {one.name: refused[-1] for one in query.sought[number:]})
        try:
            lives += reader.drive(kind.read(replace(query, sought=(sought,))))
        except Unreadable as error:
            unseen[sought.name] = error
    once = {(live.physical, *sorted(live.attrs.items())): live for live in lives}
    return _Seen(list(once.values()), refused, unseen)


def _caught(job: Callable[[], T]) -> T | BaseException:
    try:
        return job()
    except BaseException as error:  # noqa: BLE001  (given back to whoever asked)
        return error
