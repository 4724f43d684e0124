"""The table of causes: what AWS says in public reports and in its documentation has the cause that it means."""

from __future__ import annotations

import re
from functools import reduce
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from reconciler.kinds import discover
from reconciler.kinds.batch._diagnosis import causes, desk, facts, failures
from reconciler.model import fragments
from reconciler.schema import registry

DATA = Path(__file__).parents[2] / "data/why"
EXITED, NOT_STARTED = "Essential container in task exited", "Task failed to start"


def load(name):
    return YAML(typ="safe", pure=False).load((DATA / name).read_text(encoding="utf-8"))


def job_of(case):
    """The job of DescribeJobs whose only attempt ended like ``case``."""
    status = case.get("status", NOT_STARTED if "reason" in case else EXITED)
    container = {
        name: case[key] for name, key in (("reason", "reason"), ("exitCode", "exit")) if case.get(key) is not None
    }
    attempts = [{"statusReason": status, "container": container}]
    if case.get("eks"):
        pods = [{"statusReason": status, "containers": [container]}]
        return {"status": "FAILED", "statusReason": status, "eksProperties": {"podProperties": {}}, "eksAttempts": pods}
    return {"status": "FAILED", "statusReason": status, "attempts": attempts}


def found(case):
    job = job_of(case)
    attempt = facts.attempts(job)[-1]
    return failures.of_job(job, attempt, case.get("log", ()), pod=facts.is_eks(job))


def test_ends_of_attempts():
    cases = load("attempts.yaml")
    wrong = [
        (case["id"], got.id, case.get("reason") or case.get("status"))
        for case in cases
        if (got := found(case)).id != case["id"]
    ]

    assert wrong == []
    assert len(cases) >= 150
    for case in cases:
        one = found(case)
        assert one.says.endswith(".") and case.get("says", one.says) == one.says
        assert one.id == "unknown" or one.evidence


def test_texts_of_queues_launches_and_environments():
    wrong = []
    for place, pairs in load("texts.yaml").items():
        for expected, text in pairs:
            got = causes.match(place, [("text", text)])
            if (got[0].id if got else "unknown") != expected:
                wrong.append((place, expected, got and got[0].id, text))

    assert wrong == []


def test_public_reports():
    reports = load("reports.yaml")
    said = [(one, found(one)) for one in reports["attempts"]]
    texts = [(one, causes.match(one["place"], [("text", one["text"])])) for one in reports["texts"]]
    answers = [(one, got.row, got.says) for one, got in said]
    answers += [(one, got[0] if got else None, got[0].says if got else "") for one, got in texts]
    wrong = []
    for one, row, says in answers:
        answer = {"id": row.id if row else "unknown", "sure": row.certainty if row else "", "says": says}
        wrong += [(one["from"], name, answer[name]) for name in answer if name in one and one[name] != answer[name]]

    assert wrong == []
    assert len(answers) >= 100
    assert all(one["from"].startswith("https://") for one, _, _ in answers)


def situation(case):
    """The answer to a situation of situations.yaml."""
    cut = {**case, "reason": case["reason"][: failures.LONGEST]} if case.get("reason") else case
    job = {**job_of(cut), "isTerminated": case.get("terminated", False), "isCancelled": case.get("cancelled", False)}
    job |= {"attempts": []} if case.get("attempts") == "none" else {}
    ended = facts.attempts(job)
    return failures.of_job(job, ended[-1] if ended else None, case.get("log", ()), pod=facts.is_eks(job))


def test_situations():
    situations = load("situations.yaml")
    answers = [(case, one.id, one.sure) for case in situations["failed"] for one in [situation(case)]]
    for place in ("blocked", "activity", "environment"):
        for case in situations[place]:
            got = causes.match(place, [("text", case["says"])])
            answers.append((case, got[0].id if got else "unknown", bool(got) and got[0].certainty == "certain"))

    assert [(case["from"], id_) for case, id_, _ in answers if id_ not in case["want"]] == []
    assert [case["from"] for case, _, sure in answers if sure and case.get("sure") is False] == []
    assert len(answers) >= 250
    best = [case["from"] for case, id_, _ in answers if id_ == case["want"][0]]
    assert len(best) >= 0.9 * len(answers)


def test_a_text_that_is_cut_is_never_taken_for_another():
    wrong = set()
    for case in load("situations.yaml")["failed"]:
        name = "reason" if case.get("reason") else "status"
        for length in range(40, len(case[name]), 23):
            one = situation({**case, name: case[name][:length]})
            if one.sure and one.id not in case["want"]:
                wrong.add((case["from"], one.id, case[name][:length]))

    assert wrong == set()


@pytest.mark.parametrize(
    "change",
    [lambda text: text.upper(), lambda text: text.replace("-", "–").replace("'", "’"), lambda text: f"  {text}\n"],
)
def test_typography_does_not_matter(change):
    texts = [
        (id_, text) for pairs in load("texts.yaml").values() for id_, text in pairs if id_ not in ("none", "unknown")
    ]

    assert all(fragments.fold(change(text)) == fragments.fold(text) for _, text in texts)


def test_a_request_wins_over_the_exit_code():
    job = {**job_of({"exit": 137}), "statusReason": "not needed any more", "isTerminated": True}
    attempt = facts.attempts(job)[-1]

    assert failures.of_job(job, attempt).id == "terminated"
    assert failures.of_job({**job, "isTerminated": False, "isCancelled": True}, None).id == "cancelled"
    timed_out = {**job, "statusReason": "Job attempt duration exceeded timeout"}
    assert failures.of_job(timed_out, attempt).id == "timeout"


def test_the_reason_that_was_cut_is_read_whole():
    long = f"CannotPullContainerError: failed to register layer: write /{'x' * 300}"[:255]
    attempt = facts.attempts(job_of({"reason": long}))[-1]

    assert failures.of_attempt(attempt).id == "unknown" and failures.cut(attempt)
    assert failures.of_task([("containers[0].reason", long + ": no space left on device")]).id == "image-disk"


def test_the_first_container_that_failed_counts():
    one = {
        "taskProperties": [
            {"containers": [{"exitCode": 0}, {"exitCode": 3}, {"reason": "OutOfMemoryError: x", "exitCode": 137}]}
        ]
    }
    attempt = facts.attempts({"attempts": [{"statusReason": EXITED, **one}]})[-1]

    assert attempt.exit_code == 3
    assert failures.of_attempt(attempt).id == "oom"


def test_the_table():
    sections = discover()
    for one in causes.rows():
        assert one.says[0].isupper() and one.says.endswith("."), one.says
        assert one.source, one.id
        assert re.fullmatch(r"https://\S+|public reports", causes.source(one.source)), one.source
        assert all(change.partition(".")[0] in sections for change in one.change), one.id
        assert all(pattern == pattern.lower() for patterns in one.patterns.values() for pattern in patterns), one.id


def test_ids_are_those_of_the_contract():
    """Every id of the reference, and no other."""
    ids = {one.id for one in causes.rows()} | {causes.NONE}

    assert ids == set(load("ids.yaml"))


def test_what_to_change_is_there_and_may_be_changed():
    for one in causes.rows():
        for section, _, path in (change.partition(".") for change in one.change):
            if section == "jobDefinitions":  # whose paths are put into the shape of the job
                continue
            root = registry.published(section)
            assert has(root, path.split("."), root), (one.id, section, path)

    names = {"jobDefinitions": "d", "computeEnvironments": "e", "launchTemplates": "t"}
    row = causes.row("image-disk")
    of_ec2, of_fargate = ({"platformCapabilities": [one]} for one in ("EC2", "FARGATE"))
    for job, paths in (
        ({}, ["launchTemplateData.blockDeviceMappings", "computeResources.launchTemplate"]),
        (of_ec2, ["launchTemplateData.blockDeviceMappings", "computeResources.launchTemplate"]),
        (of_fargate, ["containerProperties.ephemeralStorage"]),
    ):
        assert [one.path for one in desk.suspect(row, (), names, job).settings] == paths


def has(node, path, root):
    """Whether a JSON Schema knows the property at ``path``."""
    if not path:
        return True
    if "$ref" in node:
        return has(
            reduce(lambda there, name: there[name], node["$ref"].removeprefix("#/").split("/"), root), path, root
        )
    if path[0] in node.get("properties", {}):
        return has(node["properties"][path[0]], path[1:], root)
    return any(has(one, path, root) for some in ("oneOf", "anyOf", "allOf") for one in node.get(some, ()))
