"""Options that several commands take, and how their values are read."""

from __future__ import annotations

import os
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from reconciler.config import files
from reconciler.config.given import Given, gather
from reconciler.model import Address, Options
from reconciler.model import problem_codes as codes
from reconciler.model.preflight import Level
from reconciler.model.problems import Problem, Problems


class Format(StrEnum):
    """How a result is printed."""

    text = "text"
    json = "json"


class FindingsFormat(StrEnum):
    """How findings are printed."""

    text = "text"
    json = "json"
    github = "github"
    gitlab = "gitlab"
    sarif = "sarif"


class PlanFormat(StrEnum):
    """How a plan is printed."""

    text = "text"
    json = "json"
    markdown = "markdown"
    html = "html"
    github = "github"


class DriftFormat(StrEnum):
    """How the report of `drift` is printed."""

    text = "text"
    json = "json"
    markdown = "markdown"
    html = "html"
    junit = "junit"
    sarif = "sarif"


class TestFormat(StrEnum):
    """How the report of `test` is printed."""

    text = "text"
    json = "json"
    junit = "junit"


class OnError(StrEnum):
    """What apply does after a failure: stop, or continue with independent steps."""

    stop = "stop"
    carry_on = "continue"


class WithPreflight(TyperCommand):
    """A command whose ``--preflight`` needs no value: ``--preflight`` means on, ``--no-preflight`` off."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Reads the command line."""
        words = {"--preflight": f"--preflight={Level.on}", "--no-preflight": f"--preflight={Level.off}"}
        end = args.index("--") if "--" in args else len(args)
        return super().parse_args(ctx, [*(words.get(one, one) for one in args[:end]), *args[end:]])


def environments(incomplete: str) -> list[str]:
    """Completes ENV: environments under environments/, and directories that are one."""
    found = [item.name for item in files.environments(Path.cwd())]
    here, _, _ = incomplete.rpartition("/")
    base = Path(here or ".")
    if base.is_dir():
        found += [f"{here}/{item.name}" if here else item.name for item in files.environments_in(base)]
    return sorted({name for name in found if name.startswith(incomplete)})


def addresses(ctx: typer.Context, incomplete: str) -> list[str]:
    """Completes ADDRESS: the resources of the environment on the command line; none where it cannot be read."""
    from reconciler.checks.setting_resources import completed  # noqa: PLC0415  (only completion needs these here)
    from reconciler.config import loader  # noqa: PLC0415
    from reconciler.kinds import discover  # noqa: PLC0415

    # while an option has no value yet, the arguments before it are still in ctx.args
    env = (
        ctx.params.get("env")
        or next(iter(ctx.params.get("envs") or ()), None)
        or next((word for word in ctx.args if not word.startswith("-")), None)
    )
    try:
        loaded = completed(loader.load(files.find_environment(env, Path.cwd()), environ=os.environ), discover())
    except (Problems, OSError):
        return []
    known = (str(Address(section, name)) for section, names in loaded.sections.items() for name in names)
    return [address for address in known if address.startswith(incomplete)]


def of_kinds(ctx: typer.Context, member: str, incomplete: str) -> list[str]:
    """Completes the key or the address of a resource whose kind has an optional member (``retries``)."""
    from reconciler.config.expressions import address as parsed  # noqa: PLC0415  (as above)
    from reconciler.kinds import discover  # noqa: PLC0415

    ours = {section for section, kind in discover().items() if getattr(kind, member) is not None}
    known = [found for found in map(parsed, addresses(ctx, "")) if found is not None and found.section in ours]
    return [name for one in known for name in (one.name, str(one)) if name.startswith(incomplete)]


def sections(incomplete: str) -> list[str]:
    """Completes SECTION."""
    from reconciler.kinds import discover  # noqa: PLC0415  (only some commands need it)

    return sorted(name for name in discover() if name.startswith(incomplete))


Envs = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="ENV",
        help="Directories, files in them, or names under environments/. Without any: the current directory if it "
        "is an environment, else all environments under environments/.",
        show_default=False,
        autocompletion=environments,
    ),
]
Env = Annotated[
    str | None,
    typer.Argument(
        metavar="ENV",
        help="A directory, a file, or a name under environments/.",
        show_default=False,
        autocompletion=environments,
    ),
]
FormatOption = Annotated[Format, typer.Option("--format", help="How the result is printed.")]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="Show each resource by itself, with its API calls, whole.")
]
Sandbox = Annotated[bool, typer.Option("--sandbox", help="Use the running sandbox as the account.")]


def _addressed(flag: str, about: str) -> Any:
    return typer.Option(flag, metavar="ADDRESS", help=about, autocompletion=addresses)


Vars = Annotated[
    list[str] | None,
    typer.Option(
        "--var",
        metavar="NAME=VALUE",
        help="Set a variable; the value is read as YAML, without expressions (repeatable).",
    ),
]
VarFiles = Annotated[
    list[str] | None,
    typer.Option("--var-file", metavar="FILE", help="Set the variables in a YAML or JSON file (repeatable)."),
]
Targets = Annotated[
    list[str] | None, _addressed("--target", "Plan only this resource and its dependencies (repeatable).")
]
Excludes = Annotated[
    list[str] | None, _addressed("--exclude", "Plan everything except this resource and its dependents (repeatable).")
]
Replaces = Annotated[list[str] | None, _addressed("--replace", "Force replacement of this resource (repeatable).")]
Refreshes = Annotated[
    list[str] | None,
    _addressed("--refresh-images", "Update this compute environment to the latest images (repeatable)."),
]
Adopt = Annotated[bool, typer.Option("--adopt", help="Adopt existing resources that have the declared names.")]
Allow = Annotated[
    int | None,
    typer.Option("--allow-deletions", metavar="N", help="Allow up to N resources to be deleted or replaced."),
]
AutoApprove = Annotated[bool, typer.Option("--auto-approve", "-y", help="Skip the prompt for approval.")]
Parallelism = Annotated[
    int, typer.Option("--parallelism", min=1, max=64, help="Maximum number of concurrent AWS calls.")
]
OnErrorOption = Annotated[
    OnError,
    typer.Option(
        "--on-error",
        help="After a failure: start no further steps (stop), or continue with independent ones (continue).",
    ),
]
JournalOption = Annotated[
    Path | None,
    typer.Option(
        "--journal", metavar="FILE", help="Append every AWS call and reply to FILE (JSON lines, secrets masked)."
    ),
]
NoLock = Annotated[
    bool, typer.Option("--no-lock", envvar="RECONCILE_NO_LOCK", help="Do not take the environment's lock.")
]
Preflight = Annotated[
    Level | None,
    typer.Option(
        "--preflight",
        envvar="RECONCILE_PREFLIGHT",
        metavar="[=full|on|off]",
        help="Check whether what is declared can run: instance types, images, roles, network, quotas.",
        show_default=False,
    ),
]
OnlyChanges = Annotated[bool, typer.Option("--only-changes", help="Leave out resources that do not change.")]


def plan_options(
    *,
    target: Iterable[str] | None = None,
    exclude: Iterable[str] | None = None,
    replace: Iterable[str] | None = None,
    refresh: Iterable[str] | None = None,
    adopt: bool = False,
    destroy: bool = False,
    allow: int | None = None,
) -> Options:
    """The options of a plan, by those of the command line. Raises Problems for an invalid address."""
    return Options(
        adopt=adopt,
        destroy=destroy,
        targets=tuple(map(address, target or ())),
        exclude=tuple(map(address, exclude or ())),
        replace=tuple(map(address, replace or ())),
        refresh=tuple(map(address, refresh or ())),
        allow_deletions=allow,
    )


def variables(var: Iterable[str] | None, var_file: Iterable[str] | None) -> dict[str, Given]:
    """The values of variables from the command line and the process's environment. Raises Problems."""
    return gather(os.environ, var_file or (), var or ())


def env_and(env: str | None, other: str | None) -> tuple[str | None, str | None]:
    """ENV and what follows it: a single word is an environment if there is one, else the other."""
    if env is None or other is not None or is_environment(env):
        return env, other
    return None, env


def is_environment(word: str) -> bool:
    """Whether ``word`` means an environment from here."""
    try:
        files.find_environment(word, Path.cwd())
    except Problems:
        return False
    return True


def address(text: str) -> Address:
    """Parses ``jobQueues.queue-0`` or ``logGroups["/aws/batch/custom"]``. Raises Problems for an invalid address."""
    section, dot, name = text.partition(".")
    if "[" in section:
        section, _, name = text.partition("[")
        return Address(section, name.rstrip("]").strip("\"'"))
    if not dot or not name:
        hint = 'write it as plans print it: SECTION.NAME, or SECTION["NAME"] for a name with a dot or a slash'
        raise Problems([Problem(code=codes.BAD_ADDRESS, message=f'"{text}" is not an address', hint=hint)])
    return Address(section, name)
