"""Retry strategies: their canonical form, and checks for what AWS would refuse and what is probably a mistake.

What the entries of ``evaluateOnExit`` mean is in :mod:`.retry_rules`. A pattern may contain only letters, digits,
``.``, ``:`` and white space.

https://docs.aws.amazon.com/batch/latest/APIReference/API_RetryStrategy.html
https://docs.aws.amazon.com/batch/latest/userguide/job_retries.html
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

from reconciler.kinds.batch.job_definition import outcomes, retry_rules, rule_sets
from reconciler.kinds.batch.job_definition.container_checks import EC2, FARGATE
from reconciler.kinds.common.declared import as_int, as_text, entries, is_given, items
from reconciler.kinds.common.repeated import once_for_each
from reconciler.model import Field, Finding, Json, Path
from reconciler.model import problem_codes as codes
from reconciler.model.patterns import regex

CONDITIONS = retry_rules.CONDITIONS
ACTIONS = ("RETRY", "EXIT")
MOST_ENTRIES = 5
LONGEST = 512
WINDOWS = "WINDOWS"  # its exit codes have 32 bits

_ALLOWED = {"onExitCode": regex(r"[0-9]"), "onReason": regex(r"[A-Za-z0-9.:\s]")}
_ALLOWED["onStatusReason"] = _ALLOWED["onReason"]

WHOLE_TEXTS = (outcomes.EXITED, outcomes.NOT_STARTED, outcomes.TIMED_OUT, outcomes.NO_DEPENDENCY)
_SHORTEST = 4  # characters of a beginning that is compared with the texts of AWS Batch


@lru_cache(maxsize=8)
def _known(platform: str) -> tuple[tuple[str, str], ...]:
    """The beginnings of the texts of AWS Batch and Amazon ECS, each after the condition that matches it.

    What Fargate cannot initialize is the reason of the task, what the agent on an instance cannot is the container's.
    An image that Fargate cannot pull has been reported as the reason of the task, too.
    """
    known = [("onStatusReason", text) for text in outcomes.STATUS_REASONS]
    known += [("onStatusReason", text) for text, _ in retry_rules.CAUSE_TEXTS if text not in outcomes.STATUS_REASONS]
    known += [("onReason", text) for text in outcomes.REASONS]
    if platform in (EC2, FARGATE, WINDOWS):
        known.append(("onReason" if platform == EC2 else "onStatusReason", outcomes.NOT_INITIALIZED))
    if platform in (FARGATE, WINDOWS):
        known += [("onStatusReason", text) for text in outcomes.REASONS if text.startswith(outcomes.PULL)]
    return tuple(known)


def _upper(value: Any) -> Any:
    return value.upper() if isinstance(value, str) else value


def _without_default(value: Any) -> Any:
    """None for one attempt without rules, the default; other strategies are unchanged."""
    plain = isinstance(value, Mapping) and not value.get("evaluateOnExit")
    return None if plain and value.get("attempts") in (None, 1) else value


def _without_empty(value: Any) -> Any:
    return None if value == "" else value


FIELDS = {
    "retryStrategy": Field(normalize=_without_default),
    "retryStrategy.evaluateOnExit[].action": Field(normalize=_upper),
    **{f"retryStrategy.evaluateOnExit[].{name}": Field(normalize=_without_empty) for name in CONDITIONS},
}


@once_for_each
def check(path: Path, strategy: Any, platform: str = "") -> Iterator[Finding]:
    """Findings about the strategy at ``path``; ``platform``: EC2, FARGATE, WINDOWS (on Fargate), empty if unknown."""
    if not isinstance(strategy, Mapping):
        return
    attempts = as_int(strategy.get("attempts"))
    if strategy.get("attempts") is None:
        hint = "add attempts: a number from 1 to 10; it counts the first run too"
        yield Finding(path, "retryStrategy needs attempts", hint, code=codes.MISSING_FIELD)
    elif attempts is not None and not 1 <= attempts <= 10:
        hint = "it must be from 1 to 10, and counts the first run too"
        yield Finding((*path, "attempts"), f"attempts {attempts} is out of range", hint)
    yield from rule_sets.check(path, strategy)
    here = (*path, "evaluateOnExit")
    rules = items(strategy.get("evaluateOnExit"))
    if isinstance(strategy.get("evaluateOnExit"), Mapping):
        hint = "write each rule as an item: - {onStatusReason: Host EC2*, action: RETRY}"
        yield Finding(here, "evaluateOnExit is a list of rules", hint, code=codes.WRONG_TYPE)
    if len(rules) > MOST_ENTRIES:
        hint = "AWS allows no more; rules with a common beginning can be one that ends in *, and each set of use is one"
        yield Finding((*here, MOST_ENTRIES), f"evaluateOnExit has {len(rules)} entries; {MOST_ENTRIES} at most", hint)
    for index, rule in entries(rules):
        yield from _check_rule((*here, index), rule, platform)
    if platform in (EC2, FARGATE, WINDOWS):
        yield from _check_spot(here, rules, platform)
    yield from _check_reach(here, rules, attempts)


def _check_spot(path: Path, rules: list[Any], platform: str) -> Iterator[Finding]:
    """Findings about rules for the Spot reclaims of another platform, where none is for those of this one."""
    own, other = (
        (outcomes.HOST_LOST, outcomes.SPOT_TASK) if platform == EC2 else (outcomes.SPOT_TASK, outcomes.HOST_LOST)
    )
    patterns = [(index, retry_rules.stated(rule).get("onStatusReason", "*")) for index, rule in entries(rules)]
    words = [pattern.removesuffix("*") for _, pattern in patterns if pattern != "*"]
    if any(own.startswith(each) or each.startswith(own) for each in words):
        return
    for index, pattern in patterns:
        if pattern.startswith(other):
            where = "EC2" if platform == EC2 else "Fargate"
            why = f'a job on {where} has no "{other}": this rule never matches'
            yield Finding((*path, index, "onStatusReason"), why, f'write onStatusReason: "{own}*"', warning=True)


def _check_rule(path: Path, rule: Json, platform: str) -> Iterator[Finding]:
    action = rule.get("action")
    if action is None:
        yield Finding(path, "action is missing", "add action: RETRY or action: EXIT", code=codes.MISSING_FIELD)
    elif isinstance(action, str) and action.upper() not in ACTIONS:
        near = difflib.get_close_matches(action.upper(), ACTIONS, n=1, cutoff=0.5)
        hint = f'did you mean "{near[0]}"?' if near else "it must be RETRY or EXIT"
        yield Finding((*path, "action"), f'"{action}" is not an action', hint)
    if not any(is_given(rule.get(name)) for name in CONDITIONS):
        hint = 'add onExitCode, onReason or onStatusReason; onReason: "*" matches every failure'
        yield Finding(path, "the rule has no condition", hint, code=codes.MISSING_FIELD)
    for name in CONDITIONS:
        if name in rule:
            pattern = rule[name]
            known = isinstance(pattern, str)
            found = _pattern_findings(name, pattern, platform) if known else _check_pattern((), name, pattern, platform)
            yield from (replace(finding, path=(*path, name)) for finding in found)
    reason = as_text(rule.get("onReason")) or ""
    if reason.startswith(outcomes.PULL) and is_given(rule.get("onExitCode")):
        why = "a container whose image was not pulled has no exit code: the rule never matches"
        yield Finding((*path, "onExitCode"), why, "leave onExitCode out", warning=True)


@lru_cache(maxsize=1000)
def _pattern_findings(name: str, pattern: str, platform: str) -> tuple[Finding, ...]:
    """The findings about a pattern, without a path; cached, because most definitions have the same patterns."""
    return tuple(_check_pattern((), name, pattern, platform))


def _check_pattern(path: Path, name: str, value: Any, platform: str) -> Iterator[Finding]:
    if isinstance(value, int | float):
        yield Finding(path, f"{name} is text", f'put it in quotes: "{value}"', code=codes.WRONG_TYPE)
    pattern = as_text(value)
    if not pattern:
        return
    if len(pattern) > LONGEST:
        yield Finding(path, f"{name} has {len(pattern)} characters; {LONGEST} at most", "shorten it, and end it with *")
    invalid = next((char for char in pattern.removesuffix("*") if not _ALLOWED[name].fullmatch(char)), "")
    if invalid:
        yield Finding(path, f'"{invalid}" cannot be written in {name}', _pattern_hint(name, pattern, invalid))
        return
    if name == "onExitCode":
        if pattern == "0":
            why = "exit code 0 is success: no rule is evaluated"
            yield Finding(path, why, "remove the rule", warning=True)
        elif pattern.startswith("0"):
            why = f"no exit code matches {pattern}: they have no leading zeros"
            yield Finding(path, why, "correct the code, or remove the rule", warning=True)
        elif pattern.isdecimal() and (len(pattern) > 3 or int(pattern) > 255) and platform != WINDOWS:
            why = f"no exit code matches {pattern}: exit codes range from 0 to 255"
            yield Finding(path, why, "correct the code, or remove the rule", warning=True)
    else:
        yield from _check_words(path, name, pattern, platform)


def _pattern_hint(name: str, pattern: str, invalid: str) -> str:
    if name == "onExitCode":
        return 'digits only, optionally followed by *: "137" or "13*"'
    start = pattern[: pattern.index(invalid)].rstrip()
    kept = f'; end it before that: "{start}*"' if start else ""
    allowed = "letters, digits, ., : and spaces are allowed, and one * at the very end"
    example = "" if kept else ', for example "Host EC2*"'
    return f"{allowed}{kept}{example}"


def _check_words(path: Path, name: str, pattern: str, platform: str) -> Iterator[Finding]:
    """Findings about patterns that match no text of AWS Batch, or only in another condition."""
    words, prefix = pattern.removesuffix("*"), pattern.endswith("*")
    if prefix and words.endswith(".") and not outcomes.SPOT_TASK.startswith(words.rstrip(".")):
        why = "a dot matches only a dot: a pattern is a prefix and *, not a regular expression"
        yield Finding(path, why, f'write "{words.rstrip(".")}*"', warning=True)
    known = _known(platform)
    squeezed = words.replace(" ", "").lower()
    for _, text in known:
        begin = text.replace(" ", "").lower()
        if " " in text and squeezed.startswith(begin) and not words.lower().startswith(text.lower()):
            yield Finding(path, f'Batch writes "{text}", and this never matches', f'write "{text}*"', warning=True)
    meant = _meant(words, known)
    if any(field == name and text.startswith(words[: len(text)]) for field, text in meant):
        meant = [(field, text) for field, text in meant if field == name and text.startswith(words[: len(text)])]
    for field, text in meant[:1]:
        yield from _check_text(path, name, pattern, field, text)


def _meant(words: str, known: tuple[tuple[str, str], ...]) -> list[tuple[str, str]]:
    """Those of the ``known`` texts that ``words`` begin with, or that begin with them, in any case."""
    lower = words.lower()
    return [
        (field, text)
        for field, text in known
        if lower.startswith(text.lower()) or (len(words) >= _SHORTEST and text.lower().startswith(lower))
    ]


def _check_text(path: Path, name: str, pattern: str, field: str, text: str) -> Iterator[Finding]:
    """Findings about ``pattern`` of the condition ``name``, where ``field`` matches the ``text`` that is meant."""
    words, prefix = pattern.removesuffix("*"), pattern.endswith("*")
    if not text.startswith(words[: len(text)]):
        why = f'Batch writes "{text}"; "{words[: len(text)]}" differs in case and is not expected to match'
        yield Finding(path, why, f'write "{text}{words[len(text) :]}{"*" * prefix}"', warning=True)
    if field != name:
        why = f'"{text}" is matched by {field}, not by {name}'
        yield Finding(path, why, f"write {field}: {pattern}", warning=True)
    elif text == outcomes.TIMED_OUT:
        why = "a timeout ends the job: no rule is evaluated"
        yield Finding(path, why, "remove the rule, or raise timeout.attemptDurationSeconds", warning=True)
    elif retry_rules.cause_of(text) is not None:
        yield Finding(path, f'no rule is evaluated after "{text}"', "remove the rule", warning=True)
    elif not prefix and text.startswith(begin := words.rstrip(": ")) and (begin != text or text not in WHOLE_TEXTS):
        why = f'the text continues after "{words}", so this never matches'
        yield Finding(path, why, f'end it with a star: "{words}*"', warning=True)


def _check_reach(path: Path, rules: list[Any], attempts: int | None) -> Iterator[Finding]:
    """Findings about rules that are never reached, failures that match no rule, and retries that cannot happen."""
    plain = [(index, rule) for index, rule in entries(rules)]
    for place, (index, rule) in enumerate(plain):
        cover = next((earlier for earlier, other in plain[:place] if retry_rules.covers(other, rule)), None)
        if cover is not None:
            why = f"this rule is never reached: entry {cover} comes first and matches everything that this one matches"
            hint = "move it up, or remove it"
            yield Finding((*path, index), why, hint, code=codes.UNREACHABLE_RULE, warning=True)
    actions = {str(rule.get("action", "")).upper() for _, rule in plain}
    catch_all = any(retry_rules.catches_all(rule) for _, rule in plain)
    if plain and attempts and attempts > 1 and "RETRY" in actions and not catch_all:
        why = f"a failure that no rule matches is retried too, up to {attempts} attempts in all"
        hint = 'to retry only what is listed, end with {onReason: "*", action: EXIT}'
        yield Finding(path, why, hint, code=codes.NO_CATCH_ALL, warning=True)
    if attempts == 1 and "RETRY" in actions:
        why = "attempts: 1 allows no second run, so these rules never retry"
        yield Finding((*path[:-1], "attempts"), why, "raise attempts", warning=True)
