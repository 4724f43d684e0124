"""What is above the kinds knows none of them: no section and no kind is named in the code of the engine.

A fact about one kind belongs beside it, behind a member of ``Kind``, ``Field`` or ``Ref``. Docstrings may take a kind
for an example.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import reconciler
from reconciler.kinds import discover
from tests.support.sources import nodes_of

ROOT = Path(reconciler.__file__).parent
# The sandbox plays AWS, so it knows AWS Batch; the commands' help shows examples.
BESIDE = ("kinds", "sandbox", "cli")
# Hints and ``init`` show people a piece of an environment, and all such pieces are in this one module.
EXAMPLES = "model/examples.py"

MODULES = sorted(
    path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*.py") if path.relative_to(ROOT).parts[0] not in BESIDE
)
SECTIONS = sorted(discover())
NOUNS = {kind.name for kind in discover().values()}
# ``jobQueues`` is nothing else wherever it stands, ``roles`` is also a word
_UNMISTAKABLE = re.compile(rf"\b({'|'.join(name for name in SECTIONS if not name.islower())})\b")
_ADDRESS = re.compile(rf"({'|'.join(SECTIONS)})([.\[:].*)?", re.DOTALL)


def named_in(source: str) -> Iterator[tuple[int, str]]:
    """The line and the text of everything in a module's code that names a kind."""
    nodes = nodes_of(ast.parse(source))
    prose = {id(node) for node in docstrings(nodes)}
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
            if _UNMISTAKABLE.search(node.value) or _ADDRESS.fullmatch(node.value):
                yield node.lineno, node.value
        elif isinstance(node, ast.Compare | ast.match_case):
            compared = [one.value for one in nodes_of(node) if isinstance(one, ast.Constant)]
            yield from ((getattr(node, "lineno", 0), str(value)) for value in compared if value in NOUNS)


def docstrings(nodes: list[ast.AST]) -> Iterator[ast.Constant]:
    """The text that stands alone first in a module, a class or a function."""
    for node in nodes:
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.body:
            first = node.body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                yield first.value


def test_no_kind_is_named():
    found = {module: list(named_in((ROOT / module).read_text())) for module in MODULES if module != EXAMPLES}

    assert len(found) > 100
    assert {module: named for module, named in found.items() if named} == {}


def test_examples_are_not_decided_by():
    tree = ast.parse((ROOT / EXAMPLES).read_text())
    wanted = (ast.Expr, ast.ImportFrom, ast.AnnAssign)

    assert all(isinstance(node, wanted) for node in tree.body)
    using = {module: source for module in MODULES if "examples" in (source := (ROOT / module).read_text())}
    assert using
    for module, source in using.items():
        asked = [node for node in nodes_of(ast.parse(source)) if isinstance(node, ast.Compare)]
        assert not any("examples." in ast.unparse(node) for node in asked), module


@pytest.mark.parametrize(
    "source",
    [
        'x = "jobQueues"',
        'x = "the jobQueues of it"',
        'x = {"roles": 1}',
        'x = f"secrets.{name}"',
        "x = 'logGroups[\"/aws/x\"]'",
        'if kind.name == "job queue": pass',
        'if kind.name in ("role", "topic"): pass',
        'match kind.name:\n    case "role": pass',
    ],
)
def test_what_would_be_found(source):
    assert list(named_in(source))


@pytest.mark.parametrize("source", ['"""Like jobQueues."""', 'x = "its roles are kept"', 'x = y == "rule"'])
def test_what_is_let_pass(source):
    assert not list(named_in(source))
