"""What a plan is made of while it is being made: one node a resource, with what brings it about and what removes it."""

from __future__ import annotations

from dataclasses import dataclass, field

from reconciler.model import Action, Address, Diff, Json, Kind, Live, Resource, Verb, Want
from reconciler.refs import Use


@dataclass(slots=True)
class Down:
    """One live object that goes, and how."""

    live: Live
    actions: list[Action]


@dataclass(slots=True)
class Node:
    """One resource while it is being planned."""

    address: Address
    kind: Kind
    resource: Resource | None = None
    want: Want | None = None
    heir: Live | None = None
    verb: Verb = Verb.NOOP
    diff: Diff = Diff()
    before: Json | None = None
    after: Json | None = None
    up: list[Action] = field(default_factory=list)
    downs: list[Down] = field(default_factory=list)
    uses: list[Use] = field(default_factory=list)
    create_first: bool = True
    reason: str = ""
    disruption: str = ""
    notes: list[str] = field(default_factory=list)
