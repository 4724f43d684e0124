"""The request to stop a running operation."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import field

from reconciler.model.records import dataclass


@dataclass(slots=True)
class StopRequest:
    """A request to stop. While ``graceful``, the first signal only sets ``event``: no further steps are started, and
    running calls finish. Any other signal interrupts. ``announce`` prints a line among output that
    is redrawn; it returns whether there is such output.
    """

    event: threading.Event = field(default_factory=threading.Event)
    graceful: bool = False
    announce: Callable[[str], bool] = lambda _: False
