"""The tutorials: what they tell to type works, and prints what they say."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.support import tutorial

TUTORIALS = sorted(path for path in (tutorial.ROOT / "docs" / "tutorials").glob("*.md") if path.name != "README.md")
DECISION = re.compile(r"(?:entry \d+ matches: \w+: \"[^\"]*\"|exit code 0 is success)")

ONE, OTHER = (f"{digit * 8}-0000-4000-8000-000000000000" for digit in "ab")


@pytest.mark.long  # some twenty processes each: `.ci/run` runs it by name
@pytest.mark.skipif(shutil.which("aws") is None, reason="the tutorials use the AWS CLI")
@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_it_works_as_it_is_written(path: Path, tmp_path: Path) -> None:
    found = tutorial.blocks(path.read_text("utf-8"))
    known: dict[str, str] = {}

    for block, printed in zip(found, tutorial.run(found, tmp_path), strict=True):
        if block.output is not None:
            told = tutorial.mismatch(block.output, printed, known)
            assert not told, f"{path.name}:\n{block.script}\n{told}"


@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_it_starts_a_sandbox_and_stops_it(path: Path) -> None:
    found = tutorial.blocks(path.read_text("utf-8"))

    assert found[0].script.startswith('eval "$(reconcile sandbox start')
    assert "reconcile sandbox stop\n" in found[-1].script
    assert sum(block.output is not None for block in found) > 3
    assert f"tutorials/{path.name}" in (tutorial.ROOT / "README.md").read_text("utf-8")
    assert f"]({path.name})" in (path.parent / "README.md").read_text("utf-8")


@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_the_yaml_that_it_shows_is_that_of_its_environment(path: Path) -> None:
    text = path.read_text("utf-8")
    name = text.partition("reconcile apply ")[2].split()[0]
    files = [YAML(typ="safe").load(file) for file in (tutorial.ROOT / "environments" / name).rglob("*.yaml")]

    def part_of(shown: Any, whole: Any) -> bool:
        if isinstance(shown, dict) and isinstance(whole, dict):
            return all(key in whole and part_of(value, whole[key]) for key, value in shown.items())
        return bool(shown == whole)

    def somewhere(shown: Any, whole: Any) -> bool:
        inner = whole.values() if isinstance(whole, dict) else whole if isinstance(whole, list) else ()
        return part_of(shown, whole) or any(somewhere(shown, one) for one in inner)

    shown = [block["body"] for block in tutorial.BLOCK.finditer(text) if block["language"] == "yaml"]
    assert shown
    for one in shown:
        assert somewhere(YAML(typ="safe").load(one), files), one


def test_what_retry_predicts_is_what_jobs_show_then_shows() -> None:
    found = tutorial.blocks((tutorial.ROOT / "docs" / "tutorials" / "retry.md").read_text("utf-8"))

    def decisions(command: str) -> list[list[str]]:
        return [DECISION.findall(block.output or "") for block in found if command in block.script]

    assert [len(one) for one in decisions("reconcile retry ")] == [2, 3, 1]
    assert decisions("reconcile retry ") == decisions("reconcile jobs show ")


@pytest.mark.parametrize(
    ("told", "printed", "same"),
    [
        ("a\n", "a\n", True),
        ("a\n", "b\n", False),
        ("a\n", "a\nb\n", False),
        ("a.c\n", "abc\n", False),
        ("...\nb\n", "b\n", True),
        ("...\nb\n...\n", "a\na\nb\nc\n", True),
        ("...\nb\n", "a\nb\nc\n", False),
        ("at 2026-01-31T12:00:00Z (1 min 2 s)\n", "at 2027-02-01T13:14:15Z (59 s)\n", True),
        ("for 20 s\n", "for 21 s\n", False),
        (f"{ONE} {ONE}\n", f"{OTHER} {OTHER}\n", True),
        (f"{ONE} {ONE}\n", f"{ONE} {OTHER}\n", False),
        (f"{ONE} {OTHER}\n", f"{ONE} {ONE}\n", False),
        (f"{ONE}\n", "none\n", False),
        (f"https://{ONE}/\n", f"https://{OTHER}/\n", True),
    ],
)
def test_output_is_compared_line_by_line(told: str, printed: str, same: bool) -> None:
    assert (tutorial.mismatch(told, printed, {}) == "") is same


def test_an_id_is_the_same_one_in_every_block() -> None:
    known: dict[str, str] = {}

    assert not tutorial.mismatch(f"{ONE}\n", f"{OTHER}\n", known)
    assert not tutorial.mismatch(f"job {ONE}\n", f"job {OTHER}\n", known)
    assert tutorial.mismatch(f"job {ONE}\n", f"job {ONE}\n", known)


def test_output_that_no_command_prints_is_a_mistake() -> None:
    with pytest.raises(AssertionError, match="no command prints this"):
        tutorial.blocks("```text\na\n```\n")
