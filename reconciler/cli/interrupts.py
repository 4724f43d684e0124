"""The signals that end a command, and how often they count. Imported before anything else is."""

from __future__ import annotations

import os
import signal
import time
from typing import Any, Final

INTERRUPTED: Final = 130  # as in model/exit_codes, whose package is slow to import
SECONDS: Final = 10.0
# Ctrl-C; whoever stops a job; a terminal that is closed, which Windows does not tell
SIGNALS: Final = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class Interruption:
    """A handler that raises KeyboardInterrupt once.

    Later signals are ignored while the command gives back what it holds, as another KeyboardInterrupt would break that
    off; where this takes longer than ``SECONDS``, they end the process.
    """

    def __init__(self) -> None:
        self._since: float | None = None

    def __call__(self, *_: Any) -> None:
        """Raises KeyboardInterrupt, the first time."""
        if self._since is None:
            self._since = time.monotonic()
            raise KeyboardInterrupt
        if time.monotonic() > self._since + SECONDS:
            os._exit(INTERRUPTED)

    @property
    def begun(self) -> bool:
        """Whether it has raised KeyboardInterrupt."""
        return self._since is not None


def handle(handler: Any) -> dict[int, Any]:
    """Install ``handler``; returns the handlers before. What ``nohup`` ignores remains ignored."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    hangup = getattr(signal, "SIGHUP", None)
    kept = {number: old for number, old in before.items() if number != hangup or old is not signal.SIG_IGN}
    for number in kept:
        signal.signal(number, handler)
    return kept


def restore(handlers: dict[int, Any]) -> None:
    """Install the handlers that :func:`handle` returned."""
    for number, handler in handlers.items():
        signal.signal(number, handler)
