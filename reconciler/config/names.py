"""Physical names: what AWS calls a resource that is declared under a logical name.

The physical name is the logical one after ``namePrefix``, or what the API's own name member gives, which takes no
prefix. Service-linked roles, and names that begin with a slash, have no prefix. Expressions in names are filled in
before the account is read, so they may need the account and the Region, and nothing else of AWS.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from reconciler.config.loader import LoadedEnvironment
from reconciler.config.physical import folded
from reconciler.config.references import templated
from reconciler.model import Address, Environment, Kind, Reference, Scope, Template
from reconciler.model import problem_codes as codes
from reconciler.model.declared import partition_of
from reconciler.model.problems import Problem

_EARLY = ("account", "region", "partition", "env")  # an unset environment variable is reported by itself
_SOMEWHERE = ("123456789012", "us-east-1")


def physical_names(loaded: LoadedEnvironment, kinds: Mapping[str, Kind]) -> dict[Address, Any]:
    """The physical name of each declared resource: a text, or a template that needs the account or the Region."""
    found: dict[Address, Any] = {}
    for section, raws in loaded.sections.items():
        if section in kinds and not kinds[section].named_below:
            for name, raw in raws.items():
                found[Address(section, name)] = _named(loaded.name_prefix, name, raw.value, kinds[section])
    for section, raws in loaded.sections.items():
        if section in kinds and (above := kinds[section].named_below):
            for name, raw in raws.items():
                first, slash, rest = name.partition("/")
                whole = found.get(Address(above, first), first)
                given = raw.value.get(kinds[section].name_member) or rest
                found[Address(section, name)] = _joined(whole, slash, given)
    return found


def _named(prefix: Any, name: str, value: Mapping[str, Any], kind: Kind) -> Any:
    given = value.get(kind.name_member) if kind.name_member else None
    if isinstance(given, str | Template) and given:
        return given
    return _joined(prefix, name) if prefix and not (kind.shared or name.startswith("/")) else name


def _joined(*texts: Any) -> Any:
    parts = [part for text in texts for part in (text.parts if isinstance(text, Template) else (str(text),)) if part]
    return Template(tuple(parts)) if any(isinstance(part, Reference) for part in parts) else "".join(map(str, parts))


def without_name(value: Mapping[str, Any], kind: Kind) -> Mapping[str, Any]:
    """The properties of a resource without the member that gives its name."""
    if not kind.name_member or not isinstance(value.get(kind.name_member), str | Template):
        return value
    return {member: item for member, item in value.items() if member != kind.name_member}


def filled(name: Any, account: str, region: str, partition: str) -> str:
    """A physical name as text."""
    if not isinstance(name, Template):
        return str(name)
    known = {"account": account, "region": region, "partition": partition}
    return "".join(part if isinstance(part, str) else known.get(part.root, "") for part in name.parts)


def likely(name: Any, loaded: LoadedEnvironment) -> str:
    """A physical name as text, with a usual account or Region where the environment does not name its own."""
    if not isinstance(name, Template):
        return str(name)
    account, region = loaded.account or _SOMEWHERE[0], loaded.region or _SOMEWHERE[1]
    return filled(name, account, region, partition_of(region, "aws"))


def in_account(env: Environment, scope: Scope) -> Environment:
    """The environment with all physical names as text."""
    resources = {
        address: replace(resource, physical=filled(resource.physical, scope.account, scope.region, scope.partition))
        if isinstance(resource.physical, Template)
        else resource
        for address, resource in env.resources.items()
    }
    prefix = filled(env.name_prefix, scope.account, scope.region, scope.partition)
    return replace(env, resources=resources, name_prefix=prefix)


def problems(loaded: LoadedEnvironment, kinds: Mapping[str, Kind], names: Mapping[Address, Any]) -> Iterator[Problem]:
    """Names with expressions that are not known in time, and names that two resources have."""
    for _, part in _late(loaded.name_prefix):
        message = f"{part.text} is not known before the account is read, so no name can contain it"
        pos = loaded.settings_pos.get(("namePrefix",))
        yield Problem(code=codes.BAD_EXPRESSION, message=message, hint=_HINT, path="namePrefix", pos=pos)
    seen: dict[tuple[str, str], Address] = {}
    for address, name in names.items():
        kind, raw = kinds[address.section], loaded.sections[address.section][address.name]
        member = kind.name_member
        for _, part in _late(raw.value.get(member)) if member else ():
            message = f"{part.text} is not known before the account is read, so no name can contain it"
            yield Problem(
                code=codes.BAD_EXPRESSION,
                message=message,
                hint=_HINT,
                address=str(address),
                path=member,
                pos=raw.at((member,)),
            )
        text = likely(name, loaded)
        other = seen.setdefault((address.section, folded(text, kind)), address)
        if other != address and folded(other.name, kind) != folded(address.name, kind):
            message = f'{other} has the physical name "{text}", too'
            hint = f"the other is declared at {loaded.sections[other.section][other.name].at()}"
            yield Problem(code=codes.DUPLICATE_RESOURCE, message=message, hint=hint, address=str(address), pos=raw.at())


_HINT = "${environment}, ${var.}, ${env:}, ${account} and ${region} can be used"


def _late(value: Any) -> Iterator[tuple[Any, Reference]]:
    for path, template in templated(value):
        for part in template.parts:
            if isinstance(part, Reference) and part.root not in _EARLY:
                yield path, part
