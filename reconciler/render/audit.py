"""The report of `audit` as text, JSON, Markdown and SARIF. Findings that differ in the resource alone are one in text
and Markdown, so that one of its own kind is seen among hundreds.

https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from textwrap import wrap
from typing import Any, Final

from reconciler import __version__
from reconciler.model import compact
from reconciler.model.audit import AuditReport, AuditSeverity, Evidence, Reported
from reconciler.render import findings
from reconciler.render import json as as_json
from reconciler.render.markup import code, plain
from reconciler.render.mask import Mask
from reconciler.render.text import Paint, counted

FORMAT_VERSION: Final = "1.0"
WIDTH: Final = 100
LONGEST: Final = 120  # characters of a value that are shown as evidence, in text
MOST_NAMED: Final = 30  # names of one group that are listed
_LEVELS: Final = {"error": "error", "warning": "warning", "advice": "note"}
_SEVERITIES: Final[tuple[AuditSeverity, ...]] = ("error", "warning", "advice")


def grouped(report: AuditReport) -> list[Sequence[Reported]]:
    """The findings, those together that differ in the resource alone."""
    groups: dict[Any, list[Reported]] = {}
    for one in report.findings:
        found = one.finding
        groups.setdefault((found.severity, found.code, one.noun, found.message, found.hint), []).append(one)
    return [*groups.values()]


def summary(report: AuditReport) -> str:
    """The last line: what was found, where, and in how much."""
    where = f"account {report.account} ({', '.join(filter(None, (report.region, report.endpoint)))})"
    audited = [_number_of(count, report.nouns[section]) for section, count in report.audited.items() if count]
    counts = [(report.count(severity), severity) for severity in _SEVERITIES]
    words = [counted(n, noun) if noun != "advice" else f"{n} advice" for n, noun in counts if n]
    what = f"audited {', '.join(audited)}" if audited else "nothing of AWS Batch was found"
    if report.unread:
        what += f"; {counted(len(report.unread), 'read')} refused, so this is not all"
    return f"{', '.join(words) or 'No findings'} in {where}: {what}"


def _number_of(count: int, noun: str) -> str:
    return counted(count, noun if count == 1 or not noun.endswith("y") else f"{noun[:-1]}ie")


# --- text ------------------------------------------------------------------------------------------------------------


def text(report: AuditReport, mask: Mask, paint: Paint) -> str:
    """The whole report; its last line is the summary."""
    blocks = [_block(group, mask, paint) for group in grouped(report)]
    blocks += ["\n".join(_unread_lines(report, mask, paint))] if report.unread else []
    return "\n\n".join([*blocks, mask.line(summary(report))])


def _block(group: Sequence[Reported], mask: Mask, paint: Paint) -> str:
    first = group[0].finding
    head = f"{paint(f'{first.severity}[{first.code}]', first.severity)}: {paint(_resources(group, mask), 'bold')}"
    lines = [head, *_indented("", mask.lines(first.message))]
    lines += _indented("why:  ", first.code.meaning)
    lines += _indented("fix:  ", mask.lines(first.hint or first.code.fix))
    for proof in first.evidence:
        lines += _indented("seen: ", _evidence(proof, mask))
    if len(group) > 1:
        lines.append(f"  (seen of {mask.line(group[0].physical)}; --format json has it of each)")
    return "\n".join(lines)


def _resources(group: Sequence[Reported], mask: Mask) -> str:
    names = [mask.line(one.physical) for one in group]
    if len(names) == 1:
        return f"{group[0].noun} {names[0]}"
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return f"{_number_of(len(names), group[0].noun)}: {', '.join(names[:MOST_NAMED])}{more}"


def _indented(label: str, body: str) -> Iterator[str]:
    rest = " " * (2 + len(label))
    for number, line in enumerate(body.splitlines() or [""]):
        start = f"  {label}" if not number else rest
        yield from wrap(line.strip(), WIDTH, initial_indent=start, subsequent_indent=rest, break_on_hyphens=False) or []


def _evidence(proof: Evidence, mask: Mask) -> str:
    shown = "nothing" if proof.value in (None, []) else _value(proof, mask)
    shown = shown if len(shown) <= LONGEST else f"{shown[:LONGEST]}..."
    return mask.line(f"{proof.call} {proof.field} = {shown}")


def _value(proof: Evidence, mask: Mask) -> str:
    value = mask.value(proof.value)
    return value if isinstance(value, str) else compact(value)


def _unread_lines(report: AuditReport, mask: Mask, paint: Paint) -> Iterator[str]:
    yield paint("Not read:", "bold")
    for one in report.unread:
        yield from _indented("", mask.line(f"{one.call} ({one.about}): {one.why}"))
        yield f"    {mask.line(one.advice)}"


# --- JSON ------------------------------------------------------------------------------------------------------------


def document(report: AuditReport, mask: Mask, *, timestamp: str) -> dict[str, Any]:
    """The report as JSON; its schema is schemas/audit.schema.json."""
    return {
        "format_version": FORMAT_VERSION,
        "reconcile_version": __version__,
        "timestamp": timestamp,
        "account": report.account,
        "region": report.region,
        "findings": [_entry(one, mask) for one in report.findings],
        "unread": [
            {"call": one.call, "permission": one.permission, "message": mask.line(one.why)} for one in report.unread
        ],
        "audited": dict(report.audited),
        "summary": {severity: report.count(severity) for severity in _SEVERITIES},
    }


def _entry(one: Reported, mask: Mask) -> dict[str, Any]:
    found = one.finding
    return {
        "code": str(found.code),
        "severity": found.severity,
        "section": one.section,
        "physical_name": mask.line(one.physical),
        "arn": mask.line(one.arn),
        "owner": mask.line(one.owner) or None,
        "message": mask.text(found.message),
        "why": found.code.meaning,
        "hint": mask.text(found.hint or found.code.fix),
        "evidence": [
            {"call": proof.call, "field": proof.field, "value": mask.value(proof.value)} for proof in found.evidence
        ],
    }


# --- Markdown --------------------------------------------------------------------------------------------------------


def markdown(report: AuditReport, mask: Mask) -> str:
    """The report for a comment, an issue or a page; the summary comes first."""
    lines = ["## Audit", "", plain(mask.line(summary(report))), ""]
    for one in report.unread:
        lines.append(f"> **Not read**: {plain(mask.line(f'{one.call} ({one.about}): {one.why}'))}")
        lines += [f"> Fix: {plain(mask.line(one.advice))}", ""]
    for severity in _SEVERITIES:
        groups = [group for group in grouped(report) if group[0].finding.severity == severity]
        if groups:
            lines += [f"### {severity.capitalize()}", ""]
            lines += [line for group in groups for line in (*_section(group, mask), "")]
    return "\n".join(lines).rstrip()


def _section(group: Sequence[Reported], mask: Mask) -> Iterator[str]:
    first = group[0].finding
    yield f"- **{plain(_resources(group, mask))}** {plain(mask.line(first.message))} ({code(str(first.code))})"
    yield f"  - Why: {plain(first.code.meaning)}"
    yield f"  - Fix: {plain(mask.line(first.hint or first.code.fix))}"
    for proof in first.evidence:
        yield f"  - Seen: {code(_evidence(proof, mask))}"


# --- SARIF -----------------------------------------------------------------------------------------------------------


def sarif(report: AuditReport, mask: Mask) -> str:
    """A SARIF log. A live resource is in no file; hosts want one, so its place is ``account/Region/section/name``."""
    rules = list(dict.fromkeys(one.finding.code for one in report.findings))
    seen: Counter[str] = Counter()
    results = []
    for one in report.findings:
        identity = mask.text(f"{one.finding.code}\0{_place(one, report)}\0{one.finding.evidence[0].field}")
        seen[identity] += 1
        fingerprint = hashlib.sha256(f"{identity}\0{seen[identity]}".encode()).hexdigest()
        results.append(_result(one, report, rules.index(one.finding.code), fingerprint, mask))
    notes = [
        {"level": "error", "message": {"text": mask.line(f"{one.call}: {one.why}; {one.advice}")}}
        for one in report.unread
    ]
    run = {
        "tool": {"driver": {**findings.driver(), "rules": [findings.rule(one) for one in rules]}},
        "automationDetails": {"id": f"reconcile-audit/{report.account}/{report.region}/"},
        "invocations": [{"executionSuccessful": not notes, "toolExecutionNotifications": notes}],
        "columnKind": "unicodeCodePoints",
        "results": results,
    }
    return as_json.dumps({"$schema": findings.SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2)


def _place(one: Reported, report: AuditReport) -> str:
    return f"{report.account}/{report.region}/{one.section}/{one.physical.partition(':')[0]}"


def _result(one: Reported, report: AuditReport, rule: int, fingerprint: str, mask: Mask) -> dict[str, Any]:
    found = one.finding
    message = mask.text(f"{one.noun} {one.physical}: {found.message}\n{found.hint or found.code.fix}")
    place = {
        "physicalLocation": {
            "artifactLocation": {"uri": findings.uri(mask.line(_place(one, report)))},
            "region": {"startLine": 1},
        },
        "logicalLocations": [{"fullyQualifiedName": mask.line(one.arn or one.physical), "kind": "resource"}],
    }
    return {
        "ruleId": str(found.code),
        "ruleIndex": rule,
        "level": _LEVELS[found.severity],
        "message": {"text": message.replace("[", "\\[").replace("]", "\\]") if "](" in message else message},
        "locations": [place],
        "partialFingerprints": {"reconcileFinding/v1": fingerprint},
    }
