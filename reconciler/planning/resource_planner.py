"""Plans one resource: the live object to keep, the differences, and the calls.

One logical name may have several live objects, left by a killed run: one is kept, never one that is being deleted, and
the others are deleted. Objects of another owner are not changed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field, replace
from fnmatch import fnmatchcase
from functools import partial
from typing import Any

from reconciler.model import (
    AGAIN_TAG,
    EMPTY,
    KEEP_TAG,
    NAME_TAG,
    OWNER_PREFIX,
    OWNER_TAG,
    REGION_TAG,
    Action,
    Change,
    Deferred,
    Diff,
    Disruption,
    Effect,
    Environment,
    Finding,
    Json,
    Kind,
    Later,
    Lifecycle,
    Live,
    Observed,
    Options,
    Replace,
    Resource,
    Scope,
    Verb,
    Wait,
    Want,
)
from reconciler.model import problem_codes as codes
from reconciler.model.paths import dotted
from reconciler.model.plan import UNAFFECTED
from reconciler.model.problems import Problem, article
from reconciler.model.records import dataclass
from reconciler.planning import diff as differ
from reconciler.planning import live_objects, ownership
from reconciler.planning.canonical import canonical, sort_key, with_defaults
from reconciler.planning.node import Node, Removal, leftover_reason
from reconciler.planning.ownership import Ownership
from reconciler.planning.unknown_members import creatable, updatable, update_after_create


@dataclass(slots=True)
class ResourcePlanner:
    """Plans one resource after the other; ``problems`` collects what it finds.

    ``members`` returns a section's tree of known members.
    """

    env: Environment
    scope: Scope
    observed: Observed
    options: Options
    ownership: Ownership
    members: Callable[[str], Json]
    kinds: Mapping[str, Kind] = EMPTY
    problems: list[Problem] = field(default_factory=list)

    def plan_declared(self, node: Node, owned: Sequence[Live], props: Json, tags: Json) -> bool:
        """Fill in ``node`` for a declared resource; False where it has a problem, which is reported.

        ``owned`` are the live objects of its address, ``props`` and ``tags`` the declared ones with references
        resolved.
        """
        assert node.resource is not None
        alive = [live for live in owned if not live.deleting]
        adopting = False
        if not alive:
            foreign = self.unowned_namesakes(node.resource, node.kind)
            if foreign is None:
                return False
            alive, adopting = foreign, bool(foreign)
        if alive:
            self.plan_update(node, alive, props, tags, adopting=adopting)
        else:
            self.plan_create(node, owned, props, tags)
        self.plan_leftovers(node, owned)
        return True

    def unowned_namesakes(self, resource: Resource, kind: Kind) -> list[Live] | None:
        """Existing objects of the declared name, to adopt; None where they may not be adopted, which is reported."""
        address = resource.address
        lives = self.observed.lives.get(address.section, ())
        unplaced = [
            live for live in lives if self.ownership.unplaced(kind, live) and _declared_as(live, address.name, kind)
        ]
        found = [live for live in lives if _is_named(live, resource.name, kind) and not kind.owned(live, self.scope)]
        found = [*unplaced, *found]
        if kind.shared:
            return found[:1]
        alive = [live for live in found if not live.deleting or kind.restore]
        if not alive:
            return []
        state = live_objects.state_in_brackets(alive)
        others = [live for live in alive if live.owner and live not in unplaced]
        if others:
            self.problem(
                resource,
                codes.OWNED_ELSEWHERE,
                *ownership.owned_elsewhere(kind, others, self.scope, state=state),
            )
            return None
        if not (self.options.adopt or resource.lifecycle.adopt):
            if unplaced:
                self.problem(resource, codes.EXISTS_UNOWNED, *ownership.region_unknown(kind, self.scope))
                return None
            self.problem(
                resource,
                codes.EXISTS_UNOWNED,
                f"{article(kind.name)} of this name exists{state} and no environment owns it",
                "to adopt it, pass --adopt or set lifecycle.adopt: true; otherwise choose another name",
            )
            return None
        return alive

    def plan_update(self, node: Node, alive: list[Live], props: Json, tags: Json, *, adopting: bool) -> None:
        """Choose the object to keep, and plan its update or replacement.

        It is one that this tool named, before copies with the same tags. Of several, none that needs a replacement
        (another is its replacement), then the one in service, then the one with the fewest differences.
        """
        kind, address = node.kind, node.address
        assert node.resource is not None
        ranked = []
        alive = [live for live in alive if self.is_ours(node, live)] or alive
        serving = self.in_service(address.section) if len(alive) > 1 else frozenset()
        members = Deferred(partial(self.members, address.section))
        for live in _latest(alive) if kind.versioned else alive:
            want = self.want(node, live.physical, props, tags, live)
            found, before, after = differ.difference(kind, live, want, members)
            idle = not (live_objects.words(live) & serving)
            size = (found.replaces, idle, len(found.changes), live.invalid, live.physical != node.resource.name)
            ranked.append(((*size, live.physical), live, want, found, before, after))
        _, kept_object, want, found, before, after = min(ranked, key=lambda entry: entry[0])
        renamed = self.rename(node, kept_object)
        found, before, after = _with_name(renamed, found, before, after)
        node.kept_object, node.want = kept_object, want
        retagged = () if kind.shared or kind.container else self.tag_changes(kept_object, want)
        node.after = self.with_tags(after, want.tags, want)
        node.before = node.after if before is after and not retagged else self.with_tags(before, kept_object.tags, want)
        if address in self.options.refresh and not found.replaces and address not in self.options.replace:
            found = self.plan_image_refresh(node, kept_object, want, found)
        node.diff = Diff((*found.changes, *_shown(retagged)))
        node.notes += kind.notes(kept_object, want)
        node.not_compared = tuple(kind.not_compared(kept_object, want))
        again = address in self.options.replace
        if kept_object.managed_by and (node.diff or again):
            hint = "leave it to the service, and declare your own resource under another name"
            what = f"managed by {kept_object.managed_by}, and AWS allows only that service to change it"
            self.problem(node.resource, codes.MANAGED_BY_AWS, what, hint)
            node.verb, node.reason = Verb.UPDATE, _reason(node.diff) if node.diff else "requested with --replace"
            return
        if found.replaces or (again and not kind.versioned):
            self.plan_replacement(node, kept_object, props, tags, found)
            self.note_state(node, kept_object)
            if adopting:
                node.notes.append(f"{kept_object.physical} exists, no environment owns it, and it is replaced")
            if renamed and not self.may_be_former_name(node, str(renamed.before)):
                node.notes.append(f"{kept_object.physical} is replaced: {live_objects.BY_TAG_ONLY}")
            return
        self.update_steps(node, kept_object, want, found, retagged, again=again, adopting=adopting)
        if address in self.options.refresh and len(node.diff.changes) == 1:
            node.reason = node.diff.changes[0].because or node.reason
        if adopting and not kind.shared:
            found_state = live_objects.state(kept_object)
            restored = " and is restored" if kept_object.deleting else ""
            node.reason = "exists and is adopted" + (f"; it {found_state}{restored}" if found_state else "")
            node.verb = Verb.ADOPT
        self.note_state(node, kept_object)
        if kind.versioned and (found or again):
            self.renew_attributes(node)

    def is_ours(self, node: Node, live: Live) -> bool:
        """Whether ``live`` has a name that this tool gives to the resource."""
        assert node.resource is not None
        return live_objects.is_named(live, node.kind, node.address.name, node.resource.name)

    @staticmethod
    def may_be_former_name(node: Node, name: str) -> bool:
        """Whether the resource may have had this name with another prefix; else it is that of a copy."""
        assert node.resource is not None
        return node.resource.name != node.address.name or name.endswith(node.address.name)

    def rename(self, node: Node, live: Live) -> Change | None:
        """The change of a name that the prefix or the declaration has changed: AWS renames nothing."""
        assert node.resource is not None
        before, after, kind = live.attrs.get("name") or live.physical, node.resource.name, node.kind
        if kind.shared or self.is_ours(node, live):
            return None
        because = f"the name of {article(kind.name)} cannot be changed"
        return Change(
            path=(kind.name_member or "name",), before=before, after=after, effect=Effect.REPLACE, because=because
        )

    def in_service(self, section: str) -> frozenset[str]:
        """The names by which other live objects refer to those of ``section``."""
        return live_objects.named_by_others(self.kinds, self.observed.lives, section)

    def note_state(self, node: Node, live: Live) -> None:
        """Add the state of ``live``, unless it is the reason already, and what is done about it."""
        found = live_objects.state(live)
        if not found or live.deleting:
            return
        told = [] if found in node.reason else [found]
        if node.repairs:
            told.append("its settings are sent again, so that AWS checks it again")
        if not live.settled and node.verb is not Verb.REPLACE:
            told.append("apply waits until this has ended")
        if told:
            node.notes.append("; ".join(told))

    def plan_image_refresh(self, node: Node, kept_object: Live, want: Want, found: Diff) -> Diff:
        """``found`` with the change to the latest images."""
        assert node.resource is not None
        if node.kind.refresh is None:
            change: Change | Finding = Finding((), f"{article(node.kind.name)} has no images to refresh")
        else:
            change = node.kind.refresh(kept_object, want)
        if isinstance(change, Change):
            return Diff((*found.changes, change))
        self.problem(node.resource, codes.CANNOT_REFRESH, change.message, change.hint, change.path)
        return found

    def update_steps(
        self,
        node: Node,
        kept_object: Live,
        want: Want,
        found: Diff,
        retagged: Sequence[Any],
        *,
        again: bool,
        adopting: bool,
    ) -> None:
        """Plan the update: restore, wait until settled, update, repair, tag.

        ``again``: update without differences; ``retagged`` are the tags that differ.
        """
        kind = node.kind
        tagged = self.tag_actions(node, kept_object, want, retagged, adopting=adopting)
        if kept_object.deleting and kind.restore:
            node.actions, node.verb, node.reason = (
                [*kind.restore(kept_object, want), *tagged],
                Verb.UPDATE,
                f"{live_objects.state(kept_object)} and is restored",
            )
            return
        if again and kind.versioned and not found:  # else it would look like a request that was delivered twice
            want = replace(want, tags={**want.tags, AGAIN_TAG: str(kept_object.revision)})
        changed = kind.update(kept_object, updatable(want), found) if found or again else ()
        settling = () if kept_object.settled else kind.wait_until_settled(kept_object)
        repairing = kind.repair(kept_object, want) if kept_object.invalid and not changed else ()
        node.repairs = bool(repairing)
        node.actions = [*(map(_accept_any_end, settling) if changed else settling), *changed, *repairing]
        node.actions += () if kind.versioned and changed else tagged
        if changed and kind.changed_by_update:
            node.want = replace(
                want, attrs={**want.attrs, **{name: Later(node.address, name) for name in kind.changed_by_update}}
            )
        works = not kept_object.invalid  # what does not work is in no service: its repair is no withdrawal
        node.out_of_service = bool(changed) and works and kind.takes_out_of_service(kept_object, want, found)
        node.disruption = _disruption(kind, kept_object, want, found)
        if node.diff:
            node.reason = _reason(node.diff)
        elif again:
            node.reason = "requested with --replace"
        elif repairing:
            node.reason = live_objects.state(kept_object)
        node.verb = Verb.UPDATE if node.diff or not node.only_waits else Verb.NOOP

    def renew_attributes(self, node: Node) -> None:
        """Replace the attributes that AWS assigns by unknown ones: a new revision has others."""
        assert node.want is not None
        later = {name: Later(node.address, name) for name in node.kind.assigned_by_aws}
        node.want = replace(node.want, attrs={**node.want.attrs, **later})

    def plan_create(self, node: Node, owned: Sequence[Live], props: Json, tags: Json) -> None:
        """Plan a creation; an object of its name that is being deleted is restored or waited for."""
        kind, address = node.kind, node.address
        assert node.resource is not None
        name = node.resource.name
        want = self.want(node, name, props, tags, None)
        lives = self.observed.lives.get(address.section, ())
        dying = [live for live in (*owned, *lives) if live.deleting and _is_named(live, name, kind)]
        node.want, node.verb, node.reason = want, Verb.CREATE, "not in the account"
        if dying and not kind.restore:
            node.reason = f"{dying[0].physical} {live_objects.state(dying[0])}; it is created after that one is deleted"
        node.after = self.with_tags(canonical(kind, want.declared, fill=False), want.tags, want)
        if dying and kind.restore:
            node.kept_object, node.reason = dying[0], "was scheduled for deletion and is restored"
            node.want = want = self.want(node, name, props, tags, dying[0])
            node.actions = self.restore_actions(node, dying[0], want)
        else:
            node.actions = [*(kind.wait_until_gone(dying[0]) if dying else ()), *_create(kind, want)]

    def restore_actions(self, node: Node, dying: Live, want: Want) -> list[Action]:
        """The calls that bring back an object whose deletion is scheduled, as declared."""
        restored = node.kind.restore(dying, want) if node.kind.restore else ()
        retagged = self.tag_changes(dying, want)
        return [*restored, *self.tag_actions(node, dying, want, retagged, adopting=False)]

    def plan_replacement(self, node: Node, kept_object: Live, props: Json, tags: Json, found: Diff) -> None:
        """Plan a replacement: create first under a derived name, or delete first and create under the same name."""
        kind, address = node.kind, node.address
        assert node.resource is not None
        name, renamed = node.resource.name, self.rename(node, kept_object)
        mode = node.resource.lifecycle.replace or kind.replace
        asked = node.resource.lifecycle.replace
        beside = renamed is not None and not asked and kind.replace is Replace.DELETE_FIRST  # the names do not conflict
        mode = Replace.CREATE_FIRST if beside or (renamed and kind.versioned) else mode
        forcing = [change for change in found.changes if change.effect is Effect.REPLACE]
        if mode is Replace.DECLARED and address in self.options.replace:
            mode = Replace.DELETE_FIRST
        if (kind.replace is Replace.FORBIDDEN and not kind.versioned) or mode is Replace.DECLARED:
            self.report_irreplaceable(node, found, forcing)
            return
        node.verb, node.create_first = Verb.REPLACE, mode is Replace.CREATE_FIRST
        node.reason = _reason(found, only=Effect.REPLACE) if forcing else "requested with --replace"
        derived = node.create_first and not renamed
        physical = _derived(name, forcing, kept_object, kind) if derived else name
        node.want = want = self.want(node, physical, props, tags, None)
        lives = self.observed.lives.get(address.section, ())
        dying = [live for live in lives if live.deleting and live.physical == physical]
        if dying and kind.restore:  # back to a name that it had
            node.want = want = self.want(node, physical, props, tags, dying[0])
            node.actions = self.restore_actions(node, dying[0], want)
        else:
            node.actions = [*(kind.wait_until_gone(dying[0]) if dying else ()), *_create(kind, want)]
        if not kind.versioned:  # all revisions go with plan_leftovers
            node.removals.append(self.removal(kept_object, kind, node.resource))
        node.disruption = _DISRUPTIONS[Effect.REPLACE] if beside else _disruption(kind, kept_object, want, found)

    def report_irreplaceable(self, node: Node, found: Diff, forcing: Sequence[Any]) -> None:
        """Report that the kind is never replaced, or only where ``lifecycle.replace`` allows it."""
        kind = node.kind
        assert node.resource is not None
        path = forcing[0].path if forcing else ()
        why = f" ({forcing[0].because})" if forcing and forcing[0].because else ""
        what = f"{dotted(path)} cannot be changed{why}" if forcing else f"{article(kind.name)} is not replaced"
        hint = f"declare a second {kind.name} under another name, move its users there, then remove this one"
        if kind.replace is Replace.DECLARED:
            hint += "; or set `lifecycle: {replace: delete-first}` to delete and re-create it without the jobs in it"
        self.problem(node.resource, codes.CANNOT_REPLACE, what, hint, path)
        node.verb, node.reason = Verb.REPLACE, _reason(found, only=Effect.REPLACE) if forcing else ""

    @staticmethod
    def name_reused(node: Node, live: Live) -> bool:
        """Whether the planned object has the name of ``live``."""
        return node.want is not None and node.want.physical == live.physical

    def plan_leftovers(self, node: Node, owned: Sequence[Live]) -> None:
        """Plan the removal of other objects of this name: leftovers of a killed run, revisions beyond those to keep."""
        kind, resource = node.kind, node.resource
        assert resource is not None
        if self.observed.incomplete:
            return  # while reads are refused nothing is deleted that can wait
        if node.verb is Verb.NOOP and len(owned) == 1 and owned[0] is node.kept_object:
            return  # most resources of most plans
        former = self.revisions_of_former_name(node, owned)
        others = [live for live in owned if not self.is_ours(node, live) and live not in former]
        node.by_tag_only = tuple(live for live in others if live is not node.kept_object and not live.deleting)
        if kind.versioned:
            owned = [live for live in owned if live not in others and live not in former]
            renewed = any(c.top != "tags" for c in node.diff.changes) or node.address in self.options.replace
            registers = node.verb is Verb.CREATE or renewed
            keep = max(resource.lifecycle.keep_revisions, 1) - registers
            old = _latest_first(owned)[max(keep, 0) :]
            going = [
                live
                for live in old
                if live.owner == self.scope.environment and (registers or live is not node.kept_object)
            ]
            duplicates = live_objects.duplicates(owned, self.scope.environment)
            node.notes += [f"revision {live.revision} is a duplicate of the next one" for live in duplicates]
            going += [live for live in duplicates if live not in going]
            going += [live for live in (*node.by_tag_only, *former) if live.owner == self.scope.environment]
        else:
            going = [live for live in owned if live is not node.kept_object and not live.deleting]
            dying = [live for live in owned if live.deleting and not kind.restore and not self.name_reused(node, live)]
            node.removals += [
                self.removal(live, kind, resource) for live in dying
            ]  # other steps may have to wait for them
        for live in going:
            node.removals.append(replace(self.removal(live, kind, resource), note=_leftover_note(live, node)))
        if going and node.verb is Verb.NOOP:
            node.verb, node.reason = Verb.UPDATE, leftover_reason(kind, going)

    def revisions_of_former_name(self, node: Node, owned: Sequence[Live]) -> list[Live]:
        """The revisions that a new one under another name replaces."""
        kept = node.kept_object
        if not node.kind.versioned or kept is None or self.rename(node, kept) is None:
            return []
        return [live for live in owned if live.attrs.get("name") == kept.attrs.get("name")]

    def removal(self, live: Live, kind: Kind, declared: Resource | None, *, drained: bool = True) -> Removal:
        """The removal of ``live``; ``drained``: after its jobs have ended, since its dependents have moved to
        another.
        """
        if live.deleting:
            return Removal(live, list(kind.wait_until_gone(live)))
        before = [_accept_any_end(action) for action in kind.wait_until_settled(live)] if not live.settled else []
        deleting = kind.delete(live, declared.props if declared else EMPTY)
        if drained:
            deleting = kind.drain(live, declared.lifecycle if declared else Lifecycle(), deleting)
        return Removal(live, [*before, *deleting])

    def want(self, node: Node, physical: str, props: Json, tags: Json, live: Live | None) -> Want:
        """The resource as declared, under the name ``physical``, with its attributes: those of ``live``, else known or
        unknown ones.
        """
        kind, address, resource = node.kind, node.address, node.resource
        assert resource is not None
        name = live.attrs.get("name", physical) if live and kind.versioned else physical
        known: dict[str, Any] = dict(kind.attrs(self.scope, name, props))
        there = live.attrs if live else EMPTY
        later = {attr: Later(address, attr) for attr in kind.assigned_by_aws if attr not in there}
        attrs = {**later, "name": name, **known, **there}
        if live and resource.lifecycle.ignore_changes:
            props = differ.keep_ignored(kind, live.props, props, resource.lifecycle.ignore_changes)
        own = {**kind.ownership_tags(self.scope), **({NAME_TAG: address.name} if name != address.name else {})}
        own |= {KEEP_TAG: "true"} if resource.lifecycle.prevent_destroy else {}
        return Want(
            address=address,
            physical=name,
            declared=props,
            props=Deferred(partial(with_defaults, kind, props)),
            tags={} if kind.shared or kind.container else {**tags, **own},
            attrs=attrs,
            scope=self.scope,
            lifecycle=resource.lifecycle,
            unknown_members=resource.unknown_members,
            deferred=node.deferred,
        )

    def tag_changes(self, live: Live, want: Want) -> tuple[Any, ...]:
        """The differences between the tags of ``live`` and ``want``."""
        return () if live.tags == want.tags else differ.tags(self.our_tags(live.tags, want), want.tags)

    def our_tags(self, tags: Mapping[str, Any], want: Want) -> dict[str, Any]:
        """The tags to compare: neither AWS's, nor ignored ones, nor other tags with our prefix."""

        def ours(name: str) -> bool:
            if name.startswith(OWNER_PREFIX):
                return name in (OWNER_TAG, NAME_TAG, KEEP_TAG) or name in want.tags
            foreign = name not in want.tags and any(fnmatchcase(name, pattern) for pattern in self.env.ignore_tags)
            return not foreign and not name.lower().startswith("aws:")

        return {name: value for name, value in tags.items() if ours(name)}

    def with_tags(self, props: Json, tags: Mapping[str, Any], want: Want) -> Json:
        """``props`` with the member ``tags``, as in YAML."""
        if not want.tags:
            return props

        def tagged() -> Json:
            ours = self.our_tags(tags, want)
            return {**props, "tags": ours} if ours else props

        return Deferred(tagged) if isinstance(props, Deferred) else tagged()

    def tag_actions(
        self, node: Node, live: Live, want: Want, changes: Iterable[Any], *, adopting: bool
    ) -> list[Action]:
        """The calls for ``changes`` of tags; ``adopting`` adds the kind's tags for adopted objects."""
        extra = node.kind.adoption_tags(live, want) if adopting and node.kind.adoption_tags else {}
        put = {str(c.path[1]): c.after for c in changes if c.path[1] in want.tags} | dict(extra)
        gone = [str(c.path[1]) for c in changes if c.path[1] not in want.tags]
        return list(node.kind.tag(live, put, gone)) if put or gone else []

    def problem(
        self, resource: Resource, code: codes.ProblemCode, message: str, hint: str, path: tuple[str | int, ...] = ()
    ) -> None:
        """Report a problem of ``resource``, once."""
        found = Problem(
            code=code,
            message=message,
            hint=hint,
            address=str(resource.address),
            path=dotted(path),
            pos=resource.at(path),
        )
        if found not in self.problems:
            self.problems.append(found)


def _with_name(renamed: Change | None, found: Diff, before: Json, after: Json) -> tuple[Diff, Json, Json]:
    """A difference and both sides of it with the change of a name."""
    if renamed is None:
        return found, before, after
    names = ({renamed.top: renamed.before}, {renamed.top: renamed.after})
    return Diff((renamed, *found.changes)), {**names[0], **before}, {**names[1], **after}


def _create(kind: Kind, want: Want) -> Sequence[Action]:
    """The calls that create a resource; an update follows for members that no create request has."""
    first = creatable(want)
    made = kind.create(first)
    if first is want:
        return made
    live = Live(physical=want.physical, attrs=want.attrs, props=first.props, tags=want.tags)
    found = update_after_create(want, differ.difference(kind, live, want)[0])
    return [*made, *kind.update(live, updatable(want), found)] if found else made


def _shown(retagged: Sequence[Change]) -> Iterable[Change]:
    """The tags that differ, without the Region of the owner where the owner differs, too: they are one fact."""
    owner = any(change.path[1] == OWNER_TAG for change in retagged)
    return (change for change in retagged if not (owner and change.path[1] == REGION_TAG))


def _leftover_note(live: Live, node: Node) -> str:
    """The note about another live object with the tags of the resource, which is deleted."""
    if live in node.by_tag_only:
        return f"{live.physical} has the same tags, and is deleted: {live_objects.BY_TAG_ONLY}"
    if node.kind.versioned or node.verb is Verb.NOOP:  # revisions are expected; else it is the reason
        return ""
    return f"{live.physical} is another {node.kind.name} with the same tags, and is deleted"


def _is_named(live: Live, name: str, kind: Kind) -> bool:
    spellings = (live.physical, live.attrs.get("name", ""))
    return name in spellings or (kind.folds_case and name.casefold() in [s.casefold() for s in spellings])


def _declared_as(live: Live, name: str, kind: Kind) -> bool:
    return live.logical.casefold() == name.casefold() if kind.folds_case else live.logical == name


def _latest(lives: Sequence[Live]) -> list[Live]:
    return [max(lives, key=lambda live: live.revision)]


def _latest_first(lives: Sequence[Live]) -> list[Live]:
    return sorted(lives, key=lambda live: -live.revision)


def _derived(name: str, forcing: Sequence[Any], kept_object: Live, kind: Kind) -> str:
    """``NAME-hash6``: the hash is over what forces the replacement, so that every plan gives the same name."""
    text = [f"{dotted(c.path)}={sort_key(c.after)}" for c in forcing] or ["again", kept_object.physical]
    digest = hashlib.sha256(sort_key(text).encode("utf-8", "surrogatepass")).hexdigest()[:6]
    mark = "_" if kind.reserved_prefix and f"{name}-".lower().startswith(kind.reserved_prefix) else "-"
    derived = f"{name[: kind.max_name - 7]}{mark}{digest}"
    return derived if derived != kept_object.physical else f"{name[: kind.max_name - 9]}{mark}{digest}-2"


def _reason(diff: Diff, only: Effect | None = None) -> str:
    paths = [dotted(c.path) for c in diff.changes if only in (None, c.effect)]
    if len(paths) > 3:
        paths = [*paths[:2], f"{len(paths) - 2} more"]
    listed = " and ".join([", ".join(paths[:-1]), paths[-1]] if len(paths) > 1 else paths)
    return f"{listed} differ{'s' if len(paths) == 1 else ''}"


_DISRUPTIONS = {
    Effect.SCALING: UNAFFECTED,
    Effect.INFRASTRUCTURE: Disruption("instances are replaced; running jobs may be terminated"),
    Effect.NEW_REVISION: f"{UNAFFECTED} (they keep their revision)",
    Effect.REPLACE: "its dependents switch to the new one",
    Effect.IN_PLACE: UNAFFECTED,
}


def _disruption(kind: Kind, live: Live, want: Want, diff: Diff) -> str:
    if not diff:
        return UNAFFECTED
    if kind.disruption:
        return kind.disruption(live, want, diff)
    order_of = list(Effect)
    effects = [change.effect for change in diff.changes if change.top != "tags"]
    return _DISRUPTIONS[max(effects, key=order_of.index)] if effects else UNAFFECTED


def _accept_any_end(action: Action) -> Action:
    """A wait for an object to settle that also accepts failed states: the object is updated or deleted next."""
    if not isinstance(action, Wait):
        return action
    either = {name: action.until.get(name, frozenset()) | values for name, values in action.fail.items()}
    return replace(action, until={**action.until, **either}, fail=EMPTY, repair=None)
