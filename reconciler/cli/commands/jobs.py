"""``reconcile jobs``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from reconciler.cli import job_options, jobs_parts
from reconciler.cli.job_options import Queues, Statuses, Words
from reconciler.cli.options import Env, Format, FormatOption, Sandbox, VarFiles, Vars, env_and
from reconciler.cli.root import COMMANDS, STYLE, examples
from reconciler.cli.signals import interruptible
from reconciler.cli.terminal import Terminal, plural
from reconciler.model import problem_codes as codes
from reconciler.model.exit_codes import ERROR, OK
from reconciler.model.problems import Problem, Problems
from reconciler.operations.jobs import connect, family, listing, logs, stop, submit

_EXAMPLES: Final = examples(
    "reconcile jobs submit prod render --parameter frame=12 --wait",
    "reconcile jobs list prod --status FAILED --since 1d",
    "reconcile jobs logs prod JOB --follow",
)
REASON: Final = "Stopped by reconcile jobs stop"
APP: Final = typer.Typer(help=COMMANDS["jobs"], epilog=_EXAMPLES, no_args_is_help=True, **STYLE)


@APP.command(
    "submit",
    epilog=examples(
        "reconcile jobs submit prod render",
        "reconcile jobs submit prod jobDefinitions.render --queue spot --parameter frame=12 --follow",
        'reconcile jobs submit prod render --command "python render.py --fast" --env DEBUG=1 --memory 4096',
        "reconcile jobs submit prod render --array 100 --wait --timeout 2h --format json",
        "reconcile jobs submit prod render --override override.yaml --depends-on JOB",
    ),
)
def jobs_submit(
    ctx: typer.Context,
    env: Annotated[
        str | None,
        typer.Argument(
            metavar="ENV",
            help="A directory, a file, or a name under environments/; may be left out, as in other commands.",
            show_default=False,
            autocompletion=job_options.env_or_definition,
        ),
    ] = None,
    definition: Annotated[
        str | None,
        typer.Argument(
            metavar="ADDRESS",
            help="The job definition: its address, key or name; may be left out where only one is declared.",
            show_default=False,
            autocompletion=job_options.definitions,
        ),
    ] = None,
    queue: Annotated[
        str | None,
        typer.Option(
            "--queue",
            metavar="QUEUE",
            help="The queue: its key, address, name or ARN. Without it: the only one of the environment that fits.",
            autocompletion=job_options.queues,
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option("--name", metavar="NAME", help="The job's name. Without it the job has a name of its own."),
    ] = None,
    parameter: Annotated[
        list[str] | None,
        typer.Option("--parameter", "-p", metavar="NAME=VALUE", help="Set a parameter (repeatable)."),
    ] = None,
    command: Annotated[
        str | None,
        typer.Option("--command", metavar="COMMAND", help="The command, as for a shell or as a JSON list."),
    ] = None,
    variable: Annotated[
        list[str] | None,
        typer.Option("--env", metavar="NAME=VALUE", help="Set an environment variable (repeatable)."),
    ] = None,
    vcpus: Annotated[str | None, typer.Option("--vcpus", metavar="N", help="The vCPUs.")] = None,
    memory: Annotated[int | None, typer.Option("--memory", metavar="MIB", min=4, help="The memory in MiB.")] = None,
    gpus: Annotated[int | None, typer.Option("--gpus", metavar="N", min=0, help="The GPUs.")] = None,
    container: Annotated[
        str | None,
        typer.Option("--container", metavar="NAME", help="The container that these options change, if several."),
    ] = None,
    override: Annotated[
        Path | None,
        typer.Option(
            "--override",
            metavar="FILE",
            help="Members of SubmitJob in YAML or JSON, or the content of containerOverrides, ecsPropertiesOverride, "
            "eksPropertiesOverride or nodeOverrides.",
        ),
    ] = None,
    array: Annotated[
        int | None, typer.Option("--array", metavar="N", min=2, max=10000, help="Submit an array of N jobs.")
    ] = None,
    depends_on: Annotated[
        list[str] | None,
        typer.Option(
            "--depends-on",
            metavar="JOB",
            help="Wait for this job: ID, ID:N_TO_N, or SEQUENTIAL for the children of an array (repeatable).",
        ),
    ] = None,
    share: Annotated[
        str | None, typer.Option("--share", metavar="NAME", help="The share identifier, for a fair-share queue.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Return when the job has ended: 0 SUCCEEDED, 1 FAILED.")] = False,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="As --wait, and print its output.")] = False,
    timeout: Annotated[
        str | None,
        typer.Option(
            "--timeout",
            metavar="SPAN",
            help="Wait at most that long (30m, 2h), then exit with 2; the job continues.",
        ),
    ] = None,
    output: FormatOption = Format.text,
    sandbox: Sandbox = False,
    var: Vars = None,
    var_file: VarFiles = None,
) -> None:
    """Submit a job once, also if the reply of AWS is lost."""
    terminal: Terminal = ctx.obj
    terminal.as_json = output is Format.json
    terminal.as_lines = terminal.as_json and follow
    longest = job_options.span(timeout, "--timeout")
    if longest is not None and not (wait or follow):
        raise Problems([Problem(code=codes.USAGE, message="--timeout needs --wait or --follow")])
    changed = job_options.overrides(command, variable, vcpus, memory, gpus, container)
    content = job_options.mapping_in(override)
    terminal.mask |= jobs_parts.mask_of(changed.environment, changed.command)
    more: dict[str, Any] = {
        "parameters": job_options.pairs(parameter, "--parameter"),
        "arrayProperties": {"size": array} if array else {},
        "dependsOn": submit.dependencies(depends_on or ()),
        "shareIdentifier": share,
    }
    env, definition = env_and(env, definition)
    with interruptible():
        desk = job_options.desk(terminal, env, var, var_file, sandbox=sandbox)
        wanted = submit.definition(desk, definition)
        target = submit.queue(desk, wanted, queue)
        given = {member: value for member, value in more.items() if value}
        params = submit.request(wanted, target, changed, content, name=name, more=given)
        unique = not (name or content.get("jobName"))
        try:
            submitted = submit.submit(desk, params, unique=unique)
        except KeyboardInterrupt:
            job = terminal.shell_quoted(params["jobName"])
            terminal.note(f"The job may have been submitted: `reconcile jobs list --name {job}`")
            raise
        code = jobs_parts.after_submit(terminal, desk, submitted, wait=wait, follow=follow, timeout=longest)
    raise typer.Exit(code)


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
    """List the jobs in the queues of an environment, the latest first, also those that others submitted."""
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
            since=job_options.moment(since, "--since", desk.session.client.skew),
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
    """Show jobs with each attempt: when, where, how it ended, which rule decided what follows, and its log."""
    terminal: Terminal = ctx.obj
    terminal.as_json = output is Format.json
    env, named = job_options.env_and_jobs(words)
    with interruptible():
        desk = job_options.desk(terminal, env, var, var_file, sandbox=sandbox)
        jobs_parts.show_jobs(terminal, desk, desk.described(desk.ids(named)))


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
    """Print the output of jobs: every attempt, container, child of an array and node."""
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
        skew = desk.session.client.skew
        wanted = logs.Wanted(
            since=job_options.moment(since, "--since", skew),
            until=job_options.moment(until, "--until", skew),
            grep=pattern,
            attempt=attempt,
        )
        ids, found = desk.ids(named), logs.Logs(desk, wanted)
        details = {job["jobId"]: job for job in desk.described(ids)}
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
    """Stop jobs in any state: running ones are terminated, waiting ones cancelled, arrays with all their children."""
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
    """Print the address at which a running job is reached, or the command that forwards a port to it."""
    terminal: Terminal = ctx.obj
    terminal.as_json = output is Format.json
    env, named = job_options.env_and_jobs(words)
    if len(named) > 1:
        raise Problems([Problem(code=codes.USAGE, message="jobs connect takes one job")])
    with interruptible():
        desk = job_options.desk(terminal, env, var, var_file, sandbox=sandbox)
        found = connect.machine(desk, desk.described(desk.ids(named))[0], node)
        where = jobs_parts.Target(found, port, local_port or port, session)
        code = jobs_parts.forward(terminal, desk, where) if ssm else OK
        if not ssm:
            jobs_parts.show_target(terminal, desk, where)
    raise typer.Exit(code)
