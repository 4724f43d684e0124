"""The sandbox clock.

An infrastructure update of AWS Batch takes ten minutes; a test has ten milliseconds. One clock serves the whole
account, so that IAM propagates and an environment becomes VALID on the same time line.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Clock:
    """Seconds since the epoch, `speed` times as fast as real time; at a speed of 0 only `advance` moves it."""

    def __init__(
        self, speed: float = 1.0, *, start: float | None = None, real: Callable[[], float] = time.monotonic
    ) -> None:
        self._real = real
        self._lock = threading.Lock()
        self._speed = speed
        self._base = time.time() if start is None else start
        self._since = real()

    def now(self) -> float:
        """The time in seconds since the epoch."""
        with self._lock:
            return self._now()

    def advance(self, seconds: float) -> None:
        """Move the clock forward; raises ``ValueError`` if `seconds` is negative."""
        if seconds < 0:
            raise ValueError("a clock only moves forward")
        with self._lock:
            self._base = self._now() + seconds
            self._since = self._real()

    @property
    def speed(self) -> float:
        """How many times as fast as real time; setting a negative value raises ``ValueError``."""
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
