"""The facts about one field, or about a section."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final

from reconciler.config import files
from reconciler.config.yaml.node import Node
from reconciler.model import MISSING, Effect, Field, Json, Ref
from reconciler.model.paths import sample, values_at
from reconciler.operations import scaffold
from reconciler.operations.explaining import effects
from reconciler.operations.explaining.schemas import Place
from reconciler.render.explanation import Brief, Change, FieldFacts
from reconciler.schema import aws_model
from reconciler.schema.fields import REPLACEMENTS, URL, Default, choices, default, either, span, types

_LENGTHS: Final = {"string": "Length", "array": "Items", "object": "Properties"}
_UNITS: Final = {"Length": "characters", "Items": "items", "Properties": "members"}
_EXAMPLE: Final = "the schema"
_LIFECYCLE: Final = "lifecycle"


def explained(place: Place) -> FieldFacts:
    """Everything about the field or section at ``place``."""
    text, about = _default(place)
    of_aws = aws_model.described(place.kind, sample(place.path)) if place.kind else None
    example, origin = _example(place)
    changed = _changes(place)
    facts = _facts(place)
    return FieldFacts(
        section=place.section,
        path=place.path,
        about=URL.sub("", about).strip(),
        type=type_of(place) if place.path or place.kind is None else "",
        required=place.required,
        read_only=bool(place.schema.get("readOnly")),
        secret=facts.secret,
        default=text,
        values=tuple(choices(place.schema) or (of_aws.values if of_aws else ())),
        limits=_limits(place, of_aws),
        changes=changed,
        not_compared=_not_compared(place),
        left_out=_left_out(place, text, example),
        replaced=_replaced(place, changed),
        example=example,
        example_from=origin,
        fields=tuple(brief(one) for one in place.members() if not one.schema.get("readOnly")),
        aws=of_aws.paragraphs if of_aws else (),
        sources=tuple(dict.fromkeys(_sources(place))),
    )


def brief(place: Place) -> Brief:
    """One line about a field."""
    _, about = _default(place)
    return Brief(
        name=place.path.rpartition(".")[2],
        type=type_of(place),
        required=place.required,
        change="not compared" if _not_compared(place) else effects.words(_changes(place)),
        about=re.split(r"(?<=[.]) ", URL.sub("", about).strip())[0],
    )


def _facts(place: Place) -> Field:
    return place.kind.fields.get(place.path, Field()) if place.kind else Field()


def _changes(place: Place) -> tuple[Change, ...]:
    reserved = not place.path or place.path.partition(".")[0] == _LIFECYCLE or place.schema.get("readOnly")
    if place.kind is None or reserved:
        return ()
    if place.newer and not place.kind.versioned and "replacement" in place.newer:
        return (Change(effect=Effect.REPLACE.value, because=place.newer),)
    return effects.changes(place.kind, place.path, place.schema)


def _not_compared(place: Place) -> bool:
    return place.kind is not None and effects.not_compared(place.kind, place.path)


def _left_out(place: Place, text: str, example: Any) -> str:
    nothing = not place.path or not place.schema or place.schema.get("readOnly")
    if place.kind is None or nothing or place.path in (_LIFECYCLE, place.kind.name_member):
        return ""
    if place.required:
        return "not possible"
    return effects.left_out(place.kind, place.path, example, text)


def _replaced(place: Place, changed: tuple[Change, ...]) -> str:
    """How the resource is replaced, where a change may replace it; for a section always."""
    replaces = any(one.effect == Effect.REPLACE.value for one in changed)
    if place.kind is None or place.kind.versioned or place.kind.shared or (place.path and not replaces):
        return ""
    return REPLACEMENTS[place.kind.replace].replace("`", "")


# --- type, default, limits -------------------------------------------------------------------------------------------


def type_of(place: Place) -> str:
    """The type in words, with the section that it names a resource of, or the look-up that may give it."""
    if place.kind is not None:
        for at, words in ((place.path, ""), (f"{place.path}[]", f"{_list_word(place)} of ")):
            if at in place.kind.refs:
                return words + _names(place.kind.refs[at])
            if at in place.kind.lookups:
                return f"{words}text, or a look-up of {place.kind.lookups[at]}"
    return either([_one_type(place, name) for name in types(place.schema)]) or "any"


def _one_type(place: Place, name: str) -> str:
    if name == "array":
        items = place.below(f"{place.path}[]", place.schema["items"]) if "items" in place.schema else None
        what = type_of(items) if items else ""
        return f"{_list_word(place)} of {_plural(what)}" if what else "list"
    if name == "object":
        free = place.schema.get("additionalProperties")
        if place.schema.get("properties") or not isinstance(free, Mapping):
            return "mapping"
        return f"mapping of names to {_plural(type_of(place.below(f'{place.path}.*', free)))}"
    values = choices(place.schema)
    if values and len(values) <= _FEW:
        return either([json.dumps(value) if not isinstance(value, str) else value for value in values])
    return "text" if name == "string" else name


_FEW: Final = 3


def _plural(words: str) -> str:
    return re.sub(r"^(mapping|integer|number|boolean)\b", r"\1s", words)


def _list_word(place: Place) -> str:
    return "set" if _facts(place).unordered else "list"


def _names(ref: Ref) -> str:
    what = {"arn": "name or ARN", "id": "name or id", "uri": "name or URI"}.get(ref.attr, ref.attr)
    return f"{what} of {either(list(ref.sections))}"


def _default(place: Place) -> tuple[str, str]:
    """The default in words, and the description without it."""
    text = str(place.schema.get("description", ""))
    if place.required:
        return "", text
    found, rest = default(text, _facts(place) if place.kind else None)
    if found is None or found.described:
        return _from_description(found, text), rest
    value = found.words if found.value is MISSING else _as_yaml(found.value)
    return value + (f" ({found.more})" if found.more else ""), rest


def _from_description(found: Default | None, text: str) -> str:
    """The default that is a longer sentence of the description."""
    return text.partition("Default: ")[2].partition(". ")[0].rstrip(".") if found else ""


def _as_yaml(value: Any) -> str:
    return value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)


def _limits(place: Place, of_aws: aws_model.Described | None) -> str:
    found = []
    if bounds := span(place.schema.get("minimum"), place.schema.get("maximum")):
        found.append(bounds)
    for name in types(place.schema):
        noun = _LENGTHS.get(name, "")
        if noun and (bounds := span(place.schema.get(f"min{noun}"), place.schema.get(f"max{noun}"))):
            found.append(f"{bounds} {_UNITS[noun]}".replace(" 1 items", " 1 item"))
        elif not found and of_aws and (bounds := span(of_aws.low, of_aws.high)):
            found.append(f"{bounds} {_UNITS[noun]} (in AWS's API)" if noun else f"{bounds} (in AWS's API)")
    hint = place.schema.get("propertyNames", {}).get("x-hint")
    return ", ".join([*found, *([f"names: {hint}"] if hint else [])])


def _sources(place: Place) -> Iterator[str]:
    """The pages about it: its own, those of the rules for a change, that of the resource."""
    yield from _urls(place.schema)
    if place.kind is not None and place.path:
        yield from effects.sources(place.kind, place.path)
    yield from _urls(place.document)


def _urls(schema: Json) -> Iterator[str]:
    return (url.strip().rstrip(".") for url in URL.findall(schema.get("description", "")))


# --- examples --------------------------------------------------------------------------------------------------------


def _example(place: Place) -> tuple[Any, str]:
    """A value, and where it is from: the schema's example, or a template of `init`; MISSING if none has it."""
    examples = place.document.get("examples", ())
    if not place.schema:
        return MISSING, ""
    if place.kind is None:
        inside = place.section if place.path == "" else f"{place.section}.{place.path}"
        pattern = inside.removeprefix(f"{_LIFECYCLE}.") if place.section == _LIFECYCLE else inside
        if place.path and place.path.partition(".")[0] == _LIFECYCLE:
            pattern = place.path.partition(".")[2]
        return _first(examples, pattern) if pattern and pattern != _LIFECYCLE else _whole(examples)
    if not place.path:
        return _whole(examples)
    value, origin = _first(examples, place.path)
    if value is not MISSING:
        return value, origin
    for name, found in _templates().items():
        value, _ = _first(found.get(place.section, ()), place.path)
        if value is not MISSING:
            return value, f"the template {name}"
    return MISSING, ""


def _whole(examples: Any) -> tuple[Any, str]:
    return (examples[0], _EXAMPLE) if examples else (MISSING, "")


def _first(examples: Any, pattern: str) -> tuple[Any, str]:
    values = (value for example in examples for _, value in values_at(example, pattern))
    value = next(values, MISSING)
    return value, _EXAMPLE if value is not MISSING else ""


@cache
def _templates() -> Mapping[str, Mapping[str, list[Json]]]:
    """The resources of the templates as written, by template and section."""
    found: dict[str, dict[str, list[Json]]] = {}
    for directory in sorted(scaffold.templates_directory().iterdir()):
        if not files.is_environment(directory):
            continue
        sections: dict[str, list[Json]] = {}
        for layer in files.read(directory).layers:
            for node in (layer.settings, *layer.others.values()):
                for section, below in node.value.items():
                    if isinstance(below.value, dict):
                        sections.setdefault(section, []).extend(
                            value for one in below.value.values() if isinstance(value := plain(one), dict)
                        )
        found[directory.name] = sections
    return found


def plain(node: Node) -> Any:
    """The value of a node, as written."""
    if isinstance(node.value, dict):
        return {name: plain(item) for name, item in node.value.items()}
    return [plain(item) for item in node.value] if isinstance(node.value, list) else node.value
