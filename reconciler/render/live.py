"""Lines at the bottom of a terminal that are redrawn in place, while finished lines scroll above them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from typing import Final, TextIO

from rich.console import Console, ConsoleDimensions, Group
from rich.live import Live
from rich.text import Text

LEFT_FREE: Final = 4  # rows of the terminal that live lines never take


class LiveLines:
    """The live lines of one terminal, ``out``. They never wrap: what is too wide for the terminal is cut."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._console = Console(
            file=out, force_terminal=True, force_interactive=True, color_system="standard", legacy_windows=False
        )
        self._drawn: tuple[Sequence[str], ConsoleDimensions] | None = None
        self._live = Live(
            Text(),
            console=self._console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
            vertical_overflow="crop",
        )
        self._fit()
        self._live.start()
        self._console.show_cursor(True)  # a process that is killed must not leave the terminal without one

    @property
    def rows(self) -> int:
        """How many lines there is room for."""
        self._fit()
        return max(self._console.size.height - LEFT_FREE, 1)

    def show(self, lines: Sequence[str]) -> None:
        """Draw ``lines`` instead of those before, if there is a difference."""
        self._fit()
        drawn = (tuple(lines), self._console.size)
        if drawn != self._drawn:
            self._drawn = drawn
            texts = [Text(line, no_wrap=True, overflow="crop") for line in lines or [""]]
            self._live.update(Group(*texts), refresh=True)

    def above(self, text: str) -> None:
        """Print finished lines, with their ANSI colours, above the live ones; they wrap as anywhere else."""
        self._fit()
        self._console.print(Text.from_ansi(text), soft_wrap=True)

    def close(self) -> None:
        """Remove the live lines; what was printed above remains."""
        self.show(())
        self._live.stop()

    def _fit(self) -> None:
        """Take on the terminal's size."""
        try:
            size = os.get_terminal_size(self._out.fileno())
        except (OSError, ValueError):
            size = shutil.get_terminal_size()
        self._console.size = ConsoleDimensions(size.columns or 80, size.lines or 24)
