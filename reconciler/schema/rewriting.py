"""How to write a value as another JSON type: the words of a command as a list, 16GB as a number of MiB."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from typing import Any

from reconciler.model import Json, Template
from reconciler.model.patterns import regex
from reconciler.model.units import amount_in, unit_of

_NUMBER = regex(r"[+-]?[0-9][0-9_,]*(\.[0-9]*)?")
_YES = ("true", "yes", "on", "y")
_NO = ("false", "no", "off", "n")
_DIGITS = 40  # of a number that a text may stand for


def form(value: Any) -> str:
    """What a value is: a document (a policy), mapping, list of mappings, list or text."""
    if isinstance(value, Mapping):
        return "document" if "Statement" in value else "mapping"
    if isinstance(value, list):
        return "mappings" if value and all(isinstance(item, Mapping) for item in value) else "list"
    return "text"


def folded(name: str) -> str:
    """A name without what people spell in different ways: case, - and _."""
    return re.sub(r"[_\-\s]", "", name).lower()


def without_unit(value: Any, wanted: list[str], schema: Json, name: str) -> str:
    """How to write an amount with a unit (``16GB``) where a plain number is wanted; empty for anything else."""
    if not isinstance(value, str) or len(value) > _DIGITS or not {"integer", "number"} & set(wanted):
        return ""
    unit = unit_of(name, str(schema.get("description", "")))
    amount = amount_in(value, unit)
    return "" if amount is None else f"write a number of {unit} without a unit: {amount}"


def converted(value: Any, kind: str, members: Json, name: str) -> str:
    """How to write ``value`` as the JSON type ``kind``; empty where that is not obvious."""
    if kind == "string":
        return _as_text(value)
    if kind in ("integer", "number") and isinstance(value, str) and len(value) <= _DIGITS and _NUMBER.fullmatch(value):
        return f"write it without quotes, as a plain decimal number: {_decimal(value, kind)}"
    if kind == "integer" and isinstance(value, float):
        return f"write it without a fraction: {round(value)}"
    if kind == "boolean" and isinstance(value, str) and value.lower() in _YES + _NO:
        return f"write {'true' if value.lower() in _YES else 'false'}, without quotes"
    if kind == "array":
        return _as_list(value, list(members), name)
    return _as_object(value, members) if kind == "object" else ""


def _as_object(value: Any, members: Json) -> str:
    if isinstance(value, list):
        return _as_mapping(value, free="*" in members)
    if not members or "*" in members:
        return ""
    if len(members) == 1 and isinstance(value, int | float):
        return f"write it below its only member: {{{next(iter(members))}: {json.dumps(value)}}}"
    return f"write its members below it: {', '.join(list(members)[:4])}"


def _as_text(value: Any) -> str:
    if isinstance(value, bool | int | float):
        return f'write it in quotes: "{json.dumps(value)}"'
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], str):
        return f"write it without the brackets: {value[0]}"
    return ""


def _decimal(text: str, kind: str) -> str:
    digits = text.replace("_", "").replace(",", "").lstrip("+")
    whole, dot, rest = digits.partition(".")
    whole = f"{'-' if whole.startswith('-') else ''}{whole.lstrip('-').lstrip('0') or '0'}"
    return f"{whole}.{rest.rstrip('0') or '0'}" if dot and kind == "number" else whole


_COMMAS = regex(r"\s*[^\s,]+(\s*,\s*[^\s,]+)+\s*")
_NEEDS_SHELL = regex(r"&&|\|\||[;|<>`]|\$[A-Za-z_(]")


def _as_list(value: Any, members: list[str], name: str) -> str:
    if isinstance(value, str | Template):
        items = _items(str(value), name)
        return f"write it as a list: {json.dumps(items) if len(items) > 1 else f'[{value}]'}"
    if not isinstance(value, Mapping):
        return f"write it as a list: [{json.dumps(value)}]"
    if {"name", "value"} <= set(members):
        return "write a list of {name: ..., value: ...}"
    return "write a list, each item starting with -" + (f", with {', '.join(members[:4])}" if members else "")


def _items(text: str, name: str) -> list[str]:
    """The items of a list that was written as one text: those between commas, or the words of a command."""
    if _COMMAS.fullmatch(text):
        return [item.strip() for item in text.split(",")]
    if name == "command" and _NEEDS_SHELL.search(text):  # AWS Batch starts no shell of its own
        return ["sh", "-c", text]
    try:
        return shlex.split(text)
    except ValueError:  # an open quote
        return text.split()


_NAMES = ("name", "key", "policyname")


def _as_mapping(value: list[Any], *, free: bool) -> str:
    if value and all(
        isinstance(item, Mapping) and {name.lower() for name in item} == {"key", "value"} for item in value
    ):
        return "write a mapping, key: value, instead of a list of Key and Value"
    if free and (named := [name for name in _common(value) if folded(name) in _NAMES]):
        return f"write a mapping of names instead of a list: {{{value[0][named[0]]}: ...}}"
    unnamed = any(len(item) != 1 for item in value if isinstance(item, Mapping)) and len(value) > 1
    if free and (unnamed or any(form(item) == "document" for item in value)):
        return "write a mapping of names instead of a list: {NAME: ...}"
    return "write its members without the -"


def _common(value: list[Any]) -> list[str]:
    """The members that every item of a list of mappings has."""
    items = [item for item in value if isinstance(item, Mapping)]
    return [name for name in items[0] if all(name in item for item in items)] if len(items) == len(value) > 0 else []
