"""``reconcile explain``."""

from __future__ import annotations

import os
from collections.abc import Collection
from typing import Annotated, Any, Final

import typer

from reconciler.cli.options import Env, Format, FormatOption, VarFiles, Vars, addresses, variables
from reconciler.cli.root import COMMANDS, STYLE, examples
from reconciler.cli.terminal import Terminal
from reconciler.model import Address
from reconciler.model import problem_codes as codes
from reconciler.model.problem_codes import ProblemCode, catalogue
from reconciler.model.problems import Problems
from reconciler.model.when_used import when_used
from reconciler.operations.explaining.schemas import Place, roots
from reconciler.operations.explaining.subject import Property, names, subject

with when_used():
    from reconciler.cli import reporting
    from reconciler.config.given import Given
    from reconciler.operations.explaining import field, value
    from reconciler.operations.session import Loaded
    from reconciler.render import explanation_text
    from reconciler.render.explanation import document

APP: Final = typer.Typer(**STYLE)


def _words(ctx: typer.Context, incomplete: str) -> list[str]:
    """Completes SUBJECT: sections, settings and codes; after a dot fields, and the resources of the environment."""
    start, dot, _ = incomplete.rpartition(".")
    if not dot:
        found = [*roots(), *catalogue(), *addresses(ctx, incomplete)]
    else:
        try:
            place = subject(start, list)
        except Problems:
            known = []
        else:
            known = [f"{start}.{name}" for name in names(place)] if isinstance(place, Place) else []
        found = [*known, *addresses(ctx, incomplete)]
    return sorted({word for word in found if word.startswith(incomplete)})


@APP.command(
    help=COMMANDS["explain"],
    epilog=examples(
        "reconcile explain computeEnvironments.computeResources.subnets",
        "reconcile explain jobQueues",
        "reconcile explain computeEnvironments.spot.computeResources.maxvCpus prod",
        "reconcile explain unknown-field",
    ),
)
def explain(
    ctx: typer.Context,
    what: Annotated[
        str,
        typer.Argument(
            metavar="SUBJECT",
            help="SECTION, SECTION.FIELD, a setting, ADDRESS, ADDRESS.FIELD, or a problem code.",
            show_default=False,
            autocompletion=_words,
        ),
    ],
    env: Env = None,
    output: FormatOption = Format.text,
    var: Vars = None,
    var_file: VarFiles = None,
) -> None:
    """Explain a field, a value or a problem code, without AWS."""
    terminal: Terminal = ctx.obj
    terminal.as_json = output is Format.json
    reading = _Reading(terminal, env, variables(var, var_file))
    found = subject(what, reading.declared, in_environment=env is not None)
    if isinstance(found, Property):
        _property(terminal, reading, found)
    elif isinstance(found, ProblemCode):
        _result(terminal, _code(found), explanation_text.code(found))
    else:
        facts = field.explained(found)
        _result(terminal, {"subject": "field", **document(facts)}, explanation_text.field(facts))


class _Reading:
    """The environment, read when it is needed."""

    def __init__(self, terminal: Terminal, env: str | None, given: dict[str, Given]) -> None:
        self.terminal, self.env, self.given = terminal, env, given
        self.loaded: Loaded | None = None

    def read(self) -> Loaded:
        if self.loaded is None:
            self.loaded = reporting.read(self.terminal, self.env, strict=False, given=self.given)
        return self.loaded

    def declared(self) -> Collection[Address]:
        """The resources of the environment; none if none is given and the current directory has none."""
        try:
            return self.read().env.resources
        except Problems as error:
            if self.env is None and all(one.code == codes.NO_ENVIRONMENT for one in error.problems):
                return ()
            raise


def _property(terminal: Terminal, reading: _Reading, found: Property) -> None:
    about = field.explained(found.place)
    facts = value.explained(reading.read(), found.address, found.path, found.place, os.environ, reading.given)
    whole = {"subject": "value", **document(facts), "field": document(about)}
    _result(terminal, whole, explanation_text.value(facts, about))


def _code(found: ProblemCode) -> dict[str, Any]:
    facts = {"code": str(found), "severities": list(found.severities), "meaning": found.meaning, "fix": found.fix}
    return {"subject": "code", **facts, **({"sources": [found.source]} if found.source else {})}


def _result(terminal: Terminal, whole: dict[str, Any], text: str) -> None:
    if terminal.as_json:
        terminal.document(whole)
    else:
        terminal.result(text.rstrip("\n"))
