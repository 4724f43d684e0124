"""What an audit looks for: findings about what is live, of every owner, and the rules of a kind that make them.

A rule is a read (a generator of calls): it is pure, equal calls of several rules are made once, and a refused one
limits that rule alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field
from typing import Any, Literal, TypeAlias

from reconciler.model import problem_codes as codes

from .paths import as_written
from .records import dataclass
from .resources import Live, Sought
from .steps import Call, Cause, Reads
from .values import Path, Scope

AuditSeverity: TypeAlias = Literal["error", "warning", "advice"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What a reply shows: the IAM name of the call (``batch:DescribeJobQueues``), a member of the reply, its value."""

    call: str
    field: str
    value: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFinding:
    """One finding about a live object. Neither ``message`` nor ``hint`` names it: equal findings are shown as one.

    ``code.meaning`` says why it matters. A value of ``evidence`` **must not** be a secret.
    """

    code: codes.ProblemCode
    severity: AuditSeverity
    message: str
    hint: str
    evidence: tuple[Evidence, ...]


@dataclass(frozen=True, slots=True)
class User:
    """A live object that refers to another at ``path``."""

    section: str
    live: Live
    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Audited:
    """What was read of the account, for rules that look at several objects. ``now`` is in seconds since the epoch.

    ``users`` and ``find`` take a section first: the users of a live object of it, and the object of it that a name or
    an ARN means (None: there is none, or it was not read). ``complete`` are the sections read as a whole. ``memo``
    caches what rules compute for several objects.
    """

    scope: Scope
    now: float
    lives: Mapping[str, Sequence[Live]]
    complete: frozenset[str]
    users: Callable[[str, Live], Sequence[User]]
    find: Callable[[str, Any], Live | None]
    memo: dict[str, Any] = field(default_factory=dict)


Rule: TypeAlias = Callable[[Live, Audited], Reads[Sequence[AuditFinding]]]


def name_in(value: str) -> str:
    """The name in an ARN, without the path before it; a name itself."""
    return value.rpartition(":")[2].rpartition("/")[2] if value.startswith("arn:") else value


def named(value: str) -> Sought:
    """What a read needs to find what an ARN or a name means."""
    return Sought(name_in(value))


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """What is to know about a kind for an audit.

    shown_by     the call whose reply has its properties, as evidence: ``batch:DescribeJobQueues``
    everything   all of the account are audited; else only those that audited objects refer to
    rules        what to look for in one; of a versioned kind, in its newest revision
    causes       known reasons why one is INVALID
    users        what should refer to each (``job queue``): one that nothing refers to is unused; empty: nothing need
    actions      the IAM actions of ``rules``
    reads        the IAM actions of reading those that are audited
    sought       an ARN or a name -> what a read needs to find it; by default its name without a path
    """

    shown_by: str
    everything: bool = False
    rules: tuple[Rule, ...] = ()
    causes: Callable[[], tuple[Cause, ...]] = tuple
    users: str = ""
    actions: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    sought: Callable[[str], Sought] = named


def at_once(find: Callable[[Live, Audited], Iterable[AuditFinding]]) -> Rule:
    """A rule that needs no further reads."""

    def rule(live: Live, audited: Audited) -> Reads[Sequence[AuditFinding]]:
        yield from ()
        return [*find(live, audited)]

    return rule


def seen(call: Call | str, path: Path | str, value: Any) -> Evidence:
    """Evidence from the reply to ``call``."""
    action = call if isinstance(call, str) else call.action
    return Evidence(call=action, field=path if isinstance(path, str) else as_written(path), value=value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """A finding with what it is about. ``owner`` is what its tags say manages it: ``environment prod``; or empty."""

    section: str
    noun: str
    physical: str
    arn: str
    owner: str
    finding: AuditFinding


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """A read that AWS refused: what it would have shown is not in the report. ``advice`` is what to do about it."""

    call: str
    permission: str
    why: str
    about: str
    advice: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditReport:
    """The result of an audit: findings, worst first; what could not be read; how many of each section were audited.

    ``endpoint`` is what was asked in place of AWS, in words; empty for AWS itself.
    """

    account: str
    region: str
    findings: tuple[Reported, ...]
    unread: tuple[Unread, ...]
    audited: Mapping[str, int]
    nouns: Mapping[str, str]
    endpoint: str = ""

    def count(self, severity: AuditSeverity) -> int:
        """The findings of a severity."""
        return sum(one.finding.severity == severity for one in self.findings)
