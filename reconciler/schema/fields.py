"""What a schema says about one field: its type, values, bounds, default; for `explain` and docs/reference/. Pure.

The description of a field is a short text, in which ``Default: ...`` is what leaving it out means.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from reconciler.model import Effect, Field, Json, Replace
from reconciler.model.patterns import regex
from reconciler.model.records import dataclass
from reconciler.model.values import MISSING

EFFECTS: Final = {
    Effect.IN_PLACE: "in place",
    Effect.SCALING: "scaling update",
    Effect.INFRASTRUCTURE: "infrastructure update",
    Effect.NEW_REVISION: "new revision",
    Effect.REPLACE: "replacement",
}
REPLACEMENTS: Final = {
    Replace.FORBIDDEN: "not possible; a change that would need it is refused",
    Replace.DECLARED: "only with `lifecycle: {replace: delete-first}` or `create-first`, or with `--replace`",
    Replace.CREATE_FIRST: "the new one is created first (`create-first`)",
    Replace.DELETE_FIRST: "the old one is deleted first (`delete-first`)",
}
URL: Final = regex(r" ?https://\S+")
LITERAL: Final = regex(r"true|false|-?\d+(\.\d+)?|/|\$\w+|[A-Z][A-Z0-9]*(_[A-Z0-9]+)+|[A-Z]{3,}")
# What a field that names a role is tried with: AWS treats a custom role in another way than none
CUSTOM_ROLE: Final = "arn:aws:iam::123456789012:role/custom"
_DEFAULT = regex(r" ?\bDefault: (?P<what>.+?)(?: \((?P<more>[^)]*)\))?\.(?= |$)")
_BESIDE = regex(r"(?P<what>[\w.$-]+|\[\w+\]) \(default\)")
_LONG = 60


def resolved(document: Json, schema: Json) -> Json:
    """The subschema that ``schema`` is, or refers to within its document."""
    ref = schema.get("$ref", "")
    if not ref.startswith("#"):
        return schema
    found: Any = document
    for part in ref.split("/")[1:]:
        found = found[part]
    return {**found, **{key: item for key, item in schema.items() if key != "$ref"}}


def types(schema: Json) -> list[str]:
    """The types of a schema, without the text that stands for an expression."""
    given = schema.get("type", [])
    found = [given] if isinstance(given, str) else list(given)
    if len(found) > 1 and "$\\{" in schema.get("pattern", ""):
        found.remove("string")
    if not found and schema.get("properties"):
        return ["object"]
    return found


def choices(schema: Json) -> list[Any]:
    """The values that it may have; empty: any of its type."""
    return list(schema.get("enum") or next((one["enum"] for one in schema.get("anyOf", ()) if "enum" in one), []))


def bounds(schema: Json) -> str:
    """``0 to 10``, ``at least 1``, ``at most 64``; empty for a number without bounds."""
    return span(schema.get("minimum"), schema.get("maximum"))


def span(low: Any, high: Any) -> str:
    """The same of two numbers, either of which may be None."""
    if low is not None and high is not None:
        return f"{low} to {high}"
    if low is not None:
        return f"at least {low}"
    return f"at most {high}" if high is not None else ""


def either(words: list[str]) -> str:
    """``a, b or c``."""
    return f"{', '.join(words[:-1])} or {words[-1]}" if len(words) > 1 else "".join(words)


@dataclass(frozen=True, slots=True)
class Default:
    """What leaving a field out means: ``value`` in YAML, or ``words``, with what else means the same in ``more``."""

    words: str = ""
    value: Any = MISSING
    more: str = ""
    described: bool = False  # a longer text, in the description


def default(text: str, facts: Field | None) -> tuple[Default | None, str]:
    """The default of a field with this description, and the description without it; None where there is none."""
    found = _DEFAULT.search(text)
    beside = _BESIDE.search(text)
    if found and len(found["what"]) <= _LONG:
        rest = (text[: found.start()] + text[found.end() :]).strip()
        return Default(words=found["what"], more=found["more"] or ""), rest
    if facts is not None and facts.default is not MISSING:
        return Default(value=facts.default), text
    if beside and not found:
        return Default(value=beside["what"]), text
    if facts is not None and facts.computed:
        return Default(words="set by AWS"), text
    return (Default(words="see description", described=True) if found else None), text


# --- variants of an example ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Variant:
    """Properties that differ from an example in one member: ``value`` at ``path``, ``MISSING`` where it is left out."""

    path: tuple[str, ...]
    value: Any
    props: Json


def variants(document: Json) -> list[Json]:
    """Properties to judge: none, the examples, and these with each choice and each role set or left out."""
    found: list[Json] = [{}]
    for example in document.get("examples", ()):
        found += [example, *(one.props for one in varied(document, example))]
    return found


def varied(schema: Json, value: Json, path: tuple[str, ...] = ()) -> Iterator[Variant]:
    """The variants of one example."""
    for name, below in schema.get("properties", {}).items():
        values: list[Any] = next((one["enum"] for one in below.get("anyOf", ()) if "enum" in one), [])
        if name.endswith(("Role", "Arn")):
            values = [CUSTOM_ROLE]
        for choice in values:
            yield Variant((*path, name), choice, {**value, name: choice})
        if isinstance(value.get(name), Mapping):
            for one in varied(below, value[name], (*path, name)):
                yield Variant(one.path, one.value, {**value, name: one.props})
    for name in value:
        yield Variant((*path, name), MISSING, {key: item for key, item in value.items() if key != name})
