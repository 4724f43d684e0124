"""What a shell is offered while a command is being typed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from reconciler.cli import main as cli

ROOT = Path(__file__).resolve().parents[2]

ENVIRONMENT = """\
environment: {name}
jobQueues:
  fast: {{priority: 1}}
logGroups:
  /aws/batch/custom: {{}}
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("prod", "stage"):
        folder = tmp_path / "environments" / name
        folder.mkdir(parents=True)
        (folder / "environment.yaml").write_text(ENVIRONMENT.format(name=name))
    (tmp_path / "environments" / "prod" / "tests").mkdir()
    (tmp_path / "environments" / "prod" / "tests" / "a.yaml").write_text("tests: []\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def offered(place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    def complete(line: str) -> list[str]:
        words = line.split(" ")
        monkeypatch.setenv("_RECONCILE_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", line)
        monkeypatch.setenv("COMP_CWORD", str(len(words) - 1))
        cli.main([], leave=lambda _: None)
        return capsys.readouterr().out.split()

    return complete


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("reconcile val", ["validate"]),
        ("reconcile comp", ["completion"]),
        ("reconcile sandbox st", ["start", "stop", "status"]),
        ("reconcile plan ", ["prod", "stage"]),
        ("reconcile apply st", ["stage"]),
        ("reconcile validate prod s", ["stage"]),
        ("reconcile plan environments/p", ["environments/prod"]),
        ("reconcile test environments/p", ["environments/prod", "environments/prod/tests/a.yaml"]),
        ("reconcile plan --out", ["--out"]),
        ("reconcile permissions prod --also jobQ", ["jobQueues"]),
        ("reconcile permissions --for dr", ["drift"]),
        ("reconcile plan --format m", ["markdown"]),
        ("reconcile plan prod --target job", ["jobQueues.fast"]),
        ("reconcile destroy prod --exclude log", ['logGroups["/aws/batch/custom"]']),
        ("reconcile plan nowhere --target job", []),
        ("reconcile schema jobQ", ["jobQueues"]),
        ("reconcile explain jobQ", ["jobQueues"]),
        ("reconcile explain jobQueues.pri", ["jobQueues.priority"]),
        (
            "reconcile explain computeEnvironments.computeResources.minv",
            ["computeEnvironments.computeResources.minvCpus"],
        ),
        ("reconcile explain unknown-f", ["unknown-field"]),
        ("reconcile graph prod --of job", ["jobQueues.fast"]),
        ("reconcile graph --format m", ["mermaid"]),
        ("reconcile init x --template ret", ["retry-strategies"]),
    ],
)
def test_words(offered, line: str, wanted: list[str]) -> None:
    assert offered(line) == wanted


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_there_is_a_script_for_each_shell(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    codes: list[int] = []
    cli.main(["completion", shell], leave=codes.append)
    script = capsys.readouterr().out

    assert codes == [0]
    assert f"complete_{shell}" in script and "reconcile" in script
    if found := shutil.which(shell):
        subprocess.run([found, "-n"], input=script, text=True, check=True, timeout=60)


@pytest.mark.long
def test_bash_takes_what_it_is_offered(place: Path) -> None:
    """The script itself, in a real shell, with the command it calls."""
    bash = shutil.which("bash")
    assert bash, "bash is needed, as for `make demo`"
    script = """
eval "$(reconcile completion bash)"
complete_at_the_end() {
    COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
    _reconcile_completion reconcile
    printf '%s\\n' "${COMPREPLY[@]}"
}
complete_at_the_end reconcile plan st
complete_at_the_end reconcile plan prod --target = jobQ
complete_at_the_end reconcile plan prod --format =
complete_at_the_end reconcile plan prod --target logG
complete_at_the_end reconcile plan prod --target "'logGroups[\\"/aws/"
"""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environ = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [bash, "-c", script], cwd=place, env=environ, capture_output=True, text=True, check=True, timeout=120
    )

    quoted = 'logGroups["/aws/batch/custom"]'
    offered = ["stage", "jobQueues.fast", "text", "json", "markdown", "html", f"'{quoted}'", quoted]
    assert done.stdout.split() == offered, done.stderr
