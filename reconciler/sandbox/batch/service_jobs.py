"""Service jobs: SageMaker training jobs behind a queue of type SAGEMAKER_TRAINING.

Source: https://docs.aws.amazon.com/batch/latest/userguide/service-jobs.html
"""

from __future__ import annotations

import json
from fnmatch import fnmatchcase

from reconciler.sandbox.batch import job_events, jobs, outcomes, paging, retry, tags
from reconciler.sandbox.batch.messages import BatchError, Invalid, refusal
from reconciler.sandbox.batch.running import ENDED
from reconciler.sandbox.batch.settings import Outcome
from reconciler.sandbox.batch.store import Json, Row, Store
from reconciler.sandbox.batch.validate import NAME, between

TOKEN_KEPT = 8 * 3600
_ECHOED = (
    "jobName",
    "serviceJobType",
    "serviceRequestPayload",
    "schedulingPriority",
    "shareIdentifier",
    "quotaShareName",
    "preemptionConfiguration",
    "timeoutConfig",
)


def submit(store: Store, given: Json) -> Json:
    """SubmitServiceJob."""
    if not NAME.fullmatch(given["jobName"]):
        raise Invalid("Job name should match valid pattern")
    if len(given["serviceRequestPayload"]) > 10 * 1024 or len(json.dumps(given)) > 30 * 1024:
        raise Invalid("SubmitServiceJob payload must not exceed 30 KiB, of which serviceRequestPayload 10 KiB.")
    try:
        json.loads(given["serviceRequestPayload"])
    except ValueError:
        raise Invalid("serviceRequestPayload should be JSON.") from None
    between(given.get("schedulingPriority", 0), 0, 9999, "Scheduling priority must be between 0 and 9999.")
    queue = jobs.need_queue(store, given["jobQueue"])
    if queue.props.get("jobQueueType") != "SAGEMAKER_TRAINING":
        raise refusal("SubmitServiceJob is only supported for job queues of type SAGEMAKER_TRAINING.")
    jobs.check_share(store, queue, given)
    _check_quota_share(store, queue, given)
    strategy = retry.checked(given.get("retryStrategy"), service_job=True)
    first_tags = tags.checked(given.get("tags"))
    _check_token(store, given)
    props: Json = {"jobQueue": queue.arn, "attempts": [], "isTerminated": False, "startedAt": 0}
    props |= {member: given[member] for member in _ECHOED if member in given}
    if strategy is not None:
        props["retryStrategy"] = strategy
    row = store.service_jobs.add(store.new_id(), props, first_tags)
    row.status = "SUBMITTED"
    store.after(store.settings.job_to_runnable, lambda: _runnable(store, row))
    return {"jobArn": row.arn, "jobName": given["jobName"], "jobId": row.name}


def describe(store: Store, given: Json) -> Json:
    """DescribeServiceJob."""
    row = _need(store, given["jobId"])
    return {**_summary(row), **row.props, "tags": row.tags}


def list_all(store: Store, given: Json) -> Json:
    """ListServiceJobs of a queue."""
    if "jobQueue" not in given:
        raise Invalid("jobQueue is required.")
    queue = store.queues.find(given["jobQueue"])
    if queue is None:
        raise refusal(f"JobQueue {given['jobQueue']} not found.")
    rows = jobs.filtered([row for row in store.service_jobs if row.props["jobQueue"] == queue.arn], given)
    shown, token = paging.page(store, rows, given, newest_first=bool(given.get("filters")))
    return paging.reply("jobSummaryList", [_summary(row) for row in shown], token)


def terminate(store: Store, given: Json) -> Json:
    """TerminateServiceJob."""
    row = _need(store, given["jobId"])
    if row.status not in ENDED:
        row.props["isTerminated"] = True
        if row.status == "RUNNING":
            _record(store, row, given["reason"])
        _end(store, row, "FAILED", given["reason"])
    return {}


def terminate_many(store: Store, given: Json) -> Json:
    """TerminateServiceJobs."""
    return jobs.each(given, lambda job: terminate(store, {"jobId": job, "reason": given["reason"]}))


def update(store: Store, given: Json) -> Json:
    """UpdateServiceJob: changes the scheduling priority."""
    row = _need(store, given["jobId"])
    between(given["schedulingPriority"], 0, 9999, "Scheduling priority must be between 0 and 9999.")
    row.props["schedulingPriority"] = given["schedulingPriority"]
    return {"jobArn": row.arn, "jobName": row.props["jobName"], "jobId": row.name}


def _need(store: Store, job_id: str) -> Row:
    row = store.service_jobs.find(job_id)
    if row is None:
        raise refusal(f"ServiceJob {job_id} not found.")
    return row


def _check_quota_share(store: Store, queue: Row, given: Json) -> None:
    policy = store.policies.find(queue.props.get("schedulingPolicyArn", ""))
    managed = policy is not None and "quotaSharePolicy" in policy.props
    share = given.get("quotaShareName")
    if not managed:
        if share:
            raise refusal(
                "quotaShareName must not be specified for job queues without a quota share scheduling policy."
            )
        return
    if not share:
        raise refusal("quotaShareName is required for job queues with a quota share scheduling policy.")
    row = store.shares.find(f"{queue.arn}/quota-share/{share}")
    if row is None or row.state != "ENABLED":
        raise refusal(f"QuotaShare {share} is not able to accept jobs.")


def _check_token(store: Store, given: Json) -> None:
    token = given.get("clientToken")
    if token is None:
        return
    known = store.client_tokens.get(f"service-job/{token}")
    if known is not None and known[0] > store.now:
        raise BatchError("ClientException", 400, "A request with this clientToken has been received already.")
    store.client_tokens[f"service-job/{token}"] = (store.now + TOKEN_KEPT, {})


def _runnable(store: Store, row: Row) -> None:
    if row.status not in ENDED:
        _change(store, row, "RUNNABLE")
        attempt = len(row.props["attempts"])
        store.after(store.settings.job_to_starting, lambda: _scheduled(store, row, attempt))


def _scheduled(store: Store, row: Row, attempt: int) -> None:
    if _current(row, attempt):
        _change(store, row, "SCHEDULED")
        store.after(store.settings.service_job_to_running, lambda: _running(store, row, attempt))


def _running(store: Store, row: Row, attempt: int) -> None:
    if not _current(row, attempt):
        return
    row.props["startedAt"] = store.millis()
    _change(store, row, "RUNNING")
    script = next(
        (found for pattern, found in store.settings.outcomes.items() if fnmatchcase(row.props["jobName"], pattern)), ()
    )
    outcome = outcomes.of(script[min(attempt, len(script) - 1)]) if script else Outcome()
    store.after(outcome.seconds, lambda: _finished(store, row, attempt, outcome))


def _finished(store: Store, row: Row, attempt: int, outcome: Outcome) -> None:
    if not _current(row, attempt):
        return
    _record(store, row, outcome.status_reason)
    if retry.again(row.props.get("retryStrategy"), attempt + 1, outcome):
        _runnable(store, row)
        return
    _end(store, row, "SUCCEEDED" if outcome.exit_code == 0 else "FAILED", outcome.status_reason)


def _change(store: Store, row: Row, status: str, reason: str = "") -> None:
    row.status, row.reason = status, reason
    job_events.service_changed(store, row, lambda: describe(store, {"jobId": row.name}))


def _current(row: Row, attempt: int) -> bool:
    return row.status not in ENDED and len(row.props["attempts"]) == attempt


def _record(store: Store, row: Row, reason: str) -> None:
    training = f"arn:{store.partition}:sagemaker:{store.region}:{store.account}:training-job/{row.name}"
    attempt = {
        "serviceResourceId": {"name": "TrainingJobArn", "value": f"{training}-{len(row.props['attempts']) + 1}"},
        "startedAt": row.props["startedAt"],
        "stoppedAt": store.millis(),
        "statusReason": reason,
    }
    row.props["attempts"] = [*row.props["attempts"], attempt]
    row.props["latestAttempt"] = {"serviceResourceId": attempt["serviceResourceId"]}


def _end(store: Store, row: Row, status: str, reason: str) -> None:
    row.props["stoppedAt"] = store.millis()
    _change(store, row, status, reason)
    store.after(store.settings.job_kept, lambda: store.service_jobs.drop(row))


def _summary(row: Row) -> Json:
    kept = ("jobName", "serviceJobType", "shareIdentifier", "quotaShareName", "startedAt", "stoppedAt", "latestAttempt")
    return {
        "jobArn": row.arn,
        "jobId": row.name,
        "createdAt": int(row.created * 1000),
        "status": row.status,
        "isTerminated": row.props["isTerminated"],
        **{member: row.props[member] for member in kept if member in row.props},
        **({"statusReason": row.reason} if row.reason else {}),
    }
