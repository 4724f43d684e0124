"""People's own expectations of retries: cases in YAML, compared with what AWS Batch would do.

A case names a definition, an end (``outcome``, or ``exitCode``, ``reason``, ``statusReason``, ``cause``) and what is
expected of the job (docs/retry.md). :func:`check` is pure over an environment and cases, whatever file they are from.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from reconciler.config.yaml import reader
from reconciler.config.yaml.node import Node
from reconciler.kinds import discover
from reconciler.model import Environment, Pos
from reconciler.model import problem_codes as codes
from reconciler.model.attempts import STATUS, Cause, Verdict
from reconciler.model.paths import located
from reconciler.model.problems import Problem, Problems, did_you_mean, one_of
from reconciler.model.records import dataclass
from reconciler.operations.jobs import retry_report
from reconciler.operations.jobs.retry_report import Subject
from reconciler.render.retries import Asked, Checked, Difference

SECTION: Final = "retry"
_ENDS: Final = ("exitCode", "reason", "statusReason", "cause")
_MEMBERS: Final = ("name", "definition", "outcome", *_ENDS, "attempt", "submitted", "expect")
_EXPECTED: Final = ("decision", "entry", "status", "assumed", "attempts")
_DECISIONS: Final = tuple(verdict.value for verdict in Verdict)
_SHAPE: Final = "{definition: NAME, outcome: host-lost, expect: RETRY}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One expectation, as plain data: ``ending`` describes the end, ``expected`` the members to compare."""

    pos: Pos
    name: str
    definition: str | None
    ending: Mapping[str, Any]
    attempt: int
    #: The strategy with which the job is submitted, instead of the definition's.
    submitted: Mapping[str, Any] | None
    expected: Mapping[str, Any]


def read(file: Path) -> tuple[Case, ...]:
    """The cases of a file: a list, or a mapping with them under ``retry``. Raises Problems."""
    try:
        data = file.read_bytes()
    except OSError as error:
        raise Problems([Problem(code=codes.FILE, message=f"{file}: {error.strerror}")]) from error
    found = cases(reader.read(data, str(file)))
    if not found:
        raise Problems([Problem(code=codes.FILE, message=f"{file} has no expectations", hint=f"write - {_SHAPE}")])
    return found


def cases(node: Node) -> tuple[Case, ...]:
    """The cases in ``node``: a list, or a mapping with them under ``retry``. Raises Problems, all at once."""
    if isinstance(node.value, dict):
        node = node.value.get(SECTION, Node([], node.pos))
    if not isinstance(node.value, list):
        raise Problems([_problem(node, codes.WRONG_TYPE, "the expectations are a list", f"write - {_SHAPE}")])
    found: list[Case] = []
    wrong: list[Problem] = []
    for item in node.value:
        problems = list(_problems(item))
        wrong += problems
        if not problems:
            found.append(_case(item))
    if wrong:
        raise Problems(wrong)
    return tuple(found)


def check(env: Environment, expected: Sequence[Case], root: str = "") -> tuple[Checked, ...]:
    """Each case with what differs from it. Raises Problems for definitions and ends that there are not."""
    found: list[Checked] = []
    wrong: list[Problem] = []
    for case in expected:
        try:
            found.append(_checked(env, case, root))
        except Problems as error:
            wrong += (
                Problem(code=each.code, message=each.message, hint=each.hint, pos=case.pos) for each in error.problems
            )
    if wrong:
        raise Problems(wrong)
    return tuple(found)


def _checked(env: Environment, case: Case, root: str) -> Checked:
    of = _submitted(retry_report.subject(env, case.definition, root), case.submitted)
    line = retry_report.time_line(of, _endings(of, case.ending), case.attempt)
    last = line.steps[-1]
    found = {
        "decision": last.decision.verdict.value,
        "entry": last.decision.entry,
        "status": last.decision.job_status,
        "assumed": any(step.decision.assumed for step in line.steps),
        "attempts": last.attempt,
    }
    differences = tuple(
        Difference(what=name, expected=value, found=found[name])
        for name, value in case.expected.items()
        if value != found[name]
    )
    return Checked(name=case.name, place=located("", case.pos), last=last, line=line, differences=differences)


def _submitted(of: Subject, strategy: Mapping[str, Any] | None) -> Subject:
    """The definition with the strategy of SubmitJob, which replaces its own as a whole."""
    kind = discover()[of.resource.address.section]
    if strategy is None or kind.retries is None:
        return of
    props = kind.expand({**of.resource.props, str(of.retries.rules[0]): strategy})
    return Subject(of.resource, kind.retries(props), of.root, submitted=True)


def _endings(of: Subject, ending: Mapping[str, Any]) -> list[Asked]:
    if "outcome" in ending:
        return [retry_report.named(of.retries, name) for name in ending["outcome"]]
    return [retry_report.described(*(ending.get(name) for name in _ENDS))]


# --- reading a case ---------------------------------------------------------------------------------------------------


def _case(item: Node) -> Case:
    given = _plain(item)
    ending = {name: given[name] for name in ("outcome", *_ENDS) if given.get(name) is not None}
    if "outcome" in ending:
        ending["outcome"] = _names(ending["outcome"])
    expect = given["expect"]
    return Case(
        pos=item.pos,
        name=str(given.get("name") or ""),
        definition=given.get("definition"),
        ending=ending,
        attempt=given.get("attempt", 1),
        submitted=given.get("submitted"),
        expected=_expected(expect),
    )


def _names(outcome: Any) -> list[str]:
    given = outcome if isinstance(outcome, list) else [outcome]
    return [name.strip() for text in given for name in str(text).split(",")]


def _expected(expect: Any) -> Mapping[str, Any]:
    """What is compared; a word is a decision, or the status of the job."""
    if isinstance(expect, str):
        return {"decision": expect} if expect in _DECISIONS else {"status": expect}
    return dict(expect)


def _problems(item: Node) -> Iterator[Problem]:
    if not isinstance(item.value, dict):
        yield _problem(item, codes.WRONG_TYPE, "an expectation is a mapping", f"write - {_SHAPE}")
        return
    members: dict[str, Node] = item.value
    for name, node in members.items():
        if name not in _MEMBERS:
            hint = did_you_mean(name, _MEMBERS) or one_of(_MEMBERS)
            yield _problem(node, codes.UNKNOWN_FIELD, f'"{name}" is not a member of an expectation', hint)
        elif (wrong := _wrong(name, _plain(node))) is not None:
            yield _problem(node, codes.INVALID_VALUE, f"{name} {wrong}")
    ends = [name for name in members if name in ("outcome", *_ENDS)]
    if not ends and set(members) <= set(_MEMBERS):
        hint = "add outcome, or exitCode, reason, statusReason or cause"
        yield _problem(item, codes.MISSING_FIELD, "the expectation has no end of an attempt", hint)
    elif "outcome" in ends and len(ends) > 1:
        other = next(name for name in ends if name != "outcome")
        yield _problem(members[other], codes.INVALID_VALUE, f"outcome cannot be combined with {other}")
    if "expect" not in members:
        yield _problem(item, codes.MISSING_FIELD, "expect is missing", f"add expect: {', '.join(_DECISIONS)}")
    elif isinstance(members["expect"].value, dict):
        yield from _wrong_expected(members["expect"].value)


def _wrong(name: str, value: Any) -> str | None:
    """What is wrong with a member's value, if anything."""
    if name == "attempt":
        return None if _is_int(value) and value >= 1 else "is a number from 1"
    if name == "exitCode":
        return None if value is None or _is_int(value) else "is a number, without quotes"
    if name == "cause":
        return None if value in [None, *Cause] else f"is one of {', '.join(Cause)}"
    if name == "outcome":
        texts = value if isinstance(value, list) else [value]
        return None if texts and all(isinstance(text, str) for text in texts) else "is a name, or a list of names"
    if name == "submitted":
        return None if isinstance(value, dict) else "is a retryStrategy: {attempts: 2}"
    if name == "expect":
        known = (*_DECISIONS, *STATUS.values())
        fine = value in known if isinstance(value, str) else isinstance(value, dict) and value
        return None if fine else f"is one of {', '.join(dict.fromkeys(known))}, or a mapping"
    return None if value is None or isinstance(value, str) else "is a text"


def _wrong_expected(members: Mapping[str, Node]) -> Iterator[Problem]:
    for name, node in members.items():
        value = node.value
        fine = {
            "decision": value in _DECISIONS,
            "status": value in STATUS.values(),
            "entry": value is None or _is_int(value),
            "assumed": isinstance(value, bool),
            "attempts": _is_int(value),
        }
        if name not in _EXPECTED:
            hint = did_you_mean(name, _EXPECTED) or one_of(_EXPECTED)
            yield _problem(node, codes.UNKNOWN_FIELD, f'"{name}" cannot be expected', hint)
        elif not fine[name]:
            yield _problem(node, codes.INVALID_VALUE, f"{name} cannot be {value}")


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _plain(node: Node) -> Any:
    if isinstance(node.value, dict):
        return {name: _plain(item) for name, item in node.value.items()}
    return [_plain(item) for item in node.value] if isinstance(node.value, list) else node.value


def _problem(node: Node, code: codes.ProblemCode, message: str, hint: str = "") -> Problem:
    return Problem(code=code, message=message, hint=hint, pos=node.pos)
