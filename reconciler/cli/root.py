"""The commands: each reads its options, runs the pipeline, shows what came of it."""

from __future__ import annotations

import json
import os
from dataclasses import replace as changed
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from reconciler import __version__
from reconciler.checks import secrets
from reconciler.cli import reporting, terminal
from reconciler.cli.exit_codes import CHANGES, ERROR, OK
from reconciler.cli.signals import interruptible
from reconciler.cli.terminal import OUT
from reconciler.config import loader
from reconciler.kinds import discover
from reconciler.model import Address, Options
from reconciler.model.masking import SHORT
from reconciler.model.problems import Problem, Problems, did_you_mean, ordered
from reconciler.operations import saved_plan, scaffold
from reconciler.render import json as as_json
from reconciler.render.mask import Mask
from reconciler.render.provenance import provenance
from reconciler.schema import registry


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
JournalOption = Annotated[
    Path | None, typer.Option("--journal", metavar="FILE", help="Write down what is sent and answered.")
]
NoLock = Annotated[bool, typer.Option("--no-lock", envvar="RECONCILE_NO_LOCK", help="Go without the lock.")]
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


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"reconcile {__version__}")
        raise typer.Exit


@COMMANDS.callback()
def root(
    _: Annotated[bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_version)] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks of internal errors.")] = False,
) -> None:
    OUT.debug = debug


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
        typer.echo(f"wrote {OUT.mask.line(str(path))}", err=True)
    typer.echo(f"next: reconcile validate {terminal.typed(directory)}")


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
            loaded, problems = reporting.read(env, strict=False)
            count += len(loaded.resources)
        except Problems as error:
            problems = error.problems
        found += ordered(problems)
        if problems and not OUT.as_json:
            terminal.print_problems(ordered(problems))
    errors, notes = sum(not problem.warning for problem in found), sum(problem.note for problem in found)
    if OUT.as_json:
        terminal.print_problems(found)
    else:
        told = f"{terminal.plural(errors, 'error')}, {terminal.plural(len(found) - errors - notes, 'warning')}"
        told += f", {terminal.plural(notes, 'note')}" if notes else ""
        told = told if found else "no problems"
        typer.echo(told if errors else f"{terminal.plural(count, 'resource')}: {told}")
    bad = len(found) > notes if strict else bool(errors)
    raise typer.Exit(ERROR if bad else OK)


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
    with interruptible():
        account = reporting.connect(env, strict=not destroy, sandbox=sandbox)
        made = reporting.plan(account, options, output.value)
    terminal.show(made, only_changes=only_changes, shape=output.value)
    if made.errored:
        raise typer.Exit(ERROR)
    if out:
        place = saved_plan.where(account.env.name, reporting.locate_environment(env), Path.cwd())
        asked = changed(options, kept=made.kept)
        saved_plan.write(out, terminal.document(made), where=place, options=asked)
        typer.echo(
            f"Saved the plan to {OUT.mask.line(str(out))}; to do it: reconcile apply {terminal.typed(out)}", err=True
        )
    raise typer.Exit(CHANGES if detailed_exitcode and made.plan.applyable else OK)


@COMMANDS.command(epilog="Examples: reconcile apply    reconcile apply prod.plan    reconcile apply --auto-approve")
def apply(
    env: Annotated[str | None, typer.Argument(metavar="ENV|PLAN-FILE", show_default=False)] = None,
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
    sandbox: Sandbox = False,
) -> None:
    """Do it, in order; asks first."""
    OUT.as_json = OUT.as_lines = output is Format.json
    options = _options(target, exclude, replace, refresh_images, adopt=adopt, destroy=False, allow=allow_deletions)
    saved = None
    if env and saved_plan.looks_like_one(Path(env)):
        saved = saved_plan.read(Path(env))
        if options != Options():
            hint = "plan with them, save that, and apply it"
            raise Problems([Problem(code="usage", message="a saved plan has its own options", hint=hint)])
        env, options, auto_approve = reporting.place(saved, Path(env)), saved.options, True
    manner = reporting.ApplyOptions(
        auto_approve=auto_approve,
        parallelism=parallelism,
        keep_going=on_error is OnError.carry_on,
        sandbox=sandbox,
        lock=not no_lock,
        journal=journal,
        saved=saved,
    )
    reporting.apply(env, options, manner)


@COMMANDS.command(epilog="Example: reconcile destroy scratch --auto-approve")
def destroy(
    env: Env = None,
    auto_approve: AutoApprove = False,
    parallelism: Parallelism = 16,
    on_error: OnErrorOption = OnError.stop,
    output: FormatOption = Format.text,
    target: Targets = None,
    exclude: Excludes = None,
    journal: JournalOption = None,
    no_lock: NoLock = False,
    sandbox: Sandbox = False,
) -> None:
    """Delete what the environment owns; asks first."""
    OUT.as_json = OUT.as_lines = output is Format.json
    options = _options(target, exclude, None, None, adopt=False, destroy=True, allow=None)
    manner = reporting.ApplyOptions(
        auto_approve=auto_approve,
        parallelism=parallelism,
        keep_going=on_error is OnError.carry_on,
        sandbox=sandbox,
        lock=not no_lock,
        journal=journal,
    )
    reporting.apply(env, options, manner)


@COMMANDS.command(epilog="Example: reconcile unlock prod")
def unlock(
    env: Env = None,
    auto_approve: AutoApprove = False,
    output: FormatOption = Format.text,
    sandbox: Sandbox = False,
) -> None:
    """Break a lock left behind; asks first."""
    OUT.as_json = output is Format.json
    with interruptible():
        account = reporting.connect(env, strict=False, sandbox=sandbox)
        broken = reporting.unlock(account, auto_approve=auto_approve)
    typer.echo(as_json.dumps({"unlocked": broken or None}) if OUT.as_json else broken or "There is no lock.")


@COMMANDS.command(epilog="Example: reconcile render prod")
def render(env: Env = None) -> None:
    """Show the environment after merging and variables, with where each value came from."""
    loaded = loader.load(reporting.locate_environment(env), environ=os.environ)
    private = secrets.secret_texts(loaded, discover())
    OUT.mask |= Mask(private)
    shown = {text for text in private if len(text) >= SHORT} | loaded.sensitive
    typer.echo(provenance(loaded, secret=registry.is_secret, sensitive=shown))


@COMMANDS.command("schema", epilog="Example: reconcile schema jobQueues")
def schema_command(
    section: Annotated[str | None, typer.Argument(metavar="SECTION", show_default=False)] = None,
) -> None:
    """Print the JSON Schema of an environment, or of one section, for editors."""
    known = registry.sections()
    if section is not None and section not in known:
        hint = did_you_mean(section, known) or f"one of {', '.join(known)}"
        raise Problems([Problem(code="unknown-section", message=f'there is no section "{section}"', hint=hint)])
    typer.echo(json.dumps(registry.published(section), indent=2, ensure_ascii=False))


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
