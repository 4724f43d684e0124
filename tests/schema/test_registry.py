"""Schemas: checking with templates, what is published, the tree of members; and that every shipped schema is sound."""

import json

import jsonschema
import pytest

from reconciler.kinds import discover
from reconciler.model import Pos, Reference, Template
from reconciler.schema import registry
from tests.support.long import LONG

EXPRESSION = "\\$\\{.+\\}"
QUEUE = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "$id": "queue.schema.json",
    "x-section": "queues",
    "description": "A queue.",
    "type": "object",
    "additionalProperties": False,
    "required": ["priority"],
    "properties": {
        "priority": {"type": ["integer", "string"], "pattern": EXPRESSION, "minimum": 0, "maximum": 1000},
        "state": {"type": "string", "anyOf": [{"enum": ["ENABLED", "DISABLED"]}, {"pattern": EXPRESSION}]},
        "fair": {"type": ["boolean", "string"], "pattern": EXPRESSION},
        "share": {"type": ["number", "string"], "pattern": EXPRESSION},
        "order": {
            "type": ["array", "string"],
            "pattern": "^\\$\\{[^}]+\\}$",
            "minItems": 1,
            "uniqueItems": True,
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["name"],
                "properties": {"name": {"type": "string", "maxLength": 3}, "rank": {"type": "integer"}},
            },
        },
        "options": {"type": "object", "additionalProperties": {"type": "string"}},
        "document": {"type": ["object", "string"]},
        "target": {"oneOf": [{"$ref": "#/$defs/one"}, {"$ref": "#/$defs/other"}]},
        "either": {"anyOf": [{"type": "integer"}, {"type": "array"}]},
        "lifecycle": {"$ref": "lifecycle.schema.json"},
    },
    "dependentRequired": {"fair": ["share"]},
    "$defs": {
        "one": {"type": "object", "required": ["host"], "properties": {"host": {"type": "string"}}},
        "other": {"type": "object", "required": ["path"], "properties": {"path": {"type": "string"}}},
    },
}
LIFECYCLE = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "$id": "lifecycle.schema.json",
    "type": "object",
    "additionalProperties": False,
    "properties": {"adopt": {"type": "boolean"}},
}
ENVIRONMENT = {"$id": "settings.schema.json", "type": "object", "properties": {"region": {"type": "string"}}}
SCHEMAS = registry.Schemas.of(
    {"queue.schema.json": QUEUE, "lifecycle.schema.json": LIFECYCLE, "settings.schema.json": ENVIRONMENT}
)

WHOLE = Template((Reference("lookups", "${lookups.x}", attr="x"),))
PART = Template(("a-", Reference("region", "${region}")))


def found(**props):
    """(code, path, message, hint) of a queue with a priority and ``props``."""
    problems = SCHEMAS.resource("queues", {"priority": 1, **props}, at=lambda path: Pos("f", len(path), 0))
    return [(p.code, p.path, p.message, p.hint) for p in problems]


@pytest.mark.parametrize(
    "props",
    [
        {"priority": 0},
        {"state": "ENABLED", "order": [{"name": "a"}]},
        {"priority": WHOLE, "state": WHOLE, "fair": WHOLE, "share": WHOLE, "order": WHOLE, "options": WHOLE},
        {"order": [WHOLE, {"name": WHOLE, "rank": WHOLE}], "target": WHOLE, "either": WHOLE},
        {"state": PART, "order": [{"name": PART}], "options": {"x": PART}, "document": PART},
        {"target": {"host": PART}},
        {"lifecycle": WHOLE},
        {"lifecycle": {"adopt": WHOLE}},
        {"share": 0.5},
        {"share": 1},
    ],
)
def test_what_fits_and_what_only_a_plan_can_tell_passes(props):
    assert found(**props) == []


@pytest.mark.parametrize(
    ("props", "code", "path", "message"),
    [
        ({"priority": PART}, "wrong-type", "priority", "must be a whole number, not a-${region}"),
        ({"fair": PART, "share": 1}, "wrong-type", "fair", "must be true or false"),
        ({"order": PART}, "wrong-type", "order", "must be a list"),
        ({"priority": 2.0}, "wrong-type", "priority", "not the number 2.0"),
        ({"priority": True}, "wrong-type", "priority", "not true"),
        ({"priority": "${var.x}"}, "wrong-type", "priority", "not the text"),
        ({"priority": -1}, "out-of-range", "priority", "must be at least 0, not -1"),
        ({"priority": 1001}, "out-of-range", "priority", "must be at most 1000, not 1001"),
        ({"order": []}, "out-of-range", "order", "must not be empty"),
        ({"order": [{"name": "a"}, {"name": "a"}]}, "invalid-value", "order", "contains a duplicate"),
        ({"order": [{"name": "long"}]}, "out-of-range", "order.0.name", "at most 3 characters, and has 4"),
        ({"order": [{"rank": 1}]}, "missing-field", "order.0", "name is missing in order.0"),
        ({"order": [{"name": "a", "rnk": 1}]}, "unknown-field", "order.0.rnk", 'unknown field "rnk" in order.0'),
        ({"options": {"a": 1}}, "wrong-type", "options.a", "must be text, not the number 1"),
        ({"fair": True}, "missing-field", "", "share is missing"),
        ({"either": "x"}, "wrong-type", "either", "must be a whole number or a list, not the text"),
        ({"target": {}}, "missing-field", "target", "one of host, path is missing"),
        ({"target": {"host": "a", "path": "b"}}, "invalid-value", "target", "more than one form matches"),
        ({"target": {"host": 1}}, "wrong-type", "target.host", "must be text"),
        ({"lifecycle": {"adopt": "yes"}}, "wrong-type", "lifecycle.adopt", "must be true or false"),
        ({"lifecycle": {"adpt": True}}, "unknown-field", "lifecycle.adpt", "unknown field"),
    ],
)
def test_what_does_not_fit_is_said_once_and_plainly(props, code, path, message):
    problems = found(**props)

    assert [(code, path)] == [problem[:2] for problem in problems]
    assert message in problems[0][2]


@pytest.mark.parametrize(
    ("props", "hint"),
    [
        ({"priority": "7"}, "write it without quotes, as a plain decimal number: 7"),
        ({"priority": "007"}, "decimal number: 7"),
        ({"priority": "1,000"}, "decimal number: 1000"),
        ({"priority": 2.6}, "write it without a fraction: 3"),
        ({"share": "01.50"}, "decimal number: 1.5"),
        ({"fair": "Yes", "share": 1}, "write true"),
        ({"fair": "off", "share": 1}, "write false"),
        ({"options": {"a": True}}, 'write it in quotes: "true"'),
        ({"options": [{"Key": "a", "Value": "b"}]}, "write a mapping, key: value"),
        ({"order": "a"}, "write it as a list: [a]"),
        ({"order": {"name": "a"}}, "with name, rank"),
        ({"order": ["a"]}, "write its members below it: name, rank"),
        ({"state": "enabled"}, 'did you mean "ENABLED"?'),
        ({"state": True}, "one of DISABLED, ENABLED"),
        ({"State": "ENABLED"}, 'did you mean "state"?'),
        ({"STATE": "ENABLED"}, 'did you mean "state"?'),
        ({"rank": 1}, "move it under order"),
        ({"order": [{"name": "a", "priority": 1}]}, "move it one level up"),
        ({"zzz": 1}, "one of document, either"),
    ],
)
def test_the_way_out(props, hint):
    assert [hint in problem[3] for problem in found(**props)] == [True]


def test_a_misspelt_required_member_is_not_missing_as_well():
    problems = SCHEMAS.resource("queues", {"Priority": 1}, at=lambda _: Pos("f", 1, 1))

    assert [problem.code for problem in problems] == ["unknown-field"]


def test_an_unknown_member_is_pointed_at_itself_and_a_missing_one_at_its_parent():
    places = {("order", 0): Pos("f", 5, 9), ("x",): Pos("f", 7, 5)}
    value = {"priority": 1, "x": 1, "order": [{}]}

    problems = SCHEMAS.resource("queues", value, at=lambda path: places[path])

    assert {(p.code, str(p.pos)) for p in problems} == {("unknown-field", "f:7:5"), ("missing-field", "f:5:9")}


def test_a_section_without_a_schema_is_not_judged():
    assert SCHEMAS.resource("nothing", {"x": 1}, at=lambda _: Pos("f", 1, 1)) == []
    assert SCHEMAS.members("nothing") == {"*": {}}


def test_the_tree_of_members():
    assert SCHEMAS.members("queues") == {
        "priority": {},
        "state": {},
        "fair": {},
        "share": {},
        "order": {"name": {}, "rank": {}},
        "options": {"*": {}},
        "document": {"*": {}},
        "target": {"host": {}, "path": {}},
        "either": {},
        "lifecycle": {"adopt": {}},
    }


def test_published_documents_stand_alone():
    queue, whole = SCHEMAS.published("queues"), SCHEMAS.published()

    check(queue, {"priority": 1, "target": {"host": "a"}, "lifecycle": {"adopt": True}})
    check(queue, {"priority": "${var.p}", "order": "${lookups.o}"})
    check(whole, {"region": "x", "queues": {"a": {"priority": 1, "target": {"path": "a"}}, "b": None}})
    with pytest.raises(jsonschema.ValidationError):
        check(queue, {"priority": 1, "lifecycle": {"adopt": "x"}})
    with pytest.raises(jsonschema.ValidationError):
        check(whole, {"queues": {"a": {"prio": 1}}})
    with pytest.raises(jsonschema.ValidationError):
        check(whole, {"quues": {}})


def check(document, value):
    validator = jsonschema.Draft202012Validator
    validator.check_schema(document)
    validator(document).validate(value)


# --- what is shipped ---------------------------------------------------------------------------------------------------


def test_every_kind_has_a_schema_and_every_schema_a_kind():
    assert set(registry.sections()) == set(discover())


@pytest.mark.parametrize("file", sorted(registry.directory().glob("*.schema.json")), ids=lambda path: path.name)
def test_a_schema_is_sound_and_explains_everything(file):
    document = json.loads(file.read_text())
    jsonschema.Draft202012Validator.check_schema(document)

    assert document["$id"] == file.name
    assert ("title" in document) == (file.name != "environment.schema.json")  # editors show it above every member
    assert document["description"]
    if "x-section" in document:
        assert document["examples"]
        assert {"tags", "lifecycle"} <= set(document["properties"])
        assert all(item.get("description") or "$ref" in item for item in document["properties"].values())
        assert document["additionalProperties"] is False


@pytest.mark.parametrize("section", registry.sections())
def test_the_examples_of_a_schema_fit_it(section):
    published = registry.published(section)
    if LONG or sorted(registry.sections()).index(section) % 3 == 0:  # they are made alike, of sound ones
        jsonschema.Draft202012Validator.check_schema(published)
    for example in registry.shipped().documents[registry.shipped().by_section[section]]["examples"]:
        assert registry.shipped().resource(section, example, at=lambda _: Pos("f", 1, 1)) == []
        jsonschema.Draft202012Validator(published).validate(example)


def test_the_published_environment_takes_the_examples_of_every_section():
    whole = jsonschema.Draft202012Validator(registry.published())  # whose file is sound, and the same
    sections = registry.shipped().by_section

    for section, file in sections.items():
        for example in registry.shipped().documents[file]["examples"]:
            whole.validate({"environment": "t", section: {"x": example}})
    for example in registry.shipped().documents["settings.schema.json"]["examples"]:
        whole.validate(example)


def test_secrets_are_known_by_their_path():
    assert registry.is_secret("secrets", ("value",))
    assert registry.is_secret("secrets", ("value", "password"))
    assert not registry.is_secret("secrets", ("description",))
    assert not registry.is_secret("secrets", ())
    assert not registry.is_secret("nothing", ("value",))


def test_the_schema_that_editors_are_pointed_at_is_up_to_date():
    file = registry.directory() / "environment.schema.json"

    assert json.loads(file.read_text("utf-8")) == {**registry.published(), "$id": file.name}, "run: make schemas"
