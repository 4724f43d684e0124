"""The report of `reconcile test`: as text, JSON and JUnit's XML."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, Final
from xml.etree import ElementTree as ET

from reconciler import __version__
from reconciler.model.problems import Problem
from reconciler.model.records import dataclass
from reconciler.render import json as as_json
from reconciler.render import text
from reconciler.render.junit import clean, in_one_line
from reconciler.render.mask import Mask

FORMAT_VERSION: Final = "1.0"


class Status(StrEnum):
    """How a test ended: an error is a test whose environment cannot be checked or planned."""

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tested:
    """How one test ended. ``file`` is that of the test, from where it is opened, ``root`` the prefix of the files of
    its problems; ``took`` is in seconds. The problems are masked.
    """

    name: str
    environment: str
    file: str
    line: int
    column: int
    status: Status
    took: float
    problems: tuple[Problem, ...] = ()
    root: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tests:
    """The report. ``problems`` are those of the command itself."""

    tests: tuple[Tested, ...] = ()
    problems: tuple[Problem, ...] = ()
    at: str = ""

    def count(self, status: Status) -> int:
        """How many tests ended so."""
        return sum(one.status is status for one in self.tests)

    @property
    def passed(self) -> bool:
        """Whether nothing failed."""
        return not self.problems and all(one.status is Status.PASSED for one in self.tests)


def as_text(found: Tests, paint: text.Paint) -> str:
    """Each test in a line below its file, what is wrong with it below that, and the summary."""
    lines: list[str] = []
    file = ""
    for one in found.tests:
        if one.file != file:
            lines += [*([""] if lines else []), one.file]
            file = one.file
        sign, style = _SIGNS[one.status]
        lines.append(f"  {paint(sign, style)} {one.name}")
        if one.problems:
            lines.append(text.problems(one.problems, Mask(), paint, one.root))
    if found.problems:
        lines += [*([""] if lines else []), text.problems(found.problems, Mask(), paint)]
    return "\n".join([*lines, *([""] if lines else []), summary(found)])


_SIGNS: Final = {Status.PASSED: ("ok   ", "+"), Status.FAILED: ("FAIL ", "error"), Status.ERROR: ("ERROR", "error")}


def summary(found: Tests) -> str:
    """The last line: ``3 tests: 2 passed, 1 failed``."""
    total = len(found.tests)
    parts = [f"{found.count(status)} {word}" for status, word in _COUNTED.items() if found.count(status)]
    told = f": {', '.join(parts)}" if parts else ""
    return f"{total} test{'s' * (total != 1)}{told}"


_COUNTED: Final = {Status.PASSED: "passed", Status.FAILED: "failed", Status.ERROR: "with an error"}


def document(found: Tests) -> dict[str, Any]:
    """The report as JSON."""
    tests = [
        {
            "name": one.name,
            "environment": one.environment,
            "file": one.file,
            "line": one.line,
            "column": one.column,
            "status": one.status.value,
            "seconds": round(one.took, 3),
            "problems": [as_json.problem(problem, Mask(), one.root, one.environment) for problem in one.problems],
        }
        for one in found.tests
    ]
    done = {
        "format_version": FORMAT_VERSION,
        "reconcile_version": __version__,
        "timestamp": found.at,
        "tests": tests,
        "summary": {status.value: found.count(status) for status in Status},
    }
    problems = [as_json.problem(problem, Mask()) for problem in found.problems]
    return {**done, "problems": problems} if problems else done


def junit(found: Tests) -> str:
    """The report as JUnit's XML: a test suite is a file."""
    root = ET.Element("testsuites", {"name": "reconcile test", **_numbers(found.tests)})
    files = dict.fromkeys(one.file for one in found.tests)
    for file in files:
        tests = [one for one in found.tests if one.file == file]
        suite = ET.SubElement(root, "testsuite", {"name": clean(file), **_numbers(tests)})
        suite.set("timestamp", found.at.removesuffix("Z"))
        suite.extend(map(_case, tests))
    if found.problems:
        suite = ET.SubElement(
            root, "testsuite", {"name": "reconcile test", "tests": "1", "failures": "0", "errors": "1"}
        )
        case = ET.SubElement(suite, "testcase", {"classname": "reconcile", "name": "test", "time": "0"})
        _add(case, "error", found.problems, "")
        root.set("tests", str(len(found.tests) + 1))
        root.set("errors", str(found.count(Status.ERROR) + 1))
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _numbers(tests: Sequence[Tested]) -> dict[str, str]:
    counted = {
        "tests": len(tests),
        "failures": sum(one.status is Status.FAILED for one in tests),
        "errors": sum(one.status is Status.ERROR for one in tests),
    }
    return {**{name: str(number) for name, number in counted.items()}, "time": f"{sum(one.took for one in tests):.3f}"}


def _case(one: Tested) -> ET.Element:
    about = {"classname": one.environment, "name": one.name, "file": one.file}
    case = ET.Element("testcase", {**{name: clean(value) for name, value in about.items()}, "time": f"{one.took:.3f}"})
    if one.status is not Status.PASSED:
        _add(case, "failure" if one.status is Status.FAILED else "error", one.problems, one.root)
    return case


def _add(case: ET.Element, kind: str, problems: Sequence[Problem], root: str) -> None:
    first = problems[0] if problems else None
    told = f"{first.address}: {first.message}" if first and first.address else first.message if first else ""
    element = ET.SubElement(case, kind, {"message": in_one_line(told), "type": str(first.code) if first else ""})
    element.text = clean(text.problems(problems, Mask(), text.Paint(colour=False), root))
