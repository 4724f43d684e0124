"""The executor: order, waits, retries, repairs, stops; against a scripted account and a clock that needs no time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeAlias

import pytest

from reconciler.applying.executor import Executor
from reconciler.applying.parameters import render_parameters
from reconciler.model import (
    Action,
    Address,
    Base64,
    Call,
    Cause,
    Digest,
    Event,
    JsonText,
    Later,
    On,
    Outcome,
    Plan,
    Refused,
    Repair,
    Reply,
    ResourcePlan,
    Secret,
    Step,
    StepState,
    Text,
    Verb,
    Wait,
    fingerprint,
)
from tests.support.builders import SCOPE

BUSY = Refused("ClientException", "Cannot update, resource is being modified")


@dataclass
class Account:
    """Answers each operation from a list of replies; the last one stays."""

    replies: Mapping[str, list[Reply]] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    hook: Callable[[Call], None] = lambda _: None

    def call(self, call: Call) -> Reply:
        self.calls.append(call)
        self.hook(call)
        known = self.replies.get(call.operation, [{}])
        return known.pop(0) if len(known) > 1 else known[0]

    @property
    def made(self) -> list[str]:
        return [call.operation for call in self.calls]


@dataclass
class Clock:
    at: float = 0.0

    def now(self) -> float:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.at += seconds


Chain: TypeAlias = tuple[str, list[Action], list[str]]


def plan_of(*chains: Chain) -> Plan:
    """Each chain: a resource's name, its actions, the names of resources that must be done before."""
    resources, last = [], dict[str, str]()
    for name, actions, after in chains:
        address = Address("things", name)
        steps, before = [], [last[other] for other in after]
        for number, action in enumerate(actions):
            steps.append(Step(id=f"{address}:up.{number}", address=address, action=action, after=frozenset(before)))
            before = [steps[-1].id]
        last[name] = steps[-1].id
        resources.append(
            ResourcePlan(address=address, verb=Verb.CREATE, physical=name, before=None, after={}, steps=tuple(steps))
        )
    return Plan(scope=SCOPE, resources=tuple(resources))


def run(made: Plan, account: Account, **options: Any) -> tuple[Outcome, list[Event], Clock]:
    events: list[Event] = []
    clock = Clock()
    settings: dict[str, Any] = {"parallelism": 0, "jitter": lambda: 0.0} | options
    outcome = Executor(account, clock, events.append, **settings).run(made)
    return outcome, events, clock


def call(operation: str, **facts: Any) -> Call:
    return Call("test", operation, facts.pop("params", {}), **facts)


def wait(**facts: Any) -> Wait:
    defaults = {"until": {"status": frozenset({"VALID"})}, "fail": {"status": frozenset({"INVALID"})}}
    return Wait("thing VALID", call("Describe"), "things", **{**defaults, **facts})


def status(word: str, reason: str = "") -> Reply:
    return {"things": [{"status": word, "statusReason": reason}]}


@pytest.mark.parametrize("parallelism", [0, 4])
def test_steps_come_after_those_they_need(parallelism: int) -> None:
    account = Account()
    made = plan_of(("a", [call("One"), call("Two")], []), ("b", [call("Three")], ["a"]), ("c", [call("Four")], []))
    outcome, _, _ = run(made, account, parallelism=parallelism)

    assert outcome.ok and len(outcome.done) == 4
    assert account.made.index("One") < account.made.index("Two") < account.made.index("Three")


def test_what_only_aws_can_say_is_filled_in_later() -> None:
    account = Account({"CreateGroup": [{"Group": {"Id": "sg-1"}}]})
    give = call("CreateGroup", captures={"id": "Group.Id"})
    use = call("Use", params={"ids": [Later(Address("things", "a"), "id")]})
    run(plan_of(("a", [give], []), ("b", [use], ["a"])), account)

    assert account.calls[-1].params == {"ids": ["sg-1"]}


def test_a_wait_polls_until_it_is_over_without_holding_others() -> None:
    account = Account({"Describe": [status("CREATING"), status("CREATING"), status("VALID")]})
    outcome, events, clock = run(plan_of(("a", [wait()], []), ("b", [call("Other")], [])), account)

    assert outcome.ok
    assert account.made == ["Describe", "Other", "Describe", "Describe"]
    assert clock.at == pytest.approx(0.2 + 0.2)
    assert [e.detail for e in events if e.state is StepState.WAITING] == ["CREATING"]


def test_a_wait_that_ends_badly_fails_with_the_reason_and_its_dependents_are_skipped() -> None:
    account = Account({"Describe": [status("INVALID", "CLIENT_ERROR - no role")]})
    outcome, events, _ = run(plan_of(("a", [wait()], []), ("b", [call("Use")], ["a"])), account, keep_going=True)

    assert outcome.failed == ("things.a:up.0",) and outcome.skipped == ("things.b:up.0",)
    assert "CLIENT_ERROR - no role" in next(e.detail for e in events if e.state is StepState.FAILED)
    assert "Use" not in account.made


def test_a_wait_is_repaired_when_the_reason_passes() -> None:
    account = Account({"Describe": [status("INVALID", "sts:AssumeRole"), status("UPDATING"), status("VALID")]})
    repair = Repair(on={"sts:AssumeRole": "not visible yet"}, call=call("UpdateAgain"), times=1)
    outcome, events, _ = run(plan_of(("a", [wait(repair=repair)], [])), account)

    assert outcome.ok
    assert account.made == ["Describe", "UpdateAgain", "Describe", "Describe"]
    again = next(event for event in events if event.state is StepState.AGAIN)
    assert (again.because, again.detail) == ("not visible yet", "INVALID: sts:AssumeRole")


def test_a_repair_is_tried_so_often_and_no_more() -> None:
    account = Account({"Describe": [status("INVALID", "sts:AssumeRole")]})
    repair = Repair(on={"sts:AssumeRole": "not visible yet"}, call=call("UpdateAgain"), times=2)
    outcome, _, _ = run(plan_of(("a", [wait(repair=repair)], [])), account)

    assert outcome.failed
    assert account.made.count("UpdateAgain") == 2


def test_what_nothing_in_this_apply_brought_about_is_repaired_less_often() -> None:
    repair = Repair(on={"sts:AssumeRole": "not visible yet"}, call=call("UpdateAgain"), times=6)
    tried = []
    for chains in ([("a", [wait(repair=repair)], [])], [("r", [call("One")], []), ("a", [wait(repair=repair)], ["r"])]):
        made = plan_of(*chains)
        used = tuple(Address("things", name) for name, _, _ in chains[:-1])
        items = (*made.resources[:-1], replace(made.resources[-1], depends_on=used))
        account = Account({"Describe": [status("INVALID", "sts:AssumeRole")]})
        run(replace(made, resources=items), account)
        tried.append(account.made.count("UpdateAgain"))

    assert tried == [2, 6]


def test_many_that_are_turned_away_at_once_do_not_come_again_at_once() -> None:
    throttled = Refused("Throttling", "Rate exceeded", not_processed=True)
    ends = []
    for chance in (0.0, 0.5, 1.0):
        _, _, clock = run(
            plan_of(("a", [call("Put")], [])),
            Account({"Put": [throttled, throttled, {}]}),
            jitter=partial(float, chance),
        )
        ends.append(clock.at)

    assert ends == pytest.approx([1.5, 2.25, 3.0])


def test_an_answer_in_between_ends_the_row_of_losses() -> None:
    lost = Refused("ConnectionClosedError", "", unknown_outcome=True)
    account = Account({"Update": [lost, *[BUSY] * 20, {}]})
    outcome, _, clock = run(plan_of(("a", [call("Update", retry_on=(On(message="is being modified"),))], [])), account)

    assert outcome.ok
    assert clock.at > 100  # the pauses grow, as they do without a loss


def test_gone_means_no_item_or_a_known_refusal() -> None:
    missing = Refused("NotFound", "no such thing")
    for reply in ({"things": []}, missing):
        account = Account({"Describe": [status("DELETING"), reply]})
        gone = wait(gone=True, until={"status": frozenset({"DELETED"})}, fail={}, absent=(On("NotFound"),))
        assert run(plan_of(("a", [gone], [])), account)[0].ok


def test_a_bad_end_that_was_there_before_has_a_moment_to_pass_and_a_new_one_has_not() -> None:
    facts = {"gone": True, "until": {"status": frozenset({"DELETED"})}, "grace": 60.0}
    old = Account({"Describe": [status("INVALID", "no role")]})
    outcome, events, clock = run(
        plan_of(("a", [wait(**facts, causes=(Cause("no role", "make one", "serviceRole"),))], [])), old
    )
    new = Account({"Describe": [status("INVALID"), status("DELETING"), status("INVALID", "again")]})
    again, _, soon = run(plan_of(("a", [wait(**facts)], [])), new)
    passing = Account({"Describe": [status("INVALID"), status("DELETING"), {"things": []}]})

    assert outcome.failed and 60 < clock.at < 90
    assert "INVALID: no role" in events[-1].detail and "make one" in events[-1].detail
    assert again.failed and soon.at < 2
    assert run(plan_of(("a", [wait(**facts)], [])), passing)[0].ok


def test_a_wait_that_may_go_on_does_when_its_time_is_up() -> None:
    account = Account({"Describe": [status("BUSY")]})
    outcome, events, _ = run(plan_of(("a", [wait(timeout=30, or_go_on=True)], [])), account)

    assert outcome.ok
    assert "continued after 30 s" in events[-1].detail


def test_a_wait_has_an_end() -> None:
    account = Account({"Describe": [status("CREATING")]})
    outcome, events, clock = run(plan_of(("a", [wait(timeout=60)], [])), account)

    assert outcome.failed
    assert 60 < clock.at < 90
    assert "waited 60 s" in events[-1].detail


def test_a_refusal_that_passes_is_tried_again_with_growing_pauses() -> None:
    account = Account({"Update": [*[BUSY] * 5, {}]})
    outcome, events, clock = run(
        plan_of(("a", [call("Update", retry_on=(On(message="is being modified"),))], [])), account
    )

    assert outcome.ok and account.made == ["Update"] * 6
    assert sum(e.state is StepState.AGAIN for e in events) == 5
    assert clock.at == pytest.approx(0.2 + 0.2 + 0.2 + 0.3 + 0.45)


def test_a_retry_is_bounded_and_a_mistake_fails_at_once() -> None:
    busy = Account({"Update": [BUSY]})
    outcome, _, clock = run(plan_of(("a", [call("Update", retry_on=(On(message="modified"),), patience=30)], [])), busy)
    wrong = Account({"Update": [Refused("ClientException", "priority must be positive")]})
    at_once, _, _ = run(plan_of(("a", [call("Update", retry_on=(On(message="modified"),))], [])), wrong)

    assert outcome.failed and 30 <= clock.at < 45
    assert at_once.failed and wrong.made == ["Update"]


def test_already_so_counts_as_done() -> None:
    account = Account({"Delete": [Refused("ClientException", "queue does not exist")]})
    assert run(plan_of(("a", [call("Delete", ok_if=(On(message="does not exist"),))], [])), account)[0].ok


def test_a_failure_starts_nothing_new_unless_told_to_go_on() -> None:
    def tried(keep_going: bool) -> list[str]:
        account = Account({"Bad": [Refused("X", "no")]})
        made = plan_of(("a", [call("Bad")], []), ("b", [call("One"), call("Two")], []))
        run(made, account, keep_going=keep_going)
        return account.made

    assert "Two" not in tried(False)
    assert "Two" in tried(True)


def test_a_stop_starts_nothing_new_lets_waits_go_and_says_so() -> None:
    stop = threading.Event()
    account = Account(
        {"Describe": [status("CREATING")]}, hook=lambda c: stop.set() if c.operation == "Describe" else None
    )
    made = plan_of(("a", [wait(), call("After")], []), ("b", [call("Later")], ["a"]))
    outcome, _, _ = run(made, account, stop=stop)

    assert outcome.interrupted and not outcome.ok
    assert account.made == ["Describe"]
    assert set(outcome.never_started) | set(outcome.skipped) == {s.id for s in made.steps}


def test_a_fault_of_ours_fails_its_step_and_leaves_the_report() -> None:
    def broken(_: Call) -> None:
        raise RuntimeError("oops")

    outcome, events, _ = run(plan_of(("a", [call("One")], [])), Account(hook=broken))
    assert outcome.failed
    assert "internal error: RuntimeError: oops" in events[-1].detail


def test_stand_ins_are_opened_only_when_sent() -> None:
    later = Later(Address("things", "a"), "arn")
    facts = {(later.address, "arn"): "arn:1"}
    value = {
        "text": Text(("see ", later)),
        "doc": JsonText({"b": [later], "a": 1}),
        "secret": Secret(JsonText({"pw": "hunter2"})),
        "token": Digest({"pw": "hunter2"}, later),
    }

    assert render_parameters(value, facts) == {
        "text": "see arn:1",
        "doc": '{"a":1,"b":["arn:1"]}',
        "secret": '{"pw":"hunter2"}',
        "token": fingerprint({"pw": "hunter2"}, "arn:1"),
    }
    assert "hunter2" not in repr(value)
    with pytest.raises(LookupError, match=r"things\.a\.arn"):
        render_parameters(later, {})


def test_text_is_encoded_when_it_is_sent() -> None:
    facts = {(Address("things", "a"), "id"): "sg-1"}

    assert render_parameters(Base64(Text(("echo ", Later(Address("things", "a"), "id")))), facts) == "ZWNobyBzZy0x"


def test_an_attribute_is_text_even_where_the_reply_has_a_number() -> None:
    account = Account({"CreateVersion": [{"Version": {"Number": 7}}]})
    give = call("CreateVersion", captures={"latest": "Version.Number"})
    use = call("Use", params={"version": Later(Address("things", "a"), "latest")})
    run(plan_of(("a", [give], []), ("b", [use], ["a"])), account)

    assert account.calls[-1].params == {"version": "7"}


FAILED = {"FailedEntryCount": 1, "FailedEntries": [{"TargetId": "t", "ErrorCode": "Busy", "ErrorMessage": "later"}]}
KEPT = {"Kept": [{"VersionNumber": 3, "ResponseError": {"Code": "unexpectedError", "Message": "it is the default"}}]}


@pytest.mark.parametrize(
    ("reply", "facts", "told"),
    [
        (FAILED, {"refuse_if": "FailedEntries"}, "Busy: later (TargetId t)"),
        (KEPT, {"refuse_if": "Kept"}, "unexpectedError: it is the default (VersionNumber 3)"),
        ({"Left": [{}]}, {"refuse_if": "Left"}, "NotDone: AWS did not process this entry"),
        (FAILED, {}, ""),
        ({"FailedEntryCount": 0, "FailedEntries": []}, {"refuse_if": "FailedEntries"}, ""),
        ({"FailedEntryCount": 0}, {"refuse_if": "FailedEntries"}, ""),
        (FAILED, {"refuse_if": "FailedEntries", "ok_if": (On("Busy"),)}, ""),
    ],
)
def test_what_a_successful_call_did_not_do_is_a_failure(reply: Reply, facts: Any, told: str) -> None:
    outcome, events, _ = run(plan_of(("a", [call("Put", **facts)], [])), Account({"Put": [reply]}))

    assert [e.detail for e in events if e.state is StepState.FAILED] == ([told] if told else [])
    assert outcome.ok is not bool(told)


def test_what_was_not_done_for_a_reason_that_passes_is_tried_again() -> None:
    account = Account({"Put": [FAILED, {"FailedEntryCount": 0}]})
    put = call("Put", refuse_if="FailedEntries", retry_on=(On("Busy"),))

    assert run(plan_of(("a", [put], [])), account)[0].ok
    assert account.made == ["Put", "Put"]


def test_what_most_waits_for_goes_first() -> None:
    account = Account({"Describe": [status("VALID")]})
    jobs: list[Chain] = [(f"a{n}", [call("Register")], []) for n in range(5)]
    made = plan_of(*jobs, ("z", [call("Create"), wait(), call("Use"), call("Tag")], []))
    outcome, _, _ = run(made, account)

    assert outcome.ok
    assert account.made[:3] == ["Create", "Describe", "Use"]


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_what_has_not_begun_when_something_fails_is_left(workers: int) -> None:
    account = Account({"Bad": [Refused("X", "no")]})
    jobs: list[Chain] = [(f"job{n}", [call("Register")], []) for n in range(50)]
    outcome, _, _ = run(plan_of(("a", [call("Bad"), call("Use")], []), *jobs), account, parallelism=workers)

    assert outcome.failed == ("things.a:up.0",)
    assert len(outcome.done) <= 2 * workers  # those that were on their way
    assert len(outcome.never_started) == 50 - len(outcome.done)


@pytest.mark.parametrize("word", ["VALID", "CREATING"])
def test_what_the_reply_to_the_creation_has_told_is_not_asked_again(word: str) -> None:
    account = Account({"Create": [{"thing": {"status": word}}], "Describe": [status("VALID")]})
    made = plan_of(("a", [call("Create", captures={"state": "thing.status"}), wait(known={"status": "state"})], []))
    outcome, _, _ = run(made, account)

    assert outcome.ok
    assert account.made == (["Create"] if word == "VALID" else ["Create", "Describe"])


@pytest.mark.parametrize("workers", [0, 8])
def test_what_is_created_together_is_polled_together(workers: int) -> None:
    def named(name: str) -> Wait:
        described = call("Describe", params={"names": [name]})
        return replace(wait(), read=described, among="names", named_by=("name",))

    names = [f"q{n}" for n in range(8)]
    valid: Reply = {"things": [{"name": name, "status": "VALID"} for name in names]}
    together = threading.Barrier(workers or 1)

    def at_once(made: Call) -> None:
        if made.operation == "Create":
            together.wait(10)

    account = Account({"Describe": [valid]}, hook=at_once)
    chains: list[Chain] = [(name, [call("Create"), named(name)], []) for name in names]
    made = plan_of(*chains)
    outcome, _, _ = run(made, account, parallelism=workers)

    assert outcome.ok
    assert account.made == [*["Create"] * 8, "Describe"]
    assert sorted(account.calls[-1].params["names"]) == names
