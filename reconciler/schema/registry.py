"""JSON Schemas: what each section may contain, as a check, as published documents, and as a tree of members.

Details:

- For editors, a schema file allows an expression as every value (the type is then "integer or string", with a pattern
  for the string). When reconcile checks, expressions are filled in or are templates, so that alternative is removed
  first: messages then name the plain type only.
- :mod:`.fast_validator` accepts what is surely valid; only the rest is validated by :mod:`.validator` (jsonschema).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path as FilePath
from typing import Any, Protocol

from reconciler.kinds import discover
from reconciler.model import Json, Kind, Path, Pos
from reconciler.model.masking import private_name
from reconciler.model.problems import Problem
from reconciler.model.records import dataclass
from reconciler.model.when_used import when_used
from reconciler.schema.fast_validator import CompiledSchemas, admitting_none

with when_used():
    from reconciler.schema import messages, numbers
    from reconciler.schema.editor import EditorView

ENVIRONMENT = "settings.schema.json"
SHARED = (ENVIRONMENT, "lifecycle.schema.json")
TESTS = "tests.schema.json"
_ENDING = ".schema.json"
_SECTION = '\n  "x-section": "'


class SchemaExtension(Protocol):
    """Where members and values are looked up that the schemas lack."""

    def member(self, path: Path, value: Any) -> Json | None:
        """The schema of the member at ``path``, with an ``x-note`` for the message; None where it does not exist."""

    def secret(self, path: Path) -> bool:
        """Whether the value at ``path`` is in a member that was looked up and must not be shown."""

    def allows(self, path: Path, value: Any) -> bool:
        """Whether the member at ``path`` may have the value."""


@dataclass(frozen=True, slots=True, eq=False)
class Schemas:
    """A set of schema files by file name, and the file of each section."""

    documents: Mapping[str, Json]
    by_section: Mapping[str, str]
    _validators: dict[str, Any]
    _members: dict[str, Json]
    _verdicts: CompiledSchemas

    @classmethod
    def of(cls, documents: Mapping[str, Json], by_section: Mapping[str, str] | None = None) -> Schemas:
        """Schemas by file name; ``x-section`` in a document is its section, unless ``by_section`` is given."""
        if by_section is None:
            named = sorted(documents.items())
            by_section = {document["x-section"]: name for name, document in named if "x-section" in document}
        return cls(documents, by_section, {}, {}, CompiledSchemas(documents.get))

    def sections(self) -> tuple[str, ...]:
        """The sections that have a schema, sorted."""
        return tuple(sorted(self.by_section))

    def meant_by(self, word: str) -> str:
        """The section that people call ``word`` elsewhere (``x-also-called``); empty if there is none."""
        found = (
            section
            for section, file in self.by_section.items()
            if any(name in word.lower() for name in self.documents[file].get("x-also-called", ()))
        )
        return next(found, "")

    def resource(
        self,
        section: str,
        value: Any,
        *,
        at: Callable[[Path], Pos],
        address: str = "",
        name: str = "",
        extension: SchemaExtension | None = None,
    ) -> list[Problem]:
        """The problems of a resource's properties; none where the section has no schema.

        Members and values that the schema lacks are looked up in ``extension``.
        """
        file = self.by_section.get(section)
        if file is None or self._surely_valid(file, value):
            return []
        known = messages.MessageContext(
            at=at,
            address=address,
            name=name,
            members=self.members(section),
            read_only=frozenset(_read_only(self.documents[file])),
            secret=lambda path: (
                is_secret(section, path)
                or called_secret(value, path)
                or (extension is not None and extension.secret(path))
            ),
            newer_member=lambda path, found: _newer(extension, path, found) if extension else None,
            newer_value=lambda path, found: extension.allows(path, found) if extension else False,
        )
        return messages.problems(self._validator(file).iter_errors(value), known)

    def with_texts(self, section: str, value: Any) -> Any:
        """The properties of a resource, with text for numbers where the schema wants text."""
        file = self.by_section.get(section)
        return value if file is None else numbers.as_texts(value, self._validator(file).iter_errors(value))

    def settings_with_texts(self, value: Any) -> Any:
        """As :meth:`with_texts`, of an environment's settings; ``value`` itself if it is valid."""
        if ENVIRONMENT not in self.documents or self._surely_valid(ENVIRONMENT, {"environment": "-", **value}):
            return value
        return numbers.as_texts(value, self._validator(ENVIRONMENT).iter_errors(value))

    def settings(self, value: Any, *, at: Callable[[Path], Pos]) -> list[Problem]:
        """The problems of an environment's settings."""
        return self._problems(ENVIRONMENT, value, at)

    def tests(self, value: Any, *, at: Callable[[Path], Pos]) -> list[Problem]:
        """The problems of a file with tests."""
        return self._problems(TESTS, value, at)

    def _problems(self, file: str, value: Any, at: Callable[[Path], Pos]) -> list[Problem]:
        if file not in self.documents or self._surely_valid(file, value):
            return []
        known = messages.MessageContext(at=at, members=_members(self.documents[file], self.documents, file))
        return messages.problems(self._validator(file).iter_errors(value), known)

    def lifecycle(self, value: Any) -> bool:
        """Whether a resource's ``lifecycle`` is invalid."""
        file = SHARED[1]
        return file in self.documents and not (self._surely_valid(file, value) or self._validator(file).is_valid(value))

    def members(self, section: str) -> Json:
        """The members in the section's schema, as a tree: name to subtree, ``{}`` for a leaf.

        ``*`` stands for a map whose keys are data, with the subtree of its values. A list's subtree is that of its
        items. An unknown section gives ``{"*": {}}``.
        """
        file = self.by_section.get(section)
        if file is None:
            return {"*": {}}
        if section not in self._members:
            self._members[section] = _members(self.documents[file], self.documents, file)
        return self._members[section]

    def published(self, section: str | None = None) -> dict[str, Any]:
        """One self-contained document for editors: of a section's resources, or of a file of an environment."""
        view = EditorView(self.documents, self.by_section, plain=SHARED[1:])
        return view.section(section) if section else view.environment(ENVIRONMENT)

    def _surely_valid(self, file: str, value: Any) -> bool:
        """Whether the value is surely valid; if not, the validator decides."""
        return self._verdicts.of(file)(value)

    def _validator(self, file: str) -> Any:
        from reconciler.schema import validator  # noqa: PLC0415  (jsonschema is needed for invalid values only)

        if not self._validators:
            self._validators.update(
                validator.validators({name: _plain(self.documents[name]) for name in self.documents})
            )
        return self._validators[file]


def _newer(extension: SchemaExtension, path: Path, value: Any) -> tuple[list[Any], str] | None:
    """The errors of a value by the schema of ``extension``, with ``path`` in front of theirs, and the schema's note.

    None where the extension has no such member.
    """
    from reconciler.schema import validator  # noqa: PLC0415  (see above)

    document = extension.member(path, value)
    if document is None:
        return None
    errors = list(validator.Validator(document).iter_errors(value))
    for error in errors:
        error.path.extendleft(reversed(path))
    return errors, document.get("x-note", "")


class _Documents(Mapping[str, Json]):
    """Documents by name, each parsed at its first use."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self.texts = texts
        self.parsed: dict[str, Json] = {}

    def __getitem__(self, name: str) -> Json:
        if name not in self.parsed:
            self.parsed[name] = json.loads(self.texts[name])
        return self.parsed[name]

    def __contains__(self, name: object) -> bool:
        return name in self.texts

    def __iter__(self) -> Iterator[str]:
        return iter(self.texts)

    def __len__(self) -> int:
        return len(self.texts)


def directory() -> FilePath:
    """The directory of the schemas: inside an installed package, or next to it in a checkout."""
    here = FilePath(__file__).parents[1]
    return here / "schemas" if (here / "schemas").is_dir() else here.parent / "schemas"


def _section_in(text: str) -> str:
    """The section whose schema ``text`` is; empty for another. A regular expression would take ten times as long."""
    at = text.find(_SECTION)
    return text[at + len(_SECTION) : text.index('"', at + len(_SECTION))] if at >= 0 else ""


@cache
def shipped() -> Schemas:
    """The schemas that are part of reconcile."""
    texts = {file.name: file.read_text("utf-8") for file in sorted(directory().glob(f"*{_ENDING}"))}
    found = {name: _section_in(text) for name, text in texts.items()}
    by_section = {section: name for name, section in found.items() if section}
    used = {name: text for name, text in texts.items() if name in (*SHARED, TESTS) or found[name]}
    return Schemas.of(_Documents(used), by_section)


def sections() -> tuple[str, ...]:
    """The sections that have a schema, sorted."""
    return shipped().sections()


def members(section: str) -> Json:
    """As :meth:`Schemas.members`, of the shipped schemas."""
    return shipped().members(section)


def published(section: str | None = None) -> dict[str, Any]:
    """As :meth:`Schemas.published`, of the shipped schemas."""
    return shipped().published(section)


def published_tests() -> dict[str, Any]:
    """The document of files with tests, for editors."""
    return dict(shipped().documents[TESTS])


def is_secret(section: str, path: Path) -> bool:
    """Whether the value at ``path`` of a resource, or one it is part of, must not be shown."""
    kind = discover().get(section)
    return kind is not None and (is_secret_of(kind, path) or _misspelt_secret(kind, path))


def _misspelt_secret(kind: Kind, path: Path) -> bool:
    """Whether ``path`` is an unknown member of a kind that has secrets: most likely a misspelt one."""
    if not path or not has_secrets(kind.section):
        return False
    return path[0] not in ("tags", "lifecycle", *members(kind.section))


def has_secrets(section: str) -> bool:
    """Whether what is declared in a section has properties that must not be shown."""
    kind = discover().get(section)
    return kind is not None and any(field.secret for field in kind.fields.values())


def called_secret(value: Any, path: Path) -> bool:
    """Whether the value at ``path`` has a name like that of a secret: its key, or the ``name`` next to ``value``."""
    for part in path[:-1]:
        if isinstance(value, Mapping):
            value = value.get(part)
        else:
            value = value[part] if isinstance(value, list) and isinstance(part, int) else None
    beside = str(value.get("name", "")) if path and path[-1] == "value" and isinstance(value, Mapping) else ""
    return bool(path) and private_name(beside or str(path[-1]))


@cache
def secret_fields(kind: Kind) -> tuple[str, ...]:
    """The paths of the fields of a kind that must not be shown."""
    return tuple(path for path, field in kind.fields.items() if field.secret)


def is_secret_of(kind: Kind, path: Path) -> bool:
    """Whether the value at ``path`` is in a secret field of the kind."""
    return any(_covers(re.findall(r"\[\]|[^.\[\]]+", pattern), path) for pattern in secret_fields(kind))


def _covers(steps: list[str], path: Path) -> bool:
    if len(path) < len(steps):
        return False
    pairs = zip(steps, path, strict=False)
    return all(isinstance(part, int) if step == "[]" else step in ("*", part) for step, part in pairs)


# --- without expressions ---------------------------------------------------------------------------------------------


def _plain(schema: Any) -> Any:
    """The schema without the alternative of an expression, at every level."""
    if isinstance(schema, list):
        return [_plain(item) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    # "$schema" would make a referenced file fall back to the validator that knows no templates
    kept = {name: item for name, item in schema.items() if name != "$schema"}
    return admitting_none(
        {name: item if name in ("enum", "const", "examples") else _plain(item) for name, item in kept.items()}
    )


# --- the tree of members ---------------------------------------------------------------------------------------------


def _members(schema: Any, documents: Mapping[str, Json], file: str, seen: tuple[str, ...] = ()) -> dict[str, Any]:
    if not isinstance(schema, Mapping):
        return {}
    tree: dict[str, Any] = {}
    if "$ref" in schema and schema["$ref"] not in seen:
        target, where = _target(schema["$ref"], documents, file)
        _merge(tree, _members(target, documents, where, (*seen, schema["$ref"])))
    for name, item in schema.get("properties", {}).items():
        _merge(tree, {name: _members(item, documents, file, seen)})
    for name in ("items", "if", "then", "else"):
        _merge(tree, _members(schema.get(name), documents, file, seen))
    for name in ("allOf", "anyOf", "oneOf", "prefixItems"):
        for item in schema.get(name, ()):
            _merge(tree, _members(item, documents, file, seen))
    types = schema.get("type", [])
    free = schema.get("additionalProperties", not schema.get("properties"))
    if "object" in ([types] if isinstance(types, str) else types) and free is not False:
        _merge(tree, {"*": _members(free, documents, file, seen)})
    for item in schema.get("patternProperties", {}).values():
        _merge(tree, {"*": _members(item, documents, file, seen)})
    return tree


def _read_only(schema: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The paths of the members that AWS sets; lists do not show in them."""
    below = schema if isinstance(schema, Mapping) else {}
    for name, item in below.get("properties", {}).items():
        if messages.is_read_only(item):
            yield (*path, name)
        else:
            yield from _read_only(item, (*path, name))
    if "items" in below:
        yield from _read_only(below["items"], path)


def _merge(tree: dict[str, Any], other: Json) -> None:
    for name, below in other.items():
        _merge(tree.setdefault(name, {}), below)


def _target(ref: str, documents: Mapping[str, Json], file: str) -> tuple[Any, str]:
    name, _, pointer = ref.partition("#")
    where = name or file
    target: Any = documents.get(where, {})
    for part in pointer.split("/")[1:]:
        target = target.get(part.replace("~1", "/").replace("~0", "~"), {})
    return target, where
