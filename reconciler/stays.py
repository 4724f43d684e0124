"""What stays although the plan would remove it: somebody in the account still names it.

The first plan says what would go, a second look at the account who names that (``Observed.used``), and the second plan
leaves it in place with a note. Who goes with this very plan, or is declared anew without the name, does not count; who
is declared anew with the name does. One that stays may itself name another, so this is done until nothing changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from reconciler import diff as differ
from reconciler.model import Address, User, Verb
from reconciler.nodes import Down, Node, beyond
from reconciler.refs import values_at

TOLD_MOST: Final = 3

Used = Mapping[tuple[str, str], tuple[User, ...]]


def leave(nodes: Mapping[Address, Node], used: Used) -> None:
    """Take out of ``nodes`` what would remove something that is named, and say so in their notes."""
    going = [_Going(node, down) for node in nodes.values() if node.kind.users for down in node.downs]
    if not going:
        return
    look = _Look(nodes, used)
    staying: list[_Going] = []
    while found := [one for one in going if one not in staying and any(look.who(one))]:
        staying += found
        look.gone -= {one.arn for one in found}
    for address in {one.node.address: None for one in staying}:
        _stay(nodes[address], [one for one in staying if one.node.address == address], look)


@dataclass(frozen=True, slots=True, eq=False)
class _Going:
    """One live object that would be removed."""

    node: Node
    down: Down

    @property
    def arn(self) -> str:
        return self.down.live.attrs.get("arn", "")

    @property
    def words(self) -> frozenset[str]:
        return frozenset({self.down.live.physical, self.arn}) - {""}


@dataclass(slots=True)
class _Look:
    """Who names what, ``gone`` being the ARNs of what the plan removes as far as is known."""

    nodes: Mapping[Address, Node]
    used: Used
    holders: dict[str, Node] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    all_gone: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        for node in self.nodes.values():
            going = {down.live.attrs["arn"] for down in node.downs if "arn" in down.live.attrs}
            heir = {node.heir.attrs["arn"]} if node.heir and "arn" in node.heir.attrs else set()
            self.gone |= going
            self.holders |= dict.fromkeys(going | heir, node)
        self.all_gone = frozenset(self.gone)

    def who(self, one: _Going) -> Iterator[User]:
        """Everybody who names it, once the plan is carried out."""
        for address, node in self.nodes.items():
            if one.words & _said(node, one.node):
                yield User(text=f"{address} names it", hint="to let it go, name another there")
        for user in self.used.get((one.node.address.section, one.down.live.physical), ()):
            if self.counts(user, one):
                yield user

    def counts(self, user: User, one: _Going) -> bool:
        if user.others and (one.node.want is not None or not user.others <= self.all_gone):
            return False  # there is, or will be, another for who asks for the newest
        holder = self.holders.get(user.arn)
        if holder is not None and user.words:
            return bool(user.words & _said(holder, one.node))
        return user.arn not in self.gone


def _said(node: Node, named: Node) -> set[str]:
    """What ``node`` as wanted says that may mean something of the other's kind: none if it is to go."""
    if node.want is None:
        return set()
    section, props = named.address.section, node.want.props
    patterns = [pattern for pattern, ref in node.kind.refs.items() if section in ref.sections]
    found = {value for pattern in patterns for _, value in values_at(props, pattern) if isinstance(value, str)}
    return found | set(node.kind.mentions(props) if node.address.section == section else ())


def _stay(node: Node, staying: Iterable[_Going], look: _Look) -> None:
    """The node without the removal of those, newest first in its notes."""
    kept = sorted(staying, key=lambda one: -one.down.live.revision)
    node.notes += [_note(one, list(look.who(one))) for one in kept]
    downs = [one.down for one in kept]
    node.downs = [down for down in node.downs if down not in downs]
    if node.verb is Verb.DELETE and not node.downs:
        node.verb, node.heir = Verb.NOOP, kept[0].down.live
        node.before = node.after = differ.canonical(node.kind, node.heir.props)
    elif node.verb is Verb.UPDATE and not node.up and not node.diff:
        node.reason = beyond(node.kind, [down.live for down in node.downs])
        node.verb = Verb.UPDATE if node.reason else Verb.NOOP


def _note(one: _Going, who: list[User]) -> str:
    live = one.down.live
    texts = list(dict.fromkeys(user.text for user in sorted(who, key=lambda user: user.text)))
    more = [f"{len(texts) - TOLD_MOST + 1} more"] if len(texts) > TOLD_MOST else []
    told = [*(texts[: TOLD_MOST - 1] if more else texts), *more]
    hints = list(dict.fromkeys(user.hint for user in who if user.hint))
    what = f"revision {live.revision}" if one.node.kind.versioned else live.physical
    return "; ".join([f"{what} stays: {', '.join(told)}", *hints])
