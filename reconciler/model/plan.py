"""What planning returns, and what applying a plan reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import Enum
from typing import Any, Final

from .records import dataclass
from .resources import Change, Dependent, Diff, Disruption, Live, Resource, Want
from .steps import Action, Refused, Unreadable
from .values import EMPTY, Address, Json, Pos, Scope


class Verb(Enum):
    """The action of a resource, as JSON output names it."""

    NOOP = "noop"
    CREATE = "create"
    ADOPT = "adopt"
    UPDATE = "update"
    REPLACE = "replace"
    DELETE = "delete"


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """The state of the account, as far as it concerns an environment.

    ``lives`` by section; ``existing`` the attributes of resources that are named but not declared, None where they do
    not exist; ``used`` the dependents of the objects that a first plan would delete, by section and physical name
    (a second read).

    What could not be read, with the refused calls: ``unreadable`` resources that are declared or named, by section and
    name; ``partial`` the sections whose other owned resources are unknown; ``unresolved_lookups`` look-ups by name,
    with a hint; ``unanswered`` the reads of dependents.
    """

    lives: Mapping[str, tuple[Live, ...]] = EMPTY
    existing: Mapping[tuple[str, str], Mapping[str, str] | None] = EMPTY
    used: Mapping[tuple[str, str], tuple[Dependent, ...]] = EMPTY
    unreadable: Mapping[tuple[str, str], Unreadable] = EMPTY
    partial: Mapping[str, tuple[Unreadable, ...]] = EMPTY
    unresolved_lookups: Mapping[str, str] = EMPTY
    unanswered: tuple[Unreadable, ...] = ()

    @property
    def incomplete(self) -> bool:
        """Whether anything could not be read: then nothing is deleted except in replacements."""
        return bool(self.unreadable or self.partial or self.unresolved_lookups)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options of a plan.

    ``kept`` belongs to a saved plan that is planned again: the objects that it kept because they are in use, by section
    and physical name. None without a saved plan.
    """

    adopt: bool = False
    destroy: bool = False
    targets: tuple[Address, ...] = ()
    exclude: tuple[Address, ...] = ()
    replace: tuple[Address, ...] = ()
    refresh: tuple[Address, ...] = ()
    allow_deletions: int | None = None
    kept: frozenset[tuple[str, str]] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One node of the graph: an action, and the ids of the steps that must be done before it.

    ``id`` is ``ADDRESS:up.0`` for a step that creates or updates, and ``ADDRESS:down.0`` for one that deletes.
    """

    id: str
    address: Address
    action: Action
    after: frozenset[str] = frozenset()

    @property
    def phase(self) -> str:
        """``up`` or ``down``."""
        return self.id.removeprefix(f"{self.address}:").partition(".")[0]


UNAFFECTED: Final = "not affected"  # the disruption of a change without an effect on running jobs


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourcePlan:
    """One block of the plan: what happens to one resource, why, and by which steps.

    ``by_tag_only`` are the physical names of the objects to delete that have the tags of the environment, but were not
    created by this tool; ``remaining`` those of objects of its name that no environment owns and a deletion leaves;
    ``not_compared`` the properties whose live values cannot be compared with the declared ones.
    A NOOP has no steps but waits for what AWS is changing by itself, which are not shown.

    ``want`` is the wanted state, ``kept_object`` the live object that is kept, updated or replaced, ``removed_objects``
    are those that are deleted: with them apply reads a resource again before it writes. They are never shown; nor is
    ``declared``, which has the place of each property. ``side_effects`` are those of the ``notes`` that state what else
    the change affects: they are part of what is approved.
    """

    address: Address
    verb: Verb
    physical: str
    before: Json | None
    after: Json | None
    diff: Diff = Diff()
    steps: tuple[Step, ...] = ()
    reason: str = ""
    disruption: str = ""
    notes: tuple[str, ...] = ()
    side_effects: tuple[str, ...] = ()
    create_first: bool = True
    importing: str = ""
    depends_on: tuple[Address, ...] = ()
    pos: Pos | None = None
    secret_paths: frozenset[str] = frozenset()
    by_tag_only: tuple[str, ...] = ()
    not_compared: tuple[str, ...] = ()
    remaining: tuple[str, ...] = ()
    want: Want | None = field(default=None, compare=False)
    kept_object: Live | None = field(default=None, compare=False)
    removed_objects: tuple[Live, ...] = field(default=(), compare=False)
    declared: Resource | None = field(default=None, compare=False)

    @property
    def changes(self) -> tuple[Change, ...]:
        """The leaves that differ, sorted by path."""
        return self.diff.changes

    @property
    def interrupts(self) -> bool:
        """Whether it ends or delays jobs, refuses new ones, or loses events: ``disruption`` says how."""
        return isinstance(self.disruption, Disruption)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A plan: it is rendered, checksummed, journalled and applied, and never changed.

    ``complete`` is False where not all of the environment was planned; ``limited_by`` is the option that caused it
    (``--target``, ``--exclude``), empty where something could not be read.
    """

    scope: Scope
    resources: tuple[ResourcePlan, ...]
    lookups: Mapping[str, Any] = EMPTY
    complete: bool = True
    limited_by: str = ""
    destroy: bool = False

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps of all resources."""
        return tuple(step for resource in self.resources for step in resource.steps)

    @property
    def applyable(self) -> bool:
        """Whether the plan changes anything."""
        return any(resource.verb is not Verb.NOOP for resource in self.resources)

    def count(self, verb: Verb) -> int:
        """The number of resources with this action."""
        return sum(resource.verb is verb for resource in self.resources)


class StepState(Enum):
    """What happened to a step."""

    STARTED = "started"
    AGAIN = "again"
    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """The executor's only output. ``at`` and ``took`` are seconds of its clock; ``detail`` is text for users; ``path``
    is the property that caused a failure, where that is known; ``because`` is why a step is tried again, in plain
    words, where that is known and expected.
    """

    at: float
    step: Step
    state: StepState
    detail: str = ""
    took: float = 0.0
    refused: Refused | None = None
    path: str = ""
    because: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How an apply ended: ids of steps by result. ``changed_since_plan`` are the failed ones whose resource differs
    from the plan, ``causes`` the properties that caused failures, by step.
    """

    done: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    never_started: tuple[str, ...] = ()
    changed_since_plan: tuple[str, ...] = ()
    interrupted: bool = False
    causes: Mapping[str, str] = EMPTY

    @property
    def ok(self) -> bool:
        """Whether every step is done."""
        return not (self.failed or self.skipped or self.never_started or self.interrupted)
