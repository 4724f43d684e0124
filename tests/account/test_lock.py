"""One apply per environment at a time: who holds the lock, who may break it, and what becomes of a run that lost it."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.account import lock_owner
from reconciler.account.client import AwsClient, identity
from reconciler.account.lock import Claim, Held, Lock, held_since, holder
from reconciler.model import Call, Refused, Reply, Scope
from reconciler.model.problems import Problems
from tests.support.clients import client_of

NAME = "/reconcile/locks/prod"


def claim(run: str, process: str = "") -> Claim:
    return Claim(run=run, who=f"{run}@host", machine="", process=process, since="2026-01-31T12:00:00Z")


def version(number: int, run: str, breaks: tuple[str, int] | None = None) -> dict[str, Any]:
    broken = Held(claim(breaks[0]), breaks[1], 0.0) if breaks else None
    return {
        "Version": number,
        "Value": claim(run).text(broken),
        "LastModifiedDate": datetime.fromtimestamp(number, UTC),
    }


# --- who holds it ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("history", "run", "since"),
    [
        ([], None, None),
        ([version(1, "a")], "a", 1),
        ([version(1, "a"), version(2, "a")], "a", 2),
        ([version(1, "a"), version(2, "b", ("a", 1))], "b", 2),
        ([version(1, "a"), version(2, "b", ("a", 1)), version(3, "c", ("a", 1))], "b", 2),
        ([version(1, "a"), version(2, "a"), version(3, "b", ("a", 1))], "a", 2),
        ([version(1, "a"), version(2, "b", ("a", 1)), version(3, "a")], "b", 2),
        ([version(1, "a"), version(2, "b")], "a", 1),
        ([version(40, "a"), version(41, "a")], "a", 41),
    ],
    ids=[
        "nobody",
        "the first",
        "renewed",
        "broken",
        "broken by two: the first of them",
        "renewed just before it was broken",
        "a broken one that renews has no claim",
        "one that breaks nothing counts for nothing",
        "old versions forgotten",
    ],
)
def test_the_history_says_who_holds_it(history: list[dict[str, Any]], run: str | None, since: int | None) -> None:
    held = holder(history)

    assert (held.claim.run, held.version) == (run, since) if held else run is None


def test_what_somebody_wrote_by_hand_holds_too() -> None:
    held = holder([{"Version": 1, "Value": "mine!", "LastModifiedDate": datetime.now(UTC)}])

    assert held and "by hand" in held.claim.who


@given(st.permutations(range(5)), st.integers(0, 3))
def test_of_many_who_find_the_same_expired_lock_one_holds_it(order: list[int], renewals: int) -> None:
    seen = 1 + renewals
    first = [version(number, "dead") for number in range(1, seen + 1)]
    bids = [version(seen + 1 + place, f"r{run}", ("dead", seen)) for place, run in enumerate(order)]
    held = holder([*first, *bids])

    assert held and held.claim.run == f"r{order[0]}"


@pytest.mark.parametrize(
    ("later", "told"),
    [(-5, "0 s"), (59, "59 s"), (119, "119 s"), (150, "2 min"), (7200, "2 h"), (3 * 86400, "3 days"), (None, "")],
)
def test_how_long_it_has_been_held(later: float | None, told: str) -> None:
    since = "" if later is None else "2026-01-31T12:00:00Z"
    began = datetime(2026, 1, 31, 12, tzinfo=UTC).timestamp()

    held = Held(replace(claim("a"), since=since), 1, began)
    assert held_since(held, began + (later or 0)) == (f", for {told}" if told else "")


@pytest.mark.parametrize(
    ("alive", "ago", "told"),
    [
        (False, 0, "Its process no longer exists"),
        (None, 91, "The lock has expired"),
        (True, 89, "it notices within 15 s"),
        (None, 0, "starts no further steps"),
    ],
)
def test_what_breaking_it_does(alive: bool | None, ago: float, told: str) -> None:
    lock = Lock(None, None, claim("b"), alive=lambda _: alive, now=lambda: 1000.0 + ago)  # type: ignore[arg-type]

    assert told in lock.after_breaking(Held(claim("a"), 1, 1000.0))


# --- against an account ----------------------------------------------------------------------------------------------


@pytest.fixture
def lock_for(sandbox: Any) -> Callable[..., Lock]:
    aws = client_of(sandbox.session, sandbox.region)
    scope = identity(aws, "prod")

    def made(run: str, door: Any = None, **facts: Any) -> Lock:
        settings: dict[str, Any] = {"alive": lambda _: None, "pause": 0.0, **facts}
        return Lock(door or aws, scope, claim(run), **settings)

    return made


def test_the_second_is_told_who_holds_it(lock_for: Callable[..., Lock]) -> None:
    with lock_for("a").held(), pytest.raises(Problems) as caught, lock_for("b").held():
        pass

    assert caught.value.exit_code == 4
    problem = caught.value.problems[0]
    assert problem.code == "locked" and "a@host" in problem.message and "reconcile unlock" in problem.hint
    with lock_for("b").held():
        pass


def test_nothing_is_left_of_it_in_the_account(lock_for: Callable[..., Lock], sandbox: Any) -> None:
    with lock_for("a").held():
        assert sandbox.client("ssm").describe_parameters()["Parameters"]

    assert not sandbox.client("ssm").describe_parameters()["Parameters"]


def test_one_that_is_dead_or_expired_is_broken(lock_for: Callable[..., Lock]) -> None:
    lock_for("dead").take()
    lock_for("b", alive=lambda claimed: claimed.run != "dead").take()
    lock_for("c", now=lambda: datetime.now(UTC).timestamp() + 100).take()

    held = lock_for("d").read()
    assert held and held.claim.run == "c"


def test_many_who_find_an_expired_lock_end_with_one_holder(lock_for: Callable[..., Lock]) -> None:
    lock_for("dead").take()
    start, won, lost = threading.Barrier(8), list[str](), list[str]()

    def bid(run: str) -> None:
        lock = lock_for(run, alive=lambda claimed: claimed.run != "dead")
        start.wait()
        try:
            lock.take()
        except Problems:
            lost.append(run)
        else:
            won.append(run)

    threads = [threading.Thread(target=bid, args=(f"r{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    held = lock_for("z").read()
    assert len(won) == 1 and len(lost) == 7
    assert held and held.claim.run == won[0]


def test_a_holder_that_lost_it_is_told_and_leaves_the_new_one_alone(lock_for: Callable[..., Lock]) -> None:
    told = threading.Event()
    lock = lock_for("a", lease=0.3, on_lost=told.set)
    with lock.held():
        lock_for("b", alive=lambda _: False).take()
        assert told.wait(5)

    held = lock_for("c").read()
    assert held and held.claim.run == "b"


def test_a_long_apply_keeps_its_lock(lock_for: Callable[..., Lock]) -> None:
    lock = lock_for("a", lease=0.3)
    with lock.held():
        first = lock.read()
        threading.Event().wait(0.5)
        later = lock.read()

    assert first and later and later.version > first.version and later.claim.run == "a"


class Busy:
    """Turns every renewal away, and says when it has done so first."""

    def __init__(self, aws: Any) -> None:
        self.aws, self.turned_away, self.first = aws, 0, threading.Event()

    def call(self, call: Call) -> Reply:
        if call.operation == "PutParameter" and call.params["Overwrite"]:
            self.turned_away += 1
            self.first.set()
            return Refused("ThrottlingException", "Rate exceeded", not_processed=True)
        reply: Reply = self.aws.call(call)
        return reply


def test_who_has_done_does_not_wait_for_a_renewal_that_is_turned_away(lock_for: Callable[..., Lock]) -> None:
    busy, lost = Busy(lock_for("x").aws), threading.Event()
    with lock_for("a", busy, lease=0.3, pause=20.0, on_lost=lost.set).held():
        assert busy.first.wait(5)

    assert busy.turned_away == 1
    assert not lost.is_set()
    assert lock_for("b").read() is None


class Interrupted:
    """Raises KeyboardInterrupt once, before a call or after it."""

    def __init__(self, aws: Any, operation: str, *, before: bool) -> None:
        self._aws, self._operation, self._before = aws, operation, before

    def call(self, call: Call) -> Reply:
        if call.operation != self._operation:
            reply: Reply = self._aws.call(call)
            return reply
        self._operation = ""
        if not self._before:
            self._aws.call(call)
        raise KeyboardInterrupt


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("operation", ["GetParameterHistory", "DeleteParameter"])
def test_an_interrupt_while_it_is_released_leaves_nothing(
    operation: str, before: bool, lock_for: Callable[..., Lock], sandbox: Any
) -> None:
    lock = lock_for("a", Interrupted(lock_for("x").aws, operation, before=before))

    with pytest.raises(KeyboardInterrupt), lock.held():
        pass

    assert sandbox.client("ssm").describe_parameters()["Parameters"] == []


class Stumbling:
    """Does what it is asked, and loses the answer to the first write."""

    def __init__(self, aws: AwsClient, *, code: str = "Throttling", lost: bool = True) -> None:
        self.aws, self.code, self.lost, self.writes = aws, code, lost, 0

    def call(self, call: Call) -> Reply:
        if call.operation == "PutParameter":
            self.writes += 1
            if self.writes == 1:
                if self.lost:
                    self.aws.call(call)
                return Refused(self.code, "try later", unknown_outcome=self.lost, not_processed=not self.lost)
        return self.aws.call(call)


@pytest.mark.parametrize("lost", [True, False])
def test_a_lost_or_throttled_answer_does_not_lock_anybody_out(lock_for: Callable[..., Lock], *, lost: bool) -> None:
    aws: Any = lock_for("x").aws
    with lock_for("a", Stumbling(aws, lost=lost)).held():
        held = lock_for("b").read()
        assert held and held.claim.run == "a"

    assert lock_for("b").read() is None


def test_where_it_may_not_be_taken_the_permission_is_named(lock_for: Callable[..., Lock]) -> None:
    class Denied:
        def call(self, _: Call) -> Reply:
            return Refused("AccessDeniedException", "not authorized to perform: ssm:PutParameter", status=400)

    with pytest.raises(Problems) as caught:
        lock_for("a", Denied()).take()

    assert "ssm:PutParameter" in caught.value.problems[0].hint and "--no-lock" in caught.value.problems[0].hint


# --- which process that was ------------------------------------------------------------------------------------------


def test_a_run_on_this_machine_is_looked_up() -> None:
    mine = lock_owner.claim({})
    if not mine.machine:
        pytest.skip("this machine does not tell which it is")
    ended = subprocess.run(
        [sys.executable, "-c", "from reconciler.account import lock_owner; print(lock_owner.claim({}).text())"],
        check=True,
        capture_output=True,
        text=True,
    )
    dead = Claim(**json.loads(ended.stdout))

    assert lock_owner.alive(mine) is True
    assert lock_owner.alive(dead) is False
    assert lock_owner.alive(claim("elsewhere", "1@1")) is None


def test_a_claim_in_ci_names_the_job() -> None:
    environ = {"GITHUB_RUN_ID": "7", "GITHUB_REPOSITORY": "o/r", "GITHUB_SERVER_URL": "https://github.com"}

    assert "https://github.com/o/r/actions/runs/7" in lock_owner.claim(environ).who


def test_scopes_do_not_share_a_lock(lock_for: Callable[..., Lock]) -> None:
    one = lock_for("a")
    other = Lock(one.aws, Scope("123456789012", "eu-west-1", "aws", "staging"), claim("b"), lambda _: None)
    with one.held(), other.held():
        assert one.name != other.name
