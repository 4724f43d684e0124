"""Why the jobs of a definition fail or do not start, with what its retry rules made of their attempts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from reconciler.kinds.batch._diagnosis import access, causes, facts, failures, jobs
from reconciler.kinds.batch._diagnosis.facts import Attempt
from reconciler.kinds.batch.job_definition import retry_rules
from reconciler.model import Json
from reconciler.model.attempts import Cause
from reconciler.model.diagnosis import Diagnoser, Ended


def retried(job: Json, attempts: Sequence[Attempt]) -> tuple[Ended, ...]:
    """What the retry rules made of each attempt."""
    pod, found = facts.is_eks(job), []
    for one in attempts:
        ending = one.ending
        if one is attempts[-1] and (ended := _by_request(job)) is not None:
            ending = replace(ending, cause=ended)
        decision = retry_rules.decide(job.get("retryStrategy"), ending, one.number, containers=max(1, len(one.reasons)))
        cause = failures.of_attempt(one, pod=pod)
        found.append(
            Ended(
                number=one.number,
                ending=ending,
                cause=cause.id if one.exit_code != 0 or one.reasons else causes.NONE,
                verdict=decision.verdict.value,
                because=decision.because,
                entry=decision.entry,
                assumed=decision.assumed,
            )
        )
    return tuple(found)


def _by_request(job: Json) -> Cause | None:
    if retry_rules.cause_of(job.get("statusReason")) is not None:
        return None
    return (
        Cause.terminated
        if job.get("isTerminated") is True
        else Cause.cancelled
        if job.get("isCancelled") is True
        else None
    )


DIAGNOSIS: Final = Diagnoser(
    noun=jobs.JOB,
    by_name=partial(jobs.of_definition, retried=retried),
    by_id=partial(jobs.by_id, retried=retried),
    ids=jobs.IDS,
    permissions=access.OF_JOBS,
)
