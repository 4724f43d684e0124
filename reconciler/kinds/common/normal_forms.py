"""Normal forms that fields of several kinds share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from reconciler.model import Json


def without(props: Json, *members: str) -> Json:
    """``props`` without these members (read-only ones come along when the output of a describe is pasted)."""
    return {name: value for name, value in props.items() if name not in members}


def bare(value: Any) -> Any:
    """The last element of an ARN or path (``arn:...:instance-profile/x`` -> ``x``); anything else as it is."""
    return value.rsplit("/", 1)[-1] if isinstance(value, str) else value


def unless(*default: Any) -> Callable[[Any], Any]:
    """A normal form in which the given values are the same as nothing at all."""
    return lambda value: None if any(value == item and type(value) is type(item) for item in default) else value
