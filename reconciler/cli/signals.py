"""SIGINT, SIGTERM and SIGHUP: the first requests a stop, the second interrupts, what follows is ignored."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import typer

from reconciler.cli import interrupts
from reconciler.model.exit_codes import INTERRUPTED
from reconciler.model.when_used import when_used
from reconciler.render.broken_pipe import ignore_broken_pipe

with when_used():
    from reconciler.operations.stop import StopRequest


@contextmanager
def interruptible() -> Iterator[StopRequest]:
    """Yields the stop request that these signals set. Raises typer.Exit (130) when interrupted."""
    stop, interruption = StopRequest(), interrupts.Interruption()

    def ask(number: int, frame: Any) -> None:
        if stop.graceful and number == getattr(signal, "SIGHUP", None) and stop.event.is_set():
            return  # a shell may pass on what the terminal has sent already
        if not stop.graceful or stop.event.is_set():
            interruption(number, frame)
            return
        stop.event.set()
        message = f"{signal.Signals(number).name}: stopping; running calls finish first, a second signal stops at once"
        if stop.announce(message):
            return
        with suppress(OSError):  # the terminal is closed
            os.write(2, f"\n{message}\n".encode())

    before = interrupts.handle(ask)
    try:
        yield stop
    except KeyboardInterrupt:
        with ignore_broken_pipe(sys.stderr):
            typer.echo("Interrupted.", err=True)
        raise typer.Exit(INTERRUPTED) from None
    finally:
        interrupts.restore(before)
