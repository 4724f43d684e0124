"""What is wrong with a job, a queue or an environment, and how that is known: the vocabulary of `reconcile why`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from enum import StrEnum
from typing import Any, Final

from .attempts import Ending
from .records import dataclass
from .steps import Reads
from .values import EMPTY, Scope

UNKNOWN: Final = "unknown"
NONE: Final = "none"


class Certainty(StrEnum):
    """How sure a cause is: ``hint`` needs a second source."""

    certain = "certain"
    likely = "likely"
    hint = "hint"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What AWS said, and where: the call, the member of its reply, and its value."""

    call: str
    field: str
    value: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A property of an object in the account; where it is declared is found by the object's name.

    ``value`` is one that works, where that is known. ``of_type`` selects the entry of a list whose ``type`` it is, and
    ``asked`` is the value that the job in question has: it may be another than the declared one.
    """

    section: str
    name: str
    path: str
    value: Any = None
    of_type: str = ""
    asked: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspect:
    """One cause. ``settings`` are what to change, the likeliest first; the first that is declared is shown.

    ``about`` is whose cause it is, where that is not the subject: a child of an array, an environment of a queue.
    """

    id: str
    certainty: Certainty
    message: str
    evidence: tuple[Evidence, ...] = ()
    advice: str = ""
    settings: tuple[Setting, ...] = ()
    about: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """A read that was refused, with the permission that it needs."""

    call: str
    permission: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """One attempt that ended, the id of its cause, and what the retry rules made of it."""

    number: int
    ending: Ending
    cause: str
    verdict: str
    because: str
    entry: int | None
    assumed: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """What was found out about one subject. ``kind`` is what it is called: job, queue or environment; ``name`` its name
    in the account, by which it is declared in ``section``; ``asked`` are the calls that were made.
    """

    kind: str
    id: str
    state: str
    section: str = ""
    name: str = ""
    causes: tuple[Suspect, ...]
    unread: tuple[Unread, ...] = ()
    asked: tuple[str, ...] = ()
    attempts: tuple[Ended, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked: the subject, the time by AWS's clock in seconds since the epoch, and the names that the
    environment declares by section, of which only these are looked through.
    """

    scope: Scope
    subject: str
    now: float
    declared: Mapping[str, Collection[str]] = EMPTY


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnoser:
    """How a kind finds out what is wrong with one of its objects.

    ``noun``         what people call one: ``queue``
    ``by_name``      the diagnosis of the object with a physical name; None where there is none
    ``ids``          a regular expression of ids that the kind can diagnose beside names, by ``by_id``
    ``permissions``  the IAM actions of all its reads
    """

    noun: str
    by_name: Callable[[Question], Reads[Diagnosis | None]]
    permissions: tuple[str, ...]
    ids: str = ""
    by_id: Callable[[Question], Reads[Diagnosis | None]] | None = None
