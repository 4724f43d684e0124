"""Imports that happen when what they name is used: what `lazy import` will be (PEP 810, Python 3.15).

A command uses little of what is declared: a plan audits nothing, and finds no cause of a failed job. So that such parts
cost it nothing, a module imports them so::

    with when_used():
        from reconciler.kinds.batch.job_definition.audit import AUDIT
        from reconciler.operations import saved_plan

Each name is then a stand-in, which imports when it is called or when an attribute is asked for. Type checkers and
import-linter see ordinary imports. Good for functions, modules and values that are used by their attributes; not for
classes that ``isinstance`` or ``except`` is to know, and nothing that is iterated, indexed or compared.
"""

from __future__ import annotations

import builtins
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from sys import _getframe
from threading import RLock
from typing import Any

_ONE_AT_A_TIME = RLock()


class StandIn:
    """``name`` of a module, or of a package whose module it is, which is imported when it is used."""

    _it: Any

    def __init__(self, module: str, name: str) -> None:
        self._where = module, name

    def __getattr__(self, name: str) -> Any:
        if name != "_it":
            return getattr(self._it, name)
        module, part = self._where
        found = import_module(module)  # without a lock of ours: Python's own keep threads apart
        self._it = getattr(found, part) if hasattr(found, part) else import_module(f"{module}.{part}")
        return self._it

    def __call__(self, *args: Any, **kwargs: Any) -> Any:  # noqa: D102
        return self._it(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<{'.'.join(self._where)}, when used>"


class _From:
    """What ``from module import ...`` takes its names from."""

    def __init__(self, module: str) -> None:
        self._module = module

    def __getattr__(self, name: str) -> StandIn:
        return StandIn(self._module, name)


def _absolute(name: str, level: int, package: str) -> str:
    if not level:
        return name
    above = package.rsplit(".", level - 1)[0]
    return f"{above}.{name}" if name else above


@contextmanager
def when_used() -> Iterator[None]:
    """Makes stand-ins of what the calling module imports within; see above."""
    importing = _getframe(2).f_globals
    with _ONE_AT_A_TIME:
        ordinary = builtins.__import__

        def later(
            name: str,
            globals: Mapping[str, object] | None = None,  # noqa: A002
            locals: Mapping[str, object] | None = None,  # noqa: A002
            fromlist: Sequence[str] | None = (),
            level: int = 0,
        ) -> Any:
            if globals is importing and fromlist:
                return _From(_absolute(name, level, str(importing["__package__"])))
            return ordinary(name, globals, locals, fromlist or (), level)

        builtins.__import__ = later
        try:
            yield
        finally:
            builtins.__import__ = ordinary
