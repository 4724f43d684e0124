"""Finds the subschema of a field: of a section's resources, of the settings, and of ``lifecycle``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from reconciler.kinds import discover
from reconciler.model import Kind
from reconciler.model.paths import sample
from reconciler.model.records import dataclass
from reconciler.model.values import Json
from reconciler.schema import registry
from reconciler.schema.aws_model import ModelExtension
from reconciler.schema.fields import resolved, types

SETTINGS: Final = registry.ENVIRONMENT
LIFECYCLE: Final = registry.SHARED[1]
_NAME: Final = "The physical name; it takes no prefix. Default: the key above, after namePrefix."


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A subschema and where it is. ``path`` is written like those of a kind's fields; ``kind`` is None for settings.

    ``newer`` is how a member is treated that only the installed AWS model has.
    """

    section: str
    path: str
    schema: Json
    document: Json
    kind: Kind | None = None
    required: bool = False
    newer: str = ""

    @property
    def items(self) -> Place:
        """The place of the items of a list, of lists of lists; itself if it is none."""
        here = self
        while "array" in types(here.schema) and "items" in here.schema:
            here = here.below(f"{here.path}[]", here.schema["items"])
        return here

    def members(self) -> Iterator[Place]:
        """The fields in it, those of its items if it is a list."""
        here = self.items
        found: Json = here.schema.get("properties", {})
        for name, below in found.items():
            yield here.below(_joined(here.path, name), below, required=name in here.schema.get("required", ()))
        if not here.path and here.kind is not None and here.kind.name_member not in ("", *found):
            below = {"type": "string", "description": _NAME}
            yield here.below(here.kind.name_member, below)

    def member(self, name: str) -> Place | None:
        """The field ``name`` in it; None if there is none."""
        found = next((one for one in self.members() if one.path.rpartition(".")[2] == name), None)
        if found is not None:
            return found
        for here in (self, self.items):
            free = here.schema.get("additionalProperties", not here.schema.get("properties"))
            if "object" in types(here.schema) and free is not False:
                any_of_them = here.below(_joined(here.path, "*"), free if isinstance(free, Mapping) else {})
                # lookups.vpc is the look-up of this kind, whatever its name
                return next((one for one in any_of_them.members() if one.path.endswith(f".{name}")), any_of_them)
        return self.items.newer_member(name)

    def newer_member(self, name: str) -> Place | None:
        """The field ``name`` of the installed AWS model, which the schema lacks."""
        if self.kind is None:
            return None
        path = _joined(self.path, name)
        schema = ModelExtension(self.kind).member(sample(path), None)
        if schema is None:
            return None
        return Place(
            section=self.section,
            path=path,
            schema=resolved(schema, schema),
            document=schema,
            kind=self.kind,
            newer=str(schema.get("x-note", "")),
        )

    def below(self, path: str, schema: Json, *, required: bool = False) -> Place:
        """The place of a subschema of this one, in another document if it refers to one."""
        document, kind = self.document, self.kind
        if (file := schema.get("$ref", "#")) and not file.startswith("#"):
            document, kind = registry.shipped().documents[file], None
            schema = document
        return Place(
            section=self.section,
            path=path,
            schema=resolved(document, schema),
            document=document,
            kind=kind,
            required=required,
        )


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def roots() -> tuple[str, ...]:
    """Every section, then every setting, and ``lifecycle``."""
    documents = registry.shipped().documents
    return (*registry.sections(), *documents[SETTINGS]["properties"], "lifecycle")


def root(name: str) -> Place | None:
    """The resources of a section, a setting, or ``lifecycle``; None if there is no such name."""
    shipped = registry.shipped()
    if name in shipped.by_section:
        document = shipped.documents[shipped.by_section[name]]
        return Place(section=name, path="", schema=document, document=document, kind=discover()[name])
    if name == "lifecycle":
        document = shipped.documents[LIFECYCLE]
        return Place(section=name, path="", schema=document, document=document)
    document = shipped.documents[SETTINGS]
    if name in document["properties"]:
        schema = resolved(document, document["properties"][name])
        return Place(section=name, path="", schema=schema, document=document)
    return None


def found(start: Place, steps: Sequence[Any]) -> tuple[Place, Sequence[Any]]:
    """The place that ``steps`` lead to from ``start``; with the steps that lead no further."""
    here = start
    for at, step in enumerate(steps):
        if not here.schema:  # the rest is data
            break
        if isinstance(step, int) or step == "[]":
            below: Place | None = here.below(f"{here.path}[]", here.schema["items"]) if "items" in here.schema else None
        else:
            below = here.member(str(step))
        if below is None:
            return here, steps[at:]
        here = below
    return here, ()
