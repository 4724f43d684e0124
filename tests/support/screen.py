"""A terminal: what a program writes to it, as it is on the screen."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import termios
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO

import pyte


class Screen:
    """``master`` and ``slave`` are the two ends of a pseudo-terminal; ``out`` writes to it."""

    def __init__(self, columns: int, rows: int) -> None:
        self.master, self.slave = pty.openpty()
        tty.setcbreak(self.slave)  # as a terminal, but echoing nothing; Ctrl-C is a signal
        self.out: TextIO = os.fdopen(os.dup(self.slave), "w", encoding="utf-8")
        self.raw = b""
        self._screen = pyte.HistoryScreen(columns, rows, history=1000, ratio=1)
        self._stream = pyte.ByteStream(self._screen)
        self.resize(columns, rows)

    def resize(self, columns: int, rows: int) -> None:
        """Like a window that is dragged."""
        self._read()
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self._screen.resize(rows, columns)

    @property
    def lines(self) -> list[str]:
        """What has scrolled away and what is on the screen, without empty lines at the end."""
        self._read()
        gone = ["".join(line[at].data for at in sorted(line)) for line in self._screen.history.top]
        return "\n".join(line.rstrip() for line in [*gone, *self._screen.display]).rstrip("\n").split("\n")

    @property
    def cursor(self) -> tuple[int, bool]:
        """Its column, and whether it is shown."""
        self._read()
        return self._screen.cursor.x, not self._screen.cursor.hidden

    def wait_for(self, holds: Callable[[list[str]], Any], seconds: float = 60) -> None:
        """Read until ``holds`` of the lines."""
        while not holds(self.lines):
            assert select.select([self.master], [], [], seconds)[0], self.lines

    def _read(self) -> None:
        self.out.flush()
        with suppress(OSError):
            while select.select([self.master], [], [], 0)[0]:
                data = os.read(self.master, 65536)
                self.raw += data
                self._stream.feed(data)


@contextmanager
def screen(columns: int = 80, rows: int = 24) -> Iterator[Screen]:
    """A terminal of that size."""
    one = Screen(columns, rows)
    try:
        yield one
    finally:
        one.out.close()
        os.close(one.slave)
        os.close(one.master)
