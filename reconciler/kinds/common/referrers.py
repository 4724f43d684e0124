"""What ``Kind.referrers`` of several kinds share: names, hints, and the ACTIVE job definitions."""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.kinds.common.replies import ok
from reconciler.model import EMPTY, OWNER_TAG, Call, Json, Reads, Referrer, Scope


def referrer(
    scope: Scope, noun: str, name: str, arn: str, props: Json, tags: Mapping[str, str] | None = EMPTY
) -> Referrer:
    """The ``noun`` (``compute environment``) called ``name``; ``tags`` where the reply has them."""
    owner = (tags or {}).get(OWNER_TAG)
    whose = f" of the environment {owner}" if owner and owner != scope.environment else ""
    hint = f"to delete it, change that {noun} to use another"
    return Referrer(props=props, text=f"{noun} {name}{whose}", arn=arn, hint=hint)


def revision(scope: Scope, item: Json) -> tuple[str, str]:
    """What to call a revision of a job definition, and the hint about what it names, from its description."""
    owner = (item.get("tags") or {}).get(OWNER_TAG)
    label = f"job definition {item['jobDefinitionName']}:{item['revision']}"
    if owner == scope.environment:
        return label, "apply deletes it when no kept revision names it any more (lifecycle.keepRevisions)"
    return label + (f" of the environment {owner}" if owner else ""), "to delete it, deregister that revision"


def active_definitions() -> Reads[list[Json]]:
    """The ACTIVE job definitions of the account; a call a page, as they are read to be compared."""
    found: list[Json] = []
    token: dict[str, str] = {}
    while True:
        call = Call("batch", "DescribeJobDefinitions", {"status": "ACTIVE", **token})
        (reply,) = yield (call,)
        answer = ok(call, reply) or {}
        found += answer.get("jobDefinitions", [])
        if not answer.get("nextToken"):
            return found
        token = {"nextToken": answer["nextToken"]}
