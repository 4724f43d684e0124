"""Readers of the reports of `drift`, as strict as the hosts that take them."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from jsonschema import Draft7Validator

from tests.support.plan_schema import valid_drift, valid_plan

# the OASIS schema of SARIF 2.1.0, errata 01, without its white space
SARIF = Path(__file__).parents[1] / "data" / "sarif-2.1.0.schema.json"
# element -> attributes that it must have and may have, and its children
JUNIT = {
    "testsuites": ({"name", "tests", "failures", "errors", "time"}, set(), {"testsuite"}),
    "testsuite": (
        {"name", "tests", "failures", "errors", "skipped", "time", "timestamp"},
        set(),
        {"testcase", "system-out"},
    ),
    "testcase": ({"classname", "name", "time"}, {"file"}, {"failure", "error", "skipped"}),
    "failure": ({"message", "type"}, set(), set()),
    "error": ({"message", "type"}, set(), set()),
    "skipped": ({"message"}, set(), set()),
    "system-out": (set(), set(), set()),
}


@cache
def _sarif() -> Draft7Validator:
    return Draft7Validator(json.loads(SARIF.read_text("utf-8")))


def sarif(text: str) -> Any:
    """The log, if it is one that GitHub takes."""
    document = json.loads(text)
    _sarif().validate(document)
    ids = [run["automationDetails"]["id"] for run in document["runs"]]
    assert len(ids) == len({*ids}) <= 20, "uploads with one category replace each other"
    for run in document["runs"]:
        rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
        prints = [one["partialFingerprints"]["primaryLocationLineHash"] for one in run["results"]]
        assert len(prints) == len({*prints}) <= 5000
        for one in run["results"]:
            assert one["ruleId"] == rules[one["ruleIndex"]]
            (place,) = one["locations"]
            uri = place["physicalLocation"]["artifactLocation"]["uri"]
            assert not uri.startswith(("/", ".")) and ":" not in uri
            assert place["physicalLocation"]["region"]["startLine"] >= 1
    return document


def junit(text: str) -> dict[str, dict[str, ET.Element]]:
    """Suite -> test case -> element, if it is a report that hosts take."""
    root = ET.fromstring(text)
    assert root.tag == "testsuites"
    for element in root.iter():
        must, may, children = JUNIT[element.tag]
        assert must <= {*element.keys()} <= must | may, element.tag
        assert {child.tag for child in element} <= children
        assert element.tag in ("failure", "error", "system-out") or not (element.text or "").strip()
    suites = root.findall("testsuite")
    for name, tag in (("tests", "testcase"), ("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        for suite in suites:
            assert int(suite.attrib[name]) == sum(1 for _ in suite.iter(tag))
        if name != "skipped":
            assert int(root.attrib[name]) == sum(1 for _ in root.iter(tag))
    cases = [(case.attrib["classname"], case.attrib["name"]) for case in root.iter("testcase")]
    assert len(cases) == len({*cases}), "GitLab tells test cases apart by these"
    return {suite.attrib["name"]: {case.attrib["name"]: case for case in suite.findall("testcase")} for suite in suites}


def report(document: Any) -> Any:
    """The JSON, if it is as the contract says; each plan is one."""
    valid_drift(document)
    assert document["summary"] == {
        status: sum(one["status"] == status for one in document["environments"])
        for status in ("clean", "drifted", "error")
    }
    for one in document["environments"]:
        assert {"environment", "account", "region", "status", "plan", "problems"} <= one.keys()
        if one["plan"]:
            valid_plan(one["plan"])
        errors = [problem for problem in one["problems"] if problem["severity"] == "error"]
        changes = [entry for entry in one["plan"]["resource_changes"] if "drift" in entry] if one["plan"] else []
        assert one["status"] == ("error" if errors else "drifted" if changes else "clean")
    return document
