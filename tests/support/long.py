"""What `make test` leaves to `make test-long`: the rest of what a test has a well-chosen part of.

`make test-long` sets TEST_LONG, by which properties take many more examples, and runs what is marked ``long``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pytest

LONG = "TEST_LONG" in os.environ


def together(check: Callable[..., None], cases: Iterable[Any]) -> None:
    """Many small cases as one test, which costs a fraction of one each: all are tried, and all that fail are told."""
    tried, wrong = 0, []
    for case in cases:
        tried += 1
        try:
            check(*case) if isinstance(case, tuple) else check(case)
        except AssertionError as error:
            wrong.append(f"{case}\n    {error}")
        except Exception as error:
            error.add_note(f"in the case {case}")
            raise
    assert tried, "there is no case"
    assert not wrong, f"{len(wrong)} of {tried}:\n" + "\n".join(wrong)


def by(name: Callable[[Any], str], cases: Iterable[Any]) -> Mapping[str, list[Any]]:
    """The cases by a name, as parameters whose cases are tried together."""
    found: dict[str, list[Any]] = {}
    for case in cases:
        found.setdefault(name(case), []).append(case)
    return found


def some(values: Iterable[Any], every: int, first: int = 0) -> list[Any]:
    """The values as parameters, of which one in ``every`` is tried by `make test`, from number ``first`` on."""
    return [
        value if number % every == first % every else pytest.param(value, marks=pytest.mark.long)
        for number, value in enumerate(values)
    ]


def some_rows(rows: Iterable[tuple[Any, ...]], every: int, first: int = 0) -> list[Any]:
    """The same for rows, each of which is several parameters."""
    return [
        row if number % every == first % every else pytest.param(*row, marks=pytest.mark.long)
        for number, row in enumerate(rows)
    ]


def across(ones: Iterable[Any], others: Iterable[Any], every: int = 2) -> list[Any]:
    """Every pair of them as parameters, of which `make test` tries those on the diagonals, so that each comes up."""
    return [
        (one, other) if (row + column) % every == 0 else pytest.param(one, other, marks=pytest.mark.long)
        for row, one in enumerate(ones)
        for column, other in enumerate(others)
    ]
