"""``reconcile plan``."""

from __future__ import annotations

from dataclasses import replace as changed
from pathlib import Path
from typing import Annotated, Final

import typer

from reconciler.cli.options import (
    Adopt,
    Allow,
    Env,
    Excludes,
    OnlyChanges,
    PlanFormat,
    Preflight,
    Refreshes,
    Replaces,
    Sandbox,
    Targets,
    VarFiles,
    Vars,
    Verbose,
    WithPreflight,
    plan_options,
    variables,
)
from reconciler.cli.outputs import PAGES, Outputs, PlanFormats
from reconciler.cli.root import COMMANDS, STYLE, examples
from reconciler.cli.signals import interruptible
from reconciler.cli.terminal import Terminal
from reconciler.model import Options
from reconciler.model import problem_codes as codes
from reconciler.model.exit_codes import CHANGES, ERROR, OK
from reconciler.model.preflight import Level
from reconciler.model.problems import Problem, Problems
from reconciler.model.when_used import when_used
from reconciler.operations.timestamps import timestamp

with when_used():
    from reconciler.cli import reporting
    from reconciler.operations import pipeline, saved_plan, saved_variables, shown_plan
    from reconciler.operations.commit import commit_of
    from reconciler.operations.pipeline import Planned
    from reconciler.operations.session import Session
    from reconciler.operations.shown_plan import Shown

APP: Final = typer.Typer(**STYLE)


@APP.command(
    cls=WithPreflight,
    help=COMMANDS["plan"],
    epilog=examples(
        "reconcile plan --detailed-exitcode",
        "reconcile plan prod --out prod.plan",
        "reconcile plan prod --preflight",
        "reconcile plan --format markdown=plan.md --format json=plan.json",
    ),
)
def plan(
    ctx: typer.Context,
    env: Env = None,
    output: PlanFormats = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Save the plan for apply.")] = None,
    detailed_exitcode: Annotated[
        bool, typer.Option("--detailed-exitcode", help="Exit with 2 when there are changes.")
    ] = False,
    target: Targets = None,
    exclude: Excludes = None,
    replace: Replaces = None,
    refresh_images: Refreshes = None,
    destroy: Annotated[bool, typer.Option("--destroy", help="Plan to delete what the environment owns.")] = False,
    adopt: Adopt = False,
    allow_deletions: Allow = None,
    only_changes: OnlyChanges = False,
    preflight: Preflight = None,
    check_permissions: Annotated[
        bool,
        typer.Option("--check-permissions", help="Ask IAM whether the caller has the permissions to apply the plan."),
    ] = False,
    apply_role: Annotated[
        str | None,
        typer.Option("--apply-role", metavar="ARN", help="Check the permissions of this role, if IAM answers."),
    ] = None,
    var: Vars = None,
    var_file: VarFiles = None,
    snapshot: Annotated[
        Path | None,
        typer.Option("--snapshot", metavar="FILE", help="Plan from a snapshot, without credentials; never applied."),
    ] = None,
    verbose: Verbose = False,
    sandbox: Sandbox = False,
) -> None:
    """Print the plan of an environment, and save it to ``out``."""
    terminal: Terminal = ctx.obj
    outputs = Outputs.of(ctx, output, [out] if out else [])
    terminal.verbose = verbose
    source = ctx.get_parameter_source("preflight")
    by_hand = source is not None and source.name == "COMMANDLINE"  # the process's environment is for other plans, too
    level = Level.off if preflight is None or (snapshot and not by_hand) else preflight
    asking: dict[str, object] = {"--preflight": level is not Level.off}
    asking |= {"--out": out, "--sandbox": sandbox, "--check-permissions": check_permissions, "--apply-role": apply_role}
    if snapshot and (flags := [flag for flag, given in asking.items() if given]):
        raise Problems([_not_with_snapshot(flags[0])])
    if out:
        saved_plan.check_place(out)
    given = variables(var, var_file)
    options = plan_options(
        target=target,
        exclude=exclude,
        replace=replace,
        refresh=refresh_images,
        adopt=adopt,
        destroy=destroy,
        allow=allow_deletions,
    )
    with interruptible():
        if snapshot:
            account = reporting.connect_snapshot(terminal, env, snapshot, strict=not destroy, given=given)
        else:
            account = reporting.connect(terminal, env, strict=not destroy, sandbox=sandbox, given=given)
        made = reporting.make_plan(terminal, account, options, outputs, level)
        if (check_permissions or apply_role) and not made.errored:
            made = _checked(terminal, made, account, apply_role, required=check_permissions)
    at = timestamp()
    shown = shown_plan.planned(
        made,
        document=pipeline.document(made, timestamp=at) if out or outputs.has(PlanFormat.json) else {},
        at=at,
        root=terminal.root,
        checked=account.loaded.warnings,
        commit=commit_of(account.loaded.location.target) if out or outputs.has(*PAGES) else None,
    )
    if out and not made.errored:
        _save(out, made, shown, account, options)
    reporting.show(terminal, outputs, shown, only_changes=only_changes)
    if made.errored:
        raise typer.Exit(ERROR)
    if out:
        name = terminal.mask.line(str(out))
        terminal.note(f"Saved the plan to {name}; apply it with: reconcile apply {terminal.shell_quoted(out)}")
    raise typer.Exit(CHANGES if detailed_exitcode and made.plan.applyable else OK)


def _not_with_snapshot(flag: str) -> Problem:
    message = f"{flag} cannot be combined with --snapshot"
    hint = "a plan from a snapshot is never applied: leave --snapshot out to plan from the account"
    return Problem(code=codes.USAGE, message=message, hint=hint)


def _checked(terminal: Terminal, planned: Planned, account: Session, role: str | None, *, required: bool) -> Planned:
    """The plan with a problem for what is missing to apply it; also for being unable to ask, if it is ``required``."""
    from reconciler.operations.permissions import simulation  # noqa: PLC0415  (only for this option)

    found = simulation.check(account, pipeline.document(planned, timestamp=timestamp()), role, required=required)
    errors = tuple(problem for problem in found if not problem.warning)
    warnings = tuple(problem for problem in found if problem.warning)
    if warnings and not terminal.as_json:
        terminal.problems(warnings)
    if not found:
        terminal.note(f"{role or 'The caller'} has every permission that this plan needs.")
    return changed(planned, problems=(*planned.problems, *errors), warnings=(*planned.warnings, *warnings))


def _save(out: Path, result: Planned, shown: Shown, account: Session, options: Options) -> None:
    saved_plan.write(
        out,
        shown.document,
        where=saved_plan.place_of(account.env.name, account.loaded.location.target, Path.cwd()),
        options=changed(options, kept=result.kept),
        shown=shown_plan.to_save(shown),
        variables=saved_variables.to_save(account.env, result.mask),
    )
