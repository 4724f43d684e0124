"""Jobs as documents: what `jobs list` and `jobs show` print, as text and as JSON. Pure over what AWS describes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from reconciler.model import Environment
from reconciler.model.attempts import Cause, Ending, Retries, Verdict
from reconciler.operations.jobs import specs, streams
from reconciler.operations.jobs.desk import SERVICE_JOB, definition_of, kinds_that, last, seconds_between
from reconciler.operations.jobs.retry_report import Subject
from reconciler.operations.jobs.streams import Stream
from reconciler.operations.jobs.watch import over

# Members of a job that say how it ran
_RAN: Final = ("attempts", "eksAttempts", "container", "ecsProperties", "eksProperties")


def moment(millis: Any) -> str | None:
    """A time of AWS Batch as ``2026-01-31T12:00:00Z``."""
    if not millis:
        return None
    return datetime.fromtimestamp(millis / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def summary(job: Mapping[str, Any], queue: str) -> dict[str, Any]:
    """A job in a list."""
    array, nodes = job.get("arrayProperties") or {}, job.get("nodeProperties") or {}
    return {
        "job_id": job["jobId"],
        "job_name": job["jobName"],
        "queue": queue,
        "definition": last(job.get("jobDefinition", "")),
        "status": job["status"],
        "status_reason": job.get("statusReason") or None,
        "share": job.get("quotaShareName") or job.get("shareIdentifier"),
        "created_at": moment(job.get("createdAt")),
        "started_at": moment(job.get("startedAt")),
        "stopped_at": moment(job.get("stoppedAt")),
        "exit_code": (job.get("container") or {}).get("exitCode"),
        "reason": (job.get("container") or {}).get("reason"),
        "array": {"size": array["size"], "statuses": dict(array.get("statusSummary") or {})}
        if array.get("size")
        else None,
        "nodes": nodes.get("numNodes"),
    }


def whole(
    env: Environment,
    job: Mapping[str, Any],
    *,
    root: str,
    partition: str,
    region: str,
    main: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """A job with all its attempts; those of a multi-node job may be those of its ``main`` node."""
    ran = {**job, **{name: main[name] for name in _RAN if main.get(name)}} if main else job
    resource = definition_of(env, job.get("jobDefinition", ""))
    container = job.get("container") or {}
    found = summary(job, last(job.get("jobQueue", "")))
    attempts = ran.get("attempts") or ran.get("eksAttempts") or []
    located = _by_attempt(ran, partition, region)
    decided = decisions(env, ran, root)
    running = job["status"] in ("STARTING", "RUNNING")
    found |= {
        "job_arn": job.get("jobArn"),
        "address": str(resource.address) if resource else None,
        "cancelled": bool(job.get("isCancelled")),
        "terminated": bool(job.get("isTerminated")),
        "depends_on": [dict(one) for one in job.get("dependsOn") or ()],
        "parameters": dict(job.get("parameters") or {}),
        "image": container.get("image"),
        "command": container.get("command"),
        "environment": container.get("environment") or [],
        "resources": container.get("resourceRequirements") or [],
        "containers": [one.document for one in specs.of(job)],
        "attempts_allowed": (job.get("retryStrategy") or {}).get("attempts", 1),
        "timeout_seconds": (job.get("timeout") or job.get("timeoutConfig") or {}).get("attemptDurationSeconds"),
        "attempts": [
            {**_attempt(number, one), "logs": located.get(number, []), "decision": decided[number - 1]}
            for number, one in enumerate(attempts, start=1)
        ],
        "running": None,
    }
    if running:
        found["running"] = {
            "attempt": len(attempts) + 1,
            "started_at": moment(job.get("startedAt")) if job["status"] == "RUNNING" else None,
            **_place(_current(ran)),
            "logs": located.get(len(attempts) + 1, []),
        }
    return found


def _current(job: Mapping[str, Any]) -> Mapping[str, Any]:
    pod = (job.get("eksProperties") or {}).get("podProperties") or {}
    tasks = (job.get("ecsProperties") or {}).get("taskProperties")
    service = (job.get("latestAttempt") or {}).get("serviceResourceId")
    return {"container": job.get("container"), "taskProperties": tasks, "serviceResourceId": service, **pod}


def _attempt(number: int, attempt: Mapping[str, Any]) -> dict[str, Any]:
    ending = ending_of(attempt)
    listed = [(name, one) for name, one in streams.containers(attempt) if name]
    return {
        "attempt": number,
        "started_at": moment(attempt.get("startedAt")),
        "stopped_at": moment(attempt.get("stoppedAt")),
        "seconds": seconds_between(attempt),
        "exit_code": ending.exit_code,
        "reason": ending.reason,
        "status_reason": ending.status_reason,
        "containers": [
            {"name": name, "exit_code": one.get("exitCode"), "reason": one.get("reason")} for name, one in listed
        ],
        **_place(attempt),
    }


def _place(attempt: Mapping[str, Any]) -> dict[str, Any]:
    """Where it ran, as far as DescribeJobs says."""
    container = attempt.get("container") or next(iter(attempt.get("taskProperties") or ()), None) or {}
    interfaces = [one for _, each in streams.containers(attempt) for one in each.get("networkInterfaces") or ()]
    return {
        "task": container.get("taskArn"),
        "container_instance": container.get("containerInstanceArn"),
        "address": next((one.get("privateIpv4Address") for one in interfaces), None),
        "pod": attempt.get("podName"),
        "node": attempt.get("nodeName"),
        "resource": (attempt.get("serviceResourceId") or {}).get("value"),
    }


def _by_attempt(job: Mapping[str, Any], partition: str, region: str) -> dict[int, list[dict[str, Any]]]:
    """The log streams by the number of the attempt; a parent has none of its own."""
    found: dict[int, list[dict[str, Any]]] = {}
    for one in streams.of_job(job):
        if isinstance(one, Stream):
            url = streams.console_url(partition, one.region or region, one.group, one.name)
            entry = {"container": one.container or None, "group": one.group, "stream": one.name, "url": url}
            found.setdefault(one.attempt, []).append(entry)
    return found


def ending_of(attempt: Mapping[str, Any], cause: Cause | None = None) -> Ending:
    """How an attempt ended. Of several containers the first that failed counts; AWS does not document which does."""
    listed = [one for _, one in streams.containers(attempt)]
    failed = [one for one in listed if one.get("exitCode") != 0]
    one: Mapping[str, Any] = next(iter((*failed, *listed)), {})
    return Ending(
        exit_code=one.get("exitCode"),
        reason=one.get("reason"),
        status_reason=attempt.get("statusReason"),
        cause=cause,
    )


def decisions(env: Environment, job: Mapping[str, Any], root: str) -> list[dict[str, Any] | None]:
    """For each attempt what became of the job, and the rule that decided: AWS does not report it, so the rules are
    applied to what it reports. ``as_expected`` is false where AWS did otherwise.
    """
    attempts: Sequence[Mapping[str, Any]] = job.get("attempts") or job.get("eksAttempts") or []
    kind = next(iter(kinds_that("retries")), None)
    if kind is None or kind.retries is None or job.get(SERVICE_JOB):  # whose rules are of another kind
        return [None] * len(attempts)
    retries = kind.retries(job)
    of = _declared(env, job, retries, root)
    found: list[dict[str, Any] | None] = []
    for number, attempt in enumerate(attempts, start=1):
        final = number == len(attempts) and over(job)
        stopped = final and (job.get("isTerminated") or job.get("isCancelled"))
        ending = ending_of(attempt, Cause.terminated if stopped else None)
        decision = retries.decide(ending, number)
        happened = _happened(job, final=final)
        found.append(
            {
                "decision": happened.value,
                "entry": decision.entry,
                "because": decision.because,
                "assumptions": list(decision.assumed),
                "source": (of.source(decision.entry) if of else "") or None,
                "as_expected": decision.verdict is happened,
            }
        )
    return found


def _happened(job: Mapping[str, Any], *, final: bool) -> Verdict:
    if not final:
        return Verdict.RETRY
    return Verdict.SUCCEEDED if job["status"] == "SUCCEEDED" else Verdict.EXIT


def _declared(env: Environment, job: Mapping[str, Any], retries: Retries, root: str) -> Subject | None:
    """The declared definition with the rules of the job, for the places of its entries."""
    resource = definition_of(env, job.get("jobDefinition", ""))
    if resource is None:
        return None
    rules = retries.rules
    same = _plain(_at(resource.props, rules)) == _plain(_at(job, rules))
    return Subject(resource, retries, root, submitted=not same)


def _at(value: Any, path: Iterable[Any]) -> Any:
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _plain(entries: Any) -> list[dict[str, str]]:
    """The entries as texts: AWS returns actions in lower case."""
    listed = entries if isinstance(entries, list | tuple) else []
    return [
        {name: str(value).lower() if name == "action" else str(value) for name, value in one.items()} for one in listed
    ]
