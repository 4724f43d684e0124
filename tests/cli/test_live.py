"""What an apply prints on a terminal while live lines are there, and elsewhere."""

from __future__ import annotations

import signal
import sys

import pytest

from reconciler.cli.reporting import ApplyReport
from reconciler.cli.signals import interruptible
from reconciler.cli.terminal import Terminal
from reconciler.model import Address, Call, Environment, Event, Plan, Step, StepState
from reconciler.operations.pipeline import Planned
from reconciler.render.mask import Mask
from tests.support.builders import SCOPE
from tests.support.screen import screen

STEP = Step(id="roles.r:up.0", address=Address("roles", "r"), action=Call("iam", "CreateRole"))
STOPPING = "SIGINT: stopping; running calls finish first, a second signal stops at once"


@pytest.mark.parametrize(("term", "live"), [("xterm", True), ("dumb", False), ("unknown", False)])
def test_warnings_and_signals_do_not_disturb_live_lines(
    term: str, live: bool, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TERM", term)
    monkeypatch.setenv("NO_COLOR", "1")
    plan = Plan(scope=SCOPE, resources=())
    report = ApplyReport(Terminal(), auto_approve=True)
    planned = Planned(env=Environment(name="e", resources={}), plan=plan, mask=Mask())
    with screen() as terminal, interruptible() as stop:
        monkeypatch.setattr(sys, "stderr", terminal.out)
        stop.graceful, stop.announce = True, report.announce
        with report.running(planned) as progress:
            progress.emit(Event(at=0.0, step=STEP, state=StepState.STARTED))
            terminal.wait_for(lambda lines: not live or "roles.r: iam:CreateRole" in lines[-1])
            signal.raise_signal(signal.SIGINT)
            report.warn("lock-lost", "another run broke the lock")
            if live:
                terminal.wait_for(lambda lines: lines[:2] == [STOPPING, "warning: another run broke the lock"])
                terminal.wait_for(lambda lines: "roles.r: iam:CreateRole" in lines[-1])
            progress.emit(Event(at=1.0, step=STEP, state=StepState.DONE, took=1.0))
        assert not report.announce("over")
        done = "  done roles.r: iam:CreateRole (1.0 s) [1/0]"
        warned = (
            [STOPPING, "warning: another run broke the lock"] if live else ["", "warning: another run broke the lock"]
        )
        assert terminal.lines == [*warned, done]
        assert (b"\x1b" in terminal.raw) is live
    assert capfd.readouterr().err == ("" if live else f"\n{STOPPING}\n")
