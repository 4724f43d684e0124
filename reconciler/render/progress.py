"""The progress of an apply: a line for every finished step, and what is running.

On a terminal there is a live line for each resource that is being worked on; elsewhere a line about all of them, ever
more seldom while nothing ends.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Self, TextIO

from reconciler.model import Address, Event, Plan, Step, StepState, Wait
from reconciler.model.records import dataclass
from reconciler.render import changes
from reconciler.render.broken_pipe import ignore_broken_pipe
from reconciler.render.difference import WIDTH
from reconciler.render.mask import Mask
from reconciler.render.text import Paint

if TYPE_CHECKING:
    from reconciler.render.live import LiveLines

PAUSES: Final = (
    5.0,
    10.0,
    20.0,
    30.0,
)  # seconds without a line before the next about what is running; the last repeats
CHECK: Final = 0.5
REDRAW: Final = 0.2
_DEEP: Final = " " * 6


@dataclass(slots=True)
class _Running:
    step: Step
    since: float
    detail: str = ""


class Progress:
    """Writes the executor's events to ``out``; a context manager around the run.

    ``live``: keep live lines on a terminal. ``details`` has the last detail of each finished step, by id. ``clock``
    returns seconds; ``stamp`` what the other lines begin with, such as the time.
    """

    def __init__(
        self,
        plan: Plan,
        out: TextIO,
        mask: Mask,
        paint: Paint,
        *,
        live: bool,
        clock: Callable[[], float] = time.monotonic,
        stamp: Callable[[], str] | None = None,
    ) -> None:
        self._stamp = stamp
        self.out, self.mask, self.paint, self.live, self.clock = out, mask, paint, live, clock
        self.total = len(plan.steps)
        self.ended = 0
        self.details: dict[str, str] = {}
        self._running: dict[str, _Running] = {}
        self._again: dict[str, str] = {}
        self._notes: deque[str] = deque()
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._ticker = threading.Thread(target=self._tick, daemon=True)
        self._lines: LiveLines | None = None
        self._quiet_since, self._pauses = clock(), 0

    def __enter__(self) -> Self:
        if self.live:
            from reconciler.render.live import LiveLines  # noqa: PLC0415  (rich is slow to import)

            with ignore_broken_pipe(self.out):
                self._lines = LiveLines(self.out)
        self._ticker.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._ticker.join()
        self._print_notes()
        if self._lines:
            with ignore_broken_pipe(self.out):
                self._lines.close()
        self._lines = None

    def emit(self, event: Event) -> None:
        """Take one event; called from the executor's thread."""
        with self._lock:
            self._print_notes()
            if text := self._text_of(event):
                self._line(text)

    def note(self, text: str) -> None:
        """Print a line that is not about a step, soon; may be called by a signal handler."""
        self._notes.append(text)

    def tick(self) -> None:
        """Print or redraw what is running, where that is due."""
        with self._lock:
            self._print_notes()
            if self._lines:
                with ignore_broken_pipe(self.out):
                    self._lines.show(self._live_lines(self._lines.rows))
            elif not self.live and self.clock() - self._quiet_since >= PAUSES[min(self._pauses, len(PAUSES) - 1)]:
                pauses = self._pauses + 1
                if status := self._status():
                    self._line(status)
                self._quiet_since, self._pauses = self.clock(), pauses

    def _text_of(self, event: Event) -> str:
        name = event.step.id
        who = self.mask.line(str(event.step.address))
        if event.state is StepState.STARTED:
            self._running[name] = _Running(event.step, self.clock())
            return ""
        if event.state in (StepState.AGAIN, StepState.WAITING):
            if running := self._running.get(name):
                running.detail = event.because or event.detail
            if event.state is StepState.WAITING:
                return ""
            what = self.mask.line(event.because) or f"{self._short(event)}: {self.mask.line(event.detail)}"
            before, self._again[name] = self._again.get(name), what
            return f"  {who}: {what}, retrying" if what != before else ""
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

    def _print_notes(self) -> None:
        while self._notes:
            self._line(self._notes.popleft())

    def _line(self, text: str) -> None:
        self._quiet_since, self._pauses = self.clock(), 0
        with ignore_broken_pipe(self.out):
            if self._lines:
                self._lines.above(text)
            else:
                self.out.write(f"{self._stamp()} {text}\n" if self._stamp else f"{text}\n")
                self.out.flush()

    def _tick(self) -> None:
        while not self._over.wait(REDRAW if self.live else CHECK):
            self.tick()

    def _oldest_first(self) -> list[_Running]:
        return sorted(self._running.values(), key=lambda running: running.since)

    def _live_lines(self, rows: int) -> list[str]:
        """A line for each resource, by its oldest step; at most ``rows``."""
        now, by_address = self.clock(), dict[Address, _Running]()
        for running in self._oldest_first():
            by_address.setdefault(running.step.address, running)
        lines = []
        for address, running in by_address.items():
            lines.append(f"  {_elapsed(now - running.since):>9}  {self.mask.line(str(address))}: {self._now(running)}")
        shown = lines if len(lines) <= rows else lines[: rows - 1]
        return [*shown, f"  ... and {len(lines) - len(shown)} more"] if len(shown) < len(lines) else lines

    def _now(self, running: _Running) -> str:
        """What a live line says; what changes comes first, since the end may be cut."""
        action, detail = running.step.action, self.mask.line(running.detail)
        if isinstance(action, Wait):
            until = f"waiting until {self.mask.line(action.title)}"
            return f"{detail}, {until}" if detail else until
        return f"{action}{self._why(running)}"

    def _why(self, running: _Running) -> str:
        return f" ({self.mask.line(running.detail)})" if running.detail else ""

    def _status(self) -> str:
        """What is running, in one line."""
        now, parts = self.clock(), []
        for running in self._oldest_first():
            who = f"{self.mask.line(str(running.step.address))} {_title(running.step)}{self._why(running)}"
            parts.append(f"{who} {_elapsed(now - running.since)}")
        more = f", and {len(parts) - 3} more" if len(parts) > 3 else ""
        return f"  ... {'; '.join(parts[:3])}{more}" if parts else ""


def _title(running: Step) -> str:
    return "waiting" if isinstance(running.action, Wait) else str(running.action)


def _elapsed(seconds: float) -> str:
    """``12 s``, ``2 min 05 s``."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
