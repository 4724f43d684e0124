"""What AWS Batch sends to EventBridge: changes of a job's state after SUBMITTED, and queues that are blocked. It sends
nothing about compute environments.

Source: https://docs.aws.amazon.com/eventbridge/latest/ref/events-ref-batch.html,
https://docs.aws.amazon.com/batch/latest/userguide/batch_job_events.html,
https://docs.aws.amazon.com/batch/latest/userguide/batch-job-queue-blocked-events.html and
https://docs.aws.amazon.com/batch/latest/userguide/batch-service-job-events.html
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial

from reconciler.sandbox.batch import job_detail
from reconciler.sandbox.batch.store import Json, Row, Store


def changed(store: Store, row: Row) -> None:
    """The job has another state."""
    store.surroundings.announce("Batch Job State Change", [row.arn], partial(_detail, store, row), store.now)


def blocked(store: Store, row: Row) -> None:
    """The first job of a queue is RUNNABLE and cannot start, for the reason in its `statusReason`."""
    resources = [row.arn, row.props["jobQueue"]]
    store.surroundings.announce("Batch Job Queue Blocked", resources, partial(_detail, store, row), store.now)


def service_changed(store: Store, row: Row, detail: Callable[[], Json]) -> None:
    """The service job has another state; its event lacks the tags and the payload of its request."""

    def without() -> Json:
        return {name: value for name, value in detail().items() if name not in ("tags", "serviceRequestPayload")}

    store.surroundings.announce("Batch Service Job State Change", [row.arn], without, store.now)


def _detail(store: Store, row: Row) -> Json:
    """As DescribeJobs has it, with the ARN among the tags."""
    found = copy.deepcopy(job_detail.detail(store, row))
    return {**found, "tags": {"resourceArn": row.arn, **row.tags}}
