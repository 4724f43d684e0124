"""What is shown of a plan as plain JSON, for plan files: masked texts, and read again as untrusted ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from enum import StrEnum
from functools import cache
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from reconciler.model.problem_codes import catalogue
from reconciler.model.problems import Problem
from reconciler.model.values import Pos
from reconciler.render.difference import Line
from reconciler.render.mask import Mask
from reconciler.render.view import View

_CLEAN = Mask()
_DEEPEST = 100  # how far a line can be indented


def write(view: View) -> dict[str, Any]:
    """``view`` as plain JSON; members that have their default are left out."""
    written: dict[str, Any] = _written(view)
    return written


def read(stored: Any) -> View:
    """The view that :func:`write` has written, with nothing in it that a terminal would obey.

    Raises ValueError, TypeError, KeyError or AttributeError where it has written something else.
    """
    view: View = typed(View, stored)
    return view


def plain(value: Any) -> Any:
    """``value``, a dataclass of what is shown, as plain JSON; members that have their default are left out."""
    return _written(value)


def typed(kind: Any, stored: Any) -> Any:
    """What :func:`plain` has written of a value of the type ``kind``; raises as :func:`read`."""
    return _read(kind, stored)


def _written(value: Any) -> Any:
    if isinstance(value, Problem):
        place = [value.pos.file, value.pos.line, value.pos.column] if value.pos else None
        texts = [value.message, value.hint, value.address, value.path, value.environment]
        return [value.code, value.severity, *texts, place]
    if is_dataclass(value):
        members = [(item, getattr(value, item.name)) for item in fields(value)]
        return {item.name: _written(member) for item, member in members if member != item.default}
    if isinstance(value, Mapping):
        return {name: _written(item) for name, item in value.items()}
    listed = isinstance(value, Sequence) and not isinstance(value, str | list)
    return [_written(item) for item in value] if listed else value


def _read(kind: Any, stored: Any) -> Any:
    """``stored`` as a value of the type ``kind``."""
    if kind is Problem:
        return _problem(*stored)
    if kind is Line:
        sign, depth, text = stored
        return Line(_read(str, sign), min(max(_read(int, depth), 0), _DEEPEST), _read(str, text))
    if isinstance(kind, type) and issubclass(kind, (int, float, str)):
        return _scalar(kind, stored)
    if is_dataclass(kind):
        made: Any = kind
        return made(**{name: _read(_members(made)[name], item) for name, item in stored.items()})
    if get_origin(kind) is UnionType:  # of something and None
        return None if stored is None else _read(get_args(kind)[0], stored)
    if get_origin(kind) in (tuple, Sequence):
        return tuple(_read(get_args(kind)[0], item) for item in stored)
    return {_read(str, name): _read(get_args(kind)[1], item) for name, item in stored.items()}


def _scalar(kind: type, stored: Any) -> Any:
    if issubclass(kind, StrEnum):
        return kind(stored)
    if type(stored) is not kind:
        raise TypeError(f"{kind.__name__} expected")
    return _CLEAN.line(stored) if isinstance(stored, str) else stored


@cache
def _members(kind: type) -> Mapping[str, Any]:
    return get_type_hints(kind)


def _problem(
    code: str, severity: str, message: str, hint: str, address: str, path: str, environment: str, place: Any
) -> Problem:
    file, line, column = place or ("", 0, 0)
    return Problem(
        code=catalogue()[code],
        message=_CLEAN.text(message),
        hint=_CLEAN.text(hint),
        address=_read(str, address),
        path=_read(str, path),
        environment=_read(str, environment),
        warning=severity != "error",
        note=severity == "note",
        pos=Pos(_read(str, file), _read(int, line), _read(int, column)) if file else None,
    )
