"""What `import` does, without a terminal: finds the environment or makes a new one, connects, and imports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from reconciler.config import files, names
from reconciler.model import Address, Environment
from reconciler.model import problem_codes as codes
from reconciler.model.patterns import regex
from reconciler.model.problems import Problem, Problems
from reconciler.operations import session
from reconciler.operations.importing import importer, moving
from reconciler.operations.importing.attempt import Request
from reconciler.operations.importing.importer import Result
from reconciler.operations.importing.moving import NOWHERE, Origin
from reconciler.operations.importing.select import Index, Wanted
from reconciler.operations.masks import mask_of_environ
from reconciler.operations.session import Loaded, Location

BATCH: Final = "batch"
_PLAIN: Final = regex(r"[^a-z0-9-]+")
_NAME: Final = regex(r"[a-z0-9-]{1,63}")
_YAML: Final = (".yaml", ".yml")


def find(
    env: str,
    wanted: Wanted,
    cwd: Path,
    environ: Mapping[str, str],
    *,
    name: str | None,
    single_file: bool,
    sandbox: bool,
    origin: Origin = NOWHERE,
) -> tuple[Result, Path]:
    """Import into the environment ``env``, without writing; with it its directory or file. Raises Problems."""
    from reconciler.account.everything import Everything  # noqa: PLC0415  (boto3 takes long to import)
    from reconciler.account.reader import Reader  # noqa: PLC0415
    from reconciler.kinds import discover  # noqa: PLC0415

    there, target = _target(env, cwd)
    if there:
        loaded = session.read(session.location_of(target, cwd), environ, strict=False)
        if name not in (None, loaded.env.name):
            message = f"the environment at {env} is called {loaded.env.name}"
            raise Problems([Problem(code=codes.USAGE, message=message, hint="leave --environment out")])
    else:
        loaded = _new(target, name)
    endpoint = session.sandbox_endpoint(loaded.env, environ, asked=sandbox)
    account = session.connect(loaded, environ, endpoint=endpoint)
    reader = Reader(account.client)
    everything = Everything(reader, discover(), account.scope)
    request = Request(
        wanted=wanted,
        target=target,
        scope=account.scope,
        env=names.in_account(loaded.env, account.scope) if there else None,
        single_file=single_file,
    )
    try:
        if origin:
            naming, left_out = moving.naming(origin, account.client, Index(everything), account.scope)
            request = replace(request, wanted=replace(wanted, naming=naming), left_out=left_out)
        result = importer.run(request, everything, environ)
    finally:
        reader.close()
    if not result.written.added and not result.imported.left_out:
        where = f"account {account.scope.account}, {account.scope.place},"
        hint = "check the account and the Region, and --name, --kind and --tag"
        message = f"nothing in {where} matches"
        raise Problems([Problem(code=codes.NOTHING_TO_IMPORT, message=message, hint=hint)])
    if not result.written.added and not there:
        raise Problems(
            Problem(
                code=codes.NOTHING_TO_IMPORT,
                message=f"{one.shown} cannot be imported: {one.why}",
                hint="nothing else matches: check --name, --kind and --tag; what an environment owns is changed there",
            )
            for one in result.imported.left_out
        )
    return result, target


def _target(env: str, cwd: Path) -> tuple[bool, Path]:
    """Whether the environment is there, and its directory or file: of a new one where it is to be."""
    try:
        return True, files.find_environment(env, cwd)
    except Problems:
        path = cwd / env
        if path.exists() or "/" in env or path.suffix.lower() in _YAML or not (cwd / "environments").is_dir():
            return False, path
        return False, cwd / "environments" / env


def _new(target: Path, name: str | None) -> Loaded:
    stem = target.resolve().name.removesuffix(target.suffix if target.suffix.lower() in _YAML else "")
    made = name or _PLAIN.sub("-", stem.lower()).strip("-")[:63] or "environment"
    if not _NAME.fullmatch(made):
        message = f'"{made}" cannot name an environment'
        hint = "use a to z, 0 to 9 and hyphens, at most 63 in all"
        raise Problems([Problem(code=codes.USAGE, message=message, hint=hint)])
    return Loaded(Location(target, ""), Environment(name=made), (), mask_of_environ({}))


def document(result: Result, texts: Mapping[str, str]) -> dict[str, Any]:
    """The result as JSON (the contract's section 8)."""
    return {
        "files": dict(texts),
        "resources": [
            {"address": str(Address(one.section, one.key)), "physical_name": one.physical}
            for one in result.written.added
        ],
        "left_out": [
            {"section": one.section, "name": one.name, "why": one.why}
            for one in (*result.imported.left_out, *result.written.left_alone)
        ],
        "warnings": list(result.imported.warnings),
    }
