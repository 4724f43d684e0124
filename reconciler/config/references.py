"""References: which resource a value names, and the value that replaces it.

A reference is a path in ``Kind.refs``, a ``${...}`` expression or a ``lifecycle.dependsOn`` entry; ordering treats
all three alike. A plain name is searched among the declared resources first, then in the account.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from operator import is_
from typing import Any, NamedTuple, TypeAlias

from reconciler.model import MISSING, Address, Json, Kind, Path, Ref, Reference, Resource, Scope, Template, Text
from reconciler.model import problem_codes as codes
from reconciler.model.identity import once_for_each_object
from reconciler.model.paths import dotted, values_by
from reconciler.model.problems import Problem, did_you_mean
from reconciler.model.records import dataclass
from reconciler.model.stand_ins import SCALARS, replace

Kinds = Mapping[str, Kind]
Templates: TypeAlias = Sequence[tuple[Path, Template]]


class Use(NamedTuple):
    """One place where a resource names another."""

    path: Path
    target: Address
    ref: Ref


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolutionContext:
    """What references are resolved against.

    declared   attributes of the declared resources: plain values, or Later where AWS assigns them
    existing   attributes of resources named but not declared, by (section, name); None: it does not exist
    lookups    the values of the environment's look-ups
    names      the declared addresses, for suggestions
    unseen     hints for what could not be read, by (section, name); for a look-up ("lookups", name)
    """

    scope: Scope
    declared: Callable[[Address], Mapping[str, Any] | None]
    existing: Mapping[tuple[str, str], Mapping[str, str] | None] = field(default_factory=dict)
    lookups: Mapping[str, Any] = field(default_factory=dict)
    names: Collection[Address] = ()
    unseen: Mapping[tuple[str, str], str] = field(default_factory=dict)


def templates(value: Any, path: Path = ()) -> Iterator[tuple[Path, Reference]]:
    """Every expression inside ``value`` that is not filled in yet."""
    return references(templated(value, path))


def references(written: Iterable[tuple[Path, Template]]) -> Iterator[tuple[Path, Reference]]:
    """Every expression in texts that :func:`templated` has found."""
    return ((at, part) for at, template in written for part in template.parts if isinstance(part, Reference))


def expressions(resource: Resource) -> list[tuple[Path, Template]]:
    """Every text of a resource, its tags included, with expressions that are not filled in yet."""
    if "expressions" not in resource.memo:
        resource.memo["expressions"] = [*within(resource), *templated(resource.tags, ("tags",))]
    found: list[tuple[Path, Template]] = resource.memo["expressions"]
    return found


def within(resource: Resource) -> list[tuple[Path, Template]]:
    """The same, in its properties only."""
    if "templates" not in resource.memo:
        resource.memo["templates"] = templated(resource.props)
    found: list[tuple[Path, Template]] = resource.memo["templates"]
    return found


def remember(resource: Resource, given: Json, found: Templates) -> None:
    """Note the templates of its properties, if they are still those of ``given``, in which ``found`` are."""
    if all(map(is_, resource.props.values(), map(given.get, resource.props))):
        resource.memo["templates"] = [one for one in found if one[0][0] in resource.props]


def templated(value: Any, path: Path = ()) -> list[tuple[Path, Template]]:
    """Every text inside ``value`` with expressions that are not filled in yet."""
    return [((*path, *at), template) for at, template in _gathered(value)]


def _gathered(value: Any) -> list[tuple[Path, Template]]:
    """The same with paths relative to ``value``: they are built on the way back, since most values have none."""
    if isinstance(value, Template):
        return [((), value)]
    members: Iterable[tuple[Any, Any]] = ()
    if type(value) is dict or (type(value) is not list and isinstance(value, Mapping)):  # isinstance is slow for others
        members = value.items()
    elif isinstance(value, list | tuple):
        members = enumerate(value)
    found: list[tuple[Path, Template]] = []
    for name, item in members:
        if type(item) not in SCALARS and (below := _gathered(item)):
            found += [((name, *at), template) for at, template in below]
    return found


def reference_sites(resource: Resource, kind: Kind) -> list[tuple[Path, Ref, Any]]:
    """Every value at a path of ``kind.refs``, of any type."""
    if "sites" not in resource.memo:
        sites = list(values_by(resource.props, _with_services(kind)))
        resource.memo["sites"] = [(path, ref, value) for path, (ref, _), value in sites]
        resource.memo["passed"] = [(path, ref, to, value) for path, (ref, to), value in sites if to]
    found: list[tuple[Path, Ref, Any]] = resource.memo["sites"]
    return found


def passed_roles(resource: Resource, kind: Kind) -> list[tuple[Path, Ref, str, Any]]:
    """Every value at a path of ``kind.passes_roles``, with the service that gets the role."""
    reference_sites(resource, kind)
    found: list[tuple[Path, Ref, str, Any]] = resource.memo["passed"]
    return found


@once_for_each_object
def _with_services(kind: Kind) -> Mapping[str, tuple[Ref, str]]:
    """``kind.refs``, each with the service that gets the role it names; empty where it names none."""
    return {path: (ref, kind.passes_roles.get(path, "")) for path, ref in kind.refs.items()}


def plain_names(resource: Resource, kind: Kind) -> list[tuple[Path, Ref, str]]:
    """Every plain name at a path of ``kind.refs``: not an expression, and not what the API takes (an ARN, an id)."""
    if "names" not in resource.memo:
        resource.memo["names"] = [
            site
            for site in reference_sites(resource, kind)
            if isinstance(site[2], str) and not re.match(site[1].literal, site[2])
        ]
    found: list[tuple[Path, Ref, str]] = resource.memo["names"]
    return found


def dependencies(resource: Resource, kinds: Kinds, declared: Mapping[Address, Any]) -> list[Use]:
    """The declared resources that ``resource`` refers to, itself included where it names itself."""
    if "uses" not in resource.memo:
        every = list(_uses(resource, kinds[resource.address.section]))
        resource.memo["uses"] = every, all(isinstance(one, Use) for one in every)
    possible, one_meaning = resource.memo["uses"]
    if one_meaning:  # as most have
        return [use for use in possible if use.target in declared]
    found: list[Use] = []
    for one in possible:
        if isinstance(one, Use):
            found += (one,) if one.target in declared else ()
        else:
            found += [use for use in one if use.target in declared][:1]
    return found


def _uses(resource: Resource, kind: Kind) -> Iterator[Use | tuple[Use, ...]]:
    """What ``resource`` refers to if it is declared; together what a name can mean, of which the first counts."""
    yield from (Use((), target, Ref(section=target.section)) for target in resource.lifecycle.depends_on)
    known: set[Path] = set()
    for path, ref, value in reference_sites(resource, kind):
        if isinstance(value, Template):
            for part in value.parts:
                if isinstance(part, Reference) and part.address is not None:
                    known.add(path)
                    yield Use(path, part.address, ref)
        elif isinstance(value, str) and ref.also:
            yield tuple(Use(path, Address(section, value), ref) for section in ref.sections)
        elif isinstance(value, str):
            yield Use(path, Address(ref.section, value), ref)
    for path, part in references(expressions(resource)):
        if part.address is not None and path not in known:
            late = path[0] in kind.sent_later
            yield Use(path, part.address, Ref(section=part.address.section, holds=False, late=late))


def names_to_find(
    resources: Mapping[Address, Resource], kinds: Kinds
) -> dict[tuple[str, str], tuple[Resource, Path, Ref]]:
    """The plain names that are not declared, by (section, name), with the first place that needs each."""
    wanted: dict[tuple[str, str], tuple[Resource, Path, Ref]] = {}
    for resource in resources.values():
        for path, ref, name in plain_names(resource, kinds[resource.address.section]):
            if not ref.optional and all((section, name) not in resources for section in ref.sections):
                for section in ref.sections:
                    wanted.setdefault((section, name), (resource, path, ref))
    return wanted


def shared_to_find(resource: Resource, kinds: Kinds, scope: Scope) -> list[tuple[tuple[str, str], Path]]:
    """What belongs to the account (a service-linked role) and is given by its ARN, by (section, name).

    An ARN is not looked for otherwise. But these are made by a service when they are first needed, not when they are
    named: in a new account the ARN that works in all others is of nothing.
    """
    if (of := resource.memo.get("scope")) is scope or of == scope:
        known: list[tuple[tuple[str, str], Path]] = resource.memo["shared"]
        return known
    inside, wanted = f":{scope.account}:", []
    for path, _, value in reference_sites(resource, kinds[resource.address.section]):
        if type(value) is str and inside not in value:
            continue  # as most
        if names_resource(value):
            continue
        arn = fill(value, ResolutionContext(scope=scope, declared=_nothing)) if isinstance(value, Template) else value
        if isinstance(arn, str) and inside in arn:
            for kind in (kind for kind in kinds.values() if kind.shared):
                found = next((match for form in kind.arn_forms if (match := re.fullmatch(form, arn))), None)
                if found:
                    wanted.append(((kind.section, found["name"]), path))
    resource.memo.update(scope=scope, shared=wanted)
    return wanted


def names_resource(value: Any) -> bool:
    """Whether an expression in ``value`` is of a declared resource."""
    return isinstance(value, Template) and any(isinstance(part, Reference) and part.address for part in value.parts)


def _nothing(_: Address) -> None:
    """No resource is known."""


def resolve(resource: Resource, kind: Kind, kinds: Kinds, world: ResolutionContext) -> tuple[Json, list[Problem]]:
    """``resource.props`` with every reference replaced: by a value, or by Later or Text where AWS assigns it.

    The problems are those of references that cannot be resolved.
    """
    problems: list[Problem] = []
    found: dict[Path, Any] = {}
    for path, template in within(resource):
        found[path] = _filled(template, resource, path, world, problems)
    for path, ref, name in plain_names(resource, kind):
        found[path] = _named(ref, name, resource, path, kinds, world, problems)
    for (section, name), path in shared_to_find(resource, kinds, world.scope):
        if (section, name) in world.existing and world.existing[section, name] is None:
            problems.append(_missing(Address(section, name), kinds[section], resource, path))
    return put(resource.props, found), problems


def _missing(shared: Address, kind: Kind, resource: Resource, path: Path) -> Problem:
    return Problem(
        code=codes.UNKNOWN_REFERENCE,
        message=f"the account has no {kind.name} of {shared.name} yet",
        hint=f"leave {dotted(path)} out, or declare {shared}",
        address=str(resource.address),
        path=dotted(path),
        pos=resource.at(path),
    )


def put(props: Json, found: Mapping[Path, Any]) -> Json:
    """``props`` with the values of ``found`` at their paths."""
    done: Json = _put(props, _branched(found)) if found else props
    return done


def _branched(found: Mapping[Path, Any]) -> Any:
    """Values by path as a tree of dictionaries by step, in which the value at the end of a path is in a tuple."""
    if () in found:
        return (found[()],)
    tree: dict[Any, Any] = {}
    for path, value in found.items():
        node = tree
        for step in path[:-1]:
            node = node.setdefault(step, {})
        node[path[-1]] = (value,)
    return tree


def _put(value: Any, tree: Any, *, splice: bool = True) -> Any:
    """``value`` with the values of ``tree`` at their places; everything else is the same object as before."""
    if type(tree) is tuple:
        return tree[0]
    if type(value) is dict or (type(value) is not list and isinstance(value, Mapping)):
        done = dict(value)
        for name, below in tree.items():
            done[name] = below[0] if type(below) is tuple else _put(value[name], below, splice=splice)
        return done
    flat: list[Any] = []
    for index, item in enumerate(value):
        done = _put(item, tree[index], splice=splice) if index in tree else item
        # a whole expression that is a list, inside a list, is spliced in: subnets: ["${lookups.subnets}"]
        flat += done if splice and isinstance(item, Template) and isinstance(done, list) else [done]
    return flat


def resolve_tags(resource: Resource, world: ResolutionContext) -> tuple[dict[str, Any], list[Problem]]:
    """The declared tags with their expressions filled in."""
    problems: list[Problem] = []
    tags = {
        name: _filled(value, resource, ("tags", name), world, problems) if isinstance(value, Template) else value
        for name, value in resource.tags.items()
    }
    return tags, problems


def resolve_known(resource: Resource, world: ResolutionContext) -> Json:
    """The properties of a resource, with every expression filled in whose value is known."""
    found = {path: fill(template, world) for path, template in within(resource)}
    return _put(resource.props, _branched(found), splice=False) if found else resource.props


def fill(value: Any, world: ResolutionContext) -> Any:
    """``value`` with its expressions filled in; one whose value is unknown remains a Template (between look-ups)."""

    def filled(value: Any) -> Any:
        if not isinstance(value, Template):
            return value
        parts = [part if isinstance(part, str) else _value(part, world) for part in value.parts]
        return value if MISSING in parts else _joined(parts)

    return replace(value, filled)


def _named(
    ref: Ref, name: str, resource: Resource, path: Path, kinds: Kinds, world: ResolutionContext, problems: list[Problem]
) -> Any:
    attrs = _attributes(ref, name, world)
    if attrs is not None and ref.attr in attrs:
        return attrs[ref.attr]
    if unseen := next((section for section in ref.sections if (section, name) in world.unseen), ""):
        problems.append(_unseen(Address(unseen, name), resource, path, world))
    elif not ref.optional:
        noun = " or ".join(kinds[section].name if section in kinds else section for section in ref.sections)
        addresses = " and ".join(f"{section}.{name}" for section in ref.sections)
        looked = (
            f"looked for {addresses} in this environment, then in account {world.scope.account} ({world.scope.region})"
        )
        near = did_you_mean(name, [known.name for known in world.names if known.section in ref.sections])
        problems.append(
            Problem(
                code=codes.UNKNOWN_REFERENCE,
                message=f'there is no {noun} "{name}"',
                hint="\n".join(filter(None, [near, f"{looked}; declare it, or give a full ARN or id"])),
                address=str(resource.address),
                path=dotted(path),
                pos=resource.at(path),
            )
        )
    return name


def _attributes(ref: Ref, name: str, world: ResolutionContext) -> Mapping[str, Any] | None:
    """The attributes of the first that the name can mean: a declared resource, else one in the account."""
    for section in ref.sections:
        if (found := world.declared(Address(section, name))) is not None:
            return found
    existing = (world.existing.get((section, name)) for section in ref.sections)
    return next((one for one in existing if one is not None), None)


def _filled(value: Template, resource: Resource, path: Path, world: ResolutionContext, problems: list[Problem]) -> Any:
    parts: list[Any] = []
    for part in value.parts:
        found = part if isinstance(part, str) else _value(part, world)
        if found is MISSING and isinstance(part, Reference):
            problems.append(_unfilled(part, resource, path, world))
            found = ""
        parts.append(found)
    if len(parts) > 1 and any(isinstance(part, list | Mapping) for part in parts):
        problems.append(
            Problem(
                code=codes.NOT_TEXT,
                message=f"{value} puts a list or mapping inside a text",
                hint="use the expression alone as the value, so that it keeps its type",
                address=str(resource.address),
                path=dotted(path),
                pos=resource.at(path),
            )
        )
        return ""
    return _joined(parts)


def _unfilled(part: Reference, resource: Resource, path: Path, world: ResolutionContext) -> Problem:
    hint = ""
    if part.root == "lookups" and ("lookups", part.attr) in world.unseen:
        return _unseen(Address("lookups", part.attr), resource, path, world)
    if part.address is not None:
        attrs = world.declared(part.address) or {}
        hint = did_you_mean(part.attr, attrs) or (f"it has {', '.join(sorted(attrs))}" if attrs else "")
    return Problem(
        code=codes.UNKNOWN_REFERENCE,
        message=f"{part.text} has no value",
        hint=hint,
        address=str(resource.address),
        path=dotted(path),
        pos=resource.at(path),
    )


def _unseen(what: Address, resource: Resource, path: Path, world: ResolutionContext) -> Problem:
    return problem_unplanned(resource, path, f"{what}, which cannot be read", world.unseen[what.section, what.name])


def problem_unplanned(resource: Resource, path: Path, needs: str, hint: str) -> Problem:
    """The problem of a resource that is not planned, because something it refers to cannot be read."""
    return Problem(
        code=codes.UNREADABLE,
        message=f"not planned: it depends on {needs}",
        hint=hint,
        address=str(resource.address),
        path=dotted(path),
        pos=resource.at(path),
    )


def _value(part: Reference, world: ResolutionContext) -> Any:
    if part.root == "resource" and part.address is not None:
        attrs = world.declared(part.address)
        return MISSING if attrs is None else attrs.get(part.attr, MISSING)
    if part.root == "lookups":
        return world.lookups.get(part.attr, MISSING)
    scope = {"account": world.scope.account, "region": world.scope.region, "partition": world.scope.partition}
    return scope.get(part.root, MISSING)


def _joined(parts: list[Any]) -> Any:
    if len(parts) == 1:
        return parts[0]
    if all(isinstance(part, str | int | float) for part in parts):
        return "".join(str(part).lower() if isinstance(part, bool) else str(part) for part in parts)
    return Text(tuple(parts))
