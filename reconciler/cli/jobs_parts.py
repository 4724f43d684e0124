"""What the commands on jobs print, while jobs are watched and afterwards."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from reconciler.cli.terminal import Terminal, colour, in_pipeline, plural
from reconciler.model import problem_codes as codes
from reconciler.model.exit_codes import CHANGES, ERROR, OK
from reconciler.model.masking import looks_secret
from reconciler.model.problems import Problem, Problems
from reconciler.model.records import dataclass
from reconciler.model.secrets_in_text import secret_arguments
from reconciler.operations.jobs import connect, family, listing, shown, specs, watch
from reconciler.operations.jobs import logs as of_logs
from reconciler.operations.jobs.connect import Machine
from reconciler.operations.jobs.desk import Desk
from reconciler.operations.jobs.listing import Listing
from reconciler.operations.jobs.logs import Line, Logs, Wanted
from reconciler.operations.jobs.stop import Stopped
from reconciler.operations.jobs.streams import NoStream
from reconciler.operations.jobs.submit import Submitted
from reconciler.render import jobs as as_text
from reconciler.render.mask import Mask
from reconciler.render.text import Paint, fitting

_ASKED: Final = ("FAILED", "RUNNABLE", "PENDING")  # what `reconcile why` is for
_NAMED: Final = 20  # attempts without output that are named one by one


def mask_of(environment: Mapping[str, str], command: Sequence[str] | None) -> Mask:
    """A mask for the values of variables with names of secrets, and of options such as ``--password``."""
    found = [value for name, value in environment.items() if looks_secret(name) and value]
    return Mask((*found, *secret_arguments(list(command or ()))))


def mask_of_jobs(jobs: Iterable[Mapping[str, Any]]) -> Mask:
    """A mask for what jobs have as secrets by its name, also in what they print."""
    return Mask(value for job in jobs for value in specs.secrets_of(job))


def paint() -> Paint:
    """The colours of stdout."""
    return Paint(colour=colour(sys.stdout))


# --- submit -----------------------------------------------------------------------------------------------------------


@contextmanager
def perhaps_submitted(terminal: Terminal, name: str) -> Iterator[None]:
    """Says how to look for the job ``name``, if a signal interrupts the request."""
    try:
        yield
    except KeyboardInterrupt:
        listed = f"reconcile jobs list --name {terminal.shell_quoted(name)}"
        terminal.note(f"The job may have been submitted: `{listed}`")
        raise


def after_submit(
    terminal: Terminal,
    desk: Desk,
    submitted: Submitted,
    *,
    wait: bool,
    follow: bool,
    timeout: float | None,
    closing: str = "summary",
) -> int:
    """Print which job was submitted, wait for it if that is wanted, and return the exit code. ``closing`` is the type
    of the last of several lines of JSON.
    """
    if submitted.found:
        terminal.note("The reply of AWS was lost; the job was found by its name.")
    elif submitted.sent > 1:
        terminal.note(f"Sent {submitted.sent} times: AWS had not processed it before.")
    if submitted.doubled:
        others = ", ".join(submitted.doubled)
        terminal.note(f"warning: AWS lists further jobs with the name {submitted.name}: {others}")
    document: dict[str, Any] = {
        "job_id": submitted.job_id,
        "job_name": submitted.name,
        "queue": submitted.queue,
        "requests": submitted.sent,
        "status": None,
        "status_reason": None,
        "exit_code": None,
        "reason": None,
        "attempts": None,
    }
    told = f"Submitted {terminal.mask.line(submitted.name)} to {submitted.queue}"
    if not terminal.as_json:
        terminal.note(f"{told}{f': {submitted.job_id}' if follow else '.'}")
        if not follow:  # then stdout has the output of the job and nothing else
            terminal.result(submitted.job_id)
    elif terminal.as_lines:
        terminal.line({"type": "submitted", "@message": f"{told}: {submitted.job_id}", **document})
    if not (wait or follow):
        if terminal.as_json and not terminal.as_lines:
            terminal.document(document)
        return OK
    job = _waited(terminal, desk, submitted.job_id, follow=follow, timeout=timeout)
    container = job.get("container") or {}
    document |= {
        "status": job["status"],
        "status_reason": job.get("statusReason") or None,
        "exit_code": container.get("exitCode"),
        "reason": container.get("reason"),
        "attempts": len(job.get("attempts") or job.get("eksAttempts") or ()),
    }
    _report(terminal, document, closing)
    return {"SUCCEEDED": OK, "FAILED": ERROR}.get(job["status"], CHANGES)


def _waited(terminal: Terminal, desk: Desk, job_id: str, *, follow: bool, timeout: float | None) -> Mapping[str, Any]:
    """The job when it has ended, or when the time is over."""
    try:
        if follow:
            logs = Logs(desk, Wanted())
            printer = Lines(terminal)
            jobs = follow_jobs(terminal, printer, logs, [job_id], timeout)
            printer.missing(logs)
        else:
            progress = _Progress(terminal)
            jobs = {}
            for jobs in watch.polls(desk, [job_id], timeout):
                progress.show(jobs)
    except KeyboardInterrupt:
        terminal.note(f"The job continues: `reconcile jobs show {job_id}`")
        raise
    if job_id not in jobs:
        message = f"AWS does not show job {job_id}, which it has accepted"
        raise Problems([Problem(code=codes.UNKNOWN_JOB, message=message, hint="try `reconcile jobs show` later")])
    return jobs[job_id]


def _report(terminal: Terminal, document: Mapping[str, Any], closing: str) -> None:
    masked = terminal.mask.value(document)
    reasons = "; ".join(text for text in (masked["status_reason"], masked["reason"]) if text)
    reason = f": {reasons}" if reasons else ""
    code = "" if masked["exit_code"] is None else f", exit code {masked['exit_code']}"
    tried = f" after {plural(masked['attempts'], 'attempt')}" if masked["attempts"] else ""
    told = f"{masked['status']}{tried}{code}{reason}"
    if terminal.as_lines:
        level = "error" if masked["status"] == "FAILED" else "info"
        terminal.line({"type": closing, "@message": told, **masked}, level)
    elif terminal.as_json:
        terminal.document(masked)
    else:
        terminal.note(told)
        if masked["status"] == "FAILED" and closing == "summary":  # else the cause follows
            terminal.note(f"`reconcile why {masked['job_id']}` shows the cause.")
        elif masked["status"] not in ("SUCCEEDED", "FAILED"):
            terminal.note(f"The time is over, and the job continues: `reconcile jobs show {masked['job_id']}`")


class _Progress:
    """Each change of a watched job as a line on stderr."""

    def __init__(self, terminal: Terminal) -> None:
        self.terminal = terminal
        self._last: dict[str, str] = {}

    def show(self, jobs: Mapping[str, Mapping[str, Any]]) -> None:
        """Print what has changed since the last look."""
        for job_id, job in jobs.items():
            words = watch.words(job)
            if self._last.get(job_id) != words:
                self._last[job_id] = words
                self.terminal.note(self.terminal.mask.line(f"{job_id} {words}"))


# --- list, show, stop -------------------------------------------------------------------------------------------------


def show_list(terminal: Terminal, found: Listing, queues: Sequence[str]) -> None:
    """Print a list."""
    document = {"queues": [*queues], "complete": not found.cut, "jobs": [*found.jobs]}
    if terminal.as_json:
        terminal.document(terminal.mask.value(document))
    else:
        terminal.result(as_text.listing(document, terminal.mask, paint()))
        if not queues:
            terminal.note(
                "No queue of the environment exists in the account: `reconcile apply` creates those declared."
            )


def watch_list(terminal: Terminal, desk: Desk, wanted: listing.Wanted) -> None:
    """Show the list again and again, until it is interrupted."""
    live = sys.stdout.isatty() and not terminal.as_json and os.environ.get("TERM") != "dumb" and not in_pipeline()
    if live:
        _watch_live(terminal, desk, wanted)
        return
    last: dict[str, Mapping[str, Any]] = {}
    for found in watch.repeated(desk.clock, lambda: listing.listing(desk, wanted)):
        for job in reversed(found.jobs):
            if last.get(job["job_id"]) == job:
                continue
            last[job["job_id"]] = job
            line = as_text.changed(job, terminal.mask)
            if terminal.as_json:
                terminal.line({"type": "job", "@message": line, "job": terminal.mask.value(job)})
            else:
                terminal.result(line)


def _watch_live(terminal: Terminal, desk: Desk, wanted: listing.Wanted) -> None:
    from reconciler.render.live import LiveLines  # noqa: PLC0415  (long to import, and few commands are live)

    lines = LiveLines(sys.stdout)
    try:
        for found in watch.repeated(desk.clock, lambda: listing.listing(desk, wanted)):
            table = as_text.table(found.jobs, terminal.mask, Paint(colour=False))
            lines.show(fitting(table, lines.rows) if found.jobs else [f"No jobs in {', '.join(wanted.queues)}."])
    finally:
        lines.close()


def show_jobs(terminal: Terminal, desk: Desk, jobs: Sequence[Mapping[str, Any]], env: str | None) -> None:
    """Print jobs with all their attempts. ``env`` is the environment as it was typed."""
    scope = desk.session.scope
    where = {"root": terminal.root, "partition": scope.partition, "region": scope.region}
    found = [
        shown.whole(desk.env, job, **where, main=family.main_node(desk, job)) | {"failed_children": _failed(desk, job)}
        for job in jobs
    ]
    terminal.mask |= mask_of_jobs(jobs)
    if terminal.as_json:
        terminal.document(terminal.mask.value({"jobs": found}))
    else:
        terminal.result("\n\n".join(as_text.whole(job, terminal.mask, paint()) for job in found))
        for job in (one for one in found if one["status"] in _ASKED):
            words = shlex.join(["reconcile", "why", *([env] if env else []), job["job_id"]])
            terminal.note(f"`{words}` shows the cause, and what to change.")


def _failed(desk: Desk, job: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The children of an array, or the nodes of a multi-node job, that failed: with one call if there may be any."""
    counts = (job.get("arrayProperties") or {}).get("statusSummary") or {}
    nodes = job["status"] == "FAILED" and family.nodes_of(job)
    if not (counts.get("FAILED") or nodes):
        return []
    parent = {"multiNodeJobId" if nodes else "arrayJobId": job["jobId"]}
    listed = desk.list(**parent, jobStatus="FAILED")
    return [
        {
            "job_id": one["jobId"],
            "status_reason": one.get("statusReason") or None,
            "exit_code": (one.get("container") or {}).get("exitCode"),
            "reason": (one.get("container") or {}).get("reason") or None,
        }
        for one in sorted(listed, key=lambda one: int(one["jobId"][37:]))
    ]


def show_stopped(terminal: Terminal, found: Stopped) -> int:
    """Print what became of each job, and return the exit code."""

    def brief(job: Mapping[str, Any]) -> dict[str, Any]:
        return {"job_id": job["jobId"], "job_name": job["jobName"], "status": job["status"]}

    document = {
        "stopped": [brief(job) for job in found.stopped],
        "ended": [brief(job) for job in found.ended],
        "refused": [{"job_id": one, "message": message} for one, message in found.refused.items()],
    }
    if terminal.as_json:
        terminal.document(terminal.mask.value(document))
    else:
        lines = [f"{job['jobId']}  {job['jobName']}: stopping ({job['status']})" for job in found.stopped]
        lines += [f"{job['jobId']}  {job['jobName']}: had ended ({job['status']})" for job in found.ended]
        lines += [f"{one}  not stopped: {message}" for one, message in found.refused.items()]
        terminal.result("\n".join(map(terminal.mask.line, lines)) or "No jobs to stop.")
    return ERROR if found.refused else OK


# --- logs -------------------------------------------------------------------------------------------------------------


class Lines:
    """Prints lines of streams; those of ``several`` streams with a label."""

    def __init__(self, terminal: Terminal) -> None:
        self.terminal = terminal
        self.several = False
        self.printed = 0
        self._labels = as_text.Labels(paint())

    def show(self, line: Line) -> None:
        """Print one line."""
        self.printed += 1
        one, text = line.stream, self.terminal.mask.text(line.text)
        if self.terminal.as_json:
            where = {"job_id": one.job, "attempt": one.attempt, "container": one.container or None}
            where |= {"group": one.group, "stream": one.name}
            at = shown.moment(line.at)
            self.terminal.line({"type": "log", "@message": text, "at": at, **where, "message": text})
        else:
            label = self.terminal.mask.line(one.label)
            self.terminal.result(f"{self._labels(label)}{text}" if self.several else text)

    def missing(self, logs: Logs) -> None:
        """Print why there is no output, of some attempts or at all."""
        found = [*logs.missing]
        for one in found[:_NAMED]:
            attempt = f", attempt {one.attempt}" if one.attempt else ""
            self._note(one, f"job {one.job}{attempt}: no output: {one.why}")
        if not self.printed and not found and not self.terminal.as_json:
            self.terminal.note("No lines.")
        if len(found) > _NAMED:
            self.terminal.note(f"No output of {len(found) - _NAMED} more.")

    def _note(self, one: NoStream, message: str) -> None:
        text = self.terminal.mask.line(message)
        if self.terminal.as_json:
            where = {"job_id": one.job, "attempt": one.attempt or None}
            self.terminal.line({"type": "no_log", "@message": text, **where, "why": self.terminal.mask.line(one.why)})
        else:
            self.terminal.note(text)


def follow_jobs(
    terminal: Terminal, printer: Lines, logs: Logs, ids: Sequence[str], timeout: float | None = None
) -> Mapping[str, Mapping[str, Any]]:
    """Print the lines of jobs as they are written; the jobs as they were last."""
    progress, jobs = _Progress(terminal), dict[str, Mapping[str, Any]]()
    began = logs.desk.clock.now()
    for one in of_logs.follow(logs, ids):
        if isinstance(one, Line):
            printer.show(one)
            continue
        jobs = {**one}
        printer.several = printer.several or len(logs.streams) > 1
        if not terminal.as_json:
            progress.show(jobs)
        if timeout is not None and logs.desk.clock.now() - began >= timeout:
            break
    return jobs


# --- connect ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Target:
    """A machine and the port to reach there."""

    machine: Machine
    port: int
    local: int
    session: str


def show_target(terminal: Terminal, desk: Desk, target: Target) -> None:
    """Print the address of a job, or the command that forwards a port to it."""
    found, command = target.machine, target.machine.command(desk, target.port, target.local)
    url = found.url(target.port, target.session)
    if terminal.as_json:
        document = {
            "job_id": found.job,
            "instance": found.instance or None,
            "public_address": found.public or None,
            "private_address": found.private or None,
            "url": url or None,
            "command": connect.shell_line(command) if command else None,
            "local_url": found.local_url(target.local, target.session) if command else None,
        }
        terminal.document(terminal.mask.value(document))
        return
    where = f"instance {found.instance}" if found.instance else "Fargate"
    terminal.note(f"Job {found.job} runs on {where}, private address {found.private or 'unknown'}.")
    if url:
        terminal.result(url)
    elif command:
        terminal.note("It has no public address. Forward the port, and open the address below while that runs:")
        terminal.result(connect.shell_line(command))
        terminal.result(found.local_url(target.local, target.session))
    else:
        terminal.note("It has no public address: it is reached from its own network only, or by VPN.")
        terminal.result(_private_url(found, target))


def _private_url(found: Machine, target: Target) -> str:
    return Machine(job=found.job, public=found.private).url(target.port, target.session)


def forward(terminal: Terminal, desk: Desk, target: Target) -> int:
    """Run the command that forwards the port, with the credentials of the environment; its exit code."""
    command = target.machine.command(desk, target.port, target.local)
    if not command:
        message = f"job {target.machine.job} has no EC2 instance to forward a port from"
        raise Problems([Problem(code=codes.NOT_CONNECTABLE, message=message, hint="leave --ssm out")])
    terminal.note(f"{connect.shell_line(command)}\n{target.machine.local_url(target.local, target.session)}")
    try:
        return subprocess.run(command, check=False, env=_credentials(desk)).returncode  # noqa: S603  (our own words)
    except FileNotFoundError as error:
        message = "the AWS CLI is not installed: there is no program aws"
        hint = "install it and the session-manager-plugin, or run the command elsewhere"
        raise Problems([Problem(code=codes.NOT_CONNECTABLE, message=message, hint=hint)]) from error


def _credentials(desk: Desk) -> dict[str, str]:
    """The process's environment with the credentials that the environment's role or profile gives."""
    found = dict(os.environ)
    held = desk.session.client.session.get_credentials()
    if held is not None and desk.env.role:
        frozen = held.get_frozen_credentials()
        held_as: dict[str, str | None] = {"ACCESS_KEY_ID": frozen.access_key, "SECRET_ACCESS_KEY": frozen.secret_key}
        held_as["SESSION_TOKEN"] = frozen.token
        found |= {f"AWS_{name}": value for name, value in held_as.items() if value}
    return found
