"""What `reconcile audit` does, without a terminal: connects to an account without an environment, and audits it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from time import sleep
from typing import Final

from reconciler.config import files
from reconciler.kinds import discover
from reconciler.model import Aws, Call, Environment, Refused, Reply
from reconciler.model import problem_codes as codes
from reconciler.model.audit import AuditReport
from reconciler.model.problems import Problem, Problems
from reconciler.model.records import dataclass
from reconciler.operations import session
from reconciler.operations.audit.examine import examine
from reconciler.operations.masks import mask_of_environ
from reconciler.operations.session import Loaded, Location, Session

WAITS: Final = (1.0, 2.0, 4.0)  # seconds before a read is sent again


def connect(environ: Mapping[str, str], *, region: str | None, profile: str | None, sandbox: bool) -> Session:
    """The account of the credentials of ``environ``, or the sandbox's. Raises Problems."""
    env = Environment(name="", region=region, profile=profile)
    loaded = Loaded(Location(Path.cwd(), ""), env, (), mask_of_environ(environ))
    endpoint = session.sandbox_endpoint(env, environ, asked=sandbox)
    try:
        return session.connect(loaded, environ, endpoint=endpoint)
    except Problems as error:
        raise Problems(map(_without_environment, error.problems), exit_code=error.exit_code) from error


def _without_environment(problem: Problem) -> Problem:
    """The problem with a hint that needs no environment."""
    if problem.code != codes.NO_REGION:
        return problem
    return replace(problem, hint="pass --region, or set AWS_REGION, or `region` of the profile in ~/.aws/config")


def run(account: Session, cwd: Path) -> AuditReport:
    """Audit it. Where ``cwd`` is in a repository with environments, owners that are none of these are found."""
    now = session.now_at(account)
    patient = Patient(account.client, sleep)
    report = examine(patient, discover(), account.scope, now, environments_at_hand(cwd))
    return replace(report, endpoint=account.client.elsewhere())


@dataclass(frozen=True, slots=True)
class Patient:
    """Sends a read again that AWS did not process: CloudTrail serves two requests a second of all who ask."""

    aws: Aws
    sleep: Callable[[float], None]

    def call(self, call: Call) -> Reply:
        """The reply, or the last refusal."""
        for pause in WAITS:
            reply = self.aws.call(call)
            if not (isinstance(reply, Refused) and reply.not_processed):
                return reply
            self.sleep(pause)
        return self.aws.call(call)


def environments_at_hand(cwd: Path) -> frozenset[str]:
    """The names of the environments in the repository that ``cwd`` is in; none where one is an expression."""
    from reconciler.config import discovery  # noqa: PLC0415  (as in session)

    root = session.repository(cwd)
    found = {*files.environments(root), *files.environments(cwd)}
    names = frozenset(filter(None, (discovery.name_of_environment(target) for target in found)))
    return frozenset() if any("${" in name for name in names) else names
