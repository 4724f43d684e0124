"""Paths into properties: their notation, and the values at them."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from functools import cache
from operator import is_, itemgetter
from typing import Any, TypeVar

from reconciler.model.identity import once_for_each_object
from reconciler.model.values import Path, Pos

T = TypeVar("T")


def values_at(props: Any, pattern: str) -> Iterator[tuple[Path, Any]]:
    """Every value that ``pattern`` (``a.b[].c``, ``a.*``) matches, with its path."""
    found: list[tuple[Path, Any]] = [((), props)]
    for step in segments(pattern):
        below: list[tuple[Path, Any]] = []
        for path, value in found:
            if isinstance(value, list | tuple):
                if step == "[]":
                    below += [((*path, index), item) for index, item in enumerate(value)]
            elif isinstance(value, dict | Mapping):
                if step == "*":
                    below += [((*path, name), item) for name, item in value.items()]
                elif step in value:
                    below.append(((*path, step), value[step]))
        if not below:  # most match nothing
            return iter(())
        found = below
    return iter(found)


def values_by(props: Any, patterns: Mapping[str, T]) -> Iterator[tuple[Path, T, Any]]:
    """Every value that one of ``patterns`` matches, in their order: path, what belongs to the pattern, and value.

    The mapping must be one that remains, such as a kind's own.
    """
    found: list[tuple[int, Path, Any]] = []
    steps, belonging = _steps(patterns)
    _reach(props, steps, (), found)
    if len(found) > 1:
        found.sort(key=_PLACE)
    return iter([(path, belonging[place], value) for place, path, value in found])


_PLACE = itemgetter(0)


def _reach(value: Any, steps: Mapping[str, Any], path: Path, found: list[tuple[int, Path, Any]]) -> None:
    """Add what ``steps`` match in ``value``, which is at ``path``: the number of the pattern, the path, the value."""
    if type(value) is not dict and isinstance(value, list | tuple):  # ``type`` is quicker, and most are dictionaries
        if (below := steps.get("[]")) is not None:
            for index, item in enumerate(value):
                _matched(item, below, (*path, index), found)
    elif type(value) is dict or isinstance(value, Mapping):
        for step, below in steps.items():
            if step == "*":
                for name, item in value.items():
                    _matched(item, below, (*path, name), found)
            elif step in value:
                _matched(value[step], below, (*path, step), found)


def _matched(value: Any, below: tuple[tuple[int, ...], Mapping[str, Any]], path: Path, found: Any) -> None:
    ends, steps = below
    for place in ends:
        found.append((place, path, value))
    if steps and type(value) is not str:
        _reach(value, steps, path, found)


@once_for_each_object
def _steps(patterns: Mapping[str, Any]) -> tuple[Mapping[str, Any], tuple[Any, ...]]:
    """The patterns as a tree: by step, the numbers of those that end there, and the steps that follow. And what belongs
    to each pattern.
    """
    top: dict[str, Any] = {}
    for place, pattern in enumerate(patterns):
        *above, last = segments(pattern)
        steps = top
        for step in above:
            steps = steps.setdefault(step, ([], {}))[1]
        steps.setdefault(last, ([], {}))[0].append(place)
    return top, tuple(patterns.values())


@cache
def segments(pattern: str) -> tuple[str, ...]:
    """The steps of a path in the notation of a kind's fields: ``a.b[].c`` is ``a``, ``b``, ``[]``, ``c``."""
    return tuple(re.findall(r"\[\]|[^.\[\]]+", pattern))


def sample(pattern: str) -> Path:
    """A path that ``pattern`` matches: with the first item of every list."""
    return tuple(0 if step == "[]" else step for step in segments(pattern))


def dotted(path: Path) -> str:
    """A path as text: ``computeEnvironmentOrder.0.computeEnvironment``."""
    return ".".join(str(part) for part in path)


def reuse_if_unchanged(old: Any, new: Any) -> Any:
    """``old`` where ``new`` has the very same members, so that equal values exist once; else ``new``."""
    if type(old) is dict:
        return old if all(map(is_, old.values(), new.values())) else new
    return old if type(old) is list and len(old) == len(new) and all(map(is_, old, new)) else new


def located(root: str, pos: Pos) -> str:
    """A place as it can be opened: its file is relative to the environment, which is at ``root`` (empty, or with a
    slash at its end); ``environments/prod/../../base.yaml`` is ``base.yaml``.
    """
    return f"{opened(root, pos.file)}:{pos.line}:{pos.column}"


def opened(root: str, file: str) -> str:
    """The path of a file that is relative to the environment at ``root``, without detours; empty if ``file`` is."""
    return posixpath.normpath(f"{root}{file}") if file else ""


def as_written(path: Path) -> str:
    """A path as the AWS CLI's queries write it: ``computeEnvironmentOrder[0].computeEnvironment``."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")
