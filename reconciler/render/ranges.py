"""Many names in little room: runs of numbers as shells expand them, ``align-{001..480}``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from reconciler.model.patterns import regex

_LAST_NUMBER: Final = regex(r"^(.*?)(\d+)(\D*)$", re.DOTALL)


def ranges(names: Sequence[str]) -> list[str]:
    """``names`` in natural order; three or more that count up are one: ``a-{1..3}``, ``a-{001..480}``."""
    return [shown for shown, _ in counted(names)]


def counted(names: Sequence[str]) -> list[tuple[str, int]]:
    """:func:`ranges`, each with the number of names in it."""
    runs: list[list[tuple[str, str, str]]] = []
    for name in sorted(names, key=_natural):
        match = _LAST_NUMBER.match(name)
        parts = (match[1], match[2], match[3]) if match else (name, "", "")
        if runs and _follows(runs[-1][-1], parts):
            runs[-1].append(parts)
        else:
            runs.append([parts])
    shown: list[tuple[str, int]] = []
    for run in runs:
        start, end, number = run[0], run[-1], len(run)
        if number > 2:
            shown.append((f"{start[0]}{{{start[1]}..{end[1]}}}{start[2]}", number))
        else:
            shown += [("".join(parts), 1) for parts in run]
    return shown


def within(names: Sequence[str], room: int) -> tuple[str, int]:
    """As many of :func:`ranges`, with commas, as ``room`` characters take; and the number of names left out."""
    kept: list[str] = []
    left, taken = len(names), 0
    for shown, number in counted(names):
        taken += len(shown) + 2
        if taken > room + 2:
            break
        kept.append(shown)
        left -= number
    return ", ".join(kept), left


def _follows(one: tuple[str, str, str], other: tuple[str, str, str]) -> bool:
    alike = one[0] == other[0] and one[2] == other[2] and one[1] and other[1]
    if not alike or int(other[1]) != int(one[1]) + 1:
        return False
    return len(one[1]) == len(other[1]) or not (one[1].startswith("0") or other[1].startswith("0"))


def _natural(name: str) -> list[tuple[int, int, str]]:
    parts = re.split(r"(\d+)", name)
    return [(0, int(part), part) if part.isdigit() else (1, 0, part) for part in parts]
