"""Whether settings that people send have values that the sandbox can work with."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cache
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from reconciler.sandbox.batch import outcomes

_WORDS = {float: "a number, not negative", int: "a whole number", bool: "true or false", str: "a text"}


def check(kind: type, values: Mapping[str, Any]) -> None:
    """Raise ``ValueError`` for a value that is not of the type of its setting; names that are none are left out."""
    hints = _hints(kind)
    for name, value in values.items():
        if name in hints and not _fits(hints[name], value):
            raise ValueError(f"{name} should be {_described(hints[name])}")
    for listed in values.get("outcomes", {}).values() if "outcomes" in hints else ():
        for one in listed:
            try:
                outcomes.of(one)
            except (KeyError, TypeError, AttributeError):
                raise ValueError(f"{one} is not an end of an attempt") from None


@cache
def _hints(kind: type) -> Mapping[str, Any]:
    return get_type_hints(kind)


def _fits(hint: Any, value: Any) -> bool:
    origin, inner = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if origin in (Union, UnionType):
        return any(_fits(one, value) for one in inner)
    if origin is Literal:
        return value in inner
    if origin is Sequence:
        return isinstance(value, (list, tuple)) and all(_fits(inner[0], one) for one in value)
    if origin is Mapping:
        return isinstance(value, Mapping) and all(_fits(inner[1], one) for one in value.values())
    if hint is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value) and value >= 0
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, origin or hint)


def _described(hint: Any) -> str:
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Literal:
        return " or ".join(str(one) for one in inner)
    if origin is Sequence:
        return "a list of texts" if inner[0] is str else "a list"
    if origin is Mapping:
        return f"an object whose values are each {_described(inner[1])}"
    if origin in (Union, UnionType):
        return " or ".join(_described(one) for one in inner)
    return _WORDS.get(hint, "null")
