"""Replies: what becomes of a step, of its next attempt, and of waits that are polled together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from reconciler.applying import responses
from reconciler.applying.responses import Running, StepResult
from reconciler.model import (
    Address,
    Call,
    Cause,
    On,
    Reads,
    Refused,
    Repair,
    Reply,
    Step,
    StepState,
    Unreadable,
    Wait,
)

DONE, AGAIN, WAITING, FAILED = StepState.DONE, StepState.AGAIN, StepState.WAITING, StepState.FAILED
HERE = Address("things", "a")
BUSY, WRONG = Refused("Busy", "being modified"), Refused("ValidationException", "priority must be positive")
GONE = Refused("NotFound", "does not exist")
THROTTLED = Refused("Throttling", "slow down", not_processed=True)
LOST = Refused("ConnectionClosedError", "no reply", unknown_outcome=True)
PUT = Call("test", "Put", retry_on=(On("Busy"),), ok_if=(On("NotFound"),), patience=30)
DESCRIBE = Call("test", "Describe", {"names": ["a"], "all": True})
VALID = Wait(
    "a VALID",
    DESCRIBE,
    "things",
    until={"status": frozenset({"VALID"})},
    fail={"status": frozenset({"INVALID"})},
    absent=(On("NotFound"),),
    timeout=60,
)
GONE_LATE = replace(VALID, gone=True, soonest=30.0)
LEFT = {"Left": [{"Id": "x", "ErrorCode": "Busy", "ErrorMessage": "later"}]}


def running(action: Call | Wait, **facts: Any) -> Running:
    return Running(Step(id="s", address=HERE, action=action), 0.0, **facts)


def status(word: str, reason: str = "") -> Reply:
    return {"things": [{"name": "a", "status": word, "statusReason": reason}]}


@pytest.mark.parametrize(
    ("action", "facts", "now", "seconds"),
    [
        (VALID, {}, 0.0, 0.2),
        (VALID, {}, 10.0, 2.0),
        (VALID, {}, 1000.0, 8.0),
        (VALID, {"restarted_at": 95.0}, 100.0, 1.0),
        (GONE_LATE, {}, 0.0, 0.2),
        (GONE_LATE, {}, 0.2, 0.8),
        (GONE_LATE, {}, 1.0, 4.0),
        (GONE_LATE, {}, 5.0, 8.0),
        (GONE_LATE, {}, 25.0, 5.0),
        (GONE_LATE, {}, 29.9, 1.794),
        (GONE_LATE, {}, 30.0, 2.2),
        (GONE_LATE, {}, 1000.0, 8.0),
        (GONE_LATE, {"restarted_at": 99.0}, 100.0, 4.0),
        (GONE_LATE, {"restarted_at": 90.0, "repairs": 1}, 100.0, 2.0),
        (PUT, {}, 10.0, 5.0),
        (VALID, {"repairing": True, "repairs": 1}, 10.0, 0.0),
        (VALID, {"repairing": True, "repairs": 3}, 10.0, 4.0),
        (VALID, {"repairing": True, "repairs": 9}, 10.0, 20.0),
    ],
)
def test_pauses_grow_with_the_time_that_has_passed(
    action: Call | Wait, facts: dict[str, Any], now: float, seconds: float
) -> None:
    assert responses.pause(running(action, **facts), now) == pytest.approx(seconds)


# --- calls -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "reply", "now", "state", "detail"),
    [
        (PUT, {}, 0, DONE, ""),
        (PUT, GONE, 0, DONE, "already so"),
        (PUT, BUSY, 29, AGAIN, "Busy: being modified"),
        (PUT, BUSY, 30, FAILED, "Busy: being modified"),
        (PUT, WRONG, 0, FAILED, "ValidationException: priority must be positive"),
        (PUT, THROTTLED, 500, AGAIN, "Throttling: slow down"),
        (PUT, LOST, 500, AGAIN, "ConnectionClosedError: no reply"),
        (PUT, LEFT, 0, DONE, ""),
        (replace(PUT, refuse_if="Left"), LEFT, 0, AGAIN, "Busy: later (Id x)"),
        (replace(PUT, refuse_if="Left", retry_on=()), LEFT, 0, FAILED, "Busy: later (Id x)"),
        (replace(PUT, refuse_if="Left", ok_if=(On("Busy"),)), LEFT, 0, DONE, "already so"),
        (replace(PUT, refuse_if="Left"), {"Left": [{}, *LEFT["Left"]]}, 0, FAILED, None),
    ],
)
def test_what_becomes_of_a_call(call: Call, reply: Reply, now: float, state: StepState, detail: str | None) -> None:
    found = responses.interpret_call(running(call), call, reply, now)

    assert found.state is state
    assert detail in (None, found.detail)
    assert (found.refused is not None) is (state is FAILED)


def test_a_refusal_that_passes_is_explained_in_the_words_of_the_call() -> None:
    call = replace(PUT, retry_on=(On("Gone"), On("Busy", because="AWS does not see the new role yet")))

    assert responses.interpret_call(running(call), call, BUSY, 0).because == "AWS does not see the new role yet"


def test_what_never_arrives_is_sent_ten_times_and_an_answer_starts_anew() -> None:
    one = running(PUT)
    states = [responses.interpret_call(one, PUT, THROTTLED, 0).state for _ in range(9)]
    responses.interpret_call(one, PUT, BUSY, 0)
    states += [responses.interpret_call(one, PUT, LOST, 0).state for _ in range(10)]

    assert states == [*[AGAIN] * 18, FAILED]
    assert one.unsure, "it may have taken effect"


def test_only_what_may_have_taken_effect_is_unsure() -> None:
    one = running(PUT)
    responses.interpret_call(one, PUT, THROTTLED, 0)

    assert not one.unsure


def test_attributes_are_captured_as_text_where_the_reply_has_them() -> None:
    call = Call("test", "Create", captures={"id": "Thing.Id", "number": "Versions.1", "none": "Thing.Other"})
    reply = {"Thing": {"Id": "i"}, "Versions": [3, 7]}

    assert responses.interpret_call(running(call), call, reply, 0).captured == {"id": "i", "number": "7"}


def test_reach_finds_members_and_items() -> None:
    assert responses.value_at({"A": [{"B": 1}]}, "A.0.B") == 1
    assert responses.value_at({"A": []}, "A.0.B") is None
    assert responses.value_at({"A": "text"}, "A.B") is None


@pytest.mark.parametrize(
    ("refused", "now", "state"),
    [
        (Refused("X", "the queue already exists"), 119, AGAIN),
        (Refused("X", "the queue already exists"), 120, FAILED),
        (Refused("EntityAlreadyExists", "no"), 0, AGAIN),
        (WRONG, 0, FAILED),
        (None, 0, FAILED),
    ],
)
def test_what_exists_and_does_not_show_yet_is_tried_again(
    refused: Refused | None, now: float, state: StepState
) -> None:
    one = running(PUT)
    answer = StepResult(one.step, FAILED, refused=refused)

    assert responses.retry_if_not_visible(one, answer, now).state is state


# --- waits -----------------------------------------------------------------------------------------------------------

ENDS = replace(VALID, gone=True, until={"status": frozenset({"DELETED"})}, fail={})
CAUSES = replace(VALID, causes=(Cause("no role", "make one", "serviceRole"),))


@pytest.mark.parametrize(
    ("wait", "reply", "now", "state", "detail"),
    [
        (VALID, status("VALID"), 0, DONE, "VALID"),
        (VALID, status("CREATING"), 60, WAITING, "CREATING"),
        (VALID, status("CREATING"), 61, FAILED, "CREATING: waited 60 s"),
        (replace(VALID, or_go_on=True), status("CREATING"), 61, DONE, "CREATING: continued after 60 s"),
        (VALID, status("INVALID", "no role"), 0, FAILED, "INVALID: no role"),
        (CAUSES, status("INVALID", "there is no role"), 0, FAILED, "INVALID: there is no role\n      make one"),
        (replace(VALID, grace=30), status("INVALID"), 29, WAITING, "INVALID"),
        (replace(VALID, grace=30), status("INVALID"), 30, FAILED, "INVALID: "),
        (VALID, {"things": []}, 0, WAITING, "not visible yet"),
        (VALID, {}, 61, FAILED, "not visible yet: waited 60 s"),
        (VALID, GONE, 0, FAILED, "NotFound: does not exist"),
        (VALID, THROTTLED, 0, WAITING, "Throttling: slow down"),
        (ENDS, {"things": []}, 0, DONE, "gone"),
        (ENDS, GONE, 0, DONE, "gone"),
        (ENDS, status("DELETED"), 0, DONE, "DELETED"),
        (ENDS, status("DELETING"), 0, WAITING, "DELETING"),
        (replace(VALID, items="", until={"a.b": frozenset({2})}, fail={}), {"a": {"b": 2}}, 0, DONE, "b 2"),
    ],
)
def test_what_becomes_of_a_wait(wait: Wait, reply: Reply, now: float, state: StepState, detail: str) -> None:
    found = responses.interpret_wait(running(wait), wait, wait.read, reply, now)

    assert (found.state, found.detail) == (state, detail)


def test_a_known_cause_names_the_property() -> None:
    found = responses.interpret_wait(running(CAUSES), CAUSES, DESCRIBE, status("INVALID", "no role"), 0)

    assert found.path == "serviceRole"


def test_a_failure_that_is_new_has_no_grace() -> None:
    wait = replace(VALID, grace=30)
    one = running(wait)
    states = [
        responses.interpret_wait(one, wait, DESCRIBE, status(word), 1).state for word in ("INVALID", "BUSY", "INVALID")
    ]

    assert states == [WAITING, WAITING, FAILED]


AGAIN_PLEASE = Call("test", "Update", retry_on=(On("Busy"),))
REPAIRED = replace(VALID, repair=Repair({"no role": "AWS does not see the role yet"}, AGAIN_PLEASE, times=3))


@pytest.mark.parametrize(("changed", "times"), [(True, 3), (False, 2)])
def test_a_reason_that_passes_is_repaired_a_few_times(changed: bool, times: int) -> None:
    one = running(REPAIRED, dependency_changed=changed)
    found = []
    for now in range(9):
        found.append(responses.interpret_wait(one, REPAIRED, DESCRIBE, status("INVALID", "no role"), now))
        if found[-1].state is not AGAIN:
            break
        assert one.repairing and found[-1].because == "AWS does not see the role yet"
        assert responses.interpret_wait(one, REPAIRED, AGAIN_PLEASE, {}, now).detail == "sent again"
        assert not one.repairing and one.restarted_at == now

    assert [each.state for each in found] == [*[AGAIN] * times, FAILED]


@pytest.mark.parametrize(("reply", "state"), [(BUSY, WAITING), (GONE, FAILED), (LOST, WAITING), (WRONG, FAILED)])
def test_a_repair_may_be_refused_for_a_reason_that_passes(reply: Reply, state: StepState) -> None:
    one = running(REPAIRED, repairing=True)

    assert responses.interpret_wait(one, REPAIRED, AGAIN_PLEASE, reply, 0).state is state
    assert not one.repairing


def test_a_reason_that_does_not_pass_is_not_repaired() -> None:
    found = responses.interpret_wait(running(REPAIRED), REPAIRED, DESCRIBE, status("INVALID", "no subnet"), 0)

    assert found.state is FAILED


# --- after the timeout -----------------------------------------------------------------------------------------------


def looking(text: str, *, refuses: bool = False) -> Callable[[], Reads[str]]:
    def reads() -> Reads[str]:
        (reply,) = yield (DESCRIBE,)
        if refuses:
            raise Unreadable(DESCRIBE, GONE)
        assert reply == status("BUSY")
        return text

    return reads


@pytest.mark.parametrize(
    ("wait", "timed_out", "detail"),
    [
        (replace(VALID, at_end=looking("two jobs run")), True, "late; two jobs run"),
        (replace(VALID, at_end=looking("")), True, "late"),
        (replace(VALID, at_end=looking("", refuses=True)), True, "late (test:Describe: NotFound: does not exist)"),
        (replace(VALID, at_end=looking("two jobs run")), False, "late"),
        (VALID, True, "late"),
    ],
)
def test_after_the_timeout_what_takes_so_long_is_told(wait: Wait, timed_out: bool, detail: str) -> None:
    answer = StepResult(running(wait).step, FAILED, "late", timed_out=timed_out)

    assert responses.after_timeout(wait, answer, lambda call: status("BUSY")) == replace(answer, detail=detail)


@pytest.mark.parametrize(("known", "told"), [("VALID", "VALID"), ("CREATING", ""), (None, "")])
def test_what_an_earlier_reply_has_shown_is_not_waited_for(known: str | None, told: str) -> None:
    facts = {(HERE, "state"): known} if known else {}

    assert responses.over_already(replace(VALID, known={"status": "state"}), HERE, facts) == told
    assert responses.over_already(VALID, HERE, facts) == ""


# --- waits polled together -------------------------------------------------------------------------------------------

TOGETHER = replace(VALID, among="names", named_by=("name", "arn"))


def test_waits_that_differ_in_the_name_alone_are_polled_together() -> None:
    def group(**params: Any) -> str:
        return responses.poll_group(replace(TOGETHER, read=Call("test", "Describe", {**DESCRIBE.params, **params})))

    assert group() == group(names=["b"]) != ""
    assert group() != group(all=False)
    assert group() != responses.poll_group(replace(TOGETHER, read=Call("test", "List", DESCRIBE.params)))
    assert responses.poll_group(VALID) == ""


def test_each_gets_its_part_of_the_reply() -> None:
    items = [{"name": "a"}, {"arn": "b"}, {"name": "c"}]

    assert responses.slice_for(TOGETHER, ["a", "b"], {"things": items}) == {"things": items[:2]}
    assert responses.slice_for(TOGETHER, ["x"], {"things": items}) == {"things": []}
    assert responses.slice_for(TOGETHER, ["x"], GONE) is GONE
