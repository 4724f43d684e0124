"""Amounts that people write with a unit (``16GB``, ``2h``), in the unit that a field of AWS has.

``GB`` is read as ``GiB``: AWS Batch counts in powers of 1024, and means them by both in its console.
"""

from __future__ import annotations

import math
from typing import Final

from .patterns import regex

_SIZES: Final = {"k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}
_TIMES: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_UNITS: Final = {
    "MiB": (2**20, _SIZES),
    "GiB": (2**30, _SIZES),
    "seconds": (1, _TIMES),
    "minutes": (60, _TIMES),
    "hours": (3600, _TIMES),
    "days": (86400, _TIMES),
}
_SIZE: Final = regex(r"(?i)([0-9]{1,12}(?:\.[0-9]{1,6})?) *([kmgt])(?:i?b|i)?")
_TIME: Final = regex(
    r"(?i)([0-9]{1,12}(?:\.[0-9]{1,6})?) *(?:(s)|(m)|(h)|(d)|(w))"
    r"(?:(?<=s)(?:ecs?|econds?)?|(?<=m)(?:ins?|inutes?)?|(?<=h)(?:rs?|ours?)?|(?<=d)(?:ays?)?|(?<=w)(?:eeks?)?)"
)
_IN_NAME: Final = regex(r"(MiB|GiB|Seconds|Minutes|Hours|Days)$")
_IN_TEXT: Final = regex(r"(?i:\b(seconds|minutes|hours|days)\b)|\b(MiB|GiB)\b(?!/)")


def unit_of(name: str, description: str) -> str:
    """The unit of a field by its name (``attemptDurationSeconds``) or the first sentence about it; empty if none."""
    found = _IN_NAME.search(name) or _IN_TEXT.search(description.split(". ", maxsplit=1)[0])
    unit = next((part for part in found.groups() if part), "") if found else ""
    return unit if unit.endswith("iB") else unit.lower()


def amount_in(text: str, unit: str) -> int | None:
    """``16GB`` in MiB: 16384, rounded up; None where ``text`` is no amount of such a unit."""
    if unit not in _UNITS:
        return None
    one, steps = _UNITS[unit]
    found = (_SIZE if steps is _SIZES else _TIME).fullmatch(text.strip())
    if not found:
        return None
    letter = next(part for part in found.groups()[1:] if part).lower()
    return math.ceil(float(found[1]) * steps[letter] / one)
