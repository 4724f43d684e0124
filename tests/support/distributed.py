"""What pytest does once for every worker and thrice for every test, and need not where there are several workers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from _pytest.assertion import rewrite
from _pytest.assertion.rewrite import assertstate_key

HERE = Path(__file__).parents[1]


def configured(config: pytest.Config) -> None:
    """At the beginning of the process that has the workers, and of each of them."""
    if hasattr(config, "workerinput"):
        _say_less(config)
    elif getattr(config.option, "numprocesses", None) and config.args == [*config.getini("testpaths")]:
        _rewrite_asserts(config)


def _rewrite_asserts(config: pytest.Config) -> None:
    """Compile the test files of a fresh clone here: otherwise every worker, which reads them all, compiles them all."""
    state = config.stash[assertstate_key]
    for file in HERE.rglob("test_*.py"):
        cache = rewrite.get_cache_dir(file)
        compiled = cache / f"{file.stem}{rewrite.PYC_TAIL}"
        if rewrite._read_pyc(file, compiled, state.trace) is None and rewrite.try_makedirs(cache):
            try:
                source, code = rewrite._rewrite_test(file, config)
            except SyntaxError:  # which the workers tell
                continue
            rewrite._write_pyc(state, code, source, compiled)


def _say_less(config: pytest.Config) -> None:
    """That a fixture of a test was made, and unmade, is nothing to send; that it was not is."""
    for hook in config.hook.pytest_runtest_logreport.get_hookimpls():
        if type(hook.plugin).__name__ == "WorkerInteractor":
            hook.function = _of_what_matters(hook.function)


def _of_what_matters(send: Callable[[Any], None]) -> Callable[[Any], None]:
    def said(report: Any) -> None:
        if report.when == "call" or not report.passed:
            send(report)

    return said
