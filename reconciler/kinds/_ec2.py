"""What kinds of EC2 have in common: finding by name and by owner, tags by id.

https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateTags.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from reconciler.kinds._shared import chunks, ok, tag_list, tag_map
from reconciler.model import OWNER_TAG, Action, Call, Json, Live, On, Query, Reply


def found_by(operation: str, filter_name: str, query: Query, *, all_pages: bool = True) -> tuple[Call, ...]:
    """The calls that describe what is sought by name, and what carries the environment's tag. Filters find nothing
    where names would be refused.
    """
    names = sorted({sought.name for sought in query.sought})
    asked = [(filter_name, list(some)) for some in chunks(names, 200)]
    if query.owned:
        asked.append((f"tag:{OWNER_TAG}", [query.scope.environment]))
    filters = [[{"Name": name, "Values": values}] for name, values in asked]
    return tuple(Call("ec2", operation, {"Filters": one}, all_pages=all_pages) for one in filters)


def items_of(calls: Sequence[Call], replies: Sequence[Reply], items: str, name: str) -> Iterator[Json]:
    """The items of the replies, each once, by name."""
    answers = [ok(call, reply) or {} for call, reply in zip(calls, replies, strict=True)]
    found = {item[name]: item for answer in answers for item in answer.get(items, ())}
    yield from (item for _, item in sorted(found.items()))


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
