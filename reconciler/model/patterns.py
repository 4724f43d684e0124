"""Regular expressions that are compiled when they are first used: `re.compile` takes 0.1 ms or more for each.

Modules declare two hundred of them, of which a command uses half. Once compiled, one is as quick as Python's own.
"""

from __future__ import annotations

import re
from typing import Any, AnyStr, cast

_MEMBERS = tuple(name for name in dir(re.Pattern) if not name.startswith("_"))


class _Compiled:
    """The methods of a compiled pattern, in slots: as quick to find as those of a class."""

    __slots__ = ("_given", *_MEMBERS)

    _given: tuple[Any, int]

    def __repr__(self) -> str:
        return f"regex{self._given}"


class _Declared(_Compiled):
    """A pattern that nothing has used."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        if name not in _MEMBERS:
            raise AttributeError(name)
        compiled = re.compile(*self._given)
        for member in _MEMBERS:
            setattr(self, member, getattr(compiled, member))
        self.__class__ = _Compiled  # type: ignore[assignment]
        return getattr(compiled, name)


def regex(pattern: AnyStr, flags: int = 0) -> re.Pattern[AnyStr]:
    """``re.compile(pattern, flags)``, when it is first used. Pass it to no function of :mod:`re`: call its methods."""
    declared = _Declared()
    declared._given = (pattern, int(flags))  # noqa: SLF001
    return cast("re.Pattern[AnyStr]", declared)
