"""The containers of resources that cannot be tagged: an environment has one by default, without declaring it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from reconciler.config.loader import DeclaredResource, LoadedEnvironment
from reconciler.model import Container, Kind


def with_containers(loaded: LoadedEnvironment, kinds: Mapping[str, Kind]) -> LoadedEnvironment:
    """``loaded`` where every resource of a kind with a container names one, and the environment's own is declared.

    The container is added at the place of the first resource that is in it, with the tags of the environment.
    """
    sections = {section: dict(raws) for section, raws in loaded.sections.items()}
    for section in loaded.sections:
        container = kinds[section].container if section in kinds else None
        if container is not None and loaded.name:
            _complete(sections, section, container, loaded)
    return replace(loaded, sections=sections)


def _complete(
    sections: dict[str, dict[str, DeclaredResource]], section: str, container: Container, loaded: LoadedEnvironment
) -> None:
    own = container.name(loaded.name)
    for name, raw in sections[section].items():
        if raw.value.get(container.member) is None:
            sections[section][name] = replace(raw, value={**raw.value, container.member: own})
    users = [raw for raw in sections[section].values() if raw.value[container.member] == own]
    there = sections.setdefault(container.section, {})
    if users and own not in there:
        value: dict[str, Any] = {"tags": dict(loaded.tags)} if loaded.tags else {}
        there[own] = DeclaredResource(value=value, pos={(): users[0].at()}, env={})
