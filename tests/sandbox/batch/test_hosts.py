"""The machines behind environments: which instances jobs get, what keeps them waiting, and what AWS says of it.

The lines of the reference are those of operating.md: 1.1, 1.2, 2.1 and 3.3.
"""

import pytest

from reconciler.sandbox.batch import attempts, placement
from tests.sandbox.batch_desk import ROLE, Desk, container


def needs(vcpus=1, memory=1024, gpus=0, **more):
    listed = {"VCPU": vcpus, "MEMORY": memory, **({"GPU": gpus} if gpus else {})}
    return container(
        resourceRequirements=[{"type": kind, "value": str(value)} for kind, value in listed.items()], **more
    )


def start(desk: Desk, *, wait: float = 3600, environment="ce", **payload) -> dict:
    """A job on a queue of its own, after some time."""
    desk.settings.outcomes = {"*": [{"exitCode": 0, "seconds": 86400}]}
    queue = f"q-{environment}"
    if not desk.client.describe_job_queues(jobQueues=[queue])["jobQueues"]:
        desk.queue(queue, environment)
    desk.register(containerProperties=needs(**payload))
    job = desk.client.submit_job(jobName="j", jobQueue=queue, jobDefinition="jd")["jobId"]
    desk.wait(wait)
    return desk.see_job(job)


def types(desk: Desk) -> list[str]:
    return sorted(one.type for one in desk.world.running.values())


def test_a_job_starts_on_an_instance_that_fits(desk):
    desk.environment(resources={"instanceTypes": ["g4dn", "m5"], "tags": {"Name": "node"}})
    seen = start(desk, vcpus=3, memory=9000, wait=40)
    assert seen["status"] == "RUNNABLE"
    desk.wait(120)
    seen = desk.see_job(seen["jobId"])
    host = next(iter(desk.world.running.values()))

    assert (seen["status"], types(desk)) == ("RUNNING", ["m5.xlarge"])
    assert (host.group.startswith("AWSBatch-ce-asg-"), host.tags) == (True, {"Name": "node"})
    fleet = desk.batch.fleet()
    (task,) = fleet.tasks.values()
    (instances,) = fleet.clusters.values()
    assert seen["container"]["containerInstanceArn"].endswith(instances[0].container_instance)
    assert (task.arn, task.host) == (seen["container"]["taskArn"], instances[0].id)


def test_idle_instances_are_ended(desk):
    desk.environment()
    seen = start(desk, wait=120)
    desk.client.terminate_job(jobId=seen["jobId"], reason="enough")
    desk.wait(200)
    desk.batch.settle()
    assert types(desk)
    desk.wait(120)
    desk.batch.settle()

    assert not types(desk)


@pytest.mark.parametrize(
    ("resources", "payload", "reason"),
    [
        ({"instanceTypes": ["g4dn.xlarge"], "maxvCpus": 64}, {"vcpus": 8}, placement.NOTHING_FITS),
        ({"instanceTypes": ["m5.large"]}, {"gpus": 1}, placement.NOTHING_FITS),
        ({"instanceTypes": ["m5.large"]}, {"vcpus": 1, "memory": 8192}, placement.NOTHING_FITS),
        ({"instanceTypes": ["m5"], "maxvCpus": 4}, {"vcpus": 8}, placement.TOO_LARGE),
        ({"instanceTypes": ["m5.large"]}, {"vcpus": 1, "memory": 8100}, ""),
    ],
    ids=["vcpus", "gpus", "memory", "maxvCpus", "more than is registered"],
)
def test_what_no_instance_can_run_waits_for_ever(desk, resources, payload, reason):
    """With AWS's reason; without one where only the registered memory is not enough (2.1, `memory-edge`)."""
    desk.environment(resources=resources)
    seen = start(desk, **payload)

    assert (seen["status"], seen.get("statusReason", "")) == ("RUNNABLE", reason)


def test_only_the_first_job_of_a_queue_has_the_reason(desk):
    desk.environment(resources={"instanceTypes": ["g4dn.xlarge"]})
    first = start(desk, vcpus=8)
    second = start(desk, vcpus=8)

    assert desk.see_job(first["jobId"])["statusReason"] == placement.NOTHING_FITS
    assert "statusReason" not in second


def test_missing_capacity_is_told_by_job_and_activities(desk):
    """Another type, or zone, is tried; without any the launches are tried again, less and less often."""
    desk.settings.no_capacity = ["m5.large"]
    desk.environment(resources={"instanceTypes": ["m5.large", "c5.large"]})
    start(desk, wait=100)
    assert types(desk) == ["c5.large"]
    desk.settings.no_capacity = ["*"]
    desk.environment("dry", resources={"instanceTypes": ["m5.large"]})
    seen = start(desk, environment="dry")

    assert seen["statusReason"] == placement.NO_CAPACITY.format("m5.large")
    group = desk.batch.fleet().groups[-1]
    assert {"InsufficientInstanceCapacity" in one.failure for one in group.activities} == {True}
    assert len(group.activities) < 20
    desk.settings.no_capacity = []
    desk.wait(7200)
    assert desk.see_job(seen["jobId"])["status"] == "RUNNING"


def test_a_quota_is_told_by_activities_alone(desk):
    desk.settings.vcpu_quotas = {"g*": 0}
    desk.environment(resources={"instanceTypes": ["g4dn.xlarge"]})
    seen = start(desk, gpus=1)

    assert (seen["status"], seen.get("statusReason")) == ("RUNNABLE", None)
    assert "VcpuLimitExceeded" in desk.batch.fleet().groups[0].activities[-1].failure


def test_a_type_that_no_zone_has_is_unsupported(desk, monkeypatch):
    """With the reason of https://docs.aws.amazon.com/batch/latest/userguide/job_stuck_in_runnable.html."""
    monkeypatch.setattr(desk.world, "offers", lambda machine, subnet: machine != "m5.large")
    desk.environment(resources={"instanceTypes": ["m5.large"]})
    seen = start(desk)
    assert (seen["status"], seen["statusReason"]) == ("RUNNABLE", placement.UNSUPPORTED)
    assert "(m5.large) is not supported" in desk.batch.fleet().groups[0].activities[-1].failure


def test_spot_has_failures_of_its_own(desk):
    """Another quota, another text; only Spot is taken back, whatever is said to be (1.1, I)."""
    spot = {"type": "SPOT", "allocationStrategy": "SPOT_CAPACITY_OPTIMIZED", "instanceTypes": ["m5.large"]}
    for setting, code in (("vcpu_quotas", "MaxSpotInstanceCountExceeded"), ("no_capacity", "UnfulfillableCapacity")):
        desk.settings.change({setting: {"m5.*": 0} if setting == "vcpu_quotas" else ["*"]})
        desk.environment(setting.replace("_", "-"), resources=spot)
        seen = start(desk, environment=setting.replace("_", "-"))
        failure = desk.batch.fleet().groups[-1].activities[-1].failure
        assert failure.startswith(f"Could not launch Spot Instances. {code} - ")
        assert ("statusReason" in seen) == (code == "UnfulfillableCapacity")
        desk.settings.change({"vcpu_quotas": {}, "no_capacity": []})


def test_a_stopped_instance_is_lost_too(desk):
    desk.environment()
    seen = start(desk, wait=200)
    (lost,) = desk.world.running
    desk.batch.lose([lost], reclaimed=False, how="stopped")
    reason = desk.see_job(seen["jobId"])["attempts"][0]["statusReason"]
    (ended,) = [one for one in desk.batch.fleet().groups[0].activities if one.ended]

    assert (reason, ended.instance) == (f"Host EC2 (instance {lost}) stopped.", lost)


def test_instances_that_do_not_join_make_the_environment_invalid(desk):
    """First nothing, then UNDETERMINED, at last an environment that is INVALID."""
    desk.settings.unjoined = ["ce"]
    desk.environment()
    seen = start(desk, wait=1000)
    assert (seen["status"], seen.get("statusReason")) == ("RUNNABLE", None)
    assert types(desk)
    desk.wait(2000)
    assert desk.see_job(seen["jobId"])["statusReason"] == placement.UNDETERMINED
    assert not next(iter(desk.batch.fleet().clusters.values()))
    desk.wait(7200)

    assert "none of the instances joined the underlying ECS Cluster" in desk.see_environment()["statusReason"]
    assert not types(desk)
    desk.wait(1000)
    assert desk.see_job(seen["jobId"])["statusReason"] == placement.ALL_INVALID


def test_an_unmanaged_environment_has_the_instances_that_join_it(desk):
    """AWS Batch launches none, so that a job waits for somebody's own (1.2, `nothing-joined`)."""
    desk.client.create_compute_environment(computeEnvironmentName="own", type="UNMANAGED", serviceRole=ROLE)
    desk.wait(60)
    seen = start(desk, environment="own")
    assert (seen["status"], desk.world.running) == ("RUNNABLE", {})
    cluster = desk.see_environment("own")["ecsClusterArn"].rpartition("/")[2]
    assert not desk.batch.join("other", "i-1", "m5.large", "subnet-1")
    assert desk.batch.join(cluster, "i-1", "m5.large", "subnet-1")
    desk.wait(200)
    seen = desk.see_job(seen["jobId"])
    assert (seen["status"], [one.id for one in next(iter(desk.batch.fleet().clusters.values()))]) == (
        "RUNNING",
        ["i-1"],
    )
    desk.batch.lose(["i-1"], reclaimed=False)
    assert desk.see_job(seen["jobId"])["statusReason"] == "Host EC2 (instance i-1) terminated."


def test_a_lost_instance_is_named(desk):
    """Its jobs lose the attempt and are retried on another; those on other instances go on."""
    desk.environment()
    seen = start(desk, wait=200)
    (lost,) = desk.world.running
    assert desk.batch.reclaim(seen["jobId"]) == [lost]
    seen = desk.see_job(seen["jobId"])

    assert seen["attempts"][0]["statusReason"] == f"Host EC2 (instance {lost}) terminated."
    assert "exitCode" not in seen["attempts"][0]["container"]
    assert lost not in desk.world.running


def test_fargate_takes_its_capacity_back(desk):
    desk.fargate()
    desk.settings.outcomes = {"*": [{"exitCode": 0, "seconds": 86400}]}
    desk.queue("q", "fg")
    role = "arn:aws:iam::123456789012:role/execution"
    asked = needs(0.25, 512, executionRoleArn=role)
    desk.register(platformCapabilities=["FARGATE"], containerProperties=asked)
    job = desk.client.submit_job(jobName="j", jobQueue="q", jobDefinition="jd")["jobId"]
    desk.wait(60)
    shown = desk.see_job(job)["container"]["networkInterfaces"]
    assert [set(one) for one in shown] == [{"attachmentId", "privateIpv4Address"}]
    assert len(desk.world.interfaces) == 1
    assert desk.batch.reclaim(job) == [job]
    attempt = desk.see_job(job)["attempts"][0]

    assert (attempt["statusReason"], attempt["container"]["exitCode"]) == (attempts.SPOT_TASK, 137)
    assert not desk.world.interfaces
