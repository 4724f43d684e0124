"""What kinds of EC2 have in common: finding by name and by owner, tags by id.

https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateTags.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from reconciler.kinds.common.ownership_index import index, owned_names, tags_from_index
from reconciler.kinds.common.replies import chunks, ok, tag_list, tag_map
from reconciler.model import OWNER_TAG, Action, Call, Json, Live, On, Query, Reads, Reply


def found_by(describe: Call, named: str, items: str, own: tuple[str, str], query: Query) -> Reads[list[Json]]:
    """The items of what is sought by name and of what the environment owns, each once.

    ``describe`` is the call without filters, ``named`` the filter that takes names, ``items`` the member of the reply
    that lists them; ``own`` is the member that stands at the end of their ARNs, and what stands before it. Filters find
    nothing where names would be refused. What carries the environment's tag is asked for only if the index proposes
    something besides, or cannot be asked.
    """
    names = sorted({sought.name for sought in query.sought})
    calls = [_filtered(describe, named, list(some)) for some in chunks(names, 200)]
    owned = _filtered(describe, f"tag:{OWNER_TAG}", [query.scope.environment])
    ask = index(query) if query.indexed else ()
    if query.owned and not query.indexed:
        calls.append(owned)
    replies = (yield (*ask, *calls)) if ask or calls else ()
    tagged = yield from tags_from_index(ask, replies[: len(ask)])
    found = _by_id(calls, replies[len(ask) :], items, own[0])
    if any(name not in found for name in owned_names(tagged, query.scope, "ec2", own[1])):
        found |= _by_id([owned], (yield (owned,)), items, own[0])
    return list(found.values())


def _filtered(describe: Call, name: str, values: list[str]) -> Call:
    return replace(describe, params={**describe.params, "Filters": [{"Name": name, "Values": values}]})


def _by_id(calls: Sequence[Call], replies: Sequence[Reply], items: str, own: str) -> dict[str, Json]:
    answers = [ok(call, reply) or {} for call, reply in zip(calls, replies, strict=True)]
    return {item[own]: item for answer in answers for item in answer.get(items, ())}


def specified(resource_type: str, tags: Mapping[str, str]) -> dict[str, list[Json]]:
    """Tags as a create request takes them."""
    return {"TagSpecifications": [{"ResourceType": resource_type, "Tags": tag_list(tags)}]} if tags else {}


def retagged(live: Live, add: Mapping[str, str], remove: Sequence[str], fresh: tuple[On, ...]) -> list[Action]:
    """DeleteTags and CreateTags by id; ``fresh``: how EC2 refuses an id that it has only just given out."""
    resources = {"Resources": [live.attrs["id"]]}
    calls: list[Action] = []
    if remove:
        calls.append(Call("ec2", "DeleteTags", {**resources, "Tags": [{"Key": name} for name in sorted(remove)]}))
    if add:
        calls.append(Call("ec2", "CreateTags", {**resources, "Tags": tag_list(add)}, retry_on=fresh))
    return calls


def tags_of(item: Json) -> dict[str, str]:
    return tag_map(item.get("Tags"))
