"""``reconcile test``."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from reconciler.cli.options import TestFormat, VarFiles, Vars, environments, variables
from reconciler.cli.outputs import Output, Outputs, TestFormats
from reconciler.cli.root import COMMANDS, STYLE, examples
from reconciler.cli.signals import interruptible
from reconciler.cli.terminal import colour
from reconciler.model import problem_codes as codes
from reconciler.model.exit_codes import ERROR, OK
from reconciler.model.problems import Problem, Problems
from reconciler.model.when_used import when_used
from reconciler.operations.timestamps import timestamp

with when_used():
    from reconciler.config import files
    from reconciler.operations import session
    from reconciler.operations.session import Location
    from reconciler.operations.testing.accounts import without_aws_settings
    from reconciler.operations.testing.run import Runner
    from reconciler.render import json as as_json
    from reconciler.render import tested, text
    from reconciler.render.failure import Failure
    from reconciler.render.view import masked

APP: Final = typer.Typer(**STYLE)


def _environments_and_files(incomplete: str) -> list[str]:
    """Completes ENV|FILE: environments, and the files with tests of those under environments/ and of this directory."""
    cwd = Path.cwd()
    found = [path for target in (cwd, *files.environments(cwd)) for path in files.tests_of(target)]
    names = [os.path.relpath(path, cwd) for path in found]
    return sorted({*environments(incomplete), *(name for name in names if name.startswith(incomplete))})


@APP.command(
    help=COMMANDS["test"],
    epilog=examples(
        "reconcile test",
        "reconcile test prod",
        "reconcile test environments/prod/tests/scaling.yaml --name '*vCPUs*'",
        "reconcile test --all --format junit=tests.xml",
    ),
)
def run_tests(
    ctx: typer.Context,
    envs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="ENV|FILE",
            help="Environments, or files in the directory tests of one. Without any: the current directory if it is an "
            "environment, else all environments under environments/ that have tests.",
            show_default=False,
            autocompletion=_environments_and_files,
        ),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Test every environment under environments/.")] = False,
    output: TestFormats = None,
    name: Annotated[
        list[str] | None,
        typer.Option("--name", metavar="GLOB", help="Run only the tests whose names match (repeatable)."),
    ] = None,
    var: Vars = None,
    var_file: VarFiles = None,
) -> None:
    """Check expectations, and print those that are not met. Exits with 1 where there are any."""
    outputs = Outputs.of(ctx, output, formats=TestFormat)
    outputs.fail = _failed
    chosen = _chosen(envs or (), Path.cwd(), every=every)
    runner = Runner(dict(os.environ), variables(var, var_file))
    wanted = (lambda one: any(fnmatchcase(one, glob) for glob in name)) if name else (lambda _: True)
    found: list[tested.Tested] = []
    try:
        with interruptible(), without_aws_settings():
            for location, paths in chosen.items():
                found += runner.run(location, paths, wanted)
    finally:
        runner.sandbox.close()
    if not found:
        raise Problems([_none(f"no test matches --name {' '.join(name or ())}", "leave it out to run all")])
    report = tested.Tests(tests=tuple(found), at=timestamp())
    outputs.deliver(lambda one: _rendered(report, one))
    raise typer.Exit(OK if report.passed else ERROR)


def _chosen(words: Sequence[str], cwd: Path, *, every: bool) -> dict[Location, list[Path]]:
    """The files to read, by environment. Raises Problems where there are none."""
    named = [word for word in words if (cwd / word).is_file() and files.has_tests(cwd / word)]
    found: dict[Location, list[Path]] = {}
    for word in named:
        found.setdefault(session.locate(word, cwd), []).append(cwd / word)
    rest = [word for word in words if word not in named]
    if rest or every or not named:
        locations, wrong = session.locate_all(rest, cwd, every=every)
        if wrong:
            raise Problems(wrong)
        for location in locations:
            tests = files.tests_of(location.target)
            if tests:
                found.setdefault(location, []).extend(path for path in tests if path not in found.get(location, ()))
            elif rest:
                message = f"{location.target.name} has no tests"
                raise Problems([_none(message, f"write them to {location.root}tests/NAME.yaml, below tests:")])
    if not found:
        raise Problems([_none("there are no tests", "write them to tests/NAME.yaml in an environment, below tests:")])
    return found


def _none(message: str, hint: str) -> Problem:
    return Problem(code=codes.USAGE, message=message, hint=hint)


def _rendered(report: tested.Tests, output: Output) -> str:
    match output.format.value:
        case "json":
            return as_json.dumps(tested.document(report), indent=2)
        case "junit":
            return tested.junit(report)
    return tested.as_text(report, text.Paint(colour=not output.file and colour(sys.stdout)))


def _failed(name: str, failure: Failure) -> str:
    """The report of a command that failed before it ran a test."""
    report: Any = tested.Tests(problems=masked(failure.problems, failure.mask), at=failure.timestamp)
    return _rendered(report, Output(TestFormat(name), Path(os.devnull)))
