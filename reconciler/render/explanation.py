"""What `explain` shows, as plain data; nothing in it is secret."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from reconciler.model import MISSING
from reconciler.model.records import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One effect that a change can have: ``when`` are values of other fields that lead to it, ``because`` is the reason
    that a plan gives, and ``interrupts`` what it does to jobs, where it ends or delays them, or refuses new ones.
    """

    effect: str
    when: tuple[str, ...] = ()
    because: str = ""
    interrupts: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Brief:
    """One line about a field in a mapping or section."""

    name: str
    type: str
    required: bool
    change: str
    about: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldFacts:
    """A field, or a section where ``path`` is empty.

    ``changes`` are mildest first, and empty where a difference is not a change (``not_compared``) or the field is a
    setting. ``left_out`` is what leaving it out does to a resource that has it, ``replaced`` how its kind is replaced.
    ``aws`` is the documentation of the installed AWS model.
    """

    section: str
    path: str
    about: str
    type: str = ""
    required: bool = False
    read_only: bool = False
    secret: bool = False
    default: str = ""
    values: tuple[Any, ...] = ()
    limits: str = ""
    changes: tuple[Change, ...] = ()
    not_compared: bool = False
    left_out: str = ""
    replaced: str = ""
    example: Any = MISSING
    example_from: str = ""
    fields: tuple[Brief, ...] = ()
    aws: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()

    @property
    def address(self) -> str:
        """The section and the path."""
        return f"{self.section}.{self.path}" if self.path else self.section


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """One place that gives the value, or that a stronger place overrides.

    ``source`` is ``declared``, ``extends`` (a base declares it), ``defaults``, ``tags`` (those of the environment),
    ``variable`` (which the text of the place above names) or ``environment variable``.
    """

    source: str
    place: str = ""
    written: Any = MISSING
    name: str = ""
    used: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """One value in a mapping: its path in the resource, its place, and what a change of it does."""

    path: str
    value: Any
    place: str
    change: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueFacts:
    """A property of a declared resource. ``changes`` are those of a change from the value that it has now: ``when`` is
    what it is changed to, empty for any other value.
    """

    address: str
    path: str
    declared: bool
    value: Any = MISSING
    origins: tuple[Origin, ...] = ()
    changes: tuple[Change, ...] = ()
    leaves: tuple[Leaf, ...] = ()


def document(facts: Any) -> dict[str, Any]:
    """The facts as JSON; empty members are left out."""
    always = ("value", "example")
    return {name: value for name, value in _plain(facts).items() if name in always or (value and value is not MISSING)}


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        members = {item.name: getattr(value, item.name) for item in fields(value)}
        return {name: _plain(item) for name, item in members.items() if item is not MISSING}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    return value
