"""``reconcile status``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Annotated, Final

import typer

from reconciler.cli import reporting
from reconciler.cli.options import Env, Sandbox, VarFiles, Vars, variables
from reconciler.cli.root import COMMANDS, STYLE, examples
from reconciler.cli.signals import interruptible
from reconciler.cli.terminal import Terminal, colour
from reconciler.model.exit_codes import ERROR, OK
from reconciler.model.status import Status
from reconciler.operations import status as looking
from reconciler.render import status as rendered
from reconciler.render.text import Paint, fitting

APP: Final = typer.Typer(**STYLE)


class StatusFormat(StrEnum):
    """How the status is printed."""

    text = "text"
    json = "json"
    html = "html"


@APP.command(
    help=COMMANDS["status"],
    epilog=examples(
        "reconcile status prod",
        "reconcile status prod --watch",
        "reconcile status prod --format html > status.html",
        "reconcile status prod --format json | jq '.queues[] | select(.blocked != [])'",
    ),
)
def status(
    ctx: typer.Context,
    env: Env = None,
    output: Annotated[StatusFormat, typer.Option("--format", help="How it is printed.")] = StatusFormat.text,
    watch: Annotated[bool, typer.Option("--watch", help="Repeat until Ctrl-C.")] = False,
    every: Annotated[
        float, typer.Option("--every", min=2, metavar="SECONDS", help="With --watch: the time between two readings.")
    ] = looking.PERIOD,
    hours: Annotated[
        float, typer.Option("--hours", min=0, max=168, help="Show what failed within so many hours; AWS keeps 7 days.")
    ] = 24,
    most: Annotated[
        int, typer.Option("--most", min=1, max=100, help="Jobs of each queue that are shown: failed, at its front.")
    ] = 5,
    var: Vars = None,
    var_file: VarFiles = None,
    sandbox: Sandbox = False,
) -> None:
    """Print how the environment is; exits with 1 if AWS refused a read."""
    terminal: Terminal = ctx.obj
    terminal.as_json = output is StatusFormat.json
    if watch and output is StatusFormat.html:
        raise typer.BadParameter("--watch cannot be combined with html.", ctx=ctx, param_hint="'--format'")
    wanted = looking.Wanted(seconds=hours * 3600, most=most)
    with interruptible():
        account = reporting.connect(terminal, env, strict=False, sandbox=sandbox, given=variables(var, var_file))
        if watch:
            _watch(terminal, looking.watch(account, wanted, every))
        found = looking.look(account, wanted)
    terminal.result(_shown(terminal, found, output))
    raise typer.Exit(ERROR if found.unread else OK)


def _shown(terminal: Terminal, found: Status, output: StatusFormat) -> str:
    match output:
        case StatusFormat.json:
            return rendered.json(found, terminal.mask)
        case StatusFormat.html:
            return rendered.page(found, terminal.mask)
    return rendered.text(found, terminal.mask, Paint(colour=colour(sys.stdout)))


def _watch(terminal: Terminal, looks: Iterator[Status]) -> None:
    """Draw every look in the place of the one before; off a terminal, and as JSON, print each."""
    with _drawn(terminal) as draw:
        for found in looks:
            draw(found)


@contextmanager
def _drawn(terminal: Terminal) -> Iterator[Callable[[Status], None]]:
    if terminal.as_json:
        yield lambda found: terminal.result(rendered.json_line(found, terminal.mask))
    elif sys.stdout.isatty() and colour(sys.stdout):
        from reconciler.render.live import LiveLines  # noqa: PLC0415  (rich takes long to import)

        live = LiveLines(sys.stdout)
        try:
            yield lambda found: live.show(fitting(rendered.lines(found, terminal.mask, Paint(colour=False)), live.rows))
        finally:
            live.close()
    else:
        yield _Changes(terminal)


class _Changes:
    """Prints a look where something other than the time has changed."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._last: list[str] = []

    def __call__(self, found: Status) -> None:
        shown = rendered.lines(found, self._terminal.mask, Paint(colour=False))
        if shown[1:] != self._last:
            self._last = shown[1:]
            self._terminal.result("\n".join(shown) + "\n")
