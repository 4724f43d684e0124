"""Questions about values: are they plain yet, and do two of them name the same KMS key."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

T = TypeVar("T")


def same_key(declared: Any, live: Any) -> bool:
    """Whether two ways to name a KMS key may mean the same: id, ARN, alias or alias ARN.

    An alias and a key id cannot be compared without asking KMS and count as the same, for a service that answers with
    the key behind a declared alias would differ for ever.
    """
    if not isinstance(declared, str) or not isinstance(live, str) or not declared or not live:
        return bool(declared == live)
    one, other = (name.split(":")[-1].removeprefix("key/") for name in (declared, live))
    return one == other or one.startswith("alias/") != other.startswith("alias/")


def align(
    live: Mapping[str, T], wanted: Mapping[str, T], equal: Callable[[T, T], bool]
) -> tuple[Sequence[T], Sequence[T]]:
    """Two sets, by identity, as two lists to be compared item by item.

    What both have comes first, then what is most alike stands side by side, so that a comparison shows what differs.
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
