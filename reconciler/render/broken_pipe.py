"""Output whose reader has left."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO


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
