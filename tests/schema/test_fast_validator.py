"""The quick verdict against jsonschema: the same for everything that the shipped schemas describe."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.config import loader
from reconciler.model import Address, Reference, Template
from reconciler.schema import registry, validator
from reconciler.schema.fast_validator import CompiledSchemas, admitting_none
from tests.support.long import LONG

ROOT = Path(__file__).parents[2]
SHIPPED = registry.shipped()
DOCUMENTS = {name: registry._plain(SHIPPED.documents[name]) for name in SHIPPED.documents}
JUDGES = validator.validators(DOCUMENTS)
VERDICTS = CompiledSchemas(SHIPPED.documents.get)

REFERENCE = Reference("resource", "${roles.r.arn}", Address("roles", "r"), "arn")
ODD = [
    *(
        None,
        True,
        0,
        1,
        -1,
        10**9,
        1.5,
        2.0,
        "",
        "x",
        "ENABLED",
        "1:2",
        "a" * 300,
        [],
        {},
        ["x", "x"],
        [1, 1],
        {"x": "y"},
    ),
    *([{}], {"": None}, {"a b": [None]}, Template((REFERENCE,)), Template(("a-", REFERENCE))),
]


def declared():
    """What the examples of the schemas and the environments declare, by schema file."""
    found = [(name, example) for name, document in DOCUMENTS.items() for example in document.get("examples", ())]
    for folder in sorted((ROOT / "environments").iterdir()):
        loaded = loader.load(folder, environ={})
        found.append((registry.ENVIRONMENT, dict(loaded.settings)))
        for section, resources in loaded.sections.items():
            found += [(SHIPPED.by_section[section], raw.value) for raw in resources.values()]
    return found


DECLARED = declared()


@pytest.mark.parametrize("file", sorted(DOCUMENTS))
def test_no_schema_has_a_keyword_that_only_jsonschema_knows(file):
    assert "_no" not in unknown(SHIPPED.documents[file], file)


def unknown(rules, file):
    """The names of the functions that a schema and everything below it become."""
    names = []
    if isinstance(rules, dict):
        names.append(VERDICTS.compiled(rules, file).__name__)
        rules = admitting_none(rules)
        below = [rules.get(name) for name in ("items", "propertyNames", "additionalProperties")]
        below += [
            each for name in ("properties", "patternProperties", "$defs") for each in rules.get(name, {}).values()
        ]
        below += [each for name in ("anyOf", "allOf") for each in rules.get(name, ())]
        names += [name for each in below for name in unknown(each, file)]
    return names


def test_what_is_right_is_told_at_once():
    assert [file for file, value in DECLARED if not VERDICTS.of(file)(value)] == []
    assert len(DECLARED) > 50


def changed(value, data):
    """The value with one thing in it changed, anywhere."""
    if isinstance(value, dict) and value and data.draw(st.integers(0, 5)):
        name = data.draw(st.sampled_from(sorted(value)))
        what = data.draw(st.integers(0, 9))
        if what == 0:
            return {key: item for key, item in value.items() if key != name}
        if what == 1:
            return {**value, data.draw(st.sampled_from(["x", "tags", "name", "type", "arn:x", ""])): data.draw(odd)}
        return {**value, name: changed(value[name], data)}
    if isinstance(value, list) and value and data.draw(st.integers(0, 4)):
        index = data.draw(st.integers(0, len(value) - 1))
        what = data.draw(st.integers(0, 6))
        if what == 0:
            return [*value, value[index]]
        return [*value[:index], changed(value[index], data), *value[index + 1 :]]
    return data.draw(odd)


odd = st.sampled_from(ODD)


@settings(max_examples=400 if LONG else 40, deadline=None)
@given(st.data())
def test_both_say_the_same_of_what_has_been_changed(data):
    file, value = data.draw(st.sampled_from(DECLARED))
    for _ in range(data.draw(st.integers(1, 2))):
        value = changed(value, data)
    sure, right = VERDICTS.of(file)(value), JUDGES[file].is_valid(value)

    assert not sure or right
    assert sure or not right or unsure(value)


def unsure(value):
    """Whether there is a list in it with something else than texts, of which only jsonschema says what is the same."""
    if isinstance(value, dict):
        return any(map(unsure, value.values()))
    return isinstance(value, list) and any(not isinstance(item, str) or unsure(item) for item in value)


@pytest.mark.parametrize(
    "rules",
    [
        {"oneOf": [{"type": "string"}]},
        {"const": 1},
        {"not": {"type": "string"}},
        {"if": {}, "then": {}},
        {"type": "future"},
        {"$ref": "nowhere.json"},
        {"$ref": "#/$defs/nothing"},
        {"enum": [1, 2]},
        False,
    ],
)
def test_what_is_not_known_here_is_never_sure(rules):
    assert not CompiledSchemas({"f": {"properties": {"x": rules}}}.get).of("f")({"x": 1})


def test_a_schema_may_hold_itself():
    tree = {"type": "object", "additionalProperties": {"$ref": "#"}}

    assert CompiledSchemas({"f": tree}.get).of("f")({"a": {"b": {}}})
    assert not CompiledSchemas({"f": tree}.get).of("f")({"a": {"b": 1}})
