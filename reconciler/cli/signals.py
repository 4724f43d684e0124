"""SIGINT and SIGTERM: the first asks to stop, the second interrupts."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import typer

from reconciler.cli.exit_codes import INTERRUPTED


class WallClock:
    """The wall clock; a sleep ends early when the run is stopped."""

    def __init__(self, stop: threading.Event) -> None:
        self.stop = stop

    def now(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        if self.stop.is_set():
            time.sleep(min(seconds, 0.05))
        else:
            self.stop.wait(seconds)


@dataclass(slots=True)
class Stop:
    """Asked to stop. While ``soft``, the first signal only sets the event; otherwise, or again, it interrupts."""

    event: threading.Event = field(default_factory=threading.Event)
    soft: bool = False


@contextmanager
def interruptible() -> Iterator[Stop]:
    """SIGINT and SIGTERM ask to stop."""
    stop = Stop()

    def ask(number: int, _: Any) -> None:
        if not stop.soft or stop.event.is_set():
            raise KeyboardInterrupt
        stop.event.set()
        name = signal.Signals(number).name
        os.write(2, f"\n{name}: nothing new is started, running calls finish; once more ends at once\n".encode())

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    except KeyboardInterrupt:
        typer.echo("Interrupted.", err=True)
        raise typer.Exit(INTERRUPTED) from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
