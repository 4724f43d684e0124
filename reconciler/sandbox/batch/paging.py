"""Names, pages and the order of replies.

Names and `maxResults` cannot be combined, names are at most a hundred, pages at most a hundred; what does not exist is
missing from the reply. Tokens name the last item of a page, so that a deletion between two pages has no effect on them.

Source: https://docs.aws.amazon.com/batch/latest/APIReference/API_DescribeComputeEnvironments.html
"""

from __future__ import annotations

import base64
import hashlib
import random
from collections.abc import Iterable, Sequence
from typing import Any

from reconciler.sandbox.batch.messages import Invalid, refusal
from reconciler.sandbox.batch.store import Json, Row, Store, Table

PAGE = 100

# Members whose order AWS does not keep, or that has no meaning.
UNORDERED = frozenset(
    {
        "capacityLimits",
        "computeEnvironmentOrder",
        "consumableResourceList",
        "containers",
        "devices",
        "environment",
        "instanceTypes",
        "jobStateTimeLimitActions",
        "mountPoints",
        "permissions",
        "platformCapabilities",
        "resourceRequirements",
        "secretOptions",
        "secrets",
        "securityGroupIds",
        "serviceEnvironmentOrder",
        "shareDistribution",
        "subnets",
        "targetInstanceTypes",
        "tmpfs",
        "ulimits",
        "volumes",
    }
)
_ORDERED_TYPES = frozenset({"BEST_FIT_PROGRESSIVE_ORDERED", "SPOT_CAPACITY_OPTIMIZED_PRIORITIZED"})


def describe(store: Store, table: Table, given: Json, member: str) -> tuple[list[Row], str | None]:
    """The rows named by `given[member]`, or a page of all of them; raises `BatchError`."""
    names = given.get(member)
    if not names:
        return page(store, list(table), given)
    if "maxResults" in given:
        raise refusal(f"{member[0].upper()}{member[1:]} and MaxResults cannot both be set")
    limit_names(names, member)
    found = (table.seen(name) for name in dict.fromkeys(names))
    return in_order(store, (row for row in found if row is not None)), None


def limit_names(names: Sequence[str], member: str) -> None:
    """Raise `Invalid` for more than a hundred names."""
    if len(names) > PAGE:
        raise Invalid(f"Maximum number of {member} supported is {PAGE}")


def page(
    store: Store, rows: Iterable[Row], given: Json, *, limit: int = PAGE, newest_first: bool = False
) -> tuple[list[Row], str | None]:
    """A page of rows with the token of the next, or None; raises `Invalid` for a wrong size or token."""
    size = given.get("maxResults", limit)
    if not 1 <= size <= limit:
        raise Invalid(f"maxResults should be between 1 and {limit}.")
    ordered = in_order(store, rows)
    if newest_first:
        ordered.reverse()
    if "nextToken" in given:
        last = _read_token(given["nextToken"])
        ordered = [row for row in ordered if (_key(store, row) < last if newest_first else _key(store, row) > last)]
    token = _token(_key(store, ordered[size - 1])) if len(ordered) > size else None
    return ordered[:size], token


def in_order(store: Store, rows: Iterable[Row]) -> list[Row]:
    """The rows in the order of their creation, or in another fixed order with the setting `shuffle`."""
    return sorted(rows, key=lambda row: _key(store, row))


def reply(member: str, items: list[Json], token: str | None) -> Json:
    """The reply with a list and its token, if there is one."""
    return {member: items, **({"nextToken": token} if token else {})}


def scatter(value: Any, chance: random.Random) -> Any:
    """`value` with every list whose order has no meaning in another order; never changes `value` itself."""
    if isinstance(value, dict):
        ordered = value.get("allocationStrategy") in _ORDERED_TYPES
        return {
            key: _mixed(scatter(item, chance), chance)
            if key in UNORDERED and isinstance(item, list) and not (ordered and key == "instanceTypes")
            else scatter(item, chance)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [scatter(item, chance) for item in value]
    return value


def _mixed(items: list[Any], chance: random.Random) -> list[Any]:
    chance.shuffle(items)
    return items


def _key(store: Store, row: Row) -> str:
    seed = store.settings.shuffle
    if seed is None:
        return f"{row.number:012}"
    return hashlib.sha256(f"{seed}/{row.number}".encode()).hexdigest()


def _token(key: str) -> str:
    return base64.urlsafe_b64encode(f"after {key}".encode()).decode()


def _read_token(token: str) -> str:
    try:
        text = base64.urlsafe_b64decode(token.encode()).decode()
    except ValueError:
        text = ""
    if not text.startswith("after "):
        raise Invalid("The nextToken is not valid.")
    return text.removeprefix("after ")
