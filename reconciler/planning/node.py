"""A resource while it is planned: a node, with the actions that create or update it and those that delete objects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from typing import Final

from reconciler.config.references import Use
from reconciler.model import Action, Address, Call, Diff, Json, Kind, Live, Resource, Verb, Want
from reconciler.model.records import dataclass

# what to do where an object cannot be deleted before its replacement is created
REMOVE_DELETE_FIRST: Final = (
    "remove lifecycle.replace: delete-first, so that the new resource is created before the old one is deleted"
)


@dataclass(slots=True)
class Removal:
    """One live object to delete, the actions that delete it, and what is said of that."""

    live: Live
    actions: list[Action]
    note: str = ""


@dataclass(slots=True)
class Node:
    """One resource while it is planned; the members are those of ResourcePlan.

    ``actions`` create or update it, ``removals`` delete live objects; ``out_of_service``: its update takes it out of
    service; ``repairs``: the actions only make AWS check it again. ``by_tag_only`` are other live objects with its tags
    that this tool did not create; ``remaining`` are physical names that a deletion leaves; ``deferred`` as in
    :class:`Want`.
    """

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
    deferred: frozenset[str] = frozenset()
    reason: str = ""
    disruption: str = ""
    notes: list[str] = field(default_factory=list)
    repairs: bool = False
    by_tag_only: tuple[Live, ...] = ()
    remaining: tuple[str, ...] = ()
    not_compared: tuple[str, ...] = ()

    @property
    def only_waits(self) -> bool:
        """Whether its actions, if any, change nothing: what AWS is changing by itself is waited for."""
        return not any(isinstance(action, Call) for action in self.actions)


def leftover_reason(kind: Kind, leftovers: Sequence[Live]) -> str:
    """The reason of an update that only deletes ``leftovers``; empty where there are none."""
    names = ", ".join(live.physical for live in leftovers)
    message = "revisions beyond those to keep" if kind.versioned else "left over"
    return f"{message}: {names}" if names else ""
