"""Lists the jobs of queues with few calls.

ListJobs takes a status or one filter, not both. A filter for the time finds jobs of any status, newest first, a hundred
a page: so the newest jobs of a queue cost one call. A status has a thousand a page, in no documented order, and names
come in groups: of these every page is read, within a limit, and what else is asked for is filtered here.

https://docs.aws.amazon.com/batch/latest/APIReference/API_ListJobs.html
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, Final

from reconciler.model import Json
from reconciler.model.records import dataclass
from reconciler.operations.jobs import shown
from reconciler.operations.jobs.desk import OPEN, SCHEDULED, Desk, last

BEGINNING: Final = "1"  # milliseconds since 1970: before any job
MOST_PAGES: Final = 20  # of one list that are read
_AFTER: Final = "AFTER_CREATED_AT"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which jobs: of these queues (by name or ARN), with one of these statuses, a name (``*`` at its end stands for the
    rest), created after ``since`` (milliseconds); at most ``most`` of each queue.
    """

    queues: tuple[str, ...]
    statuses: tuple[str, ...] = ()
    name: str | None = None
    since: int | None = None
    most: int = 100

    def takes(self, job: Json) -> bool:
        """Whether a job is wanted."""
        if self.statuses and job["status"] not in self.statuses:
            return False
        if self.name and not fnmatchcase(job["jobName"].lower(), self.name.lower()):
            return False
        return self.since is None or job.get("createdAt", 0) >= self.since


@dataclass(frozen=True, slots=True)
class Listing:
    """The jobs that were found, newest first; ``cut``: of some queue there are more."""

    jobs: tuple[dict[str, Any], ...]
    cut: bool


def listing(desk: Desk, wanted: Wanted) -> Listing:
    """The jobs with the counts of arrays. Raises Problems."""
    found: list[tuple[str, Json]] = []
    cut = False
    for queue in wanted.queues:
        fitting: list[Json] = []
        for params in _requests(desk, queue, wanted):
            some, left = _read(desk, queue, params, wanted)
            fitting, cut = fitting + some, cut or left
        fitting.sort(key=lambda job: -job.get("createdAt", 0))
        cut = cut or len(fitting) > wanted.most
        found += [(queue, job) for job in fitting[: wanted.most]]
    found.sort(key=lambda each: -each[1].get("createdAt", 0))
    counted = _counted(desk, [job for _, job in found])
    return Listing(tuple(shown.summary(job, last(queue)) for (queue, _), job in zip(found, counted, strict=True)), cut)


def _read(desk: Desk, queue: str, params: Mapping[str, Any], wanted: Wanted) -> tuple[list[Json], bool]:
    """The wanted jobs of one list, and whether there may be more."""
    found: list[Json] = []
    in_order = _in_order(params)
    for number, (jobs, left) in enumerate(desk.pages(jobQueue=queue, **params), start=1):
        found += filter(wanted.takes, jobs)
        if not left:
            break
        if number == MOST_PAGES or (in_order and len(found) >= wanted.most):
            return found, True
    return found, False


def _in_order(params: Mapping[str, Any]) -> bool:
    """Whether the newest jobs come first."""
    return any(one["name"] == _AFTER for one in params.get("filters", ()))


def _requests(desk: Desk, queue: str, wanted: Wanted) -> Iterator[dict[str, Any]]:
    if wanted.name:
        yield {"filters": [{"name": "JOB_NAME", "values": [wanted.name]}]}
    elif wanted.statuses:
        for status in _of_queue(desk, queue, wanted.statuses):
            yield {"jobStatus": status}
    else:
        beginning = BEGINNING if wanted.since is None else str(max(wanted.since - 1, 1))
        yield {"filters": [{"name": _AFTER, "values": [beginning]}]}


def _counted(desk: Desk, jobs: Sequence[Json]) -> Iterable[Json]:
    """The jobs, arrays with how many of their children have which status: the list does not always say."""
    unknown = [job["jobId"] for job in jobs if _size(job) and not job["arrayProperties"].get("statusSummary")]
    details = desk.describe(unknown) if unknown else {}
    for job in jobs:
        array = details.get(job["jobId"], {}).get("arrayProperties")
        yield {**job, "arrayProperties": array} if array else job


def _size(job: Json) -> int:
    return int((job.get("arrayProperties") or {}).get("size") or 0)


def open_jobs(desk: Desk, queue: str) -> list[Json]:
    """Every job of a queue that has not ended."""
    statuses = _of_queue(desk, queue, OPEN)
    return [job for status in statuses for job in desk.list(jobQueue=queue, jobStatus=status)]


def _of_queue(desk: Desk, queue: str, statuses: Iterable[str]) -> list[str]:
    """Those of the statuses that jobs of a queue can have."""
    found = desk.queue_of(queue)
    return [one for one in statuses if one != SCHEDULED or (found is not None and found.of_services)]
