"""What AWS's own models say of a request's values: patterns, lengths and ranges, which moto rarely looks at.

The front of a service refuses a value outside them before any of its own rules:
https://smithy.io/2.0/spec/constraint-traits.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from reconciler.sandbox import wire
from reconciler.sandbox.wire import Json, Refusal

_CODES = {
    "iam": "ValidationError",
    "sts": "ValidationError",
    "events": "ValidationException",
    "scheduler": "ValidationException",
    "secretsmanager": "ValidationException",
    "logs": "InvalidParameterException",
}
# CloudWatch Logs looks at these itself, and calls them invalid in other words
_OWN_WORDS = frozenset({"resourceArn"})


def require_valid(service: str, operation: str, params: Json) -> None:
    """Raise the service's refusal of the first value in ``params`` that its model does not allow."""
    code = _CODES.get(service)
    shape = wire.input_shape(service, operation) if code else None
    if code is None or shape is None:
        return
    for message in _broken(shape, params, ""):
        raise Refusal(code, f"1 validation error detected: {message}")


def _broken(shape: Any, value: Any, path: str) -> Iterator[str]:
    kind = shape.type_name
    if kind == "structure" and isinstance(value, dict):
        for name, member in shape.members.items():
            if value.get(name) is not None and name not in _OWN_WORDS:
                yield from _broken(member, value[name], f"{path}.{_lower(name)}" if path else _lower(name))
    elif kind == "list" and isinstance(value, list):
        for number, item in enumerate(value, start=1):
            yield from _broken(shape.member, item, f"{path}.{number}.member")
    elif kind == "string" and isinstance(value, str):
        yield from _text(shape, value, path)
    elif kind in ("integer", "long") and isinstance(value, int):
        yield from _range(shape, value, value, path, "value")


def _text(shape: Any, value: str, path: str) -> Iterator[str]:
    yield from _range(shape, value, len(value), path, "length")
    pattern = shape.metadata.get("pattern", "")
    allowed = _compiled(pattern)
    if allowed and not allowed.fullmatch(value):
        yield f"{_shown(shape, value, path)}: Member must satisfy regular expression pattern: {pattern}"


def _range(shape: Any, value: Any, measure: int, path: str, noun: str) -> Iterator[str]:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    for bound, wrong, word in (
        (least, least is not None and measure < least, "greater"),
        (most, most is not None and measure > most, "less"),
    ):
        if wrong:
            yield f"{_shown(shape, value, path)}: Member must have {noun} {word} than or equal to {bound}"


def _shown(shape: Any, value: Any, path: str) -> str:
    quoted = "" if shape.metadata.get("sensitive") else f" '{value}'"
    return f"Value{quoted} at '{path}' failed to satisfy constraint"


@cache
def _compiled(pattern: str) -> re.Pattern[str] | None:
    """A pattern as Java reads it; None for classes of Unicode, which Python's expressions do not have."""
    try:
        return re.compile(pattern, re.ASCII) if pattern else None
    except re.error:
        return None


def _lower(name: str) -> str:
    return name[:1].lower() + name[1:]
