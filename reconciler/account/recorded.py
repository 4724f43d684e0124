"""An account that is a record: answers what was recorded, and what follows from it with certainty.

What follows: a describe of several names, of which each was described; and that nothing has a name that the complete
list of names does not have, in the words in which AWS said so of another such name. Everything else is refused as
:data:`NOT_RECORDED`, with which a plan neither changes nor deletes what it would have to know for that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from typing import Any, Final

from reconciler.account.recording import UNUSED, key_of, listed
from reconciler.account.reduced import last_part, texts
from reconciler.model import Call, Json, Refused, Reply, compact
from reconciler.model.records import dataclass
from reconciler.model.steps import NOT_RECORDED

Path = tuple[str | int, ...]
_HOLE: Final = "\0"


@dataclass(frozen=True, slots=True)
class Entry:
    """A call and its reply."""

    call: Call
    reply: Reply


@dataclass(frozen=True, slots=True)
class Record:
    """What a snapshot has of an account.

    ``own`` are the names, ARNs and ids of what the environment owns or declares; ``names`` those of all there is, by
    the read that asks for one (``batch:DescribeJobQueues``), where they are complete.
    """

    entries: Sequence[Entry]
    own: frozenset[str] = frozenset()
    names: Mapping[str, frozenset[str]] = field(default_factory=dict)


class Recorded:
    """Answers calls from a record. Sends nothing; thread-safe."""

    def __init__(self, record: Record, endpoint: str = "") -> None:
        self.record = record
        self._endpoint = endpoint
        self._exact = {key_of(entry.call): entry for entry in record.entries}
        self._like: dict[tuple[str, str], list[tuple[Any, Entry]]] = {}
        for entry in record.entries:
            for path, value in _holes(entry.call.params):
                self._like.setdefault(_shape(entry.call, path), []).append((value, entry))

    def elsewhere(self) -> str:
        """What answered when it was recorded, where that was not AWS itself."""
        return self._endpoint

    def call(self, call: Call) -> Reply:
        """The recorded reply, or one that follows from what is recorded, or that there is none."""
        known = self._exact.get(key_of(call))
        if known is not None:
            return known.reply if isinstance(known.reply, Refused) else dict(json_copy(known.reply))
        for path, value in _holes(call.params):
            like = self._like.get(_shape(call, path), ())
            found = self._several(value, like) if isinstance(value, list) else self._unused(value, like)
            if found is not None:
                return found
        return Refused(NOT_RECORDED, f"the snapshot does not have what {call.action} answers here")

    def _several(self, asked: Sequence[str], like: Sequence[tuple[Any, Entry]]) -> Reply | None:
        """The reply for several names, of which each is known; else None."""
        replies: list[Reply] = []
        for name in asked:
            of_name = [one.reply for value, one in like if isinstance(value, list) and name in value]
            reply = of_name[0] if of_name and name in self.record.own else self._unused(name, like)
            if reply is None:
                return None
            replies.append(reply)
        refused = next((reply for reply in replies if isinstance(reply, Refused)), None)
        return refused or _together([reply for reply in replies if not isinstance(reply, Refused)], asked)

    def _unused(self, name: str, like: Sequence[tuple[Any, Entry]]) -> Reply | None:
        """How AWS says that nothing is called ``name``; None where that is not certain."""
        for value, entry in like:
            words = value if isinstance(value, list) else [value]
            known = self.record.names.get(str(entry.call)) if listed(entry.call) else None
            if known is None or len(words) != 1 or UNUSED not in words[0]:
                continue
            before, _, after = words[0].partition(UNUSED)
            if not (name.startswith(before) and name.endswith(after) and len(name) > len(before) + len(after)):
                continue
            inner = name[len(before) : len(name) - len(after)]
            if last_part(inner) not in known:
                return _renamed(entry.reply, inner)
        return None


def _together(replies: Sequence[Json], asked: Sequence[str]) -> Json:
    """One reply with the items of all that have one of the names that were asked for."""
    wanted = frozenset(asked)
    merged: dict[str, Any] = {}
    for reply in replies:
        for name, value in reply.items():
            if not isinstance(value, list):
                merged.setdefault(name, value)
                continue
            kept = merged.setdefault(name, [])
            kept += [item for item in value if item not in kept and _mentions(item, wanted)]
    copied: Json = json_copy(merged)
    return copied


def _mentions(item: Any, names: frozenset[str]) -> bool:
    return any(text in names or last_part(text) in names for text in texts(item))


def _renamed(reply: Reply, name: str) -> Reply:
    if isinstance(reply, Refused):
        return Refused(reply.code, reply.message.replace(UNUSED, name), status=reply.status)
    copied: Json = json_copy(reply)
    return copied


def json_copy(value: Any) -> Any:
    """``value`` with new lists and mappings: who reads a reply may change it."""
    if isinstance(value, dict):
        return {name: json_copy(item) for name, item in value.items()}
    return [json_copy(item) for item in value] if isinstance(value, list) else value


def _shape(call: Call, path: Path) -> tuple[str, str]:
    """What calls have in common that differ only in the value at ``path``."""
    return f"{call}{call.all_pages}", compact([list(map(str, path)), _without(dict(call.params), path)])


def _without(params: Any, path: Path) -> Any:
    if not path:
        return _HOLE  # all texts, or all lists of texts, are alike
    first, rest = path[0], path[1:]
    if isinstance(params, Mapping):
        return {name: _without(item, rest) if name == first else item for name, item in params.items()}
    return [_without(item, rest) if number == first else item for number, item in enumerate(params)]


def _holes(params: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """The texts, and the lists of texts, in the parameters of a call, with their paths: where a name may stand."""
    if isinstance(params, str):
        yield path, params
    elif isinstance(params, Mapping):
        for name, item in params.items():
            yield from _holes(item, (*path, name))
    elif isinstance(params, list | tuple):
        if params and all(isinstance(one, str) for one in params):
            yield path, list(params)
            return
        for number, item in enumerate(params):
            yield from _holes(item, (*path, number))
