"""What a preflight finds: whether what a plan declares can run, and how sure that is.

What is checked is known to the kinds (``Kind.preflight``); ``account/preflight.py`` makes their calls.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import field
from enum import StrEnum
from typing import Any, Final, TypeVar

from .declared import Declared
from .plan import ResourcePlan, Verb
from .records import dataclass
from .resources import Live, Resource
from .steps import Reads
from .values import EMPTY, Address, Json, Path, Scope

T = TypeVar("T")
#: The service of a call that reads a signed URL, ``{"url": ...}``; the reply is ``{"text": ...}``. No client of AWS
#: gets it: `account/preflight.py` answers it.
DOWNLOAD: Final = "download"


class Level(StrEnum):
    """How much a preflight asks."""

    off = "off"
    on = "on"
    #: Also what takes a request outside AWS's APIs: the architecture of an image without a list of platforms.
    full = "full"


@dataclass(frozen=True, slots=True)
class Asked:
    """How much a preflight asks; if ``narrow``, only about what the plan changes."""

    level: Level = Level.off
    narrow: bool = False


NOTHING: Final = Asked()


class Fit(StrEnum):
    """What a check found."""

    fits = "fits"
    cannot = "cannot"
    unknown = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check of one resource, or of one together with a queue and one of its environments.

    ``certain``: AWS is known to behave so; else it is likely. ``reported``: people are informed where it cannot, since
    nothing else makes up for it. ``final``: only another declaration helps, nothing that may be done beside it (push an
    image, create a role, raise a quota). ``alone``: it is put right at its own place, even where others have the same.
    ``about`` are the other resources that it is about. ``denied`` is the action
    that was not permitted, where that is why it is unknown.
    """

    check: str
    verdict: Fit
    message: str
    certain: bool = True
    reported: bool = False
    final: bool = False
    alone: bool = False
    path: Path = ()
    hint: str = ""
    queue: str = ""
    environment: str = ""
    about: tuple[Address, ...] = ()
    denied: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """Checks in environments, which are the same in every queue: one object for all resources that need the same.

    ``pairs`` are the queues with their environments, each with the key of its ``checks``.
    """

    pairs: Sequence[tuple[str, str, Hashable]]
    checks: Mapping[Hashable, Sequence[Check]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checks:
    """The checks of one resource: its own, those in environments, and what follows from all of them."""

    own: Sequence[Check] = ()
    placed: Placed | None = None
    after: Sequence[Check] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """The checks of a resource."""

    address: Address
    checks: Checks

    def parts(self) -> Iterator[Sequence[Check]]:
        """Its checks, each once in however many queues and environments it is the same; most parts are shared."""
        yield self.checks.own
        yield from self.checks.placed.checks.values() if self.checks.placed else ()
        yield self.checks.after


class Shared:
    """What is found once in a preflight. What makes one value may ask for others, never for itself."""

    def __init__(self) -> None:
        self._found: dict[Hashable, Any] = {}

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """The value of ``key``, which ``make`` makes."""
        if key not in self._found:
            with self.alone(key):
                if key not in self._found:
                    self._found[key] = make()
        found: T = self._found[key]
        return found

    def read_once(self, key: Hashable, reads: Callable[[], Reads[T]]) -> Reads[T]:
        """The value of ``key``, which is the result of ``reads``."""
        if key not in self._found:
            with self.alone(key):
                if key not in self._found:
                    self._found[key] = yield from reads()
        found: T = self._found[key]
        return found

    def alone(self, _: Hashable) -> AbstractContextManager[object]:
        """Where the value of a key is made by one caller: everywhere, without threads."""
        return nullcontext()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What the kinds check on: what is declared, with values as far as the plan knows them, and what is live.

    ``declared`` has references as written, by which resources find each other; ``plans`` what the plan does, by
    address. ``full``: also what takes more than API calls; ``narrow``: only what the plan changes is asked about.
    ``shared`` has what is the same for several resources.
    """

    scope: Scope
    declared: Declared
    plans: Mapping[Address, ResourcePlan] = field(default_factory=lambda: EMPTY)
    full: bool = False
    narrow: bool = False
    shared: Shared = field(default_factory=Shared, compare=False, repr=False)

    def props(self, resource: Resource) -> Json:
        """Its properties, with references resolved where the plan has it."""
        plan = self.plans.get(resource.address)
        return plan.want.props if plan and plan.want else resource.props

    def live(self, resource: Resource) -> Live | None:
        """The live object, unless it is to be replaced or there is none."""
        plan = self.plans.get(resource.address)
        return plan.kept_object if plan and plan.verb is not Verb.REPLACE else None

    def is_new(self, resource: Resource) -> bool:
        """Whether the plan creates it, or a new one in its place."""
        plan = self.plans.get(resource.address)
        return plan is not None and plan.verb in (Verb.CREATE, Verb.REPLACE)

    def concerns(self, *addresses: Address) -> bool:
        """Whether one of these is to be asked about."""
        return not self.narrow or any(map(self.changes, addresses))

    def changes(self, address: Address) -> bool:
        """Whether the plan changes it."""
        plan = self.plans.get(address)
        return plan is not None and plan.verb is not Verb.NOOP
