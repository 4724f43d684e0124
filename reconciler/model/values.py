"""Names, places, and the values that are not plain JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from typing import Any, Final, NamedTuple, NoReturn, TypeAlias

from .patterns import regex
from .records import dataclass
from .when_used import when_used

with when_used():
    from hashlib import scrypt

Json: TypeAlias = Mapping[str, Any]
Path: TypeAlias = tuple[str | int, ...]


class _Empty(Mapping[Any, Any]):
    """An immutable mapping without members, hashable as a dataclass default must be (MappingProxyType: from 3.12)."""

    __slots__ = ()

    def __getitem__(self, key: Any) -> NoReturn:
        raise KeyError(key)

    def __iter__(self) -> Iterator[Any]:
        return iter(())

    def __len__(self) -> int:
        return 0

    def __hash__(self) -> int:
        return 0

    def __repr__(self) -> str:
        return "{}"


EMPTY: Final[Mapping[Any, Any]] = _Empty()


class Deferred(Mapping[str, Any]):
    """A mapping that ``make`` creates at its first use: values without a difference are seldom shown."""

    __slots__ = ("_made", "_make")

    def __init__(self, make: Callable[[], Mapping[str, Any]]) -> None:
        self._make: Callable[[], Mapping[str, Any]] | None = make
        self._made: Mapping[str, Any] = EMPTY

    def _content(self) -> Mapping[str, Any]:
        if self._make:
            self._made, self._make = self._make(), None
        return self._made

    def __getitem__(self, key: str) -> Any:
        return self._content()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._content())

    def __len__(self) -> int:
        return len(self._content())

    def __repr__(self) -> str:
        return repr(self._content())


OWNER_PREFIX: Final = "reconciler/"
OWNER_TAG: Final = "reconciler/environment"
NAME_TAG: Final = "reconciler/name"
REGION_TAG: Final = "reconciler/region"  # of the owner of what exists once for all Regions (IAM)
AGAIN_TAG: Final = "reconciler/registered-after"  # on a revision that --replace requested: the number of the one before
KEEP_TAG: Final = "reconciler/prevent-destroy"  # lifecycle.preventDestroy, for undeclared resources

_PLAIN_NAME = regex(r"[A-Za-z0-9_-]+")


class Missing(Enum):
    """The one value that means "does not exist", where ``None`` means YAML's null."""

    MISSING = "missing"

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = Missing.MISSING


class Address(NamedTuple):
    """Section and logical name of a resource; as text ``jobQueues.queue-0``, ``logGroups["/aws/batch/custom"]``.

    A tuple, since a plan looks up and sorts addresses a hundred times as often as it makes them.
    """

    section: str
    name: str

    def __str__(self) -> str:
        plain = _PLAIN_NAME.fullmatch(self.name)
        return f"{self.section}.{self.name}" if plain else f'{self.section}["{self.name}"]'


SANDBOX = "sandbox"  # the endpoint of a scope whose account the sandbox plays


@dataclass(frozen=True, slots=True)
class Scope:
    """The account, Region, partition and environment that names and ARNs are computed for.

    ``endpoint`` is what answers where that is not AWS itself: ``sandbox``, a URL, or URLs of services; else empty.
    """

    account: str
    region: str
    partition: str
    environment: str
    endpoint: str = ""

    @property
    def place(self) -> str:
        """The Region, and in parentheses what answers instead of AWS."""
        if not self.endpoint:
            return self.region
        return f"{self.region} ({'endpoint ' if '://' in self.endpoint.split()[0] else ''}{self.endpoint})"

    def arn(self, service: str, resource: str, *, region: str | None = None) -> str:
        """``arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE``; IAM passes ``region=""``."""
        where = self.region if region is None else region
        return f"arn:{self.partition}:{service}:{where}:{self.account}:{resource}"


@dataclass(frozen=True, slots=True, order=True)
class Pos:
    """A place in a file; line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Later:
    """A value that AWS assigns (a security group's id): known after ``address`` is created."""

    address: Address
    attr: str

    def __str__(self) -> str:
        return "(known after apply)"


@dataclass(frozen=True, slots=True)
class Text:
    """A string with a :class:`Later` inside: its parts, in order."""

    parts: tuple[Any, ...]

    def __str__(self) -> str:
        return "".join(map(str, self.parts))


@dataclass(frozen=True, slots=True)
class JsonText:
    """A document that the API takes as JSON text: serialised (compact, sorted keys) when it is sent."""

    value: Any


@dataclass(frozen=True, slots=True)
class Base64:
    """Text that the API takes as base64: encoded when it is sent, so that plans show, and mask, the text."""

    value: Any

    def __str__(self) -> str:
        return str(self.value)


@dataclass(frozen=True, slots=True, repr=False)
class Secret:
    """A value that is never printed; ``str`` and ``repr`` return the mask, only the executor reads ``value``."""

    value: Any

    def __str__(self) -> str:
        return "(sensitive)"

    __repr__ = __str__


@dataclass(frozen=True, slots=True, repr=False)
class Digest:
    """A slow digest of ``value`` (may be a :class:`Secret`) salted with ``salt``: it identifies a secret's version.

    The version id of a value that reconcile wrote is the digest of the value, salted with the secret's ARN, so that a
    plan can compare without reading the value: docs/adr/0006-secrets-by-version-id.md.
    """

    value: Any
    salt: Any

    def hex(self) -> str:
        """64 hex characters; ``value`` and ``salt`` must be known (no :class:`Later` inside)."""
        return fingerprint(self.value, str(self.salt))

    def __str__(self) -> str:
        return "(digest)"

    __repr__ = __str__


def fingerprint(value: Any, salt: str) -> str:
    """64 hex characters of scrypt over ``value`` (text, or anything else as compact JSON)."""
    plain = value.value if isinstance(value, Secret) else value
    text = plain if isinstance(plain, str) else compact(plain)
    # replies may contain halves of surrogate pairs, since JSON can escape them one by one
    written, salted = (part.encode("utf-8", "surrogatepass") for part in (text, salt))
    return scrypt(written, salt=salted, n=2**14, r=8, p=1, dklen=32).hex()


def compact(value: Any) -> str:
    """JSON text, compact and with sorted keys, so that equal documents are equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


# --- expressions -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reference:
    """One ``${...}`` that only a plan can fill in.

    ``root`` is ``resource`` (with ``address`` and ``attr``), ``lookups`` (``attr`` is the look-up's name), ``account``,
    ``region`` or ``partition``. ``text`` is the expression as written, braces included.
    """

    root: str
    text: str
    address: Address | None = None
    attr: str = ""

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:  # the text says it all, and this is quicker than the repr of a dataclass
        return f"Reference({self.text!r})"


@dataclass(frozen=True, slots=True)
class Template:
    """A declared string with at least one :class:`Reference` in it; plain text around them is final."""

    parts: tuple[str | Reference, ...]

    @property
    def whole(self) -> Reference | None:
        """The reference, where it is the whole string: its value then keeps its type."""
        only = self.parts[0]
        return only if len(self.parts) == 1 and isinstance(only, Reference) else None

    def __str__(self) -> str:
        return "".join(map(str, self.parts))

    def __repr__(self) -> str:
        return f"Template({self.parts!r})"
