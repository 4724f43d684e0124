"""The life of a job from SubmitJob to its end: waiting, placement, attempts, retries, cancellation and termination.

Nothing is executed. `Settings.outcomes` defines how an attempt ends; the definition's retry strategy decides, as on
AWS, whether there is another one.

Source: https://docs.aws.amazon.com/batch/latest/userguide/job_states.html
"""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from functools import partial

from reconciler.sandbox.batch import attempts, hosts, job_events, job_logs, nodes, outcomes, placement, retry, starts
from reconciler.sandbox.batch.compute_resources import on_fargate
from reconciler.sandbox.batch.settings import Outcome
from reconciler.sandbox.batch.store import Host, Row, Store

ENDED = frozenset({"SUCCEEDED", "FAILED"})
WAITING = frozenset({"SUBMITTED", "PENDING", "RUNNABLE"})
TIMED_OUT = "Job attempt duration exceeded timeout"


def begin(store: Store, row: Row) -> None:
    """A job has just been submitted."""
    row.status = "SUBMITTED"
    store.after(store.settings.job_to_runnable, lambda: _ready(store, row))


def kick(store: Store) -> None:
    """A change may let waiting jobs start: place them after this event."""
    if not store.kicked:
        store.kicked = True
        store.after(0, lambda: _place_all(store))


def on_environment(store: Store, environment: Row) -> list[Row]:
    """The jobs that are placed on an environment."""
    ids = [job for job, run in store.runs.items() if run.environment == environment.arn]
    return [row for row in map(store.jobs.find, ids) if row is not None]


def lose_hosts(store: Store, environment: Row) -> None:
    """Every instance of the environment is terminated; a job's retry strategy decides whether it is retried."""
    _lose(store, on_environment(store, environment))
    for host in hosts.of(store, environment):
        hosts.end(store, host)


def lose_hosts_later(store: Store, environment: Row, seconds: float) -> None:
    """The current instances take no new jobs and are terminated when they are idle, or after `seconds`."""
    jobs = on_environment(store, environment)
    turns = {row.name: store.runs[row.name].turn for row in jobs}
    ended = hosts.of(store, environment)
    for host in ended:
        host.old = True
        if not host.jobs:
            hosts.end(store, host)

    def lose() -> None:
        still = {row.name for row in on_environment(store, environment)}
        _lose(store, [r for r in jobs if r.name in still and store.runs[r.name].turn == turns[r.name]])
        for host in ended:
            hosts.end(store, host)

    store.after(seconds, lose)


def lose_instances(store: Store, ids: Iterable[str], *, reclaimed: bool, how: str = "terminated") -> list[str]:
    """EC2 instances are terminated, by EC2 (`reclaimed`) or by a caller, who may only have `stopped` them: their group
    then replaces them. Returns those that were the service's.
    """
    found = [store.hosts[one] for one in ids if one in store.hosts]
    for host in found:
        jobs = [*host.jobs]
        hosts.end(store, host, lost=True, reclaimed=reclaimed)
        for key in jobs:
            row, node = store.jobs.find(key.split("#")[0]), store.jobs.find(key)
            if row is None:
                continue
            if node is not None and row.status in ("STARTING", "RUNNING") and nodes.is_child(node):
                nodes.lose(store, row, node, Outcome(None, None, f"Host EC2 (instance {host.id}) {how}."))
            else:
                _lose(store, [row], host, how)
    return [host.id for host in found]


def interrupt(store: Store, row: Row) -> bool:
    """Fargate takes back the capacity of a running job; False if it has none."""
    environment = store.environments.find(store.runs[row.name].environment or "")
    if row.status != "RUNNING" or environment is None or not on_fargate(environment.props.get("computeResources", {})):
        return False
    _attempt_over(store, row, Outcome(137, None, attempts.SPOT_TASK))
    return True


def _lose(store: Store, jobs: Iterable[Row], host: Host | None = None, how: str = "terminated") -> None:
    """Jobs that had not started wait again; the others have lost an attempt."""
    for row in jobs:
        if row.status == "RUNNABLE":
            _leave(store, row)
            continue
        ours = store.runs[row.name].hosts
        lost = host.id if host else ours[0] if ours else f"i-{row.name.replace('-', '')[:17]}"
        _attempt_over(store, row, Outcome(None, None, f"Host EC2 (instance {lost}) {how}."))


def stop_queue(store: Store, queue: Row) -> None:
    """End every job of a queue that is deleted."""
    for row in store.jobs:
        if row.props["jobQueue"] == queue.arn and row.status not in ENDED:
            _end(store, row, "FAILED", "Job queue was deleted")


def cancel(store: Store, row: Row, reason: str) -> None:
    """Ends jobs that have not started; others are not affected, without an error.

    A job that is PENDING ends once what it waits for has ended: its dependencies, or the children that go on
    (API_CancelJob).
    """
    for one in (row, *_children(store, row)):
        if one.status in WAITING:
            one.props["isCancelled"] = True
            store.runs[one.name].stop_reason = reason
    if row.status == "PENDING" and _pending_for(store, store.runs[row.name].waits_for):
        return
    for one in _family(store, row):
        if one.status in WAITING and not _awaits(store, one):
            _end(store, one, "FAILED", reason)


def terminate(store: Store, row: Row, reason: str) -> None:
    """Ends a job in any state, with its children."""
    for one in (row, *_children(store, row)):
        if one.status not in ENDED:
            one.props["isTerminated"] = True
            store.runs[one.name].stop_reason = reason
    for one in _family(store, row):
        if one.status in ENDED:
            continue
        if one.status == "RUNNING":
            attempts.end(store, one, Outcome(137, None, reason))
        _end(store, one, "FAILED", reason)


def _awaits(store: Store, row: Row) -> bool:
    """Whether a job that is cancelled is PENDING for others, which go on."""
    run = store.runs[row.name]
    children = run.children if "size" in row.props.get("arrayProperties", {}) else []
    return row.status == "PENDING" and _pending_for(store, (*run.waits_for, *children))


def _pending_for(store: Store, ids: Iterable[str]) -> bool:
    return any(one is not None and one.status not in ENDED for one in map(store.jobs.find, ids))


def _children(store: Store, row: Row) -> list[Row]:
    children = [store.jobs.find(child) for child in store.runs[row.name].children]
    return [child for child in children if child is not None]


def _family(store: Store, row: Row) -> list[Row]:
    return [*_children(store, row), row]


def _ready(store: Store, row: Row) -> None:
    """Batch has evaluated the job: it waits for its dependencies, or for capacity."""
    if row.status not in ("SUBMITTED", "PENDING"):
        return
    if row.props["isCancelled"]:
        if not _awaits(store, row):
            _end(store, row, "FAILED", store.runs[row.name].stop_reason)
        return
    if _dependency_failed(store, row):
        _end(store, row, "FAILED", "Dependent Job failed")
        return
    if store.runs[row.name].waits_for:
        _pending(store, row)
        return
    if len({**row.props.get("_inherited_tags", {}), **row.tags}) > 50:
        _end(store, row, "FAILED", "The number of propagated tags exceeds the limit of 50.")
    elif row.props.get("_overrides_too_long"):
        _end(store, row, "FAILED", "Container Overrides length must be at most 8192")
    elif "size" in row.props.get("arrayProperties", {}):
        _pending(store, row)
        for child in _children(store, row):
            _ready(store, child)
    else:
        _runnable(store, row)


def _dependency_failed(store: Store, row: Row) -> bool:
    """Whether a job that it waits for has failed; it waits no longer for those that have succeeded."""
    for needed in sorted(store.runs[row.name].waits_for):
        other = store.jobs.find(needed)
        if other is not None and other.status == "FAILED":
            return True
        if other is None or other.status == "SUCCEEDED":
            store.runs[row.name].waits_for.discard(needed)
    return False


def _pending(store: Store, row: Row) -> None:
    if row.status != "PENDING":
        row.status = "PENDING"
        job_events.changed(store, row)


def _runnable(store: Store, row: Row) -> None:
    row.status, row.reason = "RUNNABLE", ""
    run = store.runs[row.name]
    run.environment, run.started, run.hosts, run.tasks, run.dead = None, None, [], [], set()
    run.waiting_since = store.now
    run.turn += 1
    _watch(store, row.props["jobQueue"])
    nodes.mirror(store, row)
    job_events.changed(store, row)
    kick(store)


def _watch(store: Store, queue: str) -> None:
    """Look later at what blocks a queue, unless that is planned."""
    if queue not in store.watched:
        store.watched[queue] = ("", store.now)
        store.after(store.settings.blocked_after, partial(_judge, store, queue))


def _judge(store: Store, queue: str) -> None:
    """AWS Batch reports what blocks a queue, at its first job only, and cancels it by a time limit of the queue."""
    known, since = store.watched.pop(queue, ("", store.now))
    first = next((row for row in _waiting(store, placed=True) if row.props["jobQueue"] == queue), None)
    if first is None:
        return
    waiting = store.runs[first.name].waiting_since
    since = since if first.name == known else max(since, waiting)
    if store.now - waiting >= store.settings.blocked_after:
        before, first.reason = first.reason, placement.blocked_reason(store, first) or first.reason
        nodes.mirror(store, first)
        if first.reason and first.reason != before:
            job_events.blocked(store, first)
    left = _time_left(store, first, store.now - since)
    if left is not None and left <= 0:
        _watch(store, queue)
        return
    store.watched[queue] = (first.name, since)
    store.after(min(store.settings.blocked_after, left or store.settings.blocked_after), partial(_judge, store, queue))


def _time_left(store: Store, first: Row, passed: float) -> float | None:
    """How long the first job of a queue may still be blocked for its reason: then it is cancelled; None: for ever.

    The time is that "with the job at the head of the queue" (API_JobStateTimeLimitAction).
    """
    queue = store.queues.find(first.props["jobQueue"])
    limits = queue.props["jobStateTimeLimitActions"] if queue is not None else ()
    limit = next((one for one in limits if first.reason.startswith(one["reason"])), None)
    if limit is None:
        return None
    left = float(limit["maxTimeSeconds"]) - passed
    if left <= 0:
        first.props["isCancelled"] = True
        reason = f"Canceled by JobStateTimeLimit action due to reason: {limit['reason']}"
        _end(store, first, "FAILED", reason)
    return left


def _place_all(store: Store) -> None:
    """In their order; where one job finds no place, others that need the same find none either."""
    store.kicked = False
    full: set[tuple[str, object]] = set()
    waiting = _waiting(store)
    store.waiting_vcpus = sum(store.runs[row.name].vcpus for row in waiting)
    for row in waiting:
        run = store.runs[row.name]
        wanted = (row.props["jobQueue"], (run.platform, run.needs, run.consumables))
        if wanted in full:
            continue
        if placement.place(store, row) is not None:
            store.waiting_vcpus -= run.vcpus
            _start_when_ready(store, row)
        else:
            full.add(wanted)
    if store.launches:
        _again(store)


def _waiting(store: Store, *, placed: bool = False) -> list[Row]:
    """The jobs without a place, in their order; with ``placed`` those whose instances are still starting, too."""
    waiting = (row for row in store.jobs if row.status == "RUNNABLE" and "parent_node" not in row.props)
    ours = (row for row in waiting if placed or store.runs[row.name].environment is None)
    alone = [row for row in ours if "size" not in row.props.get("arrayProperties", {})]
    return sorted(alone, key=lambda row: _urgency(store, row))


def _again(store: Store) -> None:
    """Launches that failed are tried again."""
    due = min(at for at, _ in store.launches.values())
    if due > store.now and store.retry_at <= store.now:
        store.retry_at = due
        store.after(due - store.now, partial(kick, store))


def joined(store: Store, host: Host) -> None:
    """An instance has started and registers with its cluster, unless something keeps it from that."""
    if host.id not in store.hosts:
        return
    if not host.joins:
        store.after(store.settings.instances_unjoined, partial(_unjoined, store, host))
        return
    host.joined = True
    host.idle_since = store.now
    for job in {key.split("#")[0] for key in host.jobs}:
        row = store.jobs.find(job)
        if row is not None:
            _start_when_ready(store, row)
    kick(store)


def _unjoined(store: Store, host: Host) -> None:
    """The service gives up on an environment none of whose instances has joined its cluster."""
    environment = store.environments.find(host.environment)
    if environment is None or any(one.joined for one in hosts.of(store, environment)) or host.id not in store.hosts:
        return
    environment.status, environment.reason = "INVALID", hosts.NONE_JOINED
    lose_hosts(store, environment)


def _start_when_ready(store: Store, row: Row) -> None:
    run = store.runs[row.name]
    if row.status == "RUNNABLE" and all(store.hosts[one].joined for one in run.hosts):
        store.after(store.settings.job_to_starting, partial(_starting, store, row, run.turn))


def _urgency(store: Store, row: Row) -> tuple[int, int, int]:
    queue = store.queues.find(row.props["jobQueue"])
    priority = queue.props["priority"] if queue else 0
    return (-priority, -row.props.get("schedulingPriority", 0), row.number)


def _still_placed(store: Store, row: Row) -> bool:
    """Whether the environment, which has launched an instance for a job meanwhile, still serves its queue."""
    run = store.runs[row.name]
    queue = store.queues.find(row.props["jobQueue"])
    listed = placement.environments_of(store, queue) if queue is not None else []
    return any(one.arn == run.environment and placement.takes(one, run) for one in listed)


def _starting(store: Store, row: Row, turn: int) -> None:
    if store.runs[row.name].turn != turn:
        return
    if not _still_placed(store, row):
        _leave(store, row)
        return
    row.status, row.reason = "STARTING", ""
    attempts.begin(store, row)
    nodes.mirror(store, row)
    job_events.changed(store, row)
    store.after(store.settings.job_to_running, lambda: _running(store, row, turn))


def _running(store: Store, row: Row, turn: int) -> None:
    run = store.runs[row.name]
    if run.turn != turn:
        return
    scripted = _scripted(store, row)
    outcome = scripted or Outcome()
    tasks = attempts.tasks(store, row)
    refused = starts.refused(store, row, tasks[0], scripted=scripted is not None) if tasks else None
    if refused is not None or not outcome.starts:
        _attempt_over(store, row, refused or outcome)
        return
    nodes.start(store, row, tasks[1:], scripted=scripted is not None)
    row.status = "RUNNING"
    run.started = store.millis()
    row.props["startedAt"] = run.started
    attempts.running(store, row)
    job_events.changed(store, row)
    limit = row.props.get("timeout", {}).get("attemptDurationSeconds")
    if limit is not None and outcome.seconds > limit:
        outcome = Outcome(137, None, TIMED_OUT, limit, outcome.lines)
    job_logs.script(store, row, outcome)
    nodes.mirror(store, row)
    store.after(outcome.seconds, lambda: _finished(store, row, turn, outcome))


def _finished(store: Store, row: Row, turn: int, outcome: Outcome) -> None:
    run = store.runs[row.name]
    if run.turn != turn:
        return
    if outcome.status_reason == outcomes.HOST_LOST:
        if not lose_instances(store, list(run.hosts), reclaimed=True):
            _lose(store, [row])
    else:
        _attempt_over(store, row, outcome)


def _scripted(store: Store, row: Row) -> Outcome | None:
    definition = attempts.definition_name(row)
    for pattern, script in store.settings.outcomes.items():
        if script and (fnmatchcase(row.props["jobName"], pattern) or fnmatchcase(definition, pattern)):
            return outcomes.of(script[min(len(row.props["attempts"]), len(script) - 1)])
    return None


def _attempt_over(store: Store, row: Row, outcome: Outcome) -> None:
    attempts.end(store, row, outcome)
    timed_out = outcome.status_reason == TIMED_OUT
    if not timed_out and retry.again(row.props.get("retryStrategy"), len(row.props["attempts"]), outcome):
        _leave(store, row)
        _runnable(store, row)
        return
    _end(store, row, "SUCCEEDED" if outcome.exit_code == 0 else "FAILED", outcome.status_reason)


def _leave(store: Store, row: Row) -> None:
    """The job releases its capacity and consumable resources."""
    run = store.runs[row.name]
    run.turn += 1
    environment = store.environments.find(run.environment) if run.environment else None
    if run.environment is not None:
        store.used[run.environment] -= run.vcpus
        placement.release_consumables(store, run)
        hosts.release(store, row.name, run.hosts)
    run.environment, run.hosts = None, []
    if environment is not None:
        placement.grow(store, environment)
        for host in hosts.of(store, environment):
            if host.old and not host.jobs:
                hosts.end(store, host)
    kick(store)


def _end(store: Store, row: Row, status: str, reason: str) -> None:
    attempts.stop(store, row, reason)
    _leave(store, row)
    row.status, row.reason = status, reason
    row.props["stoppedAt"] = store.millis()
    nodes.mirror(store, row)
    job_events.changed(store, row)
    store.after(store.settings.job_kept, lambda: _forget(store, row))
    for child in _children(store, row) if "size" in row.props.get("arrayProperties", {}) else ():
        if child.status not in ENDED:
            _end(store, child, status, reason)
    for other in store.waiters.pop(row.name, ()):
        dependent = store.jobs.find(other)
        if dependent is not None and dependent.status == "PENDING":
            _ready(store, dependent)
    _array_over(store, row)


def _array_over(store: Store, row: Row) -> None:
    parent = store.jobs.find(row.props["parent"]) if "index" in row.props.get("arrayProperties", {}) else None
    if parent is None or parent.status in ENDED:
        return
    run = store.runs[parent.name]
    run.open -= 1
    run.failed |= row.status == "FAILED"
    if run.open == 0:
        failed = run.failed or bool(run.stop_reason)
        reason = run.stop_reason or ("Array Child Job failed" if failed else "")
        _end(store, parent, "FAILED" if failed else "SUCCEEDED", reason)


def _forget(store: Store, row: Row) -> None:
    store.jobs.drop(row)
    store.runs.pop(row.name, None)
