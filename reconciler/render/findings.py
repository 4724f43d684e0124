"""The findings of ``validate`` in the formats of code hosts: GitHub's annotations, GitLab's Code Quality, SARIF.

Here a problem's file is a path from the top of the repository, as all three want it.
"""

from __future__ import annotations

import hashlib
import posixpath
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from reconciler import __version__
from reconciler.model.problem_codes import ProblemCode
from reconciler.model.problems import Problem
from reconciler.render import json as as_json
from reconciler.render.mask import Mask

_GITHUB: Final = {"error": "error", "warning": "warning", "note": "notice"}
_MOST_ANNOTATIONS: Final = 10  # of each severity
_GITLAB: Final = {"error": "major", "warning": "minor", "note": "info"}
PAGES: Final = "https://github.com/reconcile-batch/reconcile/blob/main/docs/"
SCHEMA: Final = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def github(found: Sequence[Problem], mask: Mask) -> str:
    """Workflow commands, which GitHub Actions shows at the lines of a pull request.

    Source: https://docs.github.com/en/actions/reference/workflow-commands-for-github-actions; what is escaped, and how:
    https://github.com/actions/toolkit/blob/main/packages/core/src/command.ts

    GitHub shows ten errors, ten warnings and ten notices of a step and drops the others, which are plain lines here:
    https://github.com/orgs/community/discussions/26680
    """
    counts: Counter[str] = Counter()
    lines, others = [], []
    for problem in found:
        counts[problem.severity] += 1
        if counts[problem.severity] <= _MOST_ANNOTATIONS:
            lines.append(_command(problem, mask))
        else:
            # begins with a word of ours: a line that begins with :: would be a command
            place = f"{mask.line(problem.pos.file)}:{problem.pos.line}:{problem.pos.column}: " if problem.pos else ""
            others.append(
                f"not annotated: {place}{problem.severity}: {' / '.join(_sentence(problem, mask).splitlines())}"
            )
    return "\n".join((*lines, *others))


def github_from(found: Sequence[Problem], root: str, mask: Mask) -> str:
    """The same of problems whose files are relative to ``root``, a path from the top of the repository."""
    placed = [
        replace(one, pos=replace(one.pos, file=posixpath.normpath(f"{root}{one.pos.file}")))
        if one.pos and one.pos.file
        else one
        for one in found
    ]
    return github(placed, mask)


def _command(problem: Problem, mask: Mask) -> str:
    place = {"file": problem.pos.file, "line": problem.pos.line, "col": problem.pos.column} if problem.pos else {}
    named = {**place, "title": f"reconcile ({problem.code})"}
    properties = ",".join(f"{name}={_property(mask.line(str(value)))}" for name, value in named.items())
    return f"::{_GITHUB[problem.severity]} {properties}::{_data(_sentence(problem, mask))}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def gitlab(found: Sequence[Problem], mask: Mask) -> str:
    """A Code Quality report. Source: https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format"""
    issues: list[dict[str, Any]] = []
    for problem, fingerprint in zip(found, _fingerprints(found, mask), strict=True):
        issues.append(
            {
                "description": _sentence(problem, mask),
                "check_name": str(problem.code),
                "fingerprint": fingerprint,
                "severity": _GITLAB[problem.severity],
                "location": {
                    "path": mask.line(problem.pos.file) if problem.pos else ".",
                    "lines": {"begin": problem.pos.line if problem.pos else 1},
                },
            }
        )
    return as_json.dumps(issues, indent=2)


def sarif(found: Sequence[Problem], mask: Mask) -> str:
    """A SARIF 2.1.0 log. Source: https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html; what GitHub reads of
    it: https://docs.github.com/en/code-security/code-scanning/integrating-with-code-scanning/sarif-support-for-code-scanning
    """
    rules = list(dict.fromkeys(problem.code for problem in found))
    results = [
        _result(problem, rules.index(problem.code), fingerprint, mask)
        for problem, fingerprint in zip(found, _fingerprints(found, mask), strict=True)
    ]
    rules_of = {**driver(), "rules": [rule(code) for code in rules]}
    run = {"tool": {"driver": rules_of}, "columnKind": "unicodeCodePoints", "results": results}
    return as_json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2)


def driver() -> dict[str, Any]:
    """What SARIF calls this tool; the rules are added."""
    page = "https://github.com/reconcile-batch/reconcile"
    return {"name": "reconcile", "version": __version__, "informationUri": page}


def rule(code: ProblemCode) -> dict[str, Any]:
    """A code of ours as a rule of SARIF."""
    return {
        "id": str(code),
        "shortDescription": {"text": code.meaning},
        "fullDescription": {"text": code.meaning},
        "help": {"text": code.fix},
        "helpUri": f"{PAGES}errors.md#{code}",
    }


def _result(problem: Problem, rule: int, fingerprint: str, mask: Mask) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": str(problem.code),
        "ruleIndex": rule,
        "level": problem.severity,
        "message": {"text": _sentence(problem, mask)},
        "partialFingerprints": {"reconcileFinding/v1": fingerprint},
    }
    if problem.pos:
        place = {
            "artifactLocation": {"uri": uri(mask.line(problem.pos.file)), "uriBaseId": "%SRCROOT%"},
            "region": {"startLine": problem.pos.line, "startColumn": problem.pos.column},
        }
        result["locations"] = [{"physicalLocation": place}]
    return result


def uri(path: str) -> str:
    """A path as SARIF has it: a relative URI."""
    from urllib.parse import quote  # noqa: PLC0415  (only SARIF needs it)

    return quote(path, errors="replace")


def _sentence(problem: Problem, mask: Mask) -> str:
    """The message after its address, with the hint on the next lines."""
    who = f"{problem.address}: " if problem.address else ""
    return mask.text(f"{who}{problem.message}" + (f"\n{problem.hint}" if problem.hint else ""))


def _fingerprints(found: Sequence[Problem], mask: Mask) -> list[str]:
    """A text for each problem: unchanged when lines above it are added, and different from the others'.

    It has no message in it, which may quote a secret.
    """
    seen: Counter[str] = Counter()
    made = []
    for problem in found:
        file = problem.pos.file if problem.pos else ""
        identity = mask.text(f"{problem.code}\0{file}\0{problem.address}\0{problem.path}")
        seen[identity] += 1
        made.append(hashlib.sha256(f"{identity}\0{seen[identity]}".encode()).hexdigest())
    return made
