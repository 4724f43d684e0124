"""What the model of the installed client has in addition to the table in :mod:`.shapes`.

The table describes the service. A client that is newer than the table can send more, and AWS, which published that
client, accepts it, checks its type and returns it. Its effect is unknown here: it is stored. A client changes nothing
that is in the table.

https://github.com/boto/botocore/blob/develop/botocore/data/batch/2016-08-10/service-2.json
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import field
from functools import cache
from typing import Any

from botocore.exceptions import BotoCoreError
from botocore.loaders import create_loader
from botocore.model import ServiceModel

from reconciler.model.records import dataclass
from reconciler.sandbox.batch.shapes import ENUMS, OPERATIONS, PRIMITIVES, STRUCTURES, Member

_SCALARS = {"blob": "string", "character": "string", "timestamp": "double"}


@dataclass(frozen=True)
class Shapes:
    """The table and what the client adds to it."""

    operations: dict[str, tuple[Member, ...]] = field(default_factory=lambda: dict(OPERATIONS))
    structures: dict[str, tuple[Member, ...]] = field(default_factory=lambda: dict(STRUCTURES))
    enums: dict[str, tuple[str, ...]] = field(default_factory=lambda: dict(ENUMS))

    def beyond(self, operation: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """The members of a request that are not in the table."""
        table = {member.name for member in OPERATIONS[operation]}
        return {name: value for name, value in given.items() if name not in table}


@cache
def shapes() -> Shapes:
    """Read once per process; only the table if there is no readable model."""
    found = Shapes()
    try:
        model: Any = ServiceModel(
            create_loader(os.environ.get("AWS_DATA_PATH")).load_service_model("batch", "service-2")
        )
    except (BotoCoreError, OSError, ValueError):
        return found
    merger = _Merger(found)
    for name, members in OPERATIONS.items():
        if name in model.operation_names and (shape := model.operation_model(name).input_shape):
            found.operations[name] = merger.members(members, shape)
    return found


class _Merger:
    def __init__(self, shapes: Shapes) -> None:
        self.shapes = shapes
        self.done: set[str] = set()

    def members(self, table: Iterable[Member], shape: Any) -> tuple[Member, ...]:
        """The table's members, with what the shape adds to their types, and the shape's additional members."""
        known = tuple(table)
        for member in known:
            if member.name in shape.members:
                self.within(member.type, shape.members[member.name])
        names = {member.name for member in known}
        more = ((name, inner) for name, inner in shape.members.items() if name not in names)
        return (*known, *(Member(name, self.type(inner), name in shape.required_members) for name, inner in more))

    def within(self, type_: str, shape: Any) -> None:
        """Adds what the shape has in addition to the structures and enums of a type of the table."""
        if type_.startswith("["):
            self.within(type_[1:-1], shape.member)
        elif type_.startswith("{"):
            self.within(type_[1:-1], shape.value)
        elif type_ in self.done:
            return
        elif type_ in STRUCTURES:
            self.done.add(type_)
            self.shapes.structures[type_] = self.members(STRUCTURES[type_], shape)
        elif type_ in ENUMS:
            known = self.shapes.enums[type_]
            self.shapes.enums[type_] = (*known, *(word for word in shape.enum if word not in known))

    def type(self, shape: Any) -> str:
        """A type that only the client has, in the table's notation; its names begin with ``+``."""
        name = f"+{shape.name}"
        if shape.type_name == "list":
            return f"[{self.type(shape.member)}]"
        if shape.type_name == "map":
            return f"{{{self.type(shape.value)}}}"
        if shape.type_name == "structure":
            if name not in self.done:
                self.done.add(name)
                self.shapes.structures[name] = ()
                self.shapes.structures[name] = self.members((), shape)
            return name
        if getattr(shape, "enum", None):
            self.shapes.enums[name] = tuple(shape.enum)
            return name
        scalar = str(shape.type_name)
        return scalar if scalar in PRIMITIVES else _SCALARS[scalar]
