"""Members and values that the installed AWS model has and our schemas lack: those newer than this release.

The model is botocore's, found where boto3 finds it (``AWS_DATA_PATH``, ``~/.aws/models``, the package itself), so a
newer model takes effect as soon as it is copied there. A shape is converted to JSON Schema, and validated like
everything else. Details:

- botocore is imported at the first unknown member or value: reading a model takes longer than checking an environment.
- Below ``operations``, only this module reads a variable of the process's environment (see above).
- YAML's names are the model's with the first letter lowered. A kind whose API has capitalised names raises the first
  letter of every name before sending, also of a map's keys: for such a kind, members that contain a map are refused.

https://github.com/boto/botocore/blob/develop/botocore/loaders.py
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import field, replace
from functools import cache
from typing import Any

from reconciler.model import Api, Json, Kind, Path, UnknownMember
from reconciler.model.records import dataclass
from reconciler.model.when_used import when_used

with when_used():
    from html import unescape

Shape = Any  # botocore's, which is not imported at the top

_NUMBERS = {"integer": "integer", "long": "integer", "float": "number", "double": "number"}
_TEXTS = ("string", "character", "blob")
_RESERVED = ("tags", "lifecycle")


@dataclass(slots=True)
class ModelExtension:
    """Looks up what a kind's schema lacks; ``unknown_members`` collects the members that were found, by path."""

    kind: Kind
    unknown_members: dict[str, UnknownMember] = field(default_factory=dict)

    def member(self, path: Path, value: Any) -> Json | None:
        """The JSON Schema of the member at ``path``, with an ``x-note`` for the message.

        None where the model lacks the member, too.
        """
        api = self.kind.api
        if api is None or not path or path[0] in (*_RESERVED, *api.aside):
            return None
        shapes = _Shapes.of(api)
        place = next((at for root in (*shapes.create, *shapes.update) if (at := _at(root, path))), None)
        if place is None or not _below(place.pattern, api.below):
            return None
        found = shapes.newer(place, path, value)
        if found is None:
            return None
        known = self.unknown_members.get(place.pattern)
        self.unknown_members[place.pattern] = known.also(found) if known else found
        return {**json_schema(place.shape), "x-note": _note(found, versioned=self.kind.versioned)}

    def secret(self, path: Path) -> bool:
        """Whether ``path`` is in a member that was found and is sensitive in the model."""
        pattern = ".".join(str(step) for step in path if not isinstance(step, int))
        places = (place.replace("[]", "") for place, what in self.unknown_members.items() if what.secret)
        return any(f"{pattern}.".startswith(f"{place}.") for place in places)

    def allows(self, path: Path, value: Any) -> bool:
        """Whether the model's enumeration at ``path`` has this value, in any request that has the member."""
        api = self.kind.api
        if api is None or not path or path[0] in _RESERVED:
            return False
        shapes = _Shapes.of(api)
        places = [_at(root, path) for root in (*shapes.create, *shapes.update)]
        return any(value in (getattr(place.shape, "enum", None) or ()) for place in places if place)

    def has(self, path: str) -> bool:
        """Whether the model has a path of ``lifecycle.ignoreChanges``."""
        api = self.kind.api
        steps = tuple(path.replace("[]", "").split("."))
        if api is None or steps[0] in (*_RESERVED, *api.aside):
            return False
        shapes = _Shapes.of(api)
        return any(_has_path(root, steps) for root in (*shapes.create, *shapes.update))


def _note(found: UnknownMember, *, versioned: bool) -> str:
    """What reconcile does with a member of which only the shape is known."""
    if not found.shown:
        return "checked against that model and sent; AWS does not return it, so drift in it is not detected"
    if found.updated or versioned:
        return "checked against that model, sent and compared"
    return "checked against that model, sent and compared; a change means a replacement"


# --- shapes ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Place:
    """A shape, and its path, written like those of a kind's fields."""

    pattern: str
    shape: Shape


@dataclass(frozen=True, slots=True)
class _Shapes:
    """The shapes of an API's requests, and of one object in the reply; ``raised``: its names are capitalised."""

    create: tuple[Shape, ...]
    update: tuple[Shape, ...]
    reply: Shape | None
    raised: bool

    @staticmethod
    def of(api: Api) -> _Shapes:
        """The shapes in the installed model; none where it cannot be read or lacks the operation."""
        return _shapes(api.service, api.create, api.update, api.reply)

    def newer(self, place: _Place, path: Path, value: Any) -> UnknownMember | None:
        """The facts about a member; None where its names cannot be sent unchanged."""
        inside = list(_shapes_below(place, value))
        if self.raised and any(not one.sendable for one in inside):
            return None
        return UnknownMember(
            created=_accepted(self.create, path, value),
            updated=_accepted(self.update, path, value),
            shown=self.reply is None or _accepted((self.reply,), path, value),
            secret=any(one.shape.metadata.get("sensitive") for one in inside),
            maps=frozenset(f"{one.pattern}.*" for one in inside if one.shape.type_name == "map"),
        )


def _shapes(service: str, create: tuple[str, ...], update: tuple[str, ...], reply: str) -> _Shapes:
    return _shapes_of(_model(service), create, update, reply)


@cache
def _shapes_of(model: Any, create: tuple[str, ...], update: tuple[str, ...], reply: str) -> _Shapes:

    def inputs(names: tuple[str, ...]) -> tuple[Shape, ...]:
        known = [model.operation_model(name) for name in names if name in model.operation_names] if model else []
        return tuple(one.input_shape for one in known if one.input_shape)

    operation, _, where = reply.partition(".")
    shown = model.operation_model(operation).output_shape if model and operation in model.operation_names else None
    for step in re.findall(r"\[\]|[^.\[\]]+", where) if shown else ():
        place = _at(shown, (0,) if step == "[]" else (step,))
        shown = place.shape if place else None
    made, changed = inputs(create), inputs(update)
    raised = any(name[:1].isupper() for shape in made for name in shape.members)
    return _Shapes(made, changed, shown, raised)


def _model(service: str) -> Any:
    """The service's model, with what ``AWS_DATA_PATH`` adds; None if no readable one is installed."""
    return _model_below(service, os.environ.get("AWS_DATA_PATH"))


@cache
def _model_below(service: str, data_path: str | None) -> Any:
    """The service's model; None where no readable one is installed."""
    from botocore.exceptions import BotoCoreError  # noqa: PLC0415  (only when needed)
    from botocore.loaders import create_loader  # noqa: PLC0415
    from botocore.model import ServiceModel  # noqa: PLC0415

    try:
        loader = create_loader(data_path)
        return ServiceModel(loader.load_service_model(service, "service-2"), service)
    except (BotoCoreError, OSError, ValueError):
        return None


def _lowered(name: str) -> str:
    return name[:1].lower() + name[1:]


def _members(shape: Shape) -> dict[str, Shape]:
    return {_lowered(name): member for name, member in shape.members.items()}


def _at(shape: Shape, path: Path) -> _Place | None:
    """The shape at ``path``; None where the model does not have it."""
    pattern = ""
    for step in path:
        if isinstance(step, int) and shape.type_name == "list":
            shape, pattern = shape.member, f"{pattern}[]"
        elif isinstance(step, str) and shape.type_name == "map":
            shape, pattern = shape.value, f"{pattern}.*"
        elif isinstance(step, str) and shape.type_name == "structure" and step in (inner := _members(shape)):
            shape, pattern = inner[step], f"{pattern}.{step}"
        else:
            return None
    return _Place(pattern.removeprefix("."), shape)


def _has_path(shape: Shape, steps: tuple[str, ...]) -> bool:
    """Whether a shape has a path, whose list items are written by number, by their key, or left out."""
    if not steps:
        return True
    if shape.type_name == "list":
        return _has_path(shape.member, steps) or _has_path(shape.member, steps[1:])
    if shape.type_name == "map":
        return _has_path(shape.value, steps[1:])
    inner = _members(shape).get(steps[0]) if shape.type_name == "structure" else None
    return inner is not None and _has_path(inner, steps[1:])


def _below(pattern: str, places: tuple[str, ...]) -> bool:
    return not places or any(pattern.startswith((f"{place}.", f"{place}[]")) for place in places)


@dataclass(frozen=True, slots=True)
class _Inside:
    """A shape below a declared value; ``sendable``: raising the first letters of names does not change it."""

    pattern: str
    shape: Shape
    sendable: bool


def _shapes_below(place: _Place, value: Any, name: str = "") -> Iterator[_Inside]:
    shape, pattern = place.shape, place.pattern
    yield _Inside(pattern, shape, shape.type_name != "map" and (not name or name[:1].isupper()))
    if shape.type_name == "structure" and isinstance(value, Mapping):
        for own, member in shape.members.items():
            if _lowered(own) in value:
                yield from _shapes_below(_Place(f"{pattern}.{_lowered(own)}", member), value[_lowered(own)], own)
    elif shape.type_name == "map" and isinstance(value, Mapping):
        for item in value.values():
            yield from _shapes_below(_Place(f"{pattern}.*", shape.value), item)
    elif shape.type_name == "list" and isinstance(value, list):
        for item in value:
            yield from _shapes_below(_Place(f"{pattern}[]", shape.member), item)


def _accepted(roots: tuple[Shape, ...], path: Path, value: Any) -> bool:
    """Whether one of the shapes has the path, and every member of the value there."""
    places = [place for root in roots if (place := _at(root, path))]
    return any(_fits(place.shape, value) for place in places)


def _fits(shape: Shape, value: Any) -> bool:
    if shape.type_name == "structure" and isinstance(value, Mapping) and not shape.metadata.get("document"):
        inner = _members(shape)
        return all(name in inner and _fits(inner[name], item) for name, item in value.items())
    if shape.type_name == "list" and isinstance(value, list):
        return all(_fits(shape.member, item) for item in value)
    if shape.type_name == "map" and isinstance(value, Mapping):
        return all(_fits(shape.value, item) for item in value.values())
    return True


# --- as text ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Described:
    """What the installed AWS model says about a member: its documentation by paragraphs, its values and limits."""

    paragraphs: tuple[str, ...]
    values: tuple[str, ...] = ()
    low: Any = None
    high: Any = None


def described(kind: Kind, path: Path) -> Described | None:
    """What the model says about the member at ``path``; None where it lacks it, or cannot be read."""
    api = kind.api
    if api is None or not path or path[0] in (*_RESERVED, *api.aside):
        return None
    shapes = _Shapes.of(api)
    place = next((at for root in (*shapes.create, *shapes.update) if (at := _at(root, path))), None)
    if place is None:
        return None
    meta = place.shape.metadata
    found = Described(_paragraphs(place.shape.documentation), tuple(meta.get("enum") or ()))
    return replace(found, low=meta.get("min"), high=meta.get("max"))


def _paragraphs(documentation: str) -> tuple[str, ...]:
    """The API's HTML as paragraphs of plain text; items of lists begin with a dash."""
    marked = re.sub(r"<li>\s*(?:<p>)?", "\n- ", documentation or "")
    parts = re.split(r"\n|</?p>|</?ul>|</?note>|</?important>|</li>|<br ?/?>", marked)
    return tuple(text for part in parts if (text := _plain(unescape(part))) and text != "-")


# --- as JSON Schema --------------------------------------------------------------------------------------------------


def json_schema(shape: Shape) -> dict[str, Any]:
    """The shape as a JSON Schema, its structures under ``$defs``; names as in YAML."""
    structures: dict[str, Any] = {}
    return {**_schema(shape, structures), "$defs": structures}


def _schema(shape: Shape, structures: dict[str, Any]) -> dict[str, Any]:
    meta, kind = shape.metadata, shape.type_name
    about = {"description": text} if (text := _plain(shape.documentation)) else {}
    if kind == "structure":
        if meta.get("document"):
            return about
        if shape.name not in structures:
            structures[shape.name] = {}  # so that recursion ends where a structure contains itself
            structures[shape.name] = _structure(shape, structures)
        return {"$ref": f"#/$defs/{shape.name}"}
    if kind == "list":
        return {"type": "array", "items": _schema(shape.member, structures), **_limits(meta, "Items"), **about}
    if kind == "map":
        values = _schema(shape.value, structures)
        return {"type": "object", "additionalProperties": values, **_limits(meta, "Properties"), **about}
    if kind in _NUMBERS:
        limits = {word: meta[end] for end, word in (("min", "minimum"), ("max", "maximum")) if end in meta}
        return {"type": _NUMBERS[kind], **limits, **about}
    if kind == "boolean":
        return {"type": "boolean", **about}
    if kind in _TEXTS:
        words = {"enum": list(meta["enum"])} if meta.get("enum") else _limits(meta, "Length")
        return {"type": "string", **words, **about}
    return {"type": ["string", "number"], **about}  # a timestamp


def _structure(shape: Shape, structures: dict[str, Any]) -> dict[str, Any]:
    one_of_them = {"minProperties": 1, "maxProperties": 1} if shape.metadata.get("union") else {}
    return {
        "type": "object",
        "properties": {name: _schema(member, structures) for name, member in _members(shape).items()},
        "required": [_lowered(name) for name in shape.required_members],
        "additionalProperties": False,
        **one_of_them,
    }


def _limits(meta: Json, noun: str) -> dict[str, Any]:
    return {f"{end}{noun}": meta[end] for end in ("min", "max") if end in meta}


def _plain(documentation: str) -> str:
    """The API's HTML as plain text."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", documentation or "")).strip()
