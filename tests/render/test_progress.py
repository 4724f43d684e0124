"""The progress of an apply: a line for what ended and for what is tried again, and what is running meanwhile."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from reconciler.model import Address, Call, Event, Plan, Step, StepState, Wait
from reconciler.render import progress as module
from reconciler.render.mask import Mask
from reconciler.render.progress import Progress
from reconciler.render.text import Paint
from tests.support.builders import SCOPE
from tests.support.screen import Screen, screen

DESCRIBE = Call("batch", "DescribeComputeEnvironments")
PLAN = Plan(scope=SCOPE, resources=())
NEW_PROFILE = "AWS does not see the new instance profile yet (normal after creating it)"
ROOT = Path(__file__).resolve().parents[2]


def waiting(name: str = "ce") -> Step:
    action = Wait(f"compute environment {name} VALID", DESCRIBE, "computeEnvironments")
    address = Address("computeEnvironments", name)
    return Step(id=f"{address}:up.1", address=address, action=action)


def calling(name: str) -> Step:
    address = Address("roles", name)
    return Step(id=f"{address}:up.0", address=address, action=Call("iam", "CreateRole"))


class Run:
    """A progress whose clock and ticks are the test's."""

    def __init__(self, progress: Progress, moment: list[float]) -> None:
        self.progress, self._moment = progress, moment

    def event(self, step: Step, state: StepState = StepState.STARTED, detail: str = "", because: str = "") -> None:
        self.progress.emit(Event(at=0.0, step=step, state=state, detail=detail, because=because, took=1.5))

    def later(self, seconds: float = 0) -> None:
        self._moment[0] += seconds
        self.progress.tick()


@contextmanager
def running(out: io.TextIOBase | Screen, monkeypatch: pytest.MonkeyPatch, *, colour: bool = False) -> Iterator[Run]:
    for name in ("REDRAW", "CHECK"):
        monkeypatch.setattr(module, name, 3600.0)
    moment, live = [0.0], isinstance(out, Screen)
    stream = out.out if isinstance(out, Screen) else out
    with Progress(PLAN, stream, Mask(), Paint(colour=colour), live=live, clock=lambda: moment[0]) as progress:
        yield Run(progress, moment)


@pytest.mark.parametrize(
    ("because", "line"),
    [
        (NEW_PROFILE, f"{NEW_PROFILE}, retrying"),
        ("", "compute environment ce VALID: INVALID: CLIENT_ERROR - why, retrying"),
    ],
)
def test_why_a_step_is_tried_again(because: str, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In plain words where they are known, else as AWS says it; once, until it says something else."""
    out = io.StringIO()
    with running(out, monkeypatch) as run:
        run.event(waiting())
        for _ in range(3):
            run.event(waiting(), StepState.AGAIN, "INVALID: CLIENT_ERROR - why", because)
        assert out.getvalue() == f"  computeEnvironments.ce: {line}\n"
        run.event(waiting(), StepState.AGAIN, "INVALID: x", "another reason")

    assert out.getvalue().splitlines()[1:] == ["  computeEnvironments.ce: another reason, retrying"]


# --- without a terminal ----------------------------------------------------------------------------------------------


def test_lines_about_what_is_running_become_rare_until_something_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    printed = []
    with running(out, monkeypatch) as run:
        run.event(waiting())
        run.event(waiting(), StepState.WAITING, "CREATING")
        for second in range(1, 131):
            before = out.tell()
            run.later(1)
            printed += [second] if out.tell() > before else []
        assert printed == [5, 15, 35, 65, 95, 125]
        assert out.getvalue().splitlines()[-1] == "  ... computeEnvironments.ce waiting (CREATING) 2 min 05 s"
        assert len(out.getvalue().splitlines()) == len(printed)

        run.event(calling("a"), StepState.DONE)
        for seconds, lines in ((4, 0), (1, 1), (9, 1), (1, 2)):
            before = len(out.getvalue().splitlines()) if seconds == 4 else before
            run.later(seconds)
            assert len(out.getvalue().splitlines()) == before + lines
        for name in "abc":
            run.event(calling(name))
        run.later(20)
        assert out.getvalue().endswith("; roles.a iam:CreateRole 20 s; roles.b iam:CreateRole 20 s, and 1 more\n")
    assert "\x1b" not in out.getvalue() and "\r" not in out.getvalue()


# --- on a terminal ---------------------------------------------------------------------------------------------------


def test_live_lines_and_what_scrolls_above_them(monkeypatch: pytest.MonkeyPatch) -> None:
    with screen(120, 12) as terminal:
        terminal.out.write("$ reconcile apply\n")
        with running(terminal, monkeypatch) as run:
            run.event(waiting("one"))
            run.event(calling("r"))
            run.later(3)
            run.event(waiting("two"))
            run.event(waiting("one"), StepState.WAITING, "CREATING")
            run.later(62)
            one = "  1 min 05 s  computeEnvironments.one: CREATING, waiting until compute environment one VALID"
            two = "  1 min 02 s  computeEnvironments.two: waiting until compute environment two VALID"
            assert terminal.lines == [
                "$ reconcile apply",
                one,
                "  1 min 05 s  roles.r: iam:CreateRole",
                two,
            ]

            run.event(calling("r"), StepState.DONE)
            run.event(waiting("two"), StepState.AGAIN, "INVALID: CLIENT_ERROR - x", NEW_PROFILE)
            run.progress.note("SIGINT: stopping")
            run.later(0)
            assert terminal.lines == [
                "$ reconcile apply",
                "  done roles.r: iam:CreateRole (1.5 s) [1/0]",
                f"  computeEnvironments.two: {NEW_PROFILE}, retrying",
                "SIGINT: stopping",
                one,
                two.replace("waiting", f"{NEW_PROFILE}, waiting")[:120],
            ]
            run.event(waiting("one"), StepState.DONE)
            run.event(waiting("two"), StepState.FAILED, "\x1b[2JINVALID: of no use")
        printed = terminal.lines
        assert [line[:36] for line in printed[4:]] == [
            "  done computeEnvironments.one: comp",
            "  failed computeEnvironments.two: wa",
            "      \\x1b[2JINVALID: of no use",
        ]
        assert terminal.cursor == (0, True)
        assert b"\x1b[3" not in terminal.raw  # no colours, unless they are wanted


def test_more_than_there_is_room_for_and_a_window_that_is_dragged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever its width, no live line wraps, none is left behind, and what has ended stays."""
    with screen(100, 10) as terminal:
        with running(terminal, monkeypatch, colour=True) as run:
            for name in "abcdefgh":
                run.event(waiting(name))
            run.later(1)
            live = [
                f"        1 s  computeEnvironments.{n}: waiting until compute environment {n} VALID" for n in "abcde"
            ]
            assert terminal.lines == [*live, "  ... and 3 more"]
            for ended, columns in enumerate((50, 12, 200, 60), start=1):
                terminal.resize(columns, 10)
                run.later()
                now = [line[:columns].rstrip() for line in [*live, "  ... and 3 more"]]
                assert terminal.lines[-6:] == now
                if columns > 12:
                    run.event(calling("r"), StepState.DONE)
                    assert terminal.lines[-7:] == [
                        f"  done roles.r: iam:CreateRole (1.5 s) [{ended - (ended > 2)}/0]",
                        *now,
                    ]
            assert len(terminal.lines) == 3 + 6
            terminal.resize(60, 30)
            run.later()
            assert len(terminal.lines) == 3 + 8
        assert len(terminal.lines) == 3
        assert b"\x1b[32mdone\x1b[0m roles.r" in terminal.raw


PROGRAM = """
import sys, typer
from reconciler.cli.signals import interruptible
from tests.render.test_progress import *

def work():
    with interruptible() as stop:
        stop.graceful = True
        with Progress(PLAN, sys.stderr, Mask(), Paint(colour=False), live=True) as progress:
            stop.announce = lambda message: progress.note(message) or True
            progress.emit(Event(at=0.0, step=waiting(), state=StepState.STARTED))
            stop.event.wait(60)
            if "twice" in sys.argv:
                signal.pause()
            progress.emit(Event(at=9.0, step=waiting(), state=StepState.SKIPPED, detail="interrupted"))
    print("report")

try:
    work()
except typer.Exit as left:
    sys.exit(left.exit_code)
"""


@pytest.mark.parametrize("often", ["once", "twice"])
def test_ctrl_c_leaves_a_clean_terminal(often: str) -> None:
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    with screen() as terminal:
        command = [sys.executable, "-c", PROGRAM, often]
        pipes = {"stdin": terminal.slave, "stdout": terminal.slave, "stderr": terminal.slave}
        with subprocess.Popen(command, env=environ, cwd=ROOT, start_new_session=True, **pipes) as process:
            terminal.wait_for(lambda lines: "waiting until" in lines[-1])
            process.send_signal(signal.SIGINT)
            if often == "twice":
                terminal.wait_for(lambda lines: "SIGINT: stopping" in lines[0])
                process.send_signal(signal.SIGINT)
            code = process.wait(60)

        stopping = "SIGINT: stopping; running calls finish first, a second signal stops at once"
        skipped = "  skipped computeEnvironments.ce: compute environment ce VALID: interrupted"
        ended, rest = (0, (skipped, "report")) if often == "once" else (130, ("Interrupted.",))
        assert (code, terminal.lines) == (ended, [stopping, *rest])
        assert terminal.cursor == (0, True)
