"""Declared resources by their physical names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from reconciler.model import Address, Kind, Resource


def by_physical(resources: Iterable[Resource], kinds: Mapping[str, Kind]) -> dict[tuple[str, str], Address]:
    """The addresses of the resources that have another physical name than their logical one, by section and name."""
    return {
        (one.address.section, folded(one.name, kinds[one.address.section])): one.address
        for one in resources
        if one.name != one.address.name
    }


def folded(name: str, kind: Kind) -> str:
    """A name as AWS compares it."""
    return name.casefold() if kind.folds_case else name
