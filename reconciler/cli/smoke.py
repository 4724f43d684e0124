"""``apply --smoke``: a job of a definition, submitted once after the apply, followed, and explained where it fails."""

from __future__ import annotations

import sys
from typing import Final

from reconciler.cli import jobs_parts
from reconciler.cli.terminal import Terminal, colour
from reconciler.model.exit_codes import ERROR, OK
from reconciler.model.jobs import Overrides
from reconciler.operations.diagnosis import diagnose
from reconciler.operations.jobs import submit
from reconciler.operations.jobs.desk import Desk, WallClock
from reconciler.operations.jobs.submit import Submitted
from reconciler.operations.session import Session
from reconciler.render import diagnosis as shown
from reconciler.render.text import Paint

SHARE: Final = "smoke"  # the share identifier where the queue needs one
LONGEST: Final = 1800.0  # seconds that the job may take, unless --smoke-timeout says otherwise


def check(session: Session, address: str) -> None:
    """Whether ``address`` is a definition of which jobs can be submitted. Raises Problems, before anything changes."""
    submit.definition(Desk(session), address)


def run(terminal: Terminal, session: Session, address: str, queue: str | None, longest: float | None) -> int:
    """Submit one job of the definition, follow it, and say why if it does not succeed; returns the exit code.

    The queue is ``queue``, or the only one that fits. Raises Problems.
    """
    desk = Desk(session, WallClock())
    wanted = submit.definition(desk, address)
    target = submit.queue(desk, wanted, queue)
    more = {"shareIdentifier": SHARE} if target[1] and target[1].shares else {}
    params = submit.request(wanted, target, Overrides(), {}, name=None, more=more)
    submitted = submit.submit(desk, params, unique=True)
    terminal.as_lines = terminal.as_json
    code = jobs_parts.after_submit(
        terminal, desk, submitted, wait=True, follow=True, timeout=LONGEST if longest is None else longest
    )
    if code == OK:
        return OK
    _explain(terminal, session, submitted)
    return ERROR


def _explain(terminal: Terminal, session: Session, submitted: Submitted) -> None:
    found = diagnose.diagnose(session, submitted.job_id)
    if terminal.as_json:
        terminal.line({"type": "why", **terminal.mask.value(shown.document(found))})
    else:
        terminal.result(shown.text(found, terminal.mask, Paint(colour=colour(sys.stdout))))
