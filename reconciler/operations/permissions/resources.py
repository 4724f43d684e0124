"""The ARNs of what an environment declares and names, as patterns, without asking AWS.

What AWS assigns (ids, the last characters of a secret's ARN) is a wildcard, and so is what only the account shows: the
account and the Region where the environment does not say them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import field, replace
from typing import Any

from reconciler.config import references
from reconciler.model import EMPTY, Address, Environment, Json, Kind, Ref, Reference, Replace, Resource, Scope, Template
from reconciler.model.paths import values_at
from reconciler.model.records import dataclass
from reconciler.operations.permissions import actions


@dataclass(frozen=True, slots=True)
class Passed:
    """A role that a service is let have: its ARNs, and those that the request names: of the role, or of its profile.

    ``path`` is the property that names it, as in ``Kind.passes_roles``.
    """

    path: str
    service: str
    roles: tuple[str, ...]
    named: tuple[str, ...]


@dataclass(slots=True)
class Estate:
    """The declared resources with their ARNs. ``notes`` collects what is wider than it would have to be, in words."""

    env: Environment
    kinds: Mapping[str, Kind]
    scope: Scope
    notes: dict[str, None] = field(default_factory=dict)
    _known: dict[Address, Resource] = field(default_factory=dict)

    def declared(self, section: str) -> list[Resource]:
        """The resources of a section, with their expressions filled in as far as they are known."""
        return [self.known(address) for address in self.env.resources if address.section == section]

    def known(self, address: Address) -> Resource:
        """A declared resource with its expressions filled in as far as they are known."""
        if address not in self._known:
            here = references.ResolutionContext(scope=self.scope, declared=lambda _: None)
            one = self.env.resources[address]
            self._known[address] = replace(one, props=references.resolve_known(one, here))
        return self._known[address]

    def of_name(self, section: str, name: str, props: Json = EMPTY) -> tuple[str, ...]:
        """The ARNs of an object by its physical name; none where AWS assigns them."""
        kind = self.kinds[section]
        if kind.access.arns:
            return tuple(kind.access.arns(self.scope, name, props))
        arn = kind.attrs(self.scope, name, props).get("arn")
        return (arn,) if arn else ()

    def own(self, resource: Resource, *, derived: bool = True) -> tuple[str, ...]:
        """The ARNs of a declared resource, with ``derived`` also under the names of its replacements; see `of_name`."""
        kind = self.kinds[resource.address.section]
        names = [resource.name]
        replaced = kind.replace in (Replace.CREATE_FIRST, Replace.DECLARED) or resource.lifecycle.replace
        if derived and replaced:
            mark = "_" if kind.reserved_prefix and f"{resource.name}-".lower().startswith(kind.reserved_prefix) else "-"
            names.append(f"{resource.name[: kind.max_name - 9]}{mark}*")
        props = self.placed(resource)
        return tuple(dict.fromkeys(arn for name in names for arn in self.of_name(kind.section, name, props)))

    def placed(self, resource: Resource) -> Json:
        """The properties, with the physical name of a declared container."""
        container = self.kinds[resource.address.section].container
        name = resource.props.get(container.member) if container else None
        above = (
            self.env.resources.get(Address(container.section, name)) if container and isinstance(name, str) else None
        )
        return {**resource.props, container.member: above.name} if container and above else resource.props

    def named(self, resource: Resource) -> Iterator[tuple[str, str]]:
        """Section and ARN of everything that the references of a resource name."""
        for _, ref, value in references.reference_sites(resource, self.kinds[resource.address.section]):
            for arn in self.at(ref, value):
                yield ref.section, arn

    def at(self, ref: Ref, value: Any) -> tuple[str, ...]:
        """The ARNs that a value at a reference may stand for; none where it is an id, or cannot be known."""
        if isinstance(value, Template):
            part = value.whole
            return self._of_expression(part) if part else ()
        if not isinstance(value, str):
            return ()
        if value.startswith("arn:"):
            return (value,)
        for section in ref.sections:
            if Address(section, value) in self.env.resources:
                return self.own(self.known(Address(section, value)))
        if re.match(ref.literal, value):
            return ()
        return tuple(arn for section in ref.sections if section in self.kinds for arn in self.of_name(section, value))

    def _of_expression(self, part: Reference) -> tuple[str, ...]:
        if part.address is not None and part.address in self.env.resources:
            return self.own(self.known(part.address))
        if part.root == "lookups" and part.attr in self.env.lookups:
            from reconciler.account import lookups  # noqa: PLC0415  (what it imports is not needed without look-ups)

            return lookups.permission(self.env.lookups[part.attr], self.scope)[1]
        return ()

    def passed_roles(self, resource: Resource) -> Iterator[Passed]:
        """The roles that a resource lets services have (``Kind.passes_roles``)."""
        kind = self.kinds[resource.address.section]
        for path, service in kind.passes_roles.items():
            for _, value in values_at(resource.props, path):
                named = self.at(kind.refs[path], value)
                if named:
                    yield Passed(path, service, self._roles(kind.refs[path], value, named, resource), named)

    def _roles(self, ref: Ref, value: Any, named: tuple[str, ...], user: Resource) -> tuple[str, ...]:
        """The ARNs of the role that a reference names: by itself, or through a profile that has it."""
        form = actions.form("iam:role", self.scope)
        if roles := tuple(arn for arn in named if form.fullmatch(arn)):
            return roles
        whole = value.whole.address if isinstance(value, Template) and value.whole else None
        profile = self.env.resources.get(whole or Address(ref.section, str(value)))
        if profile is not None:
            return tuple(arn for one in self.passed_roles(self.known(profile.address)) for arn in one.roles)
        note = "names an instance profile that is not declared here: the role in it is not known, so any may be passed"
        self.notes[f"{user.address} {note}"] = None
        return (actions.pattern("iam:role", self.scope),)


def texts(value: Any) -> Iterator[str]:
    """Every text in a value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from texts(item)
