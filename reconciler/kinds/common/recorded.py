"""Which calls can have made a change, for :class:`reconciler.model.recorded.Recorded`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from reconciler.model import MISSING, Change, Json


def events(change: Change, adding: str, removing: str, depth: int = 1) -> tuple[str, ...]:
    """The event that added what is there by mistake, or the one that removed what is missing, or both where either may
    have. What is removed as a whole is missing at a path of at most ``depth`` parts.
    """
    there, declared = change.before, change.after
    if isinstance(there, list | tuple) and isinstance(declared, list | tuple):
        more, less = any(one not in declared for one in there), any(one not in there for one in declared)
        return (adding, removing) if more == less else (adding,) if more else (removing,)
    if there is not MISSING and there is not None:
        return (adding,)
    return (removing,) if len(change.path) <= depth else (removing, adding)


def mentions(parameters: Json, change: Change) -> bool:
    """Whether the parameters have a name in the path of a change, or the value that is there or is missing. True where
    there are no such texts.
    """
    words = {part for part in change.path[1:] if isinstance(part, str)}
    there, declared = _elements(change.before), _elements(change.after)
    words |= {text for text in there + declared if (text in there) != (text in declared)}
    return not words or not words.isdisjoint(_texts(parameters))


def _elements(value: Any) -> list[str]:
    return [one for one in (value if isinstance(value, list | tuple) else [value]) if isinstance(one, str)]


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield str(key)
            yield from _texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, str):
        yield value
