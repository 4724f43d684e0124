"""Looking into declared properties that may still hold expressions, or values of the wrong type.

A check runs before references are resolved, and beside the schema's own complaints, so it must take anything at all
for a value: what is not there in plain form counts as unknown and is not judged.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from reconciler.model import Path


def as_text(value: Any) -> str | None:
    """The value if it is plain text."""
    return value if isinstance(value, str) else None


def as_int(value: Any) -> int | None:
    """The value if it is a plain whole number."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def mapping(value: Any) -> Mapping[str, Any]:
    """The value if it is a mapping, else an empty one."""
    return value if isinstance(value, dict | Mapping) else {}


def at(value: Any, *path: str) -> Any:
    """The value at ``path``, or None where the way ends before it."""
    for name in path:
        value = mapping(value).get(name)
    return value


def items(value: Any) -> list[Any]:
    """The items if it is a list, else none."""
    return list(value) if isinstance(value, list | tuple) else []


def entries(value: Any) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """The items that are mappings, numbered as declared."""
    yield from ((index, item) for index, item in enumerate(items(value)) if isinstance(item, dict | Mapping))


def is_given(value: Any) -> bool:
    """Whether something is said at all: empty text, lists and mappings say nothing, an expression does."""
    return value is not None and value not in ("", [], {}, ())


def repeats(named: list[tuple[Path, Any]]) -> Iterator[tuple[Path, Any]]:
    """The later of any two equal plain values, with its path."""
    seen: set[Any] = set()
    for path, value in named:
        if not isinstance(value, str | int):
            continue
        if value in seen:
            yield path, value
        seen.add(value)
