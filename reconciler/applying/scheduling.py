"""Scheduling: of the calls that are ready, those at the start of the longest chain are sent first.

Calls share a few workers. The role of a compute environment, which takes a while to become VALID before its queues can
be created, is created before the thousandth job definition, which has no dependents. So the last chain to end is the
longest one, not one that started late.
"""

from __future__ import annotations

from collections.abc import Iterable
from graphlib import TopologicalSorter
from typing import Final

from reconciler.applying import responses
from reconciler.model import Step, Wait
from reconciler.model.records import dataclass

A_CALL: Final = 1.0
A_WAIT: Final = 30.0  # a wait usually takes many seconds, a call a fraction of one


def critical_path(steps: Iterable[Step]) -> dict[str, float]:
    """The length of the longest chain that begins with each step, by id, in units of a call."""
    known = {step.id: step for step in steps}
    graph = {step.id: [before for before in step.after if before in known] for step in known.values()}
    left = dict.fromkeys(known, 0.0)
    for step_id in reversed(list(TopologicalSorter(graph).static_order())):
        left[step_id] += A_WAIT if isinstance(known[step_id].action, Wait) else A_CALL
        for before in graph[step_id]:
            left[before] = max(left[before], left[step_id])
    return left


@dataclass(frozen=True, slots=True)
class NextPoll:
    """The wait that comes right after a call, and the group it is polled with."""

    wait: str
    poll_group: str


def polls_started_by(steps: Iterable[Step]) -> dict[str, NextPoll]:
    """The waits that come right after a call of their resource and can be polled in a group, by the id of the call."""
    known = {step.id: step for step in steps}
    waits = [(step, responses.poll_group(step.action)) for step in known.values() if isinstance(step.action, Wait)]
    return {
        before: NextPoll(step.id, company)
        for step, company in waits
        if company
        for before in step.after
        if before in known and known[before].address == step.address
    }
