"""What a plan is made of while it is being made: one node a resource, with what brings it about and what removes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from reconciler.config.references import Use
from reconciler.model import Action, Address, Diff, Json, Kind, Live, Resource, Verb, Want

# what to do where an object cannot be deleted before its replacement is created
REMOVE_DELETE_FIRST: Final = (
    "remove lifecycle.replace: delete-first, so that the new resource is created before the old one is deleted"
)


@dataclass(slots=True)
class Removal:
    """One live object that goes, and how."""

    live: Live
    actions: list[Action]


@dataclass(slots=True)
class Node:
    """One resource while it is being planned. ``out_of_service``: its update takes it out of service."""

    address: Address
    kind: Kind
    resource: Resource | None = None
    want: Want | None = None
    kept_object: Live | None = None
    verb: Verb = Verb.NOOP
    diff: Diff = Diff()
    before: Json | None = None
    after: Json | None = None
    actions: list[Action] = field(default_factory=list)
    removals: list[Removal] = field(default_factory=list)
    uses: list[Use] = field(default_factory=list)
    create_first: bool = True
    out_of_service: bool = False
    reason: str = ""
    disruption: str = ""
    notes: list[str] = field(default_factory=list)


def leftover_reason(kind: Kind, going: Sequence[Live]) -> str:
    """Why a resource that stays as it is loses these live objects; empty where there are none."""
    names = ", ".join(live.physical for live in going)
    told = "revisions beyond those to keep" if kind.versioned else "left over"
    return f"{told}: {names}" if names else ""
