"""Where declarations go that an import writes: which file, and in which order sections and members stand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, Final

from reconciler.config.loader import SETTINGS
from reconciler.kinds import discover
from reconciler.schema import registry

# what people write first, in mappings and in IAM's documents
_FIRST: Final = (
    *("Version", "Id", "Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource"),
    *("name", "type", "order"),
)
_LAST: Final = ("tags", "lifecycle")


def file_of(section: str) -> str:
    """The file of a section's declarations, without its ending."""
    kind = discover().get(section)
    return (kind.file if kind else "") or section


@cache
def sections() -> tuple[str, ...]:
    """All sections, each after those that its resources refer to."""
    kinds = discover()
    found: dict[str, None] = {}

    def add(section: str, above: tuple[str, ...]) -> None:
        if section in found or section in above or section not in kinds:
            return
        for ref in sorted({ref.section for ref in kinds[section].refs.values()}):
            add(ref, (*above, section))
        if kinds[section].named_below:
            add(kinds[section].named_below, (*above, section))
        found[section] = None

    for section in sorted(kinds, key=lambda one: (one in _used(), one)):
        add(section, ())
    return tuple(found)


@cache
def _used() -> frozenset[str]:
    """The sections that others refer to: they come with those that do."""
    return frozenset(ref.section for kind in discover().values() for ref in kind.refs.values())


def in_order(names: Iterable[str]) -> list[str]:
    """Sections in the order in which they are written."""
    known = {section: number for number, section in enumerate(sections())}
    return sorted(names, key=lambda section: (known.get(section, len(known)), section))


def settings_in_order(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of an environment as people write them."""
    return {name: settings[name] for name in sorted(settings, key=lambda name: (_setting(name), name))}


def _setting(name: str) -> int:
    return SETTINGS.index(name) if name in SETTINGS else len(SETTINGS)


def arranged(section: str, props: Mapping[str, Any]) -> dict[str, Any]:
    """The properties of a resource with their members as people write them: the name, then as AWS documents them."""
    kind = discover().get(section)
    first = (kind.name_member,) if kind and kind.name_member else ()
    made = _arranged(props, registry.members(section))
    return {
        name: made[name]
        for name in (*(one for one in first if one in made), *(one for one in made if one not in first))
    }


def _arranged(value: Any, tree: Mapping[str, Any]) -> Any:
    if isinstance(value, list | tuple):
        return [_arranged(item, tree) for item in value]
    if not isinstance(value, Mapping):
        return value
    known = {name: number for number, name in enumerate(tree)}
    names = list(value)
    place = {name: (_rank(name), known.get(name, len(known)), names.index(name)) for name in names}
    return {
        name: _arranged(value[name], tree.get(name) or tree.get("*") or {})
        for name in sorted(names, key=place.__getitem__)
    }


def _rank(name: str) -> int:
    if name in _FIRST:
        return _FIRST.index(name) - len(_FIRST)
    return 1 + _LAST.index(name) if name in _LAST else 0
