"""Looks at the account again while a plan is being applied.

Before the first write to something that is there: is it still what the plan was made from? Else the write would undo
what somebody did since, which nobody has seen in a plan. And after the answer to a creation was lost: was it done?
The reads are the kinds' own, by name, so both questions are asked of the service itself, never of an index.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any

from reconciler.account.reader import Aws, Reader
from reconciler.applying.parameters import Facts
from reconciler.model import (
    EMPTY,
    Address,
    Call,
    Json,
    Kind,
    Later,
    Live,
    Plan,
    Proof,
    Query,
    ResourcePlan,
    Sought,
    Step,
    Text,
    Unreadable,
    Verb,
    Want,
)
from reconciler.model.paths import dotted
from reconciler.planning import diff
from reconciler.planning.canonical import sort_key, with_defaults

MOST_BY_NAME = 3  # that are asked for by name


@dataclass(slots=True)
class AccountRecheck:
    """Answers the executor's questions for one plan. ``members`` gives a section's tree of known members; ``current``
    says whether the plan is so new, and others so surely kept out, that nothing can have been created since.
    """

    plan: Plan
    kinds: Mapping[str, Kind]
    aws: Aws
    members: Callable[[str], Json] = lambda _: EMPTY
    ignore_tags: Sequence[str] = ()
    current: Callable[[], bool] = lambda: True
    items: dict[Address, ResourcePlan] = field(init=False)
    _since: dict[str, Mapping[Address, str]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.items = {item.address: item for item in self.plan.resources}

    # --- before the first write --------------------------------------------------------------------------------------

    def changed_since_plan(self, address: Address, phase: str) -> str:
        """What has changed since the plan about what ``phase`` (up or down) of ``address`` works on; empty: nothing.

        What is created needs no look where AWS refuses a second one of its name. What goes and is gone already is as
        good.
        """
        item, kind = self.items[address], self.kinds[address.section]
        if phase == "up" and item.verb is Verb.CREATE and not _refused_twice(item):
            return "" if self.current() else self.created_since(address)
        planned = list(item.removed_objects) if phase == "down" else [item.kept_object] if item.kept_object else []
        anew = item.verb is Verb.CREATE or (item.verb is Verb.REPLACE and not item.create_first)
        if kind.shared or not planned or (phase == "up" and anew):
            return ""
        there = [live for name in _names(kind, planned) for live in self.read(kind, name, planned[0].props)]
        told = (self.difference(kind, item, live, there, phase) for live in planned)
        found = next((text for text in told if text), "")
        if not found and kind.versioned and (phase == "up" or item.verb is Verb.DELETE):
            found = _newer([*planned, *filter(None, [item.kept_object])], there)  # the newest may stay, being in use
        return found and f"{found} since the plan was created; plan again"

    def created_since(self, address: Address) -> str:
        """Who else made one of its name, where AWS would let ours write over it: all of the section are looked up at
        once, when the first of them is to be created.
        """
        with self._lock:
            if address.section not in self._since:
                self._since[address.section] = self.created_by_others(address.section, _would_overwrite)
            return self._since[address.section].get(address, "")

    def conflicting_object(self, step: Step) -> str:
        """Why AWS refused to create what ``step`` was to create, if something of that name is there now."""
        address = step.address
        if self.items[address].verb is not Verb.CREATE or self.kinds[address.section].shared:
            return ""
        try:
            return self.created_by_others(address.section, lambda item: item.address == address).get(address, "")
        except Unreadable:
            return ""

    def created_by_others(self, section: str, chosen: Callable[[ResourcePlan], bool]) -> Mapping[Address, str]:
        """What is there of what is to be created, in words. Raises Unreadable."""
        kind = self.kinds[section]
        items = [item for item in self.items.values() if item.address.section == section and item.want and chosen(item)]
        sought = tuple(Sought(item.want.physical, item.want.declared) for item in items if item.want)
        lives = self.all_of(kind, sought)
        found: dict[Address, str] = {}
        for item in items:
            before = {live.physical for live in item.removed_objects}
            for live in lives:
                ours = item.want is not None and item.want.physical in (live.physical, live.attrs.get("name"))
                if ours and not live.deleting and live.physical not in before:
                    whose = f"belongs to {live.owner}" if live.owner else "belongs to no environment"
                    told = f"{live.physical} was created since the plan and {whose}; plan again"
                    found[item.address] = told
        return found

    def all_of(self, kind: Kind, sought: tuple[Sought, ...]) -> Sequence[Live]:
        """Several are sought as a plan does, by the page where that takes fewer calls; by name where it may not be."""
        query = Query(scope=self.plan.scope, sought=sought, owned=len(sought) > MOST_BY_NAME)
        try:
            return Reader(self.aws, parallelism=0).drive(kind.read(query))
        except Unreadable:
            if not query.owned:
                raise
        return Reader(self.aws, parallelism=0).drive(kind.read(replace(query, owned=False)))

    def difference(self, kind: Kind, item: ResourcePlan, live: Live, there: Sequence[Live], phase: str) -> str:
        now = next((other for other in there if other.physical == live.physical), None)
        if now is None or (now.deleting and not live.deleting):
            return "" if phase == "down" else f"{live.physical} was deleted"
        if now.owner != live.owner:
            return f"{live.physical} changed its owner to {now.owner or 'no environment'}"
        if self.tags(now) != self.tags(live):
            return f"the tags of {live.physical} changed"
        want = item.want if item.want and phase == "up" else self.as_it_was(kind, item, live)
        moved = self.compared(kind, now, want) ^ self.compared(kind, live, want)
        return f"{', '.join(sorted({path for path, _ in moved}))} of {live.physical} changed" if moved else ""

    def compared(self, kind: Kind, live: Live, want: Want) -> set[tuple[str, str]]:
        """What separates ``live`` from ``want``, as a plan would see it: paths and live values."""
        found = diff.difference(kind, live, want, self.members(want.address.section))[0]
        return {(dotted(change.path), sort_key(change.before)) for change in found.changes}

    def as_it_was(self, kind: Kind, item: ResourcePlan, live: Live) -> Want:
        """What goes has no declaration: it is wanted as it was when its end was planned."""
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
        def moving(name: str) -> bool:
            return name.lower().startswith("aws:") or any(fnmatchcase(name, some) for some in self.ignore_tags)

        return {name: value for name, value in live.tags.items() if not moving(name)}

    # --- after an answer was lost ------------------------------------------------------------------------------------

    def find_created(self, step: Step, facts: Facts) -> Mapping[str, Any] | None:
        """The attributes of what the step's call made, if it was done after all; None if it is not there."""
        item, kind, call = self.items[step.address], self.kinds[step.address.section], step.action
        if item.want is None or not isinstance(call, Call):
            return None
        want = replace(
            item.want, props=_fill_known(item.want.props, facts), declared=_fill_known(item.want.declared, facts)
        )
        name = step.address.name if kind.shared else want.physical
        try:
            there = [self.tagged(kind, live, want) for live in self.read(kind, name, want.declared)]
        except Unreadable:
            return None
        before = item.kept_object.revision if item.kept_object and kind.versioned else 0
        mine = [live for live in there if self.ours(kind, live) and not live.deleting]
        fresh = [live for live in mine if not kind.versioned or live.revision > before]
        if not fresh:
            return None
        now = max(fresh, key=lambda live: live.revision)
        if call.proof is Proof.SAME and self.still_planned(kind, now, want, call):
            return None
        if call.proof is Proof.MOVING and now.settled and not self.change_took_effect(kind, item, now, want, call):
            return None
        return {attr: now.attrs[attr] for attr in call.captures if attr in now.attrs}

    def change_took_effect(self, kind: Kind, item: ResourcePlan, now: Live, want: Want, call: Call) -> bool:
        """Whether what differed is gone; what never showed as a difference proves nothing by not showing now."""
        differed = item.kept_object is not None and self.still_planned(kind, item.kept_object, want, call)
        return differed and not self.still_planned(kind, now, want, call)

    def still_planned(self, kind: Kind, now: Live, want: Want, call: Call) -> bool:
        """Whether a plan made now would send such a call."""
        found = diff.difference(kind, now, want, self.members(want.address.section))[0]
        return bool(found) and any(str(action) == str(call) for action in kind.update(now, want, found))

    def tagged(self, kind: Kind, live: Live, want: Want) -> Live:
        """A revision as it will be seen: its tags come with it, though they may show late."""
        return replace(live, tags=want.tags) if kind.versioned and not live.tags else live

    def ours(self, kind: Kind, live: Live) -> bool:
        return kind.shared or live.owner == self.plan.scope.environment

    def read(self, kind: Kind, name: str, props: Json) -> Sequence[Live]:
        query = Query(scope=self.plan.scope, sought=(Sought(name, props),))
        return Reader(self.aws, parallelism=0).drive(kind.read(query))


def _refused_twice(item: ResourcePlan) -> bool:
    """Whether AWS refuses to create it where there is one of its name."""
    first = next((step.action for step in item.steps if isinstance(step.action, Call)), None)
    return first is None or first.proof is Proof.EXISTS


def _would_overwrite(item: ResourcePlan) -> bool:
    return item.verb is Verb.CREATE and not _refused_twice(item)


def _names(kind: Kind, lives: Sequence[Live]) -> list[str]:
    names = (live.attrs.get("name", live.physical) if kind.versioned else live.physical for live in lives)
    return list(dict.fromkeys(names))


def _newer(planned: Sequence[Live], there: Sequence[Live]) -> str:
    last = max(live.revision for live in planned)
    newest = max(there, key=lambda live: live.revision, default=None)
    return f"{newest.physical} was registered" if newest and newest.revision > last else ""


def _fill_known(value: Any, facts: Facts) -> Any:
    """``value`` with the stand-ins filled in that are known by now; secrets stay wrapped."""
    if isinstance(value, Later):
        return facts.get((value.address, value.attr), value)
    if isinstance(value, Text):
        parts = [_fill_known(part, facts) for part in value.parts]
        return "".join(parts) if all(isinstance(part, str) for part in parts) else value
    if isinstance(value, Mapping):
        return {name: _fill_known(item, facts) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_fill_known(item, facts) for item in value]
    return value
