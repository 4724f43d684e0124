"""Where the code raises problems: each code of the catalogue is used, and none is written as a bare string."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from pathlib import Path

import pytest

import reconciler
from reconciler.model import Finding
from reconciler.model import problem_codes as codes
from reconciler.model.problems import Problem

PACKAGE = Path(reconciler.__file__).parent
CATALOGUE = PACKAGE / "model" / "problem_codes.py"

# Codes that are also other things: a scheme of expressions and a member of JSON, events of `apply --format json`,
# a field of containers, words.
ALSO_WORDS = ("file", "journal", "lock-lost", "privileged", "duplicate", "usage", "advice", "locked")


@pytest.fixture(autouse=True, scope="module")
def forget_the_sources() -> Iterator[None]:
    """The trees of all modules take a tenth of what a test process may have."""
    yield
    trees.cache_clear()


@cache
def trees() -> dict[str, ast.Module]:
    """The source of every module of the package but the catalogue."""
    files = (file for file in sorted(PACKAGE.rglob("*.py")) if file != CATALOGUE)
    return {str(file.relative_to(PACKAGE)): ast.parse(file.read_text(encoding="utf-8")) for file in files}


def used(node: ast.AST) -> codes.ProblemCode | None:
    """The code that an expression is, written as ``codes.NAME``."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "codes":
        found = getattr(codes, node.attr)
        return found if isinstance(found, codes.ProblemCode) else None
    return None


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    """The calls in ``tree``, each with the last part of the called name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func).rpartition(".")[-1], node


def passed_as_code(name: str, call: ast.Call) -> list[ast.expr]:
    """What a call passes as a problem's code: by keyword, or as the fourth argument of a finding."""
    if name == "Refused":  # the code of a refusal is AWS's
        return []
    by_keyword = [keyword.value for keyword in call.keywords if keyword.arg == "code"]
    return [*by_keyword, *(call.args[3:4] if name == "Finding" else [])]


@pytest.mark.parametrize("raised", [Problem, Finding])
def test_what_is_raised_takes_codes_of_the_catalogue_only(raised):
    (code,) = (field for field in fields(raised) if field.name == "code")

    assert code.type == "codes.ProblemCode"  # the rest is mypy's


def test_every_code_is_used():
    found = {code for tree in trees().values() for node in ast.walk(tree) if (code := used(node)) is not None}

    assert sorted(set(codes.catalogue()) - found) == []


def bare_strings(tree: ast.Module) -> Iterator[ast.Constant]:
    """The constants that are codes: anywhere, or where a code is passed if they are other things as well."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and node.value in codes.catalogue() and node.value not in ALSO_WORDS:
            yield node
    for name, call in calls(tree):
        for value in passed_as_code(name, call):
            if isinstance(value, ast.Constant) and value.value in ALSO_WORDS:
                yield value


def test_no_code_is_a_bare_string():
    bare = [f"{file}:{node.lineno}: {node.value}" for file, tree in trees().items() for node in bare_strings(tree)]

    assert bare == []


def severity(name: str, call: ast.Call) -> str | None:
    """The severity that a problem or a finding is raised with, where the call itself says it."""
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    warning = call.args[4] if name == "Finding" and len(call.args) > 4 else given.get("warning")
    if isinstance(given.get("note"), ast.Constant):
        return "note"
    if warning is None:
        return "error"
    return ("warning" if warning.value else "error") if isinstance(warning, ast.Constant) else None


def test_codes_are_raised_with_the_severities_of_the_catalogue():
    wrong, told = [], {}
    for file, tree in trees().items():
        for name, call in calls(tree):
            if name not in ("Finding", "Problem"):
                continue
            said = severity(name, call)
            for code in filter(None, map(used, passed_as_code(name, call)) if said else ()):
                told.setdefault(code, set()).add(said)
                if said not in code.severities:
                    wrong.append((file, call.lineno, str(code), said))

    assert wrong == []
    assert len(told) > 50
