"""Options that write a file write to no other kind of file: not to the YAML, not through a link, not to a disk."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.shell import Shell

STACK = "environment: site\nregion: eu-west-1\nlogGroups: {g: {retentionInDays: 7}}\n"


@pytest.fixture
def shell(shell: Shell) -> Shell:
    Path("environment.yaml").write_text(STACK, "utf-8")
    Path("link").symlink_to("environment.yaml")
    Path("dangling").symlink_to("nowhere")
    os.link("environment.yaml", "hard")
    Path("notes.txt").write_text("{\n", "utf-8")
    Path("almost").write_text('{\n "file": "reconcile-pla', "utf-8")
    Path("empty").touch()
    return shell


@pytest.mark.parametrize("name", ["environment.yaml", "link", "dangling", "hard", "notes.txt", "almost"])
@pytest.mark.parametrize(
    "command", [("plan", "--out"), ("apply", "-y", "--journal"), ("destroy", "-y", "--journal")], ids=lambda one: one[0]
)
def test_what_is_not_its_own_stays(name: str, command: tuple[str, ...], shell: Shell) -> None:
    before = Path(name).read_bytes() if Path(name).exists() else None

    refused = shell(*command, name)

    assert refused.code == 1
    assert f"{name} is " in refused.err
    assert "not saved there" in refused.err or "not written there" in refused.err
    assert "choose another" in refused.err
    assert not Path("nowhere").exists()
    assert before is None or Path(name).read_bytes() == before
    assert not shell.writes()


def test_its_own_and_nothing_are_written_to(shell: Shell) -> None:
    Path("to-plan").symlink_to("saved.plan")
    for name in ("saved.plan", "saved.plan", "empty", "to-plan", os.devnull):
        shell.ok("plan", "--out", name)
    Path("empty").write_bytes(b"")
    for name in ("new/a.jsonl", "new/a.jsonl", "empty", os.devnull):
        shell.ok("apply", "-y", "--journal", name)

    assert Path("saved.plan").read_bytes() == Path("to-plan").read_bytes()
    assert Path("to-plan").is_symlink()
    assert Path("new/a.jsonl").read_text("utf-8").count('"type": "end"') == 2
    assert shell("plan", "--out", "new/a.jsonl").code == 1
    assert shell("apply", "-y", "--journal", "saved.plan").code == 1


def test_a_refused_place_is_said_before_anything_is_asked(shell: Shell) -> None:
    shell.account.calls.clear()

    assert shell("plan", "--out", "environment.yaml").code == 1
    assert not shell.account.calls
