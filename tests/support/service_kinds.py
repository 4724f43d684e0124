"""What the tests of the kinds around Batch share: a scope, a wanted resource, a read driven with literal replies."""

from __future__ import annotations

from reconciler.kinds.common.ownership_index import index
from reconciler.model import (
    MISSING,
    OWNER_TAG,
    Address,
    Later,
    Lifecycle,
    Query,
    Reference,
    Scope,
    Sought,
    Template,
    Want,
)
from reconciler.planning.canonical import with_defaults
from reconciler.planning.diff import difference
from reconciler.schema.registry import members

SCOPE = Scope(account="123456789012", region="eu-west-1", partition="aws", environment="e")
OWNED = {OWNER_TAG: "e"}
TAGS = [{"Key": OWNER_TAG, "Value": "e"}]
(INDEX,) = index(Query(SCOPE, owned=True))
SOMETHING = Template((Reference("lookups", "${lookups.x}", attr="x"),))


def want(kind, name="x", ignore=(), tags=OWNED, live=None, **declared):
    declared = kind.expand(declared)
    address = Address(kind.section, name)
    attrs = {later: Later(address, later) for later in kind.assigned_by_aws} | dict(kind.attrs(SCOPE, name, declared))
    return Want(
        address=address,
        physical=name,
        declared=declared,
        props=with_defaults(kind, declared),
        tags=tags,
        attrs=attrs | dict(live.attrs if live else {}),
        scope=SCOPE,
        lifecycle=Lifecycle(ignore_changes=tuple(ignore)),
    )


def read(kind, rounds, *sought, spare=(), owned=False, indexed=True):
    """Drives a read: the calls made must be those expected, in whatever rounds, and get their replies. Those in ``spare``
    may be made, too.
    """
    names = tuple(item if isinstance(item, Sought) else Sought(item) for item in sought)
    query = Query(SCOPE, names, owned, indexed=indexed)
    reads = kind.read(query)
    expected = [pair for pairs in rounds for pair in pairs]
    answers = None
    while True:
        try:
            calls = reads.send(answers)
        except StopIteration as end:
            assert not expected, "fewer calls than expected"
            return list(end.value)
        answers = tuple(_answered(call, expected, spare) for call in calls)


def _answered(call, expected, spare):
    found = next((pair for pair in (*expected, *spare) if pair[0] == call), None)
    assert found, f"{call} {call.params} is not expected"
    if found in expected:
        expected.remove(found)
    return found[1]


def indexed(*arns, tags=None):
    """What the tagging index proposes."""
    listed = [{"ResourceARN": arn, "Tags": TAGS if tags is None else tags} for arn in arns]
    return INDEX, {"ResourceTagMappingList": listed}


def differs(kind, live, wanted):
    """What differs, as the engine sees it: {path: (before, after)}."""
    found, _, _ = difference(kind, live, wanted, members(kind.section))
    return {".".join(map(str, c.path)): tuple(_plain(v) for v in (c.before, c.after)) for c in found.changes}


def _plain(value):
    return "missing" if value is MISSING else value


def changed(kind, live, wanted):
    found, _, _ = difference(kind, live, wanted, members(kind.section))
    return list(kind.update(live, wanted, found))


def found(kind, name="x", **props):
    """The findings as {path: message}, warnings with a star."""
    return {
        ".".join(map(str, f.path)) + ("*" if f.warning else ""): f.message for f in kind.check(name, kind.expand(props))
    }


def templated(value):
    """``value`` with an expression in the place of each leaf, one at a time, and of each whole."""
    yield SOMETHING
    if isinstance(value, dict):
        for name, item in value.items():
            yield from ({**value, name: other} for other in templated(item))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from ([*value[:index], other, *value[index + 1 :]] for other in templated(item))


def withstands_expressions(kind, **props):
    """Neither ``expand`` nor ``check`` may fall over an expression, wherever it stands, and what is without is right."""
    assert not [finding for finding in kind.check("xxx", kind.expand(props)) if not finding.warning]
    for other in templated(props):
        if isinstance(other, dict):
            list(kind.check("xxx", kind.expand(other)))
