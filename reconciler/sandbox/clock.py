"""Virtual time for the sandbox.

AWS Batch takes ten minutes over an infrastructure update; a test has ten milliseconds. One clock serves the whole
account, so that IAM becomes usable and an environment VALID on the same time line.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Clock:
    """Seconds since the epoch that run at `speed` times the real ones; a speed of 0 stands still until `advance`."""

    def __init__(
        self, speed: float = 1.0, *, start: float | None = None, real: Callable[[], float] = time.monotonic
    ) -> None:
        self._real = real
        self._lock = threading.Lock()
        self._speed = speed
        self._base = time.time() if start is None else start
        self._since = real()

    def now(self) -> float:
        with self._lock:
            return self._now()

    def advance(self, seconds: float) -> None:
        """Time never runs backwards: `seconds` must not be negative."""
        if seconds < 0:
            raise ValueError("a clock only moves forward")
        with self._lock:
            self._base = self._now() + seconds
            self._since = self._real()

    @property
    def speed(self) -> float:
        return self._speed

    @speed.setter
    def speed(self, value: float) -> None:
        if value < 0:
            raise ValueError("a clock only moves forward")
        with self._lock:
            self._base = self._now()
            self._since = self._real()
            self._speed = value

    def _now(self) -> float:
        return self._base + (self._real() - self._since) * self._speed
