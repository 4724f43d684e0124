"""How much work something is, counted in calls of functions: the same on every machine, however busy it is."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any


def effort(what: Callable[[], Any]) -> int:
    """The functions called and left, Python's own and those in C, while ``what`` is done in this thread."""
    events = 0

    def count(*_: Any) -> None:
        nonlocal events
        events += 1

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        what()
    finally:
        sys.setprofile(before)
    return events
