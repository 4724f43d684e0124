"""Applies a plan: one pool of workers over the graph of steps, waits polled from a heap, events as output.

Nothing is decided here that is not in the plan. Of the calls that are ready, those on the longest chain start first
(:mod:`reconciler.applying.scheduling`). A wait never occupies a thread: a poll is a short task, and a wait that is not
over is queued again with its next due time; similar waits are polled together. Before the first write to an existing
object a :class:`Recheck` reads it again, and a call whose reply was lost is sent again only if it had no effect. On a
stop no further steps are started, running calls finish, and the steps that never started are listed. The executor
prints nothing: its output is events and an :class:`Outcome`. After any failure a second run continues.
"""

from __future__ import annotations

import heapq
import queue
import random
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import field, replace
from graphlib import TopologicalSorter
from typing import Any, Final, Protocol

from reconciler.applying import responses, scheduling
from reconciler.applying.parameters import Facts, render_parameters
from reconciler.applying.responses import Running, StepResult
from reconciler.model import (
    Address,
    Aws,
    Call,
    Event,
    Outcome,
    Plan,
    Proof,
    Refused,
    Step,
    StepState,
    Unreadable,
    Wait,
)
from reconciler.model.records import dataclass
from reconciler.model.stand_ins import has_secret

LONGEST_PAUSE: Final = 20.0
POLL_GAP: Final = 0.1  # minimum seconds between two polls of one group
GATHERING: Final = 0.2  # seconds that a first poll waits for waits of its group that are about to start
MOST_NAMES: Final = 100  # names in one describe call


class Clock(Protocol):
    """A monotonic clock; tests have one that needs no time."""

    def now(self) -> float:
        """Seconds since some fixed moment."""

    def sleep(self, seconds: float) -> None:
        """Return after ``seconds``, or earlier."""


class Recheck(Protocol):
    """Reads the account again; ``facts`` are the attributes that this apply has captured."""

    def changed_since_plan(self, address: Address, phase: str) -> str:
        """What has changed since the plan about the resource that ``phase`` (up or down) writes to; empty if nothing
        relevant has. Raises Unreadable.
        """

    def conflicting_object(self, step: Step) -> str:
        """The conflict that made AWS refuse to create a resource: an object of its name that was created since the
        plan; empty if there is none. Raises Unreadable.
        """

    def rival(self, step: Step, captured: Mapping[str, Any]) -> str:
        """The environment that created the resource first, where AWS did not refuse ``step``, which is then taken back;
        empty if there is none. Raises Unreadable.
        """

    def found_as_planned(self, step: Step, facts: Facts) -> Mapping[str, Any] | None:
        """The attributes that ``step`` captures, where what AWS refused to create exists, and is ours and as planned;
        None where it is not.
        """

    def find_created(self, step: Step, facts: Facts) -> Mapping[str, Any] | None:
        """The attributes that ``step`` captures, where its call took effect although the reply was lost; None where it
        did not.
        """


@dataclass(slots=True)
class Executor:
    """Runs a plan's steps.

    ``parallelism`` 0 sends every call in the calling thread, in a repeatable order; ``keep_going`` continues with
    independent steps after a failure; ``facts`` collects captured attributes, by address and name; ``jitter`` returns
    numbers from 0 to 1.
    """

    aws: Aws
    clock: Clock
    emit: Callable[[Event], None]
    parallelism: int = 16
    keep_going: bool = False
    stop: threading.Event = field(default_factory=threading.Event)
    jitter: Callable[[], float] = field(default_factory=lambda: random.Random().random)  # noqa: S311
    facts: dict[tuple[Address, str], Any] = field(default_factory=dict)
    recheck: Recheck | None = None

    def run(self, plan: Plan) -> Outcome:
        """Run every step of ``plan`` in order; a refusal never raises."""
        return _Run(self, plan).loop()


class _Run:
    def __init__(self, executor: Executor, plan: Plan) -> None:
        self.ex = executor
        self.steps = {step.id: step for step in plan.steps}
        self.items = {item.address: item for item in plan.resources}
        self.graph = TopologicalSorter({s.id: sorted(s.after & self.steps.keys()) for s in plan.steps})
        self.graph.prepare()
        self.finished: queue.Queue[Sequence[StepResult]] = queue.Queue()
        self.running: dict[str, Running] = {}
        self.critical_path = scheduling.critical_path(plan.steps)
        self.ready: list[tuple[float, str]] = []
        self.next_polls = scheduling.polls_started_by(plan.steps)
        self.expected_polls: dict[str, set[str]] = {}
        self.failed = False
        self.due: list[tuple[float, int, str]] = []
        self.waiting: dict[str, dict[str, Running]] = {}
        self.count = 0
        self.in_flight = 0
        self.results: dict[str, StepState] = {}
        self.changed_since_plan: list[str] = []
        self.causes: dict[str, str] = {}
        self.polled: dict[str, float] = {}
        self.rechecked: dict[tuple[Address, str], Future[str]] = {}
        self.lock = threading.Lock()
        self.pool = ThreadPoolExecutor(executor.parallelism) if executor.parallelism else None

    # --- the loop ----------------------------------------------------------------------------------------------------

    def loop(self) -> Outcome:
        try:
            while self.graph.is_active():
                self.start_ready()
                if not self.running:
                    break
                self.poll_due()
                self.take_results()
        except KeyboardInterrupt:  # interrupted again: running calls are not waited for
            self.close(wait=False)
            raise
        finally:
            self.close(wait=True)
        named = {what: tuple(i for i, f in self.results.items() if f is what) for what in StepState}
        never = tuple(step for step in self.steps if step not in self.results)
        return Outcome(
            done=named[StepState.DONE],
            failed=named[StepState.FAILED],
            skipped=named[StepState.SKIPPED],
            never_started=never,
            changed_since_plan=tuple(self.changed_since_plan),
            interrupted=self.ex.stop.is_set(),
            causes=self.causes,
        )

    def close(self, *, wait: bool) -> None:
        pool, self.pool = self.pool, None
        if pool:
            pool.shutdown(wait=wait, cancel_futures=True)

    def start_ready(self) -> None:
        """Start no more steps than there are workers: those that have not started can be left out after a failure or a
        stop.
        """
        while True:
            for step_id in self.graph.get_ready():
                heapq.heappush(self.ready, (-self.critical_path[step_id], step_id))
                if feeds := self.next_polls.get(step_id):
                    self.expected_polls.setdefault(feeds.poll_group, set()).add(feeds.wait)
            if not self.ready or self.in_flight >= max(self.ex.parallelism, 1):
                return
            self.start(self.steps[heapq.heappop(self.ready)[1]])

    def start(self, step: Step) -> None:
        broken = next(
            (b for b in sorted(step.after) if self.results.get(b) in (StepState.FAILED, StepState.SKIPPED)), None
        )
        if broken:
            self.finish(step, StepState.SKIPPED, f"needs {self.steps[broken].address}")
        elif self.halted() or any(before in self.steps and before not in self.results for before in step.after):
            self.graph.done(step.id)  # never started: it has no result, nor has any step after it
        else:
            running = self.running[step.id] = Running(
                step, self.ex.clock.now(), dependency_changed=self.changes_a_dependency(step.address)
            )
            self.event(step, StepState.STARTED)
            self.begin(running)

    def changes_a_dependency(self, address: Address) -> bool:
        """Whether this plan also changes a dependency of the resource."""
        return any(self.items[used].steps for used in self.items[address].depends_on if used in self.items)

    def begin(self, running: Running) -> None:
        """Attempt the step now; a wait later if its group was polled just now, or if others of its group are about to
        start.
        """
        step, action = running.step, running.step.action
        if isinstance(action, Wait) and (evidence := responses.over_already(action, step.address, self.ex.facts)):
            self.finish(step, StepState.DONE, evidence)
            return
        group, now = _poll_group(running), self.ex.clock.now()
        coming = self.expected_polls.get(group, set())
        coming.discard(step.id)
        soonest = max(self.polled.get(group, -POLL_GAP) + POLL_GAP, now + GATHERING if coming else now)
        if group and soonest > now:
            self.enqueue(running, soonest)
        else:
            self.attempt(running)

    def halted(self) -> bool:
        return self.ex.stop.is_set() or (self.failed and not self.ex.keep_going)

    def poll_due(self) -> None:
        while self.due and self.due[0][0] <= self.ex.clock.now():
            _, ticket, step_id = heapq.heappop(self.due)
            running = self.running.get(step_id)
            if running and running.ticket == ticket:
                self.attempt(running)

    def take_results(self) -> None:
        """Take at least one result, or sleep until a poll is due."""
        if self.ex.stop.is_set():
            self.abandon_waits()
        until = self.due[0][0] - self.ex.clock.now() if self.due else 0.5
        try:
            if self.in_flight:
                found = self.finished.get(timeout=max(min(until, 0.5), 0.005) if self.due else 0.5)
            else:
                found = self.finished.get_nowait()
        except queue.Empty:
            if not self.in_flight and self.due:
                self.ex.clock.sleep(max(min(until, 0.5) if self.pool else until, 0.0))
            return
        self.in_flight -= 1
        for answer in found:
            self.take_result(answer)

    def abandon_waits(self) -> None:
        """After a stop: end the steps that only wait."""
        waiting = {i for _, ticket, i in self.due if i in self.running and self.running[i].ticket == ticket}
        for step_id in sorted(waiting):
            running = self.running[step_id]
            self.finish(running.step, StepState.SKIPPED, "interrupted while waiting")
        self.due.clear()

    # --- one attempt -------------------------------------------------------------------------------------------------

    def attempt(self, running: Running) -> None:
        step = running.step
        try:
            call = self.next_call(running)
        except LookupError as error:
            self.finish(step, StepState.FAILED, f"missing value from another step: {error}")
            return
        group = [running, *self.polled_together(running)]
        for member in group:
            self.dequeue(member)
        self.polled[_poll_group(running)] = self.ex.clock.now()
        self.in_flight += 1
        if self.pool:
            self.pool.submit(self.make, group, call)
        else:
            self.make(group, call)

    def next_call(self, running: Running) -> Call:
        action = running.step.action
        if isinstance(action, Wait):
            call = action.repair.call if running.repairing and action.repair else action.read
        else:
            call = action
        facts = self.ex.facts
        shown = render_parameters(call.params, facts, masked=True) if has_secret(call.params) else None
        return replace(call, params=render_parameters(call.params, facts), shown=shown)

    def polled_together(self, running: Running) -> list[Running]:
        """The queued waits that the same call can poll."""
        group = _poll_group(running)
        others = self.waiting.get(group, {}) if group else {}
        return [other for other in others.values() if other is not running][: MOST_NAMES - 1]

    def make(self, group: list[Running], call: Call) -> None:
        """In a worker: one request, and its result for each step of the group."""
        try:
            found = [self.attempt_step(group[0], call)] if len(group) == 1 else self.poll_together(group, call)
        except Exception as error:  # noqa: BLE001  (a bug must not lose the results of the other steps)
            message = f"internal error: {type(error).__name__}: {error}"
            found = [StepResult(running.step, StepState.FAILED, message) for running in group]
        self.finished.put(found)

    def attempt_step(self, running: Running, call: Call) -> StepResult:
        """One attempt; a creation that succeeds must be the first of its name."""
        answer = self.attempt_once(running, call)
        if answer.state is not StepState.DONE or isinstance(running.step.action, Wait) or self.ex.recheck is None:
            return answer
        try:
            text = self.ex.recheck.rival(answer.step, answer.captured or {})
        except Unreadable:
            return answer
        return replace(answer, state=StepState.FAILED, detail=text, changed_since_plan=True) if text else answer

    def attempt_once(self, running: Running, call: Call) -> StepResult:
        step, action = running.step, running.step.action
        if isinstance(action, Wait):
            found = responses.interpret_wait(running, action, call, self.ex.aws.call(call), self.ex.clock.now())
            return responses.after_timeout(action, found, self.ex.aws.call)
        try:
            moved = self.recheck(step)
        except Unreadable as error:
            message = f"cannot read {step.address} again: {error}; {error.advice}"
            return StepResult(step, StepState.FAILED, message, refused=error.refused)
        if moved:
            return StepResult(step, StepState.FAILED, moved, changed_since_plan=True)
        if running.unsure and (made := self.already_done(step, call)) is not None:
            return StepResult(step, StepState.DONE, "succeeded, although the reply was lost", captured=made)
        answer = responses.interpret_call(running, call, self.ex.aws.call(call), self.ex.clock.now())
        if answer.state is not StepState.FAILED or call.proof is Proof.NONE:
            return answer
        if not running.unsure:
            return self.explain_conflict(running, answer, call)
        made = self.already_done(step, call)  # the refusal may mean that it took effect before
        if made is not None:
            return StepResult(step, StepState.DONE, "succeeded, although the reply was lost", captured=made)
        return responses.retry_if_not_visible(running, answer, self.ex.clock.now())

    def already_done(self, step: Step, call: Call) -> Mapping[str, Any] | None:
        if call.proof is Proof.NONE or self.ex.recheck is None:
            return None
        return self.ex.recheck.find_created(step, self.ex.facts)

    def explain_conflict(self, running: Running, answer: StepResult, call: Call) -> StepResult:
        """``answer``, a refusal, with the object that another run created since the plan, where that is the reason.

        If it is ours and as planned, the step is done: the request was delivered twice.
        """
        exists = call.proof is Proof.EXISTS
        denied = answer.refused is None or answer.refused.denied or answer.refused.unknown
        if self.ex.recheck is None or denied or (exists and not responses.says_it_exists(answer)):
            return answer
        find = self.ex.recheck.found_as_planned if exists else self.ex.recheck.find_created
        made = find(answer.step, self.ex.facts)
        if made is not None:
            return StepResult(answer.step, StepState.DONE, "exists already, as planned", captured=made)
        if not exists:
            return answer
        try:
            text = self.ex.recheck.conflicting_object(answer.step)
        except Unreadable:
            return answer
        if not text:
            return responses.retry_if_not_visible(running, answer, self.ex.clock.now())
        return replace(answer, detail=f"{answer.detail}\n      {text}", changed_since_plan=True)

    def poll_together(self, group: list[Running], call: Call) -> list[StepResult]:
        """One poll for several waits."""
        names = {running.step.id: self.names(running) for running in group}
        wanted = list(dict.fromkeys(name for found in names.values() for name in found))
        wait = _wait(group[0])
        reply = self.ex.aws.call(replace(call, params={**call.params, wait.among: wanted}))
        if isinstance(reply, Refused) and not (reply.not_processed or reply.unknown_outcome):
            for running in group:  # one of the names makes AWS refuse all of them
                running.alone = True
            return [StepResult(running.step, StepState.WAITING, running.last_detail) for running in group]
        now, found = self.ex.clock.now(), []
        for running in group:
            own = responses.slice_for(_wait(running), names[running.step.id], reply)
            answer = responses.interpret_wait(running, _wait(running), call, own, now)
            found.append(responses.after_timeout(_wait(running), answer, self.ex.aws.call))
        return found

    def names(self, running: Running) -> list[str]:
        wait = _wait(running)
        found: list[str] = render_parameters(wait.read.params[wait.among], self.ex.facts)
        return found

    def recheck(self, step: Step) -> str:
        """What has changed about the step's resource since the plan; read once, before its first write up or down."""
        if self.ex.recheck is None:
            return ""
        phase = step.phase
        with self.lock:
            first = (step.address, phase) not in self.rechecked
            found = self.rechecked.setdefault((step.address, phase), Future())
        if first:
            try:
                found.set_result(self.ex.recheck.changed_since_plan(step.address, phase))
            except BaseException as error:
                found.set_exception(error)
                raise
        return found.result()

    # --- results -----------------------------------------------------------------------------------------------------

    def take_result(self, answer: StepResult) -> None:
        running = self.running.get(answer.step.id)
        if running is None:
            return
        if answer.state in (StepState.AGAIN, StepState.WAITING):
            if answer.detail != running.last_detail or answer.state is StepState.AGAIN:
                self.event(answer.step, answer.state, answer.detail, since=running.started_at, because=answer.because)
            running.last_detail = answer.detail
            self.put_back(running)
            return
        for attr, value in (answer.captured or {}).items():
            self.ex.facts[answer.step.address, attr] = value
        if answer.changed_since_plan:
            self.changed_since_plan.append(answer.step.id)
        if answer.path:
            self.causes[answer.step.id] = answer.path
        self.finish(answer.step, answer.state, answer.detail, answer.refused)

    def put_back(self, running: Running) -> None:
        """Queue the step again after a growing, randomised pause."""
        if running.tries:
            pause = min(0.5 * 2**running.tries, LONGEST_PAUSE) * (0.5 + 0.5 * self.ex.jitter())
        else:
            pause = responses.pause(running, self.ex.clock.now()) * (1 + 0.2 * self.ex.jitter())
        self.enqueue(running, self.ex.clock.now() + pause)

    def enqueue(self, running: Running, due: float) -> None:
        self.count += 1
        running.ticket, running.poll_group = self.count, _poll_group(running)
        heapq.heappush(self.due, (due, self.count, running.step.id))
        if running.poll_group:
            self.waiting.setdefault(running.poll_group, {})[running.step.id] = running

    def dequeue(self, running: Running) -> None:
        running.ticket = -1
        if running.poll_group:
            self.waiting[running.poll_group].pop(running.step.id, None)
            running.poll_group = ""

    def finish(self, step: Step, state: StepState, detail: str = "", refused: Refused | None = None) -> None:
        running = self.running.pop(step.id, None)
        if running:
            self.dequeue(running)
        if (feeds := self.next_polls.get(step.id)) and state is not StepState.DONE:
            self.expected_polls.get(feeds.poll_group, set()).discard(feeds.wait)
        self.failed |= state is StepState.FAILED and not _is_cleanup(step)
        self.results[step.id] = state
        self.graph.done(step.id)
        self.event(step, state, detail, since=running.started_at if running else None, refused=refused)

    def event(
        self,
        step: Step,
        state: StepState,
        detail: str = "",
        *,
        since: float | None = None,
        refused: Refused | None = None,
        because: str = "",
    ) -> None:
        now = self.ex.clock.now()
        took = now - since if since is not None else 0.0
        path = self.causes.get(step.id, "") if state is StepState.FAILED else ""
        self.ex.emit(
            Event(at=now, step=step, state=state, detail=detail, took=took, refused=refused, path=path, because=because)
        )


def _wait(running: Running) -> Wait:
    assert isinstance(running.step.action, Wait)
    return running.step.action


def _is_cleanup(step: Step) -> bool:
    return isinstance(step.action, Call) and step.action.cleanup


def _poll_group(running: Running) -> str:
    """The key of the waits that the step can be polled with; empty for calls, repairs and waits that are polled
    alone.
    """
    action = running.step.action
    return (
        responses.poll_group(action) if isinstance(action, Wait) and not running.repairing and not running.alone else ""
    )
