"""Reading replies, tag lists, and the spelling of member names in YAML and in the API."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from reconciler.model import MISSING, Call, Diff, Field, Json, Reads, Refused, Reply, Unreadable, Want

T = TypeVar("T")


def ok(call: Call, reply: Reply, *absent: str) -> Json | None:
    """The reply; None for a refusal with one of the codes ``absent``. Raises Unreadable for any other refusal."""
    if not isinstance(reply, Refused):
        return reply
    if reply.code in absent:
        return None
    raise Unreadable(call, reply)


def together(reads: Reads[T], calls: tuple[Call, ...]) -> Reads[tuple[T, tuple[Reply, ...]]]:
    """Runs ``reads``, and makes ``calls`` together with its first calls; its result, and the replies to ``calls``."""
    extra: tuple[Reply, ...] | None = None
    try:
        asked = next(reads)
        while True:
            replies = yield (asked if extra is not None else (*asked, *calls))
            if extra is None:
                extra, replies = replies[len(asked) :], replies[: len(asked)]
            asked = reads.send(replies)
    except StopIteration as end:
        found: T = end.value
    if extra is None:
        extra = (yield calls) if calls else ()
    return found, extra


def tag_map(items: Iterable[Mapping[str, str]] | None) -> dict[str, str]:
    """``[{"Key": k, "Value": v}]`` -> ``{k: v}``."""
    return {item["Key"]: item.get("Value", "") for item in items or ()}


def tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """``{k: v}`` -> ``[{"Key": k, "Value": v}]``, sorted."""
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]


def lowered(value: Any, keep: frozenset[str] = frozenset()) -> Any:
    """Member names in YAML's spelling, with a lower-case first letter, at every level.

    The keys below a member in ``keep`` (in the API's spelling) are data, and not changed.
    """
    if isinstance(value, Mapping):
        return {
            name[:1].lower() + name[1:]: item if name in keep else lowered(item, keep) for name, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [lowered(item, keep) for item in value]
    return value


def raised(value: Any, keep: frozenset[str] = frozenset()) -> Any:
    """Member names in the API's spelling, the inverse of :func:`lowered`; ``keep`` is in YAML's spelling."""
    if isinstance(value, Mapping):
        return {
            name[:1].upper() + name[1:]: item if name in keep else raised(item, keep) for name, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [raised(item, keep) for item in value]
    return value


def chunks(items: Sequence[Any], size: int) -> list[Sequence[Any]]:
    """``items`` in runs of at most ``size``."""
    return [items[start : start + size] for start in range(0, len(items), size)]


def top_members(want: Want, diff: Diff, fields: Mapping[str, Field]) -> dict[str, Any]:
    """The changed top-level properties with the value to send: the wanted one, or what clears the field."""
    sent: dict[str, Any] = {}
    for name in sorted(diff.tops()):
        value = want.props.get(name, MISSING)
        if value is MISSING:
            value = fields[name].clear if name in fields else MISSING
        if value is not MISSING:
            sent[name] = value
    return sent
