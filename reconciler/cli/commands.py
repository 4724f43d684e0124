"""The commands: each reads its options, runs the pipeline, shows what came of it."""

from __future__ import annotations

import json
import os
import sys
import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from reconciler import __version__, load, planfile, scaffold, schema
from reconciler import app as pipeline
from reconciler.app import Planned
from reconciler.cli import console
from reconciler.cli.console import OUT
from reconciler.execute import Aws
from reconciler.model import Address, Environment, Options
from reconciler.problems import Problem, Problems, did_you_mean, ordered
from reconciler.render import json as as_json
from reconciler.render import text
from reconciler.render.progress import though_unheard


class Format(StrEnum):
    """How a result is printed."""

    text = "text"
    json = "json"


class PlanFormat(StrEnum):
    """How a plan is printed."""

    text = "text"
    json = "json"
    markdown = "markdown"
    html = "html"


class OnError(StrEnum):
    """What an apply does after a failure."""

    stop = "stop"
    carry_on = "continue"


Env = Annotated[
    str | None,
    typer.Argument(metavar="ENV", help="A directory, a file, or a name under environments/.", show_default=False),
]
FormatOption = Annotated[Format, typer.Option("--format", help="How the result is printed.")]
PlanFormatOption = Annotated[PlanFormat, typer.Option("--format", help="How the plan is printed.")]
Sandbox = Annotated[bool, typer.Option("--sandbox", help="Talk to the running sandbox.")]
Targets = Annotated[list[str] | None, typer.Option("--target", metavar="ADDRESS", help="Only this, and what it needs.")]
Excludes = Annotated[
    list[str] | None, typer.Option("--exclude", metavar="ADDRESS", help="All but this, and what needs it.")
]
Replaces = Annotated[list[str] | None, typer.Option("--replace", metavar="ADDRESS", help="Replace this in any case.")]
Refreshes = Annotated[
    list[str] | None,
    typer.Option("--refresh-images", metavar="ADDRESS", help="Give this compute environment the newest images."),
]
Adopt = Annotated[bool, typer.Option("--adopt", help="Take over existing resources of the declared names.")]
Allow = Annotated[
    int | None, typer.Option("--allow-deletions", metavar="N", help="Let this many be deleted or replaced.")
]
AutoApprove = Annotated[bool, typer.Option("--auto-approve", "-y", help="Do not ask.")]
Parallelism = Annotated[int, typer.Option("--parallelism", min=1, max=64, help="Calls made at the same time.")]
OnErrorOption = Annotated[OnError, typer.Option("--on-error", help="After a failure: start nothing new, or go on.")]
OnlyChanges = Annotated[bool, typer.Option("--only-changes", help="Leave out what does not change.")]

COMMANDS = typer.Typer(
    name="reconcile",
    help="Keep an AWS Batch estate exactly as declared in YAML.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@COMMANDS.callback()
def root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.", is_eager=True)] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks of internal errors.")] = False,
) -> None:
    OUT.debug = debug
    if version:
        typer.echo(f"reconcile {__version__}")
        raise typer.Exit


@COMMANDS.command(epilog="Example: reconcile init my-cluster --template retry-strategies")
def init(
    directory: Annotated[Path | None, typer.Argument(metavar="DIR", show_default=False)] = None,
    template: Annotated[str, typer.Option("--template", metavar="NAME", help="What to start from.")] = "minimal",
    show: Annotated[bool, typer.Option("--list", help="Show the templates.")] = False,
) -> None:
    """Write a starting environment."""
    if show:
        for name, about in scaffold.templates().items():
            typer.echo(f"{name:<20} {about}")
        return
    if directory is None:
        raise Problems([Problem(code="usage", message="which directory?", hint="reconcile init DIR")])
    for path in scaffold.write(directory, template):
        typer.echo(f"wrote {path}", err=True)
    typer.echo(f"next: reconcile validate {directory}")


@COMMANDS.command(epilog="Example: reconcile validate environments/retry-strategies --strict")
def validate(
    envs: Annotated[list[str] | None, typer.Argument(metavar="ENV", show_default=False)] = None,
    output: FormatOption = Format.text,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings are errors; notes are not.")] = False,
) -> None:
    """Check everything that can be checked without AWS."""
    OUT.as_json = output is Format.json
    found: list[Problem] = []
    count = 0
    targets: list[str | None] = [*envs] if envs else [None]
    for env in targets:
        try:
            loaded, problems = _read(env, strict=False)
            count += len(loaded.resources)
        except Problems as error:
            problems = error.problems
        found += ordered(problems)
        if problems and not OUT.as_json:
            console.print_problems(ordered(problems))
    errors, notes = sum(not problem.warning for problem in found), sum(problem.note for problem in found)
    if OUT.as_json:
        console.print_problems(found)
    else:
        told = f"{console.plural(errors, 'error')}, {console.plural(len(found) - errors - notes, 'warning')}"
        told += f", {console.plural(notes, 'note')}" if notes else ""
        told = told if found else "no problems"
        typer.echo(told if errors else f"{console.plural(count, 'resource')}: {told}")
    bad = len(found) > notes if strict else bool(errors)
    raise typer.Exit(console.ERROR if bad else console.OK)


@COMMANDS.command(epilog="Examples: reconcile plan --detailed-exitcode    reconcile plan prod --out prod.plan")
def plan(
    env: Env = None,
    output: PlanFormatOption = PlanFormat.text,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Save the plan for apply.")] = None,
    detailed_exitcode: Annotated[bool, typer.Option("--detailed-exitcode", help="2 when there are changes.")] = False,
    target: Targets = None,
    exclude: Excludes = None,
    replace: Replaces = None,
    refresh_images: Refreshes = None,
    destroy: Annotated[bool, typer.Option("--destroy", help="Plan to delete what the environment owns.")] = False,
    adopt: Adopt = False,
    allow_deletions: Allow = None,
    only_changes: OnlyChanges = False,
    sandbox: Sandbox = False,
) -> None:
    """Show what apply would do; reads only."""
    OUT.as_json = output is PlanFormat.json
    options = _options(target, exclude, replace, refresh_images, adopt=adopt, destroy=destroy, allow=allow_deletions)
    with console.interruptible():
        made, _ = _plan(env, options, sandbox=sandbox)
    console.show(made, only_changes=only_changes, shape=output.value)
    if made.errored:
        raise typer.Exit(console.ERROR)
    if out:
        planfile.write(out, console.document(made), env=env, options=options)
        typer.echo(f"Saved the plan to {out}; to do it: reconcile apply {out}", err=True)
    raise typer.Exit(console.CHANGES if detailed_exitcode and made.plan.applyable else console.OK)


@COMMANDS.command(epilog="Examples: reconcile apply    reconcile apply prod.plan    reconcile apply --auto-approve")
def apply(
    env: Annotated[str | None, typer.Argument(metavar="ENV|PLAN-FILE", show_default=False)] = None,
    auto_approve: AutoApprove = False,
    parallelism: Parallelism = 8,
    on_error: OnErrorOption = OnError.stop,
    output: FormatOption = Format.text,
    target: Targets = None,
    exclude: Excludes = None,
    replace: Replaces = None,
    refresh_images: Refreshes = None,
    adopt: Adopt = False,
    allow_deletions: Allow = None,
    sandbox: Sandbox = False,
) -> None:
    """Do it, in order; asks first."""
    OUT.as_json = OUT.as_lines = output is Format.json
    options = _options(target, exclude, replace, refresh_images, adopt=adopt, destroy=False, allow=allow_deletions)
    saved = None
    if env and Path(env).is_file() and Path(env).suffix not in (".yaml", ".yml"):
        saved = planfile.read(Path(env))
        env, options, auto_approve = saved.env, saved.options, True
    _apply(
        env,
        options,
        auto_approve=auto_approve,
        parallelism=parallelism,
        on_error=on_error,
        sandbox=sandbox,
        checksum=saved.checksum if saved else None,
    )


@COMMANDS.command(epilog="Example: reconcile destroy scratch --auto-approve")
def destroy(
    env: Env = None,
    auto_approve: AutoApprove = False,
    parallelism: Parallelism = 8,
    on_error: OnErrorOption = OnError.stop,
    output: FormatOption = Format.text,
    target: Targets = None,
    exclude: Excludes = None,
    sandbox: Sandbox = False,
) -> None:
    """Delete what the environment owns; asks first."""
    OUT.as_json = OUT.as_lines = output is Format.json
    options = _options(target, exclude, None, None, adopt=False, destroy=True, allow=None)
    _apply(env, options, auto_approve=auto_approve, parallelism=parallelism, on_error=on_error, sandbox=sandbox)


@COMMANDS.command(epilog="Example: reconcile render prod")
def render(env: Env = None) -> None:
    """Show the environment after merging and variables, with where each value came from."""
    loaded = load.load(_found(env), environ=os.environ)
    typer.echo(load.provenance(loaded, secret=schema.is_secret))


@COMMANDS.command("schema", epilog="Example: reconcile schema jobQueues")
def schema_command(
    section: Annotated[str | None, typer.Argument(metavar="SECTION", show_default=False)] = None,
) -> None:
    """Print the JSON Schema of an environment, or of one section, for editors."""
    known = schema.sections()
    if section is not None and section not in known:
        hint = did_you_mean(section, known) or f"one of {', '.join(known)}"
        raise Problems([Problem(code="unknown-section", message=f'there is no section "{section}"', hint=hint)])
    typer.echo(json.dumps(schema.published(section), indent=2, ensure_ascii=False))


def _found(env: str | None) -> Path:
    """The environment's directory or file; from here on its problems are told by paths that can be opened."""
    target = load.find_environment(env, Path.cwd())
    directory = os.path.relpath(target if target.is_dir() else target.parent)
    OUT.root = "" if directory == "." else f"{directory}/"
    return target


def _read(env: str | None, *, strict: bool) -> tuple[Environment, tuple[Problem, ...]]:
    loaded, warnings = pipeline.read(_found(env), os.environ, strict=strict)
    OUT.mask = pipeline.mask_for(loaded)
    return loaded, warnings


def _plan(env: str | None, options: Options, *, sandbox: bool) -> tuple[Planned, Aws]:
    """Load, connect and plan; warnings are printed as they come."""
    from reconciler import aws  # noqa: PLC0415  (0.1 s to import, and `validate` does without)

    loaded, warnings = _read(env, strict=not options.destroy)
    if warnings and not OUT.as_json:
        command = f"reconcile validate {env}" if env else "reconcile validate"
        notes = sum(problem.note for problem in warnings)
        counts = ((len(warnings) - notes, "warning"), (notes, "note"))
        told = ", ".join(console.plural(count, noun) for count, noun in counts if count)
        typer.echo(f"{told}: see `{command}`", err=True)
    if sandbox:
        point_at_sandbox()
    region = loaded.region or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    door = aws.connect(region=region, profile=None if sandbox else loaded.profile, role=loaded.role)
    scope = aws.identity(door, loaded.name)
    made = pipeline.planned(loaded, scope, door, options)
    if made.warnings and not OUT.as_json:
        console.print_problems(made.warnings)
    return made, door


def _apply(
    env: str | None,
    options: Options,
    *,
    auto_approve: bool,
    parallelism: int,
    on_error: OnError,
    sandbox: bool,
    checksum: str | None = None,
) -> None:
    with console.interruptible() as stop:
        made, door = _plan(env, options, sandbox=sandbox)
        if not OUT.as_json:
            console.show(made, only_changes=True)
        elif made.errored:
            console.print_problems(made.problems)
        if made.errored:
            raise typer.Exit(console.ERROR)
        if checksum and as_json.checksum(made.plan, made.mask) != checksum:
            raise Problems([_stale()], exit_code=console.STALE)
        if not made.plan.applyable:
            if OUT.as_json:
                console.line({"type": "version", "reconcile": __version__})
                console.line({"type": "summary", "@message": text.NO_CHANGES, "done": [], "failed": []})
            return
        if not console.confirm(made.plan, auto_approve=auto_approve):
            raise typer.Exit(console.ERROR)
        sink: console.Sink = console.JsonLines(made.mask) if OUT.as_json else console.progress(made.plan, made.mask)
        began = time.monotonic()
        stop.soft = True
        with sink:
            outcome = pipeline.execute(
                made.plan,
                door,
                console.WallClock(stop.event),
                sink.emit,
                parallelism=parallelism,
                keep_going=on_error is OnError.carry_on,
                stop=stop.event,
            )
        told = text.report(made.plan, outcome, sink.details, time.monotonic() - began, made.mask, OUT.root)
        with though_unheard(sys.stdout):
            if OUT.as_json:
                fates = {"done": outcome.done, "failed": outcome.failed, "skipped": outcome.skipped}
                console.line({"type": "summary", "@message": told, **fates, "never_started": outcome.never_started})
            else:
                typer.echo(told)
    code = console.INTERRUPTED if outcome.interrupted else console.PARTIAL
    raise typer.Exit(console.OK if outcome.ok else code)


def point_at_sandbox() -> None:
    """Make this process talk to the running sandbox. Raises Problems when there is none."""
    from reconciler.sandbox import process  # noqa: PLC0415  (only with the sandbox extra)

    handle = process.status()
    if handle is None:
        raise Problems([no_sandbox()])
    for exported in process.exports(handle.url):
        name, _, value = exported.removeprefix("export ").partition("=")
        os.environ[name] = value.strip("'\"")
    os.environ.pop("AWS_PROFILE", None)


def no_sandbox() -> Problem:
    """What people are told when the sandbox is wanted and does not run."""
    return Problem(
        code="no-sandbox", message="the sandbox is not running", hint="start it with `reconcile sandbox start`"
    )


def _stale() -> Problem:
    return Problem(
        code="stale-plan",
        message="planning again does not give what was saved: the account or the environment has changed since",
        hint="look at `reconcile plan`, save it anew, and apply that",
    )


def _options(
    target: list[str] | None,
    exclude: list[str] | None,
    replace: list[str] | None,
    refresh: list[str] | None,
    *,
    adopt: bool,
    destroy: bool,
    allow: int | None,
) -> Options:
    return Options(
        adopt=adopt,
        destroy=destroy,
        targets=tuple(map(_address, target or ())),
        exclude=tuple(map(_address, exclude or ())),
        replace=tuple(map(_address, replace or ())),
        refresh=tuple(map(_address, refresh or ())),
        allow_deletions=allow,
    )


def _address(text: str) -> Address:
    section, dot, name = text.partition(".")
    if "[" in section:
        section, _, name = text.partition("[")
        return Address(section, name.rstrip("]").strip("\"'"))
    if not dot or not name:
        hint = 'write it as plans print it: jobQueues.queue-0, logGroups["/aws/batch/custom"]'
        raise Problems([Problem(code="bad-address", message=f'"{text}" is not an address', hint=hint)])
    return Address(section, name)
