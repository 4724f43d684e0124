"""Consumable resources: a named quantity that jobs use. No status; effective at once.

Source: https://docs.aws.amazon.com/batch/latest/userguide/resource-aware-scheduling.html
"""

from __future__ import annotations

from reconciler.sandbox.batch import paging, running, tags
from reconciler.sandbox.batch.jobs import glob
from reconciler.sandbox.batch.messages import Invalid, missing, refusal
from reconciler.sandbox.batch.store import Json, Row, Store
from reconciler.sandbox.batch.validate import name

LIMIT = 50_000
TOKEN_KEPT = 8 * 3600


def create(store: Store, given: Json) -> Json:
    """CreateConsumableResource."""
    name(given["consumableResourceName"], "Consumable resource")
    kind = given.get("resourceType", "REPLENISHABLE")
    if kind not in ("REPLENISHABLE", "NON_REPLENISHABLE"):
        raise Invalid("resourceType must be one of REPLENISHABLE or NON_REPLENISHABLE.")
    total = given.get("totalQuantity", 0)
    _check_quantity(total)
    if len(store.consumables) >= LIMIT:
        raise refusal(f"The limit of {LIMIT} consumable resources is reached.")
    props: Json = {"totalQuantity": total, "inUseQuantity": 0, "resourceType": kind}
    row = store.consumables.add(given["consumableResourceName"], props, tags.checked(given.get("tags")))
    running.kick(store)
    return _named(row)


def describe(store: Store, given: Json) -> Json:
    """DescribeConsumableResource."""
    row = store.consumables.need(given["consumableResource"])
    available = row.props["totalQuantity"] - row.props["inUseQuantity"]
    created = int(row.created * 1000)
    return {**_named(row), **row.props, "availableQuantity": max(available, 0), "createdAt": created, "tags": row.tags}


def list_all(store: Store, given: Json) -> Json:
    """ListConsumableResources."""
    rows = list(store.consumables)
    for one in given.get("filters", []):
        if one.get("name") != "CONSUMABLE_RESOURCE_NAME":
            raise Invalid(f"Filter {one.get('name')} is not valid.")
        rows = [row for row in rows if any(glob(value, row.name) for value in one.get("values", []))]
    shown, token = paging.page(store, rows, given)
    return paging.reply("consumableResources", [{**_named(row), **row.props} for row in shown], token)


def list_jobs(store: Store, given: Json) -> Json:
    """ListJobsByConsumableResource."""
    resource = store.consumables.need(given["consumableResource"])
    rows = [row for row in store.jobs if _quantity(row, resource) is not None]
    for one in given.get("filters", []):
        kind, values = one.get("name"), one.get("values", [])
        if kind == "CONSUMABLE_RESOURCE_NAME":
            continue
        if kind == "JOB_STATUS":
            rows = [row for row in rows if row.status in values]
        elif kind == "JOB_NAME":
            rows = [row for row in rows if any(glob(value, row.props["jobName"]) for value in values)]
        else:
            raise Invalid(f"Filter {kind} is not valid.")
    shown, token = paging.page(store, rows, given)
    return paging.reply("jobs", [_job(row, resource) for row in shown], token)


def update(store: Store, given: Json) -> Json:
    """UpdateConsumableResource: with a `clientToken` a repeated request counts once."""
    row = store.consumables.need(given["consumableResource"])
    token = given.get("clientToken")
    if token is not None:
        known = store.client_tokens.get(f"{row.arn}/{token}")
        if known is not None and known[0] > store.now:
            return known[1]
    quantity = given.get("quantity", 0)
    _check_quantity(quantity)
    before: int = row.props["totalQuantity"]
    operation = given.get("operation")
    match operation:
        case "SET":
            after = quantity
        case "ADD":
            after = before + quantity
        case "REMOVE":
            after = before - quantity
        case _:
            raise Invalid("operation must be one of SET, ADD or REMOVE.")
    _check_quantity(after)
    row.props["totalQuantity"] = after
    running.kick(store)
    reply = {**_named(row), "totalQuantity": after}
    if token is not None:
        store.client_tokens[f"{row.arn}/{token}"] = (store.now + TOKEN_KEPT, reply)
    return reply


def delete(store: Store, given: Json) -> Json:
    """DeleteConsumableResource: allowed while jobs use it or wait for it; those that wait are blocked."""
    row = store.consumables.find(given["consumableResource"])
    if row is None:
        if store.settings.unknown_delete == "ok":
            return {}
        raise missing(store.consumables.arn(given["consumableResource"]))
    store.consumables.drop(row)
    return {}


def _check_quantity(quantity: int) -> None:
    if quantity < 0:
        raise Invalid("The quantity of a consumable resource must not be negative.")


def _quantity(row: Row, resource: Row) -> int | None:
    for one in row.props.get("consumableResourceProperties", {}).get("consumableResourceList", []):
        if one.get("consumableResource") in (resource.name, resource.arn):
            return int(one.get("quantity", 0))
    return None


def _job(row: Row, resource: Row) -> Json:
    kept = ("jobName", "shareIdentifier", "startedAt", "consumableResourceProperties")
    return {
        "jobArn": row.arn,
        "jobQueueArn": row.props["jobQueue"],
        "jobDefinitionArn": row.props["jobDefinition"],
        "jobStatus": row.status,
        "quantity": _quantity(row, resource),
        "createdAt": int(row.created * 1000),
        **{member: row.props[member] for member in kept if member in row.props},
        **({"statusReason": row.reason} if row.reason else {}),
    }


def _named(row: Row) -> Json:
    return {"consumableResourceName": row.name, "consumableResourceArn": row.arn}
