"""``reconcile permissions``."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

from reconciler.cli.options import VarFiles, Vars, environments, sections, variables
from reconciler.cli.root import COMMANDS, STYLE, examples
from reconciler.cli.terminal import Terminal
from reconciler.model import Environment, Scope
from reconciler.model import problem_codes as codes
from reconciler.model.patterns import regex
from reconciler.model.problems import Problem, Problems, did_you_mean
from reconciler.model.when_used import when_used
from reconciler.operations import session
from reconciler.operations.permissions.modes import OF_AN_ACCOUNT, Purpose

with when_used():
    from reconciler.cli import reporting
    from reconciler.config.given import Given
    from reconciler.operations import saved_plan, saved_variables
    from reconciler.operations.permissions import as_yaml, build, places, policy
    from reconciler.operations.permissions.build import Policies

_ACCOUNT: Final = regex(r"[0-9]{12}")
_NAME: Final = regex(r"[A-Za-z0-9_-]{1,100}")
_REGION: Final = regex(r"[a-z]+(-[a-z0-9]+)+")
APP: Final = typer.Typer(**STYLE)


class Form(StrEnum):
    """What is printed."""

    json = "json"
    yaml = "yaml"


@APP.command(
    help=COMMANDS["permissions"],
    epilog=examples(
        "reconcile permissions prod --for plan > read-only.json",
        "reconcile permissions prod --for apply --account 123456789012 --out-dir policies",
        "reconcile permissions prod.plan --explain",
        "reconcile permissions --all --except ci-roles --for apply --format yaml --out-dir environments/ci-roles",
        "reconcile permissions --for audit --account 123456789012 --region eu-west-1",
        "reconcile permissions --for import > import.json",
    ),
)
def permissions(
    ctx: typer.Context,
    envs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="ENV|PLAN-FILE",
            help="Directories, files, or names under environments/; of several one policy. Or a plan saved with --out: "
            "its steps only.",
            show_default=False,
            autocompletion=environments,
        ),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every environment under environments/.")] = False,
    besides: Annotated[
        list[str] | None,
        typer.Option(
            "--except", metavar="ENV", help="With --all: not this one (repeatable).", autocompletion=environments
        ),
    ] = None,
    purpose: Annotated[
        Purpose | None,
        typer.Option(
            "--for",
            help="The command that the policy is for (apply includes destroy; audit and import need no ENV); "
            "default: plan.",
        ),
    ] = None,
    form: Annotated[
        Form,
        typer.Option("--format", help="json: a policy document. yaml: the section policies, for an environment."),
    ] = Form.json,
    name: Annotated[
        str | None,
        typer.Option("--name", metavar="NAME", help="With --format yaml: the policies are NAME-1, NAME-2, ..."),
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="List the resources that need each statement, on stderr.")
    ] = False,
    out_dir: Annotated[
        Path | None,
        typer.Option("--out-dir", metavar="DIR", help="Write the policy there, as several files if it is too large."),
    ] = None,
    account: Annotated[
        str | None,
        typer.Option(
            "--account",
            metavar="ID",
            help="The account, if environment.yaml does not set it; of several, leave out those of other accounts.",
        ),
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
    preflight: Annotated[
        bool, typer.Option("--preflight", help="With --for plan or apply: permit what --preflight asks, too.")
    ] = False,
    results: Annotated[
        list[str] | None,
        typer.Option(
            "--results", metavar="s3://…", help="With --for drift: where it keeps results and reports (repeatable)."
        ),
    ] = None,
    targets: Annotated[
        list[str] | None,
        typer.Option("--notify", metavar="TARGET", help="With --for drift: where it sends notices (repeatable)."),
    ] = None,
    var: Vars = None,
    var_file: VarFiles = None,
) -> None:
    """Print the IAM policy that a command needs, and no more than that, without AWS."""
    terminal: Terminal = ctx.obj
    given = variables(var, var_file)
    if purpose in OF_AN_ACCOUNT:
        if envs or also:
            raise Problems([_only_for_accounts(purpose)])
        _check_scope(account, region)
        found = build.for_account(account, region or _region(), purpose)
        _print(terminal, found, out_dir, purpose.value, explain=explain)
        return
    plan = Path(envs[0]) if envs and len(envs) == 1 and saved_plan.is_plan_file(Path(envs[0])) else None
    if plan is not None:
        if purpose not in (None, Purpose.apply) or _given(ctx, _OF_ENVIRONMENTS):
            raise Problems([_only_for_environments()])
        saved = saved_plan.read(plan)
        given = saved_variables.with_saved(saved.variables, given)
        where = saved_plan.locate(saved, plan, Path.cwd(), os.environ, given)
        loaded = reporting.read(terminal, where, strict=False, given=given)
        found, stem = build.for_plan(loaded.env, saved.document), plan.stem
    else:
        _check_options(ctx, purpose, form, every=every)
        _check_scope(account, region)
        _check_sections(also or ())
        if every or besides or len(envs or ()) > 1:
            chosen = _several(terminal, envs or (), given, besides or (), account, every=every)
        else:
            chosen = [reporting.read(terminal, envs[0] if envs else None, strict=False, given=given).env]
        found = build.for_environments(
            [(env, _scope(env, account, region, form)) for env in chosen],
            purpose or Purpose.plan,
            also=also or (),
            places=places.parsed(results or (), targets or ()),
            preflight=preflight,
        )
        stem = f"{chosen[0].name}-{(purpose or Purpose.plan).value}" if len(chosen) == 1 else f"reconcile-{purpose}"
    if form is Form.yaml:
        stem = name or f"reconcile-{(purpose or Purpose.plan).value}"
        _print_yaml(terminal, found, out_dir, stem, _typed(ctx), explain=explain)
    else:
        _print(terminal, found, out_dir, stem, explain=explain)


_OF_ENVIRONMENTS: Final = ("every", "besides", "account", "region", "also", "results", "targets", "name", "preflight")


def _given(ctx: typer.Context, names: tuple[str, ...]) -> list[str]:
    """The options of these parameters that have a value."""
    options = {param.name: param.opts[0] for param in ctx.command.params}
    return [options[name] for name in names if ctx.params.get(name)]


def _check_options(ctx: typer.Context, purpose: Purpose | None, form: Form, *, every: bool) -> None:
    """Raises Problems for options that have no effect."""
    without = {
        "--for drift": () if purpose is Purpose.drift else ("results", "targets"),
        "--for plan or --for apply": (() if purpose in (None, Purpose.plan, Purpose.apply) else ("preflight",)),
        "--format yaml": () if form is Form.yaml else ("name",),
        "--all": () if every else ("besides",),
    }
    for needed, names in without.items():
        for option in _given(ctx, names):
            message = f"{option} has no effect without {needed}"
            raise Problems([Problem(code=codes.USAGE, message=message, hint=f"add {needed}, or leave it out")])


def _several(
    terminal: Terminal,
    envs: Sequence[str],
    given: Mapping[str, Given],
    besides: Sequence[str],
    account: str | None,
    *,
    every: bool,
) -> list[Environment]:
    """The environments, without those that are excepted and those of another account. Raises Problems."""
    locations, wrong = session.locate_all(envs, Path.cwd(), every=every)
    left, unknown = session.locate_all(besides, Path.cwd(), every=False) if besides else ([], [])
    if wrong or unknown:
        raise Problems([*wrong, *unknown])
    out = {location.target.resolve() for location in left}
    found: dict[str, Environment] = {}
    for location in locations:
        if location.target.resolve() in out:
            continue
        terminal.root = location.root
        loaded = session.read(location, os.environ, strict=False, given=given)
        terminal.mask |= loaded.mask
        env = loaded.env
        if account and env.account not in (None, account):
            terminal.note(f"note: {terminal.mask.line(env.name)} is left out: it is in account {env.account}")
        else:
            found[location.root] = env
    if not found:
        message = "no environment is left"
        raise Problems([Problem(code=codes.USAGE, message=message, hint="name one that is in --account")])
    return [*found.values()]


def _scope(env: Environment, account: str | None, region: str | None, form: Form) -> Scope:
    """The scope of ARNs. What is declared as YAML has expressions where the account or Region is not known."""
    if form is Form.yaml:
        return build.scope_of(env, env.account or account, env.region or region, build.EXPRESSIONS)
    return build.scope_of(env, env.account or account, env.region or region or _region())


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
    _too_many(terminal, found)
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


def _print_yaml(
    terminal: Terminal, found: Policies, out_dir: Path | None, name: str, command: str, *, explain: bool
) -> None:
    """The policies as a file of an environment, on stdout or in ``out_dir``."""
    if not _NAME.fullmatch(name):
        message = "--name takes the beginning of a policy's name"
        raise Problems([Problem(code=codes.USAGE, message=message, hint="letters, digits, - and _")])
    for note in found.notes:
        terminal.note(f"note: {terminal.mask.line(note)}")
    _too_many(terminal, found)
    text = as_yaml.text(found.parts, name, command, found.notes)
    if out_dir is None:
        terminal.result(text.removesuffix("\n"))
    else:
        as_yaml.write(out_dir / f"{name}.yaml", text)
        policies = f"{name}-1" if len(found.parts) == 1 else f"{name}-1 to {name}-{len(found.parts)}"
        terminal.note(f"Wrote {terminal.mask.line(str(out_dir / f'{name}.yaml'))} ({policies})")
    for number, some in enumerate(found.parts if explain else (), start=1):
        terminal.note(f"\n{name}-{number}")
        for line in policy.explanation(found.needs, some):
            terminal.note(terminal.mask.line(line))


def _too_many(terminal: Terminal, found: Policies) -> None:
    if len(found.parts) > policy.ATTACHED:
        many = f"a role has at most {policy.ATTACHED} policies by default, fewer than these {len(found.parts)}"
        terminal.note(f"note: {many}")


def _typed(ctx: typer.Context) -> str:
    """The command as it can be typed again; values of variables, which may be secret, are left out."""
    words = ["reconcile", "permissions", *(ctx.params["envs"] or ())]
    for param in ctx.command.params:
        value = ctx.params.get(param.name or "")
        if param.param_type_name != "option" or not value or param.name in ("var", "explain", "help"):
            continue
        for one in value if isinstance(value, list | tuple) else [value]:
            words += [param.opts[0]] if one is True else [param.opts[0], str(one)]
    return shlex.join(words)


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


def _only_for_accounts(purpose: Purpose) -> Problem:
    message = f"{purpose.value} is about an account, not about an environment"
    return Problem(
        code=codes.USAGE, message=message, hint="leave out ENV and --also; --account and --region narrow ARNs"
    )


def _only_for_environments() -> Problem:
    message = "a PLAN-FILE has its own account, Region and steps"
    hint = "leave out --for, --account, --region, --also and the like, or name the environment instead"
    return Problem(code=codes.USAGE, message=message, hint=hint)
