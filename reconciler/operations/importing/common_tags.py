"""Tags that all imported resources have: written once, as a setting of the environment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from reconciler.model import Kind
from reconciler.operations.importing.found import ImportedResource

FEWEST = 3  # resources of which equal tags are no accident


def shared(resources: Sequence[ImportedResource], kinds: Mapping[str, Kind]) -> dict[str, str]:
    """The tags that every resource has that the setting is about; none of a few resources."""
    tagged = [tags_of(one) for one in resources if _takes(kinds[one.section])]
    if len(tagged) < FEWEST:
        return {}
    first, *others = tagged
    return {name: text for name, text in first.items() if all(one.get(name) == text for one in others)}


def without(
    resources: Sequence[ImportedResource], common: Mapping[str, Any], kinds: Mapping[str, Kind]
) -> tuple[ImportedResource, ...]:
    """The resources without the tags that the setting gives them."""
    return tuple(_without(one, common) if _takes(kinds[one.section]) else one for one in resources)


def tags_of(one: ImportedResource) -> Mapping[str, str]:
    """The tags of a resource itself."""
    found: Mapping[str, str] = one.props.get("tags", {})
    return found


def _without(one: ImportedResource, common: Mapping[str, Any]) -> ImportedResource:
    left = {name: text for name, text in tags_of(one).items() if common.get(name) != text}
    rest = {name: item for name, item in one.props.items() if name != "tags"}
    return replace(one, props={**rest, "tags": left} if left else rest)


def _takes(kind: Kind) -> bool:
    return not (kind.container or kind.shared)
