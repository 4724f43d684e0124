"""Service environments: the capacity of SageMaker queues. Their replies have a status and no reason.

Source: https://docs.aws.amazon.com/batch/latest/userguide/service-environments.html
"""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.sandbox.batch import paging, tags
from reconciler.sandbox.batch.messages import (
    DELETE_BUSY,
    DELETE_RELATED,
    UPDATE_BUSY,
    Invalid,
    delete_enabled,
    missing,
    refusal,
)
from reconciler.sandbox.batch.store import Json, Row, Store
from reconciler.sandbox.batch.validate import name

LIMIT = 50


def create(store: Store, given: Json) -> Json:
    """CreateServiceEnvironment: CREATING, then VALID."""
    name(given["serviceEnvironmentName"], "Service environment")
    props: Json = {
        "serviceEnvironmentType": given["serviceEnvironmentType"],
        "capacityLimits": _checked(given["capacityLimits"]),
    }
    first_tags = tags.checked(given.get("tags"))
    if sum(not row.gone for row in store.services) >= LIMIT:
        raise refusal(f"The limit of {LIMIT} service environments is reached.")
    row = store.services.add(given["serviceEnvironmentName"], props, first_tags)
    row.state = given.get("state", "ENABLED")
    _change(store, row, "CREATING")
    return _named(row)


def describe(store: Store, given: Json) -> Json:
    """DescribeServiceEnvironments."""
    rows, token = paging.describe(store, store.services, given, "serviceEnvironments")
    details = [{**_named(row), **row.props, "tags": row.tags, "state": row.state, "status": row.status} for row in rows]
    return paging.reply("serviceEnvironments", details, token)


def update(store: Store, given: Json) -> Json:
    """UpdateServiceEnvironment: refused while another change is in progress."""
    row = store.services.need(given["serviceEnvironment"])
    if row.busy:
        raise refusal(UPDATE_BUSY)
    if "capacityLimits" in given:
        row.props["capacityLimits"] = _checked(given["capacityLimits"])
    row.state = given.get("state", row.state)
    _change(store, row, "UPDATING")
    return _named(row)


def delete(store: Store, given: Json) -> Json:
    """DeleteServiceEnvironment: only DISABLED, and not used by a queue."""
    row = store.services.find(given["serviceEnvironment"])
    if row is None:
        if store.settings.unknown_delete == "ok":
            return {}
        raise missing(store.services.arn(given["serviceEnvironment"]))
    if row.busy:
        raise refusal(DELETE_BUSY)
    if row.state != "DISABLED":
        raise delete_enabled("service environment")
    if any(_holds(queue, row) for queue in store.queues):
        raise refusal(DELETE_RELATED)
    row.status = "DELETING"
    store.after(store.settings.service_environment, lambda: store.services.linger(row))
    return {}


def _checked(limits: Sequence[Json]) -> list[Json]:
    """One to five limits: one for all instances, or one per instance type."""
    if not 1 <= len(limits) <= 5:
        raise Invalid("capacityLimits should have between 1 and 5 entries.")
    units = [limit.get("capacityUnit", "NUM_INSTANCES") for limit in limits]
    unknown = [unit for unit in units if unit != "NUM_INSTANCES" and not unit.startswith("ml.")]
    if unknown:
        raise Invalid(f"{unknown[0]} is unknown capacity unit in [NUM_INSTANCES, ml.m5.large, ml.g5.xlarge, ...]")
    if "NUM_INSTANCES" in units and len(units) > 1:
        raise Invalid("capacityLimits should have either NUM_INSTANCES or instance types, not both.")
    if len(set(units)) < len(units):
        raise Invalid("Duplicate capacityUnit in capacityLimits.")
    if any(limit.get("maxCapacity", 0) < 1 for limit in limits):
        raise Invalid("maxCapacity must be at least 1.")
    return list(limits)


def _holds(queue: Row, row: Row) -> bool:
    order = queue.props.get("serviceEnvironmentOrder", [])
    return not queue.gone and any(item["serviceEnvironment"] == row.arn for item in order)


def _change(store: Store, row: Row, status: str) -> None:
    row.status = status
    store.after(store.settings.service_environment, lambda: _settled(row))


def _settled(row: Row) -> None:
    row.status = "VALID"


def _named(row: Row) -> Json:
    return {"serviceEnvironmentName": row.name, "serviceEnvironmentArn": row.arn}
