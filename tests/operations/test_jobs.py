"""What the commands on jobs make of AWS's replies, as data: log streams, machines, the rules that decided."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.model import Call, Environment, Refused, Scope
from reconciler.model.problems import Problems
from reconciler.operations.jobs import connect, shown, stop, streams, submit
from reconciler.operations.jobs.desk import Desk, job_id
from tests.support.tables import DATA, cases

ID = "06fe922b-c33c-466d-ba56-93e054d0da14"


class Answering:
    """A client that answers by operation; ``made`` are the calls."""

    def __init__(self, replies: dict[str, Any]) -> None:
        self.replies, self.made = replies, list[Call]()

    def call_or_raise(self, call: Call) -> Any:
        self.made.append(call)
        reply = self.replies[call.operation]
        return reply(call) if callable(reply) else reply

    def problem_of(self, _call: Call, _refused: Refused) -> None:
        return None


class Still:
    """A clock that is only advanced by sleeping."""

    def __init__(self) -> None:
        self.time = 0.0

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds


def desk(client: Any) -> Desk:
    scope = Scope("123456789012", "eu-west-1", "aws", "lab")
    return Desk(SimpleNamespace(client=client, scope=scope, env=Environment(name="lab")), Still())  # type: ignore[arg-type]


@pytest.mark.parametrize("case", cases(DATA / "jobs" / "streams.yaml"), ids=lambda case: case["title"])
def test_output_is_where_the_job_says(case):
    found = [*streams.of_job({"jobId": ID, **case["job"]})]
    there = [one for one in found if isinstance(one, streams.Stream)]
    missing = {one.attempt: one.why for one in found if isinstance(one, streams.NoStream)}

    assert [[one.attempt, one.container, one.group, one.name] for one in there] == case.get("streams", [])
    assert missing == case.get("missing", {})
    assert {one.region for one in there} <= {case.get("region", "")}
    assert [one.open for one in there] == [
        case["job"]["status"] == "RUNNING" and one.attempt > len(case["job"].get("attempts", ())) for one in there
    ]
    assert "t0k3n" not in str(found)


@pytest.mark.parametrize("case", cases(DATA / "jobs" / "machines.yaml"), ids=lambda case: case["title"])
def test_a_job_is_reached_through_its_machine(case):
    def answer(call: Call) -> Any:
        reply = case["replies"][call.operation]
        return {"jobs": [{"jobId": call.params["jobs"][0], **reply["jobs"][0]}]} if "jobs" in reply else reply

    client = Answering(dict.fromkeys(case.get("replies", {}), answer))
    job = {"jobId": "ID", "jobName": "j", **case["job"]}
    if error := case.get("error"):
        with pytest.raises(Problems, match=error):
            connect.machine(desk(client), job)
        return
    found = connect.machine(desk(client), job)
    assert found.url(8443) == case["url"]
    if "command" in case:
        assert connect.shell_line(found.command(desk(client), 8443, 9000)) == case["command"]
    if "calls" in case:
        assert [call.params for call in client.made] == case["calls"]


class Batch:
    """AWS Batch as a client with a bad network sees it: each SubmitJob meets the next of ``weather``."""

    def __init__(self, weather: list[str], *, late: int = 0) -> None:
        self.weather, self.late = weather, late
        self.jobs, self.looks, self.sent = list[dict[str, Any]](), 0, 0

    def submit(self, call: Call) -> Any:
        what = self.weather[self.sent] if self.sent < len(self.weather) else "fine"
        self.sent += 1
        if what == "throttled":
            return Refused("TooManyRequestsException", "", not_processed=True)
        if what != "request lost":
            self.jobs.append({"jobId": f"job-{len(self.jobs)}", "jobName": call.params["jobName"]})
        if what == "fine":
            return {**self.jobs[-1]}
        return Refused("ReadTimeoutError", "", unknown_outcome=True)

    def listed(self, _: Call) -> Any:
        self.looks += 1
        visible = self.jobs if self.looks > self.late else self.jobs[:-1]
        return {"jobSummaryList": [*visible]}


@given(
    st.lists(st.sampled_from(["reply lost", "request lost", "throttled", "fine"]), max_size=7),
    st.integers(0, 2),
    st.booleans(),
)
def test_whatever_is_lost_a_job_is_submitted_once_or_told_to_be_unknown(weather, late, unique):
    batch = Batch(weather, late=late if unique else 0)
    there = desk(Answering({"SubmitJob": batch.submit, "ListJobs": batch.listed}))
    others = 0 if unique else 2
    batch.jobs = [{"jobId": f"other-{at}", "jobName": "render"} for at in range(others)]
    try:
        done = submit.submit(there, {"jobName": "render", "jobQueue": "q", "jobDefinition": "d"}, unique=unique)
    except Problems as error:
        assert "it is unknown whether render was submitted" in str(error)
        assert len(batch.jobs) - others <= 1 and batch.sent == submit.MOST_SENT
    else:
        assert [one["jobId"] for one in batch.jobs[others:]] == [done.job_id]
        assert done.sent == batch.sent


def test_names_are_unique_and_allowed():
    one, other = (submit.unique_name(submit.Address("x", "my.job/" + "n" * 200)) for _ in range(2))
    assert one != other and len(one) <= 128
    assert set(one) <= set("abcdefghijklmnopqrstuvwxyz0123456789-_")


def test_many_jobs_are_stopped_in_few_calls():
    jobs = [{"jobId": f"job-{at}", "jobName": "n", "status": "RUNNING"} for at in range(101)]

    def bulk(call: Call) -> Any:
        wrong = [{"job": "job-7", "code": "AccessDenied", "message": "no"}] if "job-7" in call.params["jobs"] else []
        return {"successful": [], "errors": wrong}

    client = Answering({"TerminateJobs": bulk, "TerminateJob": {}})
    new, old = desk(client), desk(client)
    new.offers, old.offers = (lambda _: True), (lambda _: False)  # type: ignore[method-assign]
    done = stop.stop(new, [*jobs, {"jobId": "over", "jobName": "n", "status": "FAILED"}], "why")
    assert [len(call.params["jobs"]) for call in client.made] == [50, 50, 1]
    assert len(done.stopped) == 100 and done.refused == {"job-7": "AccessDenied: no"} and len(done.ended) == 1
    client.made.clear()
    assert len(stop.stop(old, jobs[:3], "why").stopped) == 3 and len(client.made) == 3


@pytest.mark.parametrize(
    ("word", "found"),
    [
        (ID, ID),
        (f"{ID}:12", f"{ID}:12"),
        (f"{ID}#0", f"{ID}#0"),
        (f"arn:aws:batch:eu-west-1:123456789012:job/{ID}:3", f"{ID}:3"),
        (ID.upper(), None),
        ("render", None),
        (f"{ID}:", None),
    ],
)
def test_ids_and_arns_are_recognized(word, found):
    assert job_id(word) == found


def test_dependencies_are_read():
    assert submit.dependencies([ID, f"{ID}:N_TO_N", "sequential", f"{ID}:3"]) == [
        {"jobId": ID},
        {"jobId": ID, "type": "N_TO_N"},
        {"type": "SEQUENTIAL"},
        {"jobId": f"{ID}:3"},
    ]
    with pytest.raises(Problems, match="not the id of a job"):
        submit.dependencies(["render"])


def test_aws_may_do_otherwise_than_the_rules_say():
    job = {
        "jobId": ID,
        "jobDefinition": "arn:aws:batch:eu-west-1:123456789012:job-definition/theirs:3",
        "status": "FAILED",
        "retryStrategy": {"attempts": 3, "evaluateOnExit": [{"onExitCode": "1", "action": "retry"}]},
        "attempts": [{"container": {"exitCode": 1}}, {"container": {"exitCode": 1}}],
    }
    first, second = shown.decisions(Environment(name="lab"), job, "")
    assert (first["decision"], first["entry"], first["as_expected"]) == ("RETRY", 0, True)
    assert (second["decision"], second["as_expected"]) == ("EXIT", False)
    stopped = shown.decisions(Environment(name="lab"), {**job, "isTerminated": True}, "")[1]
    assert stopped["as_expected"] and stopped["because"] == "a terminated job is not retried"
