"""Where the code raises problems: each code of the catalogue is used, and none is written as a bare string."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

import reconciler
from reconciler.model import Finding
from reconciler.model import problem_codes as codes
from reconciler.model.problems import Problem
from tests.support.sources import nodes_of

PACKAGE = Path(reconciler.__file__).parent
CATALOGUE = PACKAGE / "model" / "problem_codes.py"

# Codes that are also other things: a scheme of expressions and a member of JSON, events of `apply --format json`,
# a field of containers, words.
ALSO_WORDS = ("file", "journal", "lock-lost", "privileged", "duplicate", "usage", "advice", "locked")
# What a module has that uses a code, says one, or raises something with one.
SPEAKS = re.compile(
    r"\b(codes|Finding|Problem)\b|\bcode\s*=|"
    + "|".join(re.escape(code) for code in map(str, codes.catalogue()) if code not in ALSO_WORDS)
)


class Found(NamedTuple):
    """What the tests ask of the sources, whose trees would take a tenth of what a test process may have."""

    used: set[codes.ProblemCode]
    bare: list[str]
    raised: list[tuple[str, codes.ProblemCode, str]]


@cache
def found() -> Found:
    """What is in every module of the package but the catalogue, of which one at a time is read."""
    every = Found(set(), [], [])
    for path in sorted(PACKAGE.rglob("*.py")):
        if path == CATALOGUE:
            continue
        source = path.read_text(encoding="utf-8")
        if not SPEAKS.search(source):  # to parse every module takes a while
            continue
        file, nodes = str(path.relative_to(PACKAGE)), nodes_of(ast.parse(source))
        called = list(calls(nodes))
        every.used.update(code for node in nodes if (code := used(node)) is not None)
        every.bare.extend(f"{file}:{node.lineno}: {node.value}" for node in bare_strings(nodes, called))
        every.raised.extend((f"{file}:{line}", code, said) for line, code, said in raised(called))
    return every


def used(node: ast.AST) -> codes.ProblemCode | None:
    """The code that an expression is, written as ``codes.NAME``."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "codes":
        found = getattr(codes, node.attr)
        return found if isinstance(found, codes.ProblemCode) else None
    return None


def calls(nodes: list[ast.AST]) -> Iterator[tuple[str, ast.Call]]:
    """The calls among ``nodes``, each with the last part of the called name."""
    for node in nodes:
        if isinstance(node, ast.Call):
            func = node.func
            if isinstance(func, ast.Attribute):
                yield func.attr, node
            else:
                yield func.id if isinstance(func, ast.Name) else ast.unparse(func).rpartition(".")[-1], node


def passed_as_code(name: str, call: ast.Call) -> list[ast.expr]:
    """What a call passes as a problem's code: by keyword, or as the fourth argument of a finding."""
    if name == "Refused":  # the code of a refusal is AWS's
        return []
    by_keyword = [keyword.value for keyword in call.keywords if keyword.arg == "code"]
    return [*by_keyword, *(call.args[3:4] if name == "Finding" else [])]


@pytest.mark.parametrize("cls", [Problem, Finding])
def test_what_is_raised_takes_codes_of_the_catalogue_only(cls):
    (code,) = (field for field in fields(cls) if field.name == "code")

    assert code.type == "codes.ProblemCode"  # the rest is mypy's


def test_every_code_is_used():
    assert sorted(set(codes.catalogue()) - found().used) == []


def bare_strings(nodes: list[ast.AST], called: list[tuple[str, ast.Call]]) -> Iterator[ast.Constant]:
    """The constants that are codes: anywhere, or where a code is passed if they are other things as well."""
    for node in nodes:
        if isinstance(node, ast.Constant) and node.value in codes.catalogue() and node.value not in ALSO_WORDS:
            yield node
    for name, call in called:
        for value in passed_as_code(name, call):
            if isinstance(value, ast.Constant) and value.value in ALSO_WORDS:
                yield value


def test_no_code_is_a_bare_string():
    assert found().bare == []


def severity(name: str, call: ast.Call) -> str | None:
    """The severity that a problem or a finding is raised with, where the call itself says it."""
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    warning = call.args[4] if name == "Finding" and len(call.args) > 4 else given.get("warning")
    if isinstance(given.get("note"), ast.Constant):
        return "note"
    if warning is None:
        return "error"
    return ("warning" if warning.value else "error") if isinstance(warning, ast.Constant) else None


def raised(called: list[tuple[str, ast.Call]]) -> Iterator[tuple[int, codes.ProblemCode, str]]:
    """Line, code and severity of what is raised, where the call itself says them."""
    for name, call in called:
        if name in ("Finding", "Problem") and (said := severity(name, call)):
            for code in filter(None, map(used, passed_as_code(name, call))):
                yield call.lineno, code, said


def test_codes_are_raised_with_the_severities_of_the_catalogue():
    assert [(at, str(code), said) for at, code, said in found().raised if said not in code.severities] == []
    assert len({code for _, code, _ in found().raised}) > 50
