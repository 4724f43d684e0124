"""Finding what an environment owns, and the tags of what it declares, without asking for each thing.

The tagging index only proposes: it lags, and may name what is already gone, so every kind confirms by its own service
and nothing is ever concluded from an absence. Of tags it is believed where it says what is expected anyway: then at
worst a change of the last moments shows one plan later, and before anything is written the service itself is asked.
Where it says otherwise, or nothing, the service is asked.

https://docs.aws.amazon.com/resourcegroupstagging/latest/APIReference/API_GetResources.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

from reconciler.kinds.common.replies import ok, tag_map
from reconciler.model import OWNER_TAG, Call, Query, Reads, Refused, Reply, Scope, Sought

Index: TypeAlias = Mapping[str, Mapping[str, str]]
"""Tags by ARN, of what the environment owns."""

# What there is little of, so that it is asked for whatever an environment declares.
SMALL = (
    "ec2",
    "ecr",
    "events",
    "logs",
    "secretsmanager",
    "sns",
    "batch:consumable-resource",
    "batch:scheduling-policy",
    "batch:service-environment",
)
# What there may be thousands of: asked for only where they are not swept through, each by itself where it is declared.
LARGE = ("batch:compute-environment", "batch:job-definition", "batch:job-queue")
# How the index refuses a type it does not know; it is asked for everything then.
UNKNOWN_TYPE = "InvalidParameterException"


def index(query: Query, types: Sequence[str] = SMALL) -> tuple[Call, ...]:
    """The one call that proposes everything of these types: the same for every kind, so made once."""
    if not query.owned:
        return ()
    filters = [{"Key": OWNER_TAG, "Values": [query.scope.environment]}]
    params = {"TagFilters": filters, "ResourceTypeFilters": list(types), "ResourcesPerPage": 100}
    return (Call("resourcegroupstaggingapi", "GetResources", params, all_pages=True),)


def tags_from_index(calls: Sequence[Call], replies: Sequence[Reply]) -> Reads[Index]:
    """What the index says in reply to :func:`index`."""
    found: dict[str, Mapping[str, str]] = {}
    for call, reply in zip(calls, replies, strict=True):
        asked, answer = call, reply
        if isinstance(reply, Refused) and reply.code == UNKNOWN_TYPE:
            rest = {name: value for name, value in call.params.items() if name != "ResourceTypeFilters"}
            asked = Call(call.service, call.operation, rest, all_pages=True)
            (answer,) = yield (asked,)
        for item in (ok(asked, answer) or {}).get("ResourceTagMappingList", ()):
            found[item["ResourceARN"]] = tag_map(item.get("Tags"))
    return found


def owned_names(found: Index, scope: Scope, service: str, prefix: str) -> list[str]:
    """The names in ``ARN = arn:PARTITION:service:REGION:ACCOUNT:prefixNAME`` that the index has, sorted."""
    start = scope.arn(service, prefix)
    return sorted(arn.removeprefix(start) for arn in found if arn.startswith(start))


def not_sought(query: Query, more: Iterable[str]) -> list[str]:
    """Of the names that are proposed those that are not sought already."""
    sought = {item.name for item in query.sought}
    return [name for name in more if name not in sought]


def tags_if_expected(found: Index, arn: str, sought: Sought | None) -> Mapping[str, str] | None:
    """The tags of a sought thing, if the index says exactly what is expected of it; else the service must be asked."""
    if sought is None or sought.tags is None or arn not in found:
        return None
    tags = found[arn]
    return tags if {name: text for name, text in tags.items() if not _aws(name)} == sought.tags else None


def _aws(name: str) -> bool:
    return name.lower().startswith("aws:")


def by_name(query: Query) -> dict[str, Sought]:
    return {item.name: item for item in query.sought}


def matches_query(query: Query, name: str, tags: Mapping[str, str]) -> bool:
    """Whether a live object answers the query: the index may name one whose tag has changed since."""
    mine = query.owned and tags.get(OWNER_TAG) == query.scope.environment
    return mine or any(sought.name == name for sought in query.sought)
