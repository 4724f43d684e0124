"""What policies allow: statements in plain form, and questions about them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from .records import dataclass
from .values import Address, Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """A statement of a declared policy. ``inverted``: the actions are those that it is not about.

    ``conditional``: it holds on a condition only. ``address`` and ``path`` are where it is declared.
    """

    address: Address
    path: Path
    allow: bool
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    inverted: bool = False
    conditional: bool = False

    def wide_actions(self) -> tuple[str, ...]:
        """Its actions that stand for all of a service, or of all services."""
        wide = tuple(one for one in self.actions if one == "*" or one.endswith(":*"))
        return ("NotAction",) if self.inverted else wide

    def wide_resources(self) -> tuple[str, ...]:
        """Its resources that stand for all resources."""
        return tuple(one for one in self.resources if one == "*")

    def is_about(self, action: str) -> bool:
        """Whether it is about ``action``, or about any that this pattern stands for."""
        if self.inverted:
            return not any(_covers(one.lower(), action.lower()) for one in self.actions)
        return any(_meet(one.lower(), action.lower()) for one in self.actions)


def allowing(statements: Iterable[Granted], action: str) -> tuple[Granted, ...]:
    """The statements that allow ``action``, or any that this pattern stands for; none where another denies it."""
    about = [one for one in statements if one.is_about(action)]
    denied = any(not one.allow and not one.conditional and "*" in one.resources for one in about)
    return () if denied and "*" not in action else tuple(one for one in about if one.allow)


@cache
def _meet(one: str, other: str) -> bool:
    """Whether any text matches both patterns."""
    if not one or not other:
        return not (one + other).strip("*")
    if one[0] == "*":
        return _meet(one[1:], other) or _meet(one, other[1:])
    if other[0] == "*":
        return _meet(one, other[1:]) or _meet(one[1:], other)
    return (one[0] == other[0] or "?" in (one[0], other[0])) and _meet(one[1:], other[1:])


@cache
def _covers(pattern: str, other: str) -> bool:
    """Whether all that ``other`` stands for matches ``pattern``."""
    if not pattern:
        return not other
    if pattern[0] == "*":
        return _covers(pattern[1:], other) or (bool(other) and _covers(pattern, other[1:]))
    return bool(other) and other[0] != "*" and pattern[0] in ("?", other[0]) and _covers(pattern[1:], other[1:])
