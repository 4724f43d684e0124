"""The walk through a kind in ``docs/adding-a-kind.md`` shows the kind as it is, and files that are there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "adding-a-kind.md").read_text()
SOURCE = (ROOT / "reconciler" / "kinds" / "ec2" / "placement_group.py").read_text()


def test_the_code_is_that_of_the_module():
    blocks = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)

    assert len(blocks) >= 5
    for line in (line for block in blocks for line in block.splitlines() if line):
        assert f"{line}\n" in SOURCE


def test_the_files_are_there():
    files = re.findall(r"(?:`|pytest )((?:reconciler|schemas|tests)/[\w/.]+)", TEXT)

    assert len(files) >= 10
    assert [file for file in files if not (ROOT / file).exists()] == []
