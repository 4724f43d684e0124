"""Results that are remembered by the identity of what they are of."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

Of = TypeVar("Of")
Made = TypeVar("Made")


def once_for_each_object(make: Callable[[Of], Made]) -> Callable[[Of], Made]:
    """``make``, called once for each object: for a kind's own tables, which never change and have no hash.

    The objects are kept, so that no other gets the id of one of them.
    """
    known: dict[int, tuple[Any, Made]] = {}

    @wraps(make)
    def remembered(one: Of) -> Made:
        found = known.get(id(one))
        if found is None:
            found = known[id(one)] = (one, make(one))
        return found[1]

    return remembered
