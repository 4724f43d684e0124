"""The account's Batch resources, and their future events.

Nothing runs in the background: `Store.settle` brings the account up to the present by running, in order, the events
that are due. During an event `Store.now` is the time it was due at, so that what follows from it is timed from there,
however late the next request is.
"""

from __future__ import annotations

import heapq
import random
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import field
from itertools import count
from typing import Any

from reconciler.model.records import dataclass
from reconciler.sandbox.batch.messages import exists, missing
from reconciler.sandbox.batch.settings import Settings
from reconciler.sandbox.batch.surroundings import Interface, Log, Machine, Surroundings
from reconciler.sandbox.clock import Clock

Json = dict[str, Any]

SETTLED = frozenset({"VALID", "INVALID"})


@dataclass
class Row:
    """One resource. `props` has what Describe returns in addition to the members below, with defaults, normalised."""

    name: str
    arn: str
    props: Json
    tags: dict[str, str]
    number: int
    created: float
    state: str = ""
    status: str = ""
    reason: str = ""

    @property
    def gone(self) -> bool:
        """Whether it is deleted, although it may still be described."""
        return self.status == "DELETED"

    @property
    def busy(self) -> bool:
        """Whether it is being created, updated or deleted."""
        return self.status not in SETTLED


@dataclass(frozen=True)
class Need:
    """What a job, or one of its nodes, takes of a host; ``memory`` in MiB."""

    vcpus: float = 1
    memory: float = 0
    gpus: int = 0
    types: tuple[str, ...] = ()
    """The only instance types that may be used; empty: any."""


@dataclass
class Host:
    """An EC2 instance of an environment."""

    id: str
    environment: str
    machine: Machine
    subnet: str
    zone: str
    memory: int = 0
    """What it registers with its cluster, in MiB."""
    launched: float = 0
    container_instance: str = ""
    spot: bool = False
    efa: bool = False
    """Whether it was launched with an Elastic Fabric Adapter."""
    old: bool = False
    """From before an infrastructure update: takes no new jobs."""
    joins: bool = True
    joined: bool = False
    idle_since: float = 0
    jobs: dict[str, Need] = field(default_factory=dict)
    """By job id, or `JOB#NODE`."""
    vcpus_left: float = 0
    memory_left: float = 0
    gpus_left: int = 0

    def room(self, need: Need) -> bool:
        """Whether the need fits beside the jobs that it has."""
        return (
            need.vcpus <= self.vcpus_left
            and need.memory <= self.memory_left
            and need.gpus <= self.gpus_left
            and (not need.types or self.machine.name in need.types)
        )

    def take(self, job: str, need: Need) -> None:
        """A job is placed on it."""
        self.jobs[job] = need
        self._count(need, -1)

    def give_back(self, job: str) -> None:
        """A job has left it."""
        self._count(self.jobs.pop(job), 1)

    def _count(self, need: Need, sign: int) -> None:
        self.vcpus_left += sign * need.vcpus
        self.memory_left += sign * need.memory
        self.gpus_left += sign * need.gpus


@dataclass
class Activity:
    """A scaling activity of an environment's Auto Scaling group."""

    id: str
    at: float
    machine: str
    subnet: str
    zone: str
    instance: str = ""
    failure: str = ""
    ended: str = ""
    """Why the instance was taken out of service, if it was; of a launch nothing."""


@dataclass
class Task:
    """An ECS task: one attempt of a job, or of one of its nodes."""

    arn: str
    cluster: str
    job: str
    definition: str
    created: float
    host: str = ""
    container_instance: str = ""
    interface: Interface | None = None
    started: float | None = None
    stopped: float | None = None
    stop_code: str = ""
    stopped_reason: str = ""
    containers: list[Json] = field(default_factory=list)
    """Name, and once it has stopped `exitCode` and `reason`."""
    logs: dict[str, Log] = field(default_factory=dict)
    """Where each container writes, by its name."""


@dataclass
class Run:
    """A job until it ends: what it requires, where it runs, which of its events are still valid."""

    vcpus: float = 1
    """Of all its nodes."""
    platform: str = "ECS"
    multinode: bool = False
    needs: tuple[Need, ...] = ()
    """What each host must offer: one for most jobs, one per node for a multi-node job."""
    consumables: tuple[tuple[str, int], ...] = ()
    environment: str | None = None
    hosts: list[str] = field(default_factory=list)
    """The instances of the current attempt, node by node."""
    tasks: list[str] = field(default_factory=list)
    """The ECS tasks of the current attempt, the main node's first."""
    waiting_since: float = 0
    turn: int = 0
    """Increased by changes that invalidate earlier events of the job."""
    started: int | None = None
    dead: set[str] = field(default_factory=set)
    """The child nodes that have failed in the current attempt."""
    waits_for: set[str] = field(default_factory=set)
    children: list[str] = field(default_factory=list)
    open: int = 0
    """Children that have not ended."""
    failed: bool = False
    stop_reason: str = ""
    """What a caller said who cancelled or terminated it."""


class Table:
    """Resources of one kind, by ARN; found by name or ARN, as the API accepts both."""

    def __init__(self, store: Store, kind: str) -> None:
        self._store = store
        self._rows: dict[str, Row] = {}
        self.kind = kind

    def __iter__(self) -> Iterator[Row]:
        return iter(list(self._rows.values()))

    def __len__(self) -> int:
        return len(self._rows)

    def arn(self, name_or_arn: str) -> str:
        """The ARN of a name; an ARN unchanged."""
        return name_or_arn if name_or_arn.startswith("arn:") else self._store.arn(f"{self.kind}/{name_or_arn}")

    def seen(self, name_or_arn: str) -> Row | None:
        """What Describe shows, DELETED resources included."""
        return self._rows.get(self.arn(name_or_arn))

    def find(self, name_or_arn: str) -> Row | None:
        """The resource; None if it does not exist or is deleted."""
        row = self.seen(name_or_arn)
        return None if row is None or row.gone else row

    def need(self, name_or_arn: str) -> Row:
        """The resource; raises `BatchError` if it does not exist or is deleted."""
        row = self.find(name_or_arn)
        if row is None:
            raise missing(self.arn(name_or_arn))
        return row

    def add(self, name: str, props: Json, tags: dict[str, str] | None = None, *, arn: str | None = None) -> Row:
        """Add a resource; raises `BatchError` while the name is in use."""
        arn = arn or self.arn(name)
        holder = self._rows.get(arn)
        if holder is not None and (not holder.gone or self._store.settings.deleted_holds_name):
            raise exists(self._store.settings.duplicate)
        row = Row(name, arn, props, dict(tags or {}), next(self._store.numbers), self._store.now)
        self._rows.pop(arn, None)
        self._rows[arn] = row
        return row

    def drop(self, row: Row) -> None:
        """Remove this very row: the name may belong to a new resource by now."""
        if self._rows.get(row.arn) is row:
            del self._rows[row.arn]

    def linger(self, row: Row) -> None:
        """The resource is deleted; it may be described as DELETED for a while."""
        row.status = "DELETED"
        row.tags = {}
        lingers = self._store.settings.deleted_lingers
        if lingers > 0:
            self._store.after(lingers, lambda: self.drop(row))
        else:
            self.drop(row)


@dataclass(order=True)
class _Event:
    due: float
    number: int
    action: Callable[[], None] = field(compare=False)


class Store:
    """All resources of one account and Region, and the events that are due later."""

    def __init__(
        self, *, account: str, region: str, partition: str, clock: Clock, surroundings: Surroundings, settings: Settings
    ) -> None:
        self.account = account
        self.region = region
        self.partition = partition
        self.clock = clock
        self.surroundings = surroundings
        self.settings = settings
        self.on_started: Callable[[Host], None] = lambda _: None
        """What follows when an instance has started."""
        self.reset()

    def reset(self) -> None:
        """Delete everything."""
        self.now = self.clock.now()
        self.numbers = count(1)
        self._events: list[_Event] = []
        self._random = random.Random(f"{self.account}/{self.region}")  # noqa: S311 (ids that repeat, not secrets)
        self.environments = Table(self, "compute-environment")
        self.queues = Table(self, "job-queue")
        self.definitions = Table(self, "job-definition")
        self.policies = Table(self, "scheduling-policy")
        self.shares = Table(self, "quota-share")
        self.consumables = Table(self, "consumable-resource")
        self.services = Table(self, "service-environment")
        self.jobs = Table(self, "job")
        self.service_jobs = Table(self, "service-job")
        self.revisions: dict[str, int] = {}
        self.released: dict[str, float] = {}
        """Until when the deletion of an environment, by ARN, is refused because a queue used it."""
        self.hosts: dict[str, Host] = {}
        """The instances that run, by id."""
        self.activities: dict[str, deque[Activity]] = {}
        """The latest launches, failed ones too, by the ARN of the environment."""
        self.launches: dict[str, tuple[float, int]] = {}
        """When an environment may launch again, and how many launches have failed in a row, by its ARN."""
        self.tasks: dict[str, Task] = {}
        """ECS tasks by ARN, for an hour after they have stopped."""
        self.launched: set[str] = set()
        """ARNs of environments that have begun to launch instances."""
        self.images: dict[str, dict[str, int]] = {}
        """The release of AWS's AMI by image type, by the ARN of the environment."""
        self.pinned_images: dict[str, bool] = {}
        """Whether the launch template names an AMI, by the ARN of the environment."""
        self.runs: dict[str, Run] = {}
        """Facts about a job that no reply shows, by job id."""
        self.waiters: dict[str, list[str]] = {}
        """Job ids by the id of a job they depend on."""
        self.used: dict[str, float] = {}
        """vCPUs used by jobs, by the ARN of the environment."""
        self.kicked = False
        self.watched: dict[str, tuple[str, float]] = {}
        """The queues, by ARN, at which the service looks again: the first job when it last looked, and since when."""
        self.waiting_vcpus = 0.0
        """vCPUs of the jobs that wait, while they are placed."""
        self.retry_at = 0.0
        """When failed launches are tried again."""
        self.client_tokens: dict[str, tuple[float, Json]] = {}

    def arn(self, suffix: str) -> str:
        """An ARN of Batch in this account and Region."""
        return f"arn:{self.partition}:batch:{self.region}:{self.account}:{suffix}"

    def iam_arn(self, suffix: str) -> str:
        """An ARN of IAM in this account."""
        return f"arn:{self.partition}:iam::{self.account}:{suffix}"

    def new_id(self) -> str:
        """A new UUID, the same in every run."""
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))

    def millis(self) -> int:
        """`now` in milliseconds, as the API returns times."""
        return int(self.now * 1000)

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        """Run `action` after `seconds`; a negative number counts as 0."""
        heapq.heappush(self._events, _Event(self.now + max(seconds, 0), next(self.numbers), action))

    def settle(self) -> None:
        """Run the events that are due; afterwards `now` is the present."""
        present = self.clock.now()
        while self._events and self._events[0].due <= present:
            event = heapq.heappop(self._events)
            self.now = event.due
            event.action()
        self.now = max(self.now, present)
