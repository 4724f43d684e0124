"""``reconcile ci``: what a pipeline posts on its code host. `reconcile init --ci` writes pipelines that call it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final

import typer

from reconciler.cli.options import VarFiles, Vars, variables
from reconciler.cli.root import COMMANDS, STYLE, examples
from reconciler.cli.terminal import Terminal
from reconciler.model import problem_codes as codes
from reconciler.model.problems import Problem, Problems
from reconciler.operations import same_names, saved_plan, session
from reconciler.operations.hosts import approved, github, gitlab, posts
from reconciler.operations.hosts.posts import Report

_EXAMPLES: Final = examples("reconcile ci comment plan.md --environment prod", "reconcile ci issue drift/")
APP: Final = typer.Typer(help=COMMANDS["ci"], epilog=_EXAMPLES, no_args_is_help=True, **STYLE)
_ID: Final = "its name, or its id in validate --format json"
_Environment = Annotated[str, typer.Option("--environment", metavar="ID", help=f"The environment it is about: {_ID}.")]
_Number = Annotated[
    int | None,
    typer.Option(
        "--pull-request",
        metavar="N",
        help="The pull request (merge request). By default the one that the job runs for, else the one that brought "
        "its commit.",
    ),
]
_Author = Annotated[
    str, typer.Option("--author", metavar="LOGIN", help="GitHub: who writes with the token. Edits only their comments.")
]


@APP.command(
    short_help="Post a plan as a comment.",
    help="Write a plan as a comment on the pull request, or edit the one about the same environment.",
    epilog=examples("reconcile ci comment plan.md --environment prod --errors errors.txt"),
)
def comment(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Output of plan --format markdown (*.md), or any text.")],
    environment: _Environment = "",
    errors: Annotated[
        Path | None, typer.Option("--errors", metavar="FILE", help="More output, to show folded: its stderr.")
    ] = None,
    heading: Annotated[str, typer.Option("--heading", metavar="TEXT", help="Markdown to put first.")] = "",
    new: Annotated[bool, typer.Option("--new", help="Write a new comment, so that people are notified.")] = False,
    number: _Number = None,
    author: _Author = github.BOT,
) -> None:
    """Post ``file``."""
    terminal: Terminal = ctx.obj
    host = _host(os.environ, author)
    where = number or _pull_request(host, os.environ)
    if where is None:
        terminal.note("no comment: no pull request belongs to this commit")
        return
    said = _read(terminal, errors, optional=True) if errors else ""
    markdown = file.suffix == ".md"
    report = Report(environment, _read(terminal, file, optional=True), said, markdown=markdown)
    posts.check(report, terminal.mask.line(str(file)))
    done, url = posts.comment(host, where, report, heading=heading, new=new)
    terminal.result(f"{done} {terminal.mask.line(url)}")


@APP.command(
    short_help="Mark comments as out of date.",
    help="Mark the comments about environments that the pull request no longer changes as out of date.",
    epilog=examples("reconcile ci outdate changed.json"),
)
def outdate(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Output of validate --changed-since REF --format json.")],
    number: _Number = None,
    author: _Author = github.BOT,
) -> None:
    """Edit the comments about all environments but those in ``file``."""
    terminal: Terminal = ctx.obj
    host = _host(os.environ, author)
    where = number or _pull_request(host, os.environ)
    try:
        touched = [
            str(one.get("id") or one["environment"]) for one in json.loads(_read(terminal, file))["environments"]
        ]
    except (ValueError, KeyError, TypeError, AttributeError):
        message, hint = f"{file} has no list of environments", "reconcile validate --changed-since REF --format json"
        raise Problems([Problem(code=codes.USAGE, message=message, hint=hint)]) from None
    for name in posts.outdate(host, where, touched) if where else ():
        terminal.result(f"updated the comment about {name}")


@APP.command(
    short_help="Open, update or close the issue.",
    help="Open, update or close the issue about drift. DIR has for each check NAME.exit with the exit code, NAME.md "
    "with its output and NAME.err with its errors.",
    epilog=examples("reconcile ci issue drift/"),
)
def issue(
    ctx: typer.Context,
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="The outputs of plan --detailed-exitcode or drift.")],
    link: Annotated[str, typer.Option("--link", metavar="URL", help="The pipeline, to link to.")] = "",
    author: _Author = github.BOT,
) -> None:
    """Do what the reports in ``directory`` need."""
    terminal: Terminal = ctx.obj
    reports = []
    for exit_code in sorted(directory.glob("*.exit")):
        text, errors = (_read(terminal, exit_code.with_suffix(end), optional=True) for end in (".md", ".err"))
        code = _read(terminal, exit_code).strip()
        reports.append((Report(exit_code.stem, text, errors, markdown=True), int(code) if code.isdecimal() else 1))
    done, url = posts.issue(_host(os.environ, author), reports, link=link)
    terminal.result("no issue is open" if done == "none" else f"{done} {terminal.mask.line(url)}")


@APP.command(
    "approved-plan",
    short_help="Fetch the plan to apply after a merge.",
    help="Fetch the plan of the merged pull request that brought a commit. Writes no file if there is none; an error "
    "if it is not as the pipeline creates plans.",
    epilog=examples("reconcile ci approved-plan prod --path environments/prod --out approved.plan --commit 1f2e3d"),
)
def approved_plan(
    ctx: typer.Context,
    environment: Annotated[str, typer.Argument(metavar="ID", help=f"The environment: {_ID}. The artifact is ID.plan.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The file to write.")],
    commit: Annotated[
        list[str] | None, typer.Option("--commit", metavar="SHA", help="A merged commit (repeatable, latest first).")
    ] = None,
    workflow: Annotated[
        str, typer.Option("--workflow", metavar="NAME", help="The workflow's file, or GitLab's job, that plans.")
    ] = "",
    run: Annotated[int | None, typer.Option("--run", metavar="ID", help="GitHub: the run that has the plan.")] = None,
    allow: Annotated[
        list[str] | None,
        typer.Option(
            "--allow",
            metavar="FLAG",
            help=f"A flag that the pipeline plans with: {', '.join(approved.FLAGS.values())} (repeatable).",
        ),
    ] = None,
    path: Annotated[
        str | None,
        typer.Option("--path", metavar="ENV", help="The environment's directory: a plan of any other is an error."),
    ] = None,
    var: Vars = None,
    var_file: VarFiles = None,
) -> None:
    """Write the plan to ``out``."""
    terminal: Terminal = ctx.obj
    given = variables(var, var_file)
    target = session.locate(path, Path.cwd()).target if path is not None else None
    host, name = _host(os.environ, github.BOT), f"{environment}.plan"
    if run is not None and isinstance(host, github.GitHub):
        number, plan = None, host.plan_of_run(run, name) if host.has_run(run) else None
    else:
        default = "plan" if isinstance(host, gitlab.GitLab) else "reconcile-plan.yml"
        number, plan = host.approved_plan(name, workflow or default, commit or ())
    if plan is None:
        where = (
            f" for pull request {number}" if number else "" if run is not None else ": no merged pull request is found"
        )
        terminal.note(f"no plan {name} was kept{where}")
        return
    out.write_bytes(plan)
    try:
        saved = saved_plan.read(out)
        approved.check(saved, same_names.name_of_id(environment), allow or (), given)
        if target is not None:
            approved.check_place(saved, out, target, Path.cwd(), os.environ, given)
    except Problems:
        out.unlink()
        raise
    terminal.result(f"wrote {out}" + (f", the plan of pull request {number}" if number else ""))


def _host(environ: Mapping[str, str], author: str) -> github.GitHub | gitlab.GitLab:
    """The code host that the job runs on. Raises Problems where it is none that is known."""
    if environ.get("GITLAB_CI"):
        return gitlab.GitLab(environ)
    if environ.get("GITHUB_ACTIONS"):
        return github.GitHub(environ, author)
    hint = "run it in a job of GitHub Actions or GitLab CI, which set GITHUB_ACTIONS or GITLAB_CI"
    raise Problems([Problem(code=codes.USAGE, message="reconcile ci found no code host", hint=hint)])


def _pull_request(host: github.GitHub | gitlab.GitLab, environ: Mapping[str, str]) -> int | None:
    """The number of the pull request that the job runs for, or that brought its commit."""
    if isinstance(host, github.GitHub):
        return github.pull_request_of(environ) or host.merged(environ.get("GITHUB_SHA", "HEAD"))
    number = environ.get("CI_MERGE_REQUEST_IID", "")
    return int(number) if number.isdecimal() else host.merged(environ.get("CI_COMMIT_SHA", "HEAD"))


def _read(terminal: Terminal, path: Path, *, optional: bool = False) -> str:
    """A file's text, masked like everything that is shown, without a terminal's control sequences."""
    if optional and not path.exists():
        return ""
    text = path.read_bytes().decode("utf-8", "replace")
    return terminal.mask.text(text)
