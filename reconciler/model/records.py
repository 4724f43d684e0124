"""``dataclass`` as in the standard library, except that declaring a class writes no methods.

``dataclasses.dataclass`` writes up to seven methods of each class as text and executes it: 0.6 ms a class, 0.1 s for
the classes of a plan, most of which are never made or compared. Here a method is written when it is first looked up,
with the same text; what needs no text of its own is shared. All else (fields, defaults, ``replace``, slots, matching)
is the standard library's, and so is what type checkers see.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import MISSING, FrozenInstanceError
from functools import partial
from reprlib import recursive_repr
from types import MemberDescriptorType
from typing import TYPE_CHECKING, Any

_Method = Callable[..., Any]
_COMPARISONS = {"__lt__": "<", "__le__": "<=", "__gt__": ">", "__ge__": ">="}
_MAKE = object()  # the default of a parameter whose field has a factory


class _WhenAsked:
    """A method of ``owner`` that is written, and takes its own place there, when it is first looked up."""

    __slots__ = ("name", "owner", "write")

    def __init__(self, owner: type, name: str, write: Callable[[type], _Method]) -> None:
        self.owner, self.name, self.write = owner, name, write

    def __get__(self, instance: object, _owner: type | None = None) -> Any:
        method = self.write(self.owner)
        method.__qualname__ = f"{self.owner.__qualname__}.{self.name}"
        setattr(self.owner, self.name, method)
        return method if instance is None else method.__get__(instance)


def _executed(name: str, parameters: Sequence[str], body: Sequence[str], **known: Any) -> _Method:
    lines = "".join(f"\n {line}" for line in body or ["pass"])
    exec(f"def {name}({', '.join(parameters)}):{lines}", known)  # noqa: S102  field names in text of this module
    method: _Method = known[name]
    return method


def _init(owner: type, *, frozen: bool) -> _Method:
    known: dict[str, Any] = {"_make": _MAKE}
    by_place, by_name = ["self"], ["*"]
    body: list[str] = []
    for one in dataclasses.fields(owner):
        parameter = value = name = one.name
        if one.default is not MISSING:
            known[f"_default_{name}"] = one.default
            parameter, value = f"{name}=_default_{name}", name if one.init else f"_default_{name}"
        elif one.default_factory is not MISSING:
            known[f"_make_{name}"] = one.default_factory
            made = f"_make_{name}()"
            parameter, value = f"{name}=_make", f"{made} if {name} is _make else {name}" if one.init else made
        elif not one.init:
            continue
        if one.init:
            (by_name if one.kw_only else by_place).append(parameter)
        if frozen:
            known[f"_set_{name}"] = _setter(owner, name)
        body.append(f"_set_{name}(self, {value})" if frozen else f"self.{name} = {value}")
    if hasattr(owner, "__post_init__"):
        body.append("self.__post_init__()")
    method = _executed("__init__", [*by_place, *(by_name if by_name[1:] else ())], body, **known)
    method.__annotations__ = {one.name: one.type for one in dataclasses.fields(owner) if one.init} | {"return": None}
    return method


def _setter(owner: type, name: str) -> Callable[[Any, Any], None]:
    """What sets a member of a frozen object: a slot's own method, which need not look for the slot."""
    slot = getattr(owner, name, None)
    if isinstance(slot, MemberDescriptorType):
        return slot.__set__
    return lambda one, value: object.__setattr__(one, name, value)


def _compare(owner: type, *, name: str, sign: str) -> _Method:
    members = [one.name for one in dataclasses.fields(owner) if one.compare]
    ours, theirs = (f"({''.join(f'{of}.{member}, ' for member in members)})" for of in ("self", "other"))
    same = f"if other.__class__ is self.__class__: return {ours} {sign} {theirs}"
    return _executed(name, ["self", "other"], [same, "return NotImplemented"])


def _hash(owner: type) -> _Method:
    found = (one.name for one in dataclasses.fields(owner) if (one.compare if one.hash is None else one.hash))
    return _executed(
        "__hash__", ["self"], [f"return _hash(({''.join(f'self.{name}, ' for name in found)}))"], _hash=hash
    )


def _repr(owner: type) -> _Method:
    shown = ", ".join(f"{one.name}={{self.{one.name}!r}}" for one in dataclasses.fields(owner) if one.repr)
    method = _executed("__repr__", ["self"], [f"return self.__class__.__qualname__ + f'({shown})'"])
    return recursive_repr()(method)


def _refuse_to_set(_: object, name: str, _value: object) -> None:
    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_to_delete(_: object, name: str) -> None:
    raise FrozenInstanceError(f"cannot delete field {name!r}")


def _state(self: Any) -> tuple[Any, ...]:
    return tuple(getattr(self, one.name) for one in dataclasses.fields(self))


def _restore(self: Any, state: Sequence[Any]) -> None:
    for one, value in zip(dataclasses.fields(self), state, strict=True):
        object.__setattr__(self, one.name, value)


def _methods(
    owner: type,
    *,
    init: bool,
    repr: bool,  # noqa: A002
    eq: bool,
    order: bool,
    frozen: bool,
    slots: bool,
) -> dict[str, Any]:
    """What is missing in ``owner``, by name."""
    found: dict[str, Any] = {}
    if init:
        found["__init__"] = _WhenAsked(owner, "__init__", partial(_init, frozen=frozen))
    if repr:
        found["__repr__"] = _WhenAsked(owner, "__repr__", _repr)
    if eq:
        found["__eq__"] = _WhenAsked(owner, "__eq__", partial(_compare, name="__eq__", sign="=="))
        found["__hash__"] = _WhenAsked(owner, "__hash__", _hash) if frozen else None
    if order:
        for name, sign in _COMPARISONS.items():
            found[name] = _WhenAsked(owner, name, partial(_compare, name=name, sign=sign))
    if frozen:
        found |= {"__setattr__": _refuse_to_set, "__delattr__": _refuse_to_delete}
        if slots:
            found |= {"__getstate__": _state, "__setstate__": _restore}
    return found


def _dataclass(
    cls: type | None = None,
    /,
    *,
    init: bool = True,
    repr: bool = True,  # noqa: A002
    eq: bool = True,
    order: bool = False,
    frozen: bool = False,
    kw_only: bool = False,
    slots: bool = False,
) -> Any:
    def declare(declared: type) -> type:
        own = set(vars(declared))
        if "__eq__" in own and vars(declared)["__hash__"] is None:
            own.discard("__hash__")  # Python's, and not the author's
        if declared.__doc__ is None:
            declared.__doc__ = declared.__name__  # or the standard library writes the signature, for 0.2 ms
        made: type = dataclasses.dataclass(init=False, repr=False, eq=False, kw_only=kw_only, slots=slots)(declared)
        methods = _methods(made, init=init, repr=repr, eq=eq, order=order, frozen=frozen, slots=slots)
        for name in methods.keys() - own:
            setattr(made, name, methods[name])
        return made

    return declare if cls is None else declare(cls)


if TYPE_CHECKING:
    from dataclasses import dataclass
else:
    dataclass = _dataclass

__all__ = ["dataclass"]
