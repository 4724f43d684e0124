"""Values of options that need no library to be understood: switches, texts, lists of texts, and one of several words.

typer hands every value to pydantic, whose import takes as long as validating a hundred resources. Here a value that is
already what its option takes is taken as it is; anything else (numbers, paths, what is wrong) still goes the long way,
with typer's own messages. A typer that has no such step, or has it elsewhere, is left alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from enum import Enum
from typing import Any, get_args


def only(app: Any, words: Sequence[str]) -> Any:
    """The application with no command but the one that the command line begins with: the others need not be made."""
    named = [info for info in app.registered_commands if info.callback and info.callback.__name__ in words[:1]]
    if len(named) != 1 or named[0].name:
        return app
    one = copy(app)
    one.registered_commands, one.registered_groups = named, []
    return one


def simplify(command: Any, words: Sequence[str], above: Any = None) -> None:
    """Take the short way where it will do: for the parameters of ``command``, and of those below it that the words of
    the command line name.
    """
    ctx = command.context_class(command, parent=above, **command.context_settings)
    for param in command.get_params(ctx):  # with --help, which is none of its own
        if getattr(param, "_runtime_param", _NO_STEP) is None and hasattr(param, "type_descriptor"):
            param._runtime_param = _Simple()  # noqa: SLF001
    below = getattr(command, "commands", {})
    for name in [word for word in words if word in below][:1]:
        simplify(below[name], words, ctx)


_NO_STEP = object()


class _Simple:
    """What typer asks to make a value of what stands on the command line."""

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        many = param.multiple or param.nargs == -1
        if value is None:
            return () if many else None
        wanted = param.type_descriptor.annotation
        if not many and wanted is str and isinstance(value, str):
            return value
        if many and get_args(wanted) == (str,) and isinstance(value, list | tuple):
            return list(value)
        if isinstance(wanted, type) and issubclass(wanted, Enum):
            found = value if isinstance(value, wanted) else wanted._value2member_map_.get(value)
            if found is not None:
                return found
        param._runtime_param = None  # noqa: SLF001
        return param.get_runtime_param().coerce(value, param=param, ctx=ctx)
