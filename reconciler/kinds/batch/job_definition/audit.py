"""What an audit looks for in job definitions, in the newest revision of each.

https://docs.aws.amazon.com/batch/latest/userguide/best-practices.html
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from reconciler.kinds.batch import _jobs as jobs
from reconciler.kinds.batch.job_definition import dependents
from reconciler.kinds.batch.job_definition.checks import check
from reconciler.kinds.batch.job_definition.container_checks import looks_secret
from reconciler.kinds.common.declared import mapping
from reconciler.model import Finding, Json, Live, Path, Reads
from reconciler.model import problem_codes as codes
from reconciler.model.audit import Audit, Audited, AuditFinding, AuditSeverity, at_once, seen
from reconciler.model.masking import SENSITIVE, private_name

SECTION: Final = "jobDefinitions"
DESCRIBE: Final = "batch:DescribeJobDefinitions"
MANY, VERY_MANY = 200, 1000
_FROM_CHECKS: Final[Mapping[str, AuditSeverity]] = {
    codes.CLEAR_TEXT_SECRET: "warning",
    codes.PRIVILEGED: "advice",
    codes.NO_TIMEOUT: "advice",
}
# what finds the event rules and schedules that start jobs
_STARTED_BY: Final = (
    *("batch:DescribeJobQueues", "events:ListEventBuses", "events:ListRules", "events:ListTargetsByRule"),
    *("events:ListRuleNamesByTarget", "scheduler:ListSchedules", "scheduler:GetSchedule"),
)
_IN_RETRIES: Final = "evaluateOnExit"


def checked(live: Live, _: Audited) -> Iterator[AuditFinding]:
    """What `validate` says of such a declaration too: secrets, privileged containers, no timeout."""
    for found in check(live.attrs["name"], live.props):
        severity = _FROM_CHECKS.get(found.code)
        if severity is not None:
            secret = found.code == codes.CLEAR_TEXT_SECRET
            yield _finding(found.code, severity, found, SENSITIVE if secret else _value(live.props, found.path))


def retries(live: Live, _: Audited) -> Iterator[AuditFinding]:
    """Retry rules that match nothing, or are never reached."""
    for found in check(live.attrs["name"], live.props):
        if _IN_RETRIES not in found.path or not found.warning or found.code == codes.NO_CATCH_ALL:
            continue
        code = found.code if found.code == codes.UNREACHABLE_RULE else codes.RULE_NEVER_MATCHES
        yield _finding(code, "warning", found, _value(live.props, found.path))


def elsewhere(live: Live, _: Audited) -> Iterator[AuditFinding]:
    """Secrets and privileges where `validate` does not look: parameters, log options, pods of Amazon EKS."""
    for path, value in _leaves(live.props, ()):
        name, where = str(path[-1]), str(path[-2]) if len(path) > 1 else ""
        if isinstance(value, str) and where in ("options", "parameters") and name != "splunk-token":
            if looks_secret(name if private_name(name) else "", value):
                yield _secret(path, f"{where}.{name} looks like a secret, and is in plain text here")
        elif isinstance(value, str) and name == "value" and "podProperties" in path:
            variable = str(_value(live.props, (*path[:-1], "name")))
            if looks_secret(variable, value):
                yield _secret(path, f"{variable} looks like a secret, and is in plain text here")
        elif value is True and name == "privileged" and where == "securityContext":
            why, hint = "a privileged container has the rights of root on its host", "leave privileged out"
            yield _finding(codes.PRIVILEGED, "advice", Finding(path, why, hint), True)


def _secret(path: Path, why: str) -> AuditFinding:
    hint = "store it in a secret, and refer to that"
    return _finding(codes.CLEAR_TEXT_SECRET, "warning", Finding(path, why, hint), SENSITIVE)


def unpinned(live: Live, _: Audited) -> Iterator[AuditFinding]:
    """Images without a tag or digest, or with the tag latest."""
    images = ((path, value) for path, value in _leaves(live.props, ()) if path[-1] == "image")
    for path, image in images:
        if not isinstance(image, str) or not image:
            continue
        name, at, _digest = image.partition("@")
        tag = name.rpartition("/")[2].partition(":")[2]
        if not at and tag in ("", "latest") and "Ref::" not in image:
            why = (
                f"image {image} has {'the tag latest' if tag else 'no tag'}: what it means may change between two jobs"
            )
            hint = "name a version, or the digest (image: NAME@sha256:...)"
            yield _finding(codes.UNPINNED_IMAGE, "advice", Finding(path, why, hint), image)


def revisions(live: Live, audited: Audited) -> Iterator[AuditFinding]:
    """A great many ACTIVE revisions of one name."""
    if "revisions" not in audited.memo:
        audited.memo["revisions"] = Counter(one.attrs["name"] for one in audited.lives.get(SECTION, ()))
    count = audited.memo["revisions"][live.attrs["name"]]
    if count >= MANY:
        why = f"has {count:,} ACTIVE revisions"
        hint = "deregister the old ones; `lifecycle: {keepRevisions: N}` does that for a declared definition"
        yield AuditFinding(
            code=codes.MANY_REVISIONS,
            severity="warning" if count >= VERY_MANY else "advice",
            message=why,
            hint=hint,
            evidence=(seen(DESCRIBE, "jobDefinitions (ACTIVE, of this name)", count),),
        )


def unused(live: Live, audited: Audited) -> Reads[Sequence[AuditFinding]]:
    """A definition of which AWS Batch lists no job, and that no event rule or schedule starts jobs with."""
    if "jobQueues" not in audited.complete:
        return ()
    if "used" not in audited.memo:
        queues = [one for one in audited.lives.get("jobQueues", ()) if not one.props.get("serviceEnvironmentOrder")]
        audited.memo["used"] = yield from jobs.definitions_used(sorted(one.attrs["arn"] for one in queues))
    used, whole = audited.memo["used"]
    if not whole or live.attrs["name"] in used:
        return ()
    for starting in (dependents.rules, dependents.scheduled):
        if (yield from starting(audited.scope, [live], {})).get(live.physical):
            return ()
    return [
        AuditFinding(
            code=codes.NO_RECENT_JOBS,
            severity="advice",
            message="no queue lists a job of it, and no event rule or schedule starts any",
            hint="deregister it if it is not needed; jobs are listed for at least 7 days after they end",
            evidence=(seen(jobs.LIST, "jobSummaryList[].jobDefinition", []),),
        )
    ]


def _finding(code: codes.ProblemCode, severity: AuditSeverity, found: Finding, value: Any) -> AuditFinding:
    proof = seen(DESCRIBE, found.path or "timeout", value)
    return AuditFinding(code=code, severity=severity, message=found.message, hint=found.hint, evidence=(proof,))


def _leaves(value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    """Every value that is neither a mapping nor a list, with its path."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from _leaves(item, (*path, name))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _leaves(item, (*path, index))
    elif path:
        yield path, value


def _value(props: Json, path: Path) -> Any:
    found: Any = props
    for part in path:
        try:
            found = found[part] if isinstance(part, int) else mapping(found).get(str(part))
        except (IndexError, KeyError, TypeError):
            return None
    return None if path == () else found


AUDIT: Final = Audit(
    shown_by=DESCRIBE,
    everything=True,
    rules=(at_once(checked), at_once(elsewhere), at_once(retries), at_once(unpinned), at_once(revisions), unused),
    reads=(DESCRIBE,),
    actions=(jobs.LIST, *_STARTED_BY),
)
