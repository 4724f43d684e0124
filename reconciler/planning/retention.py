"""What stays although the plan would remove it: somebody in the account still names it.

The first plan says what would go, a second look at the account who names that (``Observed.used``), and the second plan
leaves it in place with a note. Who goes with this very plan, or is declared anew without the name, does not count; who
is declared anew with the name does, unless AWS would not let the object go then: such a plan is refused (``order.py``).
One that stays may itself name another, and stands on others (``Ref.holds``) that have to stay with it, so this is done
until nothing changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from reconciler.model import Address, Dependent, Replace, Unreadable, Verb
from reconciler.model.paths import values_at
from reconciler.model.problems import Problem
from reconciler.planning.canonical import canonical
from reconciler.planning.node import REMOVE_DELETE_FIRST, Node, Removal, leftover_reason

MOST_LISTED: Final = 3

Used = Mapping[tuple[str, str], tuple[Dependent, ...]]


def keep_used(nodes: Mapping[Address, Node], used: Used) -> list[Problem]:
    """Take out of ``nodes`` what would remove something that is named, and say so in their notes.

    Returns the problems of those that would have to go for another to be made under their name.
    """
    going = [_PlannedRemoval(node, down) for node in nodes.values() for down in node.removals]
    sections = frozenset(one.section for one in going if one.node.kind.dependents)
    if not sections:
        return []
    look = _Usage(nodes, used, sections)
    under = dependencies_of(going)
    needed: dict[_PlannedRemoval, list[Dependent]] = {}
    staying: dict[Address, list[_PlannedRemoval]] = {}
    while found := [one for one in going if one in needed or (one.section in sections and any(look.users_of(one)))]:
        for one in found:
            staying.setdefault(one.node.address, []).append(one)
            for other in under(one):
                needed.setdefault(other, []).append(Dependent(text=f"{one.name} is kept and depends on it"))
        look.gone -= {one.arn for one in found}
        stay = set(found)
        going = [one for one in going if one not in stay]
    problems = []
    for address, kept in staying.items():
        told = [(one, [*look.users_of(one), *needed.get(one, [])]) for one in kept]
        problems += [_blocked_replacement(one, who) for one, who in told if one.name_reused]
        _keep(nodes[address], told)
    return problems


def keep_all(nodes: Mapping[Address, Node], refused: Sequence[Unreadable]) -> None:
    """Take out of ``nodes`` every removal but those that a replacement asks for: nothing goes on partial sight."""
    if not refused:
        return
    who = [Dependent(text=f"{failed.call.action} was refused", hint=failed.advice) for failed in refused]
    for node in nodes.values():
        if node.verb is not Verb.REPLACE and node.removals:
            _keep(node, [(_PlannedRemoval(node, down), who) for down in node.removals])


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
        """For people: the address, and what it is called where that differs."""
        address, physical = self.node.address, self.removal.live.physical
        return str(address) if physical == address.name else f"{address} ({physical})"

    @property
    def name_reused(self) -> bool:
        """Whether another is to be made under its name."""
        want = self.node.want
        return self.node.verb is Verb.REPLACE and want is not None and want.physical == self.removal.live.physical

    @property
    def arn(self) -> str:
        return self.removal.live.attrs.get("arn", "")

    @property
    def words(self) -> frozenset[str]:
        return frozenset({self.removal.live.physical, self.arn}) - {""}


def dependencies_of(going: Iterable[_PlannedRemoval]) -> Callable[[_PlannedRemoval], Iterator[_PlannedRemoval]]:
    """What of ``going`` one stands on: what AWS would not let go, or it would not work without."""
    there: dict[tuple[str, str], list[_PlannedRemoval]] = {}
    for one in going:
        if not one.removal.live.deleting:
            for word in {one.removal.live.physical, *one.removal.live.attrs.values()}:
                there.setdefault((one.section, word), []).append(one)

    def under(user: _PlannedRemoval) -> Iterator[_PlannedRemoval]:
        for pattern, ref in user.node.kind.refs.items():
            for _, value in values_at(user.removal.live.props, pattern) if ref.holds else ():
                if isinstance(value, str):
                    for section in ref.sections:
                        yield from (one for one in there.get((section, value), ()) if one is not user)

    return under


@dataclass(slots=True)
class _Usage:
    """Who names what of some ``sections``; ``gone`` are the ARNs of what the plan removes, as far as is known.

    ``holders`` are the nodes by the ARNs of their live objects, ``mentions`` who says a word, as wanted, of a section.
    """

    nodes: Mapping[Address, Node]
    used: Used
    sections: frozenset[str]
    holders: dict[str, Node] = field(default_factory=dict)
    mentions: dict[tuple[str, str], dict[Address, None]] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    all_gone: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        for address, node in self.nodes.items():
            going = {down.live.attrs["arn"] for down in node.removals if "arn" in down.live.attrs}
            heir = {node.kept_object.attrs["arn"]} if node.kept_object and "arn" in node.kept_object.attrs else set()
            self.gone |= going
            self.holders |= dict.fromkeys(going | heir, node)
            for section in self.sections:
                for word in mentioned_names(node, section):
                    self.mentions.setdefault((section, word), {})[address] = None
        self.all_gone = frozenset(self.gone)

    def users_of(self, one: _PlannedRemoval) -> Iterator[Dependent]:
        """Everybody who names it, once the plan is carried out."""
        for address in sorted(self.mentioning(one.section, one.words)):
            yield Dependent(text=f"{address} refers to it", hint="to delete it, refer to another one there")
        for user in self.used.get((one.section, one.removal.live.physical), ()):
            if self.counts(user, one):
                yield user

    def mentioning(self, section: str, words: Iterable[str]) -> set[Address]:
        return {address for word in words for address in self.mentions.get((section, word), ())}

    def counts(self, user: Dependent, one: _PlannedRemoval) -> bool:
        if user.others and (one.node.want is not None or not user.others <= self.all_gone):
            return False  # there is, or will be, another for who asks for the newest
        holder = self.holders.get(user.arn)
        if holder is not None and user.words:
            return holder.address in self.mentioning(one.section, user.words)
        return user.arn not in self.gone


def mentioned_names(node: Node, section: str) -> set[str]:
    """What ``node`` as wanted says that may mean something of that section: nothing if it is to go.

    Without what AWS itself would hold it to: that is a matter of order, or a plan that is refused.
    """
    if node.want is None:
        return set()
    props = node.want.props
    patterns = [pattern for pattern, ref in node.kind.refs.items() if section in ref.sections and not ref.holds]
    found = {value for pattern in patterns for _, value in values_at(props, pattern) if isinstance(value, str)}
    return found | set(node.kind.mentions(props) if node.address.section == section else ())


def _keep(node: Node, staying: Iterable[tuple[_PlannedRemoval, list[Dependent]]]) -> None:
    """The node without the removal of those, newest first in its notes."""
    kept = sorted(staying, key=lambda one: -one[0].removal.live.revision)
    node.notes += [_note(one, who) for one, who in kept]
    downs = [one.removal for one, _ in kept]
    node.removals = [down for down in node.removals if down not in downs]
    if node.verb is Verb.DELETE and not node.removals:
        node.verb, node.kept_object = Verb.NOOP, downs[0].live
        node.before = node.after = canonical(node.kind, node.kept_object.props)
    elif node.verb is Verb.UPDATE and not node.actions and not node.diff:
        node.reason = leftover_reason(node.kind, [down.live for down in node.removals])
        node.verb = Verb.UPDATE if node.reason else Verb.NOOP


def _blocked_replacement(one: _PlannedRemoval, who: Sequence[Dependent]) -> Problem:
    resource = one.node.resource
    hint = REMOVE_DELETE_FIRST
    return Problem(
        code="still-used",
        message=f"cannot be deleted before its replacement is created: {_listed(who)}",
        hint=hint if one.node.kind.replace is Replace.CREATE_FIRST else "; ".join(_hints(who)),
        address=str(one.node.address),
        pos=resource.at() if resource else None,
    )


def _note(one: _PlannedRemoval, who: Sequence[Dependent]) -> str:
    live = one.removal.live
    if one.node.kind.versioned:
        return "; ".join([f"revision {live.revision} is kept: {_listed(who)}", *_hints(who)])
    want = one.node.want
    heir = [f"replaced by {want.physical}"] if want is not None and want.physical != live.physical else []
    return "; ".join([f"{live.physical} is kept: {_listed(who)}", *_hints(who), *heir])


def _listed(who: Sequence[Dependent]) -> str:
    texts = list(dict.fromkeys(user.text for user in sorted(who, key=lambda user: user.text)))
    more = [f"{len(texts) - MOST_LISTED + 1} more"] if len(texts) > MOST_LISTED else []
    return ", ".join([*(texts[: MOST_LISTED - 1] if more else texts), *more])


def _hints(who: Sequence[Dependent]) -> list[str]:
    return list(dict.fromkeys(user.hint for user in who if user.hint))
