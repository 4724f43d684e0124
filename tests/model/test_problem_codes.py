"""The catalogue of problem codes: its sentences, the document that is made of it, and the codes that tests expect."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

from ruamel.yaml import YAML

from reconciler.model import problem_codes as codes
from tests.support.long import together
from tests.support.sources import nodes_of
from tools import errors_doc

TESTS = Path(__file__).parents[1]


def test_a_code_is_the_plain_string():
    code = codes.UNKNOWN_FIELD

    assert code == "unknown-field" and "unknown-field" in {code} and f"{code}" == "unknown-field"
    assert json.dumps({"code": code}) == '{"code": "unknown-field"}'


def test_the_catalogue_is_in_order_and_each_constant_has_the_name_of_its_code():
    constants = {name: value for name, value in vars(codes).items() if isinstance(value, codes.ProblemCode)}

    assert list(codes.catalogue()) == sorted(codes.catalogue())
    assert {name: name.lower().replace("_", "-") for name in constants} == {n: str(c) for n, c in constants.items()}
    assert len(codes.catalogue()) == len(constants)


def test_a_code_has_its_meaning_and_its_fix_in_a_sentence_each():
    together(has_its_sentences, codes.catalogue().values())


def has_its_sentences(code):
    for sentence in (code.meaning, code.fix):
        assert re.fullmatch(r"\S.*\.", sentence) and "  " not in sentence and sentence.count("`") % 2 == 0
    assert code.meaning != code.fix
    assert code.severities in (
        *(("error",), ("warning",), ("error", "warning"), ("note",)),
        *(("advice",), ("warning", "advice")),  # what an audit finds
    )
    assert re.fullmatch(r"(https://\S+)?", code.source)


def test_the_document_is_up_to_date():
    assert errors_doc.TARGET.read_text(encoding="utf-8") == errors_doc.text(), "make docs"


def test_every_code_that_a_mistake_is_to_have_exists():
    expected = {
        case["code"]
        for file in (TESTS / "data" / "mistakes").glob("*.yaml")
        for case in YAML(typ="safe").load(file.read_text(encoding="utf-8"))
        if "code" in case
    }

    assert len(expected) > 20
    assert expected - set(codes.catalogue()) == set()


def literals(node: ast.expr) -> Iterator[str]:
    """The strings that ``node`` is, or that are listed in it."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.Tuple | ast.List | ast.Set):
        for item in node.elts:
            yield from literals(item)


def compared_with_a_code(file: Path) -> Iterator[str]:
    """The words with a hyphen, as most codes are, that a test compares with something that is called a code."""
    text = file.read_text(encoding="utf-8")
    if not (re.search(r"\bcodes?\b", text) and re.search(r"""["'][a-z]+(-[a-z0-9]+)+["']""", text)):
        return  # to parse every test takes a while
    for node in nodes_of(ast.parse(text)):
        if isinstance(node, ast.Compare):
            words = {word for operand in (node.left, *node.comparators) for word in literals(operand)}
            hyphened = [word for word in words if re.fullmatch(r"[a-z]+(-[a-z0-9]+)+", word)]
            yield from hyphened if hyphened and re.search(r"\bcodes?\b", ast.unparse(node)) else ()


def test_every_code_that_a_test_compares_with_exists():
    expected = {code for file in TESTS.rglob("test_*.py") for code in compared_with_a_code(file)}

    assert len(expected) > 20
    assert expected - set(codes.catalogue()) == set()
