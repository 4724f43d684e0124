"""Environments of one name: the tag of ownership has the name alone, and so have comments and artifacts of pipelines.

In one account and Region each of them would delete what the other declares. In others they may well coexist; then a
pipeline distinguishes them by their directories (:func:`ids`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Final

from reconciler.config import discovery, loader
from reconciler.config.given import Given
from reconciler.model import problem_codes as codes
from reconciler.model.patterns import regex
from reconciler.model.problems import Problem, Problems
from reconciler.model.records import dataclass
from reconciler.model.values import Pos
from reconciler.model.when_used import when_used
from reconciler.operations.session import Location

with when_used():
    from hashlib import sha256

Names = Mapping[Location, str]
_LONGEST: Final = 64
_ODD: Final = regex(r"[^\w.-]", re.ASCII)


def ids(names: Names, top: Path) -> dict[Location, str]:
    """What a pipeline calls each environment in comments, artifacts and locks: its name, with its path from ``top`` if
    another has the same name. It is the same wherever the clone is.
    """
    count = Counter(names.values())
    return {location: name if count[name] == 1 else _id(name, _path(location, top)) for location, name in names.items()}


def _id(name: str, path: str) -> str:
    found = f"{name}.{_ODD.sub('_', path.replace('/', '.'))}"
    return found if len(found) <= _LONGEST else f"{name}.{sha256(path.encode()).hexdigest()[:8]}"


def name_of_id(word: str) -> str:
    """The name of an environment in one of :func:`ids`: a name has no dot."""
    return word.partition(".")[0]


def problems(
    names: Names, shown: Sequence[Location], environ: Mapping[str, str], given: Mapping[str, Given], top: Path
) -> Iterator[tuple[Location, Problem]]:
    """An error for each two environments of one name in one account and Region, and a warning where they may be; only
    those of which one is ``shown``, at this one.
    """
    count = Counter(filter(None, names.values()))
    places = {
        location: _Place.of(location, environ, given) for location, name in names.items() if name and count[name] > 1
    }
    for one, other in combinations(sorted(places, key=lambda location: _path(location, top)), 2):
        if names[one] != names[other] or not ({one, other} & {*shown}):
            continue
        at, rival = (other, one) if other in shown else (one, other)
        if problem := _clash(names[at], places[at], places[rival], _path(rival, top)):
            yield at, problem


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an environment is, "" where it does not say; and its ``environment:`` in its file."""

    account: str
    region: str
    ignored: bool
    pos: Pos | None

    @classmethod
    def of(cls, location: Location, environ: Mapping[str, str], given: Mapping[str, Given]) -> _Place:
        """The place of the environment at ``location``, as far as it can be read."""
        try:
            found = loader.load_what_is_right(location.target, environ=environ, given=given)[0]
        except Problems:
            found = None
        if found is None:
            account, region = (discovery.setting_of(location.target, name) for name in ("account", "region"))
            return cls(account, region, ignored=False, pos=None)
        role = (found.role or {}).get("roleArn", "").split(":")
        account = (role[4] if len(role) > 4 else "") or found.account or ""
        ignored = codes.SAME_NAME in found.ignore_rules
        return cls(account, found.region or "", ignored, found.settings_pos.get(("environment",)))


def _clash(name: str, one: _Place, other: _Place, path: str) -> Problem | None:
    pairs = ((one.account, other.account), (one.region, other.region))
    if any(mine and its and mine != its for mine, its in pairs):
        return None
    if all(mine and its for mine, its in pairs):
        where = f"account {one.account}, {one.region}"
        return Problem(
            code=codes.SAME_ENVIRONMENT,
            message=f"{path} is the environment {name} of {where}, too: each would delete what the other declares",
            hint="give one of them another name",
            environment=name,
            pos=one.pos,
        )
    if one.ignored or other.ignored:
        return None
    lacking = [word for word, pair in zip(("account", "region"), pairs, strict=True) if not all(pair)]
    return Problem(
        code=codes.SAME_NAME,
        message=f"{path} is called {name}, too: in one account and Region each would delete what the other declares",
        hint=f"set {' and '.join(f'{word}:' for word in lacking)} in both, or give one of them another name",
        environment=name,
        pos=one.pos,
        warning=True,
    )


def _path(location: Location, top: Path) -> str:
    target = location.target.resolve()
    return target.relative_to(top).as_posix() if target.is_relative_to(top) else target.as_posix()
