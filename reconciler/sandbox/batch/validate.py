"""Checks of requests against the operation's shape: required members, types, enums; unknown members are ignored, as on
AWS.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from reconciler.model.patterns import regex
from reconciler.sandbox.batch.installed import shapes
from reconciler.sandbox.batch.messages import BatchError, Invalid
from reconciler.sandbox.batch.shapes import Member
from reconciler.sandbox.batch.store import Json

NAME = regex(r"[0-9A-Za-z][0-9A-Za-z_-]{0,127}", re.ASCII)

# The service checks these enums itself, and ignores case.
_OWN_WORDS = frozenset({"RetryAction", "JobStateTimeLimitActionsAction", "ServiceJobRetryAction"})

_PYTHON: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "long": (int,),
    "boolean": (bool,),
    "float": (int, float),
    "double": (int, float),
}


def request(operation: str, given: Mapping[str, Any]) -> Json:
    """The request with known members only, at every level; null counts as left out. Raises `BatchError`."""
    return _structure(shapes().operations[operation], given, "")


def name(value: str, what: str) -> None:
    """Raise `Invalid` unless `value` is a valid name for a `what`."""
    if not NAME.fullmatch(value):
        raise Invalid(f"{what} name should match a valid pattern.")


def between(value: float, low: float, high: float, text: str) -> None:
    """Raise `Invalid` with `text` unless `low` <= `value` <= `high`."""
    if not low <= value <= high:
        raise Invalid(text)


def _structure(members: tuple[Member, ...], given: Any, path: str) -> Json:
    if not isinstance(given, Mapping):
        raise _unreadable(path or "the request", "an object")
    known: Json = {}
    for member in members:
        here = f"{path}.{member.name}" if path else member.name
        value = given.get(member.name)
        if value is not None:
            known[member.name] = _value(member.type, value, here)
        elif member.required:
            raise Invalid(f"{here} is required.")
    return known


def _value(type_: str, given: Any, path: str) -> Any:
    if type_.startswith("["):
        if not isinstance(given, list):
            raise _unreadable(path, "a list")
        return [_value(type_[1:-1], item, f"{path}[{index}]") for index, item in enumerate(given)]
    if type_.startswith("{"):
        if not isinstance(given, Mapping):
            raise _unreadable(path, "a map")
        return {str(key): _value(type_[1:-1], item, f"{path}.{key}") for key, item in given.items() if item is not None}
    structures = shapes().structures
    if type_ in structures:
        return _structure(structures[type_], given, path)
    return _scalar(type_, given, path)


def _scalar(type_: str, given: Any, path: str) -> Any:
    enums = shapes().enums
    wanted = _PYTHON["string" if type_ in enums else type_]
    if not isinstance(given, wanted) or (isinstance(given, bool) and bool not in wanted):
        raise _unreadable(path, type_ if type_ not in enums else "string")
    if type_ in enums and type_ not in _OWN_WORDS and given not in enums[type_]:
        allowed = ", ".join(enums[type_])
        raise Invalid(
            f"Value '{given}' at '{path}' failed to satisfy constraint: Member must satisfy enum value set: [{allowed}]"
        )
    return given


def _unreadable(path: str, wanted: str) -> BatchError:
    return BatchError("SerializationException", 400, f"{path} can not be converted to {wanted}")
