"""Checks that a property refers to a resource of the right kind, without calling AWS.

A reference that resolves may still be wrong: the ARN of a role where an instance profile is required, a resource in
another account or Region, a role that does not trust the service it is passed to, a look-up of VPCs where subnets are
required. AWS reports these late and unclearly, or not at all. The kinds declare what each property takes
(``Kind.refs``, ``Kind.lookups``, ``Kind.passes_roles``) and check the rest themselves (``Kind.relations``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from reconciler.config import references
from reconciler.config.loader import LoadedEnvironment
from reconciler.model import Address, Declared, Finding, Kind, Path, Ref, Reference, Resource, Scope, Template
from reconciler.model import problem_codes as codes
from reconciler.model.identity import once_for_each_object
from reconciler.model.lookups import LOOKUP_KINDS
from reconciler.model.paths import dotted, values_at
from reconciler.model.problems import Problem
from reconciler.model.when_used import when_used

with when_used():
    from reconciler.checks.findings import as_problem

_NAME = "NAME"

# the kind of look-up that each argument of a look-up takes
_ARGUMENTS = {
    "vpcId": "vpc",
    "subnetIds[]": "subnets",
    "groupId": "securityGroup",
    "imageId": "image",
    "fileSystemId": "fileSystem",
}


def problems(
    loaded: LoadedEnvironment, kinds: Mapping[str, Kind], resources: Mapping[Address, Resource]
) -> Iterator[Problem]:
    """The references of resources and look-ups to something that the property cannot take."""
    checker = TargetChecker(loaded, kinds, resources)
    for resource in resources.values():
        for finding in checker.of(resource):
            yield as_problem(finding, resource.address, resource.at(finding.path))
    for lookup in loaded.lookups.values():
        for finding in checker.lookups(references.templated(lookup.args), _ARGUMENTS):
            yield as_problem(finding, f"lookups.{lookup.name}", lookup.pos)


class TargetChecker:
    """Finds wrong references among ``resources``, which are those that passed their own checks."""

    def __init__(
        self, loaded: LoadedEnvironment, kinds: Mapping[str, Kind], resources: Mapping[Address, Resource]
    ) -> None:
        self.loaded = loaded
        self.kinds = kinds
        self.declared = Declared(resources, loaded.sections, account=loaded.account, region=loaded.region)
        self.trusted: dict[Address, frozenset[str] | None] = {}
        self.taken: dict[str, dict[str, str]] = {}

    def of(self, resource: Resource) -> Iterator[Finding]:
        """The findings of one resource, those of its kind's ``relations`` included."""
        kind = self.kinds[resource.address.section]
        for path, ref, value in references.reference_sites(resource, kind):
            if isinstance(value, Template):
                yield from self.expression(path, value, ref)
            elif isinstance(value, str) and value.startswith("arn:"):
                yield from self.arn(path, value, ref)
            elif value == "" and not ref.optional and not re.match(ref.literal, ""):
                noun = self.kinds[ref.section].name if ref.section in self.kinds else "name"
                yield Finding(path, f"{_member(path)} is empty", f"name {_a(noun)}, or leave it out")
        for path, ref, service, value in references.passed_roles(resource, kind):
            yield from self.trust(path, value, ref, service)
        if kind.assigned_by_aws:
            yield from self.self_reference(resource, kind)
        if self.loaded.lookups:
            yield from self.lookups(references.within(resource), self.looked_up(kind))
        yield from kind.relations(resource, self.declared)
        if _has_ambiguous_names(kind):
            yield from self.namesakes(resource, kind)

    # --- references ---------------------------------------------------------------------------------------------------

    def expression(self, path: Path, value: Template, ref: Ref) -> Iterator[Finding]:
        """An expression that refers to another kind of resource, or to a name where AWS requires the id."""
        part = value.whole
        if part is None or part.address is None or ref.optional or ref.also:
            return
        section = part.address.section
        if section not in self.kinds or ref.section not in self.kinds:
            return
        if section != ref.section and part.attr in ("arn", "id") and not self.has_such_arns(part.address, ref):
            wanted, other = _a(self.kinds[ref.section].name), _a(self.kinds[section].name)
            namesake = Address(ref.section, part.address.name)
            hint = f"name one of {ref.section}"
            if namesake.name in self.loaded.sections.get(ref.section, {}):
                hint = f"did you mean ${{{namesake}.{ref.attr}}}?"
            yield Finding(path, f"{_member(path)} takes {wanted}, but {part.text} is {other}", hint)
        elif section == ref.section and ref.attr == "id" and part.attr != "id":
            hint = f"write ${{{part.address}.id}}, or just {part.address.name}"
            yield Finding(path, f"{_member(path)} takes an id, but {part.text} is not one", hint)

    def has_such_arns(self, address: Address, ref: Ref) -> bool:
        """Whether the ARN of a declared resource is one that the property takes: a service-linked role is a role."""
        resource, form, kind = self.declared.resources.get(address), self.form(ref.section), self.kinds[address.section]
        if resource is None or form is None or not kind.shared:
            return False
        scope = Scope("123456789012", "us-east-1", "aws", self.loaded.name)
        parts = kind.attrs(scope, resource.name, resource.props).get("arn", "").split(":", 5)
        return parts[2:3] == [form[0]] and parts[-1].startswith(form[1])

    def namesakes(self, resource: Resource, kind: Kind) -> Iterator[Finding]:
        """A warning for a plain name that several resources have, each of which the property could take."""
        for path, ref, name in references.plain_names(resource, kind):
            if len(ref.sections) == 1:
                continue
            meant = [
                Address(section, name) for section in ref.sections if name in self.loaded.sections.get(section, {})
            ]
            if len(meant) > 1:
                nouns = " and ".join(_a(self.kinds[one.section].name) for one in meant)
                hint = f"for the other write ${{{meant[1]}.{ref.attr}}}, or rename one"
                message = f'"{name}" is {nouns}; here it means the {self.kinds[meant[0].section].name}'
                yield Finding(path, message, hint, codes.MISFIT, warning=True)

    def arn(self, path: Path, value: str, ref: Ref) -> Iterator[Finding]:
        """A literal ARN that is malformed, of another kind of resource, or in another account or Region."""
        expected = self.form(ref.section)
        parts = value.split(":", 5)
        if not expected or ref.optional or ref.also:
            return
        wanted = _a(self.kinds[ref.section].name)
        account = parts[4] if len(parts) == 6 else ""
        aws = ref.aws_managed and account == "aws"
        if len(parts) < 6 or not (aws or re.fullmatch(r"\d{12}", account)) or parts[5] == expected[1]:
            region = "" if expected[0] == "iam" else "REGION"
            hint = f"it looks like arn:aws:{expected[0]}:{region}:123456789012:{expected[1]}{_NAME}"
            yield Finding(path, f'"{value}" is not the ARN of {wanted}', hint)
        elif parts[2] != expected[0] or not parts[5].startswith(expected[1]):
            other = self.named(parts[2], parts[5])
            shown = f"but the ARN is that of {other}" if other else f'but "{value}" is the ARN of something else'
            yield Finding(path, f"{_member(path)} takes {wanted}, {shown}", f"give the name or ARN of {wanted}")
        elif ref.same_account_and_region:
            for message in self.declared.outside(value):
                yield Finding(path, message, "write only the name; the rest is filled in")

    def form(self, section: str) -> tuple[str, str] | None:
        """The service of a section's ARNs, and how their last part begins; None if its kind has no ARN from a name."""
        kind = self.kinds.get(section)
        scope = Scope("123456789012", "us-east-1", "aws", self.loaded.name)
        arn = kind.attrs(scope, _NAME, {}).get("arn") if kind else None
        if not arn or _NAME not in arn:
            return None
        parts = arn.split(":", 5)
        return parts[2], parts[5].partition(_NAME)[0]

    def named(self, service: str, rest: str) -> str:
        """What an ARN with this service and last part is: ``an IAM role``; empty if no kind has such ARNs."""
        for section in self.kinds:
            form = self.form(section)
            if form and form[1] and form[0] == service and rest.startswith(form[1]):
                return _a(self.kinds[section].name)
        return ""

    def self_reference(self, resource: Resource, kind: Kind) -> Iterator[Finding]:
        """References of a resource to its own attributes that AWS assigns when it creates the resource."""
        own = resource.address
        for path, part in references.references(references.expressions(resource)):
            if part.address is None or part.address != own or part.attr not in kind.assigned_by_aws:
                continue
            late = (at for name, ref in kind.refs.items() if ref.late for at, _ in values_at(resource.props, name))
            if path not in late:
                message = f"AWS assigns {part.text} when it creates the resource, so the resource cannot refer to it"
                yield Finding(path, message, "remove the reference")

    # --- trust and look-ups -------------------------------------------------------------------------------------------

    def trust(self, path: Path, value: Any, ref: Ref, service: str) -> Iterator[Finding]:
        """A warning for a role that is passed to a service which it does not trust."""
        kind, passed = self.kinds.get(ref.section), self.declared.resource(ref.section, value)
        if not (kind and passed and kind.trusts):
            return
        if passed.address not in self.trusted:  # a role is passed by many
            self.trusted[passed.address] = kind.trusts(passed.props)
        trusted = self.trusted[passed.address]
        if trusted is not None and service not in trusted:
            now = f"it trusts {', '.join(sorted(trusted))}" if trusted else "it trusts no service"
            message = f"the {kind.name} {passed.address.name} does not trust {service}, which uses it here"
            yield Finding(path, message, f"{now}; add {service} to its trust", codes.MISFIT, warning=True)

    def looked_up(self, kind: Kind) -> dict[str, str]:
        """The kind of look-up for each property that takes one, or names one resource of a kind with look-ups."""
        if kind.section not in self.taken:
            targets = {
                path: self.kinds.get(ref.section) for path, ref in kind.refs.items() if not (ref.also or ref.optional)
            }
            found = {path: target.lookup for path, target in targets.items() if target and target.lookup}
            self.taken[kind.section] = {**found, **kind.lookups}
        return self.taken[kind.section]

    def lookups(self, written: Iterable[tuple[Path, Template]], takes: Mapping[str, str]) -> Iterator[Finding]:
        """Look-ups of the wrong kind. ``takes`` maps paths to the kind of look-up that each takes."""
        for path, value in written:
            for part in value.parts:
                lookup = self.loaded.lookups.get(part.attr) if isinstance(part, Reference) else None
                if lookup is None or not isinstance(part, Reference) or part.root != "lookups":
                    continue
                pattern = _pattern(path)
                of_list = takes.get(f"{pattern}[]")
                taken, member, kind = of_list or takes.get(pattern), _member(path), LOOKUP_KINDS[lookup.kind]
                if not value.whole:
                    if kind.many:
                        message = f"{part.text} is a list of {kind.noun} and cannot be part of a text"
                        yield Finding(path, message, "use it as the whole value")
                elif taken and lookup.kind != taken and not kind.anything:
                    noun = LOOKUP_KINDS[taken].noun
                    right = [name for name, one in sorted(self.loaded.lookups.items()) if one.kind == taken]
                    hint = f"did you mean ${{lookups.{right[0]}}}?" if right else f"look up {noun} instead"
                    message = f"{member} takes {noun}, but {part.text} looks up {kind.noun}"
                    yield Finding(path, message, hint)
                elif of_list and not kind.many:
                    yield Finding(path, f"{member} is a list, but {part.text} is one value", f'write ["{part.text}"]')


@once_for_each_object
def _has_ambiguous_names(kind: Kind) -> bool:
    return any(len(ref.sections) > 1 for ref in kind.refs.values())


def _member(path: Path) -> str:
    return next((part for part in reversed(path) if isinstance(part, str)), "")


def _pattern(path: Path) -> str:
    """A path in the form that kinds use: ``a.b[].c``."""
    return dotted(tuple("[]" if isinstance(part, int) else part for part in path)).replace(".[]", "[]")


def _a(noun: str) -> str:
    return f"{'an' if noun[:1] in 'aeioAEIO' else 'a'} {noun}"
