"""What hypothesis would find out by trying all characters, in every process of a fresh clone."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from hypothesis.internal.intervalsets import IntervalSet

_KNOWN = {
    "ascii": ((0x00, 0x7F),),
    "utf-8": ((0x0000, 0xD7FF), (0xE000, 0x10FFFF)),  # all but the halves of pairs
}


def encodable(find: Callable[[str], Any]) -> Callable[[str], Any]:
    """Which characters a codec has, and which of them come back as others: here none."""

    @wraps(find)
    def found(codec: str) -> Any:
        return (IntervalSet(_KNOWN[codec]), IntervalSet()) if codec in _KNOWN else find(codec)

    return found
