"""Keeps objects that a plan would delete although they are in use.

The first plan yields the objects to delete; their dependents are read from the account (``Observed.used``); the second
plan keeps the objects in use, with a note. A dependent does not count if this plan deletes it or removes its reference.
It counts if it is declared with the reference, unless AWS then refuses the deletion: ``graph.py`` refuses such a plan.
A kept object may itself refer to another, and keeps its dependencies (``Ref.holds``), so this is repeated until nothing
changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from typing import Final

from reconciler.model import Address, Dependent, Kind, Live, Replace, Unreadable, Verb
from reconciler.model import problem_codes as codes
from reconciler.model.paths import values_at
from reconciler.model.problems import Problem
from reconciler.model.records import dataclass
from reconciler.planning.canonical import canonical
from reconciler.planning.node import REMOVE_DELETE_FIRST, Node, Removal, leftover_reason

MOST_LISTED: Final = 3

Used = Mapping[tuple[str, str], tuple[Dependent, ...]]


def keep_used(nodes: Mapping[Address, Node], used: Used) -> list[Problem]:
    """Drop from ``nodes`` the removal of objects in use, and add notes about them.

    Returns problems for objects that must be deleted before their replacement is created under the same name.
    """
    removals = [_PlannedRemoval(n, down) for n in nodes.values() for down in n.removals if not down.live.deleting]
    if not removals:
        return []
    usage = _Usage(nodes, used, frozenset(one.section for one in removals))
    under = dependencies_of(removals)
    needed: dict[_PlannedRemoval, list[Dependent]] = {}
    kept_removals: dict[Address, list[_PlannedRemoval]] = {}
    while found := [one for one in removals if one in needed or any(usage.users_of(one))]:
        for one in found:
            kept_removals.setdefault(one.node.address, []).append(one)
            for other in under(one):
                needed.setdefault(other, []).append(_kept_user(one))
            usage.kept[one.removal.live.identity] = one
        usage.removed -= usage.kept.keys()
        stay = set(found)
        removals = [one for one in removals if one not in stay]
    problems = []
    for address, kept in kept_removals.items():
        lines = [(one, [*usage.users_of(one), *needed.get(one, [])]) for one in kept]
        problems += [_blocked_replacement(one, who) for one, who in lines if one.name_reused]
        _keep(nodes[address], lines)
    return problems


def keep_unplaced(nodes: Mapping[Address, Node], keeps: Callable[[Kind, Live], Dependent | None]) -> list[Problem]:
    """Drop from ``nodes`` the removal of objects that ``keeps`` gives a reason to keep, and of their dependencies.

    Returns problems as :func:`keep_used`.
    """
    removals = [_PlannedRemoval(node, down) for node in nodes.values() for down in node.removals]
    why = {one: [found] for one in removals if (found := keeps(one.node.kind, one.removal.live))}
    under, todo = dependencies_of(removals), list(why)
    while todo:
        user = todo.pop()
        for other in under(user):
            todo += [] if other in why else [other]
            why.setdefault(other, []).append(Dependent(text=f"{user.name} is kept and depends on it"))
    kept: dict[Address, list[tuple[_PlannedRemoval, list[Dependent]]]] = {}
    for one, users in why.items():
        kept.setdefault(one.node.address, []).append((one, users))
    for address, blocked in kept.items():
        _keep(nodes[address], blocked)
    return [_blocked_replacement(one, users) for one, users in why.items() if one.name_reused]


def keep_all(nodes: Mapping[Address, Node], refused: Sequence[Unreadable]) -> None:
    """Drop every removal from ``nodes`` except those of replacements, where reads were ``refused``."""
    if not refused:
        return
    users = [Dependent(text=f"{failed.call.action} was refused", hint=failed.advice) for failed in refused]
    for node in nodes.values():
        if node.verb is not Verb.REPLACE and node.removals:
            _keep(node, [(_PlannedRemoval(node, down), users) for down in node.removals])


@dataclass(frozen=True, slots=True, eq=False)
class _PlannedRemoval:
    """One live object that would be removed."""

    node: Node
    removal: Removal

    @property
    def section(self) -> str:
        return self.node.address.section

    @property
    def name(self) -> str:
        """For people: the address, with the physical name where it differs."""
        address, physical = self.node.address, self.removal.live.physical
        return str(address) if physical == address.name else f"{address} ({physical})"

    @property
    def name_reused(self) -> bool:
        """Whether its replacement is created under the same name."""
        want = self.node.want
        return self.node.verb is Verb.REPLACE and want is not None and want.physical == self.removal.live.physical

    @property
    def words(self) -> frozenset[str]:
        """The texts by which others refer to it."""
        live = self.removal.live
        return frozenset({live.physical, live.attrs.get("arn", ""), live.attrs.get("id", "")}) - {""}


def dependencies_of(removals: Iterable[_PlannedRemoval]) -> Callable[[_PlannedRemoval], Iterator[_PlannedRemoval]]:
    """A function from a removal to its dependencies among ``removals``, by references that hold (``Ref.holds``): AWS
    refuses to delete those first, or the dependent would not work without them.
    """
    index: dict[tuple[str, str], list[_PlannedRemoval]] = {}
    for one in removals:
        if not one.removal.live.deleting:
            for word in {one.removal.live.physical, *one.removal.live.attrs.values()}:
                index.setdefault((one.section, word), []).append(one)

    def under(user: _PlannedRemoval) -> Iterator[_PlannedRemoval]:
        for pattern, ref in user.node.kind.refs.items():
            for _, value in values_at(user.removal.live.props, pattern) if ref.holds else ():
                if isinstance(value, str):
                    for section in ref.sections:
                        yield from (one for one in index.get((section, value), ()) if one is not user)

    return under


@dataclass(slots=True)
class _Usage:
    """The dependents of objects of ``sections``; ``removed`` are the identities of those that the plan still removes.

    ``holders`` are the nodes by the identities of their live objects; ``mentions`` the resources whose declaration
    contains a word, by section and word; ``kept`` what is kept after all, by identity.
    """

    nodes: Mapping[Address, Node]
    used: Used
    sections: frozenset[str]
    holders: dict[str, Node] = field(default_factory=dict)
    mentions: dict[tuple[str, str], dict[Address, None]] = field(default_factory=dict)
    removed: set[str] = field(default_factory=set)
    all_removed: frozenset[str] = frozenset()
    kept: dict[str, _PlannedRemoval] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for address, node in self.nodes.items():
            going = {down.live.identity for down in node.removals}
            heir = {node.kept_object.identity} if node.kept_object else set()
            self.removed |= going
            self.holders |= dict.fromkeys(going | heir, node)
            for section in self.sections:
                for word in mentioned_names(node, section):
                    self.mentions.setdefault((section, word), {})[address] = None
        self.all_removed = frozenset(self.removed)

    def users_of(self, one: _PlannedRemoval) -> Iterator[Dependent]:
        """Its dependents after the plan is applied."""
        declared = self.mentioning(one.section, one.words) if not one.name_reused else set()
        for address in sorted(declared):
            yield Dependent(text=f"{address} refers to it", hint="to delete it, refer to another one there")
        for user in self.used.get((one.section, one.removal.live.physical), ()):
            holder = self.holders.get(user.arn)
            told = holder is not None and bool(user.words) and holder.address in declared
            if self.counts(user, one) and not told:
                yield _kept_user(self.kept[user.arn]) if user.words and user.arn in self.kept else user

    def mentioning(self, section: str, words: Iterable[str]) -> set[Address]:
        return {address for word in words for address in self.mentions.get((section, word), ())}

    def counts(self, user: Dependent, one: _PlannedRemoval) -> bool:
        if user.others and (one.node.want is not None or not user.others <= self.all_removed):
            return False  # a dependent of the latest revision has, or will have, another
        if user.by_name and one.name_reused:
            return False
        holder = self.holders.get(user.arn)
        if holder is not None and user.words:
            return user.arn in self.kept or holder.address in self.mentioning(one.section, user.words)
        return user.arn not in self.removed


def _kept_user(one: _PlannedRemoval) -> Dependent:
    return Dependent(text=f"{one.name} is kept and depends on it")


def mentioned_names(node: Node, section: str) -> set[str]:
    """The texts in the declaration of ``node`` that may refer to resources of ``section``; none if it is deleted.

    Without references that AWS enforces: those determine the order, or the plan is refused.
    """
    if node.want is None:
        return set()
    props = node.want.props
    patterns = [pattern for pattern, ref in node.kind.refs.items() if section in ref.sections and not ref.holds]
    found = {value for pattern in patterns for _, value in values_at(props, pattern) if isinstance(value, str)}
    return found | set(node.kind.mentions(props) if node.address.section == section else ())


def _keep(node: Node, blocked: Iterable[tuple[_PlannedRemoval, list[Dependent]]]) -> None:
    """Drop the ``blocked`` removals from ``node``, and add notes about them, the latest revision first."""
    kept = sorted(blocked, key=lambda one: -one[0].removal.live.revision)
    node.notes += [_note(one, who) for one, who in kept]
    downs = [one.removal for one, _ in kept]
    node.removals = [down for down in node.removals if down not in downs]
    if node.verb is Verb.DELETE and not node.removals:
        node.verb, node.kept_object = Verb.NOOP, downs[0].live
        node.before = node.after = canonical(node.kind, node.kept_object.props)
    elif node.verb is Verb.UPDATE and node.only_waits and not node.diff:
        node.reason = leftover_reason(node.kind, [down.live for down in node.removals])
        node.verb = Verb.UPDATE if node.reason else Verb.NOOP


def _blocked_replacement(one: _PlannedRemoval, users: Sequence[Dependent]) -> Problem:
    resource = one.node.resource
    hint = REMOVE_DELETE_FIRST
    return Problem(
        code=codes.STILL_USED,
        message=f"cannot be deleted before its replacement is created: {_listed(users)}",
        hint=hint if one.node.kind.replace is Replace.CREATE_FIRST else "; ".join(_hints(users)),
        address=str(one.node.address),
        pos=resource.at() if resource else None,
    )


def _note(one: _PlannedRemoval, users: Sequence[Dependent]) -> str:
    live = one.removal.live
    if one.node.kind.versioned:
        return "; ".join([f"revision {live.revision} is kept: {_listed(users)}", *_hints(users)])
    want = one.node.want
    heir = [f"replaced by {want.physical}"] if want is not None and want.physical != live.physical else []
    return "; ".join([f"{live.physical} is kept: {_listed(users)}", *_hints(users), *heir])


def _listed(users: Sequence[Dependent]) -> str:
    texts = list(dict.fromkeys(user.text for user in sorted(users, key=lambda user: user.text)))
    more = [f"{len(texts) - MOST_LISTED + 1} more"] if len(texts) > MOST_LISTED else []
    return ", ".join([*(texts[: MOST_LISTED - 1] if more else texts), *more])


def _hints(users: Sequence[Dependent]) -> list[str]:
    return list(dict.fromkeys(user.hint for user in users if user.hint))
