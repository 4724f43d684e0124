"""moto's data about types of machines, read where a Region's are asked for: moto reads those of every Region as it is
imported, which took a third of the time in which a sandbox starts. What else is needed of ``moto.ec2`` comes from here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import PurePath
from typing import Any

import moto.utilities.utils

__all__ = ["StateReason"]
_OFFERINGS = "instance_type_offerings"
_ready: list[bool] = []


class _Offered:
    """Which types a Region or its zones have, from one of moto's files."""

    def __init__(self, load: Callable[[str], Any], resource: str) -> None:
        self._load, self._resource = load, resource

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Nothing while moto is imported, which adds to each one what is added here."""
        return iter(self._every if _ready else ())

    @cached_property
    def _every(self) -> list[dict[str, Any]]:
        where = PurePath(self._resource).parent.name
        return [{**one, "LocationType": where} for one in self._load(self._resource)]


def _when_asked(load: Callable[[str], Any]) -> Callable[[str], Any]:
    return lambda resource: _Offered(load, resource) if _OFFERINGS in resource else load(resource)


_eager = moto.utilities.utils.load_resource
moto.utilities.utils.load_resource = _when_asked(_eager)
try:
    from moto.ec2.models.instances import StateReason
finally:
    moto.utilities.utils.load_resource = _eager
    _ready.append(True)
