"""Numbers where a schema wants text: they are taken as they are written.

The reader makes a number only of what can be restored from it (``config/yaml/node.py: scalar``), so nothing is lost:
``8`` becomes ``"8"``, ``0.5`` becomes ``"0.5"``. Booleans are not converted: ``True`` and ``true`` are the same value.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from reconciler.model import Path


def as_texts(value: Any, errors: Iterable[Any]) -> Any:
    """``value`` with text for every number that one of the ``errors`` of jsonschema wants as text; else ``value``."""
    for path, number in [found for error in errors for found in _numbers(error)]:
        value = _with(value, path, str(number))
    return value


def _numbers(error: Any) -> Iterator[tuple[Path, int | float]]:
    """The place and value of a number that should be text: of the error itself, or of one of its alternatives."""
    if type(error.instance) not in (int, float):
        return
    branches = [error, *(error.context or ())]
    if any(one.validator == "type" and "string" in _types(one) and one.instance is error.instance for one in branches):
        yield tuple(error.absolute_path), error.instance


def _types(error: Any) -> list[str]:
    wanted = error.validator_value
    return [wanted] if isinstance(wanted, str) else list(wanted)


def _with(value: Any, path: Path, text: str) -> Any:
    if not path:
        return text
    first, rest = path[0], path[1:]
    if isinstance(value, Mapping):
        return {name: _with(item, rest, text) if name == first else item for name, item in value.items()}
    return [_with(item, rest, text) if index == first else item for index, item in enumerate(value)]
