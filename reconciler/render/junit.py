"""The report of `drift` as JUnit's XML, which GitLab, Jenkins and other hosts show as tests.

One test suite is an environment, one test case a resource: a failure where it has drifted. An environment that could
not be read is an error. There is no schema of JUnit's own; what Jenkins reads:
https://github.com/jenkinsci/xunit-plugin/blob/master/src/main/resources/org/jenkinsci/plugins/xunit/types/model/xsd/junit-10.xsd
and GitLab: https://docs.gitlab.com/ci/testing/unit_test_reports/
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final
from xml.etree import ElementTree as ET

from reconciler.model.patterns import regex
from reconciler.render import text
from reconciler.render.drift_text import details
from reconciler.render.drift_view import WORDS, Checked, Drift, Report
from reconciler.render.mask import Mask

# what XML 1.0 cannot contain, not even escaped: https://www.w3.org/TR/xml/#charsets
_FORBIDDEN: Final = regex("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NO_COLOUR: Final = text.Paint(colour=False)
ENVIRONMENT: Final = "environment"  # the test case that it can be read; no address has this form
MESSAGE: Final = 500  # characters of a message, which hosts show in one line


def report(found: Report) -> str:
    """The whole report."""
    texts, took, totals = [], 0.0, dict.fromkeys(("tests", "failures", "errors"), 0)
    for suite in _suites(found):  # of which only the text is kept
        for name in totals:
            totals[name] += int(suite.get(name, "0"))
        took += float(suite.get("time", "0"))
        ET.indent(suite, level=1)
        texts.append(f"  {ET.tostring(suite, encoding='unicode').rstrip()}\n")
    root = ET.Element("testsuites", {"name": "reconcile drift"})
    root.attrib |= {**{name: str(number) for name, number in totals.items()}, "time": f"{took:.3f}"}
    root.text = "\n" if texts else None
    head, end, _ = ET.tostring(root, encoding="unicode", short_empty_elements=False).partition("</testsuites>")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{head}{"".join(texts)}{end}\n'


def _suites(found: Report) -> Iterator[ET.Element]:
    yield from map(_suite, found.environments)
    if found.problems:
        yield _failed_command(found)


def _suite(one: Checked) -> ET.Element:
    suite = ET.Element("testsuite")
    cases = [*_cases(one)]
    numbers = {
        "tests": len(cases),
        "failures": sum(case.find("failure") is not None for case in cases),
        "errors": sum(case.find("error") is not None for case in cases),
        "skipped": sum(case.find("skipped") is not None for case in cases),
    }
    suite.attrib |= {"name": clean(one.title), **{name: str(number) for name, number in numbers.items()}}
    suite.attrib |= {"time": f"{one.took:.3f}", "timestamp": one.at.removesuffix("Z")}
    suite.extend(cases)
    message = [*details(one), *(f"advice: {line}" for line in one.advice)]
    if one.warnings:
        message.append(text.problems(one.warnings, Mask(), _NO_COLOUR, one.root))
    if message:
        ET.SubElement(suite, "system-out").text = clean("\n".join(message))
    return suite


def _cases(one: Checked) -> Iterator[ET.Element]:
    """That it can be read; and each resource, in the order of the plan."""
    case = _case(one, ENVIRONMENT, one.place)
    if one.errors:
        listed = text.problems(one.errors, Mask(), _NO_COLOUR, one.root)
        error = ET.SubElement(
            case, "error", {"message": in_one_line(one.errors[0].message), "type": one.errors[0].code}
        )
        error.text = clean(listed)
    yield case
    drifts = {drift.address: drift for drift in one.drifts}
    for address in dict.fromkeys((*(one.addresses or drifts), *drifts)):
        drift = drifts.get(address)
        case = _case(one, address, one.files.get(address, one.place))
        if drift:
            failure = ET.SubElement(case, "failure", {"message": in_one_line(_summary(drift)), "type": drift.how.value})
            failure.text = clean(_body(drift))
        yield case
    for address in one.moving:
        if address not in drifts:
            case = _case(one, address, one.files.get(address, one.place))
            ET.SubElement(case, "skipped", {"message": "AWS is still changing it"})
            yield case


def _case(one: Checked, name: str, file: str) -> ET.Element:
    where = ".".join(filter(None, (one.name, one.account, one.region)))
    return ET.Element("testcase", {"classname": clean(where), "name": clean(name), "file": clean(file), "time": "0"})


def _summary(drift: Drift) -> str:
    paths = ", ".join(filter(None, (one.path for one in drift.differences)))
    since = f" ({'new' if drift.since == 'new' else 'still there'})" if drift.since else ""
    return f"{WORDS[drift.how]}{': ' if paths else ''}{paths}{since}"


def _body(drift: Drift) -> str:
    return "\n".join(f"{one.file}:{one.line}:{one.column}\n{one.text}" for one in drift.differences)


def in_one_line(message: str) -> str:
    """A message as an attribute of a test case."""
    message = clean(re.sub(r"\s*\n\s*", " ", message))
    return message if len(message) <= MESSAGE else f"{message[: MESSAGE - 3]}..."


def _failed_command(found: Report) -> ET.Element:
    listed = text.problems(found.problems, Mask(), _NO_COLOUR)
    suite = ET.Element("testsuite", {"name": "reconcile drift", "tests": "1", "failures": "0", "errors": "1"})
    suite.attrib |= {"skipped": "0", "time": "0", "timestamp": found.at.removesuffix("Z")}
    case = ET.SubElement(suite, "testcase", {"classname": "reconcile", "name": "drift", "time": "0"})
    error = ET.SubElement(case, "error", {"message": in_one_line(found.summary), "type": found.problems[0].code})
    error.text = clean(listed)
    return suite


def clean(message: str) -> str:
    """``message`` without characters that XML cannot contain."""
    return _FORBIDDEN.sub("", message)
