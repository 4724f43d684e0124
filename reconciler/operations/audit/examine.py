"""An audit: reads the account, and looks at each object by the rules of its kind and those that hold for all kinds."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from functools import partial
from typing import Final

from reconciler.account.reader import Reader
from reconciler.model import Aws, Kind, Live, Scope, Unreadable
from reconciler.model import problem_codes as codes
from reconciler.model.audit import Audited, AuditFinding, AuditReport, Reported, Rule, Unread, name_in, seen
from reconciler.model.paths import as_written
from reconciler.operations.audit import account, ownership
from reconciler.operations.audit.account import Estate

_WORST_FIRST: Final = ("error", "warning", "advice")


def examine(
    aws: Aws, kinds: Mapping[str, Kind], scope: Scope, now: float, known: Collection[str] = (), *, parallelism: int = 16
) -> AuditReport:
    """Audit the account of ``scope``. ``now`` is in seconds since the epoch; ``known`` are the environments at hand.

    Refused reads are in the report; any other error is raised.
    """
    reader = Reader(aws, parallelism=parallelism)
    try:
        estate = account.read(reader, kinds, scope)
        audited = estate.audited(now)
        found = [*_general(estate, known)]
        refused = [*estate.refused]
        for section, live, result in _ruled(reader, estate, audited):
            if isinstance(result, Unreadable):
                refused.append((section, result))
            else:
                found += [(section, live, finding) for finding in result]
    finally:
        reader.close()
    findings = sorted((_reported(kinds[section], live, finding) for section, live, finding in found), key=_order)
    return AuditReport(
        account=scope.account,
        region=scope.region,
        findings=tuple(findings),
        unread=_unread(refused, kinds),
        audited={section: len(estate.newest(section)) for section in sorted(estate.lives)},
        nouns={section: kinds[section].name for section in estate.lives},
    )


def _ruled(
    reader: Reader, estate: Estate, audited: Audited
) -> Iterator[tuple[str, Live, tuple[AuditFinding, ...] | Unreadable]]:
    """What each rule says of each object, or the refusal of what it reads."""
    jobs = {}
    for section in estate.lives:
        audit = estate.kinds[section].audit
        for live in estate.newest(section) if audit else ():
            for number, rule in enumerate(audit.rules if audit else ()):
                jobs[section, live.identity, number] = (live, partial(_drive, reader, rule, live, audited))
    results = reader.run_all({key: job for key, (_, job) in jobs.items()})
    for key, result in results.items():
        if isinstance(result, BaseException) and not isinstance(result, Unreadable):
            raise result
        yield key[0], jobs[key][0], result


def _drive(reader: Reader, rule: Rule, live: Live, audited: Audited) -> tuple[AuditFinding, ...]:
    return tuple(reader.drive(rule(live, audited)))


# --- what holds for every kind ---------------------------------------------------------------------------------------


def _general(estate: Estate, known: Collection[str]) -> Iterator[tuple[str, Live, AuditFinding]]:
    for section in [*estate.lives]:
        kind = estate.kinds[section]
        for live in estate.newest(section):
            yield from ((section, live, finding) for finding in _invalid(kind, live))
            yield from ((section, live, finding) for finding in _dangling(estate, kind, live))
            if kind.audit and kind.audit.everything:
                yield from ((section, live, finding) for finding in _unreferenced(estate, kind, live))
                yield from ((section, live, finding) for finding in ownership.findings(kind, live, known))


def _invalid(kind: Kind, live: Live) -> Iterator[AuditFinding]:
    if not live.invalid or kind.audit is None:
        return
    call, cause = kind.audit.shown_by, next((one for one in kind.audit.causes() if one.matches(live.reason)), None)
    yield AuditFinding(
        code=codes.INVALID_RESOURCE,
        severity="error",
        message=f"is INVALID: {live.reason}" if live.reason else "is INVALID",
        hint=" ".join(cause.advice.split()) if cause else "remove the cause, then update it: that makes it VALID again",
        evidence=(seen(call, "status", live.status), seen(call, "statusReason", live.reason)),
    )


def _dangling(estate: Estate, kind: Kind, live: Live) -> Iterator[AuditFinding]:
    if live.deleting or kind.audit is None:
        return
    for path, ref, value in estate.dangling(kind.section, live):
        target = estate.kinds[ref.section]
        shown = target.audit.shown_by if target.audit else ""
        yield AuditFinding(
            code=codes.DANGLING_REFERENCE,
            severity="error",
            message=f"{as_written(path)} names the {target.name} {name_in(value)}, which does not exist",
            hint=f"create the {target.name} again, or name another",
            evidence=(seen(kind.audit.shown_by, path, value), seen(shown, target.name, None)),
        )


def _unreferenced(estate: Estate, kind: Kind, live: Live) -> Iterator[AuditFinding]:
    audit = kind.audit
    if audit is None or not audit.users or live.deleting or estate.users(kind.section, live):
        return
    users = [other for other in estate.kinds.values() if other.name == audit.users]
    if not all(other.section in estate.complete for other in users):
        return
    calls = [
        seen(other.audit.shown_by, pattern, None)
        for other in users
        for pattern, ref in other.refs.items()
        if other.audit and kind.section in ref.sections
    ]
    yield AuditFinding(
        code=codes.UNREFERENCED,
        severity="advice",
        message=f"no {audit.users} refers to it",
        hint=f"delete it, or name it in a {audit.users}",
        evidence=tuple(calls[:1]),  # a definition has many places for the same
    )


# --- the report ------------------------------------------------------------------------------------------------------


def _reported(kind: Kind, live: Live, finding: AuditFinding) -> Reported:
    return Reported(
        section=kind.section,
        noun=kind.name,
        physical=live.physical,
        arn=live.attrs.get("arn", ""),
        owner=ownership.owner(live),
        finding=finding,
    )


def _order(one: Reported) -> tuple[int, str, str, str, str]:
    worst = _WORST_FIRST.index(one.finding.severity)
    return worst, one.finding.code, one.section, one.finding.message, one.physical


def _advice(error: Unreadable) -> str:
    more = "; `reconcile permissions --for audit` prints the whole policy" if error.refused.denied else ""
    return f"{error.advice}{more}"


def _unread(refused: list[tuple[str, Unreadable]], kinds: Mapping[str, Kind]) -> tuple[Unread, ...]:
    """One entry for each refused action, with the sections that it hides."""
    found: dict[str, tuple[Unreadable, dict[str, None]]] = {}
    for section, error in refused:
        found.setdefault(error.call.action, (error, {}))[1][kinds[section].name] = None
    return tuple(
        Unread(
            call=str(error.call),
            permission=error.call.action,
            why=f"{error.refused.code}: {error.refused.message}",
            about=", ".join(sorted(nouns)),
            advice=_advice(error),
        )
        for error, nouns in (found[action] for action in sorted(found))
    )
