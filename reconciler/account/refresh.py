"""Reads what the account has of an environment: the declared resources, and everything else that it owns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from reconciler.account.reader import Reader, bounded
from reconciler.config import references
from reconciler.kinds import discover
from reconciler.model import (
    EMPTY,
    NAME_TAG,
    Address,
    Deferred,
    Environment,
    Json,
    Kind,
    Live,
    Observed,
    Options,
    Query,
    Reads,
    Resource,
    Scope,
    Sought,
    Unreadable,
)
from reconciler.model.records import dataclass

INDEX = "resourcegroupstaggingapi"
GIVE_UP_AFTER = 8


@dataclass(frozen=True, slots=True)
class _SectionRead:
    """The live objects that one read has found; ``not_covered`` are refusals that hide other owned objects, ``sought``
    the refusals of sought names.
    """

    lives: Sequence[Live]
    not_covered: tuple[Unreadable, ...] = ()
    sought: Mapping[str, Unreadable] = EMPTY


def observe(
    reader: Reader,
    kinds: Mapping[str, Kind],
    scope: Scope,
    sought: Mapping[str, tuple[Sought, ...]],
    referenced: Iterable[tuple[str, str]] = (),
    later: Mapping[str, Callable[[], tuple[Sought, ...]]] = EMPTY,
) -> Observed:
    """The objects with the sought names (by section), all that the environment owns, and the ``referenced`` (section,
    name), which are not declared.

    ``later`` has the sections whose sought names depend on other reads; no other section waits for those.

    A refused read limits only what depends on it: what else of a section is owned (``partial``), and what cannot be
    read by name either (``unreadable``). Any other error is raised.
    """
    declared = frozenset((*(section for section, names in sought.items() if names), *later))

    def everything(section: str, names: tuple[Sought, ...]) -> Reads[_SectionRead]:
        query = Query(scope=scope, sought=names, owned=True, declared=declared)
        return _read_section(kinds[section], query)

    def by_name(section: str, name: str) -> Reads[_SectionRead]:
        query = Query(scope=scope, sought=(Sought(name),), declared=declared, brief=True)
        return _SectionRead((yield from bounded(kinds[section].read(query))))

    def begun_later(section: str) -> Callable[[], Reads[_SectionRead]]:
        return lambda: everything(section, later[section]())

    reads: dict[Any, Reads[_SectionRead]] = {
        section: everything(section, sought.get(section, ())) for section in kinds if section not in later
    }
    reads |= {(section, name): by_name(section, name) for section, name in referenced}
    lives: dict[str, tuple[Live, ...]] = {}
    existing: dict[tuple[str, str], Mapping[str, str] | None] = {}
    unreadable: dict[tuple[str, str], Unreadable] = {}
    partial: dict[str, tuple[Unreadable, ...]] = {}
    results = reader.read_all(reads, {section: begun_later(section) for section in later})
    keys: list[Any] = [*kinds, *referenced]
    for key in keys:
        found = results[key]
        if isinstance(found, Unreadable) and not isinstance(key, str):
            if not kinds[key[0]].shared:  # given by its ARN: only whether it exists is not known
                unreadable[key] = found
        elif isinstance(found, BaseException):
            raise found
        elif isinstance(key, str):
            lives[key] = tuple(found.lives)
            unreadable |= {(key, name): refused for name, refused in found.sought.items()}
            if found.not_covered and not kinds[key].shared:  # a shared resource is never owned
                partial[key] = found.not_covered
        else:
            existing[key] = next((live.attrs for live in found.lives if not live.deleting), None)
    return Observed(lives=lives, existing=existing, unreadable=unreadable, partial=partial)


def _read_section(kind: Kind, query: Query) -> Reads[_SectionRead]:
    """What ``query`` finds: with the tag index, else without it, else by name, else each name by itself."""
    refused: list[Unreadable] = []
    try:
        return _SectionRead((yield from bounded(kind.read(query))))
    except Unreadable as error:
        refused.append(error)
    if refused[0].call.service == INDEX:
        try:
            return _SectionRead((yield from bounded(kind.read(replace(query, indexed=False)))))
        except Unreadable as error:
            refused.append(error)
    named = replace(query, owned=False)
    try:
        return _SectionRead((yield from bounded(kind.read(named))), tuple(refused))
    except Unreadable as error:
        refused.append(error)
    return (yield from _read_each(kind, named, tuple(refused)))


def _read_each(kind: Kind, query: Query, refused: tuple[Unreadable, ...]) -> Reads[_SectionRead]:
    """Each of the sought names by itself, since a policy may allow only some of them.

    Where AWS refuses the first ``GIVE_UP_AFTER``, the others are not tried.
    """
    lives: list[Live] = []
    unreadable: dict[str, Unreadable] = {}
    for number, sought in enumerate(query.sought):
        if number == len(unreadable) == GIVE_UP_AFTER:
            return _SectionRead(lives, refused, unreadable | {one.name: refused[-1] for one in query.sought[number:]})
        try:
            lives += yield from bounded(kind.read(replace(query, sought=(sought,))))
        except Unreadable as error:
            unreadable[sought.name] = error
    once = {(live.physical, *sorted(live.attrs.items())): live for live in lives}
    return _SectionRead(list(once.values()), refused, unreadable)


def refresh(
    env: Environment,
    scope: Scope,
    reader: Reader,
    resolved_lookups: Callable[[], tuple[Mapping[str, Any], Any]],
    options: Options,
) -> Observed:
    """What the account has of ``env``. ``resolved_lookups`` returns the look-ups' values and problems; sections without
    look-ups are read in the meantime. Raises Problems where a look-up has no value.
    """
    kinds = discover()
    sections: dict[str, list[Resource]] = {}
    for address, resource in env.resources.items():
        sections.setdefault(address.section, []).append(resource)

    def placed(resource: Resource, props: Json) -> Json:
        """``props`` with the physical name of a declared container."""
        container = kinds[resource.address.section].container
        name = props.get(container.member) if container else None
        if container is None or not isinstance(name, str):
            return props
        above = env.resources.get(Address(container.section, name))
        return {**props, container.member: above.name} if above else props

    def sought(section: str, facts: Mapping[str, Any], untold: Any = ()) -> tuple[Sought, ...]:
        world = references.ResolutionContext(scope=scope, declared=lambda _: None, lookups=facts)

        def filled(resource: Resource) -> Json:
            return placed(resource, references.resolve_known(resource, world))

        return tuple(
            Sought(
                one.name, Deferred(partial(filled, one)), _expected_tags(one, kinds[section], world), one.address.name
            )
            for one in sections[section]
            # a resource is not planned where AWS refuses a look-up that it uses
            if not untold or all(part.root != "lookups" for _, part in references.templates(filled(one)))
        )

    waiting = {section for section, resources in sections.items() if any(map(_uses_lookups, resources))}
    at_once = {section: sought(section, {}) for section in sections if section not in waiting}
    later = {section: partial(lambda section: sought(section, *resolved_lookups()), section) for section in waiting}
    referenced: list[tuple[str, str]] = []
    if not options.destroy:
        referenced += references.names_to_find(env.resources, kinds)
        shared = (references.shared_to_find(one, kinds, scope) for one in env.resources.values())
        found = dict.fromkeys(key for keys in shared for key, _ in keys)
        referenced += [key for key in found if Address(*key) not in env.resources]
    found_all = observe(reader, kinds, scope, at_once, referenced, later)
    logical = {(address.section, one.name): (address.section, address.name) for address, one in env.resources.items()}
    unreadable = {logical.get(key, key): refused for key, refused in found_all.unreadable.items()}
    return replace(found_all, unreadable=unreadable)


def _uses_lookups(resource: Resource) -> bool:
    return any(part.root == "lookups" for _, part in references.references(references.expressions(resource)))


def _expected_tags(resource: Resource, kind: Kind, context: references.ResolutionContext) -> Mapping[str, str] | None:
    """The tags of a live resource that is as declared; None where some are not known yet."""
    tags, wrong = references.resolve_tags(resource, context)
    if wrong or not all(isinstance(value, str) for value in tags.values()):
        return None
    named = {NAME_TAG: resource.address.name} if resource.name != resource.address.name else {}
    return {**tags, **named, **kind.ownership_tags(context.scope)}
