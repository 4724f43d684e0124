"""The report of `drift` as SARIF 2.1.0: each difference at its line of YAML.

Hosts replace the results of a run by those of the next run with the same ``automationDetails.id``: there is a run for
each environment, so that one can be checked without the others. GitHub takes 20 runs in a file, and shows 5,000 results
of one; a larger fleet is one run. What identifies a result is not its line: an edit above it opens nothing again.

https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
https://docs.github.com/en/code-security/code-scanning/integrating-with-code-scanning/sarif-support-for-code-scanning
"""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, Final

from reconciler.model.paths import opened
from reconciler.model.patterns import regex
from reconciler.render import findings
from reconciler.render import json as as_json
from reconciler.render.drift_view import WORDS, Checked, Difference, Drift, How, Report, fingerprint
from reconciler.render.text import counted

MOST_RUNS: Final = 20
MOST_RESULTS: Final = 5000  # of a run, the last of which says how many are left out
UNREAD: Final = "drift-unread"
# id -> what it means, and how it ends
_RULES: Final = {
    UNREAD: ("The environment could not be read, so its drift is unknown", "Fix the error, and run `drift` again."),
    **{
        f"drift-{how.value}": (WORDS[how].partition(" (")[0], end)
        for how, end in (
            (How.CHANGED, "`reconcile apply` restores the YAML; `reconcile drift --accept` keeps the change."),
            (How.UNOWNED, "`reconcile apply` puts the tags back."),
            (How.UNDECLARED, "`reconcile apply` deletes it; declare it to keep it."),
            (How.MISSING, "`reconcile apply` creates it; remove it from the YAML if it is not needed."),
        )
    },
}
_IDS: Final = [*_RULES]
_NAME: Final = regex(r"[^\w.-]", re.ASCII)


def report(found: Report) -> str:
    """The whole report."""
    environments = found.environments
    if len(environments) <= MOST_RUNS - bool(found.problems):
        runs = [_run(category, [one]) for category, one in zip(_ids(environments), environments, strict=True)]
    else:
        runs = [_run("reconcile-drift/", environments)]
    if found.problems:
        runs.append(_failed_command(found))
    return as_json.dumps({"$schema": findings.SCHEMA, "version": "2.1.0", "runs": runs}, indent=2)


def _ids(environments: Sequence[Checked]) -> Iterator[str]:
    """The category of each run, without which one would replace the other: what stands before the last slash. Of
    environments of one name, whose account is not known, also the directory.
    """
    found = [(one.name, one.account, one.region) for one in environments]
    for one, words in zip(environments, found, strict=True):
        more = (posixpath.dirname(one.place) or one.place,) if found.count(words) > 1 else ()
        yield f"reconcile-drift/{'/'.join(_NAME.sub('_', word) for word in (*words, *more) if word)}/"


def _run(category: str, environments: Sequence[Checked]) -> dict[str, Any]:
    results = [*islice(_results(environments), MOST_RESULTS + 1)]
    total = sum(1 for _ in _results(environments)) if len(results) > MOST_RESULTS else len(results)
    notes = [_notification(problem.message) for one in environments for problem in one.errors]
    if total > MOST_RESULTS:
        results = results[:MOST_RESULTS]
        notes.append(_notification(f"{counted(total - MOST_RESULTS, 'result')} left out; `--format json` has all"))
    return _with_driver(category, results, notes)


def _with_driver(category: str, results: list[dict[str, Any]], notes: list[dict[str, Any]]) -> dict[str, Any]:
    rules = [
        {
            "id": name,
            "shortDescription": {"text": meaning},
            "fullDescription": {"text": meaning},
            "help": {"text": fix},
            "helpUri": findings.PAGES + "drift.md",
        }
        for name, (meaning, fix) in _RULES.items()
    ]
    return {
        "tool": {"driver": {**findings.driver(), "rules": rules}},
        "automationDetails": {"id": category},
        "invocations": [{"executionSuccessful": not notes, "toolExecutionNotifications": notes}],
        "columnKind": "unicodeCodePoints",
        "results": results,
    }


def _notification(message: str) -> dict[str, Any]:
    return {"level": "error", "message": {"text": message}}


def _results(environments: Sequence[Checked]) -> Iterator[dict[str, Any]]:
    """Errors first: where there are too many results, they are not left out. Of several with one fingerprint, such as
    refused reads, each has its number.
    """
    seen: Counter[str] = Counter()
    for rule, message, place, key in _each(environments):
        seen[key] += 1
        unique = key if seen[key] == 1 else hashlib.sha256(f"{key} {seen[key]}".encode()).hexdigest()
        yield _result(rule, message, place, unique)


def _each(environments: Sequence[Checked]) -> Iterator[tuple[str, str, Difference, str]]:
    for one in environments:
        for problem in one.errors:
            place = Difference(path="", text="", file=one.place)
            if pos := problem.pos if problem.pos and problem.pos.file else None:
                file = opened(f"{posixpath.dirname(one.place)}/".lstrip("/"), pos.file)
                place = Difference(path="", text="", file=file, line=max(pos.line, 1), column=max(pos.column, 1))
            who = f"{problem.address}: " if problem.address else ""
            key = fingerprint(one, problem.address, f"{problem.code}\0{problem.path}")
            yield UNREAD, f"{one.name}: {who}{problem.message}", place, key
    for one in environments:
        for drift in one.drifts:
            for difference in drift.differences:
                key = fingerprint(one, drift.address, difference.path or drift.how.value)
                yield f"drift-{drift.how.value}", _sentence(one, drift, difference), difference, key


def _sentence(one: Checked, drift: Drift, difference: Difference) -> str:
    """What differs, account first. SARIF's texts have no markup, but GitHub makes links of ``[text](number)``."""
    shown = f"{drift.address} ({one.title}): {WORDS[drift.how]}\n{difference.text}"
    return shown.replace("[", "\\[").replace("]", "\\]") if "](" in shown else shown


def _result(rule: str, message: str, place: Difference, key: str) -> dict[str, Any]:
    return {
        "ruleId": rule,
        "ruleIndex": _IDS.index(rule),
        "level": "error" if rule == UNREAD else "warning",
        "message": {"text": message},
        "partialFingerprints": {"primaryLocationLineHash": key, "reconcileDrift/v1": key},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": findings.uri(place.file), "uriBaseId": "%SRCROOT%"},
                    "region": {"startLine": place.line, "startColumn": place.column},
                }
            }
        ],
    }


def _failed_command(found: Report) -> dict[str, Any]:
    return _with_driver("reconcile-drift-command/", [], [_notification(problem.message) for problem in found.problems])
