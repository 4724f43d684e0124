"""What a plan is made of: one API call, or one wait."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from .values import EMPTY, Json

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class On:
    """Matches a refusal: its code (exact; empty: any) and a fragment of its message (ignoring case; empty: any)."""

    code: str = ""
    message: str = ""

    def matches(self, refused: Refused) -> bool:
        return self.code in ("", refused.code) and self.message.lower() in refused.message.lower()


@dataclass(frozen=True, slots=True)
class Refused:
    """AWS's "no" to one call. A reply of a read may be one; a write's becomes a failed step."""

    code: str
    message: str
    request_id: str = ""
    status: int = 0

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


@dataclass(frozen=True, slots=True)
class Call:
    """One API request, named as the API names it.

    ``service`` is boto3's client name, ``operation`` the API's (``UpdateJobQueue``), ``params`` what boto3 takes.
    ``gives`` maps attributes of the resource to paths in the reply (``{"id": "GroupId", "arn": "Secret.ARN"}``);
    ``retry_on`` are refusals known to pass, retried for ``patience`` seconds; ``ok_if`` are refusals that mean
    "already so". ``refuse_if`` is the path in the reply to the list of what was not done although the call succeeded
    (``FailedEntries``): each item counts as a refusal. ``all_pages`` asks for every page, merged into one reply.
    """

    service: str
    operation: str
    params: Json = EMPTY
    gives: Mapping[str, str] = EMPTY
    retry_on: tuple[On, ...] = ()
    ok_if: tuple[On, ...] = ()
    patience: float = 300.0
    all_pages: bool = False
    refuse_if: str = ""

    def __str__(self) -> str:
        return f"{self.service}:{self.operation}"


@dataclass(frozen=True, slots=True)
class Repair:
    """What to do when a wait ends badly for a reason that passes: send ``call`` again, at most ``times`` times."""

    on: tuple[str, ...]
    call: Call
    times: int = 3


@dataclass(frozen=True, slots=True)
class Wait:
    """Poll ``read`` until its item is as wanted.

    ``items`` is the member of the reply that holds the list; its first item is looked at (empty: the reply itself is
    the item). The wait is over when ``until`` maps each of its members to a set of values that holds the item's; with
    ``gone`` also when there is no item, or the read is refused with one of ``absent``. It fails when ``fail`` matches,
    with the text at ``reason``; ``repair`` may mend that, and ``causes`` are fragments of that text, each with what to
    do about it. A bad end that was there from the start counts only after ``grace`` seconds. With ``or_go_on`` the end
    of ``timeout`` is as good as success. ``title`` is what people read: ``compute environment compute-0 VALID``.
    """

    title: str
    read: Call
    items: str
    until: Mapping[str, frozenset[str | int]] = EMPTY
    fail: Mapping[str, frozenset[str | int]] = EMPTY
    gone: bool = False
    absent: tuple[On, ...] = ()
    reason: str = "statusReason"
    repair: Repair | None = None
    timeout: float = 1800.0
    or_go_on: bool = False
    grace: float = 0.0
    causes: tuple[tuple[str, str], ...] = ()


Action: TypeAlias = Call | Wait
Reply: TypeAlias = Json | Refused

# A read is a generator: it yields the calls it wants made (those of one tuple may be made at once) and is sent their
# replies in the same order. So a kind stays pure, and who makes the calls may cache, merge, count or refuse them.
Reads: TypeAlias = Generator[tuple[Call, ...], tuple[Reply, ...], T]


class Unreadable(Exception):
    """Raised by a read for a refusal it does not understand; the engine turns it into a problem."""

    def __init__(self, call: Call, refused: Refused) -> None:
        super().__init__(f"{call}: {refused}")
        self.call = call
        self.refused = refused
