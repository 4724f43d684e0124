"""What the kinds of EC2 share: reading by name and by owner, tags by id.

https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateTags.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from reconciler.model import OWNER_TAG, Action, Call, Json, Live, On, Query, Reads, Reply
from reconciler.model.when_used import when_used

with when_used():
    from reconciler.kinds.common.ownership_index import index, owned_names, tags_from_index
    from reconciler.kinds.common.replies import chunks, ok, tag_list, tag_map

TAGGED: Final = "resourcesSet.items[].resourceId"
"""Where CloudTrail names the resources of CreateTags and DeleteTags."""
TAG_EVENTS: Final = ("CreateTags", "DeleteTags")


def find_by_name_or_owner(
    describe: Call, name_filter: str, items: str, arn_form: tuple[str, str], query: Query
) -> Reads[list[Json]]:
    """The items that are sought by name and those that the environment owns, each once.

    ``describe`` is the call without filters, ``name_filter`` the filter that accepts names, ``items`` the member of the
    reply that lists the items; ``arn_form`` is the member that ends their ARNs, and the text before it. A filter for a
    name that does not exist returns nothing, where the name as a parameter would be refused. Owned items are described
    by tag only if the index lists an item that was not found by name, or if the index cannot be read. Raises
    Unreadable.
    """
    names = sorted({sought.name for sought in query.sought})
    calls = [filtered(describe, name_filter, list(some)) for some in chunks(names, 200)]
    owned = filtered(describe, f"tag:{OWNER_TAG}", [query.scope.environment])
    index_calls = index(query) if query.indexed else ()
    if query.owned and not query.indexed:
        calls.append(owned)
    replies = (yield (*index_calls, *calls)) if index_calls or calls else ()
    tagged = yield from tags_from_index(index_calls, replies[: len(index_calls)])
    found = _by_id(calls, replies[len(index_calls) :], items, arn_form[0])
    if any(name not in found for name in owned_names(tagged, query.scope, "ec2", arn_form[1])):
        found |= _by_id([owned], (yield (owned,)), items, arn_form[0])
    return list(found.values())


def filtered(describe: Call, name: str, values: list[str]) -> Call:
    """``describe`` for the items that have one of ``values`` for the filter ``name``."""
    return replace(describe, params={**describe.params, "Filters": [{"Name": name, "Values": values}]})


def _by_id(calls: Sequence[Call], replies: Sequence[Reply], items: str, id_member: str) -> dict[str, Json]:
    answers = [ok(call, reply) or {} for call, reply in zip(calls, replies, strict=True)]
    return {item[id_member]: item for answer in answers for item in answer.get(items, ())}


def tag_specifications(resource_type: str, tags: Mapping[str, str]) -> dict[str, list[Json]]:
    """Tags as a create request expects them: ``{"TagSpecifications": [...]}``, empty without tags."""
    return {"TagSpecifications": [{"ResourceType": resource_type, "Tags": tag_list(tags)}]} if tags else {}


def tag_calls(
    live: Live, add: Mapping[str, str], remove: Sequence[str], not_visible_yet: tuple[On, ...]
) -> list[Action]:
    """DeleteTags and CreateTags by id; ``not_visible_yet``: the refusals of an id that EC2 does not show yet."""
    resources = {"Resources": [live.attrs["id"]]}
    calls: list[Action] = []
    if remove:
        calls.append(Call("ec2", "DeleteTags", {**resources, "Tags": [{"Key": name} for name in sorted(remove)]}))
    if add:
        calls.append(Call("ec2", "CreateTags", {**resources, "Tags": tag_list(add)}, retry_on=not_visible_yet))
    return calls


def tags_of(item: Json) -> dict[str, str]:
    """The tags of an item of a Describe reply."""
    return tag_map(item.get("Tags"))
