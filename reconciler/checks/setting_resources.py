"""The resources that settings stand for: with them, an environment is as if they were written in its files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from reconciler.checks import containers
from reconciler.config.files import Missing
from reconciler.config.loader import DeclaredResource, LoadedEnvironment
from reconciler.config.merge import merged
from reconciler.model import Derived, Expansion, Finding, Kind, Naming, Path, Pos
from reconciler.model import problem_codes as codes
from reconciler.model.paths import dotted
from reconciler.model.problems import Problem

Sections = dict[str, dict[str, DeclaredResource]]


def with_settings(loaded: LoadedEnvironment, kinds: Mapping[str, Kind]) -> tuple[LoadedEnvironment, list[Problem]]:
    """``loaded`` with the resources that its settings stand for, at the places of these settings, and the problems."""
    sections: Sections = {section: dict(raws) for section, raws in loaded.sections.items()}
    found: list[Problem] = []
    used = [kind.from_setting for kind in kinds.values() if kind.from_setting]
    for expansion in used:
        if loaded.name and loaded.settings.get(expansion.setting):
            found += _expand(loaded, expansion, sections)
    if loaded.missing is not Missing.NOTHING:  # what is not found may be in what could not be read
        found = []
    return replace(loaded, sections=sections) if used else loaded, found


def completed(loaded: LoadedEnvironment, kinds: Mapping[str, Kind]) -> LoadedEnvironment:
    """``loaded`` with all resources that it stands for: those of its settings, and containers."""
    return containers.with_containers(with_settings(loaded, kinds)[0], kinds)


def _expand(loaded: LoadedEnvironment, expansion: Expansion, sections: Sections) -> list[Problem]:
    written = {section: {name: raw.value for name, raw in raws.items()} for section, raws in sections.items()}
    naming = Naming(loaded.name, loaded.name_prefix)
    found: list[Problem] = []
    for derived in expansion.expand(loaded.settings[expansion.setting], naming, written):
        if isinstance(derived, Finding):
            found.append(_problem(loaded, expansion.setting, derived))
        elif derived.members:
            there = sections[derived.address.section]
            there[derived.address.name] = _with_members(loaded, expansion.setting, there[derived.address.name], derived)
        else:
            there = sections.setdefault(derived.address.section, {})
            if derived.address.name in there:
                other = there[derived.address.name]
                what = f"{expansion.setting} stands for {derived.address}, which is declared as well"
                hint = f"rename the one that is declared at {other.at()}, or remove it"
                found.append(_problem(loaded, expansion.setting, Finding(derived.origin, what, hint, _TWICE)))
            else:
                there[derived.address.name] = _resource(loaded, expansion.setting, derived)
    return found


_TWICE = codes.DUPLICATE_RESOURCE


def _resource(loaded: LoadedEnvironment, setting: str, derived: Derived) -> DeclaredResource:
    """A resource as the files would declare it: over the environment's tags and the defaults of its section."""
    below: dict[str, Any] = {"tags": dict(loaded.tags)} if loaded.tags else {}
    value = merged(merged(below, loaded.defaults.get(derived.address.section, {})), derived.value)
    places = {path: _place(loaded, setting, origin) for path, origin in derived.places.items()}
    for name in loaded.tags:
        places[("tags", name)] = _place(loaded, "tags", (name,))
    return DeclaredResource(value=value, pos={**places, (): _place(loaded, setting, derived.origin)}, env={})


def _with_members(loaded: LoadedEnvironment, setting: str, raw: DeclaredResource, derived: Derived) -> DeclaredResource:
    own = {path: pos for path, pos in raw.pos.items() if path not in derived.places}
    places = {path: _place(loaded, setting, origin) for path, origin in derived.places.items()}
    return replace(raw, value={**raw.value, **derived.value}, pos={**own, **places})


def _place(loaded: LoadedEnvironment, setting: str, path: Path) -> Pos:
    whole: Path = (setting, *path)
    while whole not in loaded.settings_pos and len(whole) > 1:
        whole = whole[:-1]
    return loaded.settings_pos[whole]


def _problem(loaded: LoadedEnvironment, setting: str, found: Finding) -> Problem:
    return Problem(
        code=found.code,
        message=found.message,
        hint=found.hint,
        path=dotted((setting, *found.path)),
        pos=_place(loaded, setting, found.path),
        warning=found.warning,
    )
