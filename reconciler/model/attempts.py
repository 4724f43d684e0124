"""How attempts of jobs end, and what becomes of the job: the vocabulary of `reconcile retry`.

What is decided, and why, is known to the kind that declares jobs (``Kind.retries``).
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Final

from .records import dataclass
from .values import Path


class Cause(StrEnum):
    """Ends of a job after which nothing is retried, whatever its rules are."""

    timeout = "timeout"
    cancelled = "cancelled"
    terminated = "terminated"
    dependency = "dependency"


class Verdict(StrEnum):
    """What becomes of a job after an attempt."""

    RETRY = "RETRY"
    EXIT = "EXIT"
    SUCCEEDED = "SUCCEEDED"


STATUS: Final = {Verdict.RETRY: "RUNNABLE", Verdict.EXIT: "FAILED", Verdict.SUCCEEDED: "SUCCEEDED"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How one attempt ended; None for what is missing (there is no exit code if the host was lost)."""

    exit_code: int | None = None
    reason: str | None = None
    status_reason: str | None = None
    cause: Cause | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What becomes of the job, and why."""

    verdict: Verdict
    #: The index of the rule that decided, if one did.
    entry: int | None = None
    because: str
    #: What the answer rests on that is not documented, a sentence each.
    assumed: tuple[str, ...] = ()

    @property
    def job_status(self) -> str:
        """The status of the job afterwards."""
        return STATUS[self.verdict]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A known way for an attempt to end."""

    #: Its name on the command line: ``host-lost``.
    id: str
    #: What happened, for people.
    title: str
    #: An example, in the words of the service.
    ending: Ending
    #: Whether the program had begun: one that had not takes no time that is limited.
    started: bool = True
    #: Where the words are from.
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Retries:
    """What is known about the retries of one declared resource."""

    #: How often a job may run in all.
    attempts: int
    #: After how many seconds an attempt is stopped; None: never.
    timeout: int | None
    #: How many machines each attempt has, where it is more than one and known.
    nodes: int | None = None
    #: Where the rules are declared, and how many there are.
    rules: Path
    entries: int
    #: The ways an attempt may end that fit the resource.
    outcomes: tuple[Outcome, ...]
    #: What becomes of the job after attempt number N (from 1).
    decide: Callable[[Ending, int], Decision]
    #: How the end of a program with an exit code is described.
    exited: Callable[[int], Ending]
    #: What to know beside, a sentence each.
    notes: tuple[str, ...] = ()
