"""``reconcile sandbox outcome | advance | reclaim | fault | set``, with a job that is reclaimed and retried."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.support.shell import Shell

COMPUTE = {
    "type": "SPOT",
    "minvCpus": 0,
    "maxvCpus": 16,
    "instanceTypes": ["m5.large"],
    "allocationStrategy": "SPOT_CAPACITY_OPTIMIZED",
    "instanceRole": "nodes",
}


@pytest.fixture
def clients(sandbox_url: str, shell: Shell, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Clients of the sandbox that the verbs find by its state file."""
    state = shell.home / "state"
    state.mkdir(exist_ok=True)
    (state / "sandbox.json").write_text(json.dumps({"url": sandbox_url, "pid": os.getpid()}))
    monkeypatch.setenv("RECONCILE_SANDBOX_DIR", str(state))

    def client(service: str) -> Any:
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        return boto3.client(service, endpoint_url=sandbox_url, region_name="eu-west-1", **keys)

    return client


def made(clients: Any, shell: Shell) -> Any:
    """An environment, a queue and a definition; the client of AWS Batch."""
    batch, ec2, iam = clients("batch"), clients("ec2"), clients("iam")
    allow = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
    trust = {"Version": "2012-10-17", "Statement": [allow]}
    iam.create_role(RoleName="nodes", AssumeRolePolicyDocument=json.dumps(trust))
    policy = "arn:aws:iam::aws:policy/service-role/AmazonEC2ContainerServiceforEC2Role"
    iam.attach_role_policy(RoleName="nodes", PolicyArn=policy)
    iam.create_instance_profile(InstanceProfileName="nodes")
    iam.add_role_to_instance_profile(InstanceProfileName="nodes", RoleName="nodes")
    assert shell("sandbox", "advance", "1m").code == 0
    subnets = [one["SubnetId"] for one in ec2.describe_subnets()["Subnets"]]
    groups = [one["GroupId"] for one in ec2.describe_security_groups()["SecurityGroups"]]
    resources = {**COMPUTE, "subnets": subnets, "securityGroupIds": groups}
    batch.create_compute_environment(computeEnvironmentName="ce", type="MANAGED", computeResources=resources)
    shell("sandbox", "advance", "1m")
    order = [{"order": 1, "computeEnvironment": "ce"}]
    batch.create_job_queue(jobQueueName="q", priority=1, computeEnvironmentOrder=order)
    needs = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "512"}]
    container = {"image": "busybox", "command": ["true"], "resourceRequirements": needs}
    retry = {"attempts": 3}
    batch.register_job_definition(
        jobDefinitionName="jd", type="container", containerProperties=container, retryStrategy=retry
    )
    shell("sandbox", "advance", "1m")
    return batch


def test_a_job_is_scripted_reclaimed_and_retried(clients: Any, shell: Shell, tmp_path: Path) -> None:
    batch = made(clients, shell)
    assert shell("sandbox", "outcome", "jd", "exit:3", "runs-on").out == "jd: exit:3, runs-on\n"
    job = batch.submit_job(jobName="j", jobQueue="q", jobDefinition="jd")["jobId"]
    shell("sandbox", "advance", "4m")
    (host,) = (
        one["InstanceId"] for found in clients("ec2").describe_instances()["Reservations"] for one in found["Instances"]
    )
    taken = shell("sandbox", "reclaim", job)
    seen = batch.describe_jobs(jobs=[job])["jobs"][0]

    assert (taken.code, taken.err) == (0, f"Taken back: {host}.\n")
    first, second = seen["attempts"]
    assert first["container"]["exitCode"] == 3
    assert second["statusReason"] == f"Host EC2 (instance {host}) terminated."
    told = clients("ec2").describe_instances(InstanceIds=[host])["Reservations"][0]["Instances"][0]
    assert (told["State"]["Name"], told["StateReason"]["Code"]) == ("terminated", "Server.SpotInstanceTermination")
    assert told["StateTransitionReason"].startswith("Service initiated (")
    assert seen["createdAt"] <= told["LaunchTime"].timestamp() * 1000 < first["startedAt"]
    assert shell("sandbox", "reclaim", "nothing").code == 1
    shell("sandbox", "advance", "4m")
    cluster = batch.describe_compute_environments()["computeEnvironments"][0]["ecsClusterArn"]
    ecs, scaling = clients("ecs"), clients("autoscaling")
    task = batch.describe_jobs(jobs=[job])["jobs"][0]["container"]
    described = ecs.describe_tasks(cluster=cluster, tasks=[task["taskArn"], first["container"]["taskArn"]])["tasks"]
    assert [one["lastStatus"] for one in described] == ["RUNNING", "STOPPED"]
    assert (described[1]["stopCode"], described[1]["containers"][0]["exitCode"]) == ("EssentialContainerExited", 3)
    arns = ecs.list_container_instances(cluster=cluster)["containerInstanceArns"]
    assert arns == [task["containerInstanceArn"]]
    node = ecs.describe_container_instances(cluster=cluster, containerInstances=arns)["containerInstances"][0]
    amounts = {one["name"]: one["integerValue"] for one in node["remainingResources"]}
    assert amounts == {"CPU": 1024, "MEMORY": 7905 - 32 - 512}
    names = {one["name"]: one.get("value") for one in node["attributes"]}
    assert names["ecs.instance-type"] == "m5.large"
    assert "com.amazonaws.ecs.capability.logging-driver.awslogs" in names
    (group,) = scaling.describe_auto_scaling_groups()["AutoScalingGroups"]
    assert [one["InstanceId"] for one in group["Instances"]] == [node["ec2InstanceId"]]
    launches = scaling.describe_scaling_activities(AutoScalingGroupName=group["AutoScalingGroupName"])["Activities"]
    assert [one["StatusCode"] for one in launches] == ["Successful"] * 3
    assert f"Terminating EC2 instance: {host}" in [one["Description"] for one in launches]
    clients("ec2").terminate_instances(InstanceIds=[node["ec2InstanceId"]])
    assert batch.describe_jobs(jobs=[job])["jobs"][0]["status"] == "FAILED"
    assert shell("sandbox", "outcome", "jd", "--clear").out == ""


def test_faults_and_settings(clients: Any, shell: Shell) -> None:
    assert shell("sandbox", "fault", "batch:DescribeJobs", "deny").out == (
        "batch:DescribeJobs: deny, happened 0 of 1 times\n"
    )
    with pytest.raises(ClientError, match="not authorized"):
        clients("batch").describe_jobs(jobs=["x"])
    assert shell("sandbox", "fault", "--clear").out == ""
    assert shell("sandbox", "set", 'no_capacity=["g4dn.*"]').out == 'no_capacity=["g4dn.*"]\n'
    assert "instances_launch=60" in shell("sandbox", "set").out
    wrong = [("set", "nope=1"), ("set", "x"), ("outcome", "j"), ("outcome", "j", "exit:900"), ("advance", "soon")]
    for argv in [*wrong, ("fault", "batch:X")]:
        failed = shell("sandbox", *argv)
        assert failed.code == 1 and "Traceback" not in failed.err, argv


def test_what_jobs_write_and_what_leaves_the_account(clients: Any, shell: Shell) -> None:
    batch, sns, logs = made(clients, shell), clients("sns"), clients("logs")
    topic = sns.create_topic(Name="ready")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="email", Endpoint="me@example.com")
    assert "AWS Notification - Subscription Confirmation" in shell.ok("sandbox", "outbox").out
    confirmed = shell.ok("sandbox", "outbox", "--confirm", "--clear")
    assert confirmed.err == f"me@example.com has confirmed {topic}.\n"
    sns.publish(TopicArn=topic, Subject="Ready", Message="https://10.0.0.1:8443")
    (mail,) = json.loads(shell.ok("sandbox", "outbox", "--format", "json").out)["messages"]
    assert (mail["to"], mail["subject"], mail["text"]) == ("me@example.com", "Ready", "https://10.0.0.1:8443")

    shell.ok("sandbox", "outcome", "jd", "runs-on", "--line", "attempt $AWS_BATCH_JOB_ATTEMPT")
    job = batch.submit_job(jobName="j", jobQueue="q", jobDefinition="jd")["jobId"]
    shell.ok("sandbox", "advance", "4m")
    stream = batch.describe_jobs(jobs=[job])["jobs"][0]["container"]["logStreamName"]
    told = shell.ok("sandbox", "log", "j", "one", "two")
    assert told.err == f"Written to /aws/batch/job {stream}.\n"
    found = logs.get_log_events(logGroupName="/aws/batch/job", logStreamName=stream, startFromHead=True)["events"]
    assert [one["message"] for one in found] == ["attempt 1", "one", "two"]
    assert "No job k is RUNNING" in shell("sandbox", "log", "k", "x").err

    clients("ecr").create_repository(repositoryName="tools")
    image = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/tools"
    for _ in range(2):
        assert shell.ok("sandbox", "push", image, "--platform", "linux/arm64").err.startswith(
            f"Pushed {image}, digest "
        )
    pulled = clients("ecr").batch_get_image(repositoryName="tools", imageIds=[{"imageTag": "latest"}])["images"]
    assert json.loads(pulled[0]["imageManifest"])["manifests"][0]["platform"]["architecture"] == "arm64"
    for wrong in ("busybox", image.replace("tools", "none")):
        assert shell("sandbox", "push", wrong).code == 1

    listed = shell.ok("sandbox", "outcome", "--article", "retry").out
    assert "spot: host-lost@120, exit:0@600\n" in listed
    assert "randomEC: exit:1@20 (1 line), exit:2@20 (1 line), exit:3@20 (1 line)\n" in listed
    assert "jd: runs-on (2 lines)" in shell.ok("sandbox", "outcome", "jd", "runs-on", "--line", "a", "--line", "b").out
    assert shell("sandbox", "outcome", "--article", "none").code == 1
    assert shell.ok("sandbox", "outbox", "--logs").out == ""
