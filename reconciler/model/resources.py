"""What is declared, what is live, what is wanted, and how they differ."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from enum import Enum
from typing import Any, TypeAlias

from reconciler.model import problem_codes as codes

from .records import dataclass
from .values import EMPTY, MISSING, NAME_TAG, OWNER_TAG, REGION_TAG, Address, Json, Path, Pos, Scope


class Effect(Enum):
    """The effect of changing a field, as JSON output names it, mildest first."""

    IN_PLACE = "in-place"
    SCALING = "scaling"
    INFRASTRUCTURE = "infrastructure"
    NEW_REVISION = "new-revision"
    REPLACE = "replace"


class Replace(Enum):
    """How a kind is replaced; ``lifecycle.replace`` overrides all but FORBIDDEN.

    DECLARED: only where ``lifecycle.replace`` is set or ``--replace`` is passed, since a replacement loses work.
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

    effect     what a change does, or a function of (live props, wanted props) that returns the effect and the reason
    default    the value that absence means; filled in on both sides before comparing, wherever the parent exists
    computed   the service fills it in when it is left out: compared only when YAML declares it
    ignore     never compared (the service changes it)
    unordered  the list is a set
    key        the list is a mapping by this member of its items (compared, and shown, by it)
    normalize  value -> comparable value (case, ARN to name, number text ...), applied to both sides
    clear      what an update sends to empty the field
    secret     shown as changed, never its value
    newer      only the installed AWS model has it: compared only where YAML declares it
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

    section  the section in which the name is searched
    attr     the attribute that the API takes here (``arn``, ``id``, ``name``)
    literal  regular expression of values that the API takes (full ARN, id): they are unchanged
    late     only the calls that send it need the target, and only its creation: resources may name each other (security
             groups in their rules, roles in their trust policies)
    holds    AWS refuses to delete the target while this reference exists
    optional a dependency where the name is declared here, otherwise the value is unchanged
    also     further sections in which the name is searched, in order (the targets of an event rule)
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
        """Every section in which the name is searched."""
        return (self.section, *self.also)


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """What contains the objects of a kind that cannot be tagged.

    section  the section of the container
    member   the property that names it
    name     the name of an environment -> the name of the container that its resources are in by default
    """

    section: str
    member: str
    name: Callable[[str], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownMember:
    """A declared member that the installed AWS model has and the schema lacks.

    created  a create request has all of it
    updated  an update request has all of it
    shown    the reply of a describe has all of it; else it cannot be compared
    secret   it is sensitive in the model
    maps     the paths in it whose keys are data
    """

    created: bool = True
    updated: bool = True
    shown: bool = True
    secret: bool = False
    maps: frozenset[str] = frozenset()

    def also(self, other: UnknownMember) -> UnknownMember:
        """The facts that hold for both: the same member declared in two items of a list."""
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
    """One resource as declared: merged, variables filled in, short forms expanded; references as written.

    ``physical`` is its physical name, where that is not its logical one: a text, or until the account is known a
    template. ``unknown_members`` are the paths, written like those of a kind's ``fields``, that only the installed AWS
    model has.
    ``memo`` caches what is computed from it once and used often.
    """

    address: Address
    props: Json
    tags: Mapping[str, str] = EMPTY
    lifecycle: Lifecycle = field(default_factory=Lifecycle)
    pos: Mapping[Path, Pos] = field(default_factory=dict)
    unknown_members: Mapping[str, UnknownMember] = EMPTY
    physical: Any = ""
    memo: dict[str, Any] = field(default_factory=dict, init=False, compare=False, repr=False)

    @property
    def name(self) -> str:
        """Its physical name."""
        return str(self.physical) if self.physical else self.address.name

    def at(self, path: Path = ()) -> Pos:
        """The position of ``path``, or of its nearest ancestor that has one."""
        while path and path not in self.pos:
            path = path[:-1]
        return self.pos.get(path, Pos("", 0, 0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup:
    """A read-only fact about the account; ``kind`` is a name of :data:`~reconciler.model.lookups.LOOKUP_KINDS`,
    ``args`` its filter or name (may contain a :class:`~reconciler.model.Template`).
    """

    name: str
    kind: str
    args: Any
    pos: Pos


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """An environment that has been loaded and checked: what a plan starts from.

    ``role`` is the role to assume first (``roleArn`` and perhaps ``externalId``, ``sessionName``); ``sensitive`` are
    values that are masked wherever they would be printed; ``given`` are the values of variables from the command line
    and the process's environment, and ``private`` the names of those that are secret. ``name_prefix`` is what the
    physical names begin with: a text, or until the account is known a template. ``ignored`` are the rules of which no
    warnings are wanted, by address; those of the whole environment under ``""``.
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
    given: Mapping[str, Any] = EMPTY
    private: frozenset[str] = frozenset()
    name_prefix: Any = ""
    ignored: Mapping[str, frozenset[str]] = EMPTY

    def ignores(self, rule: str, address: Address) -> bool:
        """Whether no warning of this rule is wanted about the resource."""
        nothing = frozenset[str]()
        return rule in self.ignored.get("", nothing) or rule in self.ignored.get(str(address), nothing)


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """One object that exists, its properties in YAML's shape.

    physical    its physical name; for a versioned kind ``name:revision``
    attrs       what expressions and references can read: ``name``, ``arn``, ``id``, ``uri`` ...
    extra       facts that only the kind's own functions use, never compared (versions, holders)
    settled     False while the service is changing it: wait before it is changed
    deleting    it is being deleted (DELETING, scheduled for deletion): never the object that a declaration means
    invalid     it exists and does not work (INVALID); ``reason`` has AWS's text
    managed_by  the AWS service that alone may change or delete it; empty if there is none
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
    def owner_region(self) -> str | None:
        """The Region from which its environment manages it, where it exists once for all Regions; None if unknown."""
        return self.tags.get(REGION_TAG)

    @property
    def identity(self) -> str:
        """What no other object has: its ARN, or the id or name of one without an ARN."""
        return self.attrs.get("arn") or self.attrs.get("id") or self.physical

    @property
    def logical(self) -> str:
        """The name it is declared under: the name tag where it differs, else its name without a revision."""
        return self.tags.get(NAME_TAG) or self.attrs.get("name") or self.physical


@dataclass(frozen=True, slots=True, kw_only=True)
class Want:
    """What should exist: references resolved, so values are plain JSON or stand-ins (``values``).

    declared         as in YAML, and as a create request sends it
    props            the same with every default filled in: as compared, and as an update sends it
    tags             the complete set of tags, the ownership tags included
    attrs            attributes known before creation, the rest as :class:`Later`
    unknown_members  as in :class:`Resource`
    deferred         ARNs of others that wait for this one to be created, although it refers to them by late references:
                     a create request must not name them
    exact            whether it is to declare all that is live, as an import does; a plan leaves out what it cannot
                     change (a subscription that is not confirmed)
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
    deferred: frozenset[str] = frozenset()
    exact: bool = False


@dataclass(frozen=True, slots=True)
class Sought:
    """A name to search, with the declared properties that help to identify the object (a security group's ``vpcId``).

    ``tags`` are its wanted tags, the ownership tags included, where they are known: if the tagging index has the same,
    they are not read from the service. ``logical`` is the logical name, where that is another.
    """

    name: str
    props: Json = EMPTY
    tags: Mapping[str, str] | None = None
    logical: str = ""


@dataclass(frozen=True, slots=True)
class Existing:
    """One object of a list of all there is of a kind: what a read needs to find it, and the ``ids`` and ARNs, beside
    those that follow from its name, by which others refer to it.
    """

    sought: Sought
    ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Query:
    """What a read must find: every object with a sought name, and with ``owned`` all that the environment owns.

    ``declared`` are the sections in which the environment declares anything: of other services only the objects in the
    tagging index are read. Without ``indexed`` the index is not readable. With ``brief`` only names and ARNs are
    needed, and may come from a list that is read for other resources anyway.
    """

    scope: Scope
    sought: tuple[Sought, ...] = ()
    owned: bool = False
    declared: frozenset[str] = frozenset()
    indexed: bool = True
    brief: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A list that differs, whole, to be shown by its elements: by their places alone, one more changes all after it.

    ``ordered`` is False where the order of the elements has no meaning. ``MISSING`` and secrets are as in `Change`.
    """

    path: Path
    before: Any
    after: Any
    ordered: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One leaf that differs. ``MISSING`` means that it does not exist; secret values are already masked.

    ``within`` is the outermost list that the leaf is in, unless its elements have names and ``path`` has these.
    """

    path: Path
    before: Any
    after: Any
    effect: Effect
    because: str = ""
    secret: bool = False
    unknown: bool = False
    within: Listed | None = field(default=None, compare=False)

    @property
    def top(self) -> str:
        """The top-level member that the leaf is in."""
        return str(self.path[0])


@dataclass(frozen=True, slots=True)
class Diff:
    """The leaves that differ, sorted by path; falsy when there are none."""

    changes: tuple[Change, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.changes)

    @property
    def replaces(self) -> bool:
        """Whether any change needs a replacement."""
        return any(change.effect is Effect.REPLACE for change in self.changes)

    def tops(self) -> frozenset[str]:
        """The top-level members that differ, except tags."""
        return frozenset(change.top for change in self.changes if change.top != "tags")

    def under(self, *path: str) -> bool:
        """Whether anything differs at or below ``path``."""
        return any(change.path[: len(path)] == path for change in self.changes)


class Disruption(str):
    """A sentence on what a change does to running jobs, where it ends or delays jobs, refuses new ones, or loses
    events: such changes are shown first.
    """

    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependent:
    """A resource in the account that refers to a live object which would be deleted.

    text    for the plan's note: ``event rule nightly (target 1) starts jobs with it``
    hint    how the object can be deleted after all
    arn     the ARN of the dependent, or of what it is deleted with (a job's queue): ignored where the plan deletes that
    words   the names of the object: ignored where a new declaration of ``arn`` contains none of them; empty: it counts
    others  ARNs of every version, where the dependent uses whichever is latest: counts only if all would be deleted
    by_name ignored where the object is re-created under the same name
    """

    text: str
    hint: str = ""
    arn: str = ""
    words: frozenset[str] = frozenset()
    others: frozenset[str] = frozenset()
    by_name: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Referrer:
    """An object in the account, of whatever owner, that may refer to a live object which would be deleted.

    props   its properties in YAML's shape, at least those of ``Kind.refs``
    text    for the plan's note: ``compute environment web of the environment other``
    arn, hint
            as those of a :class:`Dependent`
    """

    props: Json
    text: str
    arn: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem that a kind's ``check`` or ``relations`` finds in a declaration; the engine adds the place."""

    path: Path
    message: str
    hint: str = ""
    code: codes.ProblemCode = codes.INVALID_VALUE
    warning: bool = False
