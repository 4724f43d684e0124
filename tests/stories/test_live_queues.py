"""Any change of compute environments under queues that are in use: the judge of :mod:`tests.live` finds no gap, and no
job is refused or lost, whatever changes at once and wherever a run dies.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from reconciler.cli import main as cli
from reconciler.model import Address
from tests.support.histories import Killed, moments
from tests.support.long import across, some
from tests.support.sandbox_account import Busy, History, Jobs, Judge, Stack, ec2, estate, fargate, loaded, log, queue
from tests.support.tables import DATA, cases, without_nulls

LONG = {"outcomes": {"j": [{"exitCode": 0, "seconds": 600}]}, "job_to_starting": 20}
ENDLESS = {"outcomes": {"j": [{"exitCode": 0, "seconds": 30_000}]}}
A, B = ec2("m5.large"), ec2("c5.large")


def one_of(names: str, *queues: str, changed: str = "") -> Stack:
    """Environments of one letter each, those in ``changed`` made otherwise, listed by queues given as ``q:abc``."""
    environments = {name: B if name in changed else A for name in names}
    return estate(environments, {line[0]: queue(*line[2:]) for line in queues})


def whole(said: Stack) -> Stack:
    """An environment file around what a case says of it."""
    listed = {
        name: {"environments": one} if isinstance(one, list) else dict(one) for name, one in said["jobQueues"].items()
    }
    queues = {name: queue(*one.pop("environments"), **one) for name, one in listed.items()}
    around = {section: said[section] for section in said if section not in ("computeEnvironments", "jobQueues")}
    return estate(said["computeEnvironments"], queues, **around)


# before, after, and the queues that jobs go to all the while
CHANGES: dict[str, tuple[Stack, Stack, str]] = {
    name: (whole(case["before"]), whole(case["after"]), case["jobs"])
    for name, case in without_nulls(cases(DATA / "live_queues.yaml"))["changes"].items()
}


@pytest.fixture
def history(sandbox: Any) -> History:
    sandbox.change(LONG)
    return History(sandbox)


def jobs_for(history: Any, stack: Stack, queues: str) -> Jobs:
    shares = {name for name in queues if "schedulingPolicyArn" in stack["jobQueues"][name]}
    on_fargate = "FARGATE" in json.dumps(stack["computeEnvironments"])
    batch = history.sandbox.client("batch")
    return Jobs(batch, dict.fromkeys(queues, "job-fargate" if on_fargate else "job-ec2"), frozenset(shares))


def no_gap(history: History, judge: Judge | None = None) -> Judge:
    judge = judge or Judge()
    judge.hear(log(history.sandbox))
    assert judge.judged and not judge.found, "\n".join(judge.found)
    return judge


def no_job_lost(history: Any, jobs: Jobs) -> None:
    history.sandbox.advance(40_000)
    assert jobs.ids and not jobs.refused, jobs.refused
    assert [status for status in jobs.statuses() if not status.startswith("SUCCEEDED")] == []


@pytest.mark.parametrize("change", some(CHANGES, 16))
def test_no_queue_is_ever_without_and_no_job_is_lost(history: History, tmp_path: Path, change: str) -> None:
    before, after, queues = CHANGES[change]
    history.converge(loaded(tmp_path, before))
    history.sandbox.advance(90)
    jobs = jobs_for(history, before, queues)
    env = loaded(tmp_path, after)
    outcome = history.run(env, Busy(history.aws, jobs=jobs), allow_deletions=99)

    assert outcome.ok, history.failures()
    judge = no_gap(history)
    for name, declared in after["jobQueues"].items():
        wanted = tuple(item["computeEnvironment"] for item in declared["computeEnvironmentOrder"])
        first = tuple(item["computeEnvironment"] for item in before["jobQueues"][name]["computeEnvironmentOrder"])
        assert set(judge.orders[name]) == {first, wanted}, "each rank is taken by the environment of that name"
    history.expect_nothing(env)
    no_job_lost(history, jobs)


def test_the_judge_sees_a_gap(history: History, tmp_path: Path) -> None:
    """What another tool does: the live environment is disabled first."""
    history.converge(loaded(tmp_path, one_of("a", "q:a")))
    history.sandbox.client("batch").update_compute_environment(computeEnvironment="a", state="DISABLED")
    judge = Judge()
    judge.hear(log(history.sandbox))

    assert len(judge.found) == 1 and "q has nothing VALID and ENABLED among ('a',)" in judge.found[0]


@pytest.mark.parametrize(
    ("change", "after_it"),
    across(
        ["disabled, and another enabled", "all three of a full queue", "with all that it stands on"], [False, True], 6
    ),
)
def test_killed_at_any_write_the_next_run_finishes(
    history: History, tmp_path: Path, change: str, after_it: bool
) -> None:
    before, after, queues = CHANGES[change]
    for dies_at in moments(first=2 * after_it):
        history.sandbox.reset()
        history.converge(loaded(tmp_path, before))
        history.sandbox.advance(90)
        jobs = jobs_for(history, before, queues)
        env = loaded(tmp_path, after)
        jobs.most = 30
        door = Busy(history.aws, jobs=jobs, dies_at=dies_at, after=after_it)
        with contextlib.suppress(Killed):
            history.run(env, door, allow_deletions=99)
        outcome = history.run(env, Busy(history.aws, jobs=jobs), allow_deletions=99)

        assert outcome.ok, (dies_at, history.failures())
        no_gap(history)
        history.expect_nothing(env)
        no_job_lost(history, jobs)
        if len(door.writes) <= dies_at:
            return
    raise AssertionError("it never ends")


TROUBLE: dict[str, dict[str, Any]] = {
    "throttled": {"throttle": True},
    "500": {"code": "ServerException", "status": 500},
    "lost": {"lost": True},
}


WRITES = ["CreateComputeEnvironment", "UpdateJobQueue", "UpdateComputeEnvironment", "DeleteComputeEnvironment"]


@pytest.mark.parametrize(("write", "trouble"), across(WRITES, TROUBLE, 6))
def test_trouble_at_a_write_makes_no_gap(history: History, tmp_path: Path, write: str, trouble: str) -> None:
    before, after, queues = CHANGES["two that change places"]
    history.converge(loaded(tmp_path, before))
    jobs = jobs_for(history, before, queues)
    env = loaded(tmp_path, after)
    history.sandbox.faults.add(service="batch", operation=write, nth=2, **TROUBLE[trouble])
    outcome = history.run(env, Busy(history.aws, jobs=jobs), allow_deletions=99)

    assert outcome.ok, history.failures()
    no_gap(history)
    history.expect_nothing(env)
    no_job_lost(history, jobs)


def test_replaced_because_somebody_asks(history: History, tmp_path: Path) -> None:
    env = loaded(tmp_path, one_of("a", "q:a"))
    history.converge(env)
    jobs = Jobs(history.sandbox.client("batch"), {"q": "job-ec2"})
    again = (Address("computeEnvironments", "a"),)
    assert history.run(env, Busy(history.aws, jobs=jobs), replace=again).ok, history.failures()

    no_gap(history)
    history.expect_nothing(env)
    no_job_lost(history, jobs)


def test_delete_first_under_a_live_queue_is_refused_with_the_way_out(history: History, tmp_path: Path) -> None:
    history.converge(loaded(tmp_path, one_of("a", "q:a")))
    first = estate({"a": ec2("c5.large", lifecycle={"replace": "delete-first"})}, {"q": queue("a")})
    (problem,) = history.plan(loaded(tmp_path, first)).problems

    assert problem.code == "still-used"
    assert "remove lifecycle.replace" in problem.hint


def test_from_instances_to_fargate_is_one_update_of_the_queue_and_the_plan_warns(
    history: History, tmp_path: Path
) -> None:
    """No queue takes both, not even for a moment; and what waits for instances never runs on Fargate."""
    history.converge(loaded(tmp_path, one_of("ab", "q:ab")))
    env = loaded(tmp_path, estate({"a": fargate(), "b": fargate()}, {"q": queue("a", "b")}))
    told = {str(found.address): found.disruption for found in history.plan(env).plan.resources}
    history.converge(env)

    assert "definitions for the old type of resources never start" in told["computeEnvironments.a"]
    no_gap(history)


# --- running jobs ----------------------------------------------------------------------------------------------------

EKS = {"eksClusterArn": "arn:aws:eks:eu-west-1:123456789012:cluster/c", "kubernetesNamespace": "jobs"}
POD = {"image": "alpine", "resources": {key: {"cpu": "1", "memory": "1024Mi"} for key in ("limits", "requests")}}
ON_EKS = {"job-eks": {"type": "container", "eksProperties": {"podProperties": {"containers": [POD]}}}}


def on_eks(*, lifecycle: Any = None, **cluster: str) -> Stack:
    image = [{"imageType": "EKS_AL2023"}]
    return ec2(role=None, minvCpus=8, ec2Configuration=image, lifecycle=lifecycle) | {
        "eksConfiguration": {**EKS, **cluster}
    }


def running(history: History, tmp_path: Path, stack: Stack, definition: str, **settings: Any) -> Jobs:
    history.sandbox.change(settings)
    history.converge(loaded(tmp_path, stack))
    history.sandbox.advance(90)
    jobs = Jobs(history.sandbox.client("batch"), {"q": definition})
    jobs.submit()
    history.sandbox.advance(150)  # its instance starts first
    assert jobs.statuses() == ["RUNNING"]
    return jobs


@pytest.mark.parametrize("how", some(["fargate", "eks", "removed"], 3, first=2))
def test_a_job_that_runs_is_waited_for(history: History, tmp_path: Path, how: str) -> None:
    stacks = {
        "fargate": (fargate(), {"a": fargate("FARGATE_SPOT")}, "job-fargate"),
        "eks": (on_eks(), {"a": on_eks(kubernetesNamespace="others")}, "job-eks"),
        "removed": (A, {"b": B}, "job-ec2"),
    }
    one, others, definition = stacks[how]
    before = estate({"a": one}, {"q": queue("a")}, jobDefinitions=ON_EKS)
    jobs = running(history, tmp_path, before, definition, outcomes={"j": [{"exitCode": 0, "seconds": 5000}]})
    env = loaded(tmp_path, estate(others, {"q": queue(*others)}, jobDefinitions=ON_EKS))
    assert history.run(env, allow_deletions=9).ok, history.failures()

    assert jobs.statuses() == ["SUCCEEDED Essential container in task exited"]
    history.expect_nothing(env)


@pytest.mark.parametrize("one", some(["ec2", "fargate"], 2))
def test_a_wait_that_takes_too_long_names_the_jobs_and_leaves_them(history: History, tmp_path: Path, one: str) -> None:
    soon = {"drain": "wait", "drainTimeoutMinutes": 5}
    kinds = {
        "ec2": (A, ec2("c5.large", lifecycle=soon)),
        "fargate": (fargate(), fargate("FARGATE_SPOT", lifecycle=soon)),
    }
    first, second = kinds[one]
    jobs = running(history, tmp_path, estate({"a": first}, {"q": queue("a")}), f"job-{one}", **ENDLESS)
    env = loaded(tmp_path, estate({"a": second}, {"q": queue("a")}))
    outcome = history.run(env, allow_deletions=9)

    assert outcome.failed
    assert f"still on a: j ({jobs.ids[0]})" in history.failures()[0]
    assert jobs.statuses() == ["RUNNING"]
    no_gap(history)
    history.sandbox.advance(40_000)
    history.converge(env, allow_deletions=9)
    no_job_lost(history, jobs)


@pytest.mark.parametrize("one", some(["ec2", "fargate", "eks"], 2, first=1))
def test_terminate_goes_on_when_the_time_is_up(history: History, tmp_path: Path, one: str) -> None:
    soon = {"drain": "terminate", "drainTimeoutMinutes": 5}
    kinds = {
        "ec2": (A, ec2("c5.large", lifecycle=soon)),
        "fargate": (fargate(), fargate("FARGATE_SPOT", lifecycle=soon)),
        "eks": (on_eks(), on_eks(lifecycle=soon, kubernetesNamespace="others")),
    }
    first, second = kinds[one]
    before = estate({"a": first}, {"q": queue("a")}, jobDefinitions=ON_EKS)
    jobs = running(history, tmp_path, before, f"job-{one}", **ENDLESS)
    env = loaded(tmp_path, estate({"a": second}, {"q": queue("a")}, jobDefinitions=ON_EKS))
    history.converge(env, allow_deletions=9)

    reasons = {"fargate": "FAILED compute environment a is replaced or deleted"}
    assert jobs.statuses()[0].startswith(reasons.get(one, "FAILED Host EC2"))


def test_children_of_an_array_are_found_and_ended(history: History, tmp_path: Path) -> None:
    """A queue lists an array by its parent only, which is PENDING while its children run."""
    soon = {"drain": "terminate", "drainTimeoutMinutes": 5}
    history.sandbox.change(ENDLESS)
    history.converge(loaded(tmp_path, estate({"a": fargate()}, {"q": queue("a")})))
    batch = history.sandbox.client("batch")
    array = {"jobName": "j", "jobQueue": "q", "jobDefinition": "job-fargate", "arrayProperties": {"size": 3}}
    job = batch.submit_job(**array)["jobId"]
    history.sandbox.advance(90)
    history.converge(loaded(tmp_path, estate({"a": fargate("FARGATE_SPOT", lifecycle=soon)}, {"q": queue("a")})))

    assert batch.describe_jobs(jobs=[job])["jobs"][0]["status"] == "FAILED"


def test_destroying_everything_waits_for_no_job(history: History, tmp_path: Path) -> None:
    env_of = estate({"a": A}, {"q": queue("a")})
    jobs = running(history, tmp_path, env_of, "job-ec2", **ENDLESS)
    began = history.sandbox.clock.now()
    history.destroy(loaded(tmp_path, env_of))

    assert history.sandbox.clock.now() - began < 3000
    assert jobs.statuses() == ["FAILED Job queue was deleted"]


# --- whole commands --------------------------------------------------------------------------------------------------

Command = Callable[..., tuple[int, str]]


@pytest.fixture
def command(
    served: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Command:
    def once(*argv: str, stack: Stack) -> tuple[int, str]:
        (tmp_path / "environment.yaml").write_text(json.dumps(stack, indent=1), encoding="utf-8")
        codes: list[int] = []
        cli.main([*argv[:1], str(tmp_path), *argv[1:]], leave=codes.append)
        out, err = capsys.readouterr()
        return codes[0], out + err

    return once


@contextlib.contextmanager
def submitting(jobs: Jobs, account: Any) -> Iterator[None]:
    """Jobs from elsewhere at every fourth call that arrives, until it is left."""
    busy, answer = threading.Lock(), account.answer
    arrived = itertools.count(1)

    def answering(request: Any) -> Any:
        if next(arrived) % 4 == 0 and busy.acquire(blocking=False):
            try:
                jobs.submit()
            finally:
                busy.release()
        return answer(request)

    account.answer = answering
    try:
        yield
    finally:
        del account.answer


APPLY = ("apply", "--auto-approve", "--allow-deletions", "99")
QUICK = {
    **dict.fromkeys(("environment_create", "environment_scaling", "environment_delete"), 0),
    **dict.fromkeys(("queue_create", "queue_update", "queue_delete", "relationship_lag", "deleted_lingers"), 0),
    **dict.fromkeys(("job_to_runnable", "job_to_starting", "job_to_running", "iam_delay"), 0),
    "outcomes": {"j": [{"exitCode": 0, "seconds": 1}]},
}


@pytest.mark.parametrize(
    ("pace", "change"),
    across(
        ["at once", "as on AWS"],
        [
            "two that change places",
            "all three of a full queue",
            "disabled, and another enabled",
            "removed from two queues",
        ],
        5,
    ),
)
def test_applied_while_jobs_come_from_elsewhere(command: Command, served: Any, change: str, pace: str) -> None:
    before, after, queues = CHANGES[change]
    quick = pace == "at once"
    settings = {**LONG, **(QUICK if quick else {})}
    served.change(settings)
    code, told = command(*APPLY, stack=before)
    assert code == 0, told
    jobs = Jobs(boto3.client("batch", region_name="eu-west-1"), dict.fromkeys(queues, "job-ec2"))
    with submitting(jobs, served):
        code, told = command(*APPLY, stack=after)

    assert code == 0, told
    assert command("plan", "--detailed-exitcode", stack=after)[0] == 0
    judge = Judge(creating=0, changing=0) if quick else Judge()
    judge.hear(log(served))
    assert judge.judged and judge.found == []
    served.clock.advance(40_000)
    assert jobs.ids and jobs.refused == []
    assert {status.split()[0] for status in jobs.statuses()} == {"SUCCEEDED"}


@pytest.mark.long  # as in test_replacement, with commands
def test_one_that_comes_up_invalid_leaves_the_old_one_in_service(command: Command, served: Any) -> None:
    """Exit code 3; and the run after the YAML is mended finishes it, and clears up."""
    served.change(LONG)
    powerless = {"roles": {"nobody": {"trust": ["batch.amazonaws.com"]}}}  # not so new that it may yet be waited for
    good = estate({"a": A}, {"q": queue("a"), "p": queue("a")}, **powerless)
    assert command(*APPLY, stack=good)[0] == 0
    bad = estate({"a": ec2("c5.large", role="nobody")}, {"q": queue("a"), "p": queue("a")}, **powerless)
    jobs = Jobs(boto3.client("batch", region_name="eu-west-1"), {"q": "job-ec2", "p": "job-ec2"})
    with submitting(jobs, served):
        code, told = command(*APPLY, stack=bad)
        assert code == 3, told
        assert "serviceRole lacks a permission" in told
        mended = estate({"a": B}, {"q": queue("a"), "p": queue("a")})
        code, told = command(*APPLY, stack=mended)
        assert code == 0, told

    assert command("plan", "--detailed-exitcode", stack=mended)[0] == 0
    calls = log(served)
    made = [c["params"]["computeEnvironmentName"] for c in calls if c["operation"] == "CreateComputeEnvironment"]
    judge = Judge(never=frozenset(made[1:-1]))
    judge.hear(calls)
    assert len(made) >= 2 and judge.judged and judge.found == []
    batch = boto3.client("batch", region_name="eu-west-1")
    left = batch.describe_compute_environments()["computeEnvironments"]
    assert [e["computeEnvironmentName"] for e in left if e["status"] != "DELETED"] == made[-1:]
    served.clock.advance(40_000)
    assert jobs.refused == [] and {status.split()[0] for status in jobs.statuses()} == {"SUCCEEDED"}


def test_the_plan_says_what_happens_to_running_jobs(command: Command, served: Any) -> None:
    assert command(*APPLY, stack=one_of("a", "q:a"))[0] == 0
    code, told = command("plan", "--verbose", stack=one_of("a", "q:a", changed="a"))

    assert code == 0
    assert "jobs on compute environment a finished" in told and "apply waits up to" in told
