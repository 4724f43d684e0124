"""Runs the jobs of GitHub's workflows here: their scripts in bash, what they use by stand-ins.

`reconcile` in the scripts is the command line in this process, which answers over a pipe: a process of its own for each
command would take most of the time. Expressions are looked up among the values that a test gives; one that it does not
give is an error.
"""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from reconciler.cli import main as cli

_NAMES = re.compile(r"'[^']*'|[a-z_]+(?:\.[\w-]+)+|cancelled\(\)|&&|\|\||!(?!=)")
_WORDS = {"&&": " and ", "||": " or ", "!": " not ", "cancelled()": "False"}
_SHIM = """\
#!/bin/bash
place=$(mktemp -d "{pipes}/XXXXXX")
printf '%s\\0' "$@" > "$place/argv"
env -0 > "$place/env"
mkfifo "$place/done"
echo "$place" > "{pipes}/requests"
read -r code < "$place/done"
cat "$place/out"
cat "$place/err" >&2
exit "$code"
"""


@dataclass
class Done:
    """How a job ended: its outputs, what its scripts printed, and the summaries of its steps."""

    ok: bool = True
    outputs: dict[str, str] = field(default_factory=dict)
    log: str = ""
    summary: str = ""


@dataclass
class Runner:
    """Runs jobs in directories below ``home``. ``actions`` do what jobs use, by name: they get directory and inputs."""

    home: Path
    environ: Mapping[str, str]
    actions: Mapping[str, Callable[[Path, dict[str, str]], None]]
    count: int = 0

    def __post_init__(self) -> None:
        self.pipes = self.home / "pipes"
        self.pipes.mkdir(parents=True)
        os.mkfifo(self.pipes / "requests")
        shim = self.home / "bin" / "reconcile"
        shim.parent.mkdir()
        shim.write_text(_SHIM.format(pipes=self.pipes), encoding="utf-8")
        shim.chmod(0o755)

    def job(self, file: Path, name: str, values: Mapping[str, Any]) -> Done:
        """Runs the job ``name`` of a workflow, in an empty directory."""
        workflow = yaml.safe_load(file.read_text(encoding="utf-8"))
        job = workflow["jobs"][name]
        self.count += 1
        directory = self.home / f"job-{self.count}"
        directory.mkdir()
        known, done = {**values}, Done()
        settings = {**workflow.get("env", {}), **job.get("env", {})}
        known |= {f"env.{key}": str(value) for key, value in settings.items()}
        for step in job["steps"]:
            condition = step.get("if", "")
            wanted = _evaluated(condition, known) if condition else True
            if not wanted or not (done.ok or "cancelled()" in condition) or step.get("name") == "Install reconcile":
                continue
            if "uses" in step:
                inputs = {key: _filled(str(value), known) for key, value in step.get("with", {}).items()}
                self.actions[step["uses"].partition("@")[0]](directory, inputs)
                continue
            env = {key: _filled(str(value), known) for key, value in {**settings, **step.get("env", {})}.items()}
            outputs = self.script(directory, step["run"], env, done)
            known |= {f"steps.{step['id']}.outputs.{key}": value for key, value in outputs.items() if "id" in step}
        done.outputs = {key: _filled(value, known) for key, value in job.get("outputs", {}).items()}
        return done

    def script(self, directory: Path, script: str, env: Mapping[str, str], done: Done) -> dict[str, str]:
        """Runs a script in ``directory`` with these variables more. Returns its outputs."""
        output, summary = directory.parent / f"{directory.name}.output", directory.parent / f"{directory.name}.summary"
        for path in (output, summary):
            path.write_text("", encoding="utf-8")
        environ = {**self.environ, **env, "GITHUB_OUTPUT": str(output), "GITHUB_STEP_SUMMARY": str(summary)}
        environ["PATH"] = f"{self.home / 'bin'}{os.pathsep}{os.environ['PATH']}"
        argv = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
        with subprocess.Popen(
            argv, cwd=directory, env=environ, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        ) as running:
            read: list[str] = []
            reader = threading.Thread(target=lambda: read.append(running.stdout.read() if running.stdout else ""))
            reader.start()
            self._answer(running)
            reader.join()
        done.log += read[0]
        done.summary += summary.read_text(encoding="utf-8")
        done.ok = done.ok and running.returncode == 0
        return dict(line.split("=", 1) for line in output.read_text(encoding="utf-8").splitlines())

    def _answer(self, running: subprocess.Popen[str]) -> None:
        """Runs the commands that the script calls, in this thread: they handle signals."""
        requests = os.open(self.pipes / "requests", os.O_RDWR | os.O_NONBLOCK)
        ended = threading.Thread(target=lambda: (running.wait(), os.write(requests, b"end\n")))
        ended.start()
        os.set_blocking(requests, True)
        with os.fdopen(requests, "rb", buffering=0) as stream:
            while (line := _line(stream)) != "end":
                _run(Path(line))
            ended.join()


def _run(place: Path) -> None:
    environ = dict(item.split("=", 1) for item in (place / "env").read_text().split("\0")[:-1])
    argv = (place / "argv").read_text(encoding="utf-8").split("\0")[:-1]
    codes: list[int] = []
    out, err = io.StringIO(), io.StringIO()
    with _swapped(environ), redirect_stdout(out), redirect_stderr(err):
        cli.main(argv, leave=codes.append)
    (place / "out").write_text(out.getvalue(), encoding="utf-8")
    (place / "err").write_text(err.getvalue(), encoding="utf-8")
    (place / "done").write_text(f"{codes[0]}\n", encoding="utf-8")


@contextmanager
def _swapped(environ: Mapping[str, str]) -> Iterator[None]:
    """The environment variables and the directory of a script."""
    before, here = dict(os.environ), Path.cwd()
    os.environ.clear()
    os.environ.update(environ)
    os.chdir(environ["PWD"])
    hook = threading.excepthook
    try:
        yield
    finally:
        threading.excepthook = hook
        os.environ.clear()
        os.environ.update(before)
        os.chdir(here)
        sys.stdout.flush()


def _line(stream: Any) -> str:
    found = b""
    while not found.endswith(b"\n"):
        found += stream.read(1)
    return found.decode().strip()


def _evaluated(expression: str, known: Mapping[str, Any]) -> Any:
    """The value of an expression, ``${{ }}`` around it or not."""
    inner = re.sub(r"^\$\{\{(.*)\}\}$", r"\1", expression.strip(), flags=re.DOTALL)

    def value(found: re.Match[str]) -> str:
        return found[0] if found[0].startswith("'") else _WORDS.get(found[0]) or repr(known[found[0]])

    return eval(_NAMES.sub(value, inner).strip(), {"__builtins__": {}}, {})


def _filled(text: str, known: Mapping[str, Any]) -> str:
    def value(found: re.Match[str]) -> str:
        result = _evaluated(found[1], known)
        return result if isinstance(result, str) else "" if result is None else json.dumps(result)

    return re.sub(r"\$\{\{(.*?)\}\}", value, text)
