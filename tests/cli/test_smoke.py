"""``apply --smoke``: one job after the apply, followed, and explained where it does not succeed."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from reconciler.kinds.batch.job_definition.submission import submission
from tests.support.shell import Shell, Ticking
from tests.support.tables import DATA

LAB = (DATA / "jobs" / "lab.yaml").read_text("utf-8")
SPARE = "  spare: {priority: 1, computeEnvironmentOrder: [{order: 1, computeEnvironment: ec2}]}"
APPLY = ("apply", "--auto-approve", "--smoke")


def sent(shell: Shell) -> list[Any]:
    return [call.params for call in shell.account.calls if call.operation == "SubmitJob"]


@pytest.fixture
def lab(shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    shell.go(tmp_path)
    Path("environment.yaml").write_text(LAB, encoding="utf-8")
    monkeypatch.setattr("reconciler.cli.smoke.WallClock", lambda: Ticking(shell.account))
    shell.account.change(
        {"outcomes": {"render": [{"exitCode": 0, "lines": ["frame 1 done"]}], "web": [{"exitCode": 7}]}}
    )
    return shell


def test_what_cannot_be_submitted_is_refused_before_anything_changes(lab: Shell) -> None:
    def refused(*words: str) -> str:
        done = lab(*APPLY, *words)
        assert (done.code, lab.writes()) == (1, []), done.told
        return done.err

    assert 'did you mean "jobDefinitions.render"?' in refused("jobDefinitions.rendr")
    assert "did you mean" not in refused("jobDefinitions.nothing")
    assert '--smoke-queue: there is no job queue "mian"' in (wrong := refused("render", "--smoke-queue", "mian"))
    assert 'did you mean "main"?' in wrong
    assert lab("apply", "--smoke-queue", "main").code == 1

    Path("environment.yaml").write_text(LAB.replace("  light: {", f"{SPARE}\n  light: {{"), encoding="utf-8")
    assert "choose with --smoke-queue: main, spare" in refused("render")

    Path("environment.yaml").write_text(LAB.replace('parameters: {frame: "1"}', ""), encoding="utf-8")
    assert "add --smoke-parameter frame=VALUE" in refused("render")
    lab.ok(*APPLY, "render", "--smoke-parameter", "frame=7")
    assert [one["parameters"] for one in sent(lab)] == [{"frame": "7"}]


def test_one_job_says_whether_the_estate_works(lab: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    done = lab.ok(*APPLY, "jobDefinitions.render")
    assert "frame 1 done" in done.out
    assert "SUCCEEDED" in done.err
    assert len(sent(lab)) == 1

    monkeypatch.setenv("FORCE_COLOR", "1")
    failed = lab(*APPLY, "jobDefinitions.web", "--smoke-queue", "light")
    assert failed.code == 1
    assert "FAILED" in failed.err
    assert "\x1b[1mThe program ended with exit code 7.\x1b[0m" in failed.out
    assert len(sent(lab)) == 2
    monkeypatch.delenv("FORCE_COLOR")

    lab.account.batch_settings.vcpu_quotas = {"m5*": 0}
    lab.account.clock.advance(3600)
    stuck = lab(*APPLY, "render", "--smoke-timeout", "20m", "--format", "json")
    ended, why, last = stuck.lines[-3:]
    assert (stuck.code, ended["type"], ended["status"]) == (1, "smoke", "RUNNABLE")
    assert (ended["@message"], why["@message"]) == ("RUNNABLE", why["causes"][0]["message"])
    assert (why["type"], why["state"], why["causes"][0]["id"]) == ("why", "RUNNABLE", "vcpu-quota")
    assert (last["type"], last["smoke"]) == ("summary", {"job_id": ended["job_id"], "succeeded": False})


def test_a_signal_after_the_changes_does_not_wait_for_the_job(lab: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted(Ticking):
        def sleep(self, seconds: float) -> None:
            signal.raise_signal(signal.SIGINT)
            super().sleep(seconds)

    monkeypatch.setattr("reconciler.cli.smoke.WallClock", lambda: Interrupted(lab.account))
    stopped = lab(*APPLY, "render", "--format", "json")

    assert stopped.code == 130
    assert "The job continues: `reconcile jobs show" in stopped.err
    assert (stopped.lines[-1]["type"], len(stopped.lines[-1]["done"]) > 5) == ("summary", True)


def test_only_whole_words_without_a_default_are_needed() -> None:
    container = {"command": ["render", "Ref::frame", "--quality=Ref::quality", "Ref::size"]}
    pod = {"podProperties": {"containers": [{"name": "a", "command": ["Ref::x"], "args": ["Ref::y"]}]}}
    nodes = {"nodeRangeProperties": [{"container": container}, {"eksProperties": pod}]}

    assert submission({"containerProperties": container, "parameters": {"size": "1"}}).needed == {"frame"}
    assert submission({"nodeProperties": nodes}).needed == {"frame", "size", "x", "y"}
    assert submission({"containerProperties": {}}).needed == frozenset()
