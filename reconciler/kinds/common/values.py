"""Comparing values: sets of items."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

T = TypeVar("T")


def align(
    live: Mapping[str, T], wanted: Mapping[str, T], equal: Callable[[T, T], bool]
) -> tuple[Sequence[T], Sequence[T]]:
    """Two sets of items, by identity, as two lists that are compared item by item.

    Items of both come first, then pairs for which ``equal`` is true, then the rest.
    """
    both = sorted(live.keys() & wanted.keys())
    left = [live[name] for name in sorted(live.keys() - wanted.keys())]
    right = [wanted[name] for name in sorted(wanted.keys() - live.keys())]
    pairs: list[tuple[T, T]] = []
    for item in list(left):
        partner = next((other for other in right if equal(item, other)), None)
        if partner is not None:
            pairs.append((item, partner))
            left.remove(item)
            right.remove(partner)
    return (
        [*(live[name] for name in both), *(one for one, _ in pairs), *left],
        [*(wanted[name] for name in both), *(other for _, other in pairs), *right],
    )


def first(items: Iterable[T]) -> T | None:
    """The first of ``items``, or None."""
    return next(iter(items), None)
