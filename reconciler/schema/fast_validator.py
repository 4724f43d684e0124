"""A quick check of a value by a JSON Schema: surely valid, or to be validated by jsonschema.

The keywords that our schemas use are compiled to Python functions, once. Nearly every value passes them, so jsonschema,
which is thirty times slower and slow to import, is needed for invalid values only. An unknown keyword, or a value that
needs a closer check, gives False, never True. The results must agree with :mod:`.validator`, templates included; a
property test compares the two.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from reconciler.model import Json, Template
from reconciler.model.patterns import regex

Check = Callable[[Any], bool]

# Keywords that do not constrain the value
_ABOUT = frozenset(
    ("description", "title", "examples", "default", "readOnly", "deprecated", "$comment", "$schema", "$id", "$defs")
)
_TYPES: Mapping[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}


_MOST_KNOWN = 1000  # lists of one kind that are remembered

_EXPRESSION = regex(r"\\\$\\\{")


def admitting_none(schema: Json) -> Json:
    """One level of a schema, without the alternative of an expression (text of the form ``${...}``) to a type."""
    plain = dict(schema)
    types = plain.get("type")
    if isinstance(types, list) and "string" in types and admits_expression(plain):
        others = [name for name in types if name != "string"]
        plain["type"] = others[0] if len(others) == 1 else others
        del plain["pattern"]
    for either in ("anyOf", "oneOf"):
        branches = plain.get(either)
        if isinstance(branches, list) and any(is_expression(branch) for branch in branches):
            left = [branch for branch in branches if not is_expression(branch)]
            del plain[either]
            plain = {**left[0], **plain} if len(left) == 1 else {**plain, either: left} if left else plain
    return plain


def admits_expression(schema: Json) -> bool:
    """Whether the pattern of a schema is that of an expression."""
    pattern = schema.get("pattern")
    return isinstance(pattern, str) and bool(_EXPRESSION.search(pattern))


def is_expression(branch: Any) -> bool:
    """Whether an alternative of a schema is an expression and nothing else."""
    extra = {"type", "pattern", "description", "title", "$comment"}
    if not isinstance(branch, Mapping) or isinstance(branch.get("type"), list):
        return False
    return admits_expression(branch) and set(branch) <= extra


def _no(_: Any) -> bool:
    return False


class CompiledSchemas:
    """The schemas of a set of documents, by file name, as functions, without the alternative of an expression."""

    def __init__(self, document: Callable[[str], Json | None]) -> None:
        self.document = cache(document)
        self.known: dict[str, Check] = {}

    def of(self, file: str) -> Check:
        """The check of a value by the schema of a file: True means that it is surely valid."""
        return self.referred("", file)

    def referred(self, ref: str, file: str) -> Check:
        """The check of ``ref`` in ``file``; compiled when it is first called, since schemas may be recursive."""
        name, _, pointer = ref.partition("#")
        where = name or file
        key = f"{where}#{pointer}"

        def check(value: Any) -> bool:
            found = self.known.get(key)
            if found is None:
                found = self.known[key] = self.compiled(self.target(where, pointer), where)
            return found(value)

        return check

    def target(self, file: str, pointer: str) -> Any:
        """The part of a document that a JSON pointer means; None where it has none."""
        target: Any = self.document(file)
        for part in pointer.split("/")[1:]:
            target = target.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(target, Mapping) else None
        return target

    def compiled(self, schema: Any, file: str) -> Check:
        """The schema as one function."""
        if schema is True or schema == {}:
            return lambda _: True
        if not isinstance(schema, Mapping):
            return _no
        plain = admitting_none(schema)
        rules = {name: rule for name, rule in plain.items() if name not in _ABOUT and not name.startswith("x-")}
        if rules.keys() == {"type"} and "string" in rules["type"]:
            return _type(rules["type"])  # any template passes
        checks = self.checks(rules, file)
        if rules:  # an unknown keyword
            return _no
        return _template_or(checks)

    def types(self, schema: Any) -> frozenset[type]:
        """The types of which any value passes the schema; none where it says more than a type, as few members do."""
        plain = admitting_none(schema) if isinstance(schema, Mapping) else {}
        rules = {name for name in plain if name not in _ABOUT and not name.startswith("x-")}
        return _types(plain["type"]) if rules == {"type"} else frozenset()

    def checks(self, rules: dict[str, Any], file: str) -> list[Check]:
        """A function for every known keyword, cheap ones first; the keywords are removed from ``rules``."""
        found = [make(rules.pop(name)) for name, make in _SIMPLE_KEYWORDS.items() if name in rules]
        if "propertyNames" in rules:
            found.append(_keys(self.compiled(rules.pop("propertyNames"), file)))
        if rules.keys() & {"properties", "patternProperties", "additionalProperties"}:
            found.append(self.members(rules, file))
        if "items" in rules:
            found.append(_items(self.compiled(rules.pop("items"), file)))
        if "$ref" in rules:
            found.append(self.referred(rules.pop("$ref"), file))
        found += [self.compiled(each, file) for each in rules.pop("allOf", ())]
        if "anyOf" in rules:
            found.append(_any([self.compiled(each, file) for each in rules.pop("anyOf")]))
        return found

    def members(self, rules: dict[str, Any], file: str) -> Check:
        """The check of a mapping's members; its keywords are removed from ``rules``."""
        schemas = rules.pop("properties", {})
        known: dict[str, Check] = {}  # compiled at the first value: few members are ever used
        types: dict[str, frozenset[type]] = {}
        patterns = [
            (re.compile(name), self.compiled(each, file)) for name, each in rules.pop("patternProperties", {}).items()
        ]
        others = rules.pop("additionalProperties", True)
        other = _no if others is False else self.compiled(others, file)

        def check(value: Any) -> bool:
            if type(value) is not dict:
                return True
            for name, item in value.items():
                if type(item) in types.get(name, ()):
                    continue
                judge = known.get(name)
                if judge is None and name in schemas:
                    judge = known[name] = self.compiled(schemas[name], file)
                    types[name] = self.types(schemas[name]) if not patterns else frozenset()
                if patterns and not _matching(name, item, patterns, strict=judge is None, other=other):
                    return False
                if judge is None:
                    if not patterns and not other(item):
                        return False
                elif not judge(item):
                    return False
            return True

        return check


def _matching(
    name: str, item: Any, patterns: list[tuple[re.Pattern[str], Check]], *, strict: bool, other: Check
) -> bool:
    """Check a member by the patterns that match its name; by ``other`` where none does and ``strict``."""
    fitting = [check for pattern, check in patterns if pattern.search(name)]
    return all(check(item) for check in fitting) if fitting or not strict else other(item)


def _template_or(checks: list[Check]) -> Check:
    """All of the checks, with templates as in :mod:`.validator`: a whole one passes, one inside a text is text."""
    if len(checks) == 1:
        (only,) = checks
        return lambda value: only(value) if type(value) is not Template else bool(value.whole) or only(value)

    def check(value: Any) -> bool:
        if type(value) is Template and value.whole:
            return True
        for each in checks:  # noqa: SIM110  (half the time of all() with a generator)
            if not each(value):
                return False
        return True

    return check


# --- single keywords -------------------------------------------------------------------------------------------------


def _type(wanted: str | list[str]) -> Check:
    types = _types(wanted)
    return lambda value: type(value) in types


def _types(wanted: str | list[str]) -> frozenset[type]:
    names = [wanted] if isinstance(wanted, str) else wanted
    if any(name not in _TYPES for name in names):
        return frozenset()
    types = frozenset(each for name in names for each in _TYPES[name])
    return types | {Template} if str in types else types


def _enum(values: list[Any]) -> Check:
    texts = frozenset(value for value in values if isinstance(value, str))
    return lambda value: type(value) is Template or (type(value) is str and value in texts)


def _pattern(pattern: str) -> Check:
    search = re.compile(pattern).search
    return lambda value: type(value) is not str or search(value) is not None


def _length(least: int, most: float, of: Any) -> Check:
    return lambda value: type(value) is not of or least <= len(value) <= most


def _between(least: float, most: float) -> Check:
    return lambda value: type(value) not in (int, float) or least <= value <= most


def _required(names: list[str]) -> Check:
    needed = frozenset(names)
    return lambda value: type(value) is not dict or needed <= value.keys()


def _unique(wanted: bool) -> Check:  # noqa: FBT001
    """Whether texts differ; equality of other values is left to jsonschema."""

    def check(value: Any) -> bool:
        return type(value) is not list or (all(type(item) is str for item in value) and len({*value}) == len(value))

    return check if wanted else lambda _: True


def _keys(check: Check) -> Check:
    return lambda value: type(value) is not dict or all(map(check, value))


def _items(check: Check) -> Check:
    """The check of a list's items. Lists of mappings are repeated in many resources: one is checked once."""
    valid: set[str] = set()

    def every(value: Any) -> bool:
        if type(value) is not list:
            return True
        if not value or type(value[0]) is not dict:
            return all(map(check, value))
        known = repr(value)  # differs for whatever a check could distinguish
        if known in valid:
            return True
        if not all(map(check, value)):
            return False
        if len(valid) >= _MOST_KNOWN:
            valid.clear()
        valid.add(known)
        return True

    return every


def _any(checks: list[Check]) -> Check:
    return lambda value: any(check(value) for check in checks)


_MANY = float("inf")
_SIMPLE_KEYWORDS: Mapping[str, Callable[[Any], Check]] = {
    "type": _type,
    "enum": _enum,
    "pattern": _pattern,
    "required": _required,
    "minLength": lambda limit: _length(limit, _MANY, str),
    "maxLength": lambda limit: _length(0, limit, str),
    "minItems": lambda limit: _length(limit, _MANY, list),
    "maxItems": lambda limit: _length(0, limit, list),
    "minProperties": lambda limit: _length(limit, _MANY, dict),
    "maxProperties": lambda limit: _length(0, limit, dict),
    "minimum": lambda limit: _between(limit, _MANY),
    "maximum": lambda limit: _between(-_MANY, limit),
    "uniqueItems": _unique,
}
