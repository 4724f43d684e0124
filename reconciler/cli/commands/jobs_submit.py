"""``reconcile jobs submit``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

import typer

from reconciler.cli import job_options, jobs_parts
from reconciler.cli.options import Format, FormatOption, Sandbox, VarFiles, Vars, env_and
from reconciler.cli.root import examples
from reconciler.cli.signals import interruptible
from reconciler.cli.terminal import Terminal
from reconciler.model import problem_codes as codes
from reconciler.model.problems import Problem, Problems
from reconciler.operations.jobs import submit

_EXAMPLES: Final = examples(
    "reconcile jobs submit prod render",
    "reconcile jobs submit prod jobDefinitions.render --queue spot --parameter frame=12 --follow",
    'reconcile jobs submit prod render --command "python render.py --fast" --env DEBUG=1 --memory 4096',
    "reconcile jobs submit prod render --array 100 --wait --timeout 2h --format json",
    "reconcile jobs submit prod render --override override.yaml --depends-on JOB",
)


def add_to(app: typer.Typer) -> None:
    """Add the command to the group."""
    app.command("submit", epilog=_EXAMPLES)(jobs_submit)


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
        with jobs_parts.perhaps_submitted(terminal, params["jobName"]):
            submitted = submit.submit(desk, params, unique=unique)
        code = jobs_parts.after_submit(terminal, desk, submitted, wait=wait, follow=follow, timeout=longest)
    raise typer.Exit(code)
