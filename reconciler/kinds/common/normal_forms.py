"""Canonical forms of values, for fields of several kinds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from reconciler.model import Json


def without(props: Json, *members: str) -> Json:
    """``props`` without these members (such as the read-only ones in the output of a describe)."""
    return {name: value for name, value in props.items() if name not in members}


def bare(value: Any) -> Any:
    """The last element of an ARN or path (``arn:...:instance-profile/x`` -> ``x``); other values unchanged."""
    return value.rsplit("/", 1)[-1] if isinstance(value, str) else value


def unless(*default: Any) -> Callable[[Any], Any]:
    """``Field.normalize`` for which the given values are equal to an absent one."""
    return lambda value: None if any(value == item and type(value) is type(item) for item in default) else value
