"""What a job definition more costs: bytes, calls of AWS and of functions, which no other work on the machine changes.

Bars for regressions, some way above what it is; times are in ``benchmarks/``.
"""

from __future__ import annotations

import gc
import sys
import threading
import tracemalloc
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks import estate

pytestmark = pytest.mark.long  # `.ci/run` runs them by name

FEW, MANY = 40, 120
BYTES = 8_000
# those of a plan with the sandbox, which answers in this process
FUNCTIONS = {"validate": 450, "plan": 1_500}


def peak(run: Callable[[], object]) -> int:
    """The most bytes that were allocated at a time."""
    gc.collect()
    tracemalloc.start()
    try:
        run()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def functions(run: Callable[[], object]) -> int:
    """The number of functions that were called, in all threads."""
    count = 0

    def counted(_frame: Any, event: str, _arg: Any) -> None:
        nonlocal count
        count += event == "call"

    threading.setprofile(counted)
    sys.setprofile(counted)
    try:
        run()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)  # type: ignore[arg-type]
    return count


def a_definition_more(of: dict[int, int]) -> float:
    return (of[MANY] - of[FEW]) / (MANY - FEW)


@pytest.fixture
def written(tmp_path: Path) -> dict[int, str]:
    return {n: str(estate.write(tmp_path / f"of-{n}", n)) for n in (FEW, MANY)}


def test_validate(shell: Any, written: dict[int, str]) -> None:
    shell.ok("validate", written[FEW])  # what is imported and read once is no part of it
    sizes = {n: peak(lambda n=n: shell.ok("validate", written[n])) for n in written}
    assert a_definition_more(sizes) < BYTES, sizes
    called = {n: functions(lambda n=n: shell.ok("validate", written[n])) for n in written}
    assert a_definition_more(called) < FUNCTIONS["validate"], called


def test_a_plan_without_changes(shell: Any, written: dict[int, str]) -> None:
    sizes, called, calls = {}, {}, {}
    for n, directory in written.items():
        shell.account.defaults()
        shell.ok("apply", directory, "--auto-approve", "--preflight=off")
        planned = ("plan", directory, "--detailed-exitcode")
        before = len(shell.account.calls)
        shell.ok(*planned)
        calls[n] = Counter(f"{one.service}:{one.operation}" for one in shell.account.calls[before:])
        called[n] = functions(lambda planned=planned: shell.ok(*planned))
        sizes[n] = peak(lambda planned=planned: shell.ok(*planned))
    assert a_definition_more(sizes) < BYTES, sizes
    assert a_definition_more(called) < FUNCTIONS["plan"], called
    # a further page of definitions, and the tags of each further profile, which no list has
    more = {"batch:DescribeJobDefinitions": 1, "iam:GetInstanceProfile": (MANY - FEW) // 20}
    assert calls[MANY] - calls[FEW] == more
