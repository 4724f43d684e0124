"""The progress of an apply: a line for what ended, and for what is tried again."""

from __future__ import annotations

import io

import pytest

from reconciler.model import Address, Call, Event, Plan, Step, StepState, Wait
from reconciler.render.mask import Mask
from reconciler.render.progress import Progress
from reconciler.render.text import Paint
from tests.support.builders import SCOPE

WAIT = Wait("compute environment ce VALID", Call("batch", "DescribeComputeEnvironments"), "computeEnvironments")


@pytest.mark.parametrize(
    ("because", "line"),
    [
        (
            "AWS does not see the new instance profile yet (normal after creating it)",
            "AWS does not see the new instance profile yet (normal after creating it), retrying",
        ),
        ("", "compute environment ce VALID: INVALID: CLIENT_ERROR - why, retrying"),
    ],
)
def test_why_a_step_is_tried_again(because: str, line: str) -> None:
    """In plain words where they are known, else as AWS says it."""
    step = Step(id="computeEnvironments.ce:up.1", address=Address("computeEnvironments", "ce"), action=WAIT)
    out = io.StringIO()
    with Progress(Plan(scope=SCOPE, resources=()), out, Mask(), Paint(colour=False), live=False) as progress:
        progress.emit(Event(at=0.0, step=step, state=StepState.STARTED))
        progress.emit(
            Event(at=1.0, step=step, state=StepState.AGAIN, detail="INVALID: CLIENT_ERROR - why", because=because)
        )

    assert out.getvalue() == f"  computeEnvironments.ce: {line}\n"
