"""Finding what an environment owns, and the tags of what it declares, with few calls.

The index of the Resource Groups Tagging API only proposes objects. It lags and may name deleted ones, so every kind
reads them from their own service, and an absence from the index means nothing. Its tags are used only if they are the
expected ones: at worst a recent change shows in the next plan, and apply reads the service again before it writes.
Otherwise tags are read from the service.

https://docs.aws.amazon.com/resourcegroupstagging/latest/APIReference/API_GetResources.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

from reconciler.kinds.common.replies import ok, tag_map
from reconciler.model import OWNER_TAG, Call, Query, Reads, Refused, Reply, Scope, Sought

Index: TypeAlias = Mapping[str, Mapping[str, str]]
"""Tags by ARN, of what the environment owns."""

# Types with few objects in an account, which are requested for every environment.
SMALL = (
    "ec2",
    "ecr",
    "events",
    "logs",
    "scheduler:schedule-group",
    "secretsmanager",
    "sns",
    "batch:consumable-resource",
    "batch:scheduling-policy",
    "batch:service-environment",
)
# Types with up to thousands of objects, requested only where a kind does not read all of them.
LARGE = ("batch:compute-environment", "batch:job-definition", "batch:job-queue")
# The refusal of an unknown type; all types are requested then.
UNKNOWN_TYPE = "InvalidParameterException"


def index(query: Query, types: Sequence[str] = SMALL) -> tuple[Call, ...]:
    """The call for all owned objects of these types, none if ``query`` is not for owned ones.

    The call is the same for every kind, so it is made once.
    """
    if not query.owned:
        return ()
    filters = [{"Key": OWNER_TAG, "Values": [query.scope.environment]}]
    params = {"TagFilters": filters, "ResourceTypeFilters": list(types), "ResourcesPerPage": 100}
    return (Call("resourcegroupstaggingapi", "GetResources", params, all_pages=True),)


def tags_from_index(calls: Sequence[Call], replies: Sequence[Reply]) -> Reads[Index]:
    """The tags by ARN in the replies to the calls of :func:`index`. Raises Unreadable."""
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
    """The sorted names in the index, from ARNs of the form ``arn:PARTITION:service:REGION:ACCOUNT:prefixNAME``."""
    start = scope.arn(service, prefix)
    return sorted(arn.removeprefix(start) for arn in found if arn.startswith(start))


def not_sought(query: Query, more: Iterable[str]) -> list[str]:
    """The names of ``more`` that ``query`` does not seek already."""
    sought = {item.name for item in query.sought}
    return [name for name in more if name not in sought]


def tags_if_expected(found: Index, arn: str, sought: Sought | None) -> Mapping[str, str] | None:
    """The tags of a sought object, if the index has exactly the expected ones; None if the service must be read."""
    if sought is None or sought.tags is None or arn not in found:
        return None
    return found[arn] if is_expected(found[arn], sought.tags) else None


def is_expected(tags: Mapping[str, str], expected: Mapping[str, str]) -> bool:
    """Whether ``tags`` are the expected ones, but for those of AWS."""
    return {name: text for name, text in tags.items() if not _aws(name)} == expected


def _aws(name: str) -> bool:
    return name.lower().startswith("aws:")


def by_name(query: Query) -> dict[str, Sought]:
    """What ``query`` seeks, by name."""
    return {item.name: item for item in query.sought}


def matches_query(query: Query, name: str, tags: Mapping[str, str]) -> bool:
    """Whether ``query`` is for an object with this name and these tags. The index may name objects that are not."""
    mine = query.owned and tags.get(OWNER_TAG) == query.scope.environment
    return mine or any(sought.name == name for sought in query.sought)
