"""The one interface of the project: what a kind of resource is to the engine.

A kind is data about fields and a few pure functions. This is a whole one, for a service of lamps that is made up
(``tests/model/test_kind_example.py`` plans with it)::

    FIELDS = {
        "colour": Field(effect=Effect.REPLACE),  # no update takes it: another colour is another lamp
        "watts": Field(default=40),  # what leaving it out means
    }

    def attrs(scope, name, props):
        return {"name": name, "arn": scope.arn("lamps", f"lamp/{name}")}

    def read(query):
        owner = query.scope.environment if query.owned else ""
        call = Call("lamps", "DescribeLamps", {"names": [one.name for one in query.sought], "owner": owner})
        (reply,) = yield (call,)
        if isinstance(reply, Refused):
            raise Unreadable(call, reply)
        return [
            Live(
                physical=lamp["name"],
                attrs=attrs(query.scope, lamp["name"], {}),
                props={"colour": lamp["colour"], "watts": lamp["watts"]},
                tags=lamp["tags"],
            )
            for lamp in reply["lamps"]
        ]

    def create(want):
        params = {"name": want.physical, **want.declared, "tags": dict(want.tags)}
        return [Call("lamps", "CreateLamp", params, proof=Proof.EXISTS)]

    def update(live, want, diff):
        changed = {member: want.props[member] for member in sorted(diff.tops())}
        return [Call("lamps", "UpdateLamp", {"name": live.physical, **changed})]

    def delete(live, declared):
        return [Call("lamps", "DeleteLamp", {"name": live.physical}, ok_if=(On("NoSuchLamp"),))]

    def tag(live, add, remove):
        return [Call("lamps", "TagLamp", {"name": live.physical, "add": dict(add), "remove": list(remove)})]

    KIND = Kind(
        name="lamp",
        section="lamps",
        read=read,
        attrs=attrs,
        create=create,
        update=update,
        delete=delete,
        tag=tag,
        fields=FIELDS,
        replace=Replace.CREATE_FIRST,
    )
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from .access import Access
from .other_tools import NOT_KNOWN, OtherTools
from .records import dataclass
from .resources import (
    Change,
    Container,
    Dependent,
    Diff,
    Existing,
    Field,
    Finding,
    Lifecycle,
    Live,
    Query,
    Ref,
    Referrer,
    Replace,
    Resource,
    Want,
)
from .steps import Action, Call, CompleteList, Reads
from .values import EMPTY, OWNER_TAG, REGION_TAG, Address, Json, Path, Scope

if TYPE_CHECKING:  # what only some commands use is imported by them
    from .api import Api
    from .attempts import Retries
    from .audit import Audit
    from .declared import Declared
    from .diagnosis import Diagnoser
    from .expansion import Expansion
    from .granted import Granted
    from .jobs import Submission, Takes
    from .plan import Verb
    from .preflight import Check, Checks, Ground
    from .recorded import Recorded
    from .status import StatusReader


#: What a plan deletes, by section.
Removals: TypeAlias = Mapping[str, Sequence[Live]]


def _nothing(*_: Any) -> tuple[Any, ...]:
    return ()


def _as_it_is(_live: Live, _lifecycle: Lifecycle, deleting: Sequence[Action]) -> Sequence[Action]:
    return deleting


def _never(_live: Live, _want: Want, _diff: Diff) -> bool:
    return False


def _no_props(_name: str) -> Json:
    return EMPTY


def _props_of(live: Live, _scope: Scope) -> Json:
    return live.props


def _no_paths(_props: Json) -> Mapping[Path, Path]:
    return EMPTY


NO_ACCESS: Final = Access()


@dataclass(frozen=True, slots=True)
class ReadMany:
    """How the live objects of many sought names are read with few calls.

    ``read`` **must** find what ``Kind.read`` finds by name, with tags, from the service itself and never from the index
    of tags, which lags. It returns None where reading each by its name takes fewer calls. ``rest`` adds what is read of
    each object by itself; None where the object no longer exists. ``most`` are the names that are sought at once: as
    many as one call takes, or all where the calls do not depend on them.
    """

    read: Callable[[Query], Reads[Sequence[Live] | None]]
    rest: Callable[[Live], Reads[Live | None]] | None = None
    most: int = 100


@dataclass(frozen=True, slots=True)
class ReadLeaving:
    """How objects are read again before they are deleted, in fewer calls than before they are changed.

    ``read`` is given some as they were planned, and returns them as they are now. Their tags **must** be from the
    service itself. Properties **may** be those that were planned, where a reply shows that they are the same, or where
    they need a call of their own. What no longer exists, has changed, or is uncertain **must** be left out: it is then
    read by its name. ``most`` are given at once.
    """

    read: Callable[[Scope, Sequence[Live]], Reads[Sequence[Live]]]
    most: int = 1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Kind:
    """Everything the engine knows about a kind of resource.

    The functions **must** be pure: no clock, no network, no randomness, no change to their arguments. Those that
    return actions **must** end with the wait that makes it safe for dependents to continue. Paths are written as
    those of :class:`Field`.
    """

    # --- must: every kind has these ----------------------------------------------------------------------------------

    #: What one is called in messages: ``job queue``.
    name: str
    #: Where they are declared: ``jobQueues``.
    section: str
    #: Every live object of a sought name whatever its tags, and with ``query.owned`` all that the environment owns.
    #: Props **must** come back in YAML's shape, without identity that the service sets, and without guessed defaults.
    read: Callable[[Query], Reads[Sequence[Live]]]
    #: The attributes that follow from a name and its declared properties: ``name``, mostly ``arn``.
    attrs: Callable[[Scope, str, Json], Mapping[str, str]]
    #: Creates one; **must** send ``want.tags`` and **may** rely on ``want.declared`` only.
    create: Callable[[Want], Sequence[Action]]
    #: Changes one; every change of the diff, tags aside, **must** be sent. A versioned kind registers a revision.
    update: Callable[[Live, Want, Diff], Sequence[Action]]
    #: Deletes one, given its declared properties if it still has any; **must** succeed for one that no longer exists.
    delete: Callable[[Live, Json], Sequence[Action]]
    #: Sets and removes tags of a live object.
    tag: Callable[[Live, Mapping[str, str], Sequence[str]], Sequence[Action]]

    # --- as needed: what many kinds have ------------------------------------------------------------------------------

    #: Facts about properties, by path: defaults, sets, what a change does.
    fields: Mapping[str, Field] = EMPTY
    #: Reads many of them at once before they are written to, in fewer calls than ``read`` by their names.
    read_many: ReadMany | None = None
    #: Reads them again before they are deleted, in fewer calls than ``read`` and ``read_many``.
    read_leaving: ReadLeaving | None = None
    #: Properties that name other resources, by path.
    refs: Mapping[str, Ref] = EMPTY
    #: Properties that a look-up may give, by path, each with the kind of look-up: ``subnets[]`` -> ``subnets``.
    lookups: Mapping[str, str] = EMPTY
    #: The kind of look-up that finds one of these; ``refs`` to its section may take it. Empty: there is none.
    lookup: str = ""
    #: Properties that calls of their own send after the creation: an expression in them (a resource in an inline
    #: policy) orders only those calls, like a late reference.
    sent_later: frozenset[str] = frozenset()
    #: Those of ``refs`` for which ``iam:PassRole`` is needed, by path, each with the service that uses the role.
    passes_roles: Mapping[str, str] = EMPTY
    #: The IAM actions of its calls.
    access: Access = NO_ACCESS
    #: Lists of all that there is of it, for reads that ask for one name: from them a snapshot knows that none exists.
    complete_lists: tuple[CompleteList, ...] = ()
    #: Regular expressions of ARNs that do not follow from ``attrs``, with a group ``name``, perhaps with a group
    #: ``rest`` for what is sent with the ARN (the JSON key of a secret); tried in order.
    arn_forms: tuple[str, ...] = ()
    #: Lists all there is of it in the account, in few calls, but what AWS itself owns (the roles of services, the group
    #: of every VPC): for what finds more than an environment declares or owns (`import`, `audit`).
    everything: Callable[[Scope], Reads[Sequence[Existing]]] | None = None
    #: The attributes that AWS assigns when one is created (the id of a security group).
    assigned_by_aws: frozenset[str] = frozenset()
    #: How one is replaced where no update can make a change.
    replace: Replace = Replace.FORBIDDEN
    #: The member of the API's requests that has the name: with it, the physical name may be declared.
    name_member: str = ""
    #: The section of the resources whose names are the first part of its names, before a slash (``queue/share``).
    named_below: str = ""
    #: The most characters of a name.
    max_name: int = 128
    #: The requests that properties are sent in. Members that only the installed AWS model knows are passed through, so
    #: ``create`` and ``update`` **must** send members they do not know.
    api: Api | None = None
    #: What `audit` looks for; without it, objects of this kind are not audited.
    audit: Audit | None = None
    #: How its objects are right now: for `reconcile status`.
    status: StatusReader | None = None
    #: The file that `import` writes declarations to, without its ending; empty: that of the section's name.
    file: str = ""
    #: What other tools call one, for `import`.
    other_tools: OtherTools = NOT_KNOWN
    #: Turns what YAML allows for convenience into plain properties.
    expand: Callable[[Json], Json] = dict
    #: The inverse of ``expand``, for `import`: the properties of a live object as people declare them, in short forms
    #: and without what follows from others. The engine leaves out what ``fields`` and ``normalize`` make of absence.
    declare: Callable[[Live, Scope], Json] = _props_of
    #: Where what ``expand`` writes was declared, by path, for places in problems and in `render`, which shows what is
    #: written at these paths. Only for what people should see written out.
    declared_at: Callable[[Json], Mapping[Path, Path]] = _no_paths
    #: Rewrites (live, wanted) properties into a pair that compares well: for what no single :class:`Field` can say.
    normalize: Callable[[Live, Want], tuple[Json, Json]] | None = None
    #: What AWS would refuse about a declaration by itself. References are unresolved: a value may be a Template.
    check: Callable[[str, Json], Iterable[Finding]] = _nothing
    #: Whether ``check`` looks at the machine (its time zones): what passed in an earlier run may not pass in this one.
    check_looks_around: bool = False
    #: What AWS would refuse about a declaration together with others, which are found through ``declared``.
    relations: Callable[[Resource, Declared], Iterable[Finding]] = _nothing
    #: What a change means for running jobs, for people to read before they agree.
    disruption: Callable[[Live, Want, Diff], str] | None = None
    #: How CloudTrail records what changes one, for `drift --who`; without it, who changed one is unknown.
    recorded: Recorded | None = None
    #: What people should know although nothing is to be done.
    notes: Callable[[Live, Want], Iterable[str]] = _nothing
    #: The properties whose live value cannot be compared with the declared one (a secret that others wrote).
    not_compared: Callable[[Live, Want], Iterable[str]] = _nothing
    #: Waits until one is settled; **must** be given where ``Live.settled`` can be False.
    wait_until_settled: Callable[[Live], Sequence[Action]] = _nothing
    #: Waits until its name is free; **must** be given where ``Live.deleting`` can be True.
    wait_until_gone: Callable[[Live], Sequence[Action]] = _nothing
    #: Repairs one that exists and does not work (``Live.invalid``).
    repair: Callable[[Live, Want], Sequence[Action]] = _nothing
    #: What the deletion of one does to jobs; with None for the lifecycle, jobs are not waited for.
    deletion_effect: Callable[[Live, Lifecycle | None], str] | None = None
    #: Reads that find who in the account names live objects that a plan would delete: those are kept. Driven only when
    #: something is to be deleted; what cannot be read raises Unreadable. The third argument is all that the plan
    #: deletes, by section: it does not count as a dependent, so what matters only where it is kept need not be read.
    dependents: tuple[Callable[[Scope, Sequence[Live], Removals], Reads[Mapping[str, tuple[Dependent, ...]]]], ...] = ()
    #: Reads the objects of this kind in the account, whatever their owner, that may refer by ``refs`` to the live
    #: objects (by section) that a plan would delete, revisions aside: those are kept. Driven as ``dependents`` are.
    referrers: Callable[[Scope, Removals], Reads[Sequence[Referrer]]] | None = None

    #: The statements of the policies that one has, those of declared policies that it names included.
    grants: Callable[[Resource, Declared], Iterable[Granted]] = _nothing

    # --- rare: what one or two kinds have -----------------------------------------------------------------------------

    #: Every change registers a new revision (job definitions).
    versioned: bool = False
    #: What contains all of this kind: its tags name their owner, and they have none. One that is not declared is added
    #: to the environment. ``Live.tags`` has the owner tag of the container and no other.
    container: Container | None = None
    #: It belongs to the account: it is created if missing, never owned or deleted (service-linked roles).
    shared: bool = False
    #: Names, and names of tags, that differ in case alone are the same to AWS (IAM).
    folds_case: bool = False
    #: One exists once for all Regions (IAM): the Region from which it is managed is part of its ownership.
    spans_regions: bool = False
    #: What no name may begin with (``sg-``).
    reserved_prefix: str = ""
    #: The only characters that its tags may have beside letters, digits and spaces; empty: any.
    tag_symbols: str = ""
    #: The attributes assigned by AWS that every ``update`` changes (the latest version of a launch template).
    changed_by_update: frozenset[str] = frozenset()
    #: The setting of an environment that stands for some of these (``alerts``), and perhaps for members of others.
    from_setting: Expansion | None = None
    #: The properties that follow from a name (the queue in the name of a quota share); see ``expanded``.
    implied: Callable[[str], Json] = _no_props
    #: The services that may use one, by its declared properties (a role's trust policy); None: that does not show.
    trusts: Callable[[Json], frozenset[str] | None] | None = None
    #: Brings one back whose deletion is scheduled, instead of ``wait_until_gone`` and ``create``.
    restore: Callable[[Live, Want], Sequence[Action]] | None = None
    #: Adds waits for the work on one to the actions that delete it; used where its users have moved to another.
    drain: Callable[[Live, Lifecycle, Sequence[Action]], Sequence[Action]] = _as_it_is
    #: Whether an update takes one out of service: it then waits until its users are as wanted, or have left it.
    takes_out_of_service: Callable[[Live, Want, Diff], bool] = _never
    #: For a kind whose creation AWS does not refuse where the name is taken: whether others were first, in words, and
    #: the calls that take the creation back; given the attributes that the creating call has captured.
    rival: Callable[[Want, Mapping[str, Any]], Reads[tuple[str, Sequence[Call]]]] | None = None
    #: Tags below ``reconciler/`` to add when a live object is adopted.
    adoption_tags: Callable[[Live, Want], Mapping[str, str]] | None = None
    #: For ``--refresh-images``: the change that moves to the newest images, or why there is none.
    refresh: Callable[[Live, Want], Change | Finding] | None = None
    #: What else changes with a live object, or blocks the change, according to AWS and ``declared``; also given what
    #: the plan does, by address. Warnings become notes, which a saved plan is held to unless their code is ``advice``;
    #: other findings are problems. A read that is refused **must not** be one. Without a diff it **must not** ask AWS.
    side_effects: Callable[[Live, Want, Diff, Mapping[Address, Verb], Declared], Reads[Sequence[Finding]]] | None = None
    #: Whether one can run, or jobs on it, in this account, for `--preflight`. A read that is refused is unknown: it
    #: **must not** raise for it. It is called for each that is declared: what several have in common is found once, in
    #: ``Ground.shared``.
    preflight: Callable[[Resource, Ground], Reads[Sequence[Check] | Checks]] | None = None
    #: How attempts of the jobs of one end and are retried, by its declared properties: for `reconcile retry`.
    retries: Callable[[Json], Retries] | None = None
    #: How what is wrong with one, or with what it runs, is found out: for `reconcile why`.
    diagnosis: Diagnoser | None = None
    #: How jobs of one are submitted, by its declared properties: for `reconcile jobs`.
    submits: Callable[[Json], Submission] | None = None
    #: Which jobs one takes, by what is declared: for `reconcile jobs`.
    takes_jobs: Callable[[Resource, Declared], Takes] | None = None
    #: The objects of this kind, by physical name or ARN, that the text of properties mentions.
    mentions: Callable[[Json], Iterable[str]] = _nothing

    def ownership_tags(self, scope: Scope) -> Mapping[str, str]:
        """The tags that make the environment of ``scope`` the owner of one."""
        region = {REGION_TAG: scope.region} if self.spans_regions else {}
        return {OWNER_TAG: scope.environment, **region}

    def owned(self, live: Live, scope: Scope) -> bool:
        """Whether the tags of ``live`` name the environment of ``scope``, and no other Region."""
        elsewhere = self.spans_regions and live.owner_region not in (None, scope.region)
        return live.owner == scope.environment and not elsewhere

    def owner(self, live: Live, scope: Scope) -> str:
        """The owner of ``live`` as seen from ``scope``: ``reg``, or ``reg in eu-west-1``; empty if there is none."""
        region = live.owner_region if self.spans_regions else None
        where = f" in {region}" if region not in (None, scope.region) else ""
        return f"{live.owner}{where}" if live.owner else ""

    def expanded(self, name: str, props: Json) -> Json:
        """The plain properties of what is declared as ``name``: what the name implies, beneath what is declared."""
        return {**self.implied(name), **self.expand(props)}
