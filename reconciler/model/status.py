"""How an environment is right now: what runs, waits, and failed lately. The vocabulary of `reconcile status`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from .diagnosis import Unread
from .records import dataclass
from .steps import Reads
from .values import EMPTY, Scope

#: A count of at least so many is shown as "1000+": the rest is not read.
COUNTED: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is asked of a kind: the names in the account of its declared objects, the time by AWS's clock (seconds since
    the epoch), from when on failures are of interest, and how many of each queue are shown.
    """

    scope: Scope
    names: tuple[str, ...]
    now: float
    since: float
    most: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """One environment that jobs run in; None for what does not apply to it, or could not be read. ``live`` is False
    where it does not exist. ``limits`` are those that are not in vCPUs, as texts.
    """

    name: str
    live: bool = True
    type: str = ""
    state: str = ""
    status: str = ""
    reason: str = ""
    desired_vcpus: int | None = None
    running_vcpus: int | None = None
    max_vcpus: int | None = None
    instances: Mapping[str, int] | None = None
    tasks: int | None = None
    limits: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocked:
    """Why jobs of a queue wait, as AWS says it, the cause that this means, and how many jobs say so."""

    reason: str
    cause: str
    message: str
    jobs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    """A job at the front of a queue, or of one of its quota shares; ``since`` in seconds since the epoch."""

    id: str
    name: str
    since: float
    share: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """One share of a queue: how many of its jobs wait and run, and what they use by unit."""

    name: str
    waiting: int = 0
    running: int = 0
    used: Mapping[str, float] = EMPTY


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """A job that failed lately: when (seconds since the epoch), by which cause, in one sentence."""

    id: str
    name: str
    queue: str
    at: float
    attempts: int
    cause: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One queue. ``counts`` is by job status, of jobs that have not ended; ``counts`` None: the jobs were not read.
    ``more``: the statuses of which there are more jobs than were counted.
    """

    name: str
    live: bool = True
    state: str = ""
    status: str = ""
    reason: str = ""
    priority: int | None = None
    runs_on: tuple[str, ...] = ()
    counts: Mapping[str, int] | None = None
    more: frozenset[str] = frozenset()
    blocked: tuple[Blocked, ...] = ()
    front: tuple[Front, ...] = ()
    shares: tuple[Share, ...] = ()
    failed: tuple[Failed, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What one kind found out."""

    capacities: tuple[Capacity, ...] = ()
    lines: tuple[Line, ...] = ()
    unread: tuple[Unread, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusReader:
    """How a kind reads how its objects are, in bulk; ``permissions`` are the IAM actions of it."""

    read: Callable[[Asked], Reads[Part]]
    permissions: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """How an environment is, ``at`` a time in seconds since the epoch; failures are those after ``since``."""

    environment: str
    account: str
    region: str
    at: float
    since: float
    capacities: tuple[Capacity, ...] = ()
    lines: tuple[Line, ...] = ()
    unread: tuple[Unread, ...] = ()

    @property
    def failed(self) -> tuple[Failed, ...]:
        """What failed lately, in all queues, newest first."""
        return tuple(sorted((one for line in self.lines for one in line.failed), key=lambda one: -one.at))
