"""The kinds held against the API's own model: every member and value of every Batch request can be declared, nothing
can be declared that the model does not know, and what the kinds say about their fields is about fields that exist.

A newer model may fail these tests: that is what they are for. What cannot be declared stands below, with the reason.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import botocore.session
import pytest

from reconciler import kinds
from reconciler.kinds import discover
from reconciler.model import Effect, Replace
from reconciler.planning.canonical import with_defaults
from reconciler.schema import registry
from tests.support.batch_kinds import SCOPE
from tests.support.long import by, together

REQUESTS = {
    "CreateComputeEnvironment": "computeEnvironments",
    "UpdateComputeEnvironment": "computeEnvironments",
    "CreateJobQueue": "jobQueues",
    "UpdateJobQueue": "jobQueues",
    "RegisterJobDefinition": "jobDefinitions",
    "CreateSchedulingPolicy": "schedulingPolicies",
    "UpdateSchedulingPolicy": "schedulingPolicies",
    "CreateConsumableResource": "consumableResources",
    "UpdateConsumableResource": "consumableResources",
    "CreateServiceEnvironment": "serviceEnvironments",
    "UpdateServiceEnvironment": "serviceEnvironments",
    "CreateQuotaShare": "quotaShares",
    "UpdateQuotaShare": "quotaShares",
}
SECTIONS = sorted(set(REQUESTS.values()))
NOT_DECLARED = {"UpdateServiceJob": "a job is submitted, not declared"}

# Members of requests that are said in another way, and how.
SAID_OTHERWISE = {
    ("UpdateComputeEnvironment", "computeEnvironment"): "the name above",
    ("UpdateJobQueue", "jobQueue"): "the name above",
    ("UpdateServiceEnvironment", "serviceEnvironment"): "the name above",
    ("UpdateConsumableResource", "consumableResource"): "the name above",
    ("UpdateConsumableResource", "operation"): "always SET",
    ("UpdateConsumableResource", "quantity"): "totalQuantity, as in the create request",
    ("UpdateConsumableResource", "clientToken"): "one for each request",
}

# Members of a create request that no update takes and whose change is in place all the same, and how.
CHANGED_OTHERWISE = {
    ("consumableResources", "totalQuantity"): "by the quantity of UpdateConsumableResource",
}

TYPES = {
    "string": "string",
    "integer": "integer",
    "long": "integer",
    "float": "number",
    "double": "number",
    "boolean": "boolean",
    "list": "array",
    "map": "object",
    "structure": "object",
}


@cache
def model() -> Any:
    return botocore.session.get_session().get_service_model("batch")


def members_of(shape: Any, path: str = "", seen: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Every member below a shape with its path, in which ``[]`` steps into a list and ``*`` into a map."""
    if shape.type_name == "structure" and shape.name not in seen:
        for name, member in shape.members.items():
            here = f"{path}.{name}" if path else name
            yield here, member
            yield from members_of(member, here, (*seen, shape.name))
    elif shape.type_name == "list":
        yield from members_of(shape.member, f"{path}[]", seen)
        yield f"{path}[]", shape.member
    elif shape.type_name == "map":
        yield f"{path}.*", shape.value
        yield from members_of(shape.value, f"{path}.*", seen)


@cache
def request_members() -> list[Any]:
    return [
        (operation, section, path, shape)
        for operation, section in REQUESTS.items()
        for path, shape in members_of(model().operation_model(operation).input_shape)
        if (operation, path.split(".", maxsplit=1)[0]) not in SAID_OTHERWISE
    ]


def enumerations() -> list[Any]:
    return [
        pytest.param(section, path, values, id=f"{section}-{path}")
        for section in SECTIONS
        for path, shapes in _known(section).items()
        if (values := {value for shape in shapes for value in getattr(shape, "enum", None) or ()})
    ]


def _known(section: str) -> dict[str, list[Any]]:
    """What the requests of a section know, by path."""
    known: dict[str, list[Any]] = {}
    for operation, name in REQUESTS.items():
        for path, shape in members_of(model().operation_model(operation).input_shape) if name == section else ():
            known.setdefault(path, []).append(shape)
    return known


def alternatives(node: Any, document: Any) -> Iterator[Mapping[str, Any]]:
    """A schema with what it refers to and the forms it may take, each on its own."""
    if "$ref" in node:
        file, _, fragment = node["$ref"].partition("#")
        target = registry.shipped().documents[file] if file else document
        inner: Any = target
        for part in filter(None, fragment.split("/")):
            inner = inner[part]
        yield from alternatives(inner, target)
    yield node
    for word in ("anyOf", "oneOf", "allOf"):
        for form in node.get(word, ()):
            yield from alternatives(form, document)


def at(section: str, path: str) -> list[Mapping[str, Any]]:
    """Every schema that judges the values at ``path``."""
    documents = registry.shipped()
    document = documents.documents[documents.by_section[section]]
    found = list(alternatives(document, document))
    for segment in path.replace("[]", ".[]").split("."):
        inner = []
        for node in found:
            if segment == "[]":
                inner += [node["items"]] if "items" in node else []
            elif segment == "*" and isinstance(node.get("additionalProperties"), Mapping):
                inner.append(node["additionalProperties"])
            elif segment in node.get("properties", {}):
                inner.append(node["properties"][segment])
        found = [form for node in inner for form in alternatives(node, document)]
    return found


def types_at(section: str, path: str) -> set[str]:
    told = [node["type"] for node in at(section, path) if "type" in node]
    return {name for some in told for name in ([some] if isinstance(some, str) else some)}


def values_at(section: str, path: str) -> set[str]:
    """The values of the enumeration at ``path``; none where any value goes."""
    return {value for node in at(section, path) for value in [*node.get("enum", ()), *[node.get("const")]] if value}


# --- what can be declared --------------------------------------------------------------------------------------------


def test_every_request_is_accounted_for():
    writes = [name for name in model().operation_names if name.startswith(("Create", "Update", "Register", "Put"))]

    assert sorted(writes) == sorted([*REQUESTS, *NOT_DECLARED])


def test_the_exceptions_are_still_needed():
    for operation, path in SAID_OTHERWISE:
        assert path in model().operation_model(operation).input_shape.members
    for section, path in CHANGED_OTHERWISE:
        assert path in _known(section)


def test_the_walk_goes_all_the_way_down_and_misses_what_is_not_there():
    paths = set(_known("jobDefinitions"))
    deep = "nodeProperties.nodeRangeProperties[].ecsProperties.taskProperties[].containers[].secrets[].valueFrom"

    assert deep in paths
    assert types_at("jobDefinitions", deep) == {"string"}
    assert at("jobDefinitions", deep.replace("valueFrom", "value")) == []
    assert values_at("jobQueues", "state") == {"ENABLED", "DISABLED"}
    assert values_at("jobQueues", "jobQueueName") == set()


@pytest.mark.parametrize("section", sorted({*REQUESTS.values()}))
def test_every_member_can_be_declared_in_its_type(section):
    together(can_be_declared, [one for one in request_members() if one[1] == section])


def can_be_declared(operation, section, path, shape):
    assert at(section, path), f"{operation} takes {path}, and {section} cannot say it"
    wanted = TYPES[shape.type_name]
    numbers = {"integer", "number"}
    types = types_at(section, path)
    assert wanted in types or (wanted == "number" and types & numbers), f"{path} takes {types}, not {wanted}"


@pytest.mark.parametrize(("section", "path", "values"), enumerations())
def test_every_value_can_be_declared_and_no_other(section, path, values):
    told = values_at(section, path)

    assert not told or told == values


@pytest.mark.parametrize("section", SECTIONS)
def test_words_that_the_model_does_not_enumerate_are_in_its_documentation(section):
    for path, shapes in _known(section).items():
        documented = " ".join(shape.documentation for shape in shapes)
        enumerated = any(getattr(shape, "enum", None) for shape in shapes)
        assert enumerated or not (values_at(section, path) - set(re.findall(r"\w+", documented))), path


@pytest.mark.parametrize("section", SECTIONS)
def test_every_declared_member_is_of_a_request_or_a_reply(section):
    """What can be declared goes into a request; the rest can stand there because replies have it."""
    known = set(_known(section)) | {path for path, _ in members_of(model().shape_for(REPLIES[section]))}
    plain = {path.replace("[]", "") for path in known}

    ours = {path for path, _ in _tree(registry.members(section)) if not path.startswith(("tags", "lifecycle"))}

    assert ours - plain == SHORT_FORMS.get(section, set())


# What is written out before anything is compared or sent.
SHORT_FORMS = {"jobDefinitions": {"retryStrategy.use"}}
REPLIES = {
    "computeEnvironments": "ComputeEnvironmentDetail",
    "jobQueues": "JobQueueDetail",
    "jobDefinitions": "JobDefinition",
    "schedulingPolicies": "SchedulingPolicyDetail",
    "consumableResources": "DescribeConsumableResourceResponse",
    "serviceEnvironments": "ServiceEnvironmentDetail",
    "quotaShares": "QuotaShareDetail",
}


def _shapes(operation: str) -> Iterator[tuple[str, Any]]:
    yield from members_of(model().operation_model(operation).input_shape)


def _tree(tree: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """Every path of the schema's tree of members, in which lists do not show."""
    for name, inner in tree.items():
        here = f"{path}.{name}" if path else name
        yield here, inner
        yield from _tree(inner, here)


# --- what the kinds say about their fields ---------------------------------------------------------------------------


def facts() -> list[Any]:
    return [
        (section, path)
        for section, kind in discover().items()
        for path in dict.fromkeys([*kind.fields, *kind.refs, *kind.lookups])
    ]


POLICIES = {"assumeRolePolicyDocument", "policy", "repositoryPolicy"}  # IAM's grammar is not the schemas'


@pytest.mark.parametrize("said", by(lambda fact: fact[0], facts()).values(), ids=by(lambda fact: fact[0], facts()))
def test_what_is_said_is_about_a_member_that_exists(said):
    together(exists, said)


def exists(section, path):
    tree: Any = registry.members(section)
    steps = path.replace("[]", "").split(".")
    for segment in steps[:1] if steps[0] in POLICIES else steps:
        if "*" in tree and segment not in tree:
            segment = "*"  # noqa: PLW2901  (a map takes any name)
        assert segment in tree, f"{section} has no {path}"
        tree = tree[segment]


@pytest.mark.parametrize("section", sorted(discover()))
def test_references_lead_to_sections_and_attributes(section):
    for path, ref in discover()[section].refs.items():
        target = discover()[ref.section]
        known = {"name", *target.assigned_by_aws, *target.attrs(SCOPE, "x", {})}
        assert ref.attr in known, f"{section} {path}: {ref.section} has no {ref.attr}"


@pytest.mark.parametrize("section", [name for name in SECTIONS if name != "jobDefinitions"])
def test_what_no_update_takes_is_not_changed_in_place(section):
    kind = discover()[section]
    (create,) = [op for op, name in REQUESTS.items() if name == section and op.startswith("Create")]
    (update,) = [op for op, name in REQUESTS.items() if name == section and op.startswith("Update")]
    updated = {path for path, _ in _shapes(update)}
    for path, shape in _shapes(create):
        parent = path.rpartition(".")[0]
        if path in updated or (parent and parent not in updated) or path == "tags" or path.endswith("Name"):
            continue
        if path == "name" or (section, path) in CHANGED_OTHERWISE or path.endswith("[]") or "*" in path:
            continue
        rule = kind.fields.get(path)
        assert rule is not None, f"{path} cannot be updated, and nothing is said of it"
        assert rule.ignore or rule.effect not in (Effect.IN_PLACE, Effect.SCALING), f"{path}: {shape.type_name}"


@pytest.mark.parametrize("section", sorted(discover()))
def test_defaults_fit_the_schema(section):
    documents = registry.shipped()
    for example in documents.documents[documents.by_section[section]]["examples"]:
        plain = {name: value for name, value in example.items() if name not in ("tags", "lifecycle")}
        filled = with_defaults(discover()[section], plain)
        assert [p.message for p in registry.shipped().resource(section, filled, at=lambda _: NOWHERE)] == []


NOWHERE = registry.Pos("f", 1, 1)


# --- which requests they go into -------------------------------------------------------------------------------------


def lowered(path):
    return ".".join(step[:1].lower() + step[1:] for step in path.split("."))


def known_to(service, operations, side):
    """Every path, as YAML has it, of the operations' requests or replies."""
    model = botocore.session.get_session().get_service_model(service)
    shapes = [getattr(model.operation_model(name), side) for name in operations]
    return {lowered(path) for shape in shapes for path, _ in members_of(shape)}


WITH_API = sorted(section for section, kind in discover().items() if kind.api)


def test_every_batch_kind_says_its_requests():
    told = {section: {*discover()[section].api.create, *discover()[section].api.update} for section in SECTIONS}

    assert told == {name: {op for op, section in REQUESTS.items() if section == name} for name in SECTIONS}


@pytest.mark.parametrize("section", WITH_API)
def test_what_is_said_of_the_requests_is_about_requests_that_exist(section):
    api = discover()[section].api
    asked = known_to(api.service, (*api.create, *api.update), "input_shape")
    operation, _, where = api.reply.partition(".")
    shown = known_to(api.service, [operation], "output_shape")
    tops = {path.split(".")[0].replace("[]", "") for path in asked}

    assert api.aside <= tops
    assert {*api.below, *api.effects} <= {path.replace("[]", "") for path in asked}
    assert not where or any(path.startswith(f"{where}.") for path in shown)
    ours = {*registry.members(section), "tags"}
    assert api.below or tops - api.aside <= ours, "what neither YAML has nor is left aside"


# --- what every kind brings along ------------------------------------------------------------------------------------


SCHEMAS = {"rule": "event_rule"}  # a module is called as its service calls it, a schema as its section is


@pytest.mark.parametrize("module", kinds.modules())
def test_a_kind_has_its_tests_its_schema_and_an_example(module):
    service, name = module.removeprefix("reconciler.kinds.").removesuffix(".kind").split(".")
    document = registry.shipped().documents[f"{SCHEMAS.get(name, name)}.schema.json"]

    assert (Path(__file__).parent / service / f"test_{name}.py").is_file()
    assert document["x-section"] in discover()
    assert document["examples"]


@pytest.mark.parametrize("section", sorted(discover()))
def test_a_kind_keeps_what_the_interface_asks(section):
    kind = discover()[section]

    assert kind.section == section
    assert kind.passes_roles.keys() <= kind.refs.keys()
    assert not (kind.versioned and kind.replace is not Replace.FORBIDDEN)
    assert kind.assigned_by_aws.isdisjoint(kind.attrs(SCOPE, "x", {}))
