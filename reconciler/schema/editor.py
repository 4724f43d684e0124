"""The schemas as an editor needs them: one document, for files that are each only a part of an environment.

An editor sees one file before anything is merged. ``defaults``, ``extends`` and other files may supply what it lacks,
so this view is more lenient than the schemas, with which ``reconcile validate`` checks the result of the merge:

- Nothing is required of a mapping, and ``null`` removes a member. Lists are replaced as a whole when files are merged,
  so what an item requires is still required.
- A whole value may be an expression, and a number may stand where text is wanted (:mod:`.numbers`).
- Messages are sentences instead of patterns, in the keywords that yaml-language-server and VS Code read
  (``errorMessage``, ``patternErrorMessage``). Other editors ignore them.
- Members that only AWS sets are accepted, as in pasted output, but not suggested (``doNotSuggest``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any, Final

from reconciler.kinds import discover
from reconciler.model import Json
from reconciler.model.records import dataclass
from reconciler.schema.fast_validator import admits_expression, is_expression
from reconciler.schema.messages import NOUNS, is_read_only

_DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"
_ENDING: Final = ".schema.json"
_EXPRESSION: Final = r"\$\{.+\}"
_OR_EXPRESSION: Final = "or an expression such as ${var.name}"
# Keywords whose values are schemas by name, lists of schemas, or one schema of the same value
_BY_NAME: Final = ("properties", "patternProperties")
_BRANCHES: Final = ("anyOf", "oneOf", "allOf")
_SINGLE: Final = ("items", "additionalProperties", "not", "if", "then", "else")
# What a mapping may lack, or have besides, until it is merged
_OF_MERGED: Final = ("required", "dependentRequired", "minProperties", "maxProperties")
_LEFT_OUT: Final = ("$schema", "$id", "$defs", "title")  # a title would be shown above each member, too
_TYPES: Final = "types"
_OF_ITEMS: Final = ".items"
_REMOVAL: Final = {"not": {"type": ["object", "array", "string", "number", "boolean"]}}
_MUST_BE_TEXT: Final = "Must be text; write true, false and null in quotes."


@dataclass(slots=True)
class EditorView:
    """Creates one self-contained document of several schema files, which it names by their file names.

    ``plain`` are files whose values are no expressions.
    """

    documents: Mapping[str, Json]
    by_section: Mapping[str, str]
    plain: tuple[str, ...] = ()
    definitions: dict[str, dict[str, Any]] = field(default_factory=dict)

    def section(self, section: str) -> dict[str, Any]:
        """The document of one resource of a section."""
        root = self._resource(section)
        return {"$schema": _DRAFT, **root, "$defs": self._sorted()}

    def environment(self, settings: str) -> dict[str, Any]:
        """The document of any file of an environment; ``settings`` is the file of the settings."""
        members = self._view(self.documents[settings], settings, item=False)["properties"]
        mapping = {"anyOf": [self._values(["object"], plain=True), self._type("removal", _REMOVAL)]}
        resources, defaults = {}, {}
        for section, file in sorted(self.by_section.items()):
            self.definitions.setdefault(_key(file), {}).update(self._resource(section))
            about, reference = _about(self.documents[file]), {"$ref": f"#/$defs/{_key(file)}"}
            resources[section] = {**about, **mapping, "properties": {}, "additionalProperties": reference}
            defaults[section] = {**about, **reference}
        if "defaults" in members:
            members["defaults"] |= {**mapping, "properties": defaults, "additionalProperties": False}
        return {
            "$schema": _DRAFT,
            **_about(self.documents[settings]),
            **mapping,  # and a new file is empty
            "additionalProperties": False,
            "properties": {**members, **resources},
            "examples": self.documents[settings].get("examples", []),
            "$defs": self._sorted(),
        }

    def _sorted(self) -> dict[str, dict[str, Any]]:
        return dict(sorted(self.definitions.items()))

    def _resource(self, section: str) -> dict[str, Any]:
        """A resource of a section, with the member that gives the physical name: it is read before validation."""
        file = self.by_section[section]
        view = {**self._view(self.documents[file], file, item=False), **_about(self.documents[file])}
        kind = discover().get(section)
        if kind is not None and kind.name_member:
            text = "The physical name; it takes no prefix. Default: the key above, after namePrefix."
            member = {"description": text, "anyOf": [self._values(["string"], plain=False)]}
            view["properties"] = {**view.get("properties", {}), kind.name_member: member}
        return view

    def _view(self, schema: Any, file: str, *, item: bool) -> Any:
        """The view of a schema of ``file``; ``item``: it is in a list, whose items are not merged."""
        if not isinstance(schema, Mapping):
            return schema
        kept = {
            name: value
            for name, value in schema.items()
            if name not in _LEFT_OUT and not name.startswith("x-") and (item or name not in _OF_MERGED)
        }
        view = {name: self._keyword(name, value, file, item=item) for name, value in kept.items()}
        if "oneOf" in view:  # more than one may match before the files are merged
            view["anyOf"] = view.pop("oneOf")
        if is_read_only(schema):
            view["doNotSuggest"] = True
        if not admits_expression(schema):
            view |= _not_valid(schema) if "pattern" in view else {}
            for branch in view.get("anyOf", ()):
                if "pattern" in branch and not is_expression(branch):
                    branch.update(_not_valid(schema))
        if "type" in view:
            self._widen(view, schema, file, item=item)
        return view

    def _keyword(self, name: str, value: Any, file: str, *, item: bool) -> Any:
        if name in _BY_NAME:
            return {each: self._view(below, file, item=item) for each, below in value.items()}
        if name in _BRANCHES:
            return [self._view(branch, file, item=item) for branch in value]
        if name in _SINGLE:
            return self._view(value, file, item=item or name == "items")
        if name == "propertyNames":
            return {each: below for each, below in value.items() if not each.startswith("x-")} | _not_valid(value)
        return self._reference(value, file, item=item) if name == "$ref" else value

    def _reference(self, ref: str, file: str, *, item: bool) -> str:
        """The reference to the view of what ``ref`` refers to, which becomes a definition of the document.

        Editors show the end of a reference as the name of what it refers to.
        """
        name, _, pointer = ref.partition("#")
        where = name or file
        steps = pointer.split("/")[1:]
        last = steps[-1] if steps else _key(where)
        group = self.definitions.setdefault(f"{_key(where)}{_OF_ITEMS if item else ''}", {}).setdefault("$defs", {})
        if last not in group:
            group[last] = {}  # so that a schema can refer to itself
            target: Any = self.documents.get(where, {})
            for step in steps:
                target = target.get(step.replace("~1", "/").replace("~0", "~"), {})
            group[last].update(self._view(target, where, item=item))
        return f"#/$defs/{_key(where)}{_OF_ITEMS if item else ''}/$defs/{last}"

    def _widen(self, view: dict[str, Any], schema: Json, file: str, *, item: bool) -> None:
        """Admit expressions, numbers for text, and null; say in words what is wanted.

        What null is admitted by has no type, or editors would offer it as the value of every member.
        """
        types = [schema["type"]] if isinstance(schema["type"], str) else list(schema["type"])
        del view["type"]
        if admits_expression(schema) and len(types) > 1:
            types.remove("string")
            del view["pattern"]
        plain, removal = file in self.plain, [] if item else [self._type("removal", _REMOVAL)]
        if types == ["string"] and (choices := _choices(view)):
            view.pop("enum", None)
            expression = [] if plain else [self._type("expression", {"type": "string", "pattern": _EXPRESSION})]
            others = [*expression, *removal]
            if len(others) > 1:  # of three alternatives, yaml-language-server would show the lines between them
                others = [self._type("expression-removal", {"anyOf": others})]
            view["anyOf"] = [{"enum": choices, "errorMessage": _must_be(choices, plain=plain)}, *others]
            return
        if types == ["object"]:
            view.setdefault("properties", {})  # so that editors begin a new line
        alternatives = [self._values(types, plain=plain), *removal]
        if "anyOf" in view:
            view["allOf"] = [{"anyOf": alternatives}, *view.get("allOf", ())]
        else:
            view["anyOf"] = alternatives

    def _values(self, types: list[str], *, plain: bool) -> dict[str, Any]:
        """A reference to the schema of the values that may stand where ``types`` are wanted."""
        name, sentence = "-".join(types), _MUST_BE_TEXT
        if types != ["string"]:
            sentence = f"Must be {' or '.join(NOUNS[kind] for kind in types)}."
        if "string" in types:
            return self._type(name, {"type": list(dict.fromkeys([*types, "number"])), "errorMessage": sentence})
        if plain:
            return self._type(f"plain-{name}", {"type": types, "errorMessage": sentence})
        sentence = f"{sentence[:-1]}, {_OR_EXPRESSION}."
        messages = {"patternErrorMessage": sentence, "errorMessage": sentence}
        return self._type(name, {"type": [*types, "string"], "pattern": _EXPRESSION, **messages})

    def _type(self, name: str, schema: Json) -> dict[str, Any]:
        """A reference to a schema of types that many members have."""
        self.definitions.setdefault(_TYPES, {}).setdefault("$defs", {})[name] = dict(schema)
        return {"$ref": f"#/$defs/{_TYPES}/$defs/{name}"}


def _about(schema: Json) -> dict[str, str]:
    """What is shown of a resource: what it is called, and its description."""
    return {"description": ". ".join(filter(None, (schema.get("title"), schema.get("description"))))}


def _choices(view: Json) -> list[str]:
    """The texts that a schema lists, if it does."""
    listed = [view.get("enum", ()), *(branch.get("enum", ()) for branch in view.get("anyOf", ()))]
    return [str(text) for texts in listed for text in texts]


def _must_be(choices: list[str], *, plain: bool = False) -> str:
    return f"Must be one of {', '.join(choices)}{'' if plain else f', {_OR_EXPRESSION}'}."


def _not_valid(schema: Json) -> dict[str, str]:
    """The message for a text that does not match the pattern of a schema."""
    hint = str(schema.get("x-hint", "")).rstrip(".")
    return {"patternErrorMessage": f"Not valid ({hint})."} if hint else {}


def _key(file: str) -> str:
    return file.removesuffix(_ENDING)
