"""What is declared, what is there, what is wanted, and how they differ."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, TypeAlias

from .values import EMPTY, MISSING, NAME_TAG, OWNER_TAG, Address, Json, Path, Pos, Scope


class Effect(Enum):
    """What changing a field does; the contract's words, mildest first."""

    IN_PLACE = "in-place"
    SCALING = "scaling"
    INFRASTRUCTURE = "infrastructure"
    NEW_REVISION = "new-revision"
    REPLACE = "replace"


class Replace(Enum):
    """How a kind is replaced when it must be; ``lifecycle.replace`` overrides all but FORBIDDEN.

    DECLARED: only where ``lifecycle.replace`` says how, or the command asks for it, since work is lost by it.
    """

    FORBIDDEN = "forbidden"
    DECLARED = "declared"
    CREATE_FIRST = "create-first"
    DELETE_FIRST = "delete-first"


EffectOf: TypeAlias = Callable[[Json, Json], tuple[Effect, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """Facts about one property path of a kind.

    Paths are dotted; ``[]`` steps into list items, ``*`` into a map whose keys are data:
    ``containerProperties.environment[].value``, ``inlinePolicies.*``.

    effect     what a change does, or a function of (live props, wanted props) giving the effect and why
    default    the value that absence means; filled in on both sides before comparing, wherever the parent exists
    computed   the service fills it in when it is left out: compared only when YAML declares it
    ignore     never compared (the service moves it)
    unordered  the list is a set
    key        the list is a mapping by this member of its items (compared, and shown, by it)
    normalize  value -> comparable value (case, ARN to name, number text ...), applied to both sides
    clear      what an update sends to empty the field
    secret     shown as changed, never its value
    newer      only the installed AWS model has it: compared where YAML declares it, and no further than that
    """

    effect: Effect | EffectOf = Effect.IN_PLACE
    default: Any = MISSING
    computed: bool = False
    ignore: bool = False
    unordered: bool = False
    key: str | None = None
    normalize: Callable[[Any], Any] | None = None
    clear: Any = MISSING
    secret: bool = False
    newer: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Ref:
    """A property path that names another resource.

    section  the section the name is looked up in
    attr     which of its attributes the API wants here (``arn``, ``id``, ``name``)
    literal  regular expression of values that already are what the API wants (full ARN, id): left as they are
    late     the reference is needed by a later step of the chain, not for creation (security groups naming each other)
    holds    AWS refuses to delete the target while this reference stands
    optional a dependency where the name is declared here, otherwise the value stays as it is
    also     further sections that the name may be of, looked at in turn (what an event rule may send to)
    same_account_and_region
             AWS takes an ARN of the environment's own account only, and of its Region where the kind has one
    aws_managed
             an ARN may be of what AWS itself provides (account ``aws``: managed policies)
    """

    section: str
    attr: str = "arn"
    literal: str = r"arn:"
    late: bool = False
    holds: bool = True
    optional: bool = False
    also: tuple[str, ...] = ()
    same_account_and_region: bool = False
    aws_managed: bool = False

    @property
    def sections(self) -> tuple[str, ...]:
        """Every section the name may be of."""
        return (self.section, *self.also)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownMember:
    """A declared member that the installed AWS model has and the schema lacks.

    created  a create request takes all of it
    updated  an update request takes all of it
    shown    the reply of a describe carries all of it; else it cannot be compared
    secret   the model says that it is sensitive
    maps     the paths in it whose keys are data
    """

    created: bool = True
    updated: bool = True
    shown: bool = True
    secret: bool = False
    maps: frozenset[str] = frozenset()

    def also(self, other: UnknownMember) -> UnknownMember:
        """What holds for both, the same member having been declared twice (in two items of a list)."""
        return UnknownMember(
            created=self.created and other.created,
            updated=self.updated and other.updated,
            shown=self.shown and other.shown,
            secret=self.secret or other.secret,
            maps=self.maps | other.maps,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifecycle:
    """The reserved ``lifecycle`` mapping of a resource."""

    prevent_destroy: bool = False
    ignore_changes: tuple[str, ...] = ()
    replace: Replace | None = None
    depends_on: tuple[Address, ...] = ()
    adopt: bool = False
    keep_revisions: int = 2
    drain: str = "wait"
    drain_timeout_minutes: int = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One resource as declared: merged, variables filled in, conveniences expanded; references still as written.

    ``unknown_members`` are the paths, written as those of a kind's ``fields``, that only the installed AWS model knows.
    ``memo`` holds what was found out about it once and is asked for again and again.
    """

    address: Address
    props: Json
    tags: Mapping[str, str] = EMPTY
    lifecycle: Lifecycle = field(default_factory=Lifecycle)
    pos: Mapping[Path, Pos] = field(default_factory=dict)
    unknown_members: Mapping[str, UnknownMember] = EMPTY
    memo: dict[str, Any] = field(default_factory=dict, init=False, compare=False, repr=False)

    def at(self, path: Path = ()) -> Pos:
        """The position of ``path``, or of its nearest ancestor that has one."""
        while path and path not in self.pos:
            path = path[:-1]
        return self.pos.get(path, Pos("", 0, 0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup:
    """A read-only fact about the account; ``kind`` is ``vpc``, ``subnets``, ``securityGroup``, ``ssmParameter`` or
    ``image``, ``args`` what it is asked with (may hold a :class:`~reconciler.model.Template`).
    """

    name: str
    kind: str
    args: Any
    pos: Pos


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """An environment that has been loaded and checked: what a plan starts from.

    ``role`` is what to assume first (``roleArn`` and perhaps ``externalId``, ``sessionName``); ``sensitive`` are
    values that must never be shown wherever they turn up.
    """

    name: str
    root: str = ""
    region: str | None = None
    account: str | None = None
    profile: str | None = None
    role: Mapping[str, str] = EMPTY
    tags: Mapping[str, str] = EMPTY
    ignore_tags: tuple[str, ...] = ()
    lookups: Mapping[str, Lookup] = EMPTY
    resources: Mapping[Address, Resource] = EMPTY
    sensitive: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """One object that exists, its properties in YAML's shape.

    physical  its real name; for a versioned kind ``name:revision``
    attrs     what expressions and references may ask for: ``name``, ``arn``, ``id``, ``uri`` ...
    extra     facts the kind's own functions need and nobody compares (versions, holders)
    settled   False while the service is changing it: it must be waited for before it is touched
    deleting  it is being deleted (DELETING, scheduled for deletion): never what a declaration means
    invalid   it exists and does not work (INVALID); ``reason`` says why
    managed_by  the AWS service that manages it and lets nobody else change or delete it; empty: it is anybody's
    """

    physical: str
    attrs: Mapping[str, str]
    props: Json
    tags: Mapping[str, str] = EMPTY
    status: str = ""
    reason: str = ""
    settled: bool = True
    deleting: bool = False
    invalid: bool = False
    managed_by: str = ""
    revision: int = 0
    extra: Json = EMPTY

    @property
    def owner(self) -> str | None:
        """The environment that owns it, or None."""
        return self.tags.get(OWNER_TAG)

    @property
    def logical(self) -> str:
        """The name it is declared under: the name tag where it differs, else its name without a revision."""
        return self.tags.get(NAME_TAG) or self.attrs.get("name") or self.physical


@dataclass(frozen=True, slots=True, kw_only=True)
class Want:
    """What should exist: references resolved, so values are plain JSON or the stand-ins above.

    declared  what YAML says, and what a create request sends
    props     the same with every default filled in: what is compared, and what an update sends
    tags      the complete set of tags, the ownership tags included
    attrs     attributes known before creation, the rest as :class:`Later`
    unknown_members  as in :class:`Resource`
    """

    address: Address
    physical: str
    declared: Json
    props: Json
    tags: Mapping[str, str]
    attrs: Mapping[str, Any]
    scope: Scope
    lifecycle: Lifecycle = field(default_factory=Lifecycle)
    unknown_members: Mapping[str, UnknownMember] = EMPTY


@dataclass(frozen=True, slots=True)
class Sought:
    """A name to look for, with the declared properties that help to identify it (a security group's ``vpcId``).

    ``tags`` are those it should carry, the ownership tags included, where they are known: an index that says the same
    is believed, so that the service need not be asked for them.
    """

    name: str
    props: Json = EMPTY
    tags: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Query:
    """What a read is asked for: every object of a sought name, and with ``owned`` all that the environment owns.

    ``declared`` are the sections the environment declares anything in: only their services are asked for more than what
    an index proposes. Without ``indexed`` the tagging index cannot be asked. With ``brief`` only names and ARNs are
    wanted, and what is swept through for others anyway may tell them.
    """

    scope: Scope
    sought: tuple[Sought, ...] = ()
    owned: bool = False
    declared: frozenset[str] = frozenset()
    indexed: bool = True
    brief: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One leaf that differs. ``MISSING`` stands for "not there"; secret values are already masked."""

    path: Path
    before: Any
    after: Any
    effect: Effect
    because: str = ""
    secret: bool = False
    unknown: bool = False

    @property
    def top(self) -> str:
        return str(self.path[0])


@dataclass(frozen=True, slots=True)
class Diff:
    """The leaves that differ, sorted by path; falsy when there are none."""

    changes: tuple[Change, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.changes)

    @property
    def replaces(self) -> bool:
        return any(change.effect is Effect.REPLACE for change in self.changes)

    def tops(self) -> frozenset[str]:
        """The top-level members that differ, tags aside."""
        return frozenset(change.top for change in self.changes if change.top != "tags")

    def under(self, *path: str) -> bool:
        """Whether anything differs at or below ``path``."""
        return any(change.path[: len(path)] == path for change in self.changes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependent:
    """Somebody in the account who names a live object that is to go.

    text    for people: ``event rule nightly (target 1) starts jobs with it``
    hint    what makes the object go after all
    arn     of who names it, or of what that ends with (a job's queue): where the plan removes that, it does not count
    words   how the object may be named, where a new declaration of ``arn`` may take that back; empty: it cannot
    others  ARNs of every version there is, where none is named but whichever is newest: counts only if all would go
    """

    text: str
    hint: str = ""
    arn: str = ""
    words: frozenset[str] = frozenset()
    others: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Finding:
    """What a kind finds wrong with a declaration (``check``, ``relations``); the engine adds the place."""

    path: Path
    message: str
    hint: str = ""
    code: str = "invalid-value"
    warning: bool = False
