"""``reconcile jobs``."""

from __future__ import annotations

import re
from typing import Annotated, Final

import typer

from reconciler.cli import job_options, jobs_parts
from reconciler.cli.commands import jobs_submit
from reconciler.cli.job_options import Queues, Statuses, Words
from reconciler.cli.options import Env, Format, FormatOption, Sandbox, VarFiles, Vars
from reconciler.cli.root import COMMANDS, STYLE, examples
from reconciler.cli.signals import interruptible
from reconciler.cli.terminal import Terminal, plural
from reconciler.model import problem_codes as codes
from reconciler.model.exit_codes import ERROR, OK
from reconciler.model.problems import Problem, Problems
from reconciler.operations.jobs import connect, family, listing, logs, stop
from reconciler.operations.session import now_at

_EXAMPLES: Final = examples(
    "reconcile jobs submit prod render --parameter frame=12 --wait",
    "reconcile jobs list prod --status FAILED --since 1d",
    "reconcile jobs logs prod JOB --follow",
)
REASON: Final = "Stopped by reconcile jobs stop"
APP: Final = typer.Typer(help=COMMANDS["jobs"], epilog=_EXAMPLES, no_args_is_help=True, **STYLE)

jobs_submit.add_to(APP)


@APP.command(
    "list",
    epilog=examples(
        "reconcile jobs list prod",
        "reconcile jobs list prod --status RUNNABLE --status FAILED --since 1d --queue spot",
        'reconcile jobs list prod --name "render-*" --format json',
        "reconcile jobs list prod --watch",
    ),
)
def jobs_list(
    ctx: typer.Context,
    env: Env = None,
    queue: Queues = None,
    status: Statuses = None,
    name: Annotated[
        str | None,
        typer.Option("--name", metavar="NAME", help="Only jobs with this name; * at its end stands for anything."),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="WHEN", help="Only jobs created after this time, or so long ago (2h, 3d)."),
    ] = None,
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", min=1, help="At most N jobs of each queue, the latest.")
    ] = 100,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Keep the table up to date; without a terminal, print what changes.")
    ] = False,
    output: FormatOption = Format.text,
    sandbox: Sandbox = False,
    var: Vars = None,
    var_file: VarFiles = None,
) -> None:
    """List jobs, the latest first.

    Those in all queues of the environment, also those that others submitted.
    """
    terminal: Terminal = ctx.obj
    terminal.as_json = output is Format.json
    terminal.as_lines = terminal.as_json and watch
    wanted_statuses = job_options.statuses(status)
    job_options.moment(since, "--since")
    with interruptible():
        desk = job_options.desk(terminal, env, var, var_file, sandbox=sandbox)
        names = [(found.name if (found := desk.queue_of(word)) else word) for word in queue or ()]
        wanted = listing.Wanted(
            queues=tuple(dict.fromkeys(names or [one.name for one in desk.queues])),
            statuses=wanted_statuses,
            name=name,
            since=job_options.moment(since, "--since", now_at(desk.session)),
            most=limit,
        )
        if watch:
            jobs_parts.watch_list(terminal, desk, wanted)
        else:
            jobs_parts.show_list(terminal, listing.listing(desk, wanted), wanted.queues)


@APP.command("show", epilog=examples("reconcile jobs show prod JOB", "reconcile jobs show prod JOB:3 --format json"))
def jobs_show(
    ctx: typer.Context,
    words: Words = None,
    output: FormatOption = Format.text,
    sandbox: Sandbox = False,
    var: Vars = None,
    var_file: VarFiles = None,
) -> None:
    """Show jobs with all their attempts.

    Of each attempt: when and where it ran, how it ended, which rule decided what follows, and its log.
    """
    terminal: Terminal = ctx.obj
    terminal.as_json = output is Format.json
    env, named = job_options.env_and_jobs(words)
    with interruptible():
        desk = job_options.desk(terminal, env, var, var_file, sandbox=sandbox)
        jobs_parts.show_jobs(terminal, desk, desk.described(desk.ids(named)), env)


@APP.command(
    "logs",
    epilog=examples(
        "reconcile jobs logs prod JOB --follow",
        "reconcile jobs logs prod JOB --attempt 1 --grep 'error|warning' --since 2h",
        "reconcile jobs logs prod JOB:3 --format json",
    ),
)
def jobs_logs(
    ctx: typer.Context,
    words: Words = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Print lines as they are written, until the jobs have ended.")
    ] = False,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="WHEN", help="Only lines written after this time, or so long ago (10m)."),
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="WHEN", help="Only lines written before this time.")
    ] = None,
    grep: Annotated[
        str | None, typer.Option("--grep", metavar="PATTERN", help="Only lines that have this regular expression.")
    ] = None,
    attempt: Annotated[
        int | None, typer.Option("--attempt", metavar="N", min=1, help="Only the attempt with this number.")
    ] = None,
    output: FormatOption = Format.text,
    sandbox: Sandbox = False,
    var: Vars = None,
    var_file: VarFiles = None,
) -> None:
    """Print the output of jobs.

    That of every attempt, container, child of an array and node.
    """
    terminal: Terminal = ctx.obj
    terminal.as_json = terminal.as_lines = output is Format.json
    try:
        pattern = re.compile(grep) if grep else None
    except re.error as error:
        raise Problems([Problem(code=codes.USAGE, message=f"--grep is not a regular expression: {error}")]) from error
    job_options.moment(since, "--since")
    job_options.moment(until, "--until")
    env, named = job_options.env_and_jobs(words)
    with interruptible():
        desk = job_options.desk(terminal, env, var, var_file, sandbox=sandbox)
        now = now_at(desk.session)
        wanted = logs.Wanted(
            since=job_options.moment(since, "--since", now),
            until=job_options.moment(until, "--until", now),
            grep=pattern,
            attempt=attempt,
        )
        ids, found = desk.ids(named), logs.Logs(desk, wanted)
        details = {job["jobId"]: job for job in desk.described(ids)}
        terminal.mask |= jobs_parts.mask_of_jobs(details.values())
        printer = jobs_parts.Lines(terminal)
        if follow:
            jobs_parts.follow_jobs(terminal, printer, found, ids)
        else:
            found.look(family.members(desk, details).values())
            printer.several = len(found.streams) > 1
            for line in found.read():
                printer.show(line)
        printer.missing(found)


@APP.command(
    "stop",
    epilog=examples(
        'reconcile jobs stop prod JOB JOB --reason "wrong input"',
        "reconcile jobs stop prod --all --queue spot",
    ),
)
def jobs_stop(
    ctx: typer.Context,
    words: Words = None,
    every: Annotated[
        bool, typer.Option("--all", help="Stop every job of the queue that --queue names, after approval.")
    ] = False,
    queue: Queues = None,
    reason: Annotated[
        str, typer.Option("--reason", metavar="TEXT", help="The statusReason that the jobs have afterwards.")
    ] = REASON,
    auto_approve: Annotated[
        bool, typer.Option("--auto-approve", "-y", help="Skip the prompt for approval of --all.")
    ] = False,
    output: FormatOption = Format.text,
    sandbox: Sandbox = False,
    var: Vars = None,
    var_file: VarFiles = None,
) -> None:
    """Stop jobs in any state.

    Running ones are terminated, waiting ones cancelled, arrays with all their children.
    """
    terminal: Terminal = ctx.obj
    terminal.as_json = output is Format.json
    _check_stop(words, queue, reason, every=every)
    env, named = ((words or [None])[0], []) if every else job_options.env_and_jobs(words)  # type: ignore[list-item]
    with interruptible():
        desk = job_options.desk(terminal, env, var, var_file, sandbox=sandbox)
        if every:
            targets = [(found.name if (found := desk.queue_of(word)) else word) for word in queue or ()]
            jobs = [job for target in targets for job in listing.open_jobs(desk, target)]
            if jobs and not auto_approve and not _approved(terminal, len(jobs), targets):
                raise typer.Exit(ERROR)
        else:
            jobs = [*desk.described(desk.ids(named))]
        code = jobs_parts.show_stopped(terminal, stop.stop(desk, jobs, reason))
    raise typer.Exit(code)


def _check_stop(words: list[str] | None, queue: list[str] | None, reason: str, *, every: bool) -> None:
    """Raises Problems for options that do not go together."""
    wrong = ""
    if every and not queue:
        wrong = "--all needs --queue: name the queue whose jobs to stop"
    elif every and len(words or ()) > 1:
        wrong = "--all stops every job of the queue: leave the jobs out"
    elif queue and not every:
        wrong = "--queue needs --all"
    elif not 1 <= len(reason) <= stop.LONGEST:
        wrong = f"--reason has 1 to {stop.LONGEST} characters"
    if wrong:
        raise Problems([Problem(code=codes.USAGE, message=wrong)])


def _approved(terminal: Terminal, count: int, targets: list[str]) -> bool:
    question = f"Stop {plural(count, 'job')} in {', '.join(targets)}?"
    hint = "pass --auto-approve"
    message = "jobs stop --all needs approval, but there is no terminal"
    return terminal.confirm(question, Problem(code=codes.NOT_APPROVED, message=message, hint=hint))


@APP.command(
    "connect",
    epilog=examples(
        "reconcile jobs connect prod JOB",
        "reconcile jobs connect prod JOB --ssm",
        "reconcile jobs connect prod JOB --port 8888 --local-port 9999 --format json",
    ),
)
def jobs_connect(
    ctx: typer.Context,
    words: Words = None,
    port: Annotated[
        int, typer.Option("--port", metavar="N", min=1, max=65535, help="The port that the job listens on.")
    ] = 8443,
    local_port: Annotated[
        int | None,
        typer.Option("--local-port", metavar="N", min=1, max=65535, help="The port on this machine, with SSM."),
    ] = None,
    session: Annotated[
        str, typer.Option("--session", metavar="NAME", help="The session, which follows # in the address.")
    ] = "",
    node: Annotated[
        int | None, typer.Option("--node", metavar="N", min=0, help="The node of a multi-node job; default: main.")
    ] = None,
    ssm: Annotated[
        bool, typer.Option("--ssm", help="Forward the port by Systems Manager now, until it is interrupted.")
    ] = False,
    output: FormatOption = Format.text,
    sandbox: Sandbox = False,
    var: Vars = None,
    var_file: VarFiles = None,
) -> None:
    """Print the address of a running job.

    Without a public address: the command that forwards a port to it.
    """
    terminal: Terminal = ctx.obj
    terminal.as_json = output is Format.json
    env, named = job_options.env_and_jobs(words)
    if len(named) > 1:
        raise Problems([Problem(code=codes.USAGE, message="jobs connect takes one job")])
    with interruptible():
        desk = job_options.desk(terminal, env, var, var_file, sandbox=sandbox)
        ports = f"{local_port or port}:{port}"
        found = connect.machine(desk, desk.described(desk.ids(named))[0], node, ports=ports)
        where = jobs_parts.Target(found, port, local_port or port, session)
        code = jobs_parts.forward(terminal, desk, where) if ssm else OK
        if not ssm:
            jobs_parts.show_target(terminal, desk, where)
    raise typer.Exit(code)
