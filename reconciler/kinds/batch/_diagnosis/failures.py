"""Why an attempt or a job FAILED, from what AWS said of it: pure.

AWS Batch's own words come first, then what Amazon ECS says of the task and its containers, then the log; an exit code
decides only where none of them does. A timed-out job may show exit code 137, and so may a reclaimed one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from reconciler.kinds.batch._diagnosis import causes
from reconciler.kinds.batch._diagnosis.causes import Row
from reconciler.kinds.batch._diagnosis.facts import Attempt
from reconciler.model import Json
from reconciler.model.diagnosis import Certainty, Evidence
from reconciler.model.records import dataclass

JOBS: Final = "batch:DescribeJobs"
LOGS: Final = "logs:GetLogEvents"
TASKS: Final = "ecs:DescribeTasks"
#: The most characters of a reason in AWS Batch's replies.
LONGEST: Final = 255
# What AWS Batch says itself, whoever ended the job
SAID: Final = frozenset({"timeout", "time-limit-action", "dependency-failed", "array-child-failed", "bad-submit"})
_NO_REASON: Final = "AWS gives neither a reason nor an exit code."
_NO_START: Final = "The container was never started, and AWS gives no reason."
_ZERO: Final = "The job failed although its program ended with exit code 0; AWS gives no reason."


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A cause with the evidence for it; ``row`` is None where nothing is known, and ``says`` then has what is seen."""

    row: Row | None
    evidence: tuple[Evidence, ...]
    says: str

    @property
    def id(self) -> str:
        """The id of the cause."""
        return self.row.id if self.row else causes.UNKNOWN

    @property
    def sure(self) -> bool:
        """Whether nothing else needs to be read."""
        return self.row is not None and self.row.certainty is Certainty.certain and self.id != causes.UNKNOWN


def of_job(job: Json, attempt: Attempt | None, log: Sequence[str] = (), *, pod: bool = False) -> Found:
    """Why the job ended, with its last attempt, if it had one, and the last lines of that attempt's log."""
    said = str(job.get("statusReason") or "")
    place = "pod" if pod else "task"
    own = _matched(place, [("statusReason", said)])
    if own is not None and own.id in SAID:
        return own
    for member, cause in (("isTerminated", "terminated"), ("isCancelled", "cancelled")):
        if job.get(member) is True:
            row = causes.row(cause)
            evidence = Evidence(call=JOBS, field="statusReason", value=said) if said else None
            seen = (Evidence(call=JOBS, field=member, value=True), *([evidence] if evidence else []))
            return Found(row=row, evidence=seen, says=row.says)
    if attempt is not None:
        found = of_attempt(attempt, log, pod=pod)
        by_text = found.row is not None and found.id != causes.UNKNOWN and not found.row.exits
        if by_text or own is None or own.id == causes.UNKNOWN:
            return found
    return own or _nothing(said, None)


def of_attempt(attempt: Attempt, log: Sequence[str] = (), *, pod: bool = False) -> Found:
    """Why an attempt ended."""
    where = f"attempts[{attempt.number - 1}]." if attempt.listed else ""
    texts = [(f"{where}{name}", text) for name, text in attempt.texts]
    found = _matched("pod" if pod else "task", texts)
    if found is not None and found.id != causes.UNKNOWN:
        return found
    lines = _matched("log", [("message", line) for line in log], LOGS, attempt.exit_code)
    if lines is not None:
        return lines
    if found is not None:
        return found
    code = attempt.exit_code
    row = causes.of_exit(code) if code else None
    if row is None or _never_started(attempt):
        return _nothing(attempt.status_reason, code, where)
    evidence = [Evidence(call=JOBS, field=f"{where}container.exitCode", value=code)]
    if attempt.status_reason:
        evidence.append(Evidence(call=JOBS, field=f"{where}statusReason", value=attempt.status_reason))
    evidence += [Evidence(call=LOGS, field="message", value=line) for line in log[-3:]]
    says = row.says if row.id != "app-exit" else f"The program ended with exit code {code}."
    return Found(row=row, evidence=tuple(evidence), says=says)


def cut(attempt: Attempt) -> bool:
    """Whether a reason may have been cut off, so that Amazon ECS may have more of it."""
    return any(len(text) >= LONGEST or text.endswith("...") for _, text in attempt.reasons)


def of_task(texts: Iterable[tuple[str, str]]) -> Found | None:
    """The cause by what Amazon ECS itself says of a task, which is not cut off."""
    found = _matched("task", texts, TASKS)
    return found if found is not None and found.id != causes.UNKNOWN else None


def _matched(place: str, texts: Iterable[tuple[str, str]], call: str = JOBS, code: int | None = None) -> Found | None:
    found = causes.match(place, texts, code)
    if found is None:
        return None
    row, name, text = found
    return Found(row=row, evidence=(Evidence(call=call, field=name, value=text),), says=row.says)


def _never_started(attempt: Attempt) -> bool:
    return attempt.status_reason.lower().startswith("task failed to start")


def _nothing(status_reason: str, code: int | None, where: str = "") -> Found:
    says = _NO_START if status_reason.lower().startswith("task failed to start") else _NO_REASON
    says = _ZERO if code == 0 else says
    seen = (Evidence(call=JOBS, field=f"{where}statusReason", value=status_reason),) if status_reason else ()
    return Found(row=None, evidence=seen, says=says)
