"""Tags of every kind: on creation, and by the three operations on ARNs.

Source: https://docs.aws.amazon.com/batch/latest/userguide/using-tags.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from reconciler.sandbox.batch.messages import Invalid, missing
from reconciler.sandbox.batch.store import Json, Row, Store, Table

LIMIT = 50


def checked(tags: Mapping[str, str] | None) -> dict[str, str]:
    """The tags of a new resource; an empty mapping is refused."""
    if tags is None:
        return {}
    if not tags:
        raise Invalid("tags should have at least one entry.")
    _check(tags)
    return dict(tags)


def list_for_resource(store: Store, given: Json) -> Json:
    """ListTagsForResource."""
    return {"tags": dict(_need(store, given["resourceArn"]).tags)}


def tag(store: Store, given: Json) -> Json:
    """TagResource: at most fifty tags."""
    row = _need(store, given["resourceArn"])
    _check(given["tags"])
    merged = {**row.tags, **given["tags"]}
    _check_count(merged)
    row.tags = merged
    return {}


def untag(store: Store, given: Json) -> Json:
    """UntagResource: keys that do not exist are ignored."""
    row = _need(store, given["resourceArn"])
    keys = given["tagKeys"]
    if not 1 <= len(keys) <= LIMIT:
        raise Invalid(f"tagKeys should have between 1 and {LIMIT} entries.")
    for key in keys:
        _check_system(key)
    row.tags = {key: value for key, value in row.tags.items() if key not in keys}
    return {}


def tables(store: Store) -> Sequence[Table]:
    """The tables whose resources have tags."""
    return (
        store.environments,
        store.queues,
        store.definitions,
        store.policies,
        store.shares,
        store.consumables,
        store.services,
        store.jobs,
        store.service_jobs,
    )


def _need(store: Store, arn: str) -> Row:
    for table in tables(store):
        row = table.find(arn) if arn.startswith("arn:") else None
        if row is not None:
            if row.props.get("parent"):
                raise Invalid("Tagging child jobs of array and multi-node parallel jobs is not supported.")
            return row
    raise missing(arn)


def _check(tags: Mapping[str, str]) -> None:
    for key, value in tags.items():
        if not 1 <= len(key) <= 128:
            raise Invalid("Tag keys should be between 1 and 128 characters.")
        if len(value) > 256:
            raise Invalid("Tag values should be at most 256 characters.")
        _check_system(key)
        _check_system(value)
    _check_count(tags)


def _check_system(text: str) -> None:
    if text.lower().startswith("aws:"):
        raise Invalid("aws: prefixed tag key names are not allowed for external use.")


def _check_count(keys: Iterable[str]) -> None:
    if sum(not key.lower().startswith("aws:") for key in keys) > LIMIT:
        raise Invalid(f"The number of tags exceeds the limit of {LIMIT}.")
