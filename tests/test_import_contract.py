"""What the import contract in pyproject.toml cannot say by itself: that its lists are whole, and what `os` may be used for."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest

import reconciler
from tests.support.long import together

ROOT = Path(reconciler.__file__).parent
CONTRACTS = tomllib.loads((ROOT.parent / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
SERVICES = {
    f"reconciler.kinds.{path.name}"
    for path in (ROOT / "kinds").iterdir()
    if (path / "__init__.py").exists() and path.name != "common"
}
PURE = ("planning", "checks", "config", "schema", "kinds", "model", "render")
# the process's surroundings; paths are only taken apart
OUTSIDE = {"environ", "getenv", "putenv", "system", "popen", "times", "getpid", "urandom", "kill", "fork"}
# where botocore finds models beside its own, and where `profile:` and ${env:...} are read
ALLOWED = {"schema/aws_model.py": {"environ"}}


@pytest.mark.parametrize(
    "name",
    ["no service of AWS looks at another", "what several kinds share looks at no kind", "the engine names no kind"],
)
def test_every_service_is_in_the_lists(name):
    contract = next(one for one in CONTRACTS if one["name"] == name)
    listed = set(contract.get("forbidden_modules") or contract["modules"]) - {"reconciler.kinds.common"}

    assert listed == SERVICES


@pytest.mark.parametrize("part", PURE)
def test_the_pure_core_does_not_ask_the_process(part):
    together(does_not_ask, sorted((ROOT / part).rglob("*.py")))


def does_not_ask(path):
    found, source = set(), path.read_text("utf-8")
    # what names neither module need not be parsed
    for node in ast.walk(ast.parse(source)) if re.search(r"\bos\b|\burllib\b", source) else ():
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "os":
            found.add(node.attr)
        elif isinstance(node, ast.ImportFrom) and node.module == "os":
            found |= {one.name for one in node.names}
        elif isinstance(node, ast.ImportFrom | ast.Import):
            names = [node.module] if isinstance(node, ast.ImportFrom) else [one.name for one in node.names]
            assert not any((name or "").startswith("urllib.request") for name in names)

    assert found & OUTSIDE == ALLOWED.get(path.relative_to(ROOT).as_posix(), set())
