"""The progress of an apply: a line for every finished step, and a status line for the running ones.

On a terminal the status line is redrawn in place; elsewhere it is printed every few seconds.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final, Self, TextIO

from reconciler.model import Event, Plan, Step, StepState, Wait
from reconciler.render import changes
from reconciler.render.difference import WIDTH
from reconciler.render.mask import Mask
from reconciler.render.text import Paint

EVERY: Final = 5.0
REDRAW: Final = 0.2
_DEEP: Final = " " * 6


@contextmanager
def ignore_broken_pipe(out: TextIO) -> Iterator[None]:
    """Ignore a closed pipe (``| head``) or a full disk during an apply: ``out`` is redirected to the null device."""
    try:
        yield
    except OSError:
        with suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, out.fileno())
            os.close(nowhere)


class Progress:
    """Writes the executor's events to ``out``; a context manager around the run.

    ``live``: redraw the status line. ``details`` has the last detail of each finished step, by id.
    """

    def __init__(self, plan: Plan, out: TextIO, mask: Mask, paint: Paint, *, live: bool) -> None:
        self.out, self.mask, self.paint, self.live = out, mask, paint, live
        self.total = len(plan.steps)
        self.ended = 0
        self.details: dict[str, str] = {}
        self._running: dict[str, tuple[Step, float, str]] = {}
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._ticker = threading.Thread(target=self._tick, daemon=True)

    def __enter__(self) -> Self:
        self._ticker.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._ticker.join()
        if self.live:
            self._write("\r\x1b[K")

    def emit(self, event: Event) -> None:
        """Take one event; called from the executor's thread."""
        with self._lock:
            text = self._text_of(event)
            if text:
                self._line(text)

    def _text_of(self, event: Event) -> str:
        name = event.step.id
        who = self.mask.line(str(event.step.address))
        if event.state is StepState.STARTED:
            self._running[name] = (event.step, time.monotonic(), "")
            return ""
        if event.state in (StepState.AGAIN, StepState.WAITING):
            running = self._running.get(name)
            if running:
                self._running[name] = (running[0], running[1], event.because or event.detail)
            if event.state is StepState.WAITING:
                return ""
            what = event.because or f"{self._short(event)}: {event.detail}"
            return f"  {who}: {self.mask.line(what)}, retrying"
        self._running.pop(name, None)
        self.ended += 1
        self.details[name] = event.detail
        if event.state is StepState.DONE:
            done = self.paint("done", "+")
            return f"  {done} {who}: {self._short(event)} ({event.took:.1f} s) [{self.ended}/{self.total}]"
        if event.state is StepState.FAILED:
            action = changes.step(event.step, self.mask, WIDTH)  # with all its parameters, which takes a while
            return f"  {self.paint('failed', 'error')} {who}: {action}\n      {self.mask.lines(event.detail, _DEEP)}"
        return f"  skipped {who}: {self._short(event)}: {self.mask.line(event.detail)}"

    def _short(self, event: Event) -> str:
        action = event.step.action
        return self.mask.line(action.title) if isinstance(action, Wait) else str(action)

    def _line(self, text: str) -> None:
        self._write(f"\r\x1b[K{text}\n" if self.live else f"{text}\n")

    def _write(self, text: str) -> None:
        with ignore_broken_pipe(self.out):
            self.out.write(text)
            self.out.flush()

    def _tick(self) -> None:
        while not self._over.wait(REDRAW if self.live else EVERY):
            with self._lock:
                status = self._status()
                if status and self.live:
                    self._write(f"\r\x1b[K{status}")
                elif status:
                    self._line(status)

    def _status(self) -> str:
        now = time.monotonic()
        parts = []
        for running, since, said in sorted(self._running.values(), key=lambda entry: entry[1]):
            detail = f" ({self.mask.line(said)})" if said else ""
            parts.append(f"{self.mask.line(str(running.address))} {_title(running)}{detail} {now - since:.0f} s")
        more = f", and {len(parts) - 3} more" if len(parts) > 3 else ""
        return f"  ... {'; '.join(parts[:3])}{more}" if parts else ""


def _title(running: Step) -> str:
    return "waiting" if isinstance(running.action, Wait) else str(running.action)
