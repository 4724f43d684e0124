"""Variables from the command line: in every command, in saved plans, and never a secret of them in what is printed."""

from __future__ import annotations

from pathlib import Path

import boto3
import pytest

from tests.support.shell import Shell

STACK = """\
environment: site
region: eu-west-1
variables: {days: 7, app_token: none, seed: none}
logGroups:
  site-logs: {retentionInDays: "${var.days}"}
secrets:
  site-secret: {value: "seed-${var.seed}"}
"""


@pytest.fixture
def site(shell: Shell) -> Path:
    (shell.home / "environment.yaml").write_text(STACK)
    return shell.home


def retention() -> int:
    days: int = boto3.client("logs").describe_log_groups()["logGroups"][0]["retentionInDays"]
    return days


def test_every_command_takes_them(site: Path, shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    given = ("--var", "days=30")
    shown = shell.ok("render", *given).out
    assert "days: 30" in shown and "# --var days" in shown
    shell.ok("validate", *given)
    assert shell("validate", "--var", "days=31").code == 1
    assert "retentionInDays = 30" in shell.ok("plan", *given).out
    shell.ok("apply", "-y", *given)
    assert retention() == 30
    assert shell("plan", "--detailed-exitcode").code == 2
    shell.ok("plan", "--detailed-exitcode", *given)
    monkeypatch.setenv("RECONCILE_VAR_days", "30")
    shell.ok("plan", "--detailed-exitcode")
    monkeypatch.setenv("RECONCILE_VAR_dais", "30")
    refused = shell("plan")
    assert refused.code == 1 and "RECONCILE_VAR_dais" in refused.err and "days" in refused.err
    monkeypatch.delenv("RECONCILE_VAR_dais")
    (site / "v.json").write_text('{"days": 60}')
    shell.ok("unlock", "--var-file", "v.json", "-y")
    shell.ok("destroy", "-y", "--var-file", "v.json")


def test_a_saved_plan_has_them(site: Path, shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """So apply needs no flags again, and what the environment says meanwhile has no effect."""
    shell.ok("plan", "--out", "a.plan", "--var", "days=30")
    for words in (["--var", "days=60"], ["--var", "seed=x"]):
        refused = shell("apply", "a.plan", *words)
        assert refused.code == 5 and f'"{words[1].partition("=")[0]}"' in refused.err
    monkeypatch.setenv("RECONCILE_VAR_days", "60")
    monkeypatch.setenv("RECONCILE_VAR_other", "x")
    shell.ok("apply", "a.plan", "--var", "days=30")

    assert retention() == 30


@pytest.mark.parametrize("name", ["app_token", "seed"])
def test_a_secret_is_given_again(site: Path, shell: Shell, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret by its name, or by what is made of it: the file has a hash only, and nothing prints it."""
    shell.secrets = {"hunter2-and-more"}
    given = ("--var", f"{name}=hunter2-and-more")
    shell.ok("plan", "--out", "a.plan", *given, "--var", "days=30")
    saved = (site / "a.plan").read_text()
    assert "hunter2" not in saved and "scrypt" in saved
    shell.ok("render", *given)

    missing = shell("apply", "a.plan")
    assert missing.code == 1 and f"RECONCILE_VAR_{name}" in missing.err
    other = shell("apply", "a.plan", "--var", f"{name}=hunter3")
    assert other.code == 5 and "another value" in other.err and "hunter3" not in other.told
    assert shell.writes() == []

    monkeypatch.setenv(f"RECONCILE_VAR_{name}", "hunter2-and-more")
    shell.ok("apply", "a.plan")
    assert retention() == 30
