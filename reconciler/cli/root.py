"""The table of commands; each is imported when it is run."""

from __future__ import annotations

import importlib
import keyword
import os
from functools import cache
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup

from reconciler import __version__
from reconciler.cli.fast_options import take_simple_values

# name -> help, as `reconcile --help` lists them; each command's module in `commands` has its name, with an underscore
# after a word of Python
COMMANDS: Final = {
    "init": "Write a starting environment.",
    "validate": "Check an environment without AWS.",
    "plan": "Show what apply would change; reads only.",
    "show": "Show a saved plan, without asking AWS.",
    "snapshot": "Record what planning reads, to plan without credentials.",
    "apply": "Apply the changes in order, after approval.",
    "destroy": "Delete what the environment owns, after approval.",
    "drift": "Report where accounts differ from the YAML, of many environments at once; reads only.",
    "test": "Check your own expectations about an environment, without AWS.",
    "audit": "Report what in the account's AWS Batch is broken, unowned or risky; needs no YAML, reads only.",
    "status": "Show how an environment is right now: what runs, what waits, what failed lately.",
    "unlock": "Break a lock that was left behind, after approval.",
    "import": "Write YAML for what exists in an account, so that planning it changes nothing.",
    "graph": "Show what depends on what, without AWS, and what a saved plan changes in it.",
    "render": "Show the environment after merging and variables, with the source of each value.",
    "why": "Show why a job, a queue or an environment does not work, and what to change.",
    "retry": "Show what AWS Batch does with failed attempts of a job, without AWS.",
    "jobs": "Submit, list, show, follow, stop and reach jobs of an environment.",
    "permissions": "Print the IAM policy that a command needs, without AWS.",
    "explain": "Explain a field, the value of a resource, or a problem code, without AWS.",
    "schema": "Print the JSON Schema of an environment, or of one section, for editors.",
    "ci": "Post plans and drift on the code host, from a pipeline.",
    "completion": "Print the completion script for a shell.",
    "sandbox": "Run an AWS account on this machine, to try things with.",
}

# the environment variable by which a shell requests the completions of a word
COMPLETE: Final = "_RECONCILE_COMPLETE"

# typer's arguments for every command and group
STYLE: Final[dict[str, Any]] = {
    "add_completion": False,
    "rich_markup_mode": None,
    "pretty_exceptions_enable": False,
    "context_settings": {"help_option_names": ["-h", "--help"]},
}


def examples(*lines: str) -> str:
    """The epilog with command lines to copy, each on a line of its own, however narrow the terminal is."""
    return "\n".join(("\b", "Examples:" if len(lines) > 1 else "Example:", *(f"  {line}" for line in lines)))


class Commands(TyperGroup):
    """The group of all commands of the table."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002  (click's signature)
        """Their names, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002
        """The command ``cmd_name``, imported now; None if it is unknown."""
        if cmd_name not in COMMANDS:
            return None
        return _command(cmd_name)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command of ``args`` and what follows; for a misspelt one the message names the nearest."""
        if args[0] not in COMMANDS:
            from reconciler.model.problems import near  # noqa: PLC0415  (most commands are spelt right)

            close = near(args[0], COMMANDS)
            if close:
                ctx.fail(f"No such command '{args[0]}'; did you mean {close}?")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002
        """The list in ``--help``, without importing any of them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@cache
def _command(name: str) -> Any:
    module = f"{name}_" if keyword.iskeyword(name) else name
    app = importlib.import_module(f"reconciler.cli.commands.{module}").APP
    command = typer.main.get_command(app)
    command.name = name
    return take_simple_values(command)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"reconcile {__version__}")
        raise typer.Exit


APP: Final = typer.Typer(
    name="reconcile",
    cls=Commands,
    help="Keep an AWS Batch estate exactly as declared in YAML.",
    no_args_is_help=True,
    **STYLE,
)


@APP.callback()
def options(
    ctx: typer.Context,
    _: Annotated[bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_version)] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks of internal errors.")] = False,
) -> None:
    """Options that every command has."""
    ctx.obj.debug = debug


def group() -> Any:
    """The command line as typer's command group."""
    if COMPLETE in os.environ:
        register_shells()
    return _group()


@cache
def _group() -> Any:
    return take_simple_values(typer.main.get_command(APP))


def register_shells() -> None:
    """Let typer complete words for bash, zsh and fish, without adding its options for that."""
    typer.main.get_install_completion_arguments()
