"""Resources by the names that another tool's files give them: which of our kinds, which in the account, which key.

A key is made of what a team calls the resource there, so that it keeps its names (docs/moving.md has the rules). What
the files contain besides identifiers is neither kept nor shown: a state holds secrets.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import field
from functools import cache
from itertools import chain, count
from typing import Final

from reconciler.kinds import discover
from reconciler.model import Kind, Scope
from reconciler.model.patterns import regex
from reconciler.model.records import dataclass
from reconciler.operations.importing.found import LeftOut, Naming

_UNUSUAL: Final = regex(r"[^A-Za-z0-9_-]+")
_ARN: Final = regex(r"arn:[^:]+:[^:]*:([^:]*):([^:]*):.+")
NO_KIND: Final = "reconcile has no such kind: the other tool keeps it, and a look-up can find it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreign:
    """One resource of another tool that is of a kind of ours.

    address      as the other tool calls it
    section      ours
    key          its logical name, unique in its section
    identifiers  what finds it in the account (ARN, id, name), the surest first; empty: only its stack has it
    region       where it is, and ``account`` whose it is; empty where the file does not say
    """

    address: str
    section: str
    key: str
    identifiers: tuple[str, ...] = ()
    region: str = ""
    account: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """What the files of another tool have: resources of our kinds, and what is left out with the reason."""

    resources: tuple[Foreign, ...] = ()
    left_out: tuple[LeftOut, ...] = ()


@dataclass(slots=True)
class Collected:
    """Resources and parts while a file is read; ``named`` gives them unique keys."""

    resources: list[Foreign] = field(default_factory=list)
    parts: list[tuple[str, str, str, tuple[str, ...]]] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)

    def leave_out(self, type_: str, address: str, why: str) -> None:
        """A resource that is not imported."""
        self.left_out.append(LeftOut(section=type_, name=address, why=why, foreign=True))

    def part(self, type_: str, address: str, section: str, owners: tuple[str, ...]) -> None:
        """A resource that is a part of others: its owners must be in the file, too."""
        self.parts.append((type_, address, section, owners))

    def named(self) -> Named:
        """All of them, with the parts whose owner is not in the file left out."""
        known = {(one.section, word) for one in self.resources for word in (*one.identifiers, one.address)}
        for type_, address, section, owners in self.parts:
            missing = [
                owner for owner in owners if (section, owner) not in known and (section, _last(owner)) not in known
            ]
            if missing or not owners:
                noun = discover()[section].name
                self.leave_out(type_, address, f"a part of a {noun} that is not in the file: import that by --name")
        return Named(resources=(*_unique(self.resources),), left_out=tuple(self.left_out))


def _last(identifier: str) -> str:
    return identifier.rpartition("/")[2].rpartition(":")[2]


def _unique(resources: Iterable[Foreign]) -> Iterator[Foreign]:
    """The resources with keys that are unique in their sections: the second of a name is ``name-2``."""
    taken: set[tuple[str, str]] = set()
    tried: dict[tuple[str, str], Iterator[int]] = {}
    for one in resources:
        start = _no_id(one.section, one.key)
        numbers = tried.setdefault((one.section, start), count(2))
        keys = chain([start], (f"{start}-{number}" for number in numbers))
        key = next(key for key in keys if (one.section, key.casefold()) not in taken)
        taken.add((one.section, key.casefold()))
        yield Foreign(
            address=one.address,
            section=one.section,
            key=key,
            identifiers=one.identifiers,
            region=one.region,
            account=one.account,
        )


def _no_id(section: str, key: str) -> str:
    """The key, so that no reference reads it as an id: ``sg_jobs`` instead of ``sg-jobs``."""
    return key.replace("-", "_", 1) if any(re.match(form, key) for form in _ids(section)) else key


@cache
def _ids(section: str) -> frozenset[str]:
    """The forms of ids that references to the section may have."""
    refs = [ref for kind in discover().values() for ref in kind.refs.values() if section in ref.sections]
    return frozenset(ref.literal for ref in refs if ref.literal)


def key_of(parts: Iterable[str]) -> str:
    """A key of what a resource is called: words in which everything but letters, digits, _ and - is a hyphen."""
    words = [_UNUSUAL.sub("-", part).strip("-") for part in parts]
    return "-".join(word for word in words if word)[:96].strip("-") or "resource"


def place_of(identifiers: Iterable[str]) -> tuple[str, str]:
    """The Region and the account that ARNs among identifiers name."""
    found = next(filter(None, map(_ARN.fullmatch, identifiers)), None)
    return (found[1], found[2]) if found else ("", "")


# --- types -----------------------------------------------------------------------------------------------------------


@cache
def terraform_types() -> Mapping[str, tuple[str, tuple[str, ...]]]:
    """The section of each type of terraform, with the attributes that identify one, the surest first."""
    found: dict[str, tuple[str, tuple[str, ...]]] = {}
    for section, kind in discover().items():
        tools = kind.other_tools
        found |= {type_: (section, attributes) for type_, attributes in tools.terraform.items()}
        for type_, name in tools.cloudformation.items():
            words = (_snake(name), "arn", "id") if kind.shared else ("arn", "id", _snake(name))
            found[_awscc(type_)] = (section, words)
    return found


@cache
def cloudformation_types() -> Mapping[str, tuple[str, str]]:
    """The section of each type of CloudFormation, with the property that may give a name."""
    return {
        type_: (section, name)
        for section, kind in discover().items()
        for type_, name in kind.other_tools.cloudformation.items()
    }


@cache
def part_types() -> Mapping[str, tuple[str, str]]:
    """The section that each type of either tool is a part of, with the attribute or property that names the owner."""
    found: dict[str, tuple[str, str]] = {}
    for section, kind in discover().items():
        for type_, member in kind.other_tools.parts.items():
            found[type_] = (section, member)
            if "::" in type_:
                found[_awscc(type_)] = (section, _snake(member))
    return found


def _awscc(type_: str) -> str:
    """``AWS::Batch::JobQueue`` as the provider ``awscc`` calls it."""
    _, service, name = type_.split("::")
    return f"awscc_{service.lower()}_{_snake(name)}"


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


# --- the account -----------------------------------------------------------------------------------------------------


def resolved(
    named: Named, scope: Scope, name_of: Callable[[str, str], str | None]
) -> tuple[Naming, tuple[LeftOut, ...]]:
    """The keys by section and physical name of those that exist in the account and Region of ``scope``.

    ``name_of`` gives the physical name of what a word (ARN, id or name) means in a section; None if nothing has it.
    """
    keys: dict[tuple[str, str], str] = {}
    left = [*named.left_out]
    for one in named.resources:
        kind = discover()[one.section]
        if why := _elsewhere(one, kind, scope):
            left.append(LeftOut(section=one.section, name=one.address, why=why, foreign=True))
            continue
        name = next(filter(None, (name_of(one.section, word) for word in one.identifiers)), None)
        if name is None:
            why = f"no {kind.name} {one.identifiers[0]} in the account" if one.identifiers else _NO_NAME
            left.append(LeftOut(section=one.section, name=one.address, why=why, foreign=True))
        elif (one.section, name) in keys:
            why = f"the same {kind.name} as {keys[one.section, name]}"
            left.append(LeftOut(section=one.section, name=one.address, why=why, foreign=True))
        else:
            keys[one.section, name] = name if kind.shared else one.key
    return Naming(keys=keys), tuple(left)


_NO_NAME: Final = (
    "the file does not have its name, which CloudFormation or a parameter has: give --stack NAME, or the output of"
    " `aws cloudformation describe-stack-resources`"
)


def _elsewhere(one: Foreign, kind: Kind, scope: Scope) -> str:
    """Why a resource cannot be read from here; empty if it can."""
    if one.account and one.account not in (scope.account, "aws"):
        return f"in the account {one.account}; this import reads {scope.account}"
    if one.region and one.region != scope.region and not kind.spans_regions:
        return f"in {one.region}; this import reads {scope.region}: import {one.region} into another environment"
    return ""
