"""Options of the commands on jobs, and how their values are read."""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from reconciler.cli import reporting
from reconciler.cli.options import environments, is_environment, of_kinds, variables
from reconciler.cli.terminal import Terminal
from reconciler.model import problem_codes as codes
from reconciler.model.jobs import Overrides
from reconciler.model.patterns import regex
from reconciler.model.problems import Problem, Problems
from reconciler.operations import session
from reconciler.operations.jobs.desk import STATUSES, Desk, WallClock, job_id

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_SPAN: Final = regex(r"(?:[0-9]+[smhdw])+|[0-9]+")
_COMMAND: Final = "write it as for a shell, or as a JSON list of texts"
_SPANS: Final = "write 90s, 15m, 2h or 3d"
_TIME: Final = "write 90s, 15m, 2h, 3d, or a time such as 2026-01-31T12:00:00Z"


def definitions(ctx: typer.Context, incomplete: str) -> list[str]:
    """Completes ADDRESS: what jobs can be submitted of."""
    return of_kinds(ctx, "submits", incomplete)


def env_or_definition(ctx: typer.Context, incomplete: str) -> list[str]:
    """Completes ENV; where the environment can be left out, ADDRESS too."""
    return [*environments(incomplete), *definitions(ctx, incomplete)]


def queues(ctx: typer.Context, incomplete: str) -> list[str]:
    """Completes a queue of the environment."""
    return of_kinds(ctx, "takes_jobs", incomplete)


Words = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[ENV] JOB...",
        help="An environment, which may be left out as in other commands; then ids, ARNs or names of jobs "
        "(ID:3 is a child of an array, ID#0 a node). A name means the latest job that has it.",
        show_default=False,
        autocompletion=environments,
    ),
]
Queues = Annotated[
    list[str] | None,
    typer.Option(
        "--queue",
        metavar="QUEUE",
        help="Only this queue: its key, address, name or ARN (repeatable). Without it: every queue of the environment.",
        autocompletion=queues,
    ),
]
Statuses = Annotated[
    list[str] | None,
    typer.Option(
        "--status",
        metavar="STATUS",
        help="Only jobs with this status (repeatable).",
        autocompletion=lambda incomplete: [one for one in STATUSES if one.startswith(incomplete)],
    ),
]


def env_and_jobs(words: Sequence[str] | None) -> tuple[str | None, list[str]]:
    """ENV and the jobs. The first word is the environment if it means one and other words follow; a job's id never
    does. Raises Problems where no job is named.
    """
    found = list(words or ())
    env = found.pop(0) if found and job_id(found[0]) is None and is_environment(found[0]) else None
    if not found:
        hint = "give its id or its name; `reconcile jobs list` shows them"
        raise Problems([Problem(code=codes.USAGE, message="no job given", hint=hint)])
    return env, found


def desk(
    terminal: Terminal, env: str | None, var: Iterable[str] | None, var_file: Iterable[str] | None, *, sandbox: bool
) -> Desk:
    """The account of an environment. Raises Problems."""
    loaded = reporting.read(terminal, env, strict=False, given=variables(var, var_file))
    endpoint = session.sandbox_endpoint(loaded.env, os.environ, asked=sandbox)
    return Desk(session.connect(loaded, os.environ, endpoint=endpoint), WallClock())


def statuses(words: Iterable[str] | None) -> tuple[str, ...]:
    """The statuses, in capitals. Raises Problems for any other word."""
    found = tuple(dict.fromkeys(word.strip().upper() for text in words or () for word in text.split(",")))
    if wrong := [word for word in found if word not in STATUSES]:
        hint = f"write one of {', '.join(STATUSES)}"
        raise Problems([Problem(code=codes.USAGE, message=f"--status {wrong[0]}: there is no such status", hint=hint)])
    return found


def span(text: str | None, flag: str) -> float | None:
    """Seconds: ``90``, ``15m``, ``1h30m``. Raises Problems."""
    if text is None:
        return None
    if not _SPAN.fullmatch(text):
        raise Problems([Problem(code=codes.USAGE, message=f"{flag} {text}: this is not a time span", hint=_SPANS)])
    if text.isdecimal():
        return float(text)
    return float(sum(int(number) * _UNITS[unit] for number, unit in re.findall(r"([0-9]+)([smhdw])", text)))


def moment(text: str | None, flag: str, now: float = 0.0) -> int | None:
    """Milliseconds since 1970 of a time, or of so long before ``now`` (in seconds). Raises Problems."""
    if text is None:
        return None
    if _SPAN.fullmatch(text):
        return int((now - (span(text, flag) or 0)) * 1000)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise Problems([Problem(code=codes.USAGE, message=f"{flag} {text}: this is not a time", hint=_TIME)]) from None
    return int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * 1000)


def pairs(words: Iterable[str] | None, flag: str) -> dict[str, str]:
    """NAME=VALUE each. Raises Problems."""
    found: dict[str, str] = {}
    for word in words or ():
        name, sign, value = word.partition("=")
        if not sign or not name:
            message, hint = f"{flag} takes NAME=VALUE", f"write {flag} NAME=VALUE"
            raise Problems([Problem(code=codes.USAGE, message=message, hint=hint)])
        found[name] = value
    return found


def overrides(
    command: str | None,
    environment: Iterable[str] | None,
    vcpus: str | None,
    memory: int | None,
    gpus: int | None,
    container: str | None,
) -> Overrides:
    """What the options change of a definition. Raises Problems."""
    return Overrides(
        command=None if command is None else tuple(_command(command)),
        environment=pairs(environment, "--env"),
        vcpus=vcpus,
        memory=None if memory is None else str(memory),
        gpus=None if gpus is None else str(gpus),
        container=container,
    )


def _command(text: str) -> list[str]:
    """A list in JSON, or words as a shell splits them. Raises Problems."""
    try:
        words: Any = json.loads(text) if text.lstrip().startswith("[") else shlex.split(text)
    except ValueError as error:
        message = f"--command cannot be read: {error}"
        raise Problems([Problem(code=codes.USAGE, message=message, hint=_COMMAND)]) from error
    if not all(isinstance(word, str) for word in words):
        raise Problems([Problem(code=codes.USAGE, message="--command has more than texts", hint=_COMMAND)])
    return list(words)


def mapping_in(path: Path | None) -> dict[str, Any]:
    """The mapping in the YAML or JSON file of ``--override``. Raises Problems."""
    if path is None:
        return {}
    from reconciler.config.merge import plain  # noqa: PLC0415  (few submissions have a file)
    from reconciler.config.yaml import reader  # noqa: PLC0415

    try:
        found = plain(reader.read(path.read_bytes(), str(path)))
    except OSError as error:
        message = f"--override {path}: {error.strerror or error}"
        raise Problems([Problem(code=codes.USAGE, message=message)]) from error
    if not isinstance(found, dict) or not found:
        hint = "write members of SubmitJob, or the content of one override"
        raise Problems([Problem(code=codes.USAGE, message=f"--override {path}: a mapping is expected", hint=hint)])
    return found
