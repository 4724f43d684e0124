"""What a plan is made of: one API call, or one wait."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol, TypeAlias, TypeVar

from .values import EMPTY, Json

T = TypeVar("T")


# How services say that a permission is missing: query, JSON, EC2 and SNS.
# https://docs.aws.amazon.com/IAM/latest/APIReference/CommonErrors.html
# https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
# https://docs.aws.amazon.com/sns/latest/api/CommonErrors.html
DENIALS = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "AuthorizationError",
        "AuthorizationErrorException",
        "NotAuthorized",
        "UnauthorizedOperation",
    }
)
UNKNOWN = frozenset(
    {
        "AuthFailure",
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "RequestExpired",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)


@dataclass(frozen=True, slots=True)
class On:
    """Matches a refusal: its code (exact; empty: any) and a fragment of its message (ignoring case; empty: any)."""

    code: str = ""
    message: str = ""

    def matches(self, refused: Refused) -> bool:
        return self.code in ("", refused.code) and self.message.lower() in refused.message.lower()


@dataclass(frozen=True, slots=True)
class Refused:
    """AWS's "no" to one call. A reply of a read may be one; a write's becomes a failed step.

    ``not_processed``: it was not looked at and may be sent again as it is (throttled, never connected).
    ``unknown_outcome``: no answer came, or a server error; nobody knows whether it was done.
    """

    code: str
    message: str
    request_id: str = ""
    status: int = 0
    not_processed: bool = False
    unknown_outcome: bool = False

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"

    @property
    def denied(self) -> bool:
        """Whether a permission is missing."""
        return self.code in DENIALS

    @property
    def unknown(self) -> bool:
        """Whether AWS does not take the credentials at all."""
        return self.code in UNKNOWN


class Proof(Enum):
    """What shows, after the answer to a call was lost, that the call was done, so that it is not sent twice.

    NONE    nothing needs to: sending it twice comes to the same
    EXISTS  an object of that name, owned by this environment, is there (what creates one)
    SAME    the object is as it is wanted (what adds to one, or makes the next revision)
    MOVING  the object is being changed, or is as it is wanted by now (what takes long, and is refused meanwhile)
    """

    NONE = "none"
    EXISTS = "exists"
    SAME = "same"
    MOVING = "moving"


@dataclass(frozen=True, slots=True)
class Call:
    """One API request, named as the API names it.

    ``service`` is boto3's client name, ``operation`` the API's (``UpdateJobQueue``), ``params`` what boto3 takes.
    ``captures`` maps attributes of the resource to paths in the reply (``{"id": "GroupId", "arn": "Secret.ARN"}``);
    ``retry_on`` are refusals known to pass, retried for ``patience`` seconds; ``ok_if`` are refusals that mean
    "already so". ``refuse_if`` is the path in the reply to the list of what was not done although the call succeeded
    (``FailedEntries``): each item counts as a refusal. ``all_pages`` asks for every page, merged into one reply.
    ``proof`` must be given where sending the call a second time would do it twice, or be refused for being done.
    ``cleanup``: it only clears away what is no longer needed; who uses the resource does not wait for it, and goes on
    where it is refused.
    ``shown`` is the executor's: the parameters as they may be seen, where what is sent holds secrets.
    """

    service: str
    operation: str
    params: Json = EMPTY
    captures: Mapping[str, str] = EMPTY
    retry_on: tuple[On, ...] = ()
    ok_if: tuple[On, ...] = ()
    patience: float = 300.0
    all_pages: bool = False
    refuse_if: str = ""
    cleanup: bool = False
    proof: Proof = field(default=Proof.NONE, compare=False)  # how it is delivered, not what it asks for
    shown: Json | None = field(default=None, compare=False)

    def __str__(self) -> str:
        return f"{self.service}:{self.operation}"

    @property
    def action(self) -> str:
        """What a policy has to allow for it, as IAM spells it (``tag:GetResources``).

        https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
        """
        return f"{_PREFIXES.get(self.service, self.service)}:{self.operation}"


# IAM's prefix, where it is not boto3's name of the service
_PREFIXES: Mapping[str, str] = {"resourcegroupstaggingapi": "tag"}

Reply: TypeAlias = Json | Refused


class Aws(Protocol):
    """Where calls go. A refusal is a value."""

    def call(self, call: Call) -> Reply: ...


# A read is a generator: it yields the calls it wants made (those of one tuple may be made at once) and is sent their
# replies in the same order. So a kind stays pure, and who makes the calls may cache, merge, count or refuse them.
Reads: TypeAlias = Generator[tuple[Call, ...], tuple[Reply, ...], T]


@dataclass(frozen=True, slots=True)
class Repair:
    """What to do when a wait ends badly for a reason that passes: send ``call`` again, at most ``times`` times.

    ``on`` maps fragments of AWS's text to what they mean, in plain words: ``AWS does not see the new role yet``. The
    first that is in the text counts.
    """

    on: Mapping[str, str]
    call: Call
    times: int = 3

    def because(self, reason: str) -> str | None:
        """What AWS's text ``reason`` means, in plain words; None where it is not a reason that passes."""
        return next((meaning for fragment, meaning in self.on.items() if fragment in reason), None)


@dataclass(frozen=True, slots=True)
class Cause:
    """A known reason for a bad end: a fragment of AWS's text, what to do, and the property it lies in (dotted)."""

    text: str
    advice: str
    path: str = ""


@dataclass(frozen=True, slots=True)
class Wait:
    """Poll ``read`` until its item is as wanted.

    ``items`` is the member of the reply that holds the list; its first item is looked at (empty: the reply itself is
    the item). The wait is over when ``until`` maps each of its members to a set of values that holds the item's; with
    ``gone`` also when there is no item, or the read is refused with one of ``absent``. It fails when ``fail`` matches,
    with the text at ``reason``; ``repair`` may mend that, and the first of ``causes`` that is in that text says what to
    do about it. A bad end that was there from the start counts only after ``grace`` seconds. With ``or_go_on`` the end
    of ``timeout`` is as good as success; ``at_end`` are calls to make then, such as those that tell what it is that
    takes so long, and return what to add to the message. ``title`` is what people read: ``compute environment
    compute-0 VALID``. ``among`` is the parameter of ``read`` that takes a list of names, and ``named_by`` the members
    of an item that may be one of them: waits that differ in nothing else are polled together, by one call. ``known``
    maps members of the item to attributes that an earlier call of the resource gives: where the reply to that one shows
    already that the wait is over, nothing is polled.
    """

    title: str
    read: Call
    items: str
    until: Mapping[str, frozenset[str | int]] = EMPTY  # members may be dotted
    fail: Mapping[str, frozenset[str | int]] = EMPTY
    gone: bool = False
    absent: tuple[On, ...] = ()
    reason: str = "statusReason"
    repair: Repair | None = None
    timeout: float = 1800.0
    or_go_on: bool = False
    grace: float = 0.0
    causes: tuple[Cause, ...] = ()
    at_end: Callable[[], Reads[str]] | None = field(default=None, compare=False)
    among: str = field(default="", compare=False)
    named_by: tuple[str, ...] = field(default=(), compare=False)
    known: Json = field(default=EMPTY, compare=False)


Action: TypeAlias = Call | Wait


class Unreadable(Exception):
    """Raised by a read for a refusal it does not understand; the engine turns it into a problem."""

    def __init__(self, call: Call, refused: Refused) -> None:
        super().__init__(f"{call}: {refused}")
        self.call = call
        self.refused = refused

    @property
    def advice(self) -> str:
        """What to do about it."""
        if self.refused.denied:
            return f"allow {self.call.action}"
        return "renew the credentials" if self.refused.unknown else "try again"
