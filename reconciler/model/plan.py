"""What planning yields and what executing it reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

from .resources import Change, Dependent, Diff, Live, Resource, Want
from .steps import Action, Refused, Unreadable
from .values import EMPTY, Address, Json, Pos, Scope


class Verb(Enum):
    """What happens to a resource; the contract's words."""

    NOOP = "noop"
    CREATE = "create"
    ADOPT = "adopt"
    UPDATE = "update"
    REPLACE = "replace"
    DELETE = "delete"


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """What the account holds, as far as it concerns an environment.

    ``lives`` by section; ``existing`` the attributes of things that are named and not declared, None where there is
    no such thing; ``used`` who names what is to go, by section and physical name (a second look, at what a first plan
    would remove).

    What AWS would not let us see, with the refused calls: ``unreadable`` what is declared or named, by section and
    name; ``partial`` the sections of which it is not known what else is owned; ``unresolved_lookups`` the look-ups by
    name, with what to do about it; ``unanswered`` the questions who names what is to go.
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
        """Whether anything could not be seen: then nothing is deleted that could wait."""
        return bool(self.unreadable or self.partial or self.unresolved_lookups)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line asks of a plan.

    ``kept`` is of a saved plan that is planned again: what was left in place since somebody named it, by section and
    physical name. None where nothing was saved.
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

    ``id`` is ``ADDRESS:up.0`` for what brings a resource about and ``ADDRESS:down.0`` for what removes one.
    """

    id: str
    address: Address
    action: Action
    after: frozenset[str] = frozenset()


UNAFFECTED: Final = "not affected"  # the disruption of a change without an effect on running jobs


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourcePlan:
    """One block of the plan: what happens to one resource, why, and by which steps.

    ``want``, ``kept_object`` and ``removed_objects`` are what was wanted, the live object that stays or is replaced,
    and those that go: with them apply looks again before it writes. They are never shown; nor is ``declared``, which
    tells in what line a property stands. ``side_effects`` are those of the ``notes`` that tell what moves with the
    change: they belong to what is approved.
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
    want: Want | None = field(default=None, compare=False)
    kept_object: Live | None = field(default=None, compare=False)
    removed_objects: tuple[Live, ...] = field(default=(), compare=False)
    declared: Resource | None = field(default=None, compare=False)

    @property
    def changes(self) -> tuple[Change, ...]:
        return self.diff.changes


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is rendered, checksummed, journalled and applied; never changed.

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
        return tuple(step for resource in self.resources for step in resource.steps)

    @property
    def applyable(self) -> bool:
        return any(resource.verb is not Verb.NOOP for resource in self.resources)

    def count(self, verb: Verb) -> int:
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
    """The executor's only output. ``at`` and ``took`` are seconds of its clock; ``detail`` is for people; ``path`` is
    the property that the cause of a failure lies in, where that is known; ``because`` is in plain words why a step is
    tried again, where that is known and expected.
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
    """How an apply ended: ids of steps by fate; ``changed_since_plan`` are those of the failed that no longer fitted
    the account, ``causes`` the properties that the causes of failures lie in, by step.
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
        return not (self.failed or self.skipped or self.never_started or self.interrupted)
