"""CPU seconds and peak memory of ``reconcile validate`` over estates of several sizes.

``python -m benchmarks.validate [N]...`` measures whole processes, interpreter start included: user + system time and
the peak resident size as the operating system counts them. Each number is the minimum of several runs: the run that
other work on the machine disturbs least.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

from benchmarks import estate
from benchmarks.peak import RUN

SIZES = (20, 200, 1000, 5000)
RUNS = 5


@dataclass(frozen=True, slots=True)
class Used:
    """What one process used: seconds, CPU seconds and megabytes."""

    wall: float
    cpu: float
    memory: float


def used(command: Sequence[str], *, runs: int = RUNS) -> Used:
    """The minimum that a module with arguments used in ``runs`` runs. Raises RuntimeError where it fails."""
    found = [_once(command) for _ in range(runs)]
    return Used(*(min(values) for values in zip(*map(astuple, found), strict=True)))


def _once(command: Sequence[str]) -> Used:
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    with tempfile.NamedTemporaryFile("r") as memory:
        whole = [sys.executable, "-c", RUN, memory.name, *command]
        began = time.monotonic()
        process = subprocess.Popen(whole, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environ)  # noqa: S603
        assert process.stderr is not None
        said = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            raise RuntimeError(said.decode())
        return Used(wall, usage.ru_utime + usage.ru_stime, int(memory.read()) / 1024)


def main() -> None:
    """Print a line for every size, as several files and as one."""
    sizes = [int(size) for size in sys.argv[1:]] or SIZES
    floor = used(["this"])
    print(f"{'':>6} {'':>8} {'CPU s':>7} {'MB':>6}")
    print(f"{'python':>6} {'':>8} {floor.cpu:7.2f} {floor.memory:6.0f}")
    for size in sizes:
        for one_file in (False, True):
            if one_file and size > 2000:
                continue
            with tempfile.TemporaryDirectory() as directory:
                target = estate.write(Path(directory) / "estate", size, one_file=one_file)
                found = used(["reconciler", "validate", str(target)])
            print(
                f"{size:>6} {'one file' if one_file else 'files':>8} {found.cpu:7.2f} {found.memory:6.0f}", flush=True
            )


if __name__ == "__main__":
    main()
