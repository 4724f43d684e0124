"""What a process and all its descendants took: terraform works in a plugin, which is a process of its own.

CPU seconds are the operating system's, of every process: a descendant that its parent does not wait for is given to
this process, which waits for it (``PR_SET_CHILD_SUBREAPER``). Memory is sampled every ``PAUSE`` seconds: the sum of the
peaks (``VmHWM``) of the processes that live at that time, and the highest sum counts. Linux only.
"""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PAUSE = 0.05
_SET_CHILD_SUBREAPER = 36
_PEAK = re.compile(r"VmHWM:\s*(\d+)")


@dataclass(frozen=True, slots=True)
class Used:
    """The exit code and output of a command, its seconds and megabytes, and how many processes it was."""

    code: int
    said: str
    wall: float
    cpu: float
    memory: float
    processes: int


def used(command: Sequence[str], *, cwd: Path, env: Mapping[str, str]) -> Used:
    """Run ``command`` to its end, and what it started. This process may have no other child meanwhile."""
    if ctypes.CDLL(None, use_errno=True).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")
    began = time.monotonic()
    process = subprocess.Popen(  # noqa: S603  a benchmark's own command
        command, cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    peaks = _Peaks(process.pid)
    assert process.stdout is not None
    said = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    cpu = usage.ru_utime + usage.ru_stime
    with suppress(ChildProcessError):
        while True:
            _, _, usage = os.wait4(-1, 0)
            cpu += usage.ru_utime + usage.ru_stime
    return Used(process.returncode, said, wall, cpu, peaks.highest(), len(peaks.seen))


class _Peaks:
    """The memory of a process and its descendants, until it ends."""

    def __init__(self, root: int) -> None:
        self.seen: set[int] = set()
        self._root = root
        self._highest = 0.0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def highest(self) -> float:
        """The highest sum, in megabytes."""
        self._ended.set()
        self._thread.join()
        return self._highest

    def _look(self) -> None:
        while not self._ended.wait(PAUSE):
            peaks = {process: _peak(process) for process in (self._root, *_descendants(self._root))}
            self.seen |= {process for process, peak in peaks.items() if peak}
            self._highest = max(self._highest, sum(peaks.values()))


def _peak(process: int) -> float:
    try:
        found = _PEAK.search(Path(f"/proc/{process}/status").read_text("utf-8"))
    except OSError:
        return 0.0
    return int(found[1]) / 1024 if found else 0.0


def _descendants(process: int) -> Iterator[int]:
    for thread in Path(f"/proc/{process}/task").glob("*/children"):
        with suppress(OSError):
            for child in map(int, thread.read_text("utf-8").split()):
                yield child
                yield from _descendants(child)
