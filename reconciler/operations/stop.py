"""The request to stop an operation that is under way."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field


@dataclass(slots=True)
class StopRequest:
    """A request to stop. While ``graceful``, the first signal only sets ``event``; otherwise, or again, it interrupts.

    With ``event`` set nothing new is started, and running calls finish.
    """

    event: threading.Event = field(default_factory=threading.Event)
    graceful: bool = False
