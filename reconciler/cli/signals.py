"""SIGINT and SIGTERM: the first requests a stop, the second interrupts."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer

from reconciler.model.exit_codes import INTERRUPTED
from reconciler.operations.stop import StopRequest


@contextmanager
def interruptible() -> Iterator[StopRequest]:
    """Yields the stop request that SIGINT and SIGTERM set. Raises typer.Exit (130) when interrupted."""
    stop = StopRequest()

    def ask(number: int, _: Any) -> None:
        if not stop.graceful or stop.event.is_set():
            raise KeyboardInterrupt
        stop.event.set()
        name = signal.Signals(number).name
        os.write(2, f"\n{name}: stopping; running calls finish first, a second signal stops at once\n".encode())

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    except KeyboardInterrupt:
        typer.echo("Interrupted.", err=True)
        raise typer.Exit(INTERRUPTED) from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
