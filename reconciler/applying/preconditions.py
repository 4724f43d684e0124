"""Reads the account again while a plan is applied.

Before the first write to an existing object: is it unchanged since the plan? Otherwise the write would undo a change
that no plan has shown. And after the reply to a call was lost: did the call take effect? The reads are the kinds'
own, by name, from the service itself and never from the tag index, which lags.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field, replace
from fnmatch import fnmatchcase
from typing import Any

from reconciler.account.reader import Reader
from reconciler.applying.parameters import Facts
from reconciler.applying.recent_reads import RecentReads, Recheckable
from reconciler.model import (
    EMPTY,
    Address,
    Aws,
    Call,
    Json,
    Kind,
    Later,
    Live,
    Plan,
    Proof,
    Query,
    Refused,
    ResourcePlan,
    Sought,
    Step,
    Text,
    Unreadable,
    Verb,
    Want,
)
from reconciler.model.paths import dotted, values_at
from reconciler.model.records import dataclass
from reconciler.model.stand_ins import replace as replaced
from reconciler.planning import diff
from reconciler.planning.canonical import sort_key, with_defaults

MOST_BY_NAME = 3  # objects that are read by name


@dataclass(slots=True)
class AccountRecheck:
    """The executor's Recheck for one plan. ``members`` returns a section's tree of known members; ``current`` returns
    whether the plan is so new, and other runs so surely excluded, that nothing can have been created since; ``now`` is
    a monotonic clock.
    """

    plan: Plan
    kinds: Mapping[str, Kind]
    aws: Aws
    members: Callable[[str], Json] = lambda _: EMPTY
    ignore_tags: Sequence[str] = ()
    current: Callable[[], bool] = lambda: True
    now: Callable[[], float] = time.monotonic
    items: dict[Address, ResourcePlan] = field(init=False)
    removed: set[tuple[str, Any]] = field(default_factory=set)
    reads: RecentReads = field(init=False)
    _since: dict[str, Mapping[Address, str]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.items = {item.address: item for item in self.plan.resources}
        going = ((item.address.section, live) for item in self.plan.resources for live in item.removed_objects)
        self.removed = {(section, arn) for section, live in going if (arn := live.attrs.get("arn"))}
        self.reads = RecentReads(self.aws, self.plan.scope, self.now, self.pending())

    # --- before the first write --------------------------------------------------------------------------------------

    def changed_since_plan(self, address: Address, phase: str) -> str:
        """What has changed since the plan about the objects that ``phase`` (up or down) of ``address`` writes to; empty
        if nothing has. Raises Unreadable.

        A creation needs no read where AWS refuses a duplicate name; an object to delete may have been deleted already.
        """
        item, kind = self.items[address], self.kinds[address.section]
        if phase == "up" and item.verb is Verb.CREATE and not _refused_as_duplicate(item):
            undone = kind.versioned  # what is registered in vain can be taken back, what is overwritten cannot
            return "" if self.current() and (undone or kind.rival is None) else self.created_since(address)
        planned = _written_to(item, kind, phase)
        if not planned:
            return ""
        live_objects = self.reads.of(kind, (address, phase), planned)
        differences = (self.difference(kind, item, live, live_objects, phase) for live in planned)
        found = next((text for text in differences if text), "")
        if not found and kind.versioned and (phase == "up" or item.verb is Verb.DELETE):
            known = [*planned, *filter(None, [item.kept_object])]  # the latest may be kept, being in use
            found = _newer(known, [live for live in live_objects if live.physical not in item.remaining])
        return found and f"{found} since the plan was created; plan again"

    def pending(self) -> dict[str, dict[Recheckable, Sequence[Live]]]:
        """The live objects that the plan writes to, in its order, by section and by what is rechecked."""
        found: dict[str, dict[Recheckable, Sequence[Live]]] = {}
        for item in self.plan.resources:
            kind = self.kinds[item.address.section]
            if kind.read_many is not None or kind.read_leaving is not None:
                for phase in dict.fromkeys(step.phase for step in item.steps):
                    if planned := _written_to(item, kind, phase):
                        found.setdefault(kind.section, {})[item.address, phase] = planned
        return found

    def created_since(self, address: Address) -> str:
        """The object of the same name that another run created since the plan, where AWS would overwrite it; empty if
        there is none. All resources of the section are read together, before the first of them is created.
        """
        with self._lock:
            if address.section not in self._since:
                self._since[address.section] = self.created_by_others(address.section, _would_overwrite)
            return self._since[address.section].get(address, "")

    def conflicting_object(self, step: Step) -> str:
        """The object, created since the plan, whose name made AWS refuse ``step``; empty if there is none. Raises
        Unreadable.
        """
        address = step.address
        if self.kinds[address.section].shared:
            return ""
        return self.created_by_others(address.section, lambda item: item.address == address).get(address, "")

    def rival(self, step: Step, captured: Mapping[str, Any]) -> str:
        """The environment that created the resource first, in words, where AWS did not refuse ``step``, which is then
        taken back; empty if there is none. Raises Unreadable.
        """
        item, kind = self.items[step.address], self.kinds[step.address.section]
        if kind.rival is None or item.want is None or item.verb is not Verb.CREATE or step != _creation(item):
            return ""
        text, undo = Reader(self.aws, parallelism=0).drive(kind.rival(item.want, captured))
        refused = [reply for reply in map(self.aws.call, undo) if isinstance(reply, Refused)]
        return text + "".join(f" (refused: {reply})" for reply in refused)

    def found_as_planned(self, step: Step, facts: Facts) -> Mapping[str, Any] | None:
        """The attributes that ``step`` captures, where the object exists that AWS refused to create, is owned by this
        environment and is as planned: the request was delivered twice. None where it is not so.

        What later steps of the resource set may differ.
        """
        item, kind, call = self.items[step.address], self.kinds[step.address.section], step.action
        if item.want is None or not isinstance(call, Call) or kind.shared:
            return None
        want = self.known_by_now(item.want, facts)
        try:
            lives = self.read(kind, want.physical, want.declared)
        except Unreadable:
            return None
        anew = item.verb is Verb.REPLACE and not item.create_first  # under the name of one that is gone
        before = () if anew else (*item.removed_objects, *filter(None, [item.kept_object]))
        planned = {live.physical for live in before}
        own = [live for live in lives if self.is_owned(kind, live) and not live.deleting]
        now = next((live for live in own if _is_named(live, want.physical, kind)), None)
        if now is None or now.physical in planned or now.logical != item.address.name:
            return None
        found = diff.difference(kind, now, want, self.members(want.address.section))[0]
        to_come = {str(other.action) for other in item.steps if isinstance(other.action, Call) and other.id != step.id}
        needed = kind.update(now, want, found) if found else ()
        if found.replaces or {str(action) for action in needed if isinstance(action, Call)} - to_come:
            return None
        return {attr: now.attrs[attr] for attr in call.captures if attr in now.attrs}

    def known_by_now(self, want: Want, facts: Facts) -> Want:
        """``want`` with the values that earlier steps have captured."""
        return replace(want, props=_fill_known(want.props, facts), declared=_fill_known(want.declared, facts))

    def created_by_others(self, section: str, chosen: Callable[[ResourcePlan], bool]) -> Mapping[Address, str]:
        """The objects that exist already of the ``chosen`` resources to create, in words. Raises Unreadable."""
        kind = self.kinds[section]
        items = [item for item in self.items.values() if item.address.section == section and item.want and chosen(item)]
        sought = tuple(Sought(item.want.physical, item.want.declared) for item in items if item.want)
        lives = self.all_of(kind, sought)
        found: dict[Address, str] = {}
        for item in items:
            before = {live.physical for live in item.removed_objects}
            for live in lives:
                ours = item.want is not None and _is_named(live, item.want.physical, kind)
                if ours and not live.deleting and live.physical not in before:
                    owner = kind.owner(live, self.plan.scope)
                    whose = f" and belongs to {owner or 'no environment'}"
                    if owner == self.plan.scope.environment:
                        whose = " by another run of this environment"
                    message = f"{live.physical} was created since the plan{whose}; plan again"
                    found[item.address] = message
        return found

    def all_of(self, kind: Kind, sought: tuple[Sought, ...]) -> Sequence[Live]:
        """The objects with the sought names: many by listing, which takes fewer calls; by name where AWS denies
        that.
        """
        query = Query(scope=self.plan.scope, sought=sought, owned=len(sought) > MOST_BY_NAME)
        try:
            return Reader(self.aws, parallelism=0).drive(kind.read(query))
        except Unreadable:
            if not query.owned:
                raise
        return Reader(self.aws, parallelism=0).drive(kind.read(replace(query, owned=False)))

    def difference(self, kind: Kind, item: ResourcePlan, live: Live, found: Sequence[Live], phase: str) -> str:
        """What differs between ``live``, as planned, and the object in ``found`` now, in words; empty if nothing."""
        now = next((other for other in found if other.physical == live.physical), None)
        if now is None or (now.deleting and not live.deleting):
            return "" if phase == "down" else f"{live.physical} was deleted"
        taken = kind.container is not None and now.owner == self.plan.scope.environment  # with its container
        if now.owner != live.owner and not taken:
            return f"{live.physical} changed its owner to {now.owner or 'no environment'}"
        if self.tags(now) != self.tags(live) and not taken:
            return f"the tags of {live.physical} changed"
        now = replace(now, extra={**live.extra, **now.extra})  # what depends on the declaration was read for the plan
        if now == live:
            return ""
        want = item.want if item.want and phase == "up" else self.as_it_was(kind, item, live)
        moved = self.compared(kind, now, want) ^ self.compared(kind, live, want)
        if phase == "down":
            lost = self.lost_references(kind, live)
            moved = {(path, value) for path, value in moved if path.partition(".")[0] not in lost}
        return f"{', '.join(sorted({path for path, _ in moved}))} of {live.physical} changed" if moved else ""

    def lost_references(self, kind: Kind, live: Live) -> set[str]:
        """The properties of an object to delete that refer to others that this plan deletes in any order: AWS changes
        them (a principal that is deleted is shown by its id).
        """
        refs = [(pattern, ref) for pattern, ref in kind.refs.items() if ref.late and not ref.holds]
        found = ((path, ref, value) for pattern, ref in refs for path, value in values_at(live.props, pattern))
        return {
            str(path[0])
            for path, ref, value in found
            if isinstance(value, str) and (ref.section, value) in self.removed
        }

    def compared(self, kind: Kind, live: Live, want: Want) -> set[tuple[str, str]]:
        """The differences between ``live`` and ``want`` that a plan would show: paths and live values."""
        found = diff.difference(kind, live, want, self.members(want.address.section))[0]
        return {(dotted(change.path), sort_key(change.before)) for change in found.changes}

    def as_it_was(self, kind: Kind, item: ResourcePlan, live: Live) -> Want:
        """The properties of an object to delete when it was planned, as a Want to compare with: it has no
        declaration.
        """
        props = with_defaults(kind, live.props)
        return Want(
            address=item.address,
            physical=live.physical,
            declared=live.props,
            props=props,
            tags=live.tags,
            attrs=live.attrs,
            scope=self.plan.scope,
        )

    def tags(self, live: Live) -> dict[str, str]:
        """The tags that must not have changed: neither AWS's nor ignored ones."""

        def moving(name: str) -> bool:
            return name.lower().startswith("aws:") or any(fnmatchcase(name, some) for some in self.ignore_tags)

        return {name: value for name, value in live.tags.items() if not moving(name)}

    # --- after a reply was lost --------------------------------------------------------------------------------------

    def find_created(self, step: Step, facts: Facts) -> Mapping[str, Any] | None:
        """The attributes that the step captures, where its call took effect although the reply was lost (see Proof);
        None where it did not.
        """
        item, kind, call = self.items[step.address], self.kinds[step.address.section], step.action
        if item.want is None or not isinstance(call, Call):
            return None
        want = self.known_by_now(item.want, facts)
        name = step.address.name if kind.shared else want.physical
        try:
            live_objects = [self.tagged(kind, live, want) for live in self.read(kind, name, want.declared)]
        except Unreadable:
            return None
        before = item.kept_object.revision if item.kept_object and kind.versioned else 0
        owned = [live for live in live_objects if self.is_owned(kind, live) and not live.deleting]
        fresh = [live for live in owned if not kind.versioned or live.revision > before]
        if not fresh:
            return None
        now = max(fresh, key=lambda live: live.revision)
        if call.proof is Proof.SAME and self.still_planned(kind, now, want, call):
            return None
        if call.proof is Proof.MOVING and now.settled and not self.change_took_effect(kind, item, now, want, call):
            return None
        return {attr: now.attrs[attr] for attr in call.captures if attr in now.attrs}

    def change_took_effect(self, kind: Kind, item: ResourcePlan, now: Live, want: Want, call: Call) -> bool:
        """Whether what differed no longer does; what never was a difference proves nothing."""
        differed = item.kept_object is not None and self.still_planned(kind, item.kept_object, want, call)
        return differed and not self.still_planned(kind, now, want, call)

    def still_planned(self, kind: Kind, now: Live, want: Want, call: Call) -> bool:
        """Whether a new plan would contain such a call."""
        found = diff.difference(kind, now, want, self.members(want.address.section))[0]
        return bool(found) and any(str(action) == str(call) for action in kind.update(now, want, found))

    def tagged(self, kind: Kind, live: Live, want: Want) -> Live:
        """``live`` with its tags: a new revision has them from the start, although reads may show them late."""
        return replace(live, tags=want.tags) if kind.versioned and not live.tags else live

    def is_owned(self, kind: Kind, live: Live) -> bool:
        """Whether the environment owns ``live``; a shared object counts as owned."""
        return kind.shared or kind.owned(live, self.plan.scope)

    def read(self, kind: Kind, name: str, props: Json) -> Sequence[Live]:
        """The live objects of ``name``, from the service itself. Raises Unreadable."""
        return self.reads.by_name(kind, name, props)


def _written_to(item: ResourcePlan, kind: Kind, phase: str) -> Sequence[Live]:
    """The live objects that ``phase`` (up or down) of ``item`` writes to, as they were planned."""
    creates = item.verb is Verb.CREATE or (item.verb is Verb.REPLACE and not item.create_first)
    if kind.shared or (phase == "up" and creates):
        return ()
    return item.removed_objects if phase == "down" else (item.kept_object,) if item.kept_object else ()


def _refused_as_duplicate(item: ResourcePlan) -> bool:
    """Whether AWS refuses to create a second object of the same name."""
    first = _creation(item)
    return first is None or (isinstance(first.action, Call) and first.action.proof is Proof.EXISTS)


def _creation(item: ResourcePlan) -> Step | None:
    """The call that creates the resource."""
    return next((step for step in item.steps if isinstance(step.action, Call)), None)


def _would_overwrite(item: ResourcePlan) -> bool:
    return item.verb is Verb.CREATE and not _refused_as_duplicate(item)


def _is_named(live: Live, name: str, kind: Kind) -> bool:
    spellings = (live.physical, live.attrs.get("name", ""))
    return name in spellings or (kind.folds_case and name.casefold() in map(str.casefold, spellings))


def _newer(planned: Sequence[Live], live_objects: Sequence[Live]) -> str:
    last = max(live.revision for live in planned)
    latest = max(live_objects, key=lambda live: live.revision, default=None)
    return f"{latest.physical} was registered" if latest and latest.revision > last else ""


def _fill_known(value: Any, facts: Facts) -> Any:
    """``value`` with the stand-ins whose values are known by now replaced; secrets remain wrapped."""

    def filled(value: Any) -> Any:
        if isinstance(value, Later):
            return facts.get((value.address, value.attr), value)
        if isinstance(value, Text):
            parts = [*map(filled, value.parts)]
            return "".join(parts) if all(isinstance(part, str) for part in parts) else value
        return value

    return replaced(value, filled)
