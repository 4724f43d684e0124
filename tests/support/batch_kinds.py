"""The shortest way to say what is declared and what AWS Batch describes, and to hold the one against the other."""

from __future__ import annotations

from typing import Any

from reconciler.model import OWNER_TAG, Address, Diff, Json, Kind, Later, Live, Query, Scope, Sought, Want
from reconciler.planning.canonical import with_defaults
from reconciler.planning.diff import difference
from reconciler.schema import registry

ACCOUNT = "123456789012"
SCOPE = Scope(account=ACCOUNT, region="eu-west-1", partition="aws", environment="e")
TAGS = {OWNER_TAG: "e"}
SLR = f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/batch.amazonaws.com/AWSServiceRoleForBatch"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/"
PROFILE = f"arn:aws:iam::{ACCOUNT}:instance-profile/"


def arn(resource: str) -> str:
    return SCOPE.arn("batch", resource)


def want(kind: Kind, declared: Json, name: str = "x") -> Want:
    props = kind.expanded(name, declared)
    address = Address(kind.section, name)
    attrs = {attr: Later(address, attr) for attr in kind.assigned_by_aws} | dict(kind.attrs(SCOPE, name, props))
    return Want(
        address=address,
        physical=name,
        declared=props,
        props=with_defaults(kind, props),
        tags=TAGS,
        attrs=attrs,
        scope=SCOPE,
    )


def answer(kind: Kind, query: Query, *replies: Any) -> tuple[list[Any], list[Live]]:
    """The calls a read makes, and what it finds in the replies."""
    steps = kind.read(query)
    calls = list(next(steps))
    try:
        steps.send(replies)
    except StopIteration as done:
        return calls, list(done.value)
    raise AssertionError("the read asks again")


def steps(kind: Kind, query: Query, *replies: list[Any]) -> tuple[list[list[Any]], list[Live]]:
    """The calls a read makes step by step, each step given its replies, and what it finds."""
    reads, calls = kind.read(query), []
    try:
        made = next(reads)
        for some in replies:
            calls.append(list(made))
            assert len(some) == len(made), made
            made = reads.send(tuple(some))
    except StopIteration as done:
        return calls, list(done.value)
    raise AssertionError(f"the read asks again: {made}")


def described(kind: Kind, reply_member: str, item: Json) -> Live:
    """The one live object of a describe reply."""
    names = [value for member, value in item.items() if member.endswith("Name")]
    _, lives = answer(kind, Query(SCOPE, (Sought(str(names[0])),)), {reply_member: [item]})
    (live,) = lives
    return live


def compared(kind: Kind, live: Live, declared: Json, name: str = "x") -> Diff:
    found, _, _ = difference(kind, live, want(kind, declared, name), registry.members(kind.section))
    return found


def paths(found: Diff) -> list[str]:
    return [".".join(map(str, change.path)) for change in found.changes]


def words(kind: Kind, declared: Json, name: str = "x") -> list[str]:
    """What a check says: path, kind of finding, message."""
    lines = []
    for finding in kind.check(name, kind.expanded(name, declared)):
        level = "warning" if finding.warning else "error"
        lines.append(f"{'.'.join(map(str, finding.path))}: {level}: {finding.message} ({finding.hint})")
    return lines
