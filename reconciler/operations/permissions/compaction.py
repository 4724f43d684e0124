"""Fewer and wider resources where names are too many for the policies that a role can have.

A name in a policy keeps a command from what others own under that name. Where the environment's tag keeps it from that
as well, a pattern of all names is as narrow in effect:

- a creation that must send the tag, of what does not exist yet: it can change nothing of others;
- a change or deletion of what has the tag. What is adopted has none yet, so its names are kept.

A creation that can also change what exists (an upsert, a new revision), and tags that are set by their own, are not
kept from the objects of others by the tag that they send. They, reads, and what a request names beside the object, have
the beginnings that the names share. What limits permissions themselves (IAM) is never widened.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from os.path import commonprefix
from typing import Final

from reconciler.model import OWNER_TAG, Kind
from reconciler.model.patterns import regex
from reconciler.model.records import dataclass
from reconciler.operations.permissions import actions
from reconciler.operations.permissions.actions import REQUEST_TAG, RESOURCE_TAG
from reconciler.operations.permissions.merging import matches
from reconciler.operations.permissions.needs import ANY, Need, Needs
from reconciler.operations.permissions.resources import Estate

MANY: Final = (20, 5, 1)  # names of a kind that are kept, until the policies are few enough
_BEGINNINGS: Final = 8  # patterns in place of names, at most
_SEPARATOR: Final = regex(r"[-_./]")
_EXACT: Final = "iam:"


@dataclass(slots=True)
class _Group:
    """Needs that differ in the resource alone: the type of these, and the pattern of all of it."""

    kind: Kind
    type: str
    whole: str
    action: str
    conditions: tuple[tuple[str, tuple[str, ...]], ...]
    needs: list[Need] = field(default_factory=list)


def compacted(needs: Needs, limit: int) -> Needs:
    """The needs with patterns in place of more than ``limit`` names; notes say which."""
    found: dict[Need, dict[str, None]] = {}
    kept = frozenset(arn for estate in needs.estates for arn in _adopted(estate))
    wider: dict[str, dict[str, None]] = {}
    groups: dict[tuple[object, ...], _Group] = {}
    by_type = {one: kind for kind in needs.estate.kinds.values() for one in kind.access.types}
    for need in needs.found:
        one, whole = _type(need)
        if one in by_type and need.resource not in kept and not need.action.startswith(_EXACT):
            group = _Group(by_type[one], one, whole, need.action, need.conditions)
            groups.setdefault((one, whole, need.action, need.conditions), group).needs.append(need)
        else:
            found.setdefault(need, {}).update(needs.found[need])
    for group in groups.values():
        instead = _instead(group, needs.owners) if len(group.needs) > limit else None
        for need in group.needs if instead is None else instead:
            whys = needs.found[need] if instead is None else _reasons(needs, group)
            found.setdefault(need, {}).update(whys)
        for need in instead or ():
            wider.setdefault(group.kind.section, {})[need.resource] = None
    said = dict.fromkeys(_note(section, patterns) for section, patterns in wider.items())
    return Needs(needs.estates, found, needs.owners, said)


def _reasons(needs: Needs, group: _Group) -> Mapping[str, None]:
    return {why: None for need in group.needs for why in needs.found[need]}


def _note(section: str, patterns: Iterable[str]) -> str:
    names = ", ".join(sorted(patterns))
    return (
        f"{section} have too many names for one role: {names} stands for them, and what is changed must have the "
        "environment's tag; what is adopted needs lifecycle.adopt"
    )


def _adopted(estate: Estate) -> Iterator[str]:
    """The ARNs of what may have no tag before it is adopted."""
    for address, one in estate.env.resources.items():
        yield from estate.own(estate.known(address)) if one.lifecycle.adopt else ()


def _type(need: Need) -> tuple[str, str]:
    """The type of an ARN that has a name, and the pattern of all in its place; empty for such a pattern."""
    patterns = [(actions.whole(one, need.resource), one) for one in actions.types(need.action)]
    if need.resource == ANY or any(need.resource == whole for whole, _ in patterns):
        return "", ""
    whole, one = max(((w, one) for w, one in patterns if matches(need.resource, w)), key=_length, default=("", ""))
    return one, whole


def _length(found: tuple[str, str]) -> int:
    """The more of a pattern there is, the fewer it means: ``rule/BUS/NAME`` is a ``rule/*``, too."""
    return len(found[0])


def _instead(group: _Group, owners: tuple[str, ...]) -> list[Need] | None:
    """The needs in place of those of a group; None where its names must be kept."""
    kind, action, access = group.kind, group.action, group.kind.access
    keys = {key.partition("/")[0] for key, _ in group.conditions}
    own = group.type in access.types and action in access.actions
    if own and REQUEST_TAG in keys and action in access.creates:
        if action not in access.upserts and not kind.versioned:
            return [Need(action, group.whole, group.conditions)]
    elif own and not keys and action in {*access.changes, *access.deletes, *access.upserts, *access.tags}:
        tag = (f"{RESOURCE_TAG}/{OWNER_TAG}", owners)
        if _tagged(kind) and actions.supports(action, group.type, RESOURCE_TAG):
            return [Need(action, group.whole, (tag,))]
    patterns = _beginnings([need.resource for need in group.needs], group.whole.partition(ANY)[0])
    if not patterns and not keys and action in {*access.reads, *access.rechecks, *access.finds}:
        patterns = [group.whole]
    return [Need(action, pattern, group.conditions) for pattern in patterns] or None


def _tagged(kind: Kind) -> bool:
    """Whether what exists of a kind has its tags from the first moment."""
    types = kind.access.types
    creates = [(action, one) for action in kind.access.creates for one in types if one in actions.types(action)]
    return bool(kind.access.tags and creates) and all(
        actions.supports(action, one, REQUEST_TAG) for action, one in creates
    )


def _beginnings(arns: list[str], head: str) -> list[str]:
    """A few patterns with which all ARNs begin, each with more than the ``head`` that all of the type have."""
    words: dict[str, list[str]] = {}
    for arn in arns:
        if not arn.startswith(head):
            return []
        first = _SEPARATOR.search(arn, len(head) + 1)
        words.setdefault(arn[: first.end()] if first else arn, []).append(arn)
    if len(words) > _BEGINNINGS:
        return []
    found = []
    for some in words.values():
        shared = commonprefix(some)  # noqa: RUF071  (of texts)
        cut = max((one.end() for one in _SEPARATOR.finditer(shared, len(head) + 1)), default=0)
        found.append(some[0] if len(some) == 1 else f"{shared[:cut]}{ANY}" if cut else "")
    return sorted(found) if all(found) else []
