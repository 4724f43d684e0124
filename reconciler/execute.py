"""Apply is a loop over the plan: one pool over the graph of steps, waits polled from a heap, events out.

Nothing is decided here that the plan does not say. A wait never holds a thread: a poll is a short task, and "not yet"
puts the step back with its next due time. On a stop nothing new is started, running calls finish, and what was never
started is listed. The executor prints nothing; its output is events and an :class:`Outcome`. A second run is always
the repair.
"""

from __future__ import annotations

import heapq
import queue
import random
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from graphlib import TopologicalSorter
from typing import Any, Final, Protocol

from reconciler.model import (
    Address,
    Base64,
    Call,
    Digest,
    Event,
    Json,
    JsonText,
    Later,
    Outcome,
    Plan,
    Refused,
    Reply,
    Secret,
    Step,
    Text,
    Wait,
    What,
    compact,
    fingerprint,
)

FIRST_POLL: Final = 0.2
LONGEST_POLL: Final = 8.0
GROWTH: Final = 1.6


class Aws(Protocol):
    """Where calls go. A refusal is a value; throttling and broken connections have been retried already."""

    def call(self, call: Call) -> Reply: ...


class Clock(Protocol):
    """Seconds that only grow, and a sleep; tests bring one that needs no time."""

    def now(self) -> float: ...
    def sleep(self, seconds: float) -> None: ...


@dataclass(slots=True)
class _Running:
    """A step under way: since when, how often looked at, and what it still may do."""

    step: Step
    since: float
    delay: float = FIRST_POLL
    repairs: int = 0
    repairing: bool = False
    moved: bool = False
    said: str = ""


@dataclass(slots=True)
class _Answer:
    """What one attempt at a step came to."""

    step: Step
    what: What
    detail: str = ""
    reply: Json | None = None
    refused: Refused | None = None
    repairs: int = 0


@dataclass(slots=True)
class Executor:
    """Runs a plan's steps. ``parallelism`` 0 makes every call in this thread, in a repeatable order."""

    aws: Aws
    clock: Clock
    emit: Callable[[Event], None]
    parallelism: int = 8
    keep_going: bool = False
    stop: threading.Event = field(default_factory=threading.Event)
    jitter: Callable[[], float] = field(default_factory=lambda: random.Random().random)  # noqa: S311
    facts: dict[tuple[Address, str], Any] = field(default_factory=dict)

    def run(self, plan: Plan) -> Outcome:
        """Every step of ``plan``, in order; never raises for what AWS says."""
        return _Run(self, plan).go()


class _Run:
    def __init__(self, executor: Executor, plan: Plan) -> None:
        self.ex = executor
        self.steps = {step.id: step for step in plan.steps}
        self.graph = TopologicalSorter({s.id: sorted(s.after & set(self.steps)) for s in plan.steps})
        self.graph.prepare()
        self.answers: queue.Queue[_Answer] = queue.Queue()
        self.running: dict[str, _Running] = {}
        self.due: list[tuple[float, int, str]] = []
        self.count = 0
        self.flying = 0
        self.fate: dict[str, What] = {}
        self.pool = ThreadPoolExecutor(executor.parallelism) if executor.parallelism else None

    # --- the loop ----------------------------------------------------------------------------------------------------

    def go(self) -> Outcome:
        try:
            while self.graph.is_active():
                self.start_ready()
                if not self.running:
                    break
                self.poll_due()
                self.take_answers()
        finally:
            if self.pool:
                self.pool.shutdown(wait=True, cancel_futures=True)
        named = {what: tuple(i for i, f in self.fate.items() if f is what) for what in What}
        never = tuple(step for step in self.steps if step not in self.fate)
        return Outcome(
            done=named[What.DONE],
            failed=named[What.FAILED],
            skipped=named[What.SKIPPED],
            never_started=never,
            interrupted=self.ex.stop.is_set(),
        )

    def start_ready(self) -> None:
        while ready := self.graph.get_ready():
            for step_id in sorted(ready):
                self.start(self.steps[step_id])

    def start(self, step: Step) -> None:
        broken = next((b for b in sorted(step.after) if self.fate.get(b) in (What.FAILED, What.SKIPPED)), None)
        if broken:
            self.end(step, What.SKIPPED, f"needs {self.steps[broken].address}")
        elif self.halted() or any(before in self.steps and before not in self.fate for before in step.after):
            self.graph.done(step.id)  # never started: it has no fate, nor has anything after it
        else:
            self.running[step.id] = _Running(step, self.ex.clock.now())
            self.event(step, What.STARTED)
            self.attempt(self.running[step.id])

    def halted(self) -> bool:
        failed = What.FAILED in self.fate.values()
        return self.ex.stop.is_set() or (failed and not self.ex.keep_going)

    def poll_due(self) -> None:
        while self.due and self.due[0][0] <= self.ex.clock.now():
            _, _, step_id = heapq.heappop(self.due)
            if step_id in self.running:
                self.attempt(self.running[step_id])

    def take_answers(self) -> None:
        """At least one answer, or sleep until something is due."""
        if self.ex.stop.is_set():
            self.give_up()
        until = self.due[0][0] - self.ex.clock.now() if self.due else 0.5
        try:
            if self.flying:
                answer = self.answers.get(timeout=max(min(until, 0.5), 0.005) if self.due else 0.5)
            else:
                answer = self.answers.get_nowait()
        except queue.Empty:
            if not self.flying and self.due:
                self.ex.clock.sleep(max(min(until, 0.5) if self.pool else until, 0.0))
            return
        self.take(answer)

    def give_up(self) -> None:
        """After a stop: what is only being waited for is let go."""
        waiting = {step_id for _, _, step_id in self.due}
        for step_id in sorted(waiting & set(self.running)):
            running = self.running.pop(step_id)
            self.event(running.step, What.SKIPPED, "interrupted while waiting", since=running.since)
            self.fate[step_id] = What.SKIPPED
            self.graph.done(step_id)
        self.due.clear()

    # --- one step ----------------------------------------------------------------------------------------------------

    def attempt(self, running: _Running) -> None:
        step = running.step
        try:
            call = self.next_call(running)
        except LookupError as error:
            self.end(step, What.FAILED, f"a value that another step should have given is missing: {error}")
            return
        self.flying += 1
        if self.pool:
            self.pool.submit(self.make, running, call)
        else:
            self.make(running, call)

    def next_call(self, running: _Running) -> Call:
        action = running.step.action
        if isinstance(action, Wait):
            call = action.repair.call if running.repairing and action.repair else action.read
        else:
            call = action
        return replace(call, params=filled(call.params, self.ex.facts))

    def make(self, running: _Running, call: Call) -> None:
        """In a worker: one request, and what it means."""
        try:
            reply = self.ex.aws.call(call)
            answer = self.read(running, call, reply)
        except Exception as error:  # noqa: BLE001  (a bug of ours must not take the report of the others with it)
            answer = _Answer(running.step, What.FAILED, f"internal error: {type(error).__name__}: {error}")
        self.answers.put(answer)

    def read(self, running: _Running, call: Call, reply: Reply) -> _Answer:
        action = running.step.action
        if isinstance(action, Wait):
            return self.read_wait(running, action, call, reply)
        refusals = [reply] if isinstance(reply, Refused) else list(not_done(call, reply))
        left = [refused for refused in refusals if not any(on.matches(refused) for on in call.ok_if)]
        if not left:
            told = "already so" if refusals else ""
            return _Answer(running.step, What.DONE, told, reply={} if isinstance(reply, Refused) else reply)
        waited = self.ex.clock.now() - running.since
        passing = all(any(on.matches(refused) for on in call.retry_on) for refused in left)
        if passing and waited < call.patience:
            return _Answer(running.step, What.AGAIN, str(left[0]))
        return _Answer(running.step, What.FAILED, "; ".join(map(str, left)), refused=left[0])

    def read_wait(self, running: _Running, wait: Wait, call: Call, reply: Reply) -> _Answer:
        step = running.step
        repaired, running.repairing = running.repairing, False
        if isinstance(reply, Refused):
            if not repaired and wait.gone and any(on.matches(reply) for on in wait.absent):
                return _Answer(step, What.DONE, "gone")
            if repaired and any(on.matches(reply) for on in call.retry_on):
                return _Answer(step, What.WAITING, str(reply))
            return _Answer(step, What.FAILED, str(reply), refused=reply)
        if repaired:
            return _Answer(step, What.WAITING, "sent again")
        items = reply.get(wait.items) or [] if wait.items else [reply]
        if items:
            return self.look(running, wait, items[0])
        return _Answer(step, What.DONE, "gone") if wait.gone else self.still(running, wait, "not there yet")

    def look(self, running: _Running, wait: Wait, item: Json) -> _Answer:
        step = running.step
        if wait.until and all(item.get(name) in values for name, values in wait.until.items()):
            return _Answer(step, What.DONE, self.status(wait, item))
        if wait.fail and all(item.get(name) in values for name, values in wait.fail.items()):
            reason = str(item.get(wait.reason, ""))
            repair = wait.repair
            if repair and running.repairs < repair.times and any(text in reason for text in repair.on):
                running.repairs += 1
                running.repairing = True
                return _Answer(step, What.AGAIN, f"{self.status(wait, item)}: {reason}")
            if not running.moved and self.ex.clock.now() - running.since < wait.grace:
                return self.still(running, wait, self.status(wait, item))
            advice = next((told for fragment, told in wait.causes if fragment in reason), "")
            told = f"{self.status(wait, item)}: {reason}" + (f"\n      {advice}" if advice else "")
            return _Answer(step, What.FAILED, told)
        running.moved = True
        return self.still(running, wait, self.status(wait, item))

    def still(self, running: _Running, wait: Wait, detail: str) -> _Answer:
        if self.ex.clock.now() - running.since > wait.timeout and wait.or_go_on:
            return _Answer(running.step, What.DONE, f"{detail}: went on after {wait.timeout:.0f} s")
        if self.ex.clock.now() - running.since > wait.timeout:
            return _Answer(running.step, What.FAILED, f"{detail}: waited {wait.timeout:.0f} s")
        return _Answer(running.step, What.WAITING, detail)

    def status(self, wait: Wait, item: Json) -> str:
        members = [*wait.until, *wait.fail] or ["status"]
        return " ".join(str(item.get(name, "")) for name in dict.fromkeys(members))

    # --- what came of it ---------------------------------------------------------------------------------------------

    def take(self, answer: _Answer) -> None:
        self.flying -= 1
        running = self.running.get(answer.step.id)
        if running is None:
            return
        if answer.what in (What.AGAIN, What.WAITING):
            if answer.detail != running.said or answer.what is What.AGAIN:
                self.event(answer.step, answer.what, answer.detail, since=running.since)
            running.said = answer.detail
            pause = running.delay * (1 + 0.2 * self.ex.jitter())
            running.delay = min(running.delay * GROWTH, LONGEST_POLL)
            self.count += 1
            heapq.heappush(self.due, (self.ex.clock.now() + pause, self.count, answer.step.id))
            return
        if isinstance(answer.step.action, Call) and answer.reply is not None:
            for attr, path in answer.step.action.gives.items():
                value = reach(answer.reply, path)
                if value is not None:
                    # attributes are text, the number of a version too
                    self.ex.facts[answer.step.address, attr] = str(value) if isinstance(value, int) else value
        self.end(answer.step, answer.what, answer.detail, answer.refused)

    def end(self, step: Step, what: What, detail: str = "", refused: Refused | None = None) -> None:
        running = self.running.pop(step.id, None)
        self.fate[step.id] = what
        self.graph.done(step.id)
        self.event(step, what, detail, since=running.since if running else None, refused=refused)

    def event(
        self, step: Step, what: What, detail: str = "", *, since: float | None = None, refused: Refused | None = None
    ) -> None:
        now = self.ex.clock.now()
        took = now - since if since is not None else 0.0
        self.ex.emit(Event(at=now, step=step, what=what, detail=detail, took=took, refused=refused))


def filled(value: Any, facts: Mapping[tuple[Address, str], Any]) -> Any:
    """``value`` as it is sent: stand-ins opened, digests computed. LookupError names what is not known."""
    if isinstance(value, Later):
        if (value.address, value.attr) not in facts:
            raise LookupError(f"{value.address}.{value.attr}")
        return facts[value.address, value.attr]
    if isinstance(value, Text):
        return "".join(str(filled(part, facts)) for part in value.parts)
    if isinstance(value, JsonText):
        return compact(filled(value.value, facts))
    if isinstance(value, Secret | Base64 | Digest):
        return _opened(value, facts)
    if isinstance(value, Mapping):
        return {name: filled(item, facts) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [filled(item, facts) for item in value]
    return value


def _opened(value: Secret | Base64 | Digest, facts: Mapping[tuple[Address, str], Any]) -> Any:
    inner = filled(value.value, facts)
    if isinstance(value, Base64):
        return b64encode(str(inner).encode()).decode()
    return fingerprint(inner, str(filled(value.salt, facts))) if isinstance(value, Digest) else inner


def not_done(call: Call, reply: Json) -> Iterator[Refused]:
    """What a call that succeeded says it did not do (``Call.refuse_if``), each item as the refusal it is."""
    for item in (reach(reply, call.refuse_if) or ()) if call.refuse_if else ():
        error = item.get("ResponseError") or item
        code = error.get("ErrorCode") or error.get("Code") or "NotDone"
        message = error.get("ErrorMessage") or error.get("Message") or "it was not done"
        named = {name: value for name, value in item.items() if isinstance(value, str | int) and name not in _ERROR}
        told = ", ".join(f"{name} {value}" for name, value in sorted(named.items()))
        yield Refused(str(code), f"{message} ({told})" if told else str(message))


_ERROR = ("ErrorCode", "ErrorMessage", "Code", "Message")


def reach(reply: Any, path: str) -> Any:
    """The value at a dotted path of a reply (``SecurityGroups.0.GroupId``), or None."""
    for part in path.split("."):
        if isinstance(reply, list):
            reply = reply[int(part)] if part.isdigit() and int(part) < len(reply) else None
        else:
            reply = reply.get(part) if isinstance(reply, Mapping) else None
    return reply
