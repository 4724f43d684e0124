"""Whether a failed attempt is retried: the rules of `retryStrategy`, and its valid values.

Source: https://docs.aws.amazon.com/batch/latest/userguide/job_retries.html and
https://docs.aws.amazon.com/batch/latest/APIReference/API_EvaluateOnExit.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from reconciler.model.patterns import regex
from reconciler.sandbox.batch.messages import Invalid
from reconciler.sandbox.batch.settings import Outcome
from reconciler.sandbox.batch.store import Json

_EXIT_CODE = regex(r"\d*\*?", re.ASCII)
_TEXT = regex(r"[0-9A-Za-z.:\s]*\*?", re.ASCII)
_PRINTABLE = regex(r"[ -~]*", re.ASCII)
CONDITIONS = ("onExitCode", "onReason", "onStatusReason")


def checked(given: Json | None, *, service_job: bool = False) -> Json | None:
    """A `retryStrategy` as Describe returns it; raises `Invalid`."""
    if given is None:
        return None
    if "attempts" not in given:
        raise Invalid("RetryAttempts must be provided with retry strategy.")
    if not 1 <= given["attempts"] <= 10:
        raise Invalid("RetryAttempts must be between 1 and 10.")
    entries = given.get("evaluateOnExit", [])
    if len(entries) > 5:
        raise Invalid("A maximum of 5 evaluateOnExit entries is supported.")
    return {
        **given,
        "evaluateOnExit": [_entry(entry, service_job=service_job) for entry in entries],
    }


def _entry(given: Json, *, service_job: bool) -> Json:
    action = given.get("action", "")
    if action.upper() not in ("RETRY", "EXIT"):
        raise Invalid(f"Action {action} is not valid: it should be RETRY or EXIT.")
    stated = [condition for condition in CONDITIONS if condition in given]
    if not stated:
        raise Invalid("EvaluateOnExit should contain at least one of onExitCode, onReason or onStatusReason")
    for condition in stated:
        if len(given[condition]) > 512:
            raise Invalid("Evaluate on exit condition cannot exceed 512 characters.")
        pattern = _PRINTABLE if service_job else _EXIT_CODE if condition == "onExitCode" else _TEXT
        if not given[condition] or not pattern.fullmatch(given[condition]):
            raise Invalid("Evaluate on exit condition contains restricted characters.")
    return {**given, "action": action.lower()}


def again(strategy: Mapping[str, Any] | None, attempt: int, outcome: Outcome) -> bool:
    """Whether the job becomes RUNNABLE again after attempt number `attempt` (from 1) ended with `outcome`.

    Timeouts and terminations are not evaluated here. The first entry whose conditions all match decides; if none does,
    the job is retried.
    """
    if outcome.exit_code == 0:
        return False
    if strategy is None or attempt >= strategy["attempts"]:
        return False
    entries: Sequence[Mapping[str, str]] = strategy.get("evaluateOnExit", [])
    for entry in entries:
        if all(_matches(entry[one], _seen(one, outcome)) for one in CONDITIONS if one in entry):
            return entry["action"].upper() == "RETRY"
    return True


def _seen(condition: str, outcome: Outcome) -> str | None:
    if condition == "onExitCode":
        return None if outcome.exit_code is None else str(outcome.exit_code)
    return outcome.reason if condition == "onReason" else outcome.status_reason


def _matches(pattern: str, text: str | None) -> bool:
    """A lone `*` also matches a missing text: AWS's own examples end with `onReason: "*"` to match the rest."""
    if pattern == "*":
        return True
    if text is None:
        return False
    return text.startswith(pattern[:-1]) if pattern.endswith("*") else text == pattern
