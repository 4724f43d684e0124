"""What an environment needs to know of the account: what is declared, and what else it owns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from reconciler.account.reader import Reader
from reconciler.config import references
from reconciler.kinds import discover
from reconciler.model import (
    EMPTY,
    OWNER_TAG,
    Environment,
    Kind,
    Live,
    Observed,
    Options,
    Query,
    Resource,
    Scope,
    Sought,
    Unreadable,
)

INDEX = "resourcegroupstaggingapi"
GIVE_UP = 8


@dataclass(frozen=True, slots=True)
class _Seen:
    """What one read has found, what it could not see of what else is owned, and of what is sought, by name."""

    lives: Sequence[Live]
    not_covered: tuple[Unreadable, ...] = ()
    sought: Mapping[str, Unreadable] = EMPTY


def observe(
    reader: Reader,
    kinds: Mapping[str, Kind],
    scope: Scope,
    sought: Mapping[str, tuple[Sought, ...]],
    elsewhere: Iterable[tuple[str, str]] = (),
    later: Mapping[str, Callable[[], tuple[Sought, ...]]] = EMPTY,
) -> Observed:
    """Everything of the sought names and everything the environment owns; and the ``elsewhere`` (section, name).

    ``later`` are the sections of which what is sought is known only when other facts are: they hold up no others.

    A refused read costs what only it can tell: what else of a section is owned (``partial``), what cannot be read by
    name either (``unreadable``). Any other error is raised.
    """
    declared = frozenset((*(section for section, names in sought.items() if names), *later))

    def everything(section: str) -> Callable[[], _Seen]:
        def read() -> _Seen:
            names = later[section]() if section in later else sought.get(section, ())
            query = Query(scope=scope, sought=names, owned=True, declared=declared)
            return _seen(reader, kinds[section], query)

        return read

    def one(section: str, name: str) -> Callable[[], _Seen]:
        query = Query(scope=scope, sought=(Sought(name),), declared=declared, brief=True)
        return lambda: _Seen(reader.drive(kinds[section].read(query)))

    jobs: dict[Any, Callable[[], _Seen]] = {section: everything(section) for section in kinds}
    jobs |= {(section, name): one(section, name) for section, name in elsewhere}
    lives: dict[str, tuple[Live, ...]] = {}
    existing: dict[tuple[str, str], Mapping[str, str] | None] = {}
    unreadable: dict[tuple[str, str], Unreadable] = {}
    partial: dict[str, tuple[Unreadable, ...]] = {}
    for key, found in reader.run_all(jobs).items():
        if isinstance(found, Unreadable) and not isinstance(key, str):
            unreadable[key] = found
        elif isinstance(found, BaseException):
            raise found
        elif isinstance(key, str):
            lives[key] = tuple(found.lives)
            unreadable |= {(key, name): refused for name, refused in found.sought.items()}
            if found.not_covered and not kinds[key].shared:  # what is shared is never owned
                partial[key] = found.not_covered
        else:
            existing[key] = next((live.attrs for live in found.lives if not live.deleting), None)
    return Observed(lives=lives, existing=existing, unreadable=unreadable, partial=partial)


def _seen(reader: Reader, kind: Kind, query: Query) -> _Seen:
    """What ``query`` finds: at its best, then without the index, then by name, and then each name by itself."""
    refused: list[Unreadable] = []
    try:
        return _Seen(reader.drive(kind.read(query)))
    except Unreadable as error:
        refused.append(error)
    if refused[0].call.service == INDEX:
        try:
            return _Seen(reader.drive(kind.read(replace(query, indexed=False))))
        except Unreadable as error:
            refused.append(error)
    named = replace(query, owned=False)
    try:
        return _Seen(reader.drive(kind.read(named)), tuple(refused))
    except Unreadable as error:
        refused.append(error)
    return _one_by_one(reader, kind, named, tuple(refused))


def _one_by_one(reader: Reader, kind: Kind, query: Query, refused: tuple[Unreadable, ...]) -> _Seen:
    """Each of the sought names by itself, since a policy may allow some of them only.

    Where none of the first few may be read, it is taken to be for all of them.
    """
    lives: list[Live] = []
    unseen: dict[str, Unreadable] = {}
    for number, sought in enumerate(query.sought):
        if number == len(unseen) == GIVE_UP:
            return _Seen(lives, refused, unseen | {one.name: refused[-1] for one in query.sought[number:]})
        try:
            lives += reader.drive(kind.read(replace(query, sought=(sought,))))
        except Unreadable as error:
            unseen[sought.name] = error
    once = {(live.physical, *sorted(live.attrs.items())): live for live in lives}
    return _Seen(list(once.values()), refused, unseen)


def refresh(
    env: Environment,
    scope: Scope,
    reader: Reader,
    looked: Callable[[], tuple[Mapping[str, Any], Any]],
    options: Options,
) -> Observed:
    """What the account holds. What does not need the look-ups is read while they are asked."""
    kinds = discover()
    sections: dict[str, list[Resource]] = {}
    for address, resource in env.resources.items():
        sections.setdefault(address.section, []).append(resource)

    def sought(section: str, facts: Mapping[str, Any], untold: Any = ()) -> tuple[Sought, ...]:
        world = references.ResolutionContext(scope=scope, declared=lambda _: None, lookups=facts)
        filled = [(one, references.resolve_known(one, world)) for one in sections[section]]
        return tuple(
            Sought(one.address.name, props, _expected_tags(one, world))
            for one, props in filled
            # what AWS would not tell is not planned
            if not untold or all(part.root != "lookups" for _, part in references.templates(props))
        )

    waiting = {section for section, resources in sections.items() if any(map(_looks_up, resources))}
    at_once = {section: sought(section, {}) for section in sections if section not in waiting}
    later = {section: partial(lambda section: sought(section, *looked()), section) for section in waiting}
    elsewhere = () if options.destroy else references.names_to_find(env.resources, kinds)
    return observe(reader, kinds, scope, at_once, elsewhere, later)


def _looks_up(resource: Resource) -> bool:
    return any(part.root == "lookups" for _, part in references.references(references.expressions(resource)))


def _expected_tags(resource: Resource, world: references.ResolutionContext) -> Mapping[str, str] | None:
    """What a live resource that is as declared carries; None where that cannot be told yet."""
    tags, wrong = references.resolve_tags(resource, world)
    if wrong or not all(isinstance(value, str) for value in tags.values()):
        return None
    return {**tags, OWNER_TAG: world.scope.environment}
