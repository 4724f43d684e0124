"""``reconcile sandbox outcome | advance | reclaim | fault | set``: what happens in the sandbox, and when."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Final
from urllib.error import HTTPError

import typer

from reconciler.cli.root import examples
from reconciler.model import problem_codes as codes
from reconciler.model.problems import Problem, Problems
from reconciler.operations.session import no_sandbox
from reconciler.sandbox import process
from reconciler.sandbox.batch.articles import ARTICLES
from reconciler.sandbox.batch.outcomes import WORDS, shown, with_lines

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_ENDS: Final = "; ".join(f"`{word}`: {meaning}" for word, (_, meaning) in WORDS.items())
_HOW: Final = f"How attempts end, one after the other; the last repeats. {_ENDS}. With `@N` it takes N seconds."


def add_to(app: typer.Typer) -> None:
    """Add the verbs to ``reconcile sandbox``."""
    for name, verb, lines in (
        (
            "outcome",
            outcome,
            (
                "reconcile sandbox outcome train host-lost exit:1 exit:0",
                "reconcile sandbox outcome train exit:0@60 --line 'epoch 1' --line 'epoch 2'",
                "reconcile sandbox outcome --article retry",
            ),
        ),
        ("advance", advance, ("reconcile sandbox advance 10m",)),
        ("reclaim", reclaim, ("reconcile sandbox reclaim i-0123456789abcdef0",)),
        (
            "fault",
            fault,
            (
                "reconcile sandbox fault batch:CreateComputeEnvironment deny",
                "reconcile sandbox fault 'ec2:Describe*' throttle --times 3",
            ),
        ),
        (
            "set",
            change,
            ("reconcile sandbox set 'no_capacity=[\"g4dn.*\"]'", "reconcile sandbox set instances_launch=5"),
        ),
    ):
        app.command(name, epilog=examples(*lines))(verb)


def outcome(
    pattern: Annotated[
        str | None,
        typer.Argument(help="Jobs of this name, or of a definition of this name (shell pattern).", show_default=False),
    ] = None,
    ends: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[END]...",
            help=_HOW,
            show_default=False,
        ),
    ] = None,
    line: Annotated[
        list[str] | None,
        typer.Option(
            "--line",
            metavar="TEXT",
            help="A line that each attempt writes to its log, one a second (repeatable).",
            show_default=False,
        ),
    ] = None,
    article: Annotated[
        str | None,
        typer.Option(
            "--article",
            metavar="NAME",
            help=f"Set the scripts for the jobs of an article in environments/: {', '.join(ARTICLES)}.",
            show_default=False,
            autocompletion=lambda incomplete: [name for name in ARTICLES if name.startswith(incomplete)],
        ),
    ] = None,
    clear: Annotated[bool, typer.Option("--clear", help="Forget the script of the pattern, or all of them.")] = False,
) -> None:
    """Script how jobs end; without arguments, list the scripts.

    Nothing is executed in the sandbox: without a script, each job ends well after 30 seconds.
    """
    if article is not None:
        if article not in ARTICLES:
            known = ", ".join(ARTICLES)
            raise typer.BadParameter(f"{article} is not an article; there are {known}", param_hint="'--article'")
        ask("outcomes", ARTICLES[article])
    if clear and pattern is None:
        ask("settings", {"outcomes": {}})
    elif pattern is not None and (ends or clear):
        ask("outcomes", {pattern: [] if clear else _written(ends or [], line)})
    elif pattern is not None:
        raise typer.BadParameter("name how the attempts end, or pass --clear", param_hint="'[END]...'")
    for name, listed in ask("outcomes")["outcomes"].items():
        typer.echo(f"{name}: {', '.join(map(shown, listed))}")


def _written(ends: list[str], lines: list[str] | None) -> list[Any]:
    """The words, or with lines what they say; the sandbox refuses wrong words."""
    if not lines:
        return list(ends)
    try:
        return [with_lines(word, lines) for word in ends]
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="'[END]...'") from None


def advance(
    time: Annotated[str, typer.Argument(metavar="TIME", help="Seconds, or a number with s, m, h or d: 90, 10m, 2h.")],
) -> None:
    """Move the sandbox clock on: everything that is due meanwhile happens."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", time)
    if found is None:
        raise typer.BadParameter(f"{time} is not a time such as 90, 10m or 2h", param_hint="'TIME'")
    seconds = float(found[1]) * _UNITS[found[2] or "s"]
    now = datetime.fromtimestamp(ask("clock", {"advance": seconds})["now"], UTC)
    typer.echo(f"The sandbox clock shows {now:%Y-%m-%d %H:%M:%S} UTC.", err=True)


def reclaim(
    what: Annotated[str, typer.Argument(metavar="JOB|INSTANCE", help="The id of a running job, or of an instance.")],
) -> None:
    """Take Spot capacity back: terminate an instance, the instances of a job, or its task on Fargate."""
    lost = ask("reclaim", {"what": what})["lost"]
    if not lost:
        message = f"{what} has no instance or Fargate task that could be taken back"
        hint = "name a job that is STARTING or RUNNING, or an instance of a compute environment"
        raise Problems([Problem(code=codes.USAGE, message=message, hint=hint)])
    typer.echo(f"Taken back: {', '.join(lost)}.", err=True)


def fault(
    call: Annotated[
        str | None,
        typer.Argument(
            metavar="[SERVICE:OPERATION]", help="The calls (shell patterns): batch:SubmitJob.", show_default=False
        ),
    ] = None,
    effect: Annotated[
        str | None,
        typer.Argument(
            metavar="[EFFECT]",
            help="deny, throttle, lost (done, but not answered), or an error code.",
            show_default=False,
        ),
    ] = None,
    times: Annotated[int, typer.Option("--times", min=0, help="How often it happens; 0: always.")] = 1,
    clear: Annotated[bool, typer.Option("--clear", help="Forget all faults.")] = False,
) -> None:
    """Let calls fail, to see what a client does then; without arguments, list them."""
    if clear:
        ask("faults", {"clear": True})
    elif call is not None:
        service, _, operation = call.partition(":")
        if not effect:
            raise typer.BadParameter("pass deny, throttle, lost, or an error code", param_hint="'[EFFECT]'")
        said: dict[str, Any] = {effect: True} if effect in ("deny", "throttle", "lost") else {"code": effect}
        ask("faults", {"service": service, "operation": operation or "*", "times": times, **said})
    for one in ask("faults")["faults"]:
        done = f"{one['struck']} of {one['times']} times" if one["times"] else f"{one['struck']} times"
        what = next((name for name in ("deny", "throttle", "lost") if one[name]), one["code"])
        typer.echo(f"{one['service']}:{one['operation']}: {what}, happened {done}")


def change(
    values: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME=VALUE]...", help="Settings; the value is JSON.", show_default=False),
    ] = None,
) -> None:
    """Change how AWS behaves in the sandbox (capacity, quotas, durations); without arguments, list the settings."""
    given: dict[str, Any] = {}
    for one in values or ():
        name, equals, text = one.partition("=")
        if not equals:
            raise typer.BadParameter(f"{one} is not NAME=VALUE", param_hint="'[NAME=VALUE]...'")
        try:
            given[name] = json.loads(text)
        except ValueError:
            given[name] = text
    shown = ask("settings", given) if given else ask("settings")
    for name in given or shown:
        typer.echo(f"{name}={json.dumps(shown[name])}")


def ask(endpoint: str, values: Mapping[str, Any] | None = None) -> Any:
    """The reply of the admin API; its refusals as problems."""
    handle = process.status()
    if handle is None:
        raise Problems([no_sandbox()])
    try:
        return process.control(handle.url, endpoint, values)
    except HTTPError as error:
        told = json.loads(error.read() or b"{}").get("error", error.reason)
        hint = "`reconcile sandbox COMMAND --help` shows what can be given"
        raise Problems([Problem(code=codes.USAGE, message=f"the sandbox refuses this: {told}", hint=hint)]) from None
