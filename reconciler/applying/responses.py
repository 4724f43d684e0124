"""Interprets replies: pure functions from a running step and a reply to a :class:`StepResult`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from reconciler.applying.parameters import Facts
from reconciler.model import (
    Address,
    Call,
    Json,
    Refused,
    Reply,
    Step,
    StepState,
    Unreadable,
    Wait,
    compact,
)
from reconciler.model.patterns import regex
from reconciler.model.records import dataclass

FIRST_POLL: Final = 0.2
LONGEST_POLL: Final = 8.0
POLL_SHARE: Final = 0.2  # of the time that has passed: the most that a wait may take longer than needed
EARLY_SHARE: Final = 4.0  # likewise before the usual soonest end of a wait
EXPECTED_SHARE: Final = 0.06  # likewise from then on, and EXPECTED_PAUSE seconds: the end may be near
EXPECTED_PAUSE: Final = 0.4
RETRY_SHARE: Final = 0.5  # likewise before a call is sent again, which cannot be grouped with others
LONGEST_REPAIR: Final = 20.0
REPAIRS_WITHOUT_CHANGE: Final = 2  # repairs where nothing in this apply can have caused the failure
MOST_TRIES: Final = 10  # attempts at a call that is throttled or whose reply is lost; about two minutes
VISIBILITY_DELAY: Final = 120.0  # seconds until every read shows what was created; other tools wait as long for IAM
SAYS_IT_EXISTS: Final = regex(
    r"already|exists|duplicate|ConflictException|InstanceSessionsPerInstanceProfile", re.IGNORECASE
)


@dataclass(slots=True)
class Running:
    """A running step; times are seconds of the executor's clock.

    ``restarted_at`` is the end of the last repair of a wait: pauses are measured from there. ``dependency_changed``:
    this apply also changes a dependency of the resource, which AWS may not show yet. ``repairs`` counts repairs,
    ``repairing`` is set while one is sent, ``has_changed`` when a wait has seen a state other than the failed one.
    ``tries`` counts consecutive attempts that were throttled or lost their reply; ``unsure``: a reply was lost, so the
    call may have taken effect. ``alone``: the wait must not be polled with others; ``ticket`` is its last place in the
    queue.
    """

    step: Step
    started_at: float
    restarted_at: float = -1.0
    dependency_changed: bool = True
    repairs: int = 0
    repairing: bool = False
    has_changed: bool = False
    last_detail: str = ""
    tries: int = 0
    unsure: bool = False
    alone: bool = False
    ticket: int = -1
    poll_group: str = ""


@dataclass(slots=True)
class StepResult:
    """The result of one attempt at a step.

    ``captured`` are attributes that are known now; ``changed_since_plan``: the account no longer is what the plan was
    created from; ``timed_out``: the timeout of a wait has passed; ``path`` is the property that caused a failure;
    ``because`` is why the step is tried again, in plain words, where that is expected.
    """

    step: Step
    state: StepState
    detail: str = ""
    captured: Mapping[str, Any] | None = None
    refused: Refused | None = None
    changed_since_plan: bool = False
    timed_out: bool = False
    path: str = ""
    because: str = ""


def pause(running: Running, now: float) -> float:
    """Seconds until the next poll, or until a repair is sent.

    A share of the time that has passed, so that a short wait ends soon after its state changes and a long one does not
    cost many calls: where it is known how long AWS usually takes at least (``Wait.soonest``), a large one until then
    and a small one afterwards. The first repair is sent at once: its reason has usually passed by then.
    """
    if running.repairing:
        return min(2.0 ** (running.repairs - 1), LONGEST_REPAIR) if running.repairs > 1 else 0.0
    passed, action = now - max(running.restarted_at, running.started_at), running.step.action
    soonest = action.soonest if isinstance(action, Wait) and not running.repairs else 0.0
    if passed < soonest:
        early = min(EARLY_SHARE * passed, soonest - passed, LONGEST_POLL)
        return max(early, EXPECTED_SHARE * passed, FIRST_POLL)
    if soonest:
        return min(EXPECTED_SHARE * passed + EXPECTED_PAUSE, LONGEST_POLL)
    share = POLL_SHARE if isinstance(action, Wait) else RETRY_SHARE
    return min(max(share * passed, FIRST_POLL), LONGEST_POLL)


def interpret_call(running: Running, call: Call, reply: Reply, now: float) -> StepResult:
    """The result of a call step with this reply; ``now`` is in seconds of the executor's clock."""
    step = running.step
    refusals = [reply] if isinstance(reply, Refused) else list(not_done(call, reply))
    left = [refused for refused in refusals if not any(on.matches(refused) for on in call.ok_if)]
    if not left:
        running.tries = 0
        message = "already so" if refusals else ""
        return StepResult(
            step,
            StepState.DONE,
            message,
            captured=captured_attributes(call, {} if isinstance(reply, Refused) else reply),
        )
    first = left[0]
    if first.not_processed or first.unknown_outcome:
        running.unsure |= first.unknown_outcome
        running.tries += 1
        if running.tries < MOST_TRIES:
            return StepResult(step, StepState.AGAIN, str(first))
        return StepResult(step, StepState.FAILED, f"{first} ({running.tries} times)", refused=first)
    running.tries = 0
    passing = [next((on for on in call.retry_on if on.matches(refused)), None) for refused in left]
    if passing[0] and all(passing) and now - running.started_at < call.patience:
        return StepResult(step, StepState.AGAIN, str(first), because=passing[0].because)
    return StepResult(step, StepState.FAILED, "; ".join(map(str, left)), refused=first)


def retry_if_not_visible(running: Running, answer: StepResult, now: float) -> StepResult:
    """``answer``, a refusal, after an earlier reply was lost and reads do not show the object of the call.

    If AWS refuses because the object exists, it is not visible yet: the call is tried again for VISIBILITY_DELAY.
    """
    if says_it_exists(answer) and now - running.started_at < VISIBILITY_DELAY:
        because = "the resource exists already, but is not visible yet"
        return StepResult(answer.step, StepState.AGAIN, f"{answer.refused}; not visible yet", because=because)
    return answer


def says_it_exists(answer: StepResult) -> bool:
    """Whether AWS refused because the object exists already."""
    return answer.refused is not None and SAYS_IT_EXISTS.search(str(answer.refused)) is not None


def interpret_wait(running: Running, wait: Wait, call: Call, reply: Reply, now: float) -> StepResult:
    """The result of a poll, or of a repair, with this reply; ``now`` is in seconds of the executor's clock."""
    step = running.step
    repaired, running.repairing = running.repairing, False
    if isinstance(reply, Refused):
        if not repaired and wait.gone and any(on.matches(reply) for on in wait.absent):
            return StepResult(step, StepState.DONE, "gone")
        if repaired and any(on.matches(reply) for on in call.retry_on):
            return StepResult(step, StepState.WAITING, str(reply))
        running.tries += 1
        if (reply.not_processed or reply.unknown_outcome) and running.tries < MOST_TRIES:
            return StepResult(step, StepState.WAITING, str(reply))
        return StepResult(step, StepState.FAILED, str(reply), refused=reply)
    running.tries = 0
    if repaired:
        running.restarted_at = now
        return StepResult(step, StepState.WAITING, "sent again")
    items = reply.get(wait.items) or [] if wait.items else [reply]
    if items:
        return _interpret_item(running, wait, items[0], now)
    return StepResult(step, StepState.DONE, "gone") if wait.gone else _not_yet(running, wait, "not visible yet", now)


def _interpret_item(running: Running, wait: Wait, item: Json, now: float) -> StepResult:
    step = running.step
    if wait.until and all(value_at(item, name) in values for name, values in wait.until.items()):
        return StepResult(step, StepState.DONE, _status(wait, item))
    if wait.fail and all(item.get(name) in values for name, values in wait.fail.items()):
        reason = str(item.get(wait.reason, ""))
        repair = wait.repair
        times = repair.times if repair and running.dependency_changed else REPAIRS_WITHOUT_CHANGE
        because = repair.because(reason) if repair else None
        if repair and because is not None and running.repairs < min(times, repair.times):
            running.repairs += 1
            running.repairing = True
            return StepResult(step, StepState.AGAIN, f"{_status(wait, item)}: {reason}", because=because)
        if not running.has_changed and now - running.started_at < wait.grace:
            return _not_yet(running, wait, _status(wait, item), now)
        cause = next((known for known in wait.causes if known.matches(reason)), None)
        message = f"{_status(wait, item)}: {reason}" + (f"\n      {cause.advice}" if cause else "")
        return StepResult(step, StepState.FAILED, message, path=cause.path if cause else "")
    running.has_changed = True
    return _not_yet(running, wait, _status(wait, item), now)


def _not_yet(running: Running, wait: Wait, detail: str, now: float) -> StepResult:
    if now - running.started_at > wait.timeout and wait.or_go_on:
        return StepResult(
            running.step, StepState.DONE, f"{detail}: continued after {wait.timeout:.0f} s", timed_out=True
        )
    if now - running.started_at > wait.timeout:
        return StepResult(running.step, StepState.FAILED, f"{detail}: waited {wait.timeout:.0f} s", timed_out=True)
    return StepResult(running.step, StepState.WAITING, detail)


def after_timeout(wait: Wait, answer: StepResult, call: Callable[[Call], Reply]) -> StepResult:
    """``answer``; after the timeout of a wait with what ``at_end`` reads added to its detail. ``call`` sends a call."""
    if not (answer.timed_out and wait.at_end):
        return answer
    reads = wait.at_end()
    try:
        calls = next(reads)
        while True:
            calls = reads.send(tuple(call(each) for each in calls))
    except StopIteration as done:
        return replace(answer, detail=f"{answer.detail}; {done.value}") if done.value else answer
    except Unreadable as failed:
        return replace(answer, detail=f"{answer.detail} ({failed})")


def _status(wait: Wait, item: Json) -> str:
    members = [*wait.until, *wait.fail] or ["status"]
    found = [(name, value_at(item, name)) for name in dict.fromkeys(members)]
    lines = [f"{name.rpartition('.')[2]} {value}" if isinstance(value, int) else value for name, value in found]
    return " ".join(str(value or "") for value in lines)


def over_already(wait: Wait, address: Address, facts: Facts) -> str:
    """The state that an earlier reply has shown already, where it means that the wait is over; else empty."""
    item = {member: facts.get((address, attr)) for member, attr in wait.known.items()}
    over = wait.known and all(item.get(name) in values for name, values in wait.until.items())
    return _status(wait, item) if over else ""


# --- waits polled together -------------------------------------------------------------------------------------------


def poll_group(wait: Wait) -> str:
    """A key that waits which one call can poll have in common; empty for a wait that is polled alone."""
    if not wait.among:
        return ""
    rest = {name: value for name, value in wait.read.params.items() if name != wait.among}
    return f"{wait.read} {wait.among} {compact(rest)}"


def slice_for(wait: Wait, names: list[str], reply: Reply) -> Reply:
    """The part of the reply to a poll for several waits that is about ``names``."""
    if isinstance(reply, Refused):
        return reply
    items = reply.get(wait.items) or []
    return {wait.items: [item for item in items if any(item.get(member) in names for member in wait.named_by)]}


# --- calls -----------------------------------------------------------------------------------------------------------


def captured_attributes(call: Call, reply: Json) -> dict[str, Any]:
    """The attributes that ``call`` captures from its reply; numbers become text, as all attributes are."""
    found = {attr: value_at(reply, path) for attr, path in call.captures.items()}
    return {attr: str(value) if isinstance(value, int) else value for attr, value in found.items() if value is not None}


def not_done(call: Call, reply: Json) -> Iterator[Refused]:
    """The entries that a successful call did not process (``Call.refuse_if``), each as a refusal."""
    for item in (value_at(reply, call.refuse_if) or ()) if call.refuse_if else ():
        error = item.get("ResponseError") or item
        code = error.get("ErrorCode") or error.get("Code") or "NotDone"
        message = error.get("ErrorMessage") or error.get("Message") or "AWS did not process this entry"
        named = {name: value for name, value in item.items() if isinstance(value, str | int) and name not in _ERROR}
        text = ", ".join(f"{name} {value}" for name, value in sorted(named.items()))
        yield Refused(str(code), f"{message} ({text})" if text else str(message))


_ERROR = ("ErrorCode", "ErrorMessage", "Code", "Message")


def value_at(reply: Any, path: str) -> Any:
    """The value at a dotted path of a reply (``SecurityGroups.0.GroupId``), or None."""
    for part in path.split("."):
        if isinstance(reply, list):
            reply = reply[int(part)] if part.isdigit() and int(part) < len(reply) else None
        else:
            reply = reply.get(part) if isinstance(reply, Mapping) else None
    return reply
