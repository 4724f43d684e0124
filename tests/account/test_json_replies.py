"""Replies in JSON are read as botocore reads them, but for numbers and booleans, which are left as they are."""

from __future__ import annotations

import json
import random
import threading
import tracemalloc
from typing import Any

import botocore.session
import pytest
from botocore.awsrequest import HeadersDict
from botocore.model import ShapeResolver
from botocore.parsers import ResponseParserError, RestJSONParser

from reconciler.account.json_replies import Parsers, _AsWritten
from reconciler.account.replies import Checked, Shapes
from tests.support.long import LONG

WRONG = [None, 1, 1.5, True, "", "x", "1.5", "2020-01-01T00:00:00Z", [], {}, [None], {"a": None}, [1, {}], "é"]


class Botocores(RestJSONParser):
    """botocore's, without the conversions that the tool must not have."""

    def _default(self, _: Any, value: Any) -> Any:
        return value

    _handle_boolean = _handle_integer = _handle_long = _handle_float = _handle_double = _default


@pytest.fixture(scope="module")
def batch() -> Any:
    return botocore.session.Session().get_service_model("batch")


def made(shape: Any, chance: random.Random, depth: int = 0, *, wrong: float = 0.04) -> Any:
    if depth and chance.random() < wrong:
        return chance.choice(WRONG)
    kind = shape.type_name
    if kind == "structure":
        often = 0.7 if depth < 3 else 0.3 if depth < 8 else 0
        members = [*shape.members.items()]
        found = {name: made(one, chance, depth + 1, wrong=wrong) for name, one in members if chance.random() < often}
        return {**found, "unknown": 1} if chance.random() < wrong * 2 else found
    if kind == "list":
        return [made(shape.member, chance, depth + 1, wrong=wrong) for _ in range(chance.randrange(3))]
    if kind == "map":
        return {key: made(shape.value, chance, depth + 1, wrong=wrong) for key in "ab"[: chance.randrange(3)]}
    return chance.choice({"boolean": [True, False], "string": ["x", "", "1"]}.get(kind, [0, 1.5, 1700000000123]))


def parsed(parser: Any, body: Any, shape: Any) -> Any:
    """The reply with the types of its values, or that it cannot be read."""
    reply = {"body": json.dumps(body).encode(), "headers": HeadersDict({}), "status_code": 200}
    try:
        return typed(parser.parse(reply, shape))
    except (AttributeError, TypeError, ValueError, LookupError) as error:
        return type(error).__bases__[0]


def typed(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: typed(item) for name, item in value.items()}
    return [typed(item) for item in value] if isinstance(value, list) else (type(value), value)


def test_replies_are_read_as_botocore_reads_them(batch: Any) -> None:
    ours, theirs = Parsers().create_parser("rest-json"), Botocores()
    chance = random.Random(5)
    for name in batch.operation_names:
        shape = batch.operation_model(name).output_shape
        for body in [*(made(shape, chance) for _ in range(100 if LONG else 12)), {}, [], "x"]:
            found, expected = parsed(ours, body, shape), parsed(theirs, body, shape)
            assert found == expected or (isinstance(found, type) and isinstance(expected, type)), (name, body)


def test_a_reply_that_is_right_as_it_is_written_is_right_when_read(batch: Any) -> None:
    """And one in which something is wrong, unknown, or made of something else, is not taken for right."""
    chance, shapes = random.Random(6), Shapes()
    counts = dict.fromkeys((Checked, dict), 0)
    for name in batch.operation_names:
        model = batch.operation_model(name)
        for _ in range(200 if LONG else 20):
            body = made(model.output_shape, chance, wrong=chance.choice([0, 0.002, 0.01]))
            reply = {"body": json.dumps(body).encode(), "headers": HeadersDict({}), "status_code": 200}
            try:
                found = Parsers().create_parser("rest-json").parse(reply, model.output_shape)
            except (AttributeError, TypeError, ValueError, LookupError):
                continue  # as the test above tells
            counts[type(found)] += 1
            metadata = found.pop("ResponseMetadata")
            if type(found) is Checked:
                assert typed({**found}) == typed(body), name
                assert not shapes.wrong(model, {**found, "ResponseMetadata": metadata}), (name, body)
            else:
                assert shapes.wrong(model, dict(found)) or typed(found) != typed(body), (name, body)
    assert all(counts.values()), counts


def test_what_botocore_refuses_is_not_right_as_it_is_written() -> None:
    """A union has one member."""
    shapes = {
        "R": {"type": "structure", "members": {"either": {"shape": "U"}}},
        "U": {"type": "structure", "union": True, "members": {"a": {"shape": "N"}, "b": {"shape": "N"}}},
        "N": {"type": "string"},
    }
    shape = ShapeResolver(shapes).get_shape_by_name("R")
    reply = {"body": b'{"either": {"a": "", "b": ""}}', "headers": HeadersDict({}), "status_code": 200}

    with pytest.raises(ResponseParserError):
        Parsers().create_parser("rest-json").parse(reply, shape)


def test_what_is_in_headers_is_not_right_as_it_is_written() -> None:
    """A number in a header is parsed elsewhere, so the body alone does not tell whether the reply is right."""
    members = {"size": {"shape": "S", "location": "header", "locationName": "x-size"}, "name": {"shape": "N"}}
    shapes = {"R": {"type": "structure", "members": members}, "S": {"type": "long"}, "N": {"type": "string"}}
    shape = ShapeResolver(shapes).get_shape_by_name("R")
    reply = {"body": b'{"name": "a"}', "headers": HeadersDict({"x-size": str(2**70)}), "status_code": 200}

    found = Parsers().create_parser("rest-json").parse(reply, shape)

    assert type(found) is dict
    assert (found["name"], found["size"]) == ("a", str(2**70))


def test_null_is_left_out_where_any_value_is_right() -> None:
    shapes = {
        "R": {"type": "structure", "members": {"any": {"shape": "D"}, "text": {"shape": "J"}}},
        "D": {"type": "structure", "document": True, "members": {}},
        "J": {"type": "string", "jsonvalue": True},
    }
    shape = ShapeResolver(shapes).get_shape_by_name("R")

    found = parsed(Parsers().create_parser("rest-json"), {"any": None, "text": None}, shape)

    assert found.keys() == {"ResponseMetadata"}


def test_an_error_is_read_whatever_it_has() -> None:
    """Errors are not checked: what AWS sent in them is shown, or left alone."""
    shapes = {
        "E": {"type": "structure", "exception": True, "members": {"size": {"shape": "F"}, "maps": {"shape": "L"}}},
        "F": {"type": "double"},
        "L": {"type": "list", "member": {"shape": "M"}},
        "M": {"type": "map", "key": {"shape": "N"}, "value": {"shape": "N"}},
        "N": {"type": "string"},
    }
    shape, body = ShapeResolver(shapes).get_shape_by_name("E"), {"size": 10**400, "maps": [None]}

    for part in ({"size": body["size"]}, {"maps": body["maps"]}):
        reply = {"body": json.dumps(part).encode(), "headers": HeadersDict({}), "status_code": 400}
        assert Parsers().create_parser("rest-json").parse(reply, shape) == part


def test_a_thread_does_not_read_with_half_of_a_shape(batch: Any) -> None:
    """Another reply arrives while the members of its shape are being found: none of them may be lost."""
    shape = batch.operation_model("DescribeJobDefinitions").output_shape
    body = {
        "jobDefinitions": [{"jobDefinitionName": "a", "tags": {"b": "c"}, "timeout": {"attemptDurationSeconds": 1}}]
    }
    found: list[Any] = []

    class Slow(_AsWritten):
        other: threading.Thread | None = None

        def _reads(self, shape: Any) -> Any:
            if self.other is None and shape.type_name == "integer":  # deep inside
                self.other = threading.Thread(target=lambda: found.append(parsed(self, body, shape_of_reply)))
                self.other.start()
                self.other.join(0.1)
            return super()._reads(shape)

    shape_of_reply = shape
    parser = Slow()
    found.append(parsed(parser, body, shape))
    assert parser.other
    parser.other.join()

    assert found == [parsed(Botocores(), body, shape)] * 2


def test_unknown_members_are_not_remembered(batch: Any) -> None:
    """There is no end to them: a reply that is not AWS's must not fill the memory of what reads the next."""
    shapes, model = Shapes(), batch.operation_model("DescribeJobDefinitions")

    def read(number: int) -> None:
        body = {f"{'x' * 1000}{number}-{part}": "" for part in range(10)}
        assert not shapes.wrong(model, body)

    read(0)
    tracemalloc.start()
    try:
        for number in range(300):
            read(number)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 500_000  # of 3 MB
