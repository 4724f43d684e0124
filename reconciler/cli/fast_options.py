"""Simple values of options without pydantic: switches, texts, lists of texts, and one of several words.

typer passes every value to pydantic, whose import takes as long as validating a hundred resources. Here a value that
already has its option's type is used unchanged; anything else (numbers, paths, mistakes) is still parsed by typer, with
typer's own messages. A typer without that step is left unchanged.
"""

from __future__ import annotations

from enum import Enum
from typing import Any, TypeVar, get_args

import typer

T = TypeVar("T")


def take_simple_values(command: T) -> T:
    """``command``, whose parameters (and its subcommands') use simple values unchanged."""
    all_params = getattr(command, "get_params", None)
    if all_params is not None:
        setattr(command, "get_params", lambda ctx: [_simple(param) for param in all_params(ctx)])  # noqa: B010
    for below in getattr(command, "commands", {}).values():
        take_simple_values(below)
    return command


def _simple(param: Any) -> Any:
    original = getattr(param, "get_runtime_param", None)
    if original is not None and hasattr(param, "type_descriptor") and not isinstance(original, _Simple):
        param.get_runtime_param = _Simple(param.type_descriptor.annotation, original)
    return param


class _Simple:
    """Converts a value of the command line; ``other`` returns typer's own converter."""

    def __init__(self, annotation: Any, other: Any) -> None:
        self.annotation, self.other = annotation, other

    def __call__(self) -> _Simple:
        return self

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """``value`` with the type of the command's parameter. Raises typer's BadParameter."""
        wanted, many = self.annotation, param.multiple or param.nargs == -1
        if value is None:
            return () if many else None
        if not many and wanted is str and isinstance(value, str):
            return value
        if many and get_args(wanted) == (str,) and isinstance(value, list | tuple):
            return list(value)
        if isinstance(wanted, type) and issubclass(wanted, Enum):
            found = value if isinstance(value, wanted) else wanted._value2member_map_.get(value)
            if found is None:  # typer's message begins with "Value error"
                known = ", ".join(f"'{each.value}'" for each in wanted)
                raise typer.BadParameter(f"{value!r} is not one of {known}.", ctx=ctx, param=param)
            return found
        return self.other().coerce(value, param=param, ctx=ctx)
