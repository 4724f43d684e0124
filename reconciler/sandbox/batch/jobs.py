"""Jobs: submitting, describing, listing and stopping them.

Source: https://docs.aws.amazon.com/batch/latest/APIReference/API_SubmitJob.html and API_ListJobs.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from reconciler.sandbox.batch import job_definitions, job_detail, job_needs, overrides, paging, retry, running, tags
from reconciler.sandbox.batch.messages import BatchError, Invalid, refusal
from reconciler.sandbox.batch.store import Json, Row, Run, Store
from reconciler.sandbox.batch.validate import NAME, between


def submit(store: Store, given: Json) -> Json:
    """SubmitJob, with array children and nodes."""
    if not NAME.fullmatch(given["jobName"]):
        raise Invalid("Job name should match valid pattern")
    if len(json.dumps(given)) > 30 * 1024:
        raise Invalid("SubmitJob payload must not exceed 30 KiB.")
    queue = need_queue(store, given["jobQueue"])
    if queue.props.get("jobQueueType") == "SAGEMAKER_TRAINING":
        raise refusal("SubmitJob is not supported for job queues of type SAGEMAKER_TRAINING.")
    check_share(store, queue, given)
    definition = job_definitions.latest_active(store, given["jobDefinition"])
    props = _props(store, given, queue, definition)
    job_tags = tags.checked(given.get("tags"))
    row = _add(store, props, job_tags)
    _wait(store, row, [one["jobId"] for one in given.get("dependsOn", []) if one.get("type") is None])
    if "size" in props.get("arrayProperties", {}):
        _add_children(store, row, given.get("dependsOn", []))
    if "nodeProperties" in props:
        _add_nodes(store, row)
    running.begin(store, row)
    return {"jobArn": row.arn, "jobName": given["jobName"], "jobId": row.name}


def describe(store: Store, given: Json) -> Json:
    """DescribeJobs."""
    paging.limit_names(given["jobs"], "jobs")
    found = (store.jobs.find(job) for job in dict.fromkeys(given["jobs"]))
    rows = paging.in_order(store, (row for row in found if row is not None))
    return {"jobs": [job_detail.detail(store, row) for row in rows]}


def list_jobs(store: Store, given: Json) -> Json:
    """ListJobs of a queue, an array or a multi-node job."""
    selectors = [one for one in ("jobQueue", "arrayJobId", "multiNodeJobId") if given.get(one)]
    if len(selectors) != 1:
        raise Invalid("Exactly one of jobQueue, arrayJobId and multiNodeJobId must be provided.")
    if "jobQueue" in given:
        queue = store.queues.find(given["jobQueue"])
        if queue is None:
            raise refusal(f"JobQueue {given['jobQueue']} not found.")
        rows = [row for row in store.jobs if row.props["jobQueue"] == queue.arn and "parent" not in row.props]
    else:
        parent = given[selectors[0]]
        rows = [row for row in store.jobs if row.props.get("parent") == parent]
    filters = given.get("filters", [])
    rows = filtered(rows, given)
    limit = 100 if filters else 1000
    shown, token = paging.page(store, rows, given, limit=limit, newest_first=bool(filters))
    return paging.reply("jobSummaryList", [_summary(row) for row in shown], token)


def cancel(store: Store, given: Json) -> Json:
    """CancelJob: no error for a job that does not exist."""
    _check_reason(given)
    row = store.jobs.find(given["jobId"])
    if row is not None:
        running.cancel(store, row, given["reason"])
    return {}


def terminate(store: Store, given: Json) -> Json:
    """TerminateJob: no error for a job that does not exist."""
    _check_reason(given)
    row = store.jobs.find(given["jobId"])
    if row is not None:
        running.terminate(store, row, given["reason"])
    return {}


def cancel_many(store: Store, given: Json) -> Json:
    """CancelJobs."""
    return each(given, lambda job: cancel(store, {"jobId": job, "reason": given["reason"]}))


def terminate_many(store: Store, given: Json) -> Json:
    """TerminateJobs."""
    return each(given, lambda job: terminate(store, {"jobId": job, "reason": given["reason"]}))


def each(given: Json, action: Any) -> Json:
    """The reply of the plural operations: one failure does not stop the rest."""
    if not 1 <= len(given["jobs"]) <= 50:
        raise Invalid("jobs should have between 1 and 50 entries.")
    _check_reason(given)
    successful: list[str] = []
    errors: list[Json] = []
    for job in given["jobs"]:
        try:
            action(job)
        except BatchError as error:
            errors.append({"job": job, "code": error.code, "message": error.message})
        else:
            successful.append(job)
    return {"successful": successful, "errors": errors}


def need_queue(store: Store, wanted: str) -> Row:
    """The queue, if it accepts jobs; raises `BatchError`."""
    queue = store.queues.find(wanted)
    if queue is None:
        raise refusal(f"JobQueue {wanted} not found.")
    if queue.state != "ENABLED" or queue.status not in ("VALID", "UPDATING"):
        raise refusal(f"JobQueue {wanted} is not able to accept jobs: it must be ENABLED and VALID.")
    return queue


def check_share(store: Store, queue: Row, given: Json) -> None:
    """Raise `BatchError` unless the job has a share identifier exactly if the queue has a fair-share policy."""
    arn = queue.props.get("schedulingPolicyArn")
    policy = store.policies.find(arn) if arn else None
    fair = policy is not None and "quotaSharePolicy" not in policy.props
    if fair and not given.get("shareIdentifier"):
        raise refusal("shareIdentifier is required for job queues with a fair-share scheduling policy.")
    if not fair and given.get("shareIdentifier"):
        raise refusal("shareIdentifier must not be specified for job queues without a fair-share scheduling policy.")


def filtered(rows: Sequence[Row], given: Json) -> list[Row]:
    """The rows that match the request's status and filter; raises `Invalid`."""
    filters: Sequence[Json] = given.get("filters", [])
    if len(filters) > 1:
        raise Invalid("Only one filter can be used at a time.")
    status = given.get("jobStatus", "RUNNING")
    if not filters:
        return [row for row in rows if row.status == status]
    kind, values = filters[0].get("name"), filters[0].get("values", [])
    if kind not in _FILTERS:
        raise Invalid(f"Filter {kind} is not valid.")
    by_share = kind in ("SHARE_IDENTIFIER", "QUOTA_SHARE_NAME") and "jobStatus" in given
    rows = [row for row in rows if not by_share or row.status == status]
    return [row for row in rows if any(_FILTERS[kind](row, value) for value in values)]


def glob(pattern: str, text: str) -> bool:
    """How filters match names: ignoring case, with an asterisk at the end only."""
    pattern, text = pattern.lower(), text.lower()
    return text.startswith(pattern[:-1]) if pattern.endswith("*") else text == pattern


def _by_definition(row: Row, value: str) -> bool:
    """The only case-sensitive filter; an ARN matches the revision in it."""
    arn: str = row.props.get("jobDefinition", "")
    if value.startswith("arn:"):
        return value in (arn, arn.rsplit(":", 1)[0])
    name = arn.rsplit("/", 1)[-1].rsplit(":", 1)[0]
    return name.startswith(value[:-1]) if value.endswith("*") else name == value


_FILTERS: Mapping[str | None, Any] = {
    "JOB_NAME": lambda row, value: glob(value, row.props["jobName"]),
    "JOB_DEFINITION": _by_definition,
    "BEFORE_CREATED_AT": lambda row, value: value.isdigit() and row.created * 1000 < int(value),
    "AFTER_CREATED_AT": lambda row, value: value.isdigit() and row.created * 1000 > int(value),
    "SHARE_IDENTIFIER": lambda row, value: row.props.get("shareIdentifier") == value,
    "QUOTA_SHARE_NAME": lambda row, value: row.props.get("quotaShareName") == value,
}


def _check_reason(given: Json) -> None:
    if not 1 <= len(given["reason"]) <= 1024:
        raise Invalid("Reason should be between 1 and 1024 characters.")


def _props(store: Store, given: Json, queue: Row, definition: Row) -> Json:
    declared = definition.props
    props: Json = {
        "jobName": given["jobName"],
        "jobQueue": queue.arn,
        "jobDefinition": definition.arn,
        "parameters": {**declared["parameters"], **given.get("parameters", {})},
        "attempts": [],
        "isCancelled": False,
        "isTerminated": False,
        "dependsOn": _dependencies(store, given),
        "platformCapabilities": declared.get("platformCapabilities", []),
        "propagateTags": given.get("propagateTags", declared.get("propagateTags", False)),
    }
    if props["propagateTags"]:
        props["_inherited_tags"] = dict(definition.tags)
    strategy = retry.checked(given.get("retryStrategy")) or declared.get("retryStrategy")
    if strategy is not None:
        props["retryStrategy"] = strategy
    timeout = given.get("timeout", declared.get("timeout"))
    if timeout is not None:
        job_definitions.check_timeout(timeout)
        props["timeout"] = timeout
    if "shareIdentifier" in given:
        props["shareIdentifier"] = given["shareIdentifier"]
        props["schedulingPriority"] = _priority(given, declared)
    consumables = given.get("consumableResourcePropertiesOverride", declared.get("consumableResourceProperties"))
    if consumables is not None:
        props["consumableResourceProperties"] = job_definitions.consumables(store, consumables)
    props |= {"_overrides_too_long": True} if overrides.too_long(given) else {}
    return {**props, **overrides.payload(given, declared), **_array(given, declared)}


def _priority(given: Json, declared: Json) -> int:
    priority = int(given.get("schedulingPriorityOverride") or declared.get("schedulingPriority") or 0)
    between(priority, 0, 9999, "Scheduling priority must be between 0 and 9999.")
    return priority


def _dependencies(store: Store, given: Json) -> list[Json]:
    listed: list[Json] = given.get("dependsOn", [])
    if len(listed) > 20:
        raise Invalid("A maximum of 20 dependencies is supported.")
    size = given.get("arrayProperties", {}).get("size")
    for one in listed:
        if one.get("type") is not None and size is None:
            raise Invalid(f"Dependencies of type {one['type']} are for array jobs only.")
        if one.get("type") == "SEQUENTIAL":
            continue
        needed = store.jobs.find(one.get("jobId", ""))
        if needed is None:
            raise refusal(f"Job {one.get('jobId')} of dependsOn not found.")
        if one.get("type") == "N_TO_N" and needed.props.get("arrayProperties", {}).get("size") != size:
            raise Invalid(f"Job {one['jobId']} of an N_TO_N dependency must be an array of the same size, {size}.")
    return listed


def _array(given: Json, declared: Json) -> Json:
    size = given.get("arrayProperties", {}).get("size")
    if size is None:
        return {}
    if "nodeProperties" in declared:
        raise Invalid("arrayProperties is not applicable for multi-node jobs.")
    between(size, 2, 10000, "Array size must be between 2 and 10000.")
    return {"arrayProperties": {"size": size}}


def _run(props: Json) -> Run:
    fargate = "FARGATE" in props["platformCapabilities"]
    platform = "EKS" if "eksProperties" in props else "FARGATE" if fargate else "ECS"
    listed = props.get("consumableResourceProperties", {}).get("consumableResourceList", [])
    wanted = tuple((one.get("consumableResource", ""), int(one.get("quantity", 0))) for one in listed)
    needs = job_needs.of(props)
    return Run(sum(one.vcpus for one in needs), platform, "nodeProperties" in props, needs, wanted)


def _add(store: Store, props: Json, job_tags: dict[str, str], *, job_id: str | None = None) -> Row:
    row = store.jobs.add(job_id or store.new_id(), props, job_tags)
    store.runs[row.name] = _run(props)
    return row


def _add_children(store: Store, row: Row, depends_on: Sequence[Json]) -> None:
    """Array children: `N_TO_N` waits for the same index of another array, `SEQUENTIAL` for the index before."""
    family = store.runs[row.name].children
    for index in range(row.props["arrayProperties"]["size"]):
        props = {**row.props, "parent": row.name, "arrayProperties": {"index": index}, "attempts": []}
        child = _add(store, props, {}, job_id=f"{row.name}:{index}")
        child.status = "SUBMITTED"
        for one in depends_on:
            if one.get("type") == "N_TO_N":
                _wait(store, child, [f"{one['jobId']}:{index}"])
            elif one.get("type") == "SEQUENTIAL" and index:
                _wait(store, child, [f"{row.name}:{index - 1}"])
        family.append(child.name)
    store.runs[row.name].open = len(family)


def _wait(store: Store, row: Row, needed: Sequence[str]) -> None:
    for job in needed:
        store.runs[row.name].waits_for.add(job)
        store.waiters.setdefault(job, []).append(row.name)


def _add_nodes(store: Store, row: Row) -> None:
    main = row.props["nodeProperties"]["mainNode"]
    family = store.runs[row.name].children
    for index in range(row.props["nodeProperties"]["numNodes"]):
        node = {"nodeIndex": index, "isMainNode": index == main}
        props = {key: value for key, value in row.props.items() if key != "nodeProperties"}
        props |= {"parent": row.name, "parent_node": True, "nodeDetails": node}
        props |= job_needs.node_payload(row.props["nodeProperties"], index)
        child = store.jobs.add(f"{row.name}#{index}", props, {})
        store.runs[child.name] = Run()
        child.status = "SUBMITTED"
        family.append(child.name)


def _summary(row: Row) -> Json:
    kept = ("jobName", "jobDefinition", "startedAt", "stoppedAt", "shareIdentifier", "isCancelled", "isTerminated")
    summary: Json = {
        "jobArn": row.arn,
        "jobId": row.name,
        "createdAt": int(row.created * 1000),
        "status": row.status,
        **{member: row.props[member] for member in kept if member in row.props},
        **({"statusReason": row.reason} if row.reason else {}),
    }
    seen = row.props.get("container", {})
    container = {member: seen[member] for member in ("exitCode", "reason") if member in seen}
    if container:
        summary["container"] = container
    if "arrayProperties" in row.props:
        summary["arrayProperties"] = row.props["arrayProperties"]
    if "nodeProperties" in row.props:
        summary["nodeProperties"] = {"numNodes": row.props["nodeProperties"]["numNodes"]}
    if "nodeDetails" in row.props:
        summary["nodeProperties"] = row.props["nodeDetails"]
    return summary
