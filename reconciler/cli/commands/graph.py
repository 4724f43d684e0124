"""``reconcile graph``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

from reconciler.cli.options import Env, VarFiles, Vars, address, addresses, variables
from reconciler.cli.outputs import Output, Outputs, parsed
from reconciler.cli.root import COMMANDS, STYLE, examples
from reconciler.cli.terminal import Terminal
from reconciler.kinds import discover
from reconciler.model import problem_codes as codes
from reconciler.model.problems import Problem, Problems, did_you_mean
from reconciler.model.when_used import when_used
from reconciler.render.dependency_graph.dot import dot
from reconciler.render.dependency_graph.graph import Direction
from reconciler.render.dependency_graph.mermaid import limits, mermaid
from reconciler.render.dependency_graph.svg import EXTRA, MissingLibraryError, svg
from reconciler.render.dependency_graph.tree import tree

with when_used():
    from reconciler.cli import reporting
    from reconciler.config.given import Given
    from reconciler.operations import saved_plan, saved_variables, shown_plan
    from reconciler.render.dependency_graph import graph as graphs
    from reconciler.render.dependency_graph.graph import Graph

APP: Final = typer.Typer(**STYLE)
_RENDERERS: Final = {"tree": tree, "mermaid": mermaid, "dot": dot, "svg": svg}


class GraphFormat(StrEnum):
    """How the graph is printed."""

    tree = "tree"
    mermaid = "mermaid"
    dot = "dot"
    svg = "svg"


@APP.command(
    help=COMMANDS["graph"],
    epilog=examples(
        "reconcile graph prod",
        "reconcile graph prod --of roles.batch --direction dependents",
        "reconcile graph --plan prod.plan --format svg=plan.svg",
        "reconcile graph prod --format dot | dot -Tpng -o prod.png",
    ),
)
def graph(
    ctx: typer.Context,
    env: Env = None,
    output: Annotated[
        list[str] | None,
        typer.Option(
            "--format",
            metavar="FORMAT[=FILE]",
            help=f"How the graph is printed: {', '.join(GraphFormat)} (by default tree); "
            "with =FILE it is written there (repeatable).",
            show_default=False,
            autocompletion=lambda incomplete: [one.value for one in GraphFormat if one.value.startswith(incomplete)],
        ),
    ] = None,
    plan: Annotated[
        str | None,
        typer.Option("--plan", metavar="FILE", help="Show what a plan saved with --out changes.", show_default=False),
    ] = None,
    of: Annotated[
        str | None,
        typer.Option(
            "--of",
            metavar="ADDRESS",
            help="Only this resource or look-up, what it depends on, and what depends on it.",
            autocompletion=addresses,
        ),
    ] = None,
    direction: Annotated[
        Direction | None,
        typer.Option("--direction", help="With --of: what depends on it, or what it depends on (by default both)."),
    ] = None,
    depth: Annotated[
        int | None, typer.Option("--depth", metavar="N", min=1, help="With --of: at most N steps away from it.")
    ] = None,
    var: Vars = None,
    var_file: VarFiles = None,
) -> None:
    """Print the dependencies of an environment, without AWS."""
    terminal: Terminal = ctx.obj
    if of is None and (direction is not None or depth is not None):
        raise Problems([_needs_of("--direction" if direction is not None else "--depth")])
    outputs = Outputs(terminal, parsed(ctx, output or [GraphFormat.tree], GraphFormat), "graph")
    outputs.check([Path(plan)] if plan else [])
    given = variables(var, var_file)
    found = _declared(terminal, env, given) if plan is None else _planned(terminal, env, Path(plan), given)
    if of is not None:
        found = _around(found, terminal.mask.line(str(address(of))), direction or Direction.BOTH, depth)
    outputs.deliver(lambda one: _rendered(terminal, found, one))


def _declared(terminal: Terminal, env: str | None, given: Mapping[str, Given]) -> Graph:
    loaded = reporting.read(terminal, env, strict=False, given=given)
    return graphs.of(loaded.env, discover(), terminal.mask)


def _planned(terminal: Terminal, env: str | None, path: Path, given: Mapping[str, Given]) -> Graph:
    """The graph with what the plan changes; of the plan alone where its environment is not found here."""
    saved = saved_plan.read(path)
    view = shown_plan.of(saved, path).view()
    given = saved_variables.with_saved(saved.variables, given)
    if env is None:
        try:
            env = saved_plan.locate(saved, path, Path.cwd(), os.environ, given)
        except Problems:
            terminal.note("note: the environment of the plan is not found here, so its look-ups are left out")
            return graphs.coloured(Graph(title=view.environment, nodes={}, uses={}), view)
    found = _declared(terminal, env, given)
    if view.environment != terminal.environment:
        message = f"the plan is for environment {view.environment}, but the current one is {terminal.environment}"
        hint = "leave ENV out, or pass a plan of this environment"
        raise Problems([Problem(code=codes.FOREIGN_PLAN, message=message, hint=hint)])
    return graphs.coloured(found, view)


def _rendered(terminal: Terminal, found: Graph, output: Output) -> str:
    """The text of one format. Raises Problems where a package is missing."""
    try:
        text = _RENDERERS[output.format.value](found)
    except MissingLibraryError as error:
        raise Problems([_missing_library()]) from error
    if output.format is GraphFormat.mermaid and (too_much := limits(found, text)):
        terminal.note(f"note: mermaid draws no graph with {too_much}; show a part with --of, or use --format svg")
    return text


def _around(found: Graph, centre: str, direction: Direction, depth: int | None) -> Graph:
    """The part of the graph around ``centre``. Raises Problems where there is no such node."""
    if centre not in found.nodes:
        message = f"--of {centre}: there is no such resource in this environment"
        hint = did_you_mean(centre, found.nodes)
        raise Problems([Problem(code=codes.UNKNOWN_ADDRESS, message=message, hint=hint)])
    return graphs.around(found, centre, direction, depth)


def _needs_of(flag: str) -> Problem:
    return Problem(code=codes.USAGE, message=f"{flag} needs --of ADDRESS", hint="pass the resource to start from")


def _missing_library() -> Problem:
    hint = f"pip install 'batch-reconcile[{EXTRA}]', or draw it with Graphviz: --format dot | dot -Tsvg"
    message = "SVG needs the package graphlay, which is not installed"
    return Problem(code=codes.MISSING_EXTRA, message=message, hint=hint)
