"""Replies in JSON are read as botocore reads them, but for numbers and booleans, which are left as they are."""

from __future__ import annotations

import json
import random
import threading
from typing import Any

import botocore.session
import pytest
from botocore.awsrequest import HeadersDict
from botocore.parsers import RestJSONParser

from reconciler.account.json_replies import Parsers, _AsWritten
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


def made(shape: Any, chance: random.Random, depth: int = 0) -> Any:
    if depth and chance.random() < 0.04:
        return chance.choice(WRONG)
    kind = shape.type_name
    if kind == "structure":
        often = 0.7 if depth < 3 else 0.3 if depth < 8 else 0
        found = {name: made(one, chance, depth + 1) for name, one in shape.members.items() if chance.random() < often}
        return {**found, "unknown": 1} if chance.random() < 0.1 else found
    if kind == "list":
        return [made(shape.member, chance, depth + 1) for _ in range(chance.randrange(3))]
    if kind == "map":
        return {key: made(shape.value, chance, depth + 1) for key in "ab"[: chance.randrange(3)]}
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
