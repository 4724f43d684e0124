"""Accounts that were made by something, imported: the YAML is short, and a plan of it finds nothing to change."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support.examples import ROOT, SECRETS
from tests.support.imported import adopted, forget
from tests.support.shell import Shell


@pytest.mark.parametrize("name", sorted(p.parent.name for p in ROOT.glob("environments/*/environment.yaml")))
def test_an_example_is_imported(shell: Shell, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    for variable, value in SECRETS.items():
        monkeypatch.setenv(variable, value)
    shutil.copytree(ROOT / "environments" / name, name)
    shell.ok("apply", name, "-y")
    forget(shell)
    found = shell.ok(
        "import", "again", *(("--name", "*") if name == "ci-roles" else ("--all",)), "--environment", "again"
    )
    print(found.out, found.err)
    for path in sorted(Path("again").glob("*.yaml")):
        print(f"## {path}\n{path.read_text()}")
    for variable, value in ():
        monkeypatch.setenv(variable, value)
    adopted(shell, "again")
