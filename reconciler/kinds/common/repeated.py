"""Checks of values that most resources of an environment have in common: made once for each different value."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from functools import wraps
from typing import Any, Concatenate, Final, ParamSpec, cast

from reconciler.model import Finding, Path

Facts = ParamSpec("Facts")
Check = Callable[Concatenate[Path, Any, Facts], Iterator[Finding]]

_MOST: Final = 2000  # that are remembered


def once_for_each(check: Check[Facts]) -> Callable[Concatenate[Path, Any, Facts], Iterable[Finding]]:
    """A check whose findings depend on its arguments only, so that those about an equal value are known.

    The value is recognized by its ``repr``, which is written in C and differs for whatever a check could distinguish:
    ``1``, ``1.0``, ``True`` and ``"1"``, the order of members, the parts of an expression.
    """
    known: dict[Hashable, tuple[Finding, ...]] = {}

    @wraps(check)
    def findings(path: Path, value: Any, *args: Facts.args, **kwargs: Facts.kwargs) -> Iterable[Finding]:
        key = (path, repr(value), args, *kwargs.items())
        found = known.get(key)
        if found is None:
            if len(known) >= _MOST:
                known.clear()
            found = known[key] = tuple(check(path, value, *args, **kwargs))
        return found

    return cast("Callable[Concatenate[Path, Any, Facts], Iterable[Finding]]", findings)
