"""Records what planning reads, and more: enough to plan also after changes of the YAML, from the record alone.

Besides the calls of a plan there are those of deleting everything, of the reads by name without the tagging index, of
reads for a name that nobody has (they show how AWS says that there is none), and lists of what the account has, of
which only the names are kept.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from reconciler.account.reader import Reader
from reconciler.account.reduced import names_in, texts
from reconciler.config import references
from reconciler.model import Aws, Call, Environment, Kind, Query, Refused, Reply, Scope, Sought, Unreadable, compact
from reconciler.model.steps import UNKNOWN

NOBODY: Final = "reconcile-snapshot-no-such-name"
_FILTERS: Final = "Filters"
# Lists of all names, where no kind reads one
_LISTS: Final[Mapping[str, Call]] = {
    "iam": Call("iam", "ListRoles", {"PathPrefix": "/aws-service-role/"}, all_pages=True),
    "ecr": Call("ecr", "DescribeRepositories", all_pages=True),
    "secretsmanager": Call("secretsmanager", "ListSecrets", {"IncludePlannedDeletion": True}, all_pages=True),
    "sns": Call("sns", "ListTopics", all_pages=True),
}
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
        self._aside: dict[str, tuple[Call, Reply]] = {}
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

    def aside(self, call: Call) -> Reply:
        """As :meth:`call`, but the reply is not kept."""
        known = self.replies.get(key_of(call)) or self._aside.setdefault(key_of(call), (call, self.aws.call(call)))
        return known[1]


@dataclass(slots=True)
class _Noting:
    """Sends calls through ``recorder`` and notes them."""

    recorder: Recorder
    asked: dict[str, Call] = field(default_factory=dict)

    def call(self, call: Call) -> Reply:
        self.asked.setdefault(key_of(call), call)
        return self.recorder.call(call)


@dataclass(frozen=True, slots=True)
class Names:
    """The names that a section has in the account, and the keys of the calls that were made for :data:`NOBODY`."""

    names: frozenset[str]
    probes: frozenset[str]


def widen(
    recorder: Recorder, kinds: Mapping[str, Kind], env: Environment, scope: Scope, lookups: Mapping[str, Any]
) -> dict[str, Names]:
    """Record more than one plan reads; returns the names by section, where all of them could be listed."""
    sought: dict[str, list[Sought]] = {}
    context = references.ResolutionContext(scope=scope, declared=lambda _: None, lookups=lookups)
    for address, resource in env.resources.items():
        props = references.resolve_known(resource, context)
        sought.setdefault(address.section, []).append(Sought(resource.name, props, logical=address.name))
    declared = frozenset(sought)
    reader = Reader(recorder)
    try:
        jobs = {
            section: lambda kind=kind, names=tuple(sought.get(section, ())): _widened(
                recorder, kind, scope, names, declared
            )
            for section, kind in kinds.items()
        }
        found = reader.run_all(jobs)
    finally:
        reader.close()
    for one in found.values():
        if isinstance(one, BaseException):
            raise one
    return {section: one for section, one in found.items() if isinstance(one, Names)}


def _widened(
    recorder: Recorder, kind: Kind, scope: Scope, sought: tuple[Sought, ...], declared: frozenset[str]
) -> Names | None:
    """The names of one section; None where they are not certain to be all."""
    nobody = Sought(NOBODY, sought[0].props if sought else {})
    bare = Sought(NOBODY)
    here = declared | {kind.section}
    base = Query(scope=scope, owned=True, declared=declared)
    reading = _Noting(recorder)
    _drive(reading, kind, replace(base, sought=sought, indexed=False))
    probing = _Noting(recorder)
    _drive(probing, kind, replace(base, sought=(nobody,), declared=here, indexed=False))
    for query in (
        replace(base, declared=frozenset()),
        base,
        replace(base, declared=here),
        replace(base, sought=(bare,), declared=here),
        replace(base, sought=(bare, Sought(f"{NOBODY}-2")), declared=here),  # several may be read in another way
        replace(base, sought=(nobody,), declared=here),
        replace(base, sought=(bare,), owned=False, declared=here),
        replace(base, sought=(bare,), owned=False, declared=here, brief=True),
        *(replace(base, sought=(one,), owned=False) for one in sought),
    ):
        _drive(probing, kind, query)
    probes = {key: call for key, call in probing.asked.items() if any(NOBODY in text for text in texts(call.params))}
    whole = [call for call in (*reading.asked.values(), *probing.asked.values()) if not call.params.get(_FILTERS)]
    whole = [call for call in whole if _lists_all(call, sought)]
    extra = [_unfiltered(call) for call in probes.values() if _FILTERS in call.params]
    extra += [_LISTS[call.service] for call in probes.values() if call.service in _LISTS]
    replies = [recorder.call(call) for call in whole]
    replies += [recorder.aside(call) for call in extra]
    whole += extra
    if not whole or any(isinstance(reply, Refused) and (reply.denied or reply.code in UNKNOWN) for reply in replies):
        return None
    names = frozenset(name for reply in replies if not isinstance(reply, Refused) for name in names_in(reply))
    return Names(names, frozenset(probes))


def _drive(aws: Aws, kind: Kind, query: Query) -> None:
    try:
        Reader(aws, parallelism=0).drive(kind.read(query))
    except (Unreadable, *_NEEDS_MORE):
        return


def _lists_all(call: Call, sought: Sequence[Sought]) -> bool:
    """Whether the call is for everything there is: it names nothing."""
    if call.service == "resourcegroupstaggingapi" or not call.operation.startswith(("List", "Describe", "GetAccount")):
        return False
    named = {NOBODY, *(one.name for one in sought)}
    return not any(text.startswith("arn:") or text in named or NOBODY in text for text in texts(call.params))


def _unfiltered(call: Call) -> Call:
    return replace(call, params={name: value for name, value in call.params.items() if name != _FILTERS})
