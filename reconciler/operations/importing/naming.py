"""Logical names: what each imported resource is declared as, and the prefix that all physical names share."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field

from reconciler.config.physical import folded
from reconciler.model import EMPTY, Kind
from reconciler.model.records import dataclass

Place = tuple[str, str]
"""Section and physical name."""
FEWEST = 3  # names of which a common beginning is no accident


@dataclass(slots=True)
class Keys:
    """The keys of imported resources, and of those that the environment declares (``taken``, by section).

    ``prefix`` is the text of ``namePrefix``.
    """

    kinds: Mapping[str, Kind]
    prefix: str = ""
    given: Mapping[Place, str] = EMPTY
    taken: Mapping[Place, Place] = EMPTY
    keys: dict[Place, str] = field(default_factory=dict)

    def assign(self, places: Iterable[Place]) -> None:
        """Give each of ``places`` a key; those below another after it."""
        listed = sorted(places, key=lambda place: bool(self.kinds[place[0]].named_below))
        used = {(section, folded(key, self.kinds[section])) for section, key in self.taken}
        physical = {(section, folded(name, self.kinds[section])) for section, name in listed}
        for place in listed:
            section, name = place
            for key in self.candidates(place):
                mine = (section, folded(key, self.kinds[section]))
                others = mine in physical and folded(name, self.kinds[section]) != mine[1]
                if mine not in used and not others:
                    used.add(mine)
                    self.keys[place] = key
                    break

    def candidates(self, place: Place) -> Iterable[str]:
        """Keys to try, the best first."""
        section, name = place
        kind = self.kinds[section]
        if kind.named_below:
            above, slash, rest = name.partition("/")
            name = f"{self.keys.get((kind.named_below, above), above)}{slash}{rest}"
        elif place in self.given:
            yield self.given[place]
        elif self.has_prefix(section, name):
            yield name[len(self.prefix) :]
        yield name
        yield from (f"{name}-{number}" for number in range(2, 1000))

    def has_prefix(self, section: str, name: str) -> bool:
        """Whether the name is one that ``namePrefix`` makes."""
        begins = bool(self.prefix) and name.startswith(self.prefix) and len(name) > len(self.prefix)
        return begins and _may_have_prefix(self.kinds[section], name)

    def member(self, place: Place) -> Mapping[str, str]:
        """The API's member for the name, where the key does not give the physical one."""
        section, name = place
        kind, key = self.kinds[section], self.keys[place]
        if kind.shared or not kind.name_member:
            return {}
        if kind.named_below:
            rest = name.partition("/")[2]
            return {} if key.partition("/")[2] == rest else {kind.name_member: rest}
        made = key if key.startswith("/") else f"{self.prefix}{key}"
        return {} if made == name else {kind.name_member: name}


def shared_prefix(places: Sequence[Place], kinds: Mapping[str, Kind], given: Mapping[Place, str] = EMPTY) -> str:
    """What all names begin with, up to a hyphen or underscore; empty where that may be an accident."""
    names = {name for section, name in places if _may_have_prefix(kinds[section], name)}
    if given or len(names) < FEWEST or len({section for section, _ in places}) < 2:
        return ""
    first, last = min(names), max(names)
    same = next((at for at, (one, other) in enumerate(zip(first, last, strict=False)) if one != other), len(first))
    start = re.match(r".*[-_]", first[:same])
    return start[0] if start and all(name[len(start[0]) :][:1].isalpha() for name in names) else ""


def _may_have_prefix(kind: Kind, name: str) -> bool:
    return not (kind.shared or kind.named_below or name.startswith("/"))
