"""Records what planning reads, and more: enough to plan also after changes of the YAML, from the record alone.

Besides the calls of a plan there are those of deleting everything, of the reads by name without the tagging index, of
reads for a name that is unused (they show how AWS says that there is none), and lists of what the account has, of
which only the names are kept.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cache
from typing import Any, Final

from reconciler.account.reader import Reader
from reconciler.account.reduced import names_in, texts
from reconciler.config import references
from reconciler.kinds import discover
from reconciler.model import (
    Aws,
    Call,
    CompleteList,
    Environment,
    Kind,
    Query,
    Refused,
    Reply,
    Scope,
    Sought,
    Unreadable,
    compact,
)

UNUSED: Final = "reconcile-snapshot-no-such-name"
# A kind's read of a bare name may need what only a declaration has
_NEEDS_MORE: Final = (AttributeError, LookupError, TypeError, ValueError)


def key_of(call: Call) -> str:
    """What equal calls have in common."""
    return f"{call}{call.all_pages}{compact(dict(call.params))}"


class Recorder:
    """Sends calls to ``aws``, equal ones once, and keeps the replies. Thread-safe."""

    def __init__(self, aws: Aws) -> None:
        self.aws = aws
        self.replies: dict[str, tuple[Call, Reply]] = {}
        self._lists: dict[str, tuple[Call, Reply]] = {}
        self._lock = threading.Lock()

    def call(self, call: Call) -> Reply:
        """The reply, recorded or now."""
        key = key_of(call)
        with self._lock:
            known = self.replies.get(key)
        if known is None:
            known = (call, self.aws.call(call))
            with self._lock:
                known = self.replies.setdefault(key, known)
        return known[1]

    def list_names(self, call: Call) -> Reply:
        """As :meth:`call`, but the reply is not kept."""
        known = self.replies.get(key_of(call)) or self._lists.setdefault(key_of(call), (call, self.aws.call(call)))
        return known[1]


@cache
def _lists() -> Mapping[str, CompleteList]:
    """The complete lists of all kinds, by the read that asks for a name."""
    found = (one for kind in discover().values() for one in kind.complete_lists)
    return {f"{one.call.service}:{one.read}": one for one in found}


def listed(call: Call) -> bool:
    """Whether all that there is can be listed for the name in ``call``."""
    found = _lists().get(str(call))
    return found is not None and call.params.keys() <= found.given


def widen(
    recorder: Recorder, kinds: Mapping[str, Kind], env: Environment, scope: Scope, lookups: Mapping[str, Any]
) -> dict[str, frozenset[str]]:
    """Record more than one plan reads; returns the names of all there is, by the read that asks for such a name, where
    they could be listed.
    """
    sought: dict[str, list[Sought]] = {}
    context = references.ResolutionContext(scope=scope, declared=lambda _: None, lookups=lookups)
    for address, resource in env.resources.items():
        props = references.resolve_known(resource, context)
        sought.setdefault(address.section, []).append(Sought(resource.name, props, logical=address.name))
    declared = frozenset(sought)

    def driven(kind: Kind) -> Callable[[], None]:
        return lambda: _drive(recorder, kind, _queries(kind, scope, sought.get(kind.section, ()), declared))

    def names(call: Call) -> Callable[[], frozenset[str] | None]:
        return lambda: _names(recorder.list_names(call))

    reader = Reader(recorder)
    try:
        for failed in reader.run_all({section: driven(kind) for section, kind in kinds.items()}).values():
            if isinstance(failed, BaseException):
                raise failed
        calls = [call for call, _ in list(recorder.replies.values()) if listed(call) and _asks_for_unused(call)]
        found = reader.run_all({str(call): names(_lists()[str(call)].call) for call in calls})
    finally:
        reader.close()
    return {read: known for read, known in found.items() if isinstance(known, frozenset)}


def _queries(kind: Kind, scope: Scope, sought: Sequence[Sought], declared: frozenset[str]) -> Iterator[Query]:
    """What planning may ask after the YAML has changed."""
    names, here = tuple(sought), declared | {kind.section}
    like, bare = Sought(UNUSED, names[0].props if names else {}), Sought(UNUSED)
    base = Query(scope=scope, owned=True, declared=here)
    for known in (declared, frozenset[str](), here):
        yield replace(base, declared=known)
    for some in ((bare,), (like,), (bare, Sought(f"{UNUSED}-2")), (*names, like)):  # several may be read in another way
        yield replace(base, sought=some)
    for some in (names, (like,)):
        yield replace(base, sought=some, indexed=False)
    for one in (bare, like, *names):
        yield replace(base, sought=(one,), owned=False)
    for one in (bare, *names):
        yield replace(base, sought=(one,), owned=False, brief=True)


def _drive(aws: Aws, kind: Kind, queries: Iterable[Query]) -> None:
    reader = Reader(aws, parallelism=0)
    for query in queries:
        with suppress(Unreadable, *_NEEDS_MORE):
            reader.drive(kind.read(query))


def _asks_for_unused(call: Call) -> bool:
    return any(UNUSED in text for text in texts(call.params))


def _names(reply: Reply) -> frozenset[str] | None:
    return None if isinstance(reply, Refused) else frozenset(names_in(reply))
