"""What people type and expect from other tools: terraform's single dashes, help to copy from, colours, init in place."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from reconciler.cli import main as cli
from reconciler.cli import root, terminal
from reconciler.model import problem_codes as codes
from reconciler.model.problems import Problem, Problems

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)

    def once(*argv: str) -> tuple[int, str, str]:
        codes: list[int] = []
        cli.main(list(argv), leave=codes.append)
        return codes[0], *capsys.readouterr()

    return once


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["plan", "-out", "x"], "-out; did you mean --out?"),
        (["plan", "-out=prod.plan"], "-out; did you mean --out=prod.plan?"),
        (["plan", "prod", "-target", "jobQueues.q"], "-target; did you mean --target?"),
        (["plan", "-detailed-exitcode"], "-detailed-exitcode; did you mean --detailed-exitcode?"),
        (["apply", "-auto-approve"], "-auto-approve; did you mean --auto-approve?"),
        (["apply", "-auto-aprove"], "-auto-aprove; did you mean --auto-approve?"),
        (["destroy", "-auto-approve"], "-auto-approve; did you mean --auto-approve?"),
        (["sandbox", "start", "-speed", "3"], "-speed; did you mean --speed?"),
        (["-version"], "-version; did you mean --version?"),
        (["plan", "--out", "x", "-zzz"], "-z"),
        (["apply", "-y", "-qqq"], "-q"),
    ],
)
def test_single_dashes_are_answered_with_the_right_spelling(run: Run, argv: list[str], said: str) -> None:
    code, out, err = run(*argv)

    assert code == 1
    assert out.endswith("\nfalse\n") if argv[0] == "sandbox" else not out  # the shell evaluates that
    assert err.rstrip().endswith(f"No such option: {said}")


def commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command and group, with the words that call it."""
    for name in group.list_commands(None):
        command = group.get_command(None, name)
        yield (*path, name), command
        if hasattr(command, "list_commands"):
            yield from commands(command, (*path, name))


EVERY = dict(commands(root.group()))


@pytest.mark.parametrize("words", [pytest.param(words, id=" ".join(words)) for words in EVERY])
def test_help_describes_everything_and_has_examples(
    run: Run, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    assert [param.name for param in EVERY[words].params if not param.help] == []
    for width in ("40", "80", "200"):
        monkeypatch.setenv("COLUMNS", width)
        shown = run(*words, "--help")[1].splitlines()
        start = next(index for index, line in enumerate(shown) if re.fullmatch(r"  Examples?:", line))
        examples = shown[start + 1 :]
        assert examples and all(re.match(r"    (eval \"\$\()?reconcile \w", line) for line in examples), examples


# --- colours -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environ", "coloured"),
    [
        ({}, False),
        ({"FORCE_COLOR": "1"}, True),
        ({"FORCE_COLOR": "3", "TERM": "dumb"}, True),
        ({"FORCE_COLOR": ""}, False),
        ({"FORCE_COLOR": "0"}, False),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
    ],
)
def test_colours_in_a_pipe(run: Run, monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], coloured: bool) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    Path("environment.yaml").write_text("environment: t\nregion: eu-west-1\nlogGroups: {a: {x: 1}}\n")

    assert ("\x1b[31merror[unknown-field]\x1b[0m" in run("validate")[1]) is coloured
    assert ("\x1b[31merror[unknown-field]\x1b[0m" in run("plan")[2]) is coloured
    assert "\x1b" not in run("validate", "--format", "json")[1] + run("validate", "--format", "sarif")[1]


def test_a_terminal_has_colours_unless_it_is_dumb(monkeypatch: pytest.MonkeyPatch) -> None:
    class Tty:
        def isatty(self) -> bool:
            return True

    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert terminal.colour(Tty())
    monkeypatch.setenv("TERM", "dumb")
    assert not terminal.colour(Tty())


def test_nobody_sits_at_the_terminal_of_a_pipeline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some hosts give jobs one. There are no colours unless they are asked for, and no questions."""
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: True))
    stream = SimpleNamespace(isatty=lambda: True)
    for value, pipeline in (("true", True), ("1", True), ("false", False), ("", False)):
        monkeypatch.setenv("CI", value)
        assert terminal.in_pipeline() is pipeline and terminal.colour(stream) is not pipeline
    monkeypatch.setenv("CI", "true")
    with pytest.raises(Problems) as refused:
        terminal.Terminal().confirm("Apply?", Problem(code=codes.NOT_APPROVED, message="there is nobody"))
    assert refused.value.exit_code == 4
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert terminal.colour(stream)


# --- init --------------------------------------------------------------------------------------------------------------


def test_init_in_a_fresh_repository(run: Run, tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", "."], check=True, cwd=tmp_path)
    (tmp_path / ".gitignore").write_text("*.plan\n")
    (tmp_path / "README.md").write_text("# ours\n")
    (tmp_path / "LICENSE").write_text("MIT\n")

    code, out, _ = run("init", ".")
    assert (code, out) == (0, "next: reconcile validate .\n")
    assert (tmp_path / "README.md").read_text() == "# ours\n"
    assert run("validate")[0] == 0
    assert run("init", ".")[0] == 1


@pytest.mark.parametrize("there", ["main.tf", "environment.yaml", "src/main.py", ".env"])
def test_but_not_among_other_files(run: Run, tmp_path: Path, there: str) -> None:
    (tmp_path / there).parent.mkdir(exist_ok=True)
    (tmp_path / there).write_text("")

    code, _, err = run("init", ".")
    assert code == 1 and "error[directory-in-use]: . is not empty" in err
    assert [path.name for path in tmp_path.iterdir()] == [Path(there).parts[0]]
