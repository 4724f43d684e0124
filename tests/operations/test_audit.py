"""Audits of made-up accounts: what AWS is known to reply, and what must be found in it, and what must not."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from reconciler.kinds import discover
from reconciler.kinds.common import dates
from reconciler.kinds.iam._role_audit import of_document
from reconciler.model import Call, Refused, Reply, Scope
from reconciler.model import problem_codes as codes
from reconciler.model.audit import AuditReport
from reconciler.operations.audit.examine import examine
from reconciler.render import audit as rendered
from reconciler.render.mask import Mask
from reconciler.render.text import Paint

DATA = Path(__file__).parents[1] / "data" / "audit"
SCOPE = Scope("123456789012", "eu-west-1", "aws", "")
CASES = yaml.safe_load((DATA / "accounts.yaml").read_text(encoding="utf-8"))
DOCUMENTS = yaml.safe_load((DATA / "documents.yaml").read_text(encoding="utf-8"))
NOW = dates.seconds("2026-11-30T12:00:00Z")
# what an account without anything replies
EMPTY: Mapping[str, Any] = {
    "ListEventBuses": {"EventBuses": []},
    "GetRole": Refused("NoSuchEntity", "The role cannot be found."),
    "GetInstanceProfile": Refused("NoSuchEntity", "Instance Profile cannot be found."),
}


@dataclass
class Account:
    """Replies by operation: the whole reply, or by the text of a parameter, as patterns."""

    replies: Mapping[str, Any]
    calls: list[Call] = field(default_factory=list)

    def call(self, call: Call) -> Reply:
        self.calls.append(call)
        reply = self.replies.get(call.operation, EMPTY.get(call.operation, {}))
        if isinstance(reply, list):
            said = str(dict(call.params))
            reply = next((one["reply"] for one in reply if fnmatchcase(said, f"*{one['where']}*")), {})
        if isinstance(reply, Mapping) and "refused" in reply:
            return Refused(*reply["refused"])
        return reply


def audited(replies: Mapping[str, Any], known: frozenset[str] = frozenset()) -> tuple[AuditReport, Account]:
    account = Account(replies)
    return examine(account, discover(), SCOPE, float(NOW or 0), known, parallelism=0), account


def said(report: AuditReport) -> set[tuple[str, str, str]]:
    return {(one.finding.severity, str(one.finding.code), one.physical) for one in report.findings}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["case"])
def test_it_finds_what_is_wrong_and_nothing_else(case: Any) -> None:
    report, account = audited(case["replies"], frozenset(case.get("environments", ())))
    found = said(report)
    aside = {"no-owner", "no-tags", "no-recent-jobs", "unreferenced"} if not case.get("all") else set()

    assert {one for one in found if one[1] not in aside} == {tuple(one.split()) for one in case["found"]}
    assert all(one.finding.evidence for one in report.findings)
    told = "\n".join(f"{one.finding.message} {one.finding.hint} {one.finding.evidence}" for one in report.findings)
    assert all(words in told for words in case.get("says", ())), told
    assert not any(words in told for words in case.get("never", ())), told
    assert [one.permission for one in report.unread] == case.get("unread", [])
    assert all(call.operation.startswith(("Describe", "List", "Get", "Lookup")) for call in account.calls)


@pytest.mark.parametrize(("count", "severity"), [(199, None), (200, "advice"), (1000, "warning")])
def test_revisions_are_counted(count: int, severity: str | None) -> None:
    one = next(case for case in CASES if "as it should be" in case["case"])["replies"]
    (latest,) = one["DescribeJobDefinitions"]["jobDefinitions"]
    older = [
        {**latest, "revision": n, "jobDefinitionArn": f"{latest['jobDefinitionArn'].rpartition(':')[0]}:{n}"}
        for n in range(10_000, 10_000 + count - 1)
    ]

    report, _ = audited({**one, "DescribeJobDefinitions": {"jobDefinitions": [latest, *older]}})

    found = [one.finding for one in report.findings if one.finding.code == codes.MANY_REVISIONS]
    assert [one.severity for one in found] == ([severity] if severity else [])
    assert report.audited["jobDefinitions"] == 1


def test_every_code_of_the_document_is_tried_and_no_other_is_found() -> None:
    text = (Path(__file__).parents[2] / "docs" / "audit.md").read_text(encoding="utf-8")
    told = {
        code: set(severities.split(", "))
        for code, severities in re.findall(r"^\| `([a-z-]+)` \| ([a-z, ]+) \|", text, re.M)
    }

    found: dict[str, set[str]] = {"many-revisions": {"advice", "warning"}}
    for case in CASES:
        for severity, code, _ in map(str.split, case["found"]):
            found.setdefault(code, set()).add(severity)

    assert found == told
    assert found.keys() <= codes.catalogue().keys()


@pytest.mark.parametrize("case", DOCUMENTS, ids=lambda case: case["case"])
def test_a_policy_document_is_too_wide(case: Any) -> None:
    found = list(of_document({"Version": "2012-10-17", "Statement": case["statement"]}, "x", "iam:GetRolePolicy", "D"))

    assert [one.severity for one in found] == ([case["severity"]] if "severity" in case else [])


def test_every_environment_of_a_large_account_costs_no_call_of_its_own() -> None:
    environments = [
        {
            "computeEnvironmentName": f"c{number}",
            "computeEnvironmentArn": f"arn:aws:batch:eu-west-1:123456789012:compute-environment/c{number}",
            "type": "MANAGED",
            "state": "ENABLED",
            "status": "VALID",
            "computeResources": {"type": "EC2", "subnets": ["subnet-1"], "imageId": f"ami-{number:017x}"},
        }
        for number in range(50)
    ]
    images = {"Images": [{"ImageId": one["computeResources"]["imageId"]} for one in environments]}  # type: ignore[index]
    subnets = {"Subnets": [{"SubnetId": "subnet-1"}]}
    replies = {"DescribeImages": images, "DescribeSubnets": subnets}

    report, account = audited({"DescribeComputeEnvironments": {"computeEnvironments": environments}, **replies})

    assert report.audited["computeEnvironments"] == 50
    assert report.count("error") == report.count("warning") == 0
    assert len(account.calls) < 12


def test_the_report_is_rendered_for_comments_and_for_code_hosts() -> None:
    (case,) = (case for case in CASES if case["case"] == "a definition with much to say about")
    report, _ = audited({**case["replies"], "ListSchedulingPolicies": {"refused": ["AccessDeniedException", "no"]}})
    mask = Mask(["T0k3n-in-command"])

    page = rendered.markdown(report, mask)
    log = json.loads(rendered.sarif(report, mask))

    assert page.startswith("## Audit\n")
    assert page.index("### Warning") < page.index("### Advice")
    assert "allow batch&#58;<!-- -->ListSchedulingPolicies" in page
    Draft202012Validator(json.loads((DATA.parent / "sarif-2.1.0.schema.json").read_text("utf-8"))).validate(log)
    (run,) = log["runs"]
    assert {one["level"] for one in run["results"]} == {"warning", "note"}
    assert not run["invocations"][0]["executionSuccessful"]
    places = {one["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for one in run["results"]}
    assert places == {"123456789012/eu-west-1/jobDefinitions/d"}
    prints = [one["partialFingerprints"]["reconcileFinding/v1"] for one in run["results"]]
    assert len(set(prints)) == len(prints) == len(report.findings)
    assert {one["ruleId"] for one in run["results"]} == {one["id"] for one in run["tool"]["driver"]["rules"]}
    text = rendered.text(report, mask, Paint(colour=False))
    assert text.splitlines()[-1].endswith("1 read refused, so this is not all")
    assert "T0k3n" not in page + text + json.dumps(log)


KEPT = re.compile(r".*(Name|Arn|Id|revision|Environment|Queue|status|Path|name|arn|EventBuses|Policies|InstanceType)$")


def without_some(value: Any, drop: Callable[[], bool]) -> Any:
    """``value`` without some of its members: those that AWS leaves out where they have no value."""
    if isinstance(value, Mapping):
        kept = {key: item for key, item in value.items() if KEPT.match(key) or not drop()}
        return {key: without_some(item, drop) for key, item in kept.items()}
    return [without_some(item, drop) for item in value] if isinstance(value, list) else value


@given(st.randoms(use_true_random=False), st.sampled_from([case for case in CASES if case["replies"]]))
def test_whatever_a_reply_leaves_out_it_is_audited(random: Random, case: Any) -> None:
    operations = ("DescribeComputeEnvironments", "DescribeJobQueues", "DescribeJobDefinitions", "ListJobs")
    replies = {
        name: without_some(reply, lambda: random.random() < 0.15)
        if name in (*operations, "DescribeJobs", "DescribeInstanceTypes")
        else reply
        for name, reply in case["replies"].items()
    }

    report, _ = audited(replies)

    assert all(one.finding.message and one.finding.evidence for one in report.findings)
