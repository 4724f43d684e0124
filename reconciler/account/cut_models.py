"""Cuts models of AWS's services down to some operations; pure functions over the JSON of botocore's data files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

# Documentation, which nothing here reads, is most of a model
_LEFT_OUT: Final = frozenset({"documentation", "documentationUrl", "examples"})
Model = dict[str, Any]


def cut(model: Mapping[str, Any], operations: Iterable[str]) -> Model:
    """The model of a service with some of its operations, all errors, and the shapes of both; without documentation."""
    kept = {name: _plain(model["operations"][name]) for name in sorted(operations) if name in model["operations"]}
    shapes: Mapping[str, Any] = model["shapes"]
    errors = [name for name, shape in shapes.items() if shape.get("exception")]
    found: Model = {}
    ahead = [*errors, *(name for one in kept.values() for name in _named(one))]
    while ahead:
        name = ahead.pop()
        if name not in found:
            found[name] = _plain_shape(shapes[name])
            ahead += _inside(shapes[name])
    rest = {key: value for key, value in model.items() if key not in _LEFT_OUT}
    return {**rest, "operations": kept, "shapes": {name: found[name] for name in shapes if name in found}}


def cut_pages(pages: Mapping[str, Any], operations: Iterable[str]) -> Model:
    """What a paginator model says about some operations."""
    kept = {name: how for name, how in pages.get("pagination", {}).items() if name in set(operations)}
    return {**pages, "pagination": kept}


def _named(operation: Mapping[str, Any]) -> list[str]:
    """The shapes that an operation names."""
    ends = [operation[end]["shape"] for end in ("input", "output") if end in operation]
    return [*ends, *(error["shape"] for error in operation.get("errors", ()))]


def _inside(shape: Mapping[str, Any]) -> list[str]:
    """The shapes that a shape names."""
    parts = [shape[part] for part in ("member", "key", "value") if part in shape]
    return [part["shape"] for part in (*parts, *shape.get("members", {}).values())]


def _plain(item: Mapping[str, Any]) -> Model:
    return {key: value for key, value in item.items() if key not in _LEFT_OUT}


def _plain_shape(shape: Mapping[str, Any]) -> Model:
    """A shape without documentation; ``documentation`` may be the name of a member, which is kept."""
    found = _plain(shape)
    for part in ("member", "key", "value"):
        if part in found:
            found[part] = _plain(found[part])
    if "members" in found:
        found["members"] = {name: _plain(member) for name, member in found["members"].items()}
    return found
