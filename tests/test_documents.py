"""The documents name files and functions that exist."""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from reconciler.cli import root

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *ROOT.glob("*/README.md")])
CODE = re.compile(r"`(?P<path>[a-z_]+/[a-z_/]*\.py)(?:: (?P<name>\w+))?`")
LINK = re.compile(r"\]\((?P<path>[^)#:]*)(?:#(?P<place>[^)]*))?\)")
FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def names(file: Path) -> set[str]:
    """What a module defines at its top."""
    body = ast.parse(file.read_text("utf-8")).body
    found = {node.name for node in body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    assigned = [node for node in body if isinstance(node, ast.AnnAssign | ast.Assign)]
    targets = [t for node in assigned for t in (node.targets if isinstance(node, ast.Assign) else [node.target])]
    return found | {target.id for target in targets if isinstance(target, ast.Name)}


def places(document: Path) -> set[str]:
    """What a link into the document can end with: its headings as GitHub spells them, and anchors of its own."""
    text = FENCED.sub("", document.read_text("utf-8"))
    headings = re.findall(r"^#+ +(.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", one.lower()).replace(" ", "-") for one in headings} | {
        *re.findall(r'<a (?:id|name)="([^"]+)"', text)
    }


def test_there_are_documents() -> None:
    assert {"README.md", "CONTRIBUTING.md", "architecture.md"} <= {path.name for path in DOCUMENTS}
    assert len(CODE.findall((ROOT / "docs" / "architecture.md").read_text("utf-8"))) > 40


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_code_that_is_named_exists(document: Path) -> None:
    for found in CODE.finditer(document.read_text("utf-8")):
        places = [ROOT / "reconciler" / found["path"], ROOT / found["path"]]
        file = next((place for place in places if place.is_file()), None)
        assert file or "thing" in found["path"], f"{document.name} names {found['path']}"
        if file and found["name"]:
            assert found["name"] in names(file), f"{document.name} names {found['name']} of {found['path']}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    for found in LINK.finditer(document.read_text("utf-8")):
        if not found["path"].startswith(("http", "mailto")):
            there = document.parent / found["path"] if found["path"] else document
            assert there.exists(), f"{document.name} links to {found['path']}"
            place = found["place"]
            assert not place or place in places(there), f"{document.name} links to {found['path']}#{place}"


def commands(document: Path) -> list[str]:
    """The command lines of ``reconcile`` in the document's shell blocks, those within ``$(...)`` too."""
    blocks = re.findall(r"^```sh\n(.*?)^```", document.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    found = re.findall(r"(?:^|\$\()(reconcile [^#)|\n]*)", "".join(blocks), re.MULTILINE)
    typed = [re.sub(r" \d?>.*", "", line).rstrip() for line in found]
    return [line.rstrip('"') if line.count('"') % 2 else line for line in typed]


def test_the_commands_in_the_documents_exist() -> None:
    group = root.group()
    written = {line: document for document in DOCUMENTS for line in commands(document)}

    assert len(written) > 12
    for line, document in written.items():
        words = shlex.split(line)[1:]
        command: Any = group
        while hasattr(command, "get_command"):
            command = command.get_command(command.make_context("reconcile", [], resilient_parsing=True), words.pop(0))
            assert command is not None, f"{document.name}: {line}"
        command.make_context("reconcile", words)
