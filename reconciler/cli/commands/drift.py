"""``reconcile drift``."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Final

import typer

from reconciler.cli.options import (
    DriftFormat,
    OnlyChanges,
    Sandbox,
    VarFiles,
    Vars,
    Verbose,
    address,
    addresses,
    environments,
    variables,
)
from reconciler.cli.outputs import DriftFormats, Output, Outputs
from reconciler.cli.root import COMMANDS, STYLE, examples
from reconciler.cli.signals import interruptible
from reconciler.cli.terminal import Terminal, colour
from reconciler.model import Environment
from reconciler.model import problem_codes as codes
from reconciler.model.exit_codes import OK
from reconciler.model.problems import Problem, Problems
from reconciler.model.when_used import when_used
from reconciler.operations.drift import fleet, shards
from reconciler.operations.timestamps import timestamp
from reconciler.render.mask import Mask

with when_used():
    from reconciler.cli import drift_parts, reporting
    from reconciler.config.given import Given
    from reconciler.operations import session
    from reconciler.operations.drift import notify, unsent
    from reconciler.operations.drift.since import Earlier, read
    from reconciler.operations.pipeline import Planned
    from reconciler.operations.session import Location, Session
    from reconciler.render import drift_html, drift_json, drift_markdown, drift_sarif, drift_text, junit, text
    from reconciler.render.drift_view import Checked, Report
    from reconciler.render.failure import Failure
    from reconciler.render.view import masked

APP: Final = typer.Typer(**STYLE)


@APP.command(
    help=COMMANDS["drift"],
    epilog=examples(
        "reconcile drift prod",
        "reconcile drift --all --format markdown=drift.md --format junit=drift.xml",
        "reconcile drift --all --shard 3/16 --results s3://estate/drift",
        "reconcile drift --merge s3://estate/drift --format html=drift.html",
    ),
)
def drift(
    ctx: typer.Context,
    envs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="ENV",
            help="Directories, files in them, or names under environments/. Without any: the current directory if it "
            "is an environment, else the only one under environments/.",
            show_default=False,
            autocompletion=environments,
        ),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Check every environment under environments/.")] = False,
    output: DriftFormats = None,
    ignore_transient: Annotated[
        bool, typer.Option("--ignore-transient", help="Leave out resources that AWS is still changing.")
    ] = False,
    parallelism: Annotated[
        int,
        typer.Option(
            "--parallelism", min=1, max=16, help="Maximum number of environments of one account checked at a time."
        ),
    ] = fleet.PARALLELISM,
    find_callers: Annotated[
        bool, typer.Option("--who", help="Look up in CloudTrail who changed what has drifted; two look-ups a second.")
    ] = False,
    since: Annotated[
        str | None,
        typer.Option(
            "--since",
            metavar="FILE",
            help="Compare with the JSON report in FILE: what is new, still there, resolved. FILE need not exist yet.",
        ),
    ] = None,
    notify_targets: Annotated[
        list[str] | None,
        typer.Option(
            "--notify",
            metavar="TARGET",
            envvar="RECONCILE_NOTIFY",
            help="Send a notice to sns:TOPIC-ARN, slack:URL or webhook:URL, with --since only when something has "
            "changed (repeatable; the variable takes several, with spaces).",
        ),
    ] = None,
    accept: Annotated[
        list[str] | None,
        typer.Option(
            "--accept",
            metavar="ADDRESS",
            help="Write the live values of this resource into its YAML, in place of a report (repeatable).",
            autocompletion=addresses,
        ),
    ] = None,
    shard: Annotated[
        str | None,
        typer.Option(
            "--shard",
            metavar="PART",
            help=f"Check one part of the environments: {shards.FORM}. auto: by the variables of an array job.",
        ),
    ] = None,
    results_target: Annotated[
        str | None,
        typer.Option(
            "--results",
            metavar="DIR|s3://…",
            help="Write the result of this part there for --merge, in place of a report; then exit with 0.",
        ),
    ] = None,
    merge: Annotated[
        str | None,
        typer.Option("--merge", metavar="DIR|s3://…", help="Report what all parts have written there with --results."),
    ] = None,
    only_changes: OnlyChanges = False,
    var: Vars = None,
    var_file: VarFiles = None,
    verbose: Verbose = False,
    sandbox: Sandbox = False,
) -> None:
    """Check environments, and print one report. Exits with 2 where there is drift, 1 where there are errors."""
    terminal: Terminal = ctx.obj
    terminal.verbose = verbose
    moved = drift_parts.Files(ctx, sandbox=sandbox)
    outputs = Outputs.of(ctx, moved.outputs(output), formats=DriftFormat)
    outputs.fail, outputs.kept = _failed, Path(since) if since else None
    _check_options(ctx, merge, results_target)
    notify.check_environments(envs or ())
    given = variables(var, var_file)
    if accept:
        if any(one.file or one.format not in (DriftFormat.text, DriftFormat.json) for one in outputs.asked):
            hint = "--format text or json, on stdout"
            raise Problems([Problem(code=codes.USAGE, message="--accept makes no report", hint=hint)])
        raise typer.Exit(_accept(terminal, envs or [], accept, given, every=every, sandbox=sandbox))
    targets = notify.parsed(notify_targets or ())
    terminal.mask |= Mask(secret for target in targets for secret in target.secrets)
    earlier = _earlier(terminal, moved.earlier(since), since)
    if merge:
        parts = drift_parts.merge(ctx, merge, sandbox=sandbox)
        report = Report(environments=parts.environments, problems=masked(parts.problems, terminal.mask), at=timestamp())
    else:
        cwd = Path.cwd()
        locations, wrong = _chosen(envs, cwd, every=every)
        settings = fleet.Settings(
            environ=os.environ,
            given=given,
            cwd=cwd,
            endpoint=lambda env: session.sandbox_endpoint(env, os.environ, asked=sandbox),
            parallelism=parallelism,
            ignore_transient=ignore_transient,
            whole=bool(outputs.has(DriftFormat.json) or results_target) and not only_changes,
        )
        settings = replace(settings, finish=_naming(earlier)) if find_callers else settings
        if shard or results_target:
            part = drift_parts.work(shard, locations, wrong, cwd)
            locations = [*part.locations]
            terminal.note(drift_parts.summary(part))
        progress = _Progress(terminal, len(locations))
        with interruptible():
            if results_target:
                terminal.result(drift_parts.check(part, settings, results_target, progress.done, sandbox=sandbox))
                return
            found = fleet.check_all(locations, settings, progress.done)
        report = Report(environments=tuple(found), problems=masked(wrong, terminal.mask), at=timestamp())
    report, failures = unsent.send(report, earlier, targets, partial(_topic, sandbox=sandbox))
    outputs.deliver(lambda one: _rendered(report, one, only_changes=only_changes, verbose=verbose))
    moved.send()
    again = "; the next run with --since sends it" if outputs.has(DriftFormat.json) else ""
    for failure in failures:
        terminal.note(f"warning: {terminal.mask.line(failure)}{again}")
    raise typer.Exit(fleet.exit_code_of(report.environments, errors=bool(report.problems)))


_OF_CHECKS: Final = (
    "envs",
    "every",
    "shard",
    "results_target",
    "ignore_transient",
    "find_callers",
    "accept",
    "var",
    "var_file",
)
_NOT_OF_ACCEPT: Final = ("since", "find_callers", "ignore_transient", "only_changes")
_OF_REPORTS: Final = ("output", "since", "accept")


def _chosen(envs: Sequence[str] | None, cwd: Path, *, every: bool) -> tuple[list[Location], list[Problem]]:
    """The environments to check, and a problem for each argument that means none. Raises Problems."""
    if envs or every:
        return session.locate_all(envs or (), cwd, every=every)
    try:
        return [session.locate(None, cwd)], []
    except Problems as error:
        found = [replace(problem, hint=f"{problem.hint}; --all checks all") for problem in error.problems]
        raise Problems(found) from error


def _check_options(ctx: typer.Context, merge: str | None, results_target: str | None) -> None:
    """Raises Problems for options that have no effect beside ``--merge``, ``--results`` or ``--accept``."""
    names = {param.name: param.opts[0] if param.param_type_name == "option" else "ENV" for param in ctx.command.params}
    given = {name: ctx.params.get(name) for name in names if name}
    if merge:
        because = "pass it to the commands that write the parts"
        drift_parts.alone("--merge", ((names[name], given[name]) for name in _OF_CHECKS), because)
    if given["accept"]:
        because = "it writes into the YAML, in place of a report"
        drift_parts.alone("--accept", ((names[name], given[name]) for name in _NOT_OF_ACCEPT), because)
    if given["shard"]:
        drift_parts.alone("--shard", [(names["accept"], given["accept"])], "--accept takes one environment")
    if results_target:
        because = "pass it to `reconcile drift --merge`, which makes the report"
        drift_parts.alone("--results", ((names[name], given[name]) for name in _OF_REPORTS), because)


def _naming(earlier: Earlier | None) -> Callable[[Checked, Session, Planned], Checked]:
    from reconciler.operations.drift.callers import naming  # noqa: PLC0415  (few runs ask)

    return naming(earlier)


class _Progress:
    """A line on stderr for each environment that is done, where there are several."""

    def __init__(self, terminal: Terminal, total: int) -> None:
        self.terminal, self.total, self.count = terminal, total, 0

    def done(self, one: Checked) -> None:
        """Print the line of one environment."""
        self.count += 1
        if self.total > 1:
            number = f"{self.count:>{len(str(self.total))}}/{self.total}"
            self.terminal.note(f"{timestamp()} {number} {one.title}: {one.result} ({one.took:.1f} s)")


def _accept(
    terminal: Terminal,
    envs: Sequence[str],
    wanted: Sequence[str],
    given: Mapping[str, Given],
    *,
    every: bool,
    sandbox: bool,
) -> int:
    """Write live values into the YAML of one environment, and print which. Raises Problems."""
    from reconciler.operations.drift.accept import accept  # noqa: PLC0415  (few runs accept)

    if every or len(envs) > 1:
        hint = "name the one that the resource belongs to"
        raise Problems([Problem(code=codes.USAGE, message="--accept takes one environment", hint=hint)])
    env = envs[0] if envs else None
    found = [address(word) for word in wanted]
    with interruptible():
        account = reporting.connect(terminal, env, strict=True, sandbox=sandbox, given=given)

        def again() -> Session:
            loaded = session.read(account.loaded.location, os.environ, strict=True, given=given)
            endpoint = session.sandbox_endpoint(loaded.env, os.environ, asked=sandbox)
            return session.connect(loaded, os.environ, endpoint=endpoint)

        lines = accept(account, found, again)
    if terminal.as_json:
        terminal.document({"accepted": lines})
    else:
        terminal.result("\n".join(lines) or "No drift: nothing to accept.")
    return OK


def _earlier(terminal: Terminal, file: Path | None, name: str | None) -> Earlier | None:
    """The earlier report, None where there is none. Raises Problems."""
    if file is None:
        return None
    found = read(file)
    if found is None:
        terminal.note(f"{terminal.mask.line(str(name))} does not exist yet: there is nothing to compare with")
    return found


def _topic(target: notify.Target, *, sandbox: bool) -> notify.Publish:
    """What sends calls to the account of a topic, with the caller's own credentials. Raises Problems."""
    from reconciler.account.client import connect  # noqa: PLC0415  (few commands notify)

    _, _, _, region, account, _ = target.to.split(":")
    endpoint = session.sandbox_endpoint(Environment(name="", account=account), os.environ, asked=sandbox)
    return connect(region=region, endpoint=replace(endpoint, region=region) if endpoint else None).call


def _rendered(report: Report, output: Output, *, only_changes: bool, verbose: bool) -> str | Iterable[str]:
    match output.format.value:
        case "json":
            return drift_json.pieces(report, only_changes=only_changes)
        case "markdown":
            return drift_markdown.report(report)
        case "html":
            return drift_html.report(report)
        case "junit":
            return junit.report(report)
        case "sarif":
            return drift_sarif.report(report)
    paint = text.Paint(colour=not output.file and colour(sys.stdout))
    return drift_text.report(report, paint, verbose=verbose)


def _failed(name: str, failure: Failure) -> str:
    """The report of a command that failed before it checked anything."""
    problems: tuple[Problem, ...] = masked(failure.problems, failure.mask)
    report = Report(problems=problems, at=failure.timestamp)
    return "".join(_rendered(report, Output(DriftFormat(name), Path(os.devnull)), only_changes=False, verbose=False))
