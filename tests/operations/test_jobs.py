"""What the commands on jobs make of AWS's replies, as data: log streams, machines, the rules that decided."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.model import Call, Environment, Refused, Scope
from reconciler.model.problems import Problems
from reconciler.operations.jobs import connect, family, listing, shown, specs, stop, streams, submit
from reconciler.operations.jobs.desk import Desk, job_id
from tests.support.long import LONG
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
    """AWS Batch as a client with a bad network sees it: each SubmitJob meets the next of ``weather``, and a new job is
    listed only after ``late`` further looks.
    """

    def __init__(self, weather: list[str], *, late: int, others: int) -> None:
        self.weather, self.late, self.sent = weather, late, 0
        self.jobs = [{"jobId": f"other-{at}", "jobName": "render", "unseen": 0} for at in range(others)]
        self.stopped = set[str]()

    def submit(self, call: Call) -> Any:
        what = self.weather[self.sent] if self.sent < len(self.weather) else "fine"
        self.sent += 1
        if what == "throttled":
            return Refused("TooManyRequestsException", "", not_processed=True)
        if what != "request lost":
            one = {"jobId": f"job-{self.sent}", "jobName": call.params["jobName"], "createdAt": self.sent}
            self.jobs.append({**one, "unseen": self.late})
        if what == "fine":
            return {**self.jobs[-1]}
        return Refused("ReadTimeoutError", "", unknown_outcome=True)

    def list(self, _: Call) -> Any:
        found = [job for job in self.jobs if not job["unseen"]]
        for job in self.jobs:
            job["unseen"] = max(job["unseen"] - 1, 0)
        return {"jobSummaryList": found}

    def stop(self, call: Call) -> Any:
        self.stopped.add(call.params["jobId"])
        return {}

    @property
    def left(self) -> list[str]:
        return [one["jobId"] for one in self.jobs if one["jobId"] not in self.stopped and "createdAt" in one]


@settings(max_examples=300 if LONG else 20)
@given(
    st.lists(st.sampled_from(["reply lost", "request lost", "throttled", "fine"]), max_size=7),
    st.integers(0, 3),
    st.booleans(),
)
def test_whatever_is_lost_a_job_is_submitted_once_or_reported(weather, late, unique):
    batch = Batch(weather, late=late, others=0 if unique else 2)
    there = desk(Answering({"SubmitJob": batch.submit, "ListJobs": batch.list, "TerminateJob": batch.stop}))
    there.offers = lambda _: False  # type: ignore[method-assign]
    try:
        done = submit.submit(there, {"jobName": "render", "jobQueue": "q", "jobDefinition": "d"}, unique=unique)
    except Problems as error:
        done, told = None, str(error)
    if done is None:
        assert batch.sent == submit.MOST_SENT and not batch.left
        assert "whether render was submitted is unknown: no reply after 5 requests" in told
        return
    assert done.sent == batch.sent
    assert sorted(batch.left) == sorted([done.job_id] if unique else {done.job_id, *done.doubled})
    assert unique or late == 3 or not done.doubled


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


def summaries(*numbers: int) -> list[dict[str, Any]]:
    return [{"jobId": str(one), "jobName": f"n{one}", "status": "FAILED", "createdAt": one} for one in numbers]


@pytest.mark.parametrize(
    ("wanted", "pages", "found", "cut", "calls"),
    [
        ({}, [[9, 8], [7, 6], [5]], [9, 8], True, 1),  # newest first
        ({"since": 7}, [[9, 8]], [9, 8], False, 1),
        ({"statuses": ("FAILED",)}, [[5, 9], [7, 6]], [9, 7], True, 2),  # in any order
        ({"name": "n*", "statuses": ("RUNNING",)}, [[5, 9], [7]], [], False, 2),
        ({"statuses": ("FAILED",), "since": 9}, [[5, 9], [7]], [9], False, 2),
        ({"statuses": ("FAILED", "SCHEDULED")}, [[5]], [5], False, 1),  # no status of these jobs
    ],
)
def test_a_list_has_the_latest_and_says_whether_there_are_more(wanted, pages, found, cut, calls):
    def page(call: Call) -> Any:
        at = int(call.params.get("nextToken", 0))
        more = {"nextToken": str(at + 1)} if at + 1 < len(pages) else {}
        return {"jobSummaryList": summaries(*pages[at]), **more}

    client = Answering({"ListJobs": page})
    listed = listing.listing(desk(client), listing.Wanted(queues=("q",), most=2, **wanted))
    assert ([int(one["job_id"]) for one in listed.jobs], listed.cut) == (found, cut)
    assert len(client.made) == calls
    assert all(call.params.get("maxResults") == (1000 if "jobStatus" in call.params else None) for call in client.made)


def test_members_that_have_ended_are_read_once():
    client = Answering({"DescribeJobs": lambda call: {"jobs": [{"jobId": one} for one in call.params["jobs"]]}})
    array = {ID: {"jobId": ID, "arrayProperties": {"size": 3}}}
    known = {f"{ID}:0": {"status": "SUCCEEDED"}, f"{ID}:1": {"status": "RUNNING"}}
    assert [*family.members(desk(client), array, known)] == [f"{ID}:{index}" for index in range(3)]
    assert [call.params["jobs"] for call in client.made] == [[f"{ID}:1", f"{ID}:2"]]


def test_the_main_node_shows_how_a_multi_node_job_runs():
    nodes = {"numNodes": 2, "mainNode": 1, "nodeRangeProperties": [{"targetNodes": "0:", "container": {"image": "i"}}]}
    job = {"jobId": ID, "jobName": "n", "status": "RUNNING", "startedAt": 1, "nodeProperties": nodes}
    main = {
        "jobId": f"{ID}#1",
        "container": {"image": "i", "taskArn": "t", "logStreamName": "s"},
        "nodeProperties": nodes,
    }
    client = Answering({"DescribeJobs": {"jobs": [main]}})
    found = family.main_node(desk(client), job)
    shows = shown.whole(Environment(name="lab"), job, root="", partition="aws", region="r", main=found)
    assert (shows["running"]["task"], shows["running"]["logs"][0]["stream"]) == ("t", "s")
    assert [one["nodes"] for one in shows["containers"]] == ["0:"]
    assert [*family.member_ids(main)] == [main["jobId"]]
    assert [*family.member_ids(job)] == [f"{ID}#0", f"{ID}#1"]
    for other in ({**job, "status": "RUNNABLE"}, {**job, "status": "FAILED", "attempts": [{}]}, main):
        assert family.main_node(desk(client), other) is None
    assert len(client.made) == 1


@pytest.mark.parametrize("case", cases(DATA / "jobs" / "specs.yaml"), ids=lambda case: case["title"])
def test_what_a_job_runs_and_which_of_it_is_secret(case):
    found = [one.document for one in specs.of(case["job"])]
    assert [{name: value for name, value in one.items() if value} for one in found] == case.get("containers", [])
    assert sorted(specs.secrets_of(case["job"])) == sorted(case.get("secrets", []))
    group = {one.group for one in streams.of_job({"jobId": ID, **case["job"]}) if isinstance(one, streams.Stream)}
    assert group <= {case.get("group", streams.GROUP)}


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
