"""The actions of a plan: one API call, or one wait."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import field
from enum import Enum
from typing import Protocol, TypeAlias, TypeVar

from .records import dataclass
from .values import EMPTY, Json
from .when_used import when_used

with when_used():
    from . import fragments

T = TypeVar("T")


# Error codes of a missing permission: query, JSON, EC2 and SNS.
# Codes of our own, for replies that AWS cannot have sent
NOT_AWS_REPLY = "NotAwsReply"
ENDLESS_REPLY = "EndlessReply"
# and for a call that was not sent, because the credentials could not be fetched or renewed
NOT_SENT = "NoCredentials"
# and for a call that a snapshot does not have
NOT_RECORDED = "NotRecorded"

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
        NOT_SENT,
        "RequestExpired",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)


@dataclass(frozen=True, slots=True)
class On:
    """Matches a refusal: its code (exact; empty: any) and a fragment of its message (ignoring case; empty: any).

    ``because`` is what the refusal means, in plain words, where it is expected and passes.
    """

    code: str = ""
    message: str = ""
    because: str = field(default="", compare=False)

    def matches(self, refused: Refused) -> bool:
        """Whether a refusal has the code and the fragment."""
        return self.code in ("", refused.code) and self.message.lower() in refused.message.lower()


@dataclass(frozen=True, slots=True)
class Refused:
    """A refusal of one call. A read may receive one as its reply; that of a write becomes a failed step.

    ``not_processed``: AWS did not process the call, which may be sent again (throttled, never connected).
    ``unknown_outcome``: no reply, or a server error; it is unknown whether the call took effect.
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
        """Whether AWS does not accept the credentials."""
        return self.code in UNKNOWN


class Proof(Enum):
    """What shows, after the reply to a call was lost, that the call took effect, so that it is not sent again.

    NONE    nothing needed: sending it again has the same result
    EXISTS  an object of that name, owned by this environment, exists (a call that creates one)
    SAME    the object is as wanted (a call that adds to one, or registers the next revision)
    MOVING  the object is being changed, or is as wanted (a call that takes long, and is refused meanwhile)
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
    ``retry_on`` are refusals that pass, retried for ``patience`` seconds; ``ok_if`` are refusals that mean that the
    wanted state exists already. ``refuse_if`` is the path in the reply to the list of entries that failed although the
    call succeeded (``FailedEntries``): each one counts as a refusal. ``all_pages`` reads every page, merged into one
    reply. ``proof`` is required where sending the call again would repeat its effect, or be refused because of it.
    ``cleanup``: it only removes what is no longer needed; dependents do not wait for it, and continue where it is
    refused. ``shown`` is set by the executor: the parameters with secrets masked.
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
    proof: Proof = field(default=Proof.NONE, compare=False)  # about its delivery, not its meaning
    shown: Json | None = field(default=None, compare=False)

    def __str__(self) -> str:
        return f"{self.service}:{self.operation}"

    @property
    def action(self) -> str:
        """The IAM action that a policy must allow for it (``tag:GetResources``).

        https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
        """
        return f"{_PREFIXES.get(self.service, self.service)}:{self.operation}"


# IAM's prefix, where it is not boto3's name of the service
_PREFIXES: Mapping[str, str] = {
    "resourcegroupstaggingapi": "tag",
    "efs": "elasticfilesystem",
    "service-quotas": "servicequotas",
}

Reply: TypeAlias = Json | Refused


class Aws(Protocol):
    """Sends calls. A refusal is a value."""

    def call(self, call: Call) -> Reply:
        """Send one call; returns the reply or the refusal."""


# A read is a generator: it yields calls (those of one tuple may run in parallel) and is sent their replies in the same
# order. So a kind is pure, and the caller may cache, merge, count or refuse the calls.
Reads: TypeAlias = Generator[tuple[Call, ...], tuple[Reply, ...], T]


@dataclass(frozen=True, slots=True)
class CompleteList:
    """The ``call`` that lists all objects of a kind, where the operation ``read`` asks for one by name with at most the
    parameters ``given``.
    """

    read: str
    given: frozenset[str]
    call: Call


@dataclass(frozen=True, slots=True)
class Repair:
    """The repair of a wait that fails for a reason that passes: send ``call`` again, at most ``times`` times.

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
    """A known reason for a failed wait: a pattern of AWS's text (:mod:`.fragments`), the hint, the path."""

    text: str
    advice: str
    path: str = ""

    def matches(self, reason: str) -> bool:
        """Whether this is the cause of a failure with AWS's text ``reason``."""
        return fragments.matches(self.text, reason)


@dataclass(frozen=True, slots=True)
class Wait:
    """Poll ``read`` until its item has the wanted state.

    title     the text for users: ``compute environment compute-0 VALID``
    items     the member of the reply with the list, whose first item is used; empty: the reply itself is the item
    until     done when each of these members (may be dotted) has one of its values
    gone      done also when there is no item, or the read is refused with one of ``absent``
    fail      failed when one of these members has one of its values, with the text at ``reason``
    repair    the call that may repair the failure
    causes    known reasons: the first whose pattern is in the text has the hint
    grace     seconds for which a failure that exists from the start is ignored
    soonest   seconds that AWS usually takes at least: until then polls are few
    timeout   seconds, after which the wait fails; with ``or_go_on`` it then counts as done
    at_end    reads after the timeout, which return a text for the message: what takes so long
    among     the parameter of ``read`` that takes a list of names; ``named_by`` the members of an item with its name:
              waits that differ in these only share one poll
    known     maps members of the item to attributes that an earlier call of the resource captures: where its reply
              already shows that the wait is done, nothing is polled
    for_others  at the end of a deletion that AWS finishes in any case: it is only waited for where another step has to
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
    soonest: float = 0.0
    timeout: float = 1800.0
    or_go_on: bool = False
    grace: float = 0.0
    causes: tuple[Cause, ...] = ()
    at_end: Callable[[], Reads[str]] | None = field(default=None, compare=False)
    among: str = field(default="", compare=False)
    named_by: tuple[str, ...] = field(default=(), compare=False)
    known: Json = field(default=EMPTY, compare=False)
    for_others: bool = field(default=False, compare=False)


Action: TypeAlias = Call | Wait


class Unreadable(Exception):
    """Raised by a read for a refusal that it does not handle; the engine converts it to a problem."""

    def __init__(self, call: Call, refused: Refused) -> None:
        super().__init__(f"{call}: {refused}")
        self.call = call
        self.refused = refused

    @property
    def advice(self) -> str:
        """The hint: how to fix it."""
        if self.refused.code == NOT_RECORDED:
            return "take a new snapshot of the environment as it is now declared"
        if self.refused.denied:
            return f"allow {self.call.action}"
        if self.refused.code in (NOT_AWS_REPLY, ENDLESS_REPLY):
            return "check AWS_ENDPOINT_URL, if it is set, and any proxy on the way to AWS"
        return "renew the credentials" if self.refused.unknown else "try again"
