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

from reconciler.model import Address, Replace, Unreadable, User, Verb
from reconciler.model.paths import values_at
from reconciler.model.problems import Problem
from reconciler.planning.canonical import canonical
from reconciler.planning.node import Down, Node, beyond

TOLD_MOST: Final = 3

Used = Mapping[tuple[str, str], tuple[User, ...]]


def leave(nodes: Mapping[Address, Node], used: Used) -> list[Problem]:
    """Take out of ``nodes`` what would remove something that is named, and say so in their notes.

    Returns the problems of those that would have to go for another to be made under their name.
    """
    going = [_Going(node, down) for node in nodes.values() for down in node.downs]
    sections = frozenset(one.section for one in going if one.node.kind.users)
    if not sections:
        return []
    look = _Look(nodes, used, sections)
    under = _under(going)
    needed: dict[_Going, list[User]] = {}
    staying: dict[Address, list[_Going]] = {}
    while found := [one for one in going if one in needed or (one.section in sections and any(look.who(one)))]:
        for one in found:
            staying.setdefault(one.node.address, []).append(one)
            for other in under(one):
                needed.setdefault(other, []).append(User(text=f"{one.name} stays and needs it"))
        look.gone -= {one.arn for one in found}
        stay = set(found)
        going = [one for one in going if one not in stay]
    problems = []
    for address, kept in staying.items():
        told = [(one, [*look.who(one), *needed.get(one, [])]) for one in kept]
        problems += [_in_the_way(one, who) for one, who in told if one.retaken]
        _stay(nodes[address], told)
    return problems


def leave_all(nodes: Mapping[Address, Node], refused: Sequence[Unreadable]) -> None:
    """Take out of ``nodes`` every removal but those that a replacement asks for: nothing goes on partial sight."""
    if not refused:
        return
    who = [User(text=f"{failed.call.action} was refused", hint=failed.advice) for failed in refused]
    for node in nodes.values():
        if node.verb is not Verb.REPLACE and node.downs:
            _stay(node, [(_Going(node, down), who) for down in node.downs])


@dataclass(frozen=True, slots=True, eq=False)
class _Going:
    """One live object that would be removed."""

    node: Node
    down: Down

    @property
    def section(self) -> str:
        return self.node.address.section

    @property
    def name(self) -> str:
        """For people: the address, and what it is called where that differs."""
        address, physical = self.node.address, self.down.live.physical
        return str(address) if physical == address.name else f"{address} ({physical})"

    @property
    def retaken(self) -> bool:
        """Whether another is to be made under its name."""
        want = self.node.want
        return self.node.verb is Verb.REPLACE and want is not None and want.physical == self.down.live.physical

    @property
    def arn(self) -> str:
        return self.down.live.attrs.get("arn", "")

    @property
    def words(self) -> frozenset[str]:
        return frozenset({self.down.live.physical, self.arn}) - {""}


def _under(going: Iterable[_Going]) -> Callable[[_Going], Iterator[_Going]]:
    """What of ``going`` one stands on: what AWS would not let go, or it would not work without."""
    there: dict[tuple[str, str], list[_Going]] = {}
    for one in going:
        if not one.down.live.dying:
            for word in {one.down.live.physical, *one.down.live.attrs.values()}:
                there.setdefault((one.section, word), []).append(one)

    def under(user: _Going) -> Iterator[_Going]:
        for pattern, ref in user.node.kind.refs.items():
            for _, value in values_at(user.down.live.props, pattern) if ref.holds else ():
                if isinstance(value, str):
                    for section in ref.sections:
                        yield from (one for one in there.get((section, value), ()) if one is not user)

    return under


@dataclass(slots=True)
class _Look:
    """Who names what of some ``sections``; ``gone`` are the ARNs of what the plan removes, as far as is known.

    ``holders`` are the nodes by the ARNs of their live objects, ``said`` who says a word, as wanted, of a section.
    """

    nodes: Mapping[Address, Node]
    used: Used
    sections: frozenset[str]
    holders: dict[str, Node] = field(default_factory=dict)
    said: dict[tuple[str, str], dict[Address, None]] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    all_gone: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        for address, node in self.nodes.items():
            going = {down.live.attrs["arn"] for down in node.downs if "arn" in down.live.attrs}
            heir = {node.heir.attrs["arn"]} if node.heir and "arn" in node.heir.attrs else set()
            self.gone |= going
            self.holders |= dict.fromkeys(going | heir, node)
            for section in self.sections:
                for word in _said(node, section):
                    self.said.setdefault((section, word), {})[address] = None
        self.all_gone = frozenset(self.gone)

    def who(self, one: _Going) -> Iterator[User]:
        """Everybody who names it, once the plan is carried out."""
        for address in sorted(self.saying(one.section, one.words)):
            yield User(text=f"{address} names it", hint="to let it go, name another there")
        for user in self.used.get((one.section, one.down.live.physical), ()):
            if self.counts(user, one):
                yield user

    def saying(self, section: str, words: Iterable[str]) -> set[Address]:
        return {address for word in words for address in self.said.get((section, word), ())}

    def counts(self, user: User, one: _Going) -> bool:
        if user.others and (one.node.want is not None or not user.others <= self.all_gone):
            return False  # there is, or will be, another for who asks for the newest
        holder = self.holders.get(user.arn)
        if holder is not None and user.words:
            return holder.address in self.saying(one.section, user.words)
        return user.arn not in self.gone


def _said(node: Node, section: str) -> set[str]:
    """What ``node`` as wanted says that may mean something of that section: nothing if it is to go.

    Without what AWS itself would hold it to: that is a matter of order, or a plan that is refused.
    """
    if node.want is None:
        return set()
    props = node.want.props
    patterns = [pattern for pattern, ref in node.kind.refs.items() if section in ref.sections and not ref.holds]
    found = {value for pattern in patterns for _, value in values_at(props, pattern) if isinstance(value, str)}
    return found | set(node.kind.mentions(props) if node.address.section == section else ())


def _stay(node: Node, staying: Iterable[tuple[_Going, list[User]]]) -> None:
    """The node without the removal of those, newest first in its notes."""
    kept = sorted(staying, key=lambda one: -one[0].down.live.revision)
    node.notes += [_note(one, who) for one, who in kept]
    downs = [one.down for one, _ in kept]
    node.downs = [down for down in node.downs if down not in downs]
    if node.verb is Verb.DELETE and not node.downs:
        node.verb, node.heir = Verb.NOOP, downs[0].live
        node.before = node.after = canonical(node.kind, node.heir.props)
    elif node.verb is Verb.UPDATE and not node.up and not node.diff:
        node.reason = beyond(node.kind, [down.live for down in node.downs])
        node.verb = Verb.UPDATE if node.reason else Verb.NOOP


def _in_the_way(one: _Going, who: Sequence[User]) -> Problem:
    resource = one.node.resource
    hint = "leave out lifecycle.replace: delete-first, so that the new one stands before the old one goes"
    return Problem(
        code="still-used",
        message=f"it cannot be deleted before it is created anew: {_listed(who)}",
        hint=hint if one.node.kind.replace is Replace.CREATE_FIRST else "; ".join(_hints(who)),
        address=str(one.node.address),
        pos=resource.at() if resource else None,
    )


def _note(one: _Going, who: Sequence[User]) -> str:
    live = one.down.live
    if one.node.kind.versioned:
        return "; ".join([f"revision {live.revision} stays: {_listed(who)}", *_hints(who)])
    want = one.node.want
    heir = [f"{want.physical} takes its place"] if want is not None and want.physical != live.physical else []
    return "; ".join([f"{live.physical} stays: {_listed(who)}", *_hints(who), *heir])


def _listed(who: Sequence[User]) -> str:
    texts = list(dict.fromkeys(user.text for user in sorted(who, key=lambda user: user.text)))
    more = [f"{len(texts) - TOLD_MOST + 1} more"] if len(texts) > TOLD_MOST else []
    return ", ".join([*(texts[: TOLD_MOST - 1] if more else texts), *more])


def _hints(who: Sequence[User]) -> list[str]:
    return list(dict.fromkeys(user.hint for user in who if user.hint))
