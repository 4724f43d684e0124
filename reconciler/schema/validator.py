"""The errors of a value by a JSON Schema, in full; the only module that imports jsonschema.

Details:

- A template that is the whole value passes anywhere; one inside a text is text whose content is not checked.
- An integer is an ``int``: ``2.0`` is not one, since AWS refuses it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.validators import extend
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from reconciler.model import Json, Template


def validators(documents: Mapping[str, Json]) -> dict[str, Any]:
    """A validator for each document, by file name; documents refer to each other by file name."""
    registry: Registry[Any] = Registry().with_resources(
        (name, Resource.from_contents(document, default_specification=DRAFT202012))
        for name, document in documents.items()
    )
    return {name: Validator(document, registry=registry) for name, document in documents.items()}


def _is_integer(_: Any, instance: Any) -> bool:
    return isinstance(instance, int) and not isinstance(instance, bool)


Keyword = Callable[[Any, Any, Any, Any], Any]
_OF_CONTENT = {"pattern", "enum", "const", "minLength", "maxLength", "format"}


def _with_templates(name: str, keyword: Keyword) -> Keyword:
    def check(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[Any]:
        if isinstance(instance, Template):
            if instance.whole or name in _OF_CONTENT:
                return
            if name == "type":
                instance = ""
        yield from keyword(validator, value, instance, schema) or ()

    return check


Validator = extend(  # type: ignore[no-untyped-call]
    Draft202012Validator,
    {name: _with_templates(name, keyword) for name, keyword in Draft202012Validator.VALIDATORS.items()},
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine("integer", _is_integer),
)
