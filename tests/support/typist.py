"""Types commands in a process of its own, one after the other, so that what every process reads is read once.

Started as ``python -m tests.support.typist``, it first says the URL of an account that it has, too, and which its
commands find without a socket in between; a line of JSON asks for a command, a line tells how it ended.
"""

from __future__ import annotations

import contextlib
import gc
import io
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest


@dataclass
class Typist:
    """The process, seen from outside."""

    process: subprocess.Popen[str]
    url: str

    def __call__(self, *argv: str, folder: Path, environ: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        assert self.process.stdin is not None and self.process.stdout is not None
        asked = {"argv": argv, "folder": str(folder), "environ": dict(environ)}
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()
        done = json.loads(self.process.stdout.readline())
        return subprocess.CompletedProcess(argv, **done)


@contextlib.contextmanager
def hired(environ: Mapping[str, str]) -> Iterator[Typist]:
    """A typist, until it is left."""
    command, pipe = [sys.executable, "-m", "tests.support.typist"], subprocess.PIPE
    with subprocess.Popen(command, env=dict(environ), stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        yield Typist(process, process.stdout.readline().strip())


def _typed(asked: Mapping[str, Any]) -> dict[str, Any]:
    from reconciler.cli.main import main

    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update(asked["environ"])
    codes: list[int] = []
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        main(asked["argv"], leave=codes.append)
    return {"returncode": codes[0], "stdout": out.getvalue(), "stderr": err.getvalue()}


def _main() -> None:
    gc.set_threshold(50_000, 20, 25)  # as in the tests' own process, for moto and the models of AWS
    from reconciler.sandbox.server import Sandbox
    from tests.support import prepared
    from tests.support.shell import point_at

    prepared.install()
    account = Sandbox()
    server = account.serve(0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    point_at(account, server.url, pytest.MonkeyPatch())
    sys.stdout.write(server.url + "\n")
    sys.stdout.flush()
    for line in sys.stdin:
        sys.stdout.write(json.dumps(_typed(json.loads(line))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _main()
