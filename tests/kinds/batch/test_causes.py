"""The table of causes: what AWS says in public reports and in its documentation has the cause that it means."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from reconciler.kinds import discover
from reconciler.kinds.batch._diagnosis import causes, facts, failures
from reconciler.model import fragments

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
