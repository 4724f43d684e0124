"""``reconcile permissions``."""

from __future__ import annotations

import os
import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

from reconciler.cli import reporting
from reconciler.cli.options import VarFiles, Vars, environments, sections, variables
from reconciler.cli.root import COMMANDS, STYLE, examples
from reconciler.cli.terminal import Terminal
from reconciler.model import problem_codes as codes
from reconciler.model.problems import Problem, Problems, did_you_mean
from reconciler.operations import saved_plan, saved_variables
from reconciler.operations.permissions import build, policy
from reconciler.operations.permissions.build import Policies

_ACCOUNT: Final = re.compile(r"[0-9]{12}")
_REGION: Final = re.compile(r"[a-z]+(-[a-z0-9]+)+")
APP: Final = typer.Typer(**STYLE)


class Purpose(StrEnum):
    """The command that the policy is for. Those that do not exist yet are refused."""

    plan = "plan"
    apply = "apply"
    drift = "drift"
    audit = "audit"


@APP.command(
    help=COMMANDS["permissions"],
    epilog=examples(
        "reconcile permissions prod --for plan > read-only.json",
        "reconcile permissions prod --for apply --account 123456789012 --out-dir policies",
        "reconcile permissions prod.plan --explain",
        "reconcile permissions --for audit --account 123456789012 --region eu-west-1",
    ),
)
def permissions(
    ctx: typer.Context,
    env: Annotated[
        str | None,
        typer.Argument(
            metavar="ENV|PLAN-FILE",
            help="A directory, a file, a name under environments/, or a plan saved with --out: its steps only.",
            show_default=False,
            autocompletion=environments,
        ),
    ] = None,
    purpose: Annotated[
        Purpose | None,
        typer.Option(
            "--for",
            help="The command that the policy is for (apply includes destroy; audit needs no ENV); default: plan. "
            "Not yet: why, jobs.",
        ),
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="List the resources that need each statement, on stderr.")
    ] = False,
    out_dir: Annotated[
        Path | None,
        typer.Option("--out-dir", metavar="DIR", help="Write the policy there, as several files if it is too large."),
    ] = None,
    account: Annotated[
        str | None, typer.Option("--account", metavar="ID", help="The account, if environment.yaml does not set it.")
    ] = None,
    region: Annotated[
        str | None,
        typer.Option("--region", metavar="REGION", help="The Region, if environment.yaml does not set it."),
    ] = None,
    also: Annotated[
        list[str] | None,
        typer.Option(
            "--also",
            metavar="SECTION",
            help="Permit what a section needs of which nothing is declared any more (repeatable).",
            autocompletion=sections,
        ),
    ] = None,
    var: Vars = None,
    var_file: VarFiles = None,
) -> None:
    """Print the IAM policy that a command needs, and no more than that, without AWS."""
    terminal: Terminal = ctx.obj
    given = variables(var, var_file)
    if purpose is Purpose.audit:
        if env or also:
            raise Problems([_only_for_accounts()])
        _check_scope(account, region)
        found, stem = build.for_audit(account, region or _region()), "audit"
    elif env and saved_plan.is_plan_file(Path(env)):
        if purpose not in (None, Purpose.apply) or account or region or also:
            raise Problems([_only_for_environments()])
        saved = saved_plan.read(Path(env))
        given = saved_variables.with_saved(saved.variables, given)
        where = saved_plan.locate(saved, Path(env), Path.cwd(), os.environ, given)
        loaded = reporting.read(terminal, where, strict=False, given=given)
        found, stem = build.for_plan(loaded.env, saved.document), Path(env).stem
    else:
        _check_scope(account, region)
        _check_sections(also or ())
        loaded = reporting.read(terminal, env, strict=False, given=given)
        here = loaded.env.account or account, loaded.env.region or region or _region()
        found = build.for_environment(
            loaded.env,
            *here,
            writes=purpose is Purpose.apply,
            history=purpose is Purpose.drift,
            also=also or (),
        )
        stem = f"{loaded.env.name}-{(purpose or Purpose.plan).value}"
    _print(terminal, found, out_dir, stem, explain=explain)


def _region() -> str | None:
    return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")


def _print(terminal: Terminal, found: Policies, out_dir: Path | None, stem: str, *, explain: bool) -> None:
    """The policy on stdout, or in files; everything else on stderr."""
    for note in found.notes:
        terminal.note(f"note: {terminal.mask.line(note)}")
    session = found.limit == policy.SESSION
    shown = [found.whole] if out_dir is None else found.parts
    if out_dir is not None:
        _write(terminal, found, out_dir, stem, indent=None if session else 2)
    elif session:
        terminal.result(policy.compact(policy.document(found.whole)))
    else:
        terminal.document(policy.document(found.whole))
    if out_dir is None and len(found.parts) > 1:
        what = "session policy" if session else "managed policy"
        count = f"{policy.size(found.whole):,} characters, and a {what} has at most {found.limit:,}"
        terminal.note(f"note: the policy has {count}; --out-dir DIR writes it as {len(found.parts)} policies")
    if len(found.parts) > policy.ATTACHED:
        many = f"a role has at most {policy.ATTACHED} policies by default, fewer than these {len(found.parts)}"
        terminal.note(f"note: {many}")
    if explain:
        for number, some in enumerate(shown, start=1):
            if len(shown) > 1:
                terminal.note(f"\n{stem}-{number}.json")
            for line in policy.explanation(found.needs, some):
                terminal.note(terminal.mask.line(line))


def _write(terminal: Terminal, found: Policies, out_dir: Path, stem: str, *, indent: int | None) -> None:
    """Each part as a file of its own. Raises Problems where it cannot be written."""
    try:
        out_dir.mkdir(parents=True, exist_ok=True)
        for number, some in enumerate(found.parts, start=1):
            path = out_dir / (f"{stem}-{number}.json" if len(found.parts) > 1 else f"{stem}.json")
            made = policy.document(some)
            path.write_text(
                (policy.compact(made) if indent is None else policy.indented(made)) + "\n", encoding="utf-8"
            )
            terminal.note(f"Wrote {terminal.mask.line(str(path))} ({policy.size(some):,} characters)")
    except OSError as error:
        message = f"{out_dir} cannot be written: {error.strerror}"
        raise Problems([Problem(code=codes.USAGE, message=message, hint="choose another --out-dir DIR")]) from error


def _check_scope(account: str | None, region: str | None) -> None:
    """Raises Problems for what is no account or Region: an ARN with it would allow nothing, or too much."""
    if account is not None and not _ACCOUNT.fullmatch(account):
        raise Problems([Problem(code=codes.USAGE, message="--account takes the 12 digits of an account")])
    if region is not None and not _REGION.fullmatch(region):
        raise Problems([Problem(code=codes.USAGE, message="--region takes the name of a Region, such as eu-west-1")])


def _check_sections(also: list[str] | tuple[()]) -> None:
    """Raises Problems for a section that there is not."""
    known = sections("")
    wrong = [name for name in also if name not in known]
    if wrong:
        message = f"there is no section {wrong[0]}"
        raise Problems([Problem(code=codes.USAGE, message=message, hint=did_you_mean(wrong[0], known))])


def _only_for_accounts() -> Problem:
    message = "audit is about an account, not about an environment"
    return Problem(
        code=codes.USAGE, message=message, hint="leave out ENV and --also; --account and --region narrow ARNs"
    )


def _only_for_environments() -> Problem:
    message = "a PLAN-FILE has its own account, Region and steps"
    hint = "leave out --for, --account, --region and --also, or name the environment instead"
    return Problem(code=codes.USAGE, message=message, hint=hint)
