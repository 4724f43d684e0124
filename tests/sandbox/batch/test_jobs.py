"""Jobs, rule by rule: submitting, their life, retries, stopping, listing."""

import pytest

from reconciler.sandbox.batch import Outcome
from reconciler.sandbox.batch.retry import again
from tests.sandbox.batch_desk import ACCOUNT, Desk, container
from tests.support.long import some

LOST = {"statusReason": "Host EC2 (instance i-0abc) terminated.", "seconds": 10}
FAILED = {"exitCode": 1, "seconds": 10}
FINE = {"exitCode": 0, "seconds": 10}
EXECUTION = f"arn:aws:iam::{ACCOUNT}:role/execution"


@pytest.fixture
def stack(desk: Desk) -> Desk:
    """Its instances start at once."""
    desk.settings.instances_launch = 0
    desk.environment()
    desk.queue()
    desk.register()
    return desk


def submit(desk: Desk, **changes) -> str:
    given = {"jobName": "job", "jobQueue": "q", "jobDefinition": "jd", **changes}
    return desk.client.submit_job(**given)["jobId"]


def refuse(desk: Desk, **changes) -> str:
    given = {"jobName": "job", "jobQueue": "q", "jobDefinition": "jd", **changes}
    return desk.refused(desk.client.submit_job, **given)


def status(desk: Desk, job: str) -> str:
    return desk.see_job(job)["status"]


def listed(desk: Desk, **given) -> list[str]:
    return [one["jobName"] for one in desk.client.list_jobs(**given)["jobSummaryList"]]


# --- life ------------------------------------------------------------------------------------------------------------


def test_a_job_goes_through_its_states(stack):
    """SUBMITTED, RUNNABLE, STARTING, RUNNING, SUCCEEDED."""
    job = submit(stack)
    states = [status(stack, job)]
    for seconds in (2, 4, 16, 60):
        stack.wait(seconds)
        states.append(status(stack, job))

    assert states == ["SUBMITTED", "RUNNABLE", "STARTING", "RUNNING", "SUCCEEDED"]


def test_a_started_job_tells_its_task(stack):
    """Its ARN names the ECS cluster, and by that the compute environment."""
    job = submit(stack)
    stack.wait(2)
    assert "taskArn" not in stack.see_job(job)["container"]
    stack.wait(4)
    told = stack.see_job(job)["container"]
    cluster = stack.see_environment()["ecsClusterArn"].rsplit("/", 1)[-1]

    assert f":task/{cluster}/" in told["taskArn"]
    assert f":container-instance/{cluster}/" in told["containerInstanceArn"]
    stack.wait(600)
    assert told["taskArn"] == stack.see_job(job)["attempts"][0]["container"]["taskArn"]


def test_a_disabled_environment_keeps_the_vcpus_that_jobs_need(stack):
    submit(stack)
    stack.wait(30)
    stack.client.update_compute_environment(
        computeEnvironment=stack.see_environment()["computeEnvironmentName"], state="DISABLED"
    )
    stack.wait(15)
    assert stack.see_environment()["computeResources"]["desiredvCpus"] == 1
    stack.wait(600)

    assert stack.see_environment()["computeResources"]["desiredvCpus"] == 0


def test_a_finished_job_tells_its_attempt(stack):
    """Attempts carry exit code, reason, log stream and times; times are milliseconds."""
    stack.settings.outcomes = {"job": [{"exitCode": 3, "reason": "OutOfMemoryError: x", "seconds": 10}]}
    job = submit(stack)
    stack.wait(600)
    seen = stack.see_job(job)
    attempt = seen["attempts"][0]

    assert (seen["status"], seen["statusReason"]) == ("FAILED", "Essential container in task exited")
    assert attempt["container"]["exitCode"] == 3
    assert attempt["container"]["reason"] == "OutOfMemoryError: x"
    assert attempt["container"]["logStreamName"].startswith("jd/default/")
    assert attempt["stoppedAt"] - attempt["startedAt"] == 10_000
    assert seen["createdAt"] > 10**12
    assert seen["container"]["exitCode"] == 3
    assert (seen["isCancelled"], seen["isTerminated"]) == (False, False)


def test_a_lost_host_leaves_no_exit_code(stack):
    """When the host goes, neither exit code nor reason is known."""
    stack.settings.outcomes = {"job": [LOST]}
    job = submit(stack)
    stack.wait(600)
    attempt = stack.see_job(job)["attempts"][0]

    assert "exitCode" not in attempt["container"]
    assert attempt["statusReason"].startswith("Host EC2")


def test_finished_jobs_are_forgotten_after_a_week(stack):
    """Then they are missing from replies, as unknown ids are."""
    job = submit(stack)
    stack.wait(8 * 86400)

    assert stack.client.describe_jobs(jobs=[job, "unknown"])["jobs"] == []


def test_a_job_waits_for_an_environment(stack):
    """No place in a DISABLED environment; enabled again, the job goes on."""
    stack.disable_environment()
    job = submit(stack)
    stack.wait(3600)
    assert status(stack, job) == "RUNNABLE"
    stack.client.update_compute_environment(computeEnvironment="ce", state="ENABLED")
    stack.wait(3600)

    assert status(stack, job) == "SUCCEEDED"


def test_vcpus_are_shared(stack):
    """Jobs run as far as maxvCpus goes; desiredvCpus follows what is used."""
    stack.register(
        "big",
        containerProperties=container(
            resourceRequirements=[{"type": "VCPU", "value": "10"}, {"type": "MEMORY", "value": "64"}]
        ),
    )
    first, second = submit(stack, jobDefinition="big"), submit(stack, jobDefinition="big")
    stack.wait(30)
    assert (status(stack, first), status(stack, second)) == ("RUNNING", "RUNNABLE")
    assert stack.see_environment()["computeResources"]["desiredvCpus"] == 10
    stack.wait(600)

    assert status(stack, second) == "SUCCEEDED"
    assert stack.see_environment()["computeResources"]["desiredvCpus"] == 0


def test_a_job_too_large_for_every_environment_says_so(stack):
    """RUNNABLE for ever, with the reason code; a time limit for that code cancels it."""
    reason = "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE"
    limit = {"state": "RUNNABLE", "maxTimeSeconds": 600, "action": "CANCEL", "reason": reason}
    other = {**limit, "reason": "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY"}
    stack.queue("limited", jobStateTimeLimitActions=[limit])
    stack.queue("other", jobStateTimeLimitActions=[other])
    overrides = {"resourceRequirements": [{"type": "VCPU", "value": "64"}]}
    jobs = [submit(stack, jobQueue=queue, containerOverrides=overrides) for queue in ("q", "limited", "other")]
    stack.wait(500)
    assert all(stack.see_job(job)["statusReason"].startswith(reason) for job in jobs)
    stack.wait(200)

    assert [status(stack, job) for job in jobs] == ["RUNNABLE", "FAILED", "RUNNABLE"]
    told = f"Canceled by JobStateTimeLimit action due to reason: {reason}"
    assert stack.see_job(jobs[1])["statusReason"] == told
    stack.client.update_job_queue(jobQueue="q", jobStateTimeLimitActions=[{**limit, "maxTimeSeconds": 900}])
    second = submit(stack, jobQueue="q", containerOverrides=overrides)
    stack.wait(800)
    assert [status(stack, job) for job in (jobs[0], second)] == ["FAILED", "RUNNABLE"]
    stack.wait(1000)
    assert stack.see_job(second)["statusReason"] == told


def test_fargate_jobs_run_on_fargate(stack):
    """A definition for Fargate finds no place on instances."""
    stack.fargate()
    stack.queue("fq", "fg")
    stack.register("fd", platformCapabilities=["FARGATE"], containerProperties=container(executionRoleArn=EXECUTION))
    wrong, right = submit(stack, jobDefinition="fd"), submit(stack, jobDefinition="fd", jobQueue="fq")
    stack.wait(600)

    assert (status(stack, wrong), status(stack, right)) == ("RUNNABLE", "SUCCEEDED")


def test_a_fargate_environment_with_active_jobs_cannot_go(stack):
    """Deleting it turns it INVALID."""
    stack.settings.outcomes = {"job": [{"exitCode": 0, "seconds": 10**6}]}
    stack.fargate()
    stack.queue("fq", "fg")
    stack.register("fd", platformCapabilities=["FARGATE"], containerProperties=container(executionRoleArn=EXECUTION))
    submit(stack, jobDefinition="fd", jobQueue="fq")
    stack.wait(100)
    stack.environment("spare")
    stack.disable_environment("fg")
    stack.fargate("fg2")
    stack.client.update_job_queue(jobQueue="fq", computeEnvironmentOrder=[{"order": 1, "computeEnvironment": "fg2"}])
    stack.wait(100)
    stack.client.delete_compute_environment(computeEnvironment="fg")
    stack.wait(100)

    assert stack.see_environment("fg")["status"] == "INVALID"


def test_replacing_instances_ends_their_jobs_when_told_to(desk):
    """terminateJobsOnUpdate: running jobs end at once and are tried again if their own strategy says so."""
    desk.environment(resources={"allocationStrategy": "BEST_FIT_PROGRESSIVE"})
    desk.queue()
    desk.register(retryStrategy={"attempts": 2})
    desk.settings.outcomes = {"job": [{"exitCode": 0, "seconds": 5000}]}
    job = submit(desk)
    desk.wait(100)
    desk.client.update_compute_environment(
        computeEnvironment="ce",
        computeResources={"instanceTypes": ["m5"]},
        updatePolicy={"terminateJobsOnUpdate": True},
    )
    seen = desk.see_job(job)
    assert [one["statusReason"][:9] for one in seen["attempts"]] == ["Host EC2 "]
    assert seen["status"] == "RUNNABLE"
    desk.wait(10_000)

    assert status(desk, job) == "SUCCEEDED"


def test_deleting_a_queue_ends_its_jobs(stack):
    """All jobs in it are terminated."""
    stack.settings.outcomes = {"job": [{"exitCode": 0, "seconds": 10**6}]}
    job = submit(stack)
    stack.wait(100)
    stack.disable_queue()
    assert status(stack, job) == "RUNNING"
    stack.client.delete_job_queue(jobQueue="q")

    assert status(stack, job) == "FAILED"


# --- submitting ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["jd", "jd:2", "arn", "arn without revision"])
def test_forms_of_a_definition(stack, form):
    """NAME and the ARN without a revision mean the newest ACTIVE one."""
    stack.register()
    arn = f"arn:aws:batch:eu-west-1:{ACCOUNT}:job-definition/jd"
    job = submit(stack, jobDefinition={"arn": f"{arn}:2", "arn without revision": arn}.get(form, form))

    assert stack.see_job(job)["jobDefinition"] == f"{arn}:2"


def test_inactive_definitions_are_refused(stack):
    """Neither by revision nor, when nothing is ACTIVE, by name; jobs on their way go on."""
    job = submit(stack)
    stack.client.deregister_job_definition(jobDefinition="jd:1")
    assert refuse(stack, jobDefinition="jd:1")
    assert refuse(stack)
    stack.wait(600)

    assert status(stack, job) == "SUCCEEDED"


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"jobName": "a.b"}, "Job name should match valid pattern"),
        ({"jobQueue": "none"}, "JobQueue none not found."),
        ({"jobDefinition": "none"}, "JobDefinition none not found."),
        ({"arrayProperties": {"size": 1}}, "between 2 and 10000"),
        ({"arrayProperties": {"size": 10001}}, "between 2 and 10000"),
        ({"dependsOn": [{"jobId": "x"}] * 21}, "maximum of 20"),
        ({"shareIdentifier": "a"}, "must not be specified"),
        ({"timeout": {"attemptDurationSeconds": 59}}, "at least 60"),
        ({"retryStrategy": {"attempts": 11}}, "between 1 and 10"),
        ({"containerOverrides": {"vcpus": 2}}, "submitted in a deprecated key and may conflict"),
        ({"parameters": {"a": "x" * 31000}}, "30 KiB"),
    ],
)
def test_what_is_refused(stack, changes, text):
    """Names, sizes, deprecated overrides and what does not exist."""
    assert text in refuse(stack, **changes)


def test_a_disabled_queue_takes_no_jobs(stack):
    """Nor does one that is being deleted."""
    stack.disable_queue()
    assert refuse(stack)
    stack.client.delete_job_queue(jobQueue="q")

    assert refuse(stack)


def test_fair_share_needs_an_identifier(stack):
    """On a queue with a fair-share policy it is required, and gives the job a priority."""
    arn = stack.client.create_scheduling_policy(name="fair", fairsharePolicy={})["arn"]
    stack.queue("fair", schedulingPolicyArn=arn)
    assert "shareIdentifier is required" in refuse(stack, jobQueue="fair")
    seen = stack.see_job(submit(stack, jobQueue="fair", shareIdentifier="a", schedulingPriorityOverride=7))

    assert (seen["shareIdentifier"], seen["schedulingPriority"]) == ("a", 7)


def test_overrides(stack):
    """Environment merges by name, amounts by type; command and retry strategy replace."""
    stack.register(
        "od",
        parameters={"a": "1", "b": "2"},
        retryStrategy={"attempts": 5},
        timeout={"attemptDurationSeconds": 90},
        containerProperties=container(
            command=["x"], environment=[{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]
        ),
    )
    job = submit(
        stack,
        jobDefinition="od",
        parameters={"b": "3"},
        retryStrategy={"attempts": 2},
        timeout={"attemptDurationSeconds": 120},
        containerOverrides={
            "command": ["y"],
            "environment": [{"name": "B", "value": "9"}],
            "resourceRequirements": [{"type": "MEMORY", "value": "4096"}],
        },
    )
    seen = stack.see_job(job)

    assert seen["parameters"] == {"a": "1", "b": "3"}
    assert seen["container"]["command"] == ["y"]
    assert {one["name"]: one["value"] for one in seen["container"]["environment"]} == {"A": "1", "B": "9"}
    assert {one["type"]: one["value"] for one in seen["container"]["resourceRequirements"]} == {
        "VCPU": "1",
        "MEMORY": "4096",
    }
    assert (seen["retryStrategy"]["attempts"], seen["timeout"]["attemptDurationSeconds"]) == (2, 120)


def test_propagated_tags_may_be_too_many(stack):
    """More than fifty tags of job and definition together: the job goes to FAILED."""
    stack.register("td", propagateTags=True, tags={f"d{n}": "" for n in range(30)})
    job = submit(stack, jobDefinition="td", tags={f"j{n}": "" for n in range(30)})
    stack.wait(10)

    assert status(stack, job) == "FAILED"


# --- dependencies, arrays, nodes -------------------------------------------------------------------------------------


def test_dependencies(stack):
    """PENDING until the other job is done; FAILED if it failed."""
    stack.settings.outcomes = {"bad": [FAILED]}
    good, bad = submit(stack, jobName="good"), submit(stack, jobName="bad")
    after_good = submit(stack, dependsOn=[{"jobId": good}])
    after_bad = submit(stack, dependsOn=[{"jobId": bad}])
    stack.wait(5)
    assert (status(stack, after_good), status(stack, after_bad)) == ("PENDING", "PENDING")
    stack.wait(600)

    assert (status(stack, after_good), status(stack, after_bad)) == ("SUCCEEDED", "FAILED")
    assert refuse(stack, dependsOn=[{"jobId": "unknown"}])


def test_arrays(stack):
    """The parent is PENDING while its children run, each of them retried by itself."""
    stack.settings.outcomes = {"job": [FAILED, FINE]}
    job = submit(stack, arrayProperties={"size": 3}, retryStrategy={"attempts": 2})
    stack.wait(30)
    seen = stack.see_job(job)
    assert seen["status"] == "PENDING"
    assert (seen["arrayProperties"]["size"], sum(seen["arrayProperties"]["statusSummary"].values())) == (3, 3)
    stack.wait(600)
    children = stack.client.list_jobs(arrayJobId=job, jobStatus="SUCCEEDED")["jobSummaryList"]

    assert status(stack, job) == "SUCCEEDED"
    assert [one["jobId"] for one in children] == [f"{job}:{index}" for index in range(3)]
    assert len(stack.see_job(f"{job}:1")["attempts"]) == 2


def test_one_bad_child_fails_the_array(stack):
    """Children cannot be tagged."""
    job = submit(stack, arrayProperties={"size": 2})
    arn = stack.see_job(f"{job}:0")["jobArn"]
    assert "not supported" in stack.refused(stack.client.tag_resource, resourceArn=arn, tags={"a": "b"})
    stack.wait(10)
    stack.client.terminate_job(jobId=f"{job}:0", reason="no")
    stack.wait(600)

    assert status(stack, job) == "FAILED"
    assert status(stack, f"{job}:1") == "SUCCEEDED"


@pytest.mark.parametrize("kind", ["N_TO_N", "SEQUENTIAL"])
def test_array_dependencies(stack, kind):
    """Index by index after another array, or one index after the other."""
    first = submit(stack, arrayProperties={"size": 2})
    depends = {"type": kind, **({"jobId": first} if kind == "N_TO_N" else {})}
    job = submit(stack, arrayProperties={"size": 2}, dependsOn=[depends])
    stack.wait(25)
    assert status(stack, f"{job}:1") == "PENDING"
    stack.wait(3600)

    assert status(stack, job) == "SUCCEEDED"
    if kind == "SEQUENTIAL":
        before, after = (stack.see_job(f"{job}:{index}") for index in (0, 1))
        assert before["stoppedAt"] <= after["startedAt"]


@pytest.mark.parametrize("size", some([1_000, 10_000], 2))
def test_thousands_of_children(stack, size):
    """An array of a size that is seldom, and of the largest, goes through."""
    stack.client.update_compute_environment(computeEnvironment="ce", computeResources={"maxvCpus": 20_000})
    job = submit(stack, arrayProperties={"size": size})
    stack.wait(3600)

    assert status(stack, job) == "SUCCEEDED"


def test_nodes(desk):
    """A multi-node job runs on EC2 alone, its nodes share its fate and number."""
    desk.environment("spot", resources={"type": "SPOT", "allocationStrategy": "SPOT_CAPACITY_OPTIMIZED"})
    desk.environment()
    desk.queue("sq", "spot")
    desk.queue()
    ranges = [{"targetNodes": "0:", "container": container()}]
    desk.client.register_job_definition(
        jobDefinitionName="mn",
        type="multinode",
        nodeProperties={"numNodes": 2, "mainNode": 0, "nodeRangeProperties": ranges},
    )
    stuck = submit(desk, jobDefinition="mn", jobQueue="sq")
    job = submit(desk, jobDefinition="mn", nodeOverrides={"numNodes": 3})
    desk.wait(600)
    nodes = desk.client.list_jobs(multiNodeJobId=job, jobStatus="SUCCEEDED")["jobSummaryList"]

    assert (status(desk, stuck), status(desk, job)) == ("RUNNABLE", "SUCCEEDED")
    assert [one["jobId"] for one in nodes] == [f"{job}#{index}" for index in range(3)]
    assert [one["nodeProperties"]["isMainNode"] for one in nodes] == [True, False, False]


def test_a_child_node_may_die(desk):
    """The job goes on, and no attempt is lost; with the main node, here the last, the attempt is."""
    desk.environment(resources={"instanceTypes": ["m5.large"]})
    desk.queue()
    desk.settings.outcomes = {"mn": ["runs-on"]}
    ranges = [{"targetNodes": "0:", "container": container()}]
    properties = {"numNodes": 3, "mainNode": 2, "nodeRangeProperties": ranges}
    retries = {"attempts": 2}
    desk.client.register_job_definition(
        jobDefinitionName="mn", type="multinode", nodeProperties=properties, retryStrategy=retries
    )
    job = submit(desk, jobDefinition="mn")
    desk.wait(200)
    (lost,) = desk.batch.reclaim(f"{job}#1")
    child, main = desk.see_job(f"{job}#1"), desk.see_job(f"{job}#2")
    assert [status(desk, one) for one in (job, f"{job}#0", f"{job}#2")] == ["RUNNING"] * 3
    assert (child["status"], child["statusReason"]) == ("FAILED", f"Host EC2 (instance {lost}) terminated.")
    assert len(child["attempts"]) == 1 and not desk.see_job(job)["attempts"]
    desk.batch.reclaim(f"{job}#2")
    (attempt,) = desk.see_job(job)["attempts"]
    assert attempt["container"]["taskArn"] == main["container"]["taskArn"]
    desk.wait(300)
    assert [status(desk, f"{job}#{index}") for index in range(3)] == ["RUNNING"] * 3
    assert "stoppedAt" not in desk.see_job(f"{job}#1")


# --- retries ---------------------------------------------------------------------------------------------------------


def strategy(attempts=3, *entries):
    return {"attempts": attempts, "evaluateOnExit": list(entries)}


@pytest.mark.parametrize(
    ("rules", "outcome", "expected"),
    [
        pytest.param(None, Outcome(1), False, id="without a strategy there is one attempt"),
        pytest.param(strategy(), Outcome(1), True, id="without rules any failure is retried"),
        pytest.param(strategy(3, {"action": "RETRY", "onExitCode": "0"}), Outcome(0), False, id="0 is success"),
        pytest.param(strategy(1), Outcome(1), False, id="attempts used up"),
        pytest.param(strategy(3, {"action": "exit", "onExitCode": "1"}), Outcome(2), True, id="no match retries"),
        pytest.param(strategy(3, {"action": "exit", "onExitCode": "1"}), Outcome(1), False, id="exact code"),
        pytest.param(strategy(3, {"action": "exit", "onExitCode": "1"}), Outcome(13), True, id="not a prefix"),
        pytest.param(strategy(3, {"action": "exit", "onExitCode": "1*"}), Outcome(13), False, id="prefix"),
        pytest.param(strategy(3, {"action": "exit", "onExitCode": "1*"}), Outcome(None), True, id="code not seen"),
        pytest.param(
            strategy(3, {"action": "retry", "onStatusReason": "Host EC2*"}, {"action": "exit", "onReason": "*"}),
            Outcome(None, None, "Host EC2 (instance i-1) terminated."),
            True,
            id="first match decides",
        ),
        pytest.param(
            strategy(3, {"action": "retry", "onStatusReason": "Host EC2*"}, {"action": "exit", "onReason": "*"}),
            Outcome(1),
            False,
            id="a lone asterisk matches what is missing",
        ),
        pytest.param(
            strategy(3, {"action": "exit", "onStatusReason": "host ec2*"}),
            Outcome(None, None, "Host EC2 (instance i-1) terminated."),
            True,
            id="case matters",
        ),
        pytest.param(
            strategy(3, {"action": "exit", "onExitCode": "1", "onReason": "Out*"}),
            Outcome(1, "Cannot"),
            True,
            id="every condition has to match",
        ),
        pytest.param(
            strategy(3, {"action": "exit", "onExitCode": "1", "onReason": "Out*"}),
            Outcome(1, "OutOfMemoryError"),
            False,
            id="and then decides",
        ),
    ],
)
def test_the_evaluator(rules, outcome, expected):
    """Whether a first attempt that ended so is followed by a second."""
    assert again(rules, 1, outcome) is expected


def test_a_job_is_tried_again_until_it_works(stack):
    """Every attempt is kept."""
    stack.settings.outcomes = {"jo*": [LOST, FAILED, FINE]}
    job = submit(stack, retryStrategy={"attempts": 5})
    stack.wait(3600)
    seen = stack.see_job(job)

    assert seen["status"] == "SUCCEEDED"
    assert [one["container"].get("exitCode") for one in seen["attempts"]] == [None, 1, 0]


def test_the_scripts_last_outcome_repeats(stack):
    """A definition's name finds the script too; attempts run out."""
    stack.settings.outcomes = {"jd": [FAILED]}
    job = submit(stack, retryStrategy={"attempts": 3})
    stack.wait(3600)

    assert (status(stack, job), len(stack.see_job(job)["attempts"])) == ("FAILED", 3)


def test_a_timeout_is_not_retried(stack):
    """It ends the attempt after its seconds, and the job with it."""
    stack.settings.outcomes = {"job": [{"exitCode": 0, "seconds": 500}]}
    job = submit(stack, retryStrategy={"attempts": 3}, timeout={"attemptDurationSeconds": 60})
    stack.wait(3600)
    seen = stack.see_job(job)

    assert (seen["status"], len(seen["attempts"])) == ("FAILED", 1)
    assert seen["statusReason"] == "Job attempt duration exceeded timeout"
    assert seen["attempts"][0]["stoppedAt"] - seen["attempts"][0]["startedAt"] == 60_000


# --- stopping --------------------------------------------------------------------------------------------------------


def test_cancelling_stops_what_has_not_started(stack):
    """RUNNABLE goes to FAILED; RUNNING goes on, without an error; unknown ids are fine."""
    stack.settings.outcomes = {"job": [{"exitCode": 0, "seconds": 300}]}
    running = submit(stack)
    stack.wait(30)
    waiting = submit(stack)
    for job in (running, waiting, "unknown"):
        stack.client.cancel_job(jobId=job, reason="not needed")

    assert (status(stack, running), status(stack, waiting)) == ("RUNNING", "FAILED")
    seen = stack.see_job(waiting)
    assert (seen["isCancelled"], seen["statusReason"]) == (True, "not needed")


def test_terminating_stops_anything(stack):
    """A running job is FAILED, with its attempt, and not retried; finished jobs stay as they are."""
    stack.settings.outcomes = {"job": [{"exitCode": 0, "seconds": 300}]}
    done = submit(stack, jobName="done")
    stack.wait(600)
    job = submit(stack, retryStrategy={"attempts": 3})
    stack.wait(30)
    for one in (done, job):
        stack.client.terminate_job(jobId=one, reason="enough")
    stack.wait(3600)
    seen = stack.see_job(job)

    assert (seen["status"], seen["isTerminated"], len(seen["attempts"])) == ("FAILED", True, 1)
    assert status(stack, done) == "SUCCEEDED"
    assert "1024" in stack.refused(stack.client.terminate_job, jobId=job, reason="x" * 1025)


def test_stopping_many(stack):
    """The plural operations answer per job, for up to fifty."""
    jobs = [submit(stack) for _ in range(3)]
    reply = stack.client.cancel_jobs(jobs=jobs[:2], reason="r")
    assert (reply["successful"], reply["errors"]) == (jobs[:2], [])
    assert stack.client.terminate_jobs(jobs=jobs[2:], reason="r")["successful"] == jobs[2:]
    assert {status(stack, job) for job in jobs} == {"FAILED"}

    assert "50" in stack.refused(stack.client.cancel_jobs, jobs=["x"] * 51, reason="r")


# --- listing ---------------------------------------------------------------------------------------------------------


def test_listing_shows_running_jobs_unless_asked(stack):
    """Without a status, only RUNNING; exactly one selector is needed."""
    submit(stack, jobName="first")
    stack.wait(30)
    submit(stack, jobName="second")

    assert listed(stack, jobQueue="q") == ["first"]
    assert listed(stack, jobQueue="q", jobStatus="SUBMITTED") == ["second"]
    for given in ({}, {"jobQueue": "q", "arrayJobId": "x"}):
        assert "Exactly one of" in stack.refused(stack.client.list_jobs, **given)


def test_filters(stack):
    """One filter, over jobs of any status, newest first; pages of up to a hundred."""
    submit(stack, jobName="Alpha1")
    stack.wait(100)
    submit(stack, jobName="alpha2")
    middle = str(stack.see_job(submit(stack, jobName="beta"))["createdAt"] - 1)

    def found(name, *values, **more):
        return listed(stack, jobQueue="q", filters=[{"name": name, "values": list(values)}], **more)

    assert found("JOB_NAME", "ALPHA*") == ["alpha2", "Alpha1"]
    assert found("JOB_NAME", "alpha1", jobStatus="FAILED") == ["Alpha1"]
    assert found("JOB_DEFINITION", "jd") == found("JOB_DEFINITION", "j*") == ["beta", "alpha2", "Alpha1"]
    assert found("JOB_DEFINITION", "JD") == found("JOB_DEFINITION", "J*") == []
    assert found("BEFORE_CREATED_AT", middle) == ["Alpha1"]
    assert found("AFTER_CREATED_AT", middle) == ["beta", "alpha2"]
    assert found("SHARE_IDENTIFIER", "x") == []
    two = [{"name": "JOB_NAME", "values": ["a"]}, {"name": "JOB_NAME", "values": ["b"]}]
    assert "Only one filter" in stack.refused(stack.client.list_jobs, jobQueue="q", filters=two)
    assert "between 1 and 100." in stack.refused(stack.client.list_jobs, jobQueue="q", filters=two[:1], maxResults=101)
    assert "between 1 and 1000." in stack.refused(stack.client.list_jobs, jobQueue="q", maxResults=1001)


def test_what_has_not_finished_is_listed_status_by_status(stack):
    """Every job by its status alone; an array as PENDING while its children run; each says its revision."""
    array = submit(stack, jobName="array", arrayProperties={"size": 2})
    seen = set()
    for _ in range(40):
        for status in ("SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING"):
            summaries = stack.client.list_jobs(jobQueue="q", jobStatus=status)["jobSummaryList"]
            assert {one["jobDefinition"].rsplit("/", 1)[-1] for one in summaries} <= {"jd:1"}
            seen |= {(status, one["jobId"] == array) for one in summaries}
        stack.wait(3)

    assert seen == {("SUBMITTED", True), ("PENDING", True)}


def test_pages_of_filtered_jobs(stack):
    """A paginator sees each job once, newest first."""
    for number in range(7):
        submit(stack, jobName=f"job{number}")
    pages = stack.client.get_paginator("list_jobs").paginate(
        jobQueue="q", filters=[{"name": "JOB_NAME", "values": ["job*"]}], PaginationConfig={"PageSize": 3}
    )

    assert [one["jobName"] for page in pages for one in page["jobSummaryList"]] == [f"job{n}" for n in range(6, -1, -1)]


def test_a_snapshot_shows_what_waits(stack):
    """GetJobQueueSnapshot lists RUNNABLE jobs, and what those use that run."""
    stack.settings.outcomes = {"*": ["runs-on"]}
    submit(stack)
    stack.wait(200)
    stack.disable_environment()
    job = submit(stack)
    stack.wait(10)
    seen = stack.client.get_job_queue_snapshot(jobQueue="q")

    assert [one["jobArn"].rsplit("/")[-1] for one in seen["frontOfQueue"]["jobs"]] == [job]
    assert seen["queueUtilization"]["totalCapacityUsage"] == [{"capacityUnit": "VCPU", "quantity": 1.0}]


def test_listing_refuses(stack):
    """Unknown queues and filters; a definition's ARN finds its jobs, with the revision or without."""
    submit(stack)
    arn = f"arn:aws:batch:eu-west-1:{ACCOUNT}:job-definition/jd"
    for value, count in ((arn, 1), (f"{arn}:1", 1), (f"{arn}:2", 0)):
        filters = [{"name": "JOB_DEFINITION", "values": [value]}]
        assert len(listed(stack, jobQueue="q", filters=filters)) == count
    for call in (stack.client.list_jobs, stack.client.get_job_queue_snapshot):
        assert "JobQueue none not found." in stack.refused(call, jobQueue="none")
    filters = [{"name": "COLOUR", "values": ["red"]}]

    assert "Filter COLOUR" in stack.refused(stack.client.list_jobs, jobQueue="q", filters=filters)


def test_tasks_and_pods_run_too(desk):
    """Attempts of a task list its containers; a pod's stand apart; pods run on EKS alone."""
    eks = {"eksClusterArn": f"arn:aws:eks:eu-west-1:{ACCOUNT}:cluster/c", "kubernetesNamespace": "jobs"}
    desk.environment()
    desk.environment("eks", eksConfiguration=eks, resources={"allocationStrategy": "BEST_FIT_PROGRESSIVE"})
    desk.queue()
    desk.queue("eq", "eks")
    part = {"name": "main", **container()}
    register = desk.client.register_job_definition
    register(jobDefinitionName="task", type="container", ecsProperties={"taskProperties": [{"containers": [part]}]})
    register(
        jobDefinitionName="pod",
        type="container",
        eksProperties={
            "podProperties": {
                "containers": [{"image": "busybox", "resources": {"limits": {"cpu": "1", "memory": "512Mi"}}}]
            }
        },
    )
    task, pod, stuck = (
        submit(desk, jobDefinition=definition, jobQueue=queue)
        for definition, queue in (("task", "q"), ("pod", "eq"), ("pod", "q"))
    )
    desk.wait(600)
    told = desk.see_job(task)["attempts"][0]["taskProperties"][0]["containers"]

    assert [(one["name"], one["exitCode"]) for one in told] == [("main", 0)]
    assert desk.see_job(pod)["eksAttempts"][0]["containers"][0]["exitCode"] == 0
    assert status(desk, stuck) == "RUNNABLE"


def test_events_of_a_terminated_job_are_void(stack):
    """What was about to happen to a job does not, once it has been stopped on the way."""
    job = submit(stack)
    stack.wait(6)
    stack.client.terminate_job(jobId=job, reason="enough")
    early = submit(stack)
    stack.client.terminate_job(jobId=early, reason="enough")
    stack.wait(600)

    assert [stack.see_job(one)["attempts"] for one in (job, early)] == [[], []]
    assert {status(stack, one) for one in (job, early)} == {"FAILED"}
