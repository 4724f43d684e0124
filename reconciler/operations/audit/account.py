"""Reads what an audit is about: all objects of some kinds, and the objects of others to which these refer.

Nothing but names and tags of what AWS Batch does not use is read, and the tagging index is not needed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from functools import partial
from typing import Any

from reconciler.account.everything import Everything
from reconciler.account.reader import Reader
from reconciler.model import Kind, Live, Path, Query, Ref, Scope, Sought, Unreadable
from reconciler.model.audit import Audited, User, name_in
from reconciler.model.paths import values_at
from reconciler.model.records import dataclass

GIVE_UP_AFTER = 8


@dataclass(slots=True)
class Estate:
    """The live objects by section, and how they refer to each other. ``refused`` has what could not be read, with the
    section that it would have shown; ``unknown`` the (section, name) of which it is not known whether they exist.
    """

    kinds: Mapping[str, Kind]
    scope: Scope
    lives: dict[str, list[Live]] = field(default_factory=dict)
    complete: set[str] = field(default_factory=set)
    refused: list[tuple[str, Unreadable]] = field(default_factory=list)
    unknown: set[tuple[str, str]] = field(default_factory=set)
    _index: dict[tuple[str, str], Live] = field(default_factory=dict)
    _users: dict[tuple[str, str], list[User]] = field(default_factory=lambda: defaultdict(list))

    def add(self, section: str, found: Iterable[Live]) -> None:
        """Add live objects; of a versioned kind the newest revision of a name is what its name means."""
        for live in found:
            self.lives.setdefault(section, []).append(live)
            for word in (live.attrs.get("arn"), live.attrs.get("id"), live.physical):
                if word:
                    self._index[section, self._folded(section, word)] = live
            name = self._folded(section, live.attrs.get("name") or live.physical)
            held = self._index.get((section, name))
            if held is None or held.revision <= live.revision:
                self._index[section, name] = live

    def find(self, section: str, value: Any) -> Live | None:
        """The object of a section that a name or an ARN means."""
        return self._index.get((section, self._folded(section, value))) if isinstance(value, str) and value else None

    def users(self, section: str, live: Live) -> Sequence[User]:
        """What refers to a live object."""
        return self._users.get((section, live.identity), ())

    def newest(self, section: str) -> list[Live]:
        """The objects of a section; of a versioned kind the newest revision of each name."""
        found = self.lives.get(section, [])
        if not self.kinds[section].versioned:
            return found
        newest: dict[str, Live] = {}
        for live in found:
            if (held := newest.get(live.attrs["name"])) is None or held.revision < live.revision:
                newest[live.attrs["name"]] = live
        return [*newest.values()]

    def connect(self) -> None:
        """Note which objects refer to which, once all is read."""
        for section in self.lives:
            for live in self.newest(section):
                for path, ref, value in references(self.kinds[section], live):
                    for target in ref.sections:
                        if (used := self.find(target, value)) is not None:
                            self._users[target, used.identity].append(User(section, live, path))

    def audited(self, now: float) -> Audited:
        """What rules look at."""
        return Audited(
            scope=self.scope,
            now=now,
            lives=self.lives,
            complete=frozenset(self.complete),
            users=self.users,
            find=self.find,
        )

    def dangling(self, section: str, live: Live) -> Iterator[tuple[Path, Ref, str]]:
        """The references of ``live`` to what does not exist in the account."""
        for path, ref, value in references(self.kinds[section], live):
            if any(self.find(target, value) for target in ref.sections) or not self.is_here(value):
                continue
            known = [target for target in ref.sections if target in self.complete or self._was_sought(target, value)]
            if len(known) == len(ref.sections):
                yield path, ref, value

    def _was_sought(self, section: str, value: str) -> bool:
        name = name_in(value)
        audit = self.kinds[section].audit
        return audit is not None and not audit.everything and (section, name) not in self.unknown and bool(name)

    def is_here(self, value: str) -> bool:
        """Whether a name or an ARN means something in this account, and in this Region where the service has one."""
        if not value.startswith("arn:"):
            return True
        _, _, _, region, account, *_ = [*value.split(":"), "", "", "", "", ""][:6]
        return account in ("", self.scope.account) and region in ("", self.scope.region)

    def _folded(self, section: str, word: str) -> str:
        return word.lower() if self.kinds[section].folds_case else word


def references(kind: Kind, live: Live) -> Iterator[tuple[Path, Ref, str]]:
    """Every value by which ``live`` names another object that it uses: not what a role trusts."""
    for pattern, ref in kind.refs.items() if kind.audit else ():
        if ref.late:
            continue
        for path, value in values_at(live.props, pattern):
            if isinstance(value, str) and value:
                yield path, ref, value


def read(reader: Reader, kinds: Mapping[str, Kind], scope: Scope) -> Estate:
    """All that is audited. Refused reads are in the result; any other error is raised."""
    estate = Estate(kinds, scope)
    whole = [section for section, kind in kinds.items() if kind.audit and kind.audit.everything]
    listing = Everything(reader, kinds, scope)
    jobs = {section: partial(_whole, reader, listing, kinds[section], scope) for section in whole}
    for section, found in reader.run_all(jobs).items():
        if isinstance(found, Unreadable):
            estate.refused.append((section, found))
        elif isinstance(found, BaseException):
            raise found
        else:
            estate.complete.add(section)
            estate.add(section, found)
    _follow(reader, estate)
    estate.connect()
    return estate


def _whole(reader: Reader, listing: Everything, kind: Kind, scope: Scope) -> Sequence[Live]:
    names = listing.list((kind.section,))[kind.section]
    if kind.section in listing.refused:
        raise listing.refused[kind.section]
    sought = tuple(one.sought for one in names)
    return reader.drive(kind.read(Query(scope=scope, sought=sought, owned=True, indexed=False))) if sought else ()


def _follow(reader: Reader, estate: Estate) -> None:
    """Read what is referred to, and what that refers to, until nothing is new."""
    seen: dict[tuple[str, str], Sought] = {}
    fresh: Mapping[str, Collection[Live]] = {section: estate.newest(section) for section in [*estate.lives]}
    while fresh:
        names = defaultdict[str, list[Sought]](list)
        for target, value in _targets(estate, fresh):
            sought = estate.kinds[target].audit.sought(value)  # type: ignore[union-attr]
            if (target, sought.name) not in seen:
                seen[target, sought.name] = sought
                names[target].append(sought)
        jobs = {section: partial(_named, reader, estate, section, some) for section, some in names.items()}
        found = dict[str, Sequence[Live]]()
        for section, result in reader.run_all(jobs).items():
            if isinstance(result, BaseException):
                raise result
            found[section] = result
            estate.add(section, result)
        fresh = {section: lives for section, lives in found.items() if lives}


def _targets(estate: Estate, fresh: Mapping[str, Collection[Live]]) -> list[tuple[str, str]]:
    """The (section, name or ARN) of what is read by name, sorted."""
    found = {
        (target, value)
        for section, lives in fresh.items()
        for live in lives
        for _, ref, value in references(estate.kinds[section], live)
        for target in ref.sections
        if _by_name(estate.kinds.get(target)) and estate.is_here(value)
    }
    return sorted(found)


def _by_name(kind: Kind | None) -> bool:
    return kind is not None and kind.audit is not None and not kind.audit.everything


def _named(reader: Reader, estate: Estate, section: str, names: Sequence[Sought]) -> Sequence[Live]:
    """The objects with these names; each by itself where AWS refuses some, since a policy may allow the others."""

    def ask(some: Sequence[Sought]) -> Sequence[Live]:
        return reader.drive(estate.kinds[section].read(Query(scope=estate.scope, sought=tuple(some))))

    try:
        return ask(names)
    except Unreadable as error:
        refused = error
    found: list[Live] = []
    failed = 0
    for one in names:
        if failed < GIVE_UP_AFTER:
            try:
                found += ask([one])
                continue
            except Unreadable as error:
                refused = error
        failed += 1
        estate.unknown.add((section, one.name))
    estate.refused.append((section, refused))
    return found
