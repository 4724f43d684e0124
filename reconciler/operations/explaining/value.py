"""The value of one property in an environment: where it is from, and what changing it would do."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from reconciler.checks.setting_resources import completed
from reconciler.config import files, loader
from reconciler.config.files import Layer, Sources
from reconciler.config.given import Given
from reconciler.config.references import ResolutionContext, resolve_known
from reconciler.config.yaml.node import Node
from reconciler.kinds import discover
from reconciler.model import MISSING, Address, Effect, Environment, Json, Kind, Lifecycle, Path, Pos, Resource, Scope
from reconciler.model.declared import partition_of
from reconciler.model.masking import SENSITIVE
from reconciler.model.paths import dotted, located, values_at
from reconciler.model.patterns import regex
from reconciler.model.records import dataclass
from reconciler.operations.explaining import effects, plans
from reconciler.operations.explaining.field import plain
from reconciler.operations.explaining.schemas import Place
from reconciler.operations.session import Loaded
from reconciler.planning.canonical import with_defaults
from reconciler.planning.effects import effect_at
from reconciler.render.explanation import Change, Leaf, Origin, ValueFacts
from reconciler.render.mask import Mask
from reconciler.schema import registry
from reconciler.schema.fields import choices

_VARIABLE: Final = regex(r"(?<!\$)\$\{var\.([A-Za-z0-9_-]+)[^}]*\}")
_DEFAULT: Final = regex(r"(?<!\$)(\$\{env:[A-Za-z0-9_]+:-)[^}]*\}")
_SOMEWHERE: Final = "123456789012"
_REGION: Final = "eu-west-1"
_OF_PROCESS: Final = regex(r"(?<!\$)\$\{env:([A-Za-z0-9_]+)[^}]*\}")


def explained(
    loaded: Loaded, address: Address, path: Path, place: Place, environ: Mapping[str, str], given: Mapping[str, Given]
) -> ValueFacts:
    """The value at ``path`` of the resource at ``address``; ``place`` is the field's in the schema."""
    kind, mask = discover()[address.section], loaded.mask
    resource = loaded.env.resources[address]
    props = _filled(loaded.env, resource)
    merged = completed(loader.load(loaded.location.target, environ=environ, given=given), discover())
    declared = merged.sections[address.section][address.name]
    value = _at(declared.value, path)
    hidden = _Hidden(address.section, declared.value, mask)
    read = files.read(loaded.location.target)
    origins = _origins(read, address, path, given)
    leaves = [one for one in _leaves(value, path) if one[0] != path]
    if value is MISSING and path:  # of every item, where the path names none
        leaves = list(values_at(declared.value, place.path))
    return ValueFacts(
        address=mask.line(str(address)),
        path=mask.line(dotted(path)),
        declared=value is not MISSING or bool(leaves),
        value=hidden.shown(path, value),
        origins=tuple(hidden.origin(one, path, loaded.location.root) for one in origins),
        changes=_changes(kind, props, path, place, resource.lifecycle) if path else (),
        leaves=tuple(
            Leaf(
                path=mask.line(dotted(at)),
                value=hidden.shown(at, one),
                place=mask.line(located(loaded.location.root, declared.at(at))),
                change=effects.words(_changes(kind, props, at, None)),
            )
            for at, one in leaves
        ),
    )


# --- the value -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Hidden:
    """Shows values without secrets."""

    section: str
    props: Json
    mask: Mask

    def shown(self, path: Path, value: Any) -> Any:
        if value is MISSING:
            return MISSING
        if self.secret(path):
            return SENSITIVE
        if isinstance(value, Mapping):
            return {self.mask.line(str(name)): self.shown((*path, name), item) for name, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.shown((*path, number), item) for number, item in enumerate(value)]
        return self.mask.value(value)

    def secret(self, path: Path) -> bool:
        return bool(path) and (registry.is_secret(self.section, path) or registry.called_secret(self.props, path))

    def origin(self, one: _Found, path: Path, root: str) -> Origin:
        written = self.shown(path, _without_defaults(one.written)) if one.source != "variable" else MISSING
        place = one.place if isinstance(one.place, str) else located(root, one.place) if one.place else ""
        return Origin(source=one.source, place=self.mask.line(place), written=written, name=one.name, used=one.used)


def _without_defaults(written: Any) -> Any:
    """What is written, without the values in it for environment variables that are not set: they may be secret."""
    if isinstance(written, Mapping):
        return {name: _without_defaults(item) for name, item in written.items()}
    if isinstance(written, list):
        return [_without_defaults(item) for item in written]
    return _DEFAULT.sub(r"\1...}", written) if isinstance(written, str) else written


def _at(value: Any, path: Path) -> Any:
    """What is at ``path``; MISSING if there is nothing."""
    for step in path:
        inside = step in value if isinstance(value, Mapping) else False
        if isinstance(value, list | tuple) and isinstance(step, int):
            inside = step < len(value)
        if not inside:
            return MISSING
        value = value[step]
    return value


def _leaves(value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    members = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    inner = list(members)
    if not inner or (isinstance(value, list) and not any(isinstance(item, Mapping | list) for _, item in inner)):
        yield path, value
        return
    for name, item in inner:
        yield from _leaves(item, (*path, name))


# --- where it is from ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    source: str
    place: Pos | str | None = None
    written: Any = MISSING
    name: str = ""
    used: bool = True


def _origins(read: Sources, address: Address, path: Path, given: Mapping[str, Given]) -> list[_Found]:
    """The places of a value, the strongest first, each followed by the variables in its text."""
    found: list[_Found] = []
    for one in _written(read, address, path):
        first = not found
        found.append(_Found(source=one.source, place=one.place, written=one.written, used=first))
        if first and isinstance(one.written, str):
            found += _variables(one.written, read, given)
    return found


def _written(read: Sources, address: Address, path: Path) -> Iterator[_Found]:
    own = read.layers[-1]
    layers = list(reversed(read.layers))
    for layer in layers:
        node = _declared(layer, address)
        if node is not None and (there := _below(node, path)) is not None:
            yield _Found(source="declared" if layer is own else "extends", place=there.pos, written=plain(there))
    for source, start in (("defaults", ("defaults", address.section)), ("tags", ())):
        if path and (source == "defaults" or path[0] == "tags"):
            for layer in layers:
                if (there := _below(layer.settings, (*start, *path))) is not None:
                    yield _Found(source=source, place=there.pos, written=plain(there))


def _declared(layer: Layer, address: Address) -> Node | None:
    for node in (layer.settings, *layer.others.values()):
        if (there := _below(node, (address.section, address.name))) is not None:
            return there
    return None


def _below(node: Node, path: Path) -> Node | None:
    for step in path:
        inner = _at(node.value, (step,))
        if inner is MISSING:
            return None
        node = inner
    return node


def _variables(text: str, read: Sources, given: Mapping[str, Given]) -> Iterator[_Found]:
    for name in dict.fromkeys(_VARIABLE.findall(text)):
        if name in given:
            yield _Found(source="variable", place=given[name].source, name=name)
            continue
        layers = reversed(read.layers)
        there = next((one for layer in layers if (one := _below(layer.settings, ("variables", name)))), None)
        yield _Found(source="variable", place=there.pos if there else None, name=name)
    for name in dict.fromkeys(_OF_PROCESS.findall(text)):
        yield _Found(source="environment variable", name=name)


# --- what changing it would do ---------------------------------------------------------------------------------------


def _filled(env: Environment, resource: Resource) -> Json:
    """The properties, in which a name that follows from what is declared (the ARN of a role) is filled in."""
    scope = Scope(env.account or _SOMEWHERE, env.region or _REGION, partition_of(env.region, "aws"), env.name)

    def attrs(address: Address) -> Mapping[str, Any] | None:
        found = env.resources.get(address)
        return discover()[address.section].attrs(scope, found.name, found.props) if found else None

    return resolve_known(resource, ResolutionContext(scope=scope, declared=attrs))


def _changes(
    kind: Kind, props: Json, path: Path, place: Place | None, lifecycle: Lifecycle | None = None
) -> tuple[Change, ...]:
    """What a change does to the resource as it is declared now."""
    pattern = re.sub(r"\.(\d+)(?=\.|$)", "[]", dotted(path))
    if path[0] == "lifecycle" or effects.not_compared(kind, pattern):
        return ()
    if path[0] == "tags":
        return (Change(effect=Effect.IN_PLACE.value),)
    now = _at(props, path)
    wanted: list[tuple[str, Json]] = [("", props)]
    values = choices(place.schema) if place else []
    if values:
        wanted = [(str(value), effects.with_value(props, path, value)) for value in values if value != now]
    if now is not MISSING and place and not place.required:
        wanted.append(("nothing (left out)", effects.without(props, path)))
    verdicts: dict[tuple[Effect, str, str], list[str]] = {}
    before = with_defaults(kind, props)
    for word, want in wanted:
        after = with_defaults(kind, want)
        if word and after == before:  # the default, written or left out
            continue
        effect, reason = effect_at(kind, path, before, after)
        jobs = plans.interruption(kind, path, (effect, reason), props, want, lifecycle)
        verdicts.setdefault((effect, reason, jobs), []).append(word)
    return tuple(
        Change(
            effect=effect.value,
            when=() if "" in words else tuple(words),
            because=reason,
            interrupts=jobs,
        )
        for (effect, reason, jobs), words in sorted(verdicts.items(), key=lambda one: list(Effect).index(one[0][0]))
    )
