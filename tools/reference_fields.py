"""The tables of fields in docs/reference/: one for each object of a schema, with what its kind knows about them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from reconciler.model import MISSING, Effect, Kind, Ref
from reconciler.model.paths import sample
from reconciler.planning.effects import differs_below, outcomes, rules
from reconciler.schema import fields
from reconciler.schema.fields import EFFECTS, either

Json = Mapping[str, Any]

_EXPRESSION = re.compile(r'"[^"{]*\$\{[^"]*"|\$?\$\{[^}]*\}')


def escaped(text: str) -> str:
    """The text in a cell of a Markdown table, expressions as code."""
    parts: list[str] = []
    at = 0
    for found in _EXPRESSION.finditer(text):
        parts += [_plain(text[at : found.start()]), f"`{found[0]}`"]
        at = found.end()
    return "".join([*parts, _plain(text[at:])]).replace("|", "\\|")


def _plain(text: str) -> str:
    return re.sub(r"([*<>\[\]])", r"\\\1", text).replace("\n", " ")


def anchor(title: str) -> str:
    """The fragment that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def code(value: Any) -> str:
    """A value as it is written in YAML, as code."""
    return f"`{value}`" if isinstance(value, str) and value else f"`{json.dumps(value, ensure_ascii=False)}`"


@dataclass(frozen=True, slots=True)
class Target:
    """A subschema, and where it is: the pattern of its path, and the definition that it is made by."""

    schema: Json
    path: str
    name: str = ""


@dataclass
class Tables:
    """The tables of one document: ``kind`` has the facts about its fields, or is None for settings.

    ``links`` are the pages of definitions in other documents, by file name.
    """

    document: Json
    kind: Kind | None
    links: Mapping[str, str]
    notes: list[str] = field(default_factory=list)
    seen: dict[str, str] = field(default_factory=dict)

    def lines(self, root: Json, path: str = "", level: int = 2, title: str = "Fields") -> Iterator[str]:
        """The table of an object, then those of the objects in it, each below a heading with its path."""
        if title:
            yield from ["#" * level + f" {title}", ""]
        if path and root.get("description"):
            yield from [escaped(fields.URL.sub("", root["description"])), ""]
        columns = ["Field", "Type", "Default", *(["A change"] if self.kind else []), "Description"]
        yield from [_row(columns), _row(["---"] * len(columns))]
        below: list[Target] = []
        read_only: list[str] = []
        for name, schema in self.properties(root, path).items():
            where = f"{path}.{name}" if path else name
            if schema.get("readOnly"):
                read_only.append(name)
                continue
            yield self.row(name, where, schema, required=name in root.get("required", ()), below=below)
        yield ""
        if read_only:
            yield from [f"Read-only, accepted in pasted output and ignored: {', '.join(map(code, read_only))}.", ""]
        for target in below:
            yield from self.lines(target.schema, target.path, 3, f"`{target.path}`")

    def properties(self, root: Json, path: str) -> Json:
        """The properties of an object, at the top with the member that gives the physical name."""
        if path or self.kind is None or not self.kind.name_member:
            return root.get("properties", {})
        text = "The physical name; it takes no prefix. Default: the key above, after namePrefix."
        return {**root["properties"], self.kind.name_member: {"type": "string", "description": text}}

    def conditions(self) -> Iterator[str]:
        """When the changes with a number are replacements: given after :meth:`lines`."""
        if self.notes:
            yield from ["## When a change replaces", "", "The fields with a number are replaced because:", ""]
            yield from [f"{number}. {escaped(note)}" for number, note in enumerate(self.notes, start=1)]

    def row(self, name: str, path: str, schema: Json, *, required: bool, below: list[Target]) -> str:
        """One field; the objects in it that need a table of their own are added to ``below``."""
        target = self.resolved(schema, path)
        text = target.schema.get("description", "")
        if schema.get("$ref", "") in self.links:
            text = "How reconcile treats it." if name == "lifecycle" else ""
        default, text = self.default(path, text, required=required)
        cells = [f"`{name}`", self.type(schema, path, below), default]
        if self.kind:
            cells.append("" if name == "lifecycle" and path == name else self.change(self.kind, path, target))
        return _row([*cells, escaped(fields.URL.sub("", text).strip())])

    # --- types -------------------------------------------------------------------------------------------------------

    def resolved(self, schema: Json, path: str) -> Target:
        """The subschema that ``schema`` is, or refers to."""
        ref = schema.get("$ref", "")
        return Target(fields.resolved(self.document, schema), path, ref if ref.startswith("#") else "")

    def type(self, schema: Json, path: str, below: list[Target]) -> str:
        """The type in words, with what it names, its values and its bounds."""
        if schema.get("$ref", "") in self.links:
            return self.links[schema["$ref"]]
        target = self.resolved(schema, path)
        facts = self.kind.fields.get(path) if self.kind else None
        masked = ", masked" if facts is not None and facts.secret else ""
        return (
            self.named(path)
            or either([self.one_type(name, target, below) for name in fields.types(target.schema)]) + masked
        )

    def one_type(self, name: str, target: Target, below: list[Target]) -> str:
        schema, path = target.schema, target.path
        if name == "array":
            items = self.type(schema.get("items", {}), f"{path}[]", below)
            items = re.sub(r"^(\[?)(mapping|integer)\b", r"\1\2s", items)
            return f"{self.list_word(path)} of {items}" if items else "list"
        if name == "object":
            return self.object_type(target, below)
        if values := fields.choices(schema):
            return either([code(value) for value in values])
        bounds = fields.bounds(schema)
        return "text" if name == "string" else f"{name}, {bounds}" if bounds else name

    def list_word(self, path: str) -> str:
        facts = self.kind.fields.get(path) if self.kind else None
        return "set" if facts is not None and facts.unordered else "list"

    def object_type(self, target: Target, below: list[Target]) -> str:
        schema, path = target.schema, target.path
        if not schema.get("properties"):
            free = schema.get("additionalProperties")
            if not isinstance(free, Mapping):
                return "mapping"
            return f"mapping of names to {self.type(free, f'{path}.*', below)}"
        if any(one.path == path.removesuffix("[]") != path for one in below):  # one, or a list of such
            return f"[mapping](#{anchor(path.removesuffix('[]'))})"
        if target.name in self.seen:
            first = self.seen[target.name]
            return f"[as {first}](#{anchor(first)})"
        if target.name:
            self.seen[target.name] = path
        below.append(target)
        return f"[mapping](#{anchor(path)})"

    def named(self, path: str) -> str:
        """What the field names: resources of a section, or what a look-up finds; empty for a plain value."""
        if self.kind is None:
            return ""
        for at, words in ((path, ""), (f"{path}[]", f"{self.list_word(path)} of ")):
            if at in self.kind.refs:
                return words + _names(self.kind.refs[at])
            if at in self.kind.lookups:
                found = self.kind.lookups[at]
                return f"{words}text, or a look-up of [{found}](lookups.md#{found.lower()})"
        return ""

    # --- defaults, and what a change does ----------------------------------------------------------------------------

    def default(self, path: str, text: str, *, required: bool) -> tuple[str, str]:
        """What leaving the field out means, and the description without that."""
        if required:
            return "**required**", text
        found, rest = fields.default(text, self.kind.fields.get(path) if self.kind else None)
        if found is None:
            return "", rest
        if found.value is not MISSING:
            return code(found.value), rest
        what = f"`{found.words}`" if fields.LITERAL.fullmatch(found.words) else escaped(found.words)
        return what + (escaped(f" ({found.more})") if found.more else ""), rest

    def change(self, kind: Kind, path: str, target: Target) -> str:
        """What a change of the field does, with the number of a note where that depends on others."""
        facts = kind.fields.get(path)
        if facts is not None and facts.ignore and path != kind.name_member:
            return "not compared"
        if path == kind.name_member:
            return EFFECTS[Effect.REPLACE]
        if path == "tags" or path.startswith("tags."):
            return EFFECTS[Effect.IN_PLACE]
        found = outcomes(rules(kind, sample(path)), self.variants)
        if target.schema.get("properties") and set(found) == {Effect.IN_PLACE} and differs_below(kind, path):
            return "depends on the field"
        words = either([EFFECTS[effect] for effect in found])
        reason = "; ".join(found.get(Effect.REPLACE, ())) if len(found) > 1 else ""
        return f"{words} [({self.noted(f'{reason}.')})](#when-a-change-replaces)" if reason else words

    def noted(self, note: str) -> int:
        if note not in self.notes:
            self.notes.append(note)
        return self.notes.index(note) + 1

    @cached_property
    def variants(self) -> list[Json]:
        """Properties to judge."""
        return fields.variants(self.document)


def _names(ref: Ref) -> str:
    what = {"arn": "name or ARN", "id": "name or id", "uri": "name or URI"}.get(ref.attr, ref.attr)
    return f"{what} of {either([f'[{section}]({section}.md)' for section in ref.sections])}"


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
