"""Reads objects again before they are written to: many of a kind with few calls, for a short time.

A kind that can describe many objects at once (``Kind.read_many``) has all that a plan has still to write to read
together, by the first step that needs one. The result serves each of the others once, and only for :data:`FRESH`
seconds: no first write begins later than that after its object was read. Those that are left then are read again.
Where reading together is refused, takes too long, or takes more calls, each object is read by its name; so is one that
was not found, since the pages of a list may lack what moves from one to another meanwhile.
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

T = TypeVar("T")
#: What is rechecked: a resource, and ``up`` or ``down``.
Recheckable: TypeAlias = tuple[Address, str]


@dataclass(slots=True)
class RecentReads:
    """The reads of one plan; ``pending`` are the objects that it has still to write to, in its order, by section and by
    what is rechecked. ``now`` is a monotonic clock.
    """

    aws: Aws
    scope: Scope
    now: Callable[[], float]
    pending: dict[str, dict[Recheckable, Sequence[Live]]]
    _sections: dict[str, _Section] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def of(self, kind: Kind, wanted: Recheckable, planned: Sequence[Live]) -> Sequence[Live]:
        """The live objects with the names of the ``planned`` ones. Raises Unreadable."""
        with self._lock:
            section = self._sections.setdefault(kind.section, _Section())
        rest = kind.read_many.rest if kind.read_many else None
        with section.lock:
            found, began = self._shared(kind, wanted, planned, section), section.began
            self.pending.get(kind.section, {}).pop(wanted, None)
        if found is not None and rest is not None:
            found = [live for one in found if (live := self._drive(rest(one)))]
            found = found if self.now() <= began + FRESH else None  # these reads may have been throttled
        if found is not None and {live.physical for live in planned} <= {live.physical for live in found}:
            return found
        return [live for name in names(kind, planned) for live in self.by_name(kind, name, planned[0].props)]

    def by_name(self, kind: Kind, name: str, props: Json) -> Sequence[Live]:
        """The live objects of ``name``, from the service itself. Raises Unreadable."""
        query = Query(scope=self.scope, sought=(Sought(name, props),))
        return self._drive(kind.read(query))

    def _drive(self, reads: Reads[T]) -> T:
        return Reader(self.aws, parallelism=0).drive(reads)

    def _shared(
        self, kind: Kind, wanted: Recheckable, planned: Sequence[Live], section: _Section
    ) -> Sequence[Live] | None:
        """What a read for several found that is young enough; None where this one is read by its name."""
        if kind.read_many is None or section.alone:
            return None
        if wanted not in section.found or self.now() > section.began + FRESH:
            section.began, section.found = self.now(), {}
            found = self._read(
                kind, kind.read_many.read, {wanted: planned, **self._next(kind, wanted, kind.read_many.most)}
            )
            if found is None or self.now() > section.began + FRESH:
                section.alone = True
                return None
            section.found = found
        return section.found.pop(wanted, None)

    def _next(self, kind: Kind, wanted: Recheckable, most: int) -> dict[Recheckable, Sequence[Live]]:
        """What comes next in the order of the plan, from ``wanted`` on, and then what was left out before it."""
        pending = self.pending.get(kind.section, {})
        order = list(pending)
        start = order.index(wanted) if wanted in pending else 0
        return {one: pending[one] for one in islice((*order[start:], *order[:start]), most)}

    def _read(
        self,
        kind: Kind,
        read: Callable[[Query], Reads[Sequence[Live] | None]],
        group: Mapping[Recheckable, Sequence[Live]],
    ) -> dict[Recheckable, Sequence[Live]] | None:
        sought = {live_name(kind, live): live.props for lives in group.values() for live in lives}
        query = Query(scope=self.scope, sought=tuple(Sought(name, props) for name, props in sought.items()))
        try:
            lives = self._drive(read(query))
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


def live_name(kind: Kind, live: Live) -> str:
    """The name that ``live`` is read by."""
    return live.attrs.get("name", live.physical) if kind.versioned else live.physical


def names(kind: Kind, lives: Iterable[Live]) -> list[str]:
    """The names that ``lives`` are read by, each once."""
    return list(dict.fromkeys(live_name(kind, live) for live in lives))
