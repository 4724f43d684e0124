"""Reading declared properties that may contain expressions, or values of the wrong type.

Checks run before references are resolved, and also after the schema has found errors. So a value may be anything:
one that is not of the expected type counts as unknown, and is not judged.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from reconciler.model import Path


def as_text(value: Any) -> str | None:
    """The value if it is a text, else None."""
    return value if isinstance(value, str) else None


def as_int(value: Any) -> int | None:
    """The value if it is a whole number, else None."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def mapping(value: Any) -> Mapping[str, Any]:
    """The value if it is a mapping, else an empty one."""
    return value if isinstance(value, dict | Mapping) else {}


def at(value: Any, *path: str) -> Any:
    """The value at ``path``; None if there is none, or if a value on the way is not a mapping."""
    for name in path:
        value = mapping(value).get(name)
    return value


def items(value: Any) -> list[Any]:
    """The items if the value is a list, else an empty list."""
    return list(value) if isinstance(value, list | tuple) else []


def entries(value: Any) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """(index, item) of the items that are mappings."""
    yield from ((index, item) for index, item in enumerate(items(value)) if isinstance(item, dict | Mapping))


def is_given(value: Any) -> bool:
    """Whether the value is neither None nor an empty text, list or mapping. An expression is given."""
    return value is not None and value not in ("", [], {}, ())


def repeats(named: list[tuple[Path, Any]]) -> Iterator[tuple[Path, Any]]:
    """(path, value) of each text or number that is a duplicate of an earlier one."""
    seen: set[Any] = set()
    for path, value in named:
        if not isinstance(value, str | int):
            continue
        if value in seen:
            yield path, value
        seen.add(value)
