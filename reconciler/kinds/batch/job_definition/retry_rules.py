"""What AWS Batch does with an attempt that has ended: the rules of ``retryStrategy``, as pure functions.

In this order:

1. A job that timed out, was cancelled or terminated, or whose dependency failed, is FAILED; no entry is evaluated.
2. Exit code 0 is success; no entry is evaluated.
3. The last of ``attempts`` (1 by default) decides by itself: the job is FAILED.
4. The first entry of ``evaluateOnExit`` all of whose conditions match decides: RETRY or EXIT.
5. If none matches, or there is none, the job is retried.

A pattern is a text, or a beginning if it ends with ``*``. ``onExitCode`` is compared with the exit code in decimal,
``onReason`` with the container's ``reason``, ``onStatusReason`` with the attempt's ``statusReason``.

AWS does not document all of this. What is assumed is a :class:`Rule`; a decision that another belief would change says
on which of them it rests.

https://docs.aws.amazon.com/batch/latest/userguide/job_retries.html
https://docs.aws.amazon.com/batch/latest/userguide/job_timeouts.html
https://docs.aws.amazon.com/batch/latest/APIReference/API_EvaluateOnExit.html
https://docs.aws.amazon.com/batch/latest/APIReference/API_RetryStrategy.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from typing import Any, Final

from reconciler.kinds.batch.job_definition import outcomes
from reconciler.model.attempts import Cause, Decision, Ending, Verdict
from reconciler.model.records import dataclass
from reconciler.model.values import Json

CONDITIONS: Final = ("onExitCode", "onReason", "onStatusReason")


class Rule(StrEnum):
    """What AWS does not document, in the words that users read."""

    MISSING_TEXT = '"*" is assumed to match a missing reason: AWS\'s examples end with onReason: "*" for the rest'
    MISSING_CODE = 'onExitCode: "*" is assumed to match a missing exit code'
    CASE = "matching is assumed to be case-sensitive: AWS speaks of an exact match"
    ORDER = "the first entry that matches is assumed to decide: AWS's examples put the entry for the rest last"
    ZERO = "exit code 0 is assumed to be success whatever the entries are: AWS speaks of failed jobs only"
    CONTAINERS = "AWS does not document which of several containers gives the exit code and the reason"


# How AWS Batch begins the statusReason of ends that no entry sees.
# https://docs.aws.amazon.com/batch/latest/userguide/job_timeouts.html and public reports
CAUSE_TEXTS: Final = (
    (outcomes.TIMED_OUT, Cause.timeout),
    (outcomes.NO_DEPENDENCY, Cause.dependency),
    ("Canceled by JobStateTimeLimit action", Cause.cancelled),
)

_ENDED: Final = {
    Cause.timeout: "a timeout ends the job, even with attempts left",
    Cause.cancelled: "a cancelled job is not retried",
    Cause.terminated: "a terminated job is not retried",
    Cause.dependency: "a job whose dependency failed is not retried",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Beliefs:
    """One possible reading of what AWS does not document."""

    missing_text: bool = True
    missing_code: bool = True
    case: bool = True
    first: bool = True


_OURS: Final = _Beliefs()
_OTHERS: Final = {
    Rule.MISSING_TEXT: replace(_OURS, missing_text=False),
    Rule.MISSING_CODE: replace(_OURS, missing_code=False),
    Rule.CASE: replace(_OURS, case=False),
    Rule.ORDER: replace(_OURS, first=False),
}


def attempts_of(strategy: Any) -> int:
    """How often a job may run in all: 1 without a strategy."""
    given = strategy.get("attempts") if isinstance(strategy, Mapping) else None
    return given if isinstance(given, int) and not isinstance(given, bool) else 1


def entries_of(strategy: Any) -> Sequence[Json]:
    """The entries of ``evaluateOnExit``, in order."""
    given = strategy.get("evaluateOnExit") if isinstance(strategy, Mapping) else None
    return [entry if isinstance(entry, Mapping) else {} for entry in given] if isinstance(given, list | tuple) else []


def stated(entry: Json) -> dict[str, str]:
    """The conditions of an entry, without those that are empty or not known yet."""
    return {name: entry[name] for name in CONDITIONS if isinstance(entry.get(name), str) and entry[name]}


def action_of(entry: Json) -> str:
    """``RETRY`` or ``EXIT``: case does not matter to AWS."""
    return str(entry.get("action", "")).upper()


def decide(strategy: Any, ending: Ending, attempt: int = 1, *, containers: int = 1) -> Decision:
    """What AWS Batch does after attempt number ``attempt`` (from 1) of a job whose attempt has so many containers."""
    cause, zero = ending.cause or cause_of(ending.status_reason), ending.exit_code == 0
    entries, attempts = entries_of(strategy), attempts_of(strategy)
    if cause is not None:
        return Decision(verdict=Verdict.EXIT, because=_ENDED[cause])
    if zero:
        doubtful = bool(entries) and attempt < attempts
        return Decision(
            verdict=Verdict.SUCCEEDED, because="exit code 0 is success", assumed=(Rule.ZERO,) if doubtful else ()
        )
    if attempt >= attempts:
        return Decision(verdict=Verdict.EXIT, because=f"no attempts are left: this was {attempt} of {attempts}")
    found = _matching(entries, ending, _OURS)
    verdict = _verdict(entries, found)
    doubts = tuple(rule for rule, other in _OTHERS.items() if _differs(rule, entries, ending, other, found))
    if containers > 1 and any(name in stated(entry) for entry in entries[: _seen(found)] for name in CONDITIONS[:2]):
        doubts = (*doubts, Rule.CONTAINERS)
    if found is None:
        why = (
            "no entry matches, and such a failure is retried" if entries else "without entries, any failure is retried"
        )
        return Decision(verdict=verdict, because=why, assumed=doubts)
    conditions = ", ".join(f'{name}: "{pattern}"' for name, pattern in stated(entries[found]).items())
    return Decision(verdict=verdict, entry=found, because=f"entry {found} matches: {conditions}", assumed=doubts)


def compared(condition: str, ending: Ending) -> str | None:
    """What ``condition`` is compared with; None where AWS left it out."""
    if condition == "onExitCode":
        return None if ending.exit_code is None else str(ending.exit_code)
    return (ending.reason if condition == "onReason" else ending.status_reason) or None


def cause_of(status_reason: str | None) -> Cause | None:
    """The end that no entry sees and that AWS Batch describes with ``status_reason``."""
    return next((cause for begin, cause in CAUSE_TEXTS if (status_reason or "").startswith(begin)), None)


def entry_matches(entry: Json, ending: Ending) -> bool:
    """Whether every condition of ``entry`` matches; never without a condition, which AWS refuses."""
    return _entry_matches(entry, ending, _OURS)


def matches(pattern: str, text: str | None) -> bool:
    """Whether ``pattern`` matches ``text``; only a lone ``*`` matches a missing text."""
    if text is None:
        return pattern == "*"
    return text.startswith(pattern[:-1]) if pattern.endswith("*") else text == pattern


def covers(one: Json, other: Json) -> bool:
    """Whether entry ``one`` matches every failure that ``other`` matches; ``{}`` is any failure."""
    conditions, narrower = stated(one), stated(other)
    if not conditions or not _known(one):
        return False
    return all(_covers(name, pattern, narrower.get(name)) for name, pattern in conditions.items())


def catches_all(entry: Json) -> bool:
    """Whether ``entry`` matches every failure."""
    return covers(entry, {})


def _known(entry: Json) -> bool:
    """Whether every condition of ``entry`` is a text: an expression matches nothing that could be named."""
    return all(isinstance(entry.get(name), str) for name in CONDITIONS if entry.get(name) is not None)


def _for_the_rest(entry: Json) -> bool:
    return set(stated(entry).values()) == {"*"}


def _covers(name: str, pattern: str, other: str | None) -> bool:
    """Whether ``pattern`` matches what ``other`` does; AWS may not let ``*`` match a missing exit code."""
    if pattern == "*" and name != "onExitCode":
        return True
    if other is None:
        return False
    if pattern.endswith("*"):
        return other.removesuffix("*").startswith(pattern[:-1])
    return pattern == other


def _seen(found: int | None) -> int | None:
    return None if found is None else found + 1


def _matching(entries: Sequence[Json], ending: Ending, beliefs: _Beliefs) -> int | None:
    found = [index for index, entry in enumerate(entries) if _entry_matches(entry, ending, beliefs)]
    return (found[0] if beliefs.first else found[-1]) if found else None


def _verdict(entries: Sequence[Json], found: int | None) -> Verdict:
    return Verdict.EXIT if found is not None and action_of(entries[found]) == "EXIT" else Verdict.RETRY


def _differs(rule: Rule, entries: Sequence[Json], ending: Ending, other: _Beliefs, found: int | None) -> bool:
    """Whether another entry decides if ``other`` holds. That an entry for the rest comes last is documented."""
    if rule is Rule.ORDER:
        entries = [{} if _for_the_rest(entry) and index != found else entry for index, entry in enumerate(entries)]
    return _matching(entries, ending, other) != found


def _entry_matches(entry: Json, ending: Ending, beliefs: _Beliefs) -> bool:
    conditions = stated(entry)
    return (
        bool(conditions)
        and _known(entry)
        and all(
            _condition_matches(name, pattern, compared(name, ending), beliefs) for name, pattern in conditions.items()
        )
    )


def _condition_matches(name: str, pattern: str, text: str | None, beliefs: _Beliefs) -> bool:
    if text is None and not (beliefs.missing_code if name == "onExitCode" else beliefs.missing_text):
        return False
    if not beliefs.case and text is not None:
        pattern, text = pattern.lower(), text.lower()
    return matches(pattern, text)
