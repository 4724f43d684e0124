"""``apply --smoke``: a job of a definition, submitted once after the apply, followed, and explained where it fails."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any, Final

from reconciler.cli import job_options, jobs_parts
from reconciler.cli.terminal import Terminal, colour
from reconciler.model import Json
from reconciler.model import problem_codes as codes
from reconciler.model.exit_codes import ERROR, INTERRUPTED, OK
from reconciler.model.jobs import Overrides
from reconciler.model.problems import Problem, Problems
from reconciler.model.records import dataclass
from reconciler.operations.diagnosis import diagnose
from reconciler.operations.jobs import submit
from reconciler.operations.jobs.desk import Desk, WallClock
from reconciler.operations.session import Session
from reconciler.operations.stop import StopRequest
from reconciler.render import diagnosis as shown
from reconciler.render.text import Paint

SHARE: Final = "smoke"  # the share identifier where the queue needs one
LONGEST: Final = 1800.0  # seconds that the job may take, unless --smoke-timeout says otherwise
QUEUE, PARAMETER, TIMEOUT = "--smoke-queue", "--smoke-parameter", "--smoke-timeout"


@dataclass(frozen=True, slots=True)
class Wanted:
    """The options: a definition, the queue if one is named, parameters, and the seconds that the job may take."""

    address: str
    queue: str | None
    parameters: Mapping[str, str]
    longest: float


def wanted(address: str | None, queue: str | None, parameters: Iterable[str] | None, longest: str | None) -> Wanted:
    """The options as they are typed. Raises Problems."""
    if not address:
        flag = QUEUE if queue else PARAMETER if parameters else TIMEOUT
        hint = "add --smoke ADDRESS, or leave it out"
        raise Problems([Problem(code=codes.USAGE, message=f"{flag} has no effect without --smoke", hint=hint)])
    seconds = job_options.span(longest, TIMEOUT)
    return Wanted(address, queue, job_options.pairs(parameters, PARAMETER), LONGEST if seconds is None else seconds)


@dataclass(frozen=True)
class Smoke:
    """The job of a definition that is submitted after an apply."""

    terminal: Terminal
    session: Session
    wanted: Wanted

    @cached_property
    def _definition(self) -> submit.Definition:
        return submit.definition(Desk(self.session), self.wanted.address)

    def check(self) -> None:
        """Whether a job can be submitted once all that is declared exists. Raises Problems, before anything changes."""
        missing = sorted(self._definition.submission.needed - self.wanted.parameters.keys())
        if missing:
            where = self._definition.resource.address
            message = f"{where} has no default for {', '.join(missing)}, which its command needs"
            hint = f"add {' '.join(f'{PARAMETER} {name}=VALUE' for name in missing)}, or a default in parameters"
            raise Problems([Problem(code=codes.USAGE, message=message, hint=hint)])
        submit.foresee(Desk(self.session), self._definition, self.wanted.queue, flag=QUEUE)

    def run(self, stop: StopRequest) -> tuple[int, Json | None]:
        """Submit the job, follow it, and say why if it does not succeed; returns the exit code and the job as JSON.

        A signal interrupts it, and nothing is submitted after one. Raises Problems; with JSON lines they are printed,
        as a last line follows.
        """
        stop.graceful = False
        if stop.event.is_set():
            self.terminal.note("Interrupted after the apply; no job was submitted.")
            return INTERRUPTED, None
        self.terminal.as_lines = self.terminal.as_json
        job_id = None
        try:
            submitted = self._submitted()
            job_id = submitted.job_id
            desk = Desk(self.session, WallClock())
            code = jobs_parts.after_submit(
                self.terminal, desk, submitted, wait=True, follow=True, timeout=self.wanted.longest, closing="smoke"
            )
            if code != OK:
                self._explain(job_id)
                self.terminal.note("The apply succeeded; the job of --smoke did not.")
                code = ERROR
        except Problems as error:
            if not self.terminal.as_json:
                raise
            self.terminal.problems(error.problems)
            code = error.exit_code
        return code, {"job_id": job_id, "succeeded": code == OK}

    def _submitted(self) -> submit.Submitted:
        desk = Desk(self.session, WallClock())
        target = submit.queue(desk, self._definition, self.wanted.queue, flag=QUEUE)
        more: dict[str, Any] = {"shareIdentifier": SHARE} if target[1] and target[1].shares else {}
        if self.wanted.parameters:
            more["parameters"] = dict(self.wanted.parameters)
        params = submit.request(self._definition, target, Overrides(), {}, name=None, more=more)
        with jobs_parts.perhaps_submitted(self.terminal, str(params["jobName"])):
            return submit.submit(desk, params, unique=True)

    def _explain(self, job_id: str) -> None:
        found = diagnose.diagnose(self.session, job_id)
        if self.terminal.as_json:
            document = self.terminal.mask.value(shown.document(found))
            self.terminal.line({"type": "why", "@message": document["causes"][0]["message"], **document})
        else:
            self.terminal.result(shown.text(found, self.terminal.mask, Paint(colour=colour(sys.stdout))))
