"""Finding what an environment owns among kinds whose own service cannot list by tag.

The tagging index only proposes: it lags, and may name what is already gone, so every kind confirms by its own service
and nothing is ever concluded from an absence.

https://docs.aws.amazon.com/resourcegroupstagging/latest/APIReference/API_GetResources.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from reconciler.kinds._shared import ok
from reconciler.model import OWNER_TAG, Call, Query, Reply, Scope


def index(query: Query) -> tuple[Call, ...]:
    """The one call that proposes everything the environment owns: the same for every kind, so made once."""
    filters = [{"Key": OWNER_TAG, "Values": [query.scope.environment]}]
    if not query.owned:
        return ()
    return (Call("resourcegroupstaggingapi", "GetResources", {"TagFilters": filters}, all_pages=True),)


def proposed(calls: Sequence[Call], replies: Sequence[Reply], scope: Scope, service: str, prefix: str) -> list[str]:
    """The names in ``ARN = arn:PARTITION:service:REGION:ACCOUNT:prefixNAME`` that the index has, sorted."""
    start = scope.arn(service, prefix)
    items = [
        item["ResourceARN"]
        for call, reply in zip(calls, replies, strict=True)
        for item in (ok(call, reply) or {}).get("ResourceTagMappingList", [])
    ]
    return sorted({arn.removeprefix(start) for arn in items if arn.startswith(start)})


def named(query: Query, more: Iterable[str]) -> list[str]:
    """The names to describe: those sought, and what the index proposes besides."""
    return list(dict.fromkeys([*(sought.name for sought in query.sought), *more]))


def asked_for(query: Query, name: str, tags: Mapping[str, str]) -> bool:
    """Whether a live object answers the query: the index may name one whose tag has changed since."""
    mine = query.owned and tags.get(OWNER_TAG) == query.scope.environment
    return mine or any(sought.name == name for sought in query.sought)
