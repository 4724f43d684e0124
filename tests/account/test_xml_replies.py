"""Replies in XML are read as botocore reads them."""

from __future__ import annotations

import random
import re
from typing import Any
from xml.sax.saxutils import escape

import botocore.session
import pytest
from botocore.awsrequest import HeadersDict
from botocore.model import ShapeResolver
from botocore.parsers import QueryParser, ResponseParserError

from reconciler.account.json_replies import Parsers, _moment
from tests.support.long import LONG

TEXTS = ["x", "", " ", "a&b <c>", "%7B%22Version%22%3A%222012%22%7D", "ünïcode", "2024-01-01T00:00:00Z"]
SCALARS = {"boolean": ["true", "false"], "timestamp": ["2024-01-01T00:00:00Z"], "blob": ["YQ=="], "string": TEXTS}


def written(shape: Any, chance: random.Random, depth: int = 0) -> str:
    """What a service may send for ``shape``, in any order, with members that are unknown, empty or there twice."""
    kind = shape.type_name
    if kind == "structure":
        members = [*shape.members.items()] if depth < 8 else []
        chance.shuffle(members)
        found = []
        for name, member in members:
            if chance.random() < 0.7:
                element = member.serialization.get("name", name)
                content = "" if chance.random() < 0.05 else written(member, chance, depth + 1)
                found += [f"<{element}>{content}</{element}>"] * (2 if chance.random() < 0.01 else 1)
        return "".join([*found, *(["<Unknown>1</Unknown>"] * chance.randrange(3) if chance.random() < 0.1 else [])])
    if kind == "list":
        return "".join(
            f"<member>{written(shape.member, chance, depth + 1)}</member>" for _ in range(chance.randrange(3))
        )
    if kind == "map":
        value = written(shape.value, chance, depth + 1)
        return f"<entry><key>a</key><value>{value}</value></entry>" * chance.randrange(2)
    return escape(chance.choice(SCALARS.get(kind, ["0", "12"])))


def parsed(parser: Any, body: bytes, shape: Any) -> Any:
    """The reply, with its members in their order, or how it cannot be read."""
    try:
        found = parser.parse({"body": body, "headers": HeadersDict({}), "status_code": 200}, shape)
    except (AttributeError, LookupError, TypeError, ValueError, ResponseParserError) as error:
        return type(error)
    return re.sub(r" at 0x[0-9a-f]+>", ">", repr(found))  # elements that are there twice are left as they are


@pytest.mark.parametrize("service", ["iam", "sns", "sts", "cloudformation"])
def test_replies_are_read_as_botocore_reads_them(service: str) -> None:
    model = botocore.session.Session().get_service_model(service)
    ours, theirs = Parsers().create_parser("query"), QueryParser(timestamp_parser=_moment)
    chance = random.Random(7)
    for name in model.operation_names:
        shape = model.operation_model(name).output_shape
        wrapper = shape.serialization.get("resultWrapper", "Result") if shape is not None else "Result"
        for _ in range(60 if LONG else 6):
            result = written(shape, chance) if shape is not None else ""
            space = chance.choice(['xmlns="https://iam.amazonaws.com/doc/2010-05-08/"', ""])
            metadata = "<ResponseMetadata><RequestId>1</RequestId></ResponseMetadata>"
            body = f"<{name}Response {space}><{wrapper}>{result}</{wrapper}>{metadata}</{name}Response>".encode()
            assert parsed(ours, body, shape) == parsed(theirs, body, shape), (name, body)


def test_what_is_unusual_is_left_to_botocore() -> None:
    """Lists without an element of their own, attributes, headers, unions, errors."""
    lists = {"type": "list", "flattened": True, "member": {"shape": "Text", "locationName": "One"}}
    union = {"type": "structure", "union": True, "members": {"a": {"shape": "Text"}, "b": {"shape": "Text"}}}
    shapes = {"Text": {"type": "string"}, "Flat": lists, "Either": union}
    text = {"shape": "Text"}
    made: dict[str, tuple[dict[str, Any], str]] = {
        "flattened": ({"Of": {"shape": "Flat"}}, "<One>1</One>"),
        "attribute": ({"Of": {**text, "xmlAttribute": True, "locationName": "xsi:kind"}}, "<Other/>"),
        "header": ({"Of": {**text, "location": "header", "locationName": "x-size"}}, "<x-size>3</x-size>"),
        "union": ({"Of": {"shape": "Either"}}, "<Of><a>1</a><b>2</b></Of>"),
        "error": ({"Of": text}, "<Error><Of>1</Of></Error>"),
    }
    for name, (members, inside) in made.items():
        shape, tag = {"type": "structure", "members": members}, "ErrorResponse" if name == "error" else "R"
        resolved = ShapeResolver({**shapes, "R": {**shape, "exception": name == "error"}}).get_shape_by_name("R")
        body = f'<{tag} xmlns:xsi="x" xsi:kind="k">{inside}</{tag}>'.encode()
        assert parsed(Parsers().create_parser("query"), body, resolved) == parsed(QueryParser(), body, resolved), name
