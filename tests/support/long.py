"""What `make test` leaves to `make test-long`: the rest of what a test has a well-chosen part of.

`make test-long` sets TEST_LONG, by which properties take many more examples, and runs what is marked ``long``.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import pytest

LONG = "TEST_LONG" in os.environ


def some(values: Iterable[Any], every: int, first: int = 0) -> list[Any]:
    """The values as parameters, of which one in ``every`` is tried by `make test`, from number ``first`` on."""
    return [
        value if number % every == first % every else pytest.param(value, marks=pytest.mark.long)
        for number, value in enumerate(values)
    ]


def across(ones: Iterable[Any], others: Iterable[Any], every: int = 2) -> list[Any]:
    """Every pair of them as parameters, of which `make test` tries those on the diagonals, so that each comes up."""
    return [
        (one, other) if (row + column) % every == 0 else pytest.param(one, other, marks=pytest.mark.long)
        for row, one in enumerate(ones)
        for column, other in enumerate(others)
    ]
