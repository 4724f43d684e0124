"""``reconcile import``."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from reconciler.cli.options import Format, Sandbox, environments, sections
from reconciler.cli.root import COMMANDS, STYLE, examples
from reconciler.cli.signals import interruptible
from reconciler.cli.terminal import Terminal, colour, plural
from reconciler.model import problem_codes as codes
from reconciler.model.problems import Problem, Problems, did_you_mean
from reconciler.model.when_used import when_used
from reconciler.render.mask import Mask

with when_used():
    from reconciler.operations.importing import command, saving
    from reconciler.operations.importing.importer import Result
    from reconciler.operations.importing.moving import Origin
    from reconciler.operations.importing.select import Wanted
    from reconciler.render import unified
    from reconciler.render.text import Paint

APP: Final = typer.Typer(**STYLE)


@APP.command(
    help=COMMANDS["import"],
    epilog=examples(
        "reconcile import prod --name 'gpu-*'",
        "reconcile import prod --kind jobQueues --tag team=hpc --dry-run",
        "reconcile import environments/all --all --environment all",
        "reconcile import environments/gpu --from-terraform-state terraform.tfstate",
        "reconcile import environments/gpu --from-cloudformation template.yaml --stack gpu",
    ),
)
def import_(
    ctx: typer.Context,
    env: Annotated[
        str,
        typer.Argument(
            metavar="ENV",
            help="An environment to add to, or the directory or file of a new one.",
            show_default=False,
            autocompletion=environments,
        ),
    ],
    name: Annotated[
        list[str] | None,
        typer.Option("--name", metavar="GLOB", help="Names in the account, * and ? match anything (repeatable)."),
    ] = None,
    kind: Annotated[
        list[str] | None,
        typer.Option("--kind", metavar="SECTION", help="Kinds of resources (repeatable).", autocompletion=sections),
    ] = None,
    tag: Annotated[
        list[str] | None,
        typer.Option("--tag", metavar="KEY=VALUE", help="Tags that they have; VALUE may be a pattern (repeatable)."),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Everything of AWS Batch.")] = False,
    depth: Annotated[
        int | None,
        typer.Option(
            "--depth",
            metavar="N",
            min=0,
            help="How many references to follow, to what is used and to what uses it; default: to all that is used, "
            "and one to what uses it.",
            show_default=False,
        ),
    ] = None,
    states: Annotated[
        list[Path] | None,
        typer.Option(
            "--from-terraform-state",
            metavar="FILE",
            help="Import the resources of a terraform or OpenTofu state, under their names there (repeatable).",
        ),
    ] = None,
    templates: Annotated[
        list[Path] | None,
        typer.Option(
            "--from-cloudformation",
            metavar="FILE",
            help="Import the resources of a template, or of what `aws cloudformation describe-stack-resources` prints, "
            "under their logical ids (repeatable).",
        ),
    ] = None,
    stack: Annotated[
        str,
        typer.Option(
            "--stack",
            metavar="NAME",
            help="Import the resources of a stack in the account; with --from-cloudformation, of the template's stack.",
            show_default=False,
        ),
    ] = "",
    environment: Annotated[
        str | None,
        typer.Option("--environment", metavar="NAME", help="The name of a new environment; default: that of ENV."),
    ] = None,
    single_file: Annotated[
        bool,
        typer.Option("--single-file", help="Write all of a new environment into one file."),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be written, and write nothing.")] = False,
    output: Annotated[Format, typer.Option("--format", help="The format of the result.")] = Format.text,
    sandbox: Sandbox = False,
) -> None:
    """Write YAML for the selected resources, and for those that belong to them."""
    terminal: Terminal = ctx.obj
    terminal.as_json = output is Format.json
    origin = Origin(states=tuple(states or ()), templates=tuple(templates or ()), stack=stack)
    wanted = _wanted(name or (), kind or (), tag or (), every=every, depth=depth, moves=bool(origin))
    with interruptible():
        result, target = command.find(
            env,
            wanted,
            Path.cwd(),
            os.environ,
            name=environment,
            single_file=single_file,
            sandbox=sandbox,
            origin=origin,
        )
    terminal.mask |= Mask(result.sensitive)
    directory = target.parent if result.existing.single or target.suffix.lower() in (".yaml", ".yml") else target
    files = saving.with_schema(directory, result.written.files, result.existing)
    paths = [] if dry_run or not files else saving.save(directory, files, result.existing)
    if output is Format.json:
        terminal.document(command.document(result, files))
        return
    for one in (*result.imported.left_out, *result.written.left_alone):
        terminal.note(terminal.mask.line(f"left out: {one.shown}: {one.why}"))
    for warning in result.imported.warnings:
        terminal.note(terminal.mask.line(f"warning: {warning}"))
    if dry_run:
        for line in unified.diff(result.existing.texts, files, Paint(colour=colour(sys.stdout)), terminal.mask):
            terminal.result(line)
        return
    for path in paths:
        terminal.note(f"wrote {terminal.mask.line(os.path.relpath(path))}")
    _report(terminal, result, env)


def _report(terminal: Terminal, result: Result, env: str) -> None:
    """What was imported, and what to do next."""
    count = len(result.written.added)
    if not count:
        terminal.result("Nothing was added: all of it is declared already.")
        return
    terminal.result(f"Imported {plural(count, 'resource')}.")
    for variable in sorted(result.secrets):
        terminal.result(f"next: export {variable}=...")
    terminal.result(f"next: reconcile plan {terminal.shell_quoted(env)} --adopt")


def _wanted(names: object, kinds: object, tags: object, *, every: bool, depth: int | None, moves: bool) -> Wanted:
    """The selection. Raises Problems for one that selects everything by accident, or nothing at all."""
    found = {str(one).partition("=")[0]: str(one).partition("=")[2] for one in _texts(tags)}
    if wrong := [one for one in _texts(tags) if "=" not in one]:
        raise _usage(f"--tag {wrong[0]} has no value", "e.g. --tag team=hpc, or --tag 'team=*'")
    known = sections("")
    if wrong := [one for one in _texts(kinds) if one not in known]:
        raise _usage(f"there is no section {wrong[0]}", did_you_mean(wrong[0], known))
    if every and _texts(kinds):
        raise _usage("--all cannot be combined with --kind", "leave one of them out")
    if not (every or moves or found or _texts(names) or _texts(kinds)):
        raise _usage("import needs to know what", "pass --name, --kind or --tag, or --all for everything of AWS Batch")
    return Wanted(
        names=tuple(_texts(names)),
        sections=tuple(_texts(kinds)),
        tags=found,
        service=command.BATCH if every else "",
        depth=depth,
    )


def _texts(values: object) -> list[str]:
    return [str(one) for one in values] if isinstance(values, list | tuple) else []


def _usage(message: str, hint: str) -> Problems:
    return Problems([Problem(code=codes.USAGE, message=message, hint=hint)])
