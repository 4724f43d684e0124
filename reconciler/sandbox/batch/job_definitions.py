"""Job definitions: every registration is an independent revision; deregistered ones are described for 180 days.

Source: https://docs.aws.amazon.com/batch/latest/APIReference/API_RegisterJobDefinition.html and
https://docs.aws.amazon.com/batch/latest/userguide/job_definitions.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from reconciler.model.patterns import regex
from reconciler.sandbox.batch import containers, paging, pods, retry, tags
from reconciler.sandbox.batch.messages import Invalid, missing, refusal
from reconciler.sandbox.batch.store import Json, Row, Store
from reconciler.sandbox.batch.validate import between, name

PAYLOADS = ("containerProperties", "ecsProperties", "eksProperties", "nodeProperties")
_REVISION = regex(r".+:\d+")
_NODES = regex(r"(\d+)?(:(\d+)?)?", re.ASCII)


def register(store: Store, given: Json) -> Json:
    """RegisterJobDefinition: the next revision of the name."""
    name(given["jobDefinitionName"], "Job Definition")
    if len(json.dumps(given)) > 24 * 1024:
        raise Invalid("Job definition size must not exceed 24 KiB.")
    props = _checked(store, given)
    first_tags = tags.checked(given.get("tags"))
    title = given["jobDefinitionName"]
    revision = store.revisions.get(title, 0) + 1
    store.revisions[title] = revision
    row = store.definitions.add(f"{title}:{revision}", {"jobDefinitionName": title, "revision": revision}, first_tags)
    row.props.update(props)
    row.state = "ACTIVE"
    return {"jobDefinitionName": title, "jobDefinitionArn": row.arn, "revision": revision}


def describe(store: Store, given: Json) -> Json:
    """DescribeJobDefinitions."""
    rows, token = _asked(store, given)
    return paging.reply("jobDefinitions", [_detail(row) for row in rows], token)


def deregister(store: Store, given: Json) -> Json:
    """DeregisterJobDefinition: the revision becomes INACTIVE."""
    wanted = given["jobDefinition"]
    if not _REVISION.fullmatch(wanted.rsplit("/", 1)[-1]):
        raise Invalid("A job definition to deregister must be given with its revision.")
    row = store.definitions.find(wanted)
    if row is None or row.state == "INACTIVE":
        if store.settings.unknown_delete == "ok":
            return {}
        raise missing(store.definitions.arn(wanted))
    row.state = "INACTIVE"
    store.after(store.settings.inactive_kept, lambda: store.definitions.drop(row))
    return {}


def latest_active(store: Store, wanted: str) -> Row:
    """The revision that `NAME`, `NAME:REV` or either form of ARN resolves to; raises `BatchError`."""
    row = store.definitions.find(wanted) if _REVISION.fullmatch(wanted.rsplit("/", 1)[-1]) else None
    if row is None:
        arn = store.definitions.arn(wanted)
        same = [one for one in store.definitions if one.arn.rsplit(":", 1)[0] == arn and one.state == "ACTIVE"]
        row = max(same, key=lambda one: int(one.props["revision"]), default=None)
    if row is None:
        raise refusal(f"JobDefinition {wanted} not found.")
    if row.state == "INACTIVE":
        raise refusal(f"JobDefinition {wanted} is not ACTIVE.")
    return row


def _asked(store: Store, given: Json) -> tuple[list[Row], str | None]:
    named = given.get("jobDefinitions")
    if named:
        if "maxResults" in given:
            raise refusal("JobDefinitions and MaxResults cannot both be set")
        if "jobDefinitionName" in given or "status" in given:
            raise refusal("JobDefinitions cannot be combined with JobDefinitionName or Status")
        if store.settings.bare_definition_name == "nothing" or all(_REVISION.fullmatch(one) for one in named):
            return paging.describe(store, store.definitions, given, "jobDefinitions")
        return _bare(store, named), None
    rows = [
        row
        for row in store.definitions
        if given.get("jobDefinitionName") in (None, row.props["jobDefinitionName"])
        and given.get("status") in (None, row.state)
    ]
    return paging.page(store, rows, given)


def _bare(store: Store, named: Sequence[str]) -> list[Row]:
    wanted = {store.definitions.arn(one) for one in named}
    found = (row for row in store.definitions if row.arn in wanted or row.arn.rsplit(":", 1)[0] in wanted)
    return paging.in_order(store, found)


def _checked(store: Store, given: Json) -> Json:
    """The properties of the revision, with defaults."""
    payload = _payload(given)
    fargate = _on_fargate(given, payload)
    props: Json = {"type": given["type"], "parameters": given.get("parameters", {})}
    props["containerOrchestrationType"] = "EKS" if payload == "eksProperties" else "ECS"
    props[payload] = _checked_payload(payload, given[payload], fargate=fargate)
    if "schedulingPriority" in given:
        between(given["schedulingPriority"], 0, 9999, "Scheduling priority must be between 0 and 9999.")
        props["schedulingPriority"] = given["schedulingPriority"]
    strategy = retry.checked(given.get("retryStrategy"))
    if strategy is not None:
        props["retryStrategy"] = strategy
    if "timeout" in given:
        check_timeout(given["timeout"])
        props["timeout"] = given["timeout"]
    if "consumableResourceProperties" in given:
        props["consumableResourceProperties"] = consumables(store, given["consumableResourceProperties"])
    for member in ("propagateTags", "platformCapabilities"):
        if member in given:
            props[member] = given[member]
    return props


def check_timeout(given: Json) -> None:
    """Raise `Invalid` for a timeout below a minute."""
    if given.get("attemptDurationSeconds", 60) < 60:
        raise Invalid("Timeout attemptDurationSeconds must be at least 60 seconds.")


def consumables(store: Store, given: Json) -> Json:
    """`consumableResourceProperties` as Describe returns them; raises `Invalid`."""
    listed: Sequence[Json] = given.get("consumableResourceList", [])
    if len(listed) > 5:
        raise Invalid("A maximum of 5 consumable resources is supported.")
    arns = [store.consumables.arn(one.get("consumableResource", "")) for one in listed]
    if len(set(arns)) < len(arns):
        raise Invalid("Duplicate consumable resources are not allowed.")
    if store.settings.consumable_resource_echo == "arn":
        listed = [{**one, "consumableResource": arn} for one, arn in zip(listed, arns, strict=True)]
    return {**given, "consumableResourceList": list(listed)}


def _payload(given: Json) -> str:
    payloads = [payload for payload in PAYLOADS if payload in given]
    if len(payloads) != 1:
        raise Invalid(f"Exactly one of {', '.join(PAYLOADS)} must be provided.")
    if (given["type"] == "multinode") != (payloads[0] == "nodeProperties"):
        raise Invalid(f"{payloads[0]} is not applicable for job definitions of type {given['type']}.")
    return payloads[0]


def _on_fargate(given: Json, payload: str) -> bool:
    capabilities: list[str] = given.get("platformCapabilities", [])
    if len(capabilities) > 1:
        raise Invalid("Only one platform capability is allowed.")
    if payload == "eksProperties":
        # terraform always sends `propagateTags: false`, and its definitions for EKS are registered
        for member in ("platformCapabilities", "propagateTags"):
            if given.get(member):
                raise Invalid(f"{member} is not applicable for EKS.")
    if payload == "nodeProperties" and capabilities == ["FARGATE"]:
        raise Invalid("nodeProperties is not applicable for Fargate.")
    return capabilities == ["FARGATE"]


def _checked_payload(payload: str, given: Json, *, fargate: bool) -> Json:
    if payload == "containerProperties":
        containers.check(given, fargate=fargate)
        return containers.filled(given, fargate=fargate)
    if payload == "ecsProperties":
        containers.check_tasks(given, fargate=fargate)
        return containers.filled_tasks(given, fargate=fargate)
    if payload == "eksProperties":
        pods.check(given)
        return pods.filled(given)
    return _checked_nodes(given)


def _checked_nodes(given: Json) -> Json:
    between(given["numNodes"], 1, 1000, "numNodes must be between 1 and 1000.")
    between(given["mainNode"], 0, given["numNodes"] - 1, "mainNode must be one of the nodes.")
    ranges: list[Json] = given["nodeRangeProperties"]
    if not 1 <= len(ranges) <= 5:
        raise Invalid("nodeRangeProperties must have between 1 and 5 entries.")
    covered: set[int] = set()
    filled: list[Json] = []
    for one in ranges:
        covered.update(_nodes(one["targetNodes"], given["numNodes"]))
        filled.append(_checked_range(one))
    if covered != set(range(given["numNodes"])):
        raise Invalid("The ranges of nodeRangeProperties must cover all nodes.")
    return {**given, "nodeRangeProperties": filled}


def _nodes(text: str, total: int) -> range:
    found = _NODES.fullmatch(text)
    if not text or found is None:
        raise Invalid(f"targetNodes {text} is not a valid range.")
    first = int(found[1] or 0)
    last = total - 1 if found[2] and found[3] is None else int(found[3] or first)
    if not first <= last < total:
        raise Invalid(f"targetNodes {text} is not a valid range.")
    return range(first, last + 1)


def _checked_range(given: Json) -> Json:
    payloads = [payload for payload in ("container", "ecsProperties", "eksProperties") if payload in given]
    if len(payloads) != 1:
        raise Invalid("A node range must have exactly one of container, ecsProperties and eksProperties.")
    if given.get("instanceTypes") and payloads != ["ecsProperties"]:
        raise Invalid("Using instanceTypes with nodeRangeProperty is only allowed for ecsProperties jobs.")
    payload = "containerProperties" if payloads == ["container"] else payloads[0]
    return {"instanceTypes": [], **given, payloads[0]: _checked_payload(payload, given[payloads[0]], fargate=False)}


def _detail(row: Row) -> Json:
    return {**row.props, "jobDefinitionArn": row.arn, "status": row.state, "tags": row.tags}
