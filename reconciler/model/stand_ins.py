"""Values that stand for others until they are known: one way to find them, and to put something in their place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from reconciler.model import Base64, Digest, JsonText, Later, Reference, Secret, Template, Text


def unknown_values(value: Any) -> Iterator[Later]:
    """Every Later inside ``value``."""
    if isinstance(value, Later):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from unknown_values(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from unknown_values(item)
    elif isinstance(value, Text):
        yield from unknown_values(value.parts)
    elif isinstance(value, JsonText | Base64 | Secret):
        yield from unknown_values(value.value)
    elif isinstance(value, Digest):
        yield from unknown_values([value.value, value.salt])


def has_unknown(value: Any) -> bool:
    """Whether there is a :class:`Later` anywhere inside."""
    if isinstance(value, Mapping):
        return any(has_unknown(item) for item in value.values())
    if isinstance(value, list | tuple):
        return any(has_unknown(item) for item in value)
    if isinstance(value, Text):
        return has_unknown(value.parts)
    if isinstance(value, JsonText | Base64 | Secret):
        return has_unknown(value.value)
    if isinstance(value, Digest):
        return has_unknown(value.value) or has_unknown(value.salt)
    return isinstance(value, Later)


def stand_ins(value: Any) -> Iterator[Any]:
    """Everything in ``value`` that only a plan or an apply can fill in."""
    if isinstance(value, Later | Template | Reference):
        yield value
    elif isinstance(value, Text):
        for part in value.parts:
            yield from stand_ins(part)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from stand_ins(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from stand_ins(item)


def known(value: Any) -> bool:
    """Whether ``value`` is plain JSON throughout."""
    return next(stand_ins(value), None) is None
