"""Which element of a list was which: by equality, by what identifies it, and by likeness."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any, Final

from reconciler.model import compact

NAMES: Final = ("Sid", "Id", "id", "name", "Name")  # members that identify an element, as AWS's APIs call them
ALIKE: Final = 0.5  # the least share of equal members of two elements that are one, changed
MOST: Final = 2_500  # pairs of elements to compare; above this, only what is equal or has a name is paired


def pairs(old: Sequence[Any], new: Sequence[Any]) -> dict[int, int]:
    """The place in ``old`` of each element of ``new`` that was there before, by its place in ``new``."""
    found: dict[int, int] = {}
    _match(found, [compact(item) for item in old], [compact(item) for item in new])
    for name in NAMES:
        _match(found, _names(old, name), _names(new, name))
    left = [place for place in range(len(old)) if place not in found.values()]
    right = [place for place in range(len(new)) if place not in found]
    if len(left) * len(right) <= MOST:
        leaves = {id(item): sorted(_leaves(item)) for item in (*old, *new)}
        ranked = sorted(
            (-SequenceMatcher(None, leaves[id(old[was])], leaves[id(new[place])], autojunk=False).ratio(), was, place)
            for was in left
            for place in right
        )
        for ratio, was, place in ranked:
            if -ratio >= ALIKE and place not in found and was not in found.values():
                found[place] = was
    return found


def _names(items: Sequence[Any], name: str) -> list[str | None]:
    """What each element is called; None where it has no name, or shares it."""
    called = [compact(item[name]) if isinstance(item, Mapping) and name in item else None for item in items]
    counts = Counter(called)
    return [text if counts[text] == 1 else None for text in called]


def _match(found: dict[int, int], old: Sequence[str | None], new: Sequence[str | None]) -> None:
    """Pairs what has the same text and is in no pair yet, in order: the first with the first."""
    free: dict[str, list[int]] = {}
    taken = {*found.values()}
    for place, text in enumerate(old):
        if text is not None and place not in taken:
            free.setdefault(text, []).append(place)
    for place, text in enumerate(new):
        if text is not None and place not in found and free.get(text):
            found[place] = free[text].pop(0)


def _leaves(value: Any, path: str = "") -> Iterator[str]:
    """Every leaf with the names on its way; places in lists do not count."""
    if isinstance(value, Mapping) and value:
        for name, item in value.items():
            yield from _leaves(item, f"{path}.{name}")
    elif isinstance(value, list) and value:
        for item in value:
            yield from _leaves(item, f"{path}[]")
    else:
        yield f"{path} = {compact(value)}"


def moved(partner: Mapping[int, int]) -> set[int]:
    """The new places of the elements that are no longer in the order in which they were."""
    places = sorted(partner)
    now = [partner[place] for place in places]
    codes = SequenceMatcher(a=sorted(now), b=now, autojunk=False).get_opcodes()
    return {places[at] for kind, _, _, start, stop in codes if kind != "equal" for at in range(start, stop)}
