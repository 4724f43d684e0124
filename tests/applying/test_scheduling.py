"""Which of the calls that are ready is sent first: the one at the start of the longest chain."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from reconciler.applying.scheduling import A_CALL, A_WAIT, NextPoll, critical_path, polls_started_by
from reconciler.model import Address, Call, Step, Wait

QUEUE, ROLE = Address("cars", "bus"), Address("engines", "v8")


def call(name: str, *after: str, address: Address = QUEUE) -> Step:
    return Step(id=name, address=address, action=Call("test", name), after=frozenset(after))


def wait(name: str, *after: str, among: str = "", address: Address = QUEUE) -> Step:
    read = Call("test", "Describe", {"names": [name]})
    action = Wait(name, read, "items", until={"status": frozenset({"ok"})}, among=among, named_by=("name",))
    return Step(id=name, address=address, action=action, after=frozenset(after))


def test_a_chain_counts_its_calls_and_far_more_its_waits():
    steps = [call("lone"), call("role"), wait("valid", "role"), call("queue", "valid"), call("tag", "role")]

    assert critical_path(steps) == {
        "lone": A_CALL,
        "tag": A_CALL,
        "queue": A_CALL,
        "valid": A_WAIT + A_CALL,
        "role": A_CALL + A_WAIT + A_CALL,
    }


def test_what_is_not_among_the_steps_is_no_part_of_a_chain():
    """A run that continues has only what is left."""
    assert critical_path([call("queue", "valid")]) == {"queue": A_CALL}


@given(st.lists(st.sets(st.integers(0, 30), max_size=3), max_size=30), st.data())
def test_whoever_comes_before_has_the_longer_chain(afters: list[set[int]], data: st.DataObject):
    steps = [
        (wait if data.draw(st.booleans()) else call)(str(number), *(str(one) for one in after if one < number))
        for number, after in enumerate(afters)
    ]

    left = critical_path(steps)

    assert set(left) == {step.id for step in steps}
    for step in steps:
        own = A_WAIT if isinstance(step.action, Wait) else A_CALL
        assert left[step.id] >= own
        assert all(left[before] >= left[step.id] + A_CALL for before in step.after)


def test_waits_after_a_call_of_the_same_resource_are_polled_together():
    steps = [
        call("create a"),
        wait("a", "create a", among="names"),
        call("create b", address=ROLE),
        wait("b", "create b", "create a", among="names", address=ROLE),
        call("alone"),
        wait("by itself", "alone"),
    ]

    started = polls_started_by(steps)

    assert set(started) == {"create a", "create b"}
    assert {one.wait for one in started.values()} == {"a", "b"}
    assert len({one.poll_group for one in started.values()}) == 1
    assert isinstance(started["create a"], NextPoll)
