"""Waiting for what another process or thread does, however long it takes on a machine that is busy."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

PATIENCE = 300.0  # seconds after which it is taken that it never comes to that


def until(what: Callable[[], Any]) -> None:
    """Come back when ``what`` is true of something that stays true."""
    end = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.02)
