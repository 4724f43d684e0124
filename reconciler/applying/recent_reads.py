"""Reads objects again before they are written to: many of a kind with few calls, for a short time.

A kind that can describe many objects at once (``Kind.read_many``) has all that a plan has still to write to read
together, by the first step that needs one. The result serves each of the others once, and only for :data:`FRESH`
seconds: no first write begins later than that after its object was read. Those that are left then are read again.
Where reading together is refused, takes too long, or takes more calls, each object is read by its name; so is one that
was not found, since the pages of a list may lack what moves from one to another meanwhile.

What is about to be deleted has a way of its own where the kind knows one of fewer calls (``Kind.read_leaving``): for
many together, for one alone, and at last by its name.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field
from itertools import islice
from typing import Final, TypeAlias, TypeVar

from reconciler.account.reader import Reader
from reconciler.model import Address, Aws, Json, Kind, Live, Query, Reads, Scope, Sought, Unreadable
from reconciler.model.records import dataclass

FRESH: Final = 5.0  # seconds from the start of a read to the last first write that relies on it
DOWN: Final = "down"

T = TypeVar("T")
#: What is rechecked: a resource, and ``up`` or ``down``.
Recheckable: TypeAlias = tuple[Address, str]
#: Reads the planned objects of several resources together; None where that takes more calls.
ReadTogether: TypeAlias = Callable[[Sequence[Live]], Reads[Sequence[Live] | None]]


@dataclass(slots=True)
class RecentReads:
    """The reads of one plan; ``pending`` are the objects that it has still to write to, in its order, by section and by
    what is rechecked. ``now`` is a monotonic clock.
    """

    aws: Aws
    scope: Scope
    now: Callable[[], float]
    pending: dict[str, dict[Recheckable, Sequence[Live]]]
    _sections: dict[tuple[str, bool], _Section] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def of(self, kind: Kind, wanted: Recheckable, planned: Sequence[Live]) -> Sequence[Live]:
        """The live objects with the names of the ``planned`` ones. Raises Unreadable."""
        leaving = is_leaving(kind, wanted)
        with self._lock:
            section = self._sections.setdefault((kind.section, leaving), _Section())
        rest = kind.read_many.rest if kind.read_many and not leaving else None
        with section.lock:
            found, began = self._shared(kind, wanted, planned, section), section.began
            self.pending.get(kind.section, {}).pop(wanted, None)
        if found is not None and rest is not None:
            found = [live for one in found if (live := self._drive(rest(one)))]
            found = found if self.now() <= began + FRESH else None  # these reads may have been throttled
        if leaving and not _has_all(found, planned):
            found = self._leaving(kind, planned)
        if found is not None and _has_all(found, planned):
            return found
        return [live for name in names(kind, planned) for live in self.by_name(kind, name, planned[0].props)]

    def by_name(self, kind: Kind, name: str, props: Json) -> Sequence[Live]:
        """The live objects of ``name``, from the service itself. Raises Unreadable."""
        query = Query(scope=self.scope, sought=(Sought(name, props),))
        return self._drive(kind.read(query))

    def _drive(self, reads: Reads[T]) -> T:
        return Reader(self.aws, parallelism=0).drive(reads)

    def _leaving(self, kind: Kind, planned: Sequence[Live]) -> Sequence[Live] | None:
        assert kind.read_leaving is not None
        try:
            return self._drive(kind.read_leaving.read(self.scope, planned))
        except Unreadable:
            return None

    def _shared(
        self, kind: Kind, wanted: Recheckable, planned: Sequence[Live], section: _Section
    ) -> Sequence[Live] | None:
        """What a read for several found that is young enough; None where this one is read by itself."""
        read, most = self._together(kind, wanted)
        if most < 2 or section.alone:
            return None
        if wanted not in section.found or self.now() > section.began + FRESH:
            section.began, section.found = self.now(), {}
            found = self._read(kind, read, {wanted: planned, **self._next(kind, wanted, most)})
            if found is None or self.now() > section.began + FRESH:
                section.alone = True
                return None
            section.found = found
        return section.found.pop(wanted, None)

    def _together(self, kind: Kind, wanted: Recheckable) -> tuple[ReadTogether, int]:
        """How several are read together, and how many."""
        leaving, many = kind.read_leaving, kind.read_many
        if leaving is not None and is_leaving(kind, wanted):
            return lambda lives: leaving.read(self.scope, lives), leaving.most

        def read(lives: Sequence[Live]) -> Reads[Sequence[Live] | None]:
            assert many is not None
            sought = {live_name(kind, live): live.props for live in lives}
            return many.read(Query(scope=self.scope, sought=tuple(Sought(name, sought[name]) for name in sought)))

        return read, many.most if many else 0

    def _next(self, kind: Kind, wanted: Recheckable, most: int) -> dict[Recheckable, Sequence[Live]]:
        """What comes next in the order of the plan, from ``wanted`` on, and then what was left out before it; of these
        what is read in the same way.
        """
        leaving, pending = is_leaving(kind, wanted), self.pending.get(kind.section, {})
        order = [one for one in pending if is_leaving(kind, one) == leaving]
        start = order.index(wanted) if wanted in order else 0
        return {one: pending[one] for one in islice((*order[start:], *order[:start]), most)}

    def _read(
        self, kind: Kind, read: ReadTogether, group: Mapping[Recheckable, Sequence[Live]]
    ) -> dict[Recheckable, Sequence[Live]] | None:
        try:
            lives = self._drive(read([live for lives in group.values() for live in lives]))
        except Unreadable:
            return None  # one of several may be the reason
        if lives is None:
            return None
        by_name: dict[str, list[Live]] = {}
        for live in lives:
            by_name.setdefault(live_name(kind, live), []).append(live)
        return {
            one: [live for name in names(kind, planned) for live in by_name.get(name, ())]
            for one, planned in group.items()
        }


@dataclass(slots=True)
class _Section:
    """What was last read together of a section, and when that began; ``alone`` where each is read by its name."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    began: float = 0.0
    found: dict[Recheckable, Sequence[Live]] = field(default_factory=dict)
    alone: bool = False


def is_leaving(kind: Kind, rechecked: Recheckable) -> bool:
    """Whether it is read again as something that is about to be deleted."""
    return kind.read_leaving is not None and rechecked[1] == DOWN


def _has_all(found: Sequence[Live] | None, planned: Sequence[Live]) -> bool:
    return {live.physical for live in planned} <= {live.physical for live in found or ()}


def live_name(kind: Kind, live: Live) -> str:
    """The name that ``live`` is read by."""
    return live.attrs.get("name", live.physical) if kind.versioned else live.physical


def names(kind: Kind, lives: Iterable[Live]) -> list[str]:
    """The names that ``lives`` are read by, each once."""
    return list(dict.fromkeys(live_name(kind, live) for live in lives))
