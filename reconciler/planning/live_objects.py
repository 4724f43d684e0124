"""Facts about live objects: their state in words, who created them, and whether others use them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Final

from reconciler.model import NAME_TAG, Kind, Live
from reconciler.model.paths import values_at
from reconciler.model.patterns import regex

BY_TAG_ONLY: Final = "owned by tag only; not created under this name by this tool"
_DERIVED: Final = regex(r"(.*)[-_][0-9a-f]{6}(-2)?", re.DOTALL)


def state(live: Live) -> str:
    """The state of an object that is changing, does not work or is being deleted (``is INVALID: ...``); else empty."""
    if live.settled and not live.invalid and not live.deleting:
        return ""
    return f"is {live.status or 'changing'}" + (f": {live.reason}" if live.reason else "")


def state_in_brackets(lives: Sequence[Live]) -> str:
    """The state of the first that has one, to follow a noun: `` (INVALID: ...)``; else empty."""
    found = next(filter(None, map(state, lives)), "").removeprefix("is ")
    return f" ({found})" if found else ""


def duplicates(owned: Sequence[Live], environment: str) -> list[Live]:
    """The older of two revisions of ``environment`` with the same content and tags that follow each other: a request
    that was delivered twice registers two. One that --replace requested has a tag of its own.
    """
    ours = sorted((live for live in owned if live.owner == environment), key=lambda live: -live.revision)
    return [
        older
        for newer, older in pairwise(ours)
        if older.revision == newer.revision - 1 and older.props == newer.props and older.tags == newer.tags
    ]


def is_named(live: Live, kind: Kind, logical: str, physical: str) -> bool:
    """Whether an object of the resource ``logical`` has its physical name, or one that is derived from that."""
    if physical == logical:
        return is_named_as_created(live, kind)
    name = live.attrs.get("name") or live.physical
    if name == physical or (kind.folds_case and name.casefold() == physical.casefold()):
        return True
    return not kind.versioned and is_derived(name, physical, kind)


def is_named_as_created(live: Live, kind: Kind) -> bool:
    """Whether this tool would have given the object its name: its logical one, or one derived from that.

    A copy made in the console has the same tags, but another name. The name tag is set only where the names differ.
    """
    logical, name = live.tags.get(NAME_TAG), live.attrs.get("name") or live.physical
    if logical is None or kind.shared or (kind.versioned and name == logical):
        return True
    if kind.folds_case and name != logical and name.casefold() == logical.casefold():
        return True
    return not kind.versioned and is_derived(name, logical, kind)


def is_derived(name: str, base: str, kind: Kind) -> bool:
    """Whether a replacement may have given its object this name, from the name ``base`` of what it replaced."""
    found = _DERIVED.fullmatch(name)
    return found is not None and found[1] in (base, base[: kind.max_name - 7], base[: kind.max_name - 9])


def named_by_others(kinds: Mapping[str, Kind], lives: Mapping[str, Iterable[Live]], section: str) -> frozenset[str]:
    """The names, ARNs and ids by which live objects refer to objects of ``section``: those are in service.

    Of revisions only the latest counts: what older ones name is what was in service before.
    """
    return frozenset(
        value
        for user, found in lives.items()
        for pattern, ref in kinds[user].refs.items()
        if section in ref.sections
        for live in (_latest(found) if kinds[user].versioned else found)
        if not live.deleting
        for _, value in values_at(live.props, pattern)
        if isinstance(value, str)
    )


def _latest(revisions: Iterable[Live]) -> Iterable[Live]:
    """The latest revision of each name."""
    found: dict[str, Live] = {}
    for live in revisions:
        name = live.attrs.get("name") or live.physical
        if not live.deleting and (name not in found or live.revision > found[name].revision):
            found[name] = live
    return found.values()


def words(live: Live) -> frozenset[str]:
    """The texts by which others refer to the object."""
    return frozenset({live.physical, *live.attrs.values()})
