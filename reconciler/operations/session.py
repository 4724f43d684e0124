"""Sessions: finds and reads an environment and connects to its account, without a terminal.

A :class:`Session` has everything that an operation needs. No state belongs to the process, and no environment variable
is set, so one process can use several environments with different accounts, roles, Regions and masks in parallel.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from reconciler.config import files
from reconciler.config.given import Given
from reconciler.model import EMPTY, Environment, Options, Plan, Scope
from reconciler.model import problem_codes as codes
from reconciler.model.exit_codes import RAIL
from reconciler.model.preflight import NOTHING, Asked
from reconciler.model.problems import Problem, Problems
from reconciler.model.records import dataclass
from reconciler.model.values import SANDBOX
from reconciler.operations import pipeline
from reconciler.operations.masks import mask_of_environ
from reconciler.operations.pipeline import Planned
from reconciler.operations.taken import NEW, Taken
from reconciler.render.mask import Mask

if TYPE_CHECKING:  # boto3 takes 0.1 s to import, and `validate` does without
    from reconciler.account.client import AwsClient, Endpoint
    from reconciler.account.connections import Connections
    from reconciler.account.lock import Lock
    from reconciler.config.yaml.node import Node

_ENDPOINT: Final = "AWS_ENDPOINT_URL"
# What data that AWS cannot have sent raises where its types are relied on
_MISREAD: Final = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)


@dataclass(frozen=True, slots=True)
class Location:
    """Where an environment is. ``root`` is the prefix that makes the files of its problems paths that can be opened."""

    target: Path
    root: str


@dataclass(frozen=True, slots=True)
class Loaded:
    """An environment that has been read and checked, with its warnings and the mask for its secrets."""

    location: Location
    env: Environment
    warnings: tuple[Problem, ...]
    mask: Mask


@dataclass(frozen=True, slots=True)
class Session:
    """An environment and its account. ``environ`` are the environment variables with which it was read; ``taken`` is
    the snapshot that ``client`` answers from, where it does not ask AWS.
    """

    loaded: Loaded
    scope: Scope
    client: AwsClient
    environ: Mapping[str, str]
    taken: Taken | None = None

    @property
    def env(self) -> Environment:
        """The environment."""
        return self.loaded.env

    @property
    def mask(self) -> Mask:
        """The mask for its secrets."""
        return self.loaded.mask

    @property
    def root(self) -> str:
        """The prefix of its files; see :class:`Location`."""
        return self.loaded.location.root


def locate(env: str | None, cwd: Path) -> Location:
    """The location of the environment ``env`` (ENV on the command line), from ``cwd``. Raises Problems."""
    return location_of(files.find_environment(env, cwd), cwd)


def locate_all(envs: Sequence[str], cwd: Path, *, every: bool) -> tuple[list[Location], list[Problem]]:
    """The locations of several environments, each once, and a problem for each argument that means none.

    All environments under ``environments/`` if ``every``, or if ``envs`` is empty and ``cwd`` is not an environment.
    Raises Problems where there are none at all.
    """
    from reconciler.config import discovery  # noqa: PLC0415  (only `validate` looks for several)

    if envs and every:
        hint = "leave one of them out"
        raise Problems([Problem(code=codes.USAGE, message="--all cannot be combined with ENV", hint=hint)])
    targets: list[Path] = []
    wrong: list[Problem] = []
    for env in envs:
        try:
            targets += discovery.environments_of(env, cwd)
        except Problems as error:
            wrong += error.problems
    if every or (not envs and not files.is_environment(cwd) and (cwd / "environments").is_dir()):
        targets = discovery.every_environment(cwd)
    elif not envs:
        targets = [files.find_environment(None, cwd)]
    once = {target.resolve(): target for target in targets}
    return [location_of(target, cwd) for target in once.values()], wrong


def repository(cwd: Path) -> Path:
    """The top of the repository that ``cwd`` is in; ``cwd`` itself outside of one."""
    here = cwd.resolve()
    return next((path for path in (here, *here.parents) if (path / ".git").exists()), here)


def location_of(target: Path, cwd: Path) -> Location:
    """The location of the environment at ``target``."""
    directory = os.path.relpath(target if target.is_dir() else target.parent, cwd)
    if Path(cwd, directory).is_symlink():  # what is above it is above the real one
        directory = os.path.relpath(Path(cwd, directory).resolve(), cwd.resolve())
    return Location(target, "" if directory == "." else f"{directory}/")


def read(
    location: Location,
    environ: Mapping[str, str],
    *,
    strict: bool,
    given: Mapping[str, Given] | None = None,
    change: Node | None = None,
) -> Loaded:
    """Load and check. ``strict``: an environment variable that is not set is an error; ``given`` are values of
    variables, by default those of ``environ``; ``change`` is merged over the files. Raises Problems.
    """
    env, warnings = pipeline.read_environment(location.target, environ, strict=strict, given=given, change=change)
    return Loaded(location, env, warnings, mask_of_environ(environ) | pipeline.mask_for(env))


def connect(
    loaded: Loaded,
    environ: Mapping[str, str],
    *,
    endpoint: Endpoint | None = None,
    connections: Connections | None = None,
) -> Session:
    """Connect to the account of an environment, or to ``endpoint`` instead; ``environ`` has the Region where neither
    names one; ``connections`` are those of other environments, to share. Raises Problems, among them the safety rail
    for a wrong account.
    """
    from reconciler.account.connections import Connections  # noqa: PLC0415  (0.1 s, and `validate` does without)
    from reconciler.planning import safety_rails  # noqa: PLC0415

    shared = connections or Connections()
    env = loaded.env
    client, scope = shared.connect(env.name, **place(env, environ, endpoint))
    if wrong := safety_rails.account(scope.account, env):
        raise Problems(wrong, exit_code=RAIL)
    return Session(loaded, scope, client, environ)


def place(env: Environment, environ: Mapping[str, str], endpoint: Endpoint | None) -> dict[str, Any]:
    """Where an environment is: the arguments of :meth:`.Connections.connect`."""
    if endpoint:
        return {"region": env.region or endpoint.region, "role": env.role, "endpoint": endpoint}
    region = env.region or environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION")
    return {"region": region, "profile": env.profile, "role": env.role}


def sandbox_endpoint(env: Environment, environ: Mapping[str, str], *, asked: bool) -> Endpoint | None:
    """URL and credentials of the running sandbox, for the account of ``env``, whose role it lets assume.

    None unless it is ``asked`` for, or is where ``environ`` points every AWS client. Raises Problems where it is asked
    for and does not run.
    """
    from reconciler.sandbox import process  # noqa: PLC0415  (as above)

    url = environ.get(_ENDPOINT, "").rstrip("/")
    if not asked and (not url or any(name.startswith(f"{_ENDPOINT}_") for name in environ)):
        return None
    if url == process.NOWHERE and not asked:
        message = "AWS_ENDPOINT_URL of this shell belongs to a sandbox that could not be started"
        hint = 'run `eval "$(reconcile sandbox start)"` again, or open a new shell to use AWS'
        raise Problems([Problem(code=codes.NO_SANDBOX, message=message, hint=hint)])
    handle = process.status()
    if handle is None and asked:
        raise Problems([no_sandbox()])
    if handle is None or not (asked or url == handle.url):
        return None
    from reconciler.account.client import Endpoint  # noqa: PLC0415  (as above)

    role = env.role.get("roleArn", "")
    if role:
        with suppress(OSError):  # then it refuses the role
            process.announce_role(handle, role)
    account = role.split(":")[4] if role else env.account
    region, shell_key = handle.region, ""
    if url == handle.url:  # the shell may be pointed at another of its accounts and Regions
        region, shell_key = environ.get("AWS_REGION") or region, environ.get("AWS_ACCESS_KEY_ID", "")
    key = process.access_key(handle, account or (shell_key if shell_key.isdecimal() else None))
    if process.is_caller(handle, shell_key):  # a role or user of the sandbox, whose policies are being tried
        key = shell_key
    found = process.environment(handle.url, region, key)
    return Endpoint(handle.url, region, key, found["AWS_SECRET_ACCESS_KEY"], SANDBOX)


def make_plan(
    session: Session,
    options: Options,
    *,
    parallelism: int = pipeline.PARALLELISM,
    facts_known: Mapping[str, Any] = EMPTY,
    preflight: Asked = NOTHING,
) -> Planned:
    """Read the account and plan, as :func:`.pipeline.make_plan`; the plan says where AWS itself was not asked."""

    def located(plan: Plan) -> Plan:
        return replace(plan, scope=replace(plan.scope, endpoint=session.client.elsewhere()))

    try:
        if session.taken:
            return _plan_of_snapshot(session, session.taken, options, facts_known)
        planned = pipeline.make_plan(
            session.env,
            session.scope,
            session.client,
            options,
            parallelism=parallelism,
            facts_known=facts_known,
            preflight=preflight,
        )
    except pipeline.RailRefusal as refusal:
        refusal.plan = located(refusal.plan)
        raise
    return replace(planned, plan=located(planned.plan))


def _plan_of_snapshot(session: Session, taken: Taken, options: Options, known: Mapping[str, Any]) -> Planned:
    """A plan of what a file says, which may say what AWS cannot have sent."""
    try:
        planned = pipeline.make_plan(
            session.env,
            session.scope,
            session.client,
            options,
            parallelism=0,
            described=taken.described,
            facts_known=known,
        )
    except _MISREAD as error:
        message = f"the snapshot has replies that AWS cannot have sent ({type(error).__name__})"
        raise Problems([Problem(code=codes.SNAPSHOT_FILE, message=message, hint=NEW)]) from error
    return replace(planned, taken=taken, warnings=(*planned.warnings, *taken.warnings()))


def no_sandbox() -> Problem:
    """The problem of a command that needs the sandbox when it does not run."""
    return Problem(
        code=codes.NO_SANDBOX, message="the sandbox is not running", hint="start it with `reconcile sandbox start`"
    )


def lock_of(session: Session) -> Lock:
    """The environment's lock in the account."""
    from reconciler.account import lock_owner  # noqa: PLC0415  (as above)
    from reconciler.account.lock import Lock  # noqa: PLC0415

    client = session.client
    claim = lock_owner.claim(session.environ)
    return Lock(client, session.scope, claim, lock_owner.alive, lambda: time.time() + client.skew)


def break_lock(session: Session, approve: Callable[[str], bool]) -> str | None:
    """Break the environment's lock if ``approve`` returns true for its holder and what follows, in words.

    Returns a sentence about the broken lock: empty where there was none, None where it was not approved. Raises
    Problems where another run has taken the lock since it was shown.
    """
    from reconciler.account.lock import describe_holder, held_since  # noqa: PLC0415  (as above)

    lock = lock_of(session)
    held = lock.read()
    if held is None:
        return ""
    holder = session.mask.line(describe_holder(held, lock.now()))
    age = held_since(held, lock.now())
    if not approve(f"The lock of {lock_place(session)} is held by {holder}{age}.\n{lock.after_breaking(held)}"):
        return None
    now = lock.read()
    if now is None or now.claim.run != held.claim.run:
        message = "the lock changed hands since it was shown"
        raise Problems([Problem(code=codes.LOCK_MOVED, message=message, hint="run `reconcile unlock` again")])
    lock.delete()
    return f"Broke the lock of {lock_place(session)}, which was held by {holder}."


def now_at(session: Session) -> float:
    """The time in seconds since the epoch, by the clock of AWS, or of the sandbox, which its user may have moved on."""
    endpoint = session.client.endpoint
    if endpoint is not None and endpoint.name == SANDBOX:
        from reconciler.sandbox import process  # noqa: PLC0415  (as above)

        with suppress(OSError, ValueError, LookupError):  # it has just ended, which the next call will show
            return float(process.control(endpoint.url, "clock")["now"])
    return time.time() + session.client.skew


def lock_place(session: Session) -> str:
    """The environment and where it is: ``prod in account 123456789012 (eu-west-1)``."""
    where = ", ".join(filter(None, (session.scope.region, session.mask.line(session.client.elsewhere()))))
    return f"{session.env.name} in account {session.scope.account} ({where})"
