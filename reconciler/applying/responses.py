"""What one attempt at a step came to: pure functions from a step under way and a reply to an :class:`StepResult`.

Also how stand-ins become what is sent, since a step's parameters may hold what only earlier answers could say.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
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

FIRST_POLL: Final = 0.2
LONGEST_POLL: Final = 8.0
POLL_SHARE: Final = 0.2  # of the time that has passed: so much longer than it takes is waited at most
RETRY_SHARE: Final = 0.5  # likewise before a call is made again, which no other can be put together with
LONGEST_REPAIR: Final = 20.0
REPAIRS_WITHOUT_CHANGE: Final = 2  # at most, of what nothing in this apply can have brought about
MOST_TRIES: Final = 10  # of a call that is turned away or whose answer is lost; about two minutes
VISIBILITY_DELAY: Final = 120.0  # seconds until every read sees what was created; what others wait for IAM at most
SAYS_IT_EXISTS: Final = re.compile(
    r"already|exists|duplicate|ConflictException|InstanceSessionsPerInstanceProfile", re.IGNORECASE
)


@dataclass(slots=True)
class Running:
    """A step under way: since when, how often looked at, and what it still may do.

    ``restarted_at`` is when a wait was last given a reason to begin again: the end of a repair; pauses are measured
    from there. ``dependency_changed`` is that this apply changes something that the resource refers to, which may take
    a while to be seen; ``tries`` counts what was turned away or lost in a row; ``unsure`` is that an answer was lost,
    so that the call may have been done; ``alone`` that a wait must not be polled with others; ``ticket`` is the last
    place in the queue.
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
    """What one attempt at a step came to; ``captured`` are attributes that are known now, ``changed_since_plan`` that
    the account was not as it had been planned upon, ``timed_out`` that the time of a wait was up, ``path`` the property
    that the cause of a failure lies in.
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
    """Seconds until something that is not so yet is looked at again, or a repair is sent.

    A share of the time it has taken so far, so that what takes seconds is not noticed late and what takes minutes does
    not cost many calls. A first repair comes at once, since what it needs has mostly come about by then.
    """
    if running.repairing:
        return min(2.0 ** (running.repairs - 1), LONGEST_REPAIR) if running.repairs > 1 else 0.0
    share = POLL_SHARE if isinstance(running.step.action, Wait) else RETRY_SHARE
    return min(max(share * (now - max(running.restarted_at, running.started_at)), FIRST_POLL), LONGEST_POLL)


def interpret_call(running: Running, call: Call, reply: Reply, now: float) -> StepResult:
    """What ``reply`` to a call step means."""
    step = running.step
    refusals = [reply] if isinstance(reply, Refused) else list(not_done(call, reply))
    left = [refused for refused in refusals if not any(on.matches(refused) for on in call.ok_if)]
    if not left:
        running.tries = 0
        told = "already so" if refusals else ""
        return StepResult(
            step, StepState.DONE, told, captured=captured_attributes(call, {} if isinstance(reply, Refused) else reply)
        )
    first = left[0]
    if first.not_processed or first.unknown_outcome:
        running.unsure |= first.unknown_outcome
        running.tries += 1
        if running.tries < MOST_TRIES:
            return StepResult(step, StepState.AGAIN, str(first))
        return StepResult(step, StepState.FAILED, f"{first} ({running.tries} times)", refused=first)
    running.tries = 0
    passing = all(any(on.matches(refused) for on in call.retry_on) for refused in left)
    if passing and now - running.started_at < call.patience:
        return StepResult(step, StepState.AGAIN, str(first))
    return StepResult(step, StepState.FAILED, "; ".join(map(str, left)), refused=first)


def retry_if_not_visible(running: Running, answer: StepResult, now: float) -> StepResult:
    """``answer``, a refusal after an earlier answer was lost and nothing is seen of what the call was to make.

    If the refusal says that it is there, it is not seen yet: to be looked for again, for as long as that may last.
    """
    if says_it_exists(answer) and now - running.started_at < VISIBILITY_DELAY:
        return StepResult(answer.step, StepState.AGAIN, f"{answer.refused}; not visible yet")
    return answer


def says_it_exists(answer: StepResult) -> bool:
    """Whether a refusal says that what was to be made is there already."""
    return answer.refused is not None and SAYS_IT_EXISTS.search(str(answer.refused)) is not None


def interpret_wait(running: Running, wait: Wait, call: Call, reply: Reply, now: float) -> StepResult:
    """What ``reply`` to a poll, or to a repair, means."""
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
        cause = next((known for known in wait.causes if known.text in reason), None)
        told = f"{_status(wait, item)}: {reason}" + (f"\n      {cause.advice}" if cause else "")
        return StepResult(step, StepState.FAILED, told, path=cause.path if cause else "")
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
    """``answer`` after what is to be done when the time of a wait is up; what cannot be read is not told."""
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
    told = [f"{name.rpartition('.')[2]} {value}" if isinstance(value, int) else value for name, value in found]
    return " ".join(str(value or "") for value in told)


def over_already(wait: Wait, address: Address, facts: Facts) -> str:
    """What shows that a wait is over before anything is polled: the reply to an earlier call. Empty: nothing does."""
    item = {member: facts.get((address, attr)) for member, attr in wait.known.items()}
    over = wait.known and all(item.get(name) in values for name, values in wait.until.items())
    return _status(wait, item) if over else ""


# --- waits polled together -------------------------------------------------------------------------------------------


def poll_group(wait: Wait) -> str:
    """What waits that can be polled by one call have in common; empty for one that is polled alone."""
    if not wait.among:
        return ""
    rest = {name: value for name, value in wait.read.params.items() if name != wait.among}
    return f"{wait.read} {wait.among} {compact(rest)}"


def slice_for(wait: Wait, names: list[str], reply: Reply) -> Reply:
    """The part of a common poll's reply that is about ``names``."""
    if isinstance(reply, Refused):
        return reply
    items = reply.get(wait.items) or []
    return {wait.items: [item for item in items if any(item.get(member) in names for member in wait.named_by)]}


# --- what is sent ----------------------------------------------------------------------------------------------------


def captured_attributes(call: Call, reply: Json) -> dict[str, Any]:
    """The attributes that the reply to ``call`` says; numbers as text, as all attributes are."""
    found = {attr: value_at(reply, path) for attr, path in call.captures.items()}
    return {attr: str(value) if isinstance(value, int) else value for attr, value in found.items() if value is not None}


def not_done(call: Call, reply: Json) -> Iterator[Refused]:
    """What a call that succeeded says it did not do (``Call.refuse_if``), each item as the refusal it is."""
    for item in (value_at(reply, call.refuse_if) or ()) if call.refuse_if else ():
        error = item.get("ResponseError") or item
        code = error.get("ErrorCode") or error.get("Code") or "NotDone"
        message = error.get("ErrorMessage") or error.get("Message") or "AWS did not process this entry"
        named = {name: value for name, value in item.items() if isinstance(value, str | int) and name not in _ERROR}
        told = ", ".join(f"{name} {value}" for name, value in sorted(named.items()))
        yield Refused(str(code), f"{message} ({told})" if told else str(message))


_ERROR = ("ErrorCode", "ErrorMessage", "Code", "Message")


def value_at(reply: Any, path: str) -> Any:
    """The value at a dotted path of a reply (``SecurityGroups.0.GroupId``), or None."""
    for part in path.split("."):
        if isinstance(reply, list):
            reply = reply[int(part)] if part.isdigit() and int(part) < len(reply) else None
        else:
            reply = reply.get(part) if isinstance(reply, Mapping) else None
    return reply
