"""ARNs and ids of declared resources: each stands for the same reference as the plain name, and is turned into it.

Every describe output, and most other tools, name resources by ARN or id. Where the resource is declared here, its ARN
must follow it when it is replaced, put it first in the order, and be checked like its name. So all that comes after
this module sees names only. What is unchanged: a job definition with its revision, which means that revision,
and anything in another account or Region.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from typing import Any

from reconciler.config import references
from reconciler.config.physical import by_physical
from reconciler.model import (
    EMPTY,
    NAME_TAG,
    Address,
    Environment,
    Kind,
    Live,
    Path,
    Ref,
    Reference,
    Resource,
    Scope,
    Template,
)
from reconciler.model.declared import partition_of
from reconciler.model.records import dataclass

_SOMEWHERE = "123456789012"
_PARTS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the environment is, as far as that is known: without credentials its account and Region may not be."""

    environment: str
    account: str | None = None
    region: str | None = None

    def scope_of(self, arn: Sequence[str], ref: Ref) -> Scope | None:
        """The scope of an ARN (its six parts) if it can be the environment's own; else None.

        Where the account or Region is unknown, only an ARN at a path that takes no other is taken for one of its own.
        """
        partition, region, account = arn[1], arn[3], arn[4]
        sure = self.account and (self.region or not region)
        if account != (self.account or account) or region not in ("", self.region or region):
            return None
        if not (sure or ref.same_account_and_region) or partition != partition_of(self.region, partition):
            return None
        return Scope(account, self.region or region, partition, self.environment)


@dataclass(slots=True)
class Linker:
    """Finds the declared resource that an ARN or id is of.

    ``lives`` are the objects by section, ``lookups`` the values of the look-ups; without an account both are empty.
    """

    kinds: Mapping[str, Kind]
    declared: Mapping[Address, Resource]
    place: Place
    lives: Mapping[str, Iterable[Live]] = EMPTY
    lookups: Mapping[str, Any] = EMPTY
    by_arn: dict[Scope, dict[str, Address]] = field(default_factory=dict)
    by_live: dict[tuple[str, str], Address] = field(default_factory=dict)
    by_physical: dict[tuple[str, str], Address] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.by_physical = by_physical(self.declared.values(), self.kinds)
        for section, lives in self.lives.items():
            self.by_live |= self.names_of(section, lives)

    def names_of(self, section: str, lives: Iterable[Live]) -> Iterator[tuple[tuple[str, str], Address]]:
        """The ARNs, ids and physical names of live objects, with the declared resource that each is of."""
        kind = self.kinds[section]
        if kind.versioned:
            return
        folded = {a.name.casefold(): a for a in self.declared if a.section == section} if kind.folds_case else {}
        for live in lives:
            own = live.owner == self.place.environment
            name = live.logical if own else live.attrs.get("name") or live.physical
            address = folded.get(name.casefold(), Address(section, name))
            if not own or NAME_TAG not in live.tags:
                address = self.of_name(section, name) or address
            if address in self.declared and (own or not live.owner):
                for text in (live.physical, live.attrs.get("arn"), live.attrs.get("id")):
                    if text:
                        yield (section, text), address

    def of_name(self, section: str, name: str) -> Address | None:
        """The declared resource with the physical name, where that is not its logical one."""
        if not self.by_physical:
            return None
        return self.by_physical.get((section, name.casefold() if self.kinds[section].folds_case else name))

    def linked(self, resource: Resource) -> Resource:
        """``resource`` with the plain name instead of each ARN or id of a declared resource."""
        found = {}
        for path, ref, value in _of_no_address(resource, self.kinds[resource.address.section]):
            if type(value) is str and (ref.section, value) in self.declared:
                continue  # a name, as most are; an address is equal to this pair, which is quicker to make
            text = self.text(value)
            if text and (target := self.target(ref, text)):
                found[path] = self.written(ref, *target)
        return replace(resource, props=references.put(resource.props, found)) if found else resource

    def text(self, value: Any) -> str | None:
        """A declared value as text, with the account, Region and partition filled in; None where more is unknown."""
        if isinstance(value, str):
            return value
        if not isinstance(value, Template) or references.names_resource(value):
            return None
        region = self.place.region or "us-east-1"
        own = {
            "account": self.place.account or _SOMEWHERE,
            "region": region,
            "partition": partition_of(self.place.region, "aws"),
        }
        parts = [
            part
            if isinstance(part, str)
            else self.lookups.get(part.attr)
            if part.root == "lookups"
            else own.get(part.root)
            for part in value.parts
        ]
        return "".join(map(str, parts)) if all(isinstance(part, str) for part in parts) else None

    def target(self, ref: Ref, text: str) -> tuple[Address, str] | None:
        """The declared resource that ``text`` is the ARN, id or physical name of, and what follows in the ARN."""
        if any((section, text) in self.declared for section in ref.sections):
            return None
        for section in ref.sections if self.by_live else ():
            if address := self.by_live.get((section, text)):
                return address, ""
        return self.of_arn(ref, text) if text.startswith("arn:") else None

    def of_arn(self, ref: Ref, text: str) -> tuple[Address, str] | None:
        """The declared resource whose ARN ``text`` is or begins with, from its name alone, and what follows."""
        parts = text.split(":", _PARTS - 1)
        scope = self.place.scope_of(parts, ref) if len(parts) == _PARTS else None
        if scope is None:
            return None
        if (address := self.arns(scope).get(text)) and self.fits(ref, address, text, scope):
            return address, ""
        for section in ref.sections:
            for form in self.kinds[section].arn_forms if section in self.kinds else ():
                if match := re.fullmatch(form, text):
                    address = self.of_name(section, match["name"]) or Address(section, match["name"])
                    if address in self.declared and self.declared[address].name == match["name"]:
                        return address, match.groupdict().get("rest") or ""
        return None

    def arns(self, scope: Scope) -> Mapping[str, Address]:
        """The ARNs that follow from the names of the declared resources."""
        if scope not in self.by_arn:
            every = (
                (self.kinds[address.section].attrs(scope, resource.name, resource.props).get("arn"), address)
                for address, resource in self.declared.items()
                if address.section in self.kinds
            )
            self.by_arn[scope] = {arn: address for arn, address in every if arn}
        return self.by_arn[scope]

    def fits(self, ref: Ref, address: Address, arn: str, scope: Scope) -> bool:
        """Whether the property takes it: of one of its sections, or shared with ARNs of the same form.

        A service-linked role is a role.
        """
        kind = self.kinds.get(ref.section)
        if address.section in ref.sections or kind is None:
            return address.section in ref.sections
        form = kind.attrs(scope, "NAME", {}).get("arn", "").partition("NAME")
        return self.kinds[address.section].shared and bool(form[1]) and arn.startswith(form[0])

    def written(self, ref: Ref, address: Address, rest: str) -> Any:
        """The reference as it could have been written: the plain name, or an expression where that means another."""
        named = [section for section in ref.sections if Address(section, address.name) in self.declared]
        if not rest and named[:1] == [address.section] and not re.match(ref.literal, address.name):
            return address.name
        reference = Reference("resource", f"${{{address}.{ref.attr}}}", address, ref.attr)
        return Template((reference, rest) if rest else (reference,))


def _of_no_address(resource: Resource, kind: Kind) -> Sequence[tuple[Path, Ref, Any]]:
    """The references that are not by an expression for a resource.

    Nothing here keeps what else is declared: that would be a cycle, and the command line frees none.
    """
    if "of_no_address" not in resource.memo:
        rest = [site for site in references.reference_sites(resource, kind) if not references.names_resource(site[2])]
        resource.memo["of_no_address"] = rest or ()
    found: Sequence[tuple[Path, Ref, Any]] = resource.memo["of_no_address"]
    return found


def link(
    resources: Mapping[Address, Resource],
    kinds: Mapping[str, Kind],
    place: Place,
    lives: Mapping[str, Iterable[Live]] = EMPTY,
    lookups: Mapping[str, Any] = EMPTY,
) -> dict[Address, Resource]:
    """The declared resources, which refer to each other by name or expression only; unchanged ones are the same."""
    linker = Linker(kinds, resources, place, lives, lookups)
    return {address: linker.linked(resource) for address, resource in resources.items()}


def linked_environment(
    env: Environment, kinds: Mapping[str, Kind], scope: Scope, lives: Mapping[str, Iterable[Live]], lookups: Any
) -> Environment:
    """The environment in its account, where the ids of what exists are known as well."""
    place = Place(environment=scope.environment, account=scope.account, region=scope.region)
    return replace(env, resources=link(env.resources, kinds, place, lives, lookups))
