"""``apply --smoke``: one job after the apply, followed, and explained where it does not succeed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.shell import Shell, Ticking
from tests.support.tables import DATA


def submitted(shell: Shell) -> int:
    return sum(call.operation == "SubmitJob" for call in shell.account.calls)


def test_one_job_says_whether_the_estate_works(shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shell.go(tmp_path)
    Path("environment.yaml").write_text((DATA / "jobs" / "lab.yaml").read_text("utf-8"), encoding="utf-8")
    monkeypatch.setattr("reconciler.cli.smoke.WallClock", lambda: Ticking(shell.account))
    shell.account.change(
        {"outcomes": {"render": [{"exitCode": 0, "lines": ["frame 1 done"]}], "web": [{"exitCode": 7}]}}
    )
    apply = ("apply", "--auto-approve", "--smoke")

    wrong = shell(*apply, "jobDefinitions.nothing")
    assert (wrong.code, "there is no job definition" in wrong.err, shell.writes()) == (1, True, [])
    assert shell("apply", "--smoke-queue", "main").code == 1

    done = shell.ok(*apply, "jobDefinitions.render")
    assert "frame 1 done" in done.out
    assert "SUCCEEDED" in done.err
    assert submitted(shell) == 1

    failed = shell(*apply, "jobDefinitions.web", "--smoke-queue", "light")
    assert failed.code == 1
    assert "FAILED" in failed.err
    assert "exit code 7" in failed.told or "exited with 7" in failed.told
    assert submitted(shell) == 2

    shell.account.batch_settings.vcpu_quotas = {"m5*": 0}
    shell.account.clock.advance(3600)
    stuck = shell("apply", "--smoke", "render", "--smoke-timeout", "20m", "--format", "json", "--auto-approve")
    last = stuck.lines[-1]
    assert (stuck.code, last["type"], last["state"]) == (1, "why", "RUNNABLE")
    assert last["causes"][0]["id"] not in ("none", "")
