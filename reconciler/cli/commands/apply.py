"""``reconcile apply``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Final

import typer

from reconciler.cli.options import (
    Adopt,
    Allow,
    AutoApprove,
    Excludes,
    Format,
    FormatOption,
    JournalOption,
    NoLock,
    OnError,
    OnErrorOption,
    Parallelism,
    Preflight,
    Refreshes,
    Replaces,
    Sandbox,
    Targets,
    VarFiles,
    Vars,
    Verbose,
    WithPreflight,
    environments,
    of_kinds,
    plan_options,
    variables,
)
from reconciler.cli.root import COMMANDS, STYLE, examples
from reconciler.cli.signals import interruptible
from reconciler.cli.terminal import Terminal
from reconciler.model import Json, Options
from reconciler.model import problem_codes as codes
from reconciler.model.exit_codes import OK
from reconciler.model.preflight import Level
from reconciler.model.problems import Problem, Problems
from reconciler.model.when_used import when_used

with when_used():
    from reconciler.cli import reporting
    from reconciler.operations import apply as applying
    from reconciler.operations import saved_plan, saved_variables

APP: Final = typer.Typer(**STYLE)


def _jobs(ctx: typer.Context, incomplete: str) -> list[str]:
    """Completes ADDRESS, with those of which jobs can be submitted."""
    return of_kinds(ctx, "submits", incomplete)


def _queues(ctx: typer.Context, incomplete: str) -> list[str]:
    """Completes QUEUE."""
    return of_kinds(ctx, "takes_jobs", incomplete)


@APP.command(
    cls=WithPreflight,
    help=COMMANDS["apply"],
    epilog=examples(
        "reconcile apply",
        "reconcile apply prod.plan",
        "reconcile apply --auto-approve",
        "reconcile apply --smoke jobDefinitions.render",
    ),
)
def apply(
    ctx: typer.Context,
    env: Annotated[
        str | None,
        typer.Argument(
            metavar="ENV|PLAN-FILE",
            help="A directory, a file, a name under environments/, or a plan saved with --out.",
            show_default=False,
            autocompletion=environments,
        ),
    ] = None,
    auto_approve: AutoApprove = False,
    parallelism: Parallelism = 16,
    on_error: OnErrorOption = OnError.stop,
    output: FormatOption = Format.text,
    target: Targets = None,
    exclude: Excludes = None,
    replace: Replaces = None,
    refresh_images: Refreshes = None,
    adopt: Adopt = False,
    allow_deletions: Allow = None,
    journal: JournalOption = None,
    no_lock: NoLock = False,
    preflight: Preflight = None,
    smoke: Annotated[
        str | None,
        typer.Option(
            "--smoke",
            metavar="ADDRESS",
            help="Afterwards submit one job of this definition, follow it, and show why if it fails.",
            autocompletion=_jobs,
        ),
    ] = None,
    smoke_queue: Annotated[
        str | None,
        typer.Option(
            "--smoke-queue",
            metavar="QUEUE",
            help="Its queue, where several of the environment fit.",
            autocompletion=_queues,
        ),
    ] = None,
    smoke_parameter: Annotated[
        list[str] | None,
        typer.Option("--smoke-parameter", metavar="NAME=VALUE", help="Set a parameter of its job (repeatable)."),
    ] = None,
    smoke_timeout: Annotated[
        str | None,
        typer.Option("--smoke-timeout", metavar="SPAN", help="How long it may take (15m, 2h); default: 30m."),
    ] = None,
    var: Vars = None,
    var_file: VarFiles = None,
    verbose: Verbose = False,
    sandbox: Sandbox = False,
) -> None:
    """Apply an environment, or a saved plan; exits with the contract's exit code."""
    terminal: Terminal = ctx.obj
    terminal.as_json = terminal.as_lines = output is Format.json
    terminal.verbose = verbose
    given = variables(var, var_file)
    options = plan_options(
        target=target,
        exclude=exclude,
        replace=replace,
        refresh=refresh_images,
        adopt=adopt,
        allow=allow_deletions,
    )
    wanted = None
    if smoke or smoke_queue or smoke_parameter or smoke_timeout:
        from reconciler.cli import smoke as smoking  # noqa: PLC0415  (few applies have one)

        wanted = smoking.wanted(smoke, smoke_queue, smoke_parameter, smoke_timeout)
    saved = None
    if env and saved_plan.is_plan_file(Path(env)):
        saved = saved_plan.read(Path(env))
        if options != Options():
            raise Problems([_not_with_saved_plan(options)])
        given = saved_variables.with_saved(saved.variables, given)
        env = saved_plan.locate(saved, Path(env), Path.cwd(), os.environ, given)
        options, auto_approve = saved.options, True
    how = applying.ApplyOptions(
        parallelism=parallelism,
        keep_going=on_error is OnError.carry_on,
        lock=not no_lock,
        journal=journal,
        saved=saved,
        preflight=preflight or (Level.off if saved else Level.on),
    )
    with interruptible() as stop:
        account = reporting.connect(terminal, env, strict=not options.destroy, sandbox=sandbox, given=given)
        job = smoking.Smoke(terminal, account, wanted) if wanted else None
        if job:
            job.check()
        report = reporting.ApplyReport(terminal, auto_approve=auto_approve, held=bool(job))
        stop.announce = report.announce
        tried: Json | None = None
        try:
            code = applying.apply(account, options, how, report, stop)
            if job and code == OK:
                code, tried = job.run(stop)
        finally:
            report.close({"smoke": tried} if job else {})
        raise typer.Exit(code)


def _not_with_saved_plan(options: Options) -> Problem:
    given = {
        "--target": options.targets,
        "--exclude": options.exclude,
        "--replace": options.replace,
        "--refresh-images": options.refresh,
        "--adopt": options.adopt,
        "--allow-deletions": options.allow_deletions is not None,
    }
    flags = [flag for flag, is_given in given.items() if is_given]
    message = f"{', '.join(flags)} cannot be combined with a saved plan"
    what = "it" if len(flags) == 1 else "them"
    return Problem(code=codes.USAGE, message=message, hint=f"pass {what} to `reconcile plan --out FILE`")
