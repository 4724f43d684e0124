"""Accounts that were made by something, imported: the YAML is short, and a plan of it finds nothing to change."""

from __future__ import annotations

import shutil

import pytest

from tests.support.examples import ROOT, SECRETS
from tests.support.imported import adopted, forget
from tests.support.long import some
from tests.support.shell import Shell

EXAMPLES = sorted(path.parent.name for path in ROOT.glob("environments/*/environment.yaml"))


@pytest.mark.parametrize("name", some(EXAMPLES, 6, 5))
def test_an_example_is_imported(shell: Shell, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    for variable, value in SECRETS.items():
        monkeypatch.setenv(variable, value)
    shutil.copytree(ROOT / "environments" / name, name)
    shell.ok("apply", name, "-y")
    forget()
    what = ("--name", "*") if name == "ci-roles" else ("--all",)
    found = shell.ok("import", "again", *what)
    assert "warning" not in found.told and "left out" not in found.told
    adopted(shell, "again")
