"""Values of options that need no library to be understood: switches, texts, lists of texts, and one of several words.

typer hands every value to pydantic, whose import takes as long as validating a hundred resources. Here a value that is
already what its option takes is taken as it is; anything else (numbers, paths, mistakes) still goes through typer, with
typer's own messages. A typer that has no such step is left alone.
"""

from __future__ import annotations

from enum import Enum
from typing import Any, TypeVar, get_args

T = TypeVar("T")


def take_simple_values(command: T) -> T:
    """``command``, whose parameters, ``--help`` among them, take simple values as they are."""
    all_params = getattr(command, "get_params", None)
    if all_params is not None:
        setattr(command, "get_params", lambda ctx: [_simple(param) for param in all_params(ctx)])  # noqa: B010
    for below in getattr(command, "commands", {}).values():
        take_simple_values(below)
    return command


def _simple(param: Any) -> Any:
    made = getattr(param, "get_runtime_param", None)
    if made is not None and hasattr(param, "type_descriptor") and not isinstance(made, _Simple):
        param.get_runtime_param = _Simple(param.type_descriptor.annotation, made)
    return param


class _Simple:
    """What typer asks to make a value of what stands on the command line; ``other`` gives typer's own."""

    def __init__(self, annotation: Any, other: Any) -> None:
        self.annotation, self.other = annotation, other

    def __call__(self) -> _Simple:
        return self

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """The value as the command wants it. Raises typer's BadParameter."""
        wanted, many = self.annotation, param.multiple or param.nargs == -1
        if value is None:
            return () if many else None
        if not many and wanted is str and isinstance(value, str):
            return value
        if many and get_args(wanted) == (str,) and isinstance(value, list | tuple):
            return list(value)
        if isinstance(wanted, type) and issubclass(wanted, Enum):
            found = value if isinstance(value, wanted) else wanted._value2member_map_.get(value)
            if found is not None:
                return found
        return self.other().coerce(value, param=param, ctx=ctx)
