"""What the installed client's model has beyond the table in :mod:`.shapes`: the service knows what its own client says.

The table is what is known of the service. A client that is newer than the table can say more, and AWS, which published
that client, takes it, checks its type, and shows it again. What it does with it nobody can know here: it is kept.
Nothing that the table has is changed by a client.

https://github.com/boto/botocore/blob/develop/botocore/data/batch/2016-08-10/service-2.json
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from botocore.exceptions import BotoCoreError
from botocore.loaders import create_loader
from botocore.model import ServiceModel

from reconciler.sandbox.batch.shapes import ENUMS, OPERATIONS, PRIMITIVES, STRUCTURES, Member

_SCALARS = {"blob": "string", "character": "string", "timestamp": "double"}


@dataclass(frozen=True)
class Shapes:
    """The table and what the client adds to it."""

    operations: dict[str, tuple[Member, ...]] = field(default_factory=lambda: dict(OPERATIONS))
    structures: dict[str, tuple[Member, ...]] = field(default_factory=lambda: dict(STRUCTURES))
    enums: dict[str, tuple[str, ...]] = field(default_factory=lambda: dict(ENUMS))

    def beyond(self, operation: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """The members of a request that the table does not have."""
        table = {member.name for member in OPERATIONS[operation]}
        return {name: value for name, value in given.items() if name not in table}


@cache
def shapes() -> Shapes:
    """Read once for the process; the table alone where there is no model to be read."""
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
        """The table's members, looked into, and those that the shape has besides."""
        known = tuple(table)
        for member in known:
            if member.name in shape.members:
                self.within(member.type, shape.members[member.name])
        names = {member.name for member in known}
        more = ((name, inner) for name, inner in shape.members.items() if name not in names)
        return (*known, *(Member(name, self.type(inner), name in shape.required_members) for name, inner in more))

    def within(self, type_: str, shape: Any) -> None:
        """What the shape adds to the structures and enums that a type of the table leads to."""
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
        """The type of what only the client knows, in the table's notation; its names begin with ``+``."""
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
