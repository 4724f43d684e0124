"""What is read to find a cause, in which order, and what is said: over replies as AWS sends them."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.kinds import discover
from reconciler.model import Refused, Scope
from reconciler.model.diagnosis import Certainty, Question
from tests.support.long import LONG

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
ID = "0f0e0d0c-1111-4222-8333-444455556666"
HEAD = "aaaaaaaa-1111-4222-8333-444455556666"
ARN = "arn:aws:batch:eu-west-1:123456789012"
CLUSTER = "arn:aws:ecs:eu-west-1:123456789012:cluster/AWSBatch-ce-1"
DENIED = Refused("AccessDenied", "not authorized")
EXITED = "Essential container in task exited"
MAX = "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE - CE(s) cannot meet the CPU requirement of the job."
SIZE = "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT - The job resource requirement (vCPU/memory/GPU) is higher than ..."


def ago(minutes):
    return NOW - timedelta(minutes=minutes)


def millis(minutes):
    return int(ago(minutes).timestamp() * 1000)


def wants(vcpus=1, memory=1024, gpus=0, **more):
    asked = [("VCPU", vcpus), ("MEMORY", memory), *([("GPU", gpus)] if gpus else [])]
    return {"image": "app:1", **more, "resourceRequirements": [{"type": k, "value": str(v)} for k, v in asked]}


def job(status="RUNNABLE", container=None, **more):
    facts = {"jobName": "j", "jobQueue": f"{ARN}:job-queue/q", "jobDefinition": f"{ARN}:job-definition/d:3"}
    return {"jobId": ID, "status": status, "createdAt": millis(60), **facts, "container": container or wants(), **more}


def environment(name="ce", status="VALID", state="ENABLED", reason="", **resources):
    given = {"type": "EC2", "maxvCpus": 16, "desiredvCpus": 0, "instanceTypes": ["m5.large"], "subnets": ["subnet-1"]}
    given |= {"securityGroupIds": ["sg-1"], "instanceRole": "arn:aws:iam::123456789012:instance-profile/nodes"}
    return {
        "computeEnvironmentName": name,
        "computeEnvironmentArn": f"{ARN}:compute-environment/{name}",
        "ecsClusterArn": CLUSTER,
        "type": "MANAGED",
        "state": state,
        "status": status,
        "statusReason": reason,
        "computeResources": {**given, **resources},
    }


def queue(*names, state="ENABLED", **more):
    order = [{"order": i, "computeEnvironment": f"{ARN}:compute-environment/{one}"} for i, one in enumerate(names, 1)]
    arn = f"{ARN}:job-queue/q"
    facts = {"jobQueueName": "q", "jobQueueArn": arn, "state": state, "status": "VALID"}
    return {"jobQueues": [{**facts, "computeEnvironmentOrder": order, **more}]}


def front(*ids):
    return {"frontOfQueue": {"jobs": [{"jobArn": f"{ARN}:job/{one}", "earliestTimeAtPosition": 1} for one in ids]}}


TYPES = {
    "m5.large": (2, 8192, 0),
    "m5.xlarge": (4, 16384, 0),
    "g4dn.xlarge": (4, 16384, 1),
}


def types(*names):
    return {
        "InstanceTypes": [
            {
                "InstanceType": name,
                "VCpuInfo": {"DefaultVCpus": TYPES[name][0]},
                "MemoryInfo": {"SizeInMiB": TYPES[name][1]},
                **({"GpuInfo": {"Gpus": [{"Count": TYPES[name][2]}]}} if TYPES[name][2] else {}),
            }
            for name in names or ("m5.large",)
        ]
    }


GROUP = "AWSBatch-ce-asg-1f"


def groups(*instances, state="InService", **more):
    some = [{"InstanceId": one, "LifecycleState": state} for one in instances]
    return {"AutoScalingGroups": [{"AutoScalingGroupName": GROUP, "Instances": some, **more}]}


def launch(code, minutes, text=""):
    return {"StatusCode": code, "StartTime": ago(minutes), "EndTime": ago(minutes), "StatusMessage": text}


def hosts(*memory, connected=True, attributes=("com.amazonaws.ecs.capability.logging-driver.awslogs",)):
    def one(index, mib):
        have = [("CPU", 2048), ("MEMORY", mib)]
        return {
            "ec2InstanceId": f"i-{index}",
            "agentConnected": connected,
            "registeredResources": [{"name": n, "type": "INTEGER", "integerValue": v} for n, v in have],
            "attributes": [{"name": name} for name in attributes],
        }

    return {"containerInstances": [one(index, mib) for index, mib in enumerate(memory)]}


def listed(count):
    return {"containerInstanceArns": [f"{CLUSTER}/{n}" for n in range(count)]}


#: What a healthy account answers; a situation replaces some of it.
HEALTHY = {
    "batch:DescribeJobs": {"jobs": [job()]},
    "batch:DescribeJobQueues": queue("ce"),
    "batch:DescribeComputeEnvironments": {"computeEnvironments": [environment()]},
    "batch:GetJobQueueSnapshot": front(ID),
    "batch:ListJobs": {"jobSummaryList": []},
    "ec2:DescribeInstanceTypes": types(),
    "autoscaling:DescribeAutoScalingGroups": groups(),
    "autoscaling:DescribeScalingActivities": {"Activities": []},
    "ecs:ListContainerInstances": listed(0),
}


def ask(section, subject, replies, *, by_id=True):
    """The diagnosis, and the calls that were made."""
    one = discover()[section].diagnosis
    scope = Scope("123456789012", "eu-west-1", "aws", "e")
    question = Question(scope=scope, subject=subject, now=NOW.timestamp())
    reads = (one.by_id if by_id and one.by_id else one.by_name)(question)
    known, made = {**HEALTHY, **replies}, []

    def answer(call):
        made.append(str(call))
        found = known.get(str(call), DENIED)
        return found(call.params) if callable(found) else found

    try:
        calls = next(reads)
        while True:
            calls = reads.send(tuple(map(answer, calls)))
    except StopIteration as end:
        return end.value, made


def of_job(replies):
    return ask("jobDefinitions", ID, replies)


def described(*jobs):
    by_id = {one["jobId"]: one for one in jobs}
    return {"batch:DescribeJobs": lambda params: {"jobs": [by_id[one] for one in params["jobs"] if one in by_id]}}


def environments(*some, **more):
    names = [one["computeEnvironmentName"] for one in some]
    return {
        "batch:DescribeJobQueues": queue(*names, **more),
        "batch:DescribeComputeEnvironments": {"computeEnvironments": list(some)},
    }


def run_task(reason, detail=""):
    event = {
        "requestParameters": {"cluster": CLUSTER, "taskDefinition": "d-1234:1"},
        "responseElements": {"failures": [{"reason": reason, **({"detail": detail} if detail else {})}]},
    }
    return {"cloudtrail:LookupEvents": {"Events": [{"CloudTrailEvent": json.dumps(event)}]}}


JOINED = {
    "autoscaling:DescribeAutoScalingGroups": groups("i-0"),
    "ecs:ListContainerInstances": listed(1),
    "autoscaling:DescribeScalingActivities": {"Activities": [launch("Successful", 30)]},
}
ALONE = {**JOINED, "ecs:ListContainerInstances": listed(0)}
MPI = {"numNodes": 4, "mainNode": 0, "nodeRangeProperties": [{"targetNodes": "0:", "container": wants(8)}]}
QUOTA = "You have requested more vCPU capacity than your current vCPU limit of 0 allows"
TABLE = {"RouteTables": [{"Associations": [{"SubnetId": "subnet-1"}], "Routes": []}]}
NAT = {
    "Associations": [{"SubnetId": "subnet-2"}],
    "Routes": [{"DestinationCidrBlock": "0.0.0.0/0", "NatGatewayId": "nat-1"}],
}
NO_ROUTE = {
    "ec2:DescribeSubnets": {"Subnets": [{"SubnetId": "subnet-1", "VpcId": "vpc-1"}]},
    "ec2:DescribeRouteTables": TABLE,
    "ec2:DescribeVpcEndpoints": {"VpcEndpoints": []},
}
PUBLIC = {
    "ec2:DescribeRouteTables": {
        "RouteTables": [
            {
                "Associations": [{"SubnetId": "subnet-1"}],
                "Routes": [{"DestinationCidrBlock": "0.0.0.0/0", "GatewayId": "igw-1"}],
            }
        ]
    }
}
PROFILE = {
    "iam:GetInstanceProfile": {
        "InstanceProfile": {"Roles": [{"RoleName": "nodes", "Arn": "arn:aws:iam::1:role/nodes"}]}
    },
    "iam:ListAttachedRolePolicies": {"AttachedPolicies": [{"PolicyName": "AmazonECSTaskExecutionRolePolicy"}]},
    "iam:SimulatePrincipalPolicy": {
        "EvaluationResults": [{"EvalActionName": "ecs:Poll", "EvalDecision": "implicitDeny"}]
    },
}
EGRESS = {"ec2:DescribeSecurityGroups": {"SecurityGroups": [{"GroupId": "sg-1", "IpPermissionsEgress": []}]}}
TEMPLATE = environment(launchTemplate={"launchTemplateName": "lt"})
USER_DATA = base64.b64encode(b"#!/bin/bash\necho ECS_CLUSTER=other >> /etc/ecs/ecs.config\n").decode()


# name -> (what the account answers, the ids that are named, a call that must not be made)
WAITING = {
    "AWS says max": (
        described(job(container=wants(32), statusReason=MAX)),
        ["max-vcpus", "nothing-fits"],
        "autoscaling",
    ),
    "max without a word": (
        {
            **described(job(container=wants(4))),
            **environments(environment(maxvCpus=2, instanceTypes=["m5.xlarge"])),
            "ec2:DescribeInstanceTypes": types("m5.xlarge"),
        },
        ["max-vcpus"],
        "autoscaling",
    ),
    "smallest type above max": (
        {**environments(environment(maxvCpus=1)), **described(job(container=wants(1)))},
        ["max-vcpus"],
        "autoscaling",
    ),
    "AWS says size": (described(job(container=wants(1, 9000), statusReason=SIZE)), ["nothing-fits"], "autoscaling"),
    "size without a word": (described(job(container=wants(1, 9000))), ["nothing-fits"], "autoscaling"),
    "whole advertised memory": (described(job(container=wants(1, 8192))), ["nothing-fits"], "autoscaling"),
    "no GPU": (described(job(container=wants(1, 512, 1))), ["nothing-fits"], "autoscaling"),
    "below 95 %": (described(job(container=wants(1, 7700))), ["unknown"], ""),
    "between 95 % and all": (described(job(container=wants(1, 7900))), ["memory-edge"], ""),
    "more than registered": (
        {**described(job(container=wants(1, 7900))), **JOINED, "ecs:DescribeContainerInstances": hosts(7800)},
        ["memory-edge"],
        "cloudtrail",
    ),
    "capacity": (
        described(job(statusReason="CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY - Service cannot fulfill the capacity")),
        ["no-capacity"],
        "ec2:DescribeInstanceTypes",
    ),
    "service role": (
        described(job(statusReason="MISCONFIGURATION:SERVICE_ROLE_PERMISSIONS – Batch service role has ...")),
        ["service-role"],
        "autoscaling",
    ),
    "quota, which J never says": (
        {"autoscaling:DescribeScalingActivities": {"Activities": [launch("Failed", 3, QUOTA)]}},
        ["vcpu-quota"],
        "cloudtrail",
    ),
    "quota before capacity": (
        {
            "autoscaling:DescribeScalingActivities": {
                "Activities": [
                    launch("Failed", 1, "We currently do not have sufficient m5.large capacity"),
                    launch("Failed", 3, QUOTA),
                ]
            }
        },
        ["vcpu-quota"],
        "cloudtrail",
    ),
    "undetermined, and then a quota": (
        {
            **described(job(statusReason="UNDETERMINED - Batch job is blocked, root cause is undetermined.")),
            "autoscaling:DescribeScalingActivities": {"Activities": [launch("Failed", 3, QUOTA)]},
        },
        ["vcpu-quota"],
        "",
    ),
    "undetermined": (
        described(job(statusReason="UNDETERMINED - Batch job is blocked, root cause is undetermined.")),
        ["undetermined"],
        "",
    ),
    "a failure before a launch that succeeded": (
        {
            **JOINED,
            "ecs:DescribeContainerInstances": hosts(7800),
            "autoscaling:DescribeScalingActivities": {
                "Activities": [launch("Successful", 30), launch("Failed", 40, QUOTA)]
            },
        },
        ["unknown"],
        "",
    ),
    "launching": (
        {"autoscaling:DescribeScalingActivities": {"Activities": [launch("InProgress", 1)]}},
        ["still-scaling"],
        "",
    ),
    "just submitted": (described(job(createdAt=millis(2))), ["still-scaling"], ""),
    "nothing joined": (ALONE, ["nothing-joined"], ""),
    "no route": ({**ALONE, **NO_ROUTE}, ["nothing-joined", "no-way-out"], ""),
    "public without addresses": ({**ALONE, **NO_ROUTE, **PUBLIC}, ["nothing-joined", "no-way-out"], ""),
    "no route in one of two subnets": (
        {
            **ALONE,
            **NO_ROUTE,
            **environments(environment(subnets=["subnet-1", "subnet-2"])),
            "ec2:DescribeSubnets": {"Subnets": [{"SubnetId": f"subnet-{n}", "VpcId": "vpc-1"} for n in (1, 2)]},
            "ec2:DescribeRouteTables": {"RouteTables": [*TABLE["RouteTables"], NAT]},
        },
        ["nothing-joined", "no-way-out"],
        "",
    ),
    "no egress": ({**ALONE, **EGRESS}, ["no-way-out", "nothing-joined"], ""),
    "role without the policy": ({**ALONE, **PROFILE}, ["instance-role", "nothing-joined"], ""),
    "user data of another cluster": (
        {
            **ALONE,
            **environments(TEMPLATE),
            "ec2:DescribeLaunchTemplateVersions": {
                "LaunchTemplateVersions": [{"LaunchTemplateName": "lt", "LaunchTemplateData": {"UserData": USER_DATA}}]
            },
        },
        ["nothing-joined", "other-cluster"],
        "",
    ),
    "user data without MIME": (
        {
            **ALONE,
            **environments(TEMPLATE),
            "ec2:DescribeLaunchTemplateVersions": {
                "LaunchTemplateVersions": [
                    {"LaunchTemplateName": "lt", "LaunchTemplateData": {"UserData": "IyEvYmluL3No"}}
                ]
            },
        },
        ["nothing-joined", "user-data"],
        "",
    ),
    "an unmanaged environment without instances": (
        environments({**environment(), "type": "UNMANAGED"}),
        ["nothing-joined"],
        "autoscaling",
    ),
    "agent": (
        {**JOINED, "ecs:DescribeContainerInstances": hosts(7800, connected=False)},
        ["agent-disconnected"],
        "cloudtrail",
    ),
    "log driver": (
        {
            **described(job(container=wants(logConfiguration={"logDriver": "splunk"}))),
            **JOINED,
            "ecs:DescribeContainerInstances": hosts(7800),
        },
        ["log-driver"],
        "",
    ),
    "RunTask says memory": (
        {
            **JOINED,
            "ecs:DescribeContainerInstances": hosts(7800),
            **run_task("RESOURCE:MEMORY", "Insufficient memory available (32000 requested, 31431 available)."),
        },
        ["memory-edge"],
        "",
    ),
    "RunTask says attribute": (
        {**JOINED, "ecs:DescribeContainerInstances": hosts(7800), **run_task("ATTRIBUTE")},
        ["no-such-attribute"],
        "",
    ),
    "queue disabled": ({"batch:DescribeJobQueues": queue("ce", state="DISABLED")}, ["queue-disabled"], "autoscaling"),
    "environment disabled": (environments(environment(state="DISABLED")), ["environment-disabled"], "autoscaling"),
    "environments invalid": (
        environments(environment(status="INVALID", reason="CLIENT_ERROR - Invalid IamInstanceProfile: x")),
        ["environments-invalid", "profile-missing"],
        "autoscaling",
    ),
    "nodes on Spot": (
        {**described(job(nodeProperties=MPI)), **environments(environment(type="SPOT"))},
        ["multi-node-on-spot"],
        "ec2",
    ),
    "nodes above max": (described(job(nodeProperties=MPI)), ["multi-node-size"], "autoscaling"),
    "behind others, environment full": (
        {**environments(environment(desiredvCpus=16)), "batch:GetJobQueueSnapshot": front(HEAD, ID)},
        ["waiting-turn"],
        "",
    ),
    "the next, environment full": (
        {**environments(environment(desiredvCpus=16)), **JOINED, "ecs:DescribeContainerInstances": hosts(7800)},
        ["waiting-turn"],
        "",
    ),
    "launches fail with a new text": (
        {"autoscaling:DescribeScalingActivities": {"Activities": [launch("Failed", 1, "never seen")]}},
        ["unknown"],
        "",
    ),
    "the only instance is ending": (
        {**ALONE, "autoscaling:DescribeAutoScalingGroups": groups("i-0", state="Terminating")},
        ["unknown"],
        "",
    ),
    "nothing may run": (
        environments(environment(maxvCpus=0, allocationStrategy="BEST_FIT_PROGRESSIVE")),
        ["max-vcpus"],
        "autoscaling",
    ),
    "small instances, the types are not known": (
        {
            **described(job(container=wants(1, 12000))),
            **environments(environment(instanceTypes=["m5.large", "m5.xlarge"])),
            **JOINED,
            "ecs:DescribeContainerInstances": hosts(7800),
            "ec2:DescribeInstanceTypes": DENIED,
        },
        ["memory-edge"],
        "",
    ),
    "behind one that is blocked": (
        {"batch:GetJobQueueSnapshot": front(HEAD, ID), **described(job(), {**job(statusReason=SIZE), "jobId": HEAD})},
        ["nothing-fits", "waiting-turn"],
        "",
    ),
    "behind other shares": (
        {
            **environments(environment(), schedulingPolicyArn=f"{ARN}:scheduling-policy/fair"),
            "batch:GetJobQueueSnapshot": front(HEAD, ID),
            **described(job(shareIdentifier="a")),
        },
        ["share-waiting"],
        "",
    ),
    "licences are used up": (
        {
            **described(
                job(
                    consumableResourceProperties={
                        "consumableResourceList": [{"consumableResource": "licence", "quantity": 2}]
                    }
                )
            ),
            "batch:DescribeConsumableResource": {"availableQuantity": 1},
        },
        ["consumable-resource"],
        "cloudtrail",
    ),
    "for Fargate, on EC2": (described(job(platformCapabilities=["FARGATE"])), ["nothing-fits"], "ec2"),
    "for EC2, on Fargate": (
        {**described(job(platformCapabilities=["EC2"])), **environments(environment(type="FARGATE_SPOT"))},
        ["nothing-fits"],
        "cloudtrail",
    ),
    "Fargate": (environments(environment(type="FARGATE")), ["unknown"], "autoscaling"),
    "GPU and a bundle": (
        {**environments(environment(instanceTypes=["optimal"])), **described(job(container=wants(1, 512, 1)))},
        ["nothing-fits"],
        "ec2",
    ),
    "no queue any more": ({"batch:DescribeJobQueues": {"jobQueues": []}}, ["queue-deleted"], "ec2"),
    "Fargate is full": (
        {
            **environments(environment(type="FARGATE")),
            **run_task(
                "Capacity is unavailable at this time. Please try again later or in a different availability zone"
            ),
        },
        ["fargate-capacity"],
        "autoscaling",
    ),
    "nothing can be read": (
        {name: DENIED for name in HEALTHY if name not in ("batch:DescribeJobs", "batch:DescribeJobQueues")},
        ["unknown"],
        "",
    ),
}


@pytest.mark.parametrize("name", WAITING)
def test_why_a_job_waits(name):
    replies, expected, never = WAITING[name]

    found, made = of_job(replies)

    assert [one.id for one in found.causes] == expected
    assert not never or not any(call.startswith(never) for call in made), made
    assert len(made) <= 18
    assert found.state == "RUNNABLE" and found.section == "jobDefinitions" and found.name == "d"
    for one in found.causes:
        assert one.evidence and one.message.endswith(".")
        assert all(piece.call in made for piece in one.evidence), one
    if "ec2:DescribeSubnets" in made and "ec2:DescribeSubnets" not in replies:
        assert "ec2:DescribeSubnets" in {one.permission for one in found.unread}


def setting(found, index=0):
    one = found.causes[index].settings[0]
    return one.section, one.name, one.path, one.of_type, one.value


def test_values_that_work():
    found, _ = of_job(WAITING["max without a word"][0])
    assert setting(found) == ("computeEnvironments", "ce", "computeResources.maxvCpus", "", 4)

    found, _ = of_job(WAITING["more than registered"][0])
    assert setting(found) == ("jobDefinitions", "d", "containerProperties.resourceRequirements", "MEMORY", "7800")

    found, _ = of_job(WAITING["whole advertised memory"][0])
    assert setting(found)[3:] == ("MEMORY", "7832")

    found, _ = of_job(WAITING["RunTask says memory"][0])
    assert setting(found)[3:] == ("MEMORY", "31431")

    found, _ = of_job(WAITING["no GPU"][0])
    assert found.causes[0].settings[-1].path == "computeResources.instanceTypes"


def test_a_bundle_may_have_more_than_is_known():
    some = environments(environment(instanceTypes=["optimal"], maxvCpus=64))
    found, _ = of_job(
        {
            **some,
            **described(job(container=wants(1, 99999))),
            "ec2:DescribeInstanceTypes": {
                "InstanceTypes": [{**types()["InstanceTypes"][0], "InstanceType": "m6i.large"}]
            },
        }
    )

    assert [(one.id, one.certainty.value) for one in found.causes] == [("nothing-fits", "likely")]


def test_certainty():
    edge, _ = of_job(WAITING["between 95 % and all"][0])
    sure, _ = of_job(WAITING["more than registered"][0])

    assert edge.causes[0].certainty is Certainty.hint
    assert sure.causes[0].certainty is Certainty.certain
    unsure, _ = of_job(WAITING["small instances, the types are not known"][0])
    assert unsure.causes[0].certainty is Certainty.hint and "ec2:DescribeInstanceTypes" in {
        one.permission for one in unsure.unread
    }
    new, _ = of_job(WAITING["launches fail with a new text"][0])
    assert [one.value for one in new.causes[0].evidence] == ["never seen"]


def test_a_subnet_without_a_way_out_is_a_hint_beside_one_that_has_one():
    found, _ = of_job(WAITING["no route in one of two subnets"][0])
    every, _ = of_job(WAITING["no route"][0])

    assert found.causes[1].certainty is Certainty.hint and "subnet-1 have" in found.causes[1].message
    assert every.causes[1].certainty is Certainty.likely


def test_launches_that_failed_long_ago():
    old = {"autoscaling:DescribeScalingActivities": {"Activities": [launch("Failed", 600, QUOTA)]}}
    idle = {**old, "autoscaling:DescribeAutoScalingGroups": groups(DesiredCapacity=0)}
    trying = {**old, "autoscaling:DescribeAutoScalingGroups": groups(DesiredCapacity=2)}

    assert [(one.id, one.certainty) for one in of_job(idle)[0].causes] == [("vcpu-quota", Certainty.likely)]
    assert [(one.id, one.certainty) for one in of_job(trying)[0].causes] == [("vcpu-quota", Certainty.certain)]
    assert [one.id for one in ask("computeEnvironments", "ce", idle)[0].causes] == ["none"]
    assert [one.id for one in ask("computeEnvironments", "ce", trying)[0].causes] == ["vcpu-quota"]
    raised = [
        launch("Failed", 1, "We currently do not have sufficient m5.large capacity"),
        launch("Failed", 600, QUOTA),
    ]
    newest = {"autoscaling:DescribeScalingActivities": {"Activities": raised}}
    assert [one.id for one in of_job(newest)[0].causes] == ["no-capacity"]


def attempt(status=EXITED, **container):
    return {"statusReason": status, "container": container}


def failed(*attempts, **more):
    return job("FAILED", attempts=list(attempts), statusReason=attempts[-1]["statusReason"] if attempts else "", **more)


STRATEGY = {
    "attempts": 3,
    "evaluateOnExit": [{"onStatusReason": "Host EC2*", "action": "RETRY"}, {"onReason": "*", "action": "EXIT"}],
}
LOST = attempt("Host EC2 (instance i-0123456789abcdef0) terminated.")
SPOT = {
    "ec2:DescribeInstances": {
        "Reservations": [{"Instances": [{"StateReason": {"Code": "Server.SpotInstanceTermination"}}]}]
    }
}
TASK = "arn:aws:ecs:eu-west-1:123456789012:task/AWSBatch-ce-1/0a"
ECR = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/app:9"
STREAM = (
    "CannotStartContainerError: Error response from daemon: failed to create task for container: failed to initialize "
    "logging driver: failed to create Cloudwatch log stream: operation error CloudWatch Logs: CreateLogStream, https "
    "response error StatusCode: 400"
)[:255]
CUT = "CannotPullContainerError: failed to register layer: write /" + "x" * 200


def children(**counts):
    return {"size": sum(counts.values()), "statusSummary": counts}


def child(index, *attempts):
    return {**failed(*attempts), "jobId": f"{ID}:{index}", "arrayProperties": {"index": index}}


FAILED = {
    "lost by Spot": (described(failed(LOST)) | SPOT, ["host-lost"]),
    "timed out with 137": (
        described(failed(attempt("Job attempt duration exceeded timeout", exitCode=137))),
        ["timeout"],
    ),
    "killed by a request": (described(failed(attempt(exitCode=137), isTerminated=True)), ["terminated"]),
    "never ran": (described(failed(isCancelled=True)), ["cancelled"]),
    "the log says more": (
        described(failed(attempt(exitCode=1, logStreamName="d/default/1")))
        | {"logs:GetLogEvents": {"events": [{"message": "exec /bin/app: exec format error"}]}},
        ["exec-format"],
    ),
    "ECS has the whole reason": (
        described(failed(attempt("Task failed to start", reason=CUT, taskArn=TASK)))
        | {"ecs:DescribeTasks": {"tasks": [{"containers": [{"reason": f"{CUT}: no space left on device"}]}]}},
        ["image-disk"],
    ),
    "the cause is beyond the cut": (
        described(failed(attempt("Task failed to start", reason=STREAM, taskArn=TASK)))
        | {
            "ecs:DescribeTasks": {"tasks": [{"containers": [{"reason": f"{STREAM}, ResourceNotFoundException: gone"}]}]}
        },
        ["log-group-missing"],
    ),
    "cut, and gone in ECS": (described(failed(attempt("Task failed to start", reason=CUT, taskArn=TASK))), ["unknown"]),
    "the repository knows": (
        described(failed(attempt("Task failed to start", reason=CUT, taskArn=TASK), container=wants(image=ECR)))
        | {"ecr:DescribeImages": Refused("ImageNotFoundException", "no such tag")},
        ["image-not-found"],
    ),
    "a time limit": (
        described(
            {
                **failed(),
                "statusReason": "Canceled by JobStateTimeLimit action due to reason: CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY",
            }
        ),
        ["time-limit-action", "no-capacity"],
    ),
    "upstream failed": (
        described(
            {**failed(), "statusReason": "Dependent Job failed", "dependsOn": [{"jobId": HEAD}]},
            {**failed(attempt(exitCode=3)), "jobId": HEAD},
        ),
        ["dependency-failed", "app-exit"],
    ),
    "children": (
        described(
            {**failed(), "statusReason": "Array Child Job failed", "arrayProperties": children(FAILED=3, SUCCEEDED=1)},
            child(0, attempt(exitCode=3)),
            child(2, attempt(exitCode=3)),
            child(3, attempt(exitCode=137)),
        )
        | {"batch:ListJobs": {"jobSummaryList": [{"jobId": f"{ID}:{index}"} for index in (0, 2, 3)]}},
        ["app-exit", "array-child-failed", "killed-137"],
    ),
    "main node": (
        described(failed(nodeProperties=MPI), {**failed(attempt(exitCode=139)), "jobId": f"{ID}#0"}),
        ["segfault", "node-failed"],
    ),
    "two containers": (
        described(
            failed({"statusReason": EXITED, "taskProperties": [{"containers": [{"exitCode": 0}, {"exitCode": 7}]}]})
        ),
        ["app-exit"],
    ),
    "no list of attempts": (
        described(
            {**failed(), "container": {**wants(), "exitCode": 1, "reason": "OutOfMemoryError: Container killed"}}
        ),
        ["oom"],
    ),
    "a reason of the job alone": (
        described({**failed(attempt("", exitCode=137)), "statusReason": LOST["statusReason"]}) | SPOT,
        ["host-lost"],
    ),
    "the log of the container that failed": (
        described(
            failed(
                {
                    "statusReason": EXITED,
                    "taskProperties": [
                        {
                            "containers": [
                                {"exitCode": 0, "logStreamName": "d/side/1"},
                                {"exitCode": 1, "logStreamName": "d/main/1"},
                            ]
                        }
                    ],
                }
            )
        )
        | {
            "logs:GetLogEvents": lambda params: {
                "events": [{"message": "exec format error"}] if params["logStreamName"] == "d/main/1" else []
            }
        },
        ["exec-format"],
    ),
    "a pod": (
        described(
            job(
                "FAILED",
                eksProperties={"podProperties": {}},
                eksAttempts=[{"containers": [{"reason": "OOMKilled", "exitCode": 137}]}],
            )
        ),
        ["pod-oom"],
    ),
}


@pytest.mark.parametrize("name", FAILED)
def test_why_a_job_failed(name):
    replies, expected = FAILED[name]

    found, made = of_job(replies)

    assert [one.id for one in found.causes] == expected
    assert len(made) <= 5
    assert all(piece.call in made for one in found.causes for piece in one.evidence)


def test_what_the_retry_rules_made_of_each_attempt():
    oom = attempt(exitCode=137, reason="OutOfMemoryError: Container killed due to memory usage")
    found, _ = of_job(described(failed(LOST, oom, retryStrategy=STRATEGY)))

    first, last = found.attempts
    assert (first.cause, first.verdict, first.entry) == ("host-lost", "RETRY", 0)
    assert (last.cause, last.verdict, last.entry) == ("oom", "EXIT", 1)
    assert [one.id for one in found.causes] == ["oom"]

    ended, _ = of_job(described(failed(attempt(exitCode=137), isTerminated=True, retryStrategy=STRATEGY)))
    assert (ended.attempts[-1].cause, ended.attempts[-1].because) == ("terminated", "a terminated job is not retried")
    before, _ = of_job(described(failed(attempt(exitCode=1), isTerminated=True, retryStrategy=STRATEGY)))
    assert before.attempts[-1].cause == "app-exit"


def test_the_environment_in_which_a_job_ran():
    lost = attempt("Task failed to start", reason="CannotPullContainerError: dial tcp: i/o timeout", taskArn=TASK)
    found, made = of_job(described(failed(lost)))

    assert [one.id for one in found.causes] == ["image-network"]
    assert found.causes[0].settings[0].name == "ce"
    assert made.count("batch:DescribeComputeEnvironments") == 1


def test_the_role_that_aws_names():
    role = "arn:aws:iam::123456789012:role/x"
    ended = attempt(f"ECS was unable to assume the role '{role}' that was provided for this task.")
    for member in ("executionRoleArn", "jobRoleArn"):
        found, _ = of_job(described(failed(ended, container=wants(**{member: role}))))
        assert setting(found)[2] == f"containerProperties.{member}"


def test_secrets_of_a_log_are_not_shown():
    log = {"events": [{"message": "connecting with DB_PASSWORD=hunter2hunter2"}, {"message": "gone"}]}
    found, _ = of_job(described(failed(attempt(exitCode=1, logStreamName="s"))) | {"logs:GetLogEvents": log})

    assert "hunter2" not in repr(found)
    assert "gone" in repr(found)


def test_other_states_of_jobs():
    for status in ("SUCCEEDED", "RUNNING", "SUBMITTED"):
        found, made = of_job(described(job(status)))
        assert [one.id for one in found.causes] == ["none"] and made == ["batch:DescribeJobs"]

    desktop = described(job("RUNNING", container=wants(logStreamName="d/default/1")))
    licence = {"logs:GetLogEvents": {"events": [{"message": "no license available"}]}}
    assert [one.id for one in of_job(desktop | licence)[0].causes] == ["dcv-licence"]
    quiet = {"logs:GetLogEvents": {"events": [{"message": "an error occurred (AccessDenied) when calling"}]}}
    assert [one.id for one in of_job(desktop | quiet)[0].causes] == ["none"]

    undone = attempt("Your Spot Task was interrupted.", exitCode=0)
    (spot,) = of_job(described(job("SUCCEEDED", attempts=[undone])))[0].causes
    assert spot.id == "fargate-spot" and "may be incomplete" in spot.message
    done = described(job("SUCCEEDED", attempts=[LOST, attempt(exitCode=0)]))
    assert [one.id for one in of_job(done)[0].causes] == ["none"]

    waits = described(job("PENDING", dependsOn=[{"jobId": HEAD}]), {**job("RUNNABLE"), "jobId": HEAD})
    assert [one.id for one in of_job(waits)[0].causes] == ["dependency"]
    after = described(job("PENDING", dependsOn=[{"type": "SEQUENTIAL"}]))
    assert [one.id for one in of_job(after)[0].causes] == ["dependency"]
    parent = described(job("PENDING", arrayProperties=children(RUNNING=2, RUNNABLE=8)))
    assert [one.id for one in of_job(parent)[0].causes] == ["array-parent"]
    stuck = described(
        job("PENDING", arrayProperties=children(RUNNABLE=8)),
        {**job(statusReason=SIZE, container=wants(64)), "jobId": f"{ID}:0"},
    )
    stuck |= {"batch:ListJobs": {"jobSummaryList": [{"jobId": f"{ID}:0"}]}, **environments(environment(maxvCpus=256))}
    found, _ = of_job(stuck)
    assert [one.id for one in found.causes] == ["nothing-fits", "array-parent"] and found.causes[
        0
    ].about == f"job {ID}:0"

    pulling = {"tasks": [{"lastStatus": "PENDING", "pullStartedAt": ago(12)}]}
    slow = described(job("STARTING", container=wants(taskArn=TASK))) | {"ecs:DescribeTasks": pulling}
    assert [one.id for one in of_job(slow)[0].causes] == ["starting-slow"]
    assert of_job({"batch:DescribeJobs": {"jobs": []}})[0] is None
    service = {
        "jobId": ID,
        "status": "RUNNABLE",
        "statusReason": "MISCONFIGURATION:SERVICE_ENVIRONMENT_MAX_RESOURCE - x",
    }
    found, _ = of_job({"batch:DescribeJobs": {"jobs": []}, "batch:DescribeServiceJob": service})
    assert [one.id for one in found.causes] == ["service-env-max"]
    ended = "Terminated by JobStateTimeLimit action due to reason: CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY"
    limited = {**service, "status": "FAILED", "statusReason": ended, "isTerminated": True}
    found, _ = of_job({"batch:DescribeJobs": {"jobs": []}, "batch:DescribeServiceJob": limited})
    assert [one.id for one in found.causes] == ["time-limit-action", "no-capacity"]
    attempts = [{"statusReason": "AlgorithmError: exit code 1"}]
    algorithm = {**service, "status": "FAILED", "statusReason": "", "attempts": attempts}
    found, _ = of_job({"batch:DescribeJobs": {"jobs": []}, "batch:DescribeServiceJob": algorithm})
    assert found.causes[0].id == "unknown" and found.causes[0].evidence[-1].value == attempts[0]["statusReason"]


def test_queues():
    def of_queue(replies):
        return ask("jobQueues", "q", replies)[0]

    idle = {"batch:GetJobQueueSnapshot": front()}
    healthy = of_queue(idle)
    assert ([one.id for one in healthy.causes], healthy.state, healthy.notes) == (["none"], "VALID", ("0 RUNNABLE",))
    unsure = of_queue({"batch:GetJobQueueSnapshot": DENIED}).causes[0]
    assert (unsure.id, unsure.certainty) == ("none", Certainty.likely)
    full = {"batch:GetJobQueueSnapshot": front(f"{ID}:2"), **environments(environment(desiredvCpus=16))}
    found = of_queue(described({**job(), "jobId": f"{ID}:2"}) | full)  # lists have no children of arrays
    assert [(one.id, one.about) for one in found.causes] == [("waiting-turn", f"job {ID}:2")]
    assert [one.value for one in found.causes[0].settings] == [17]
    waiting = {"batch:ListJobs": {"jobSummaryList": [{"jobId": ID, "createdAt": millis(60), "statusReason": SIZE}]}}
    found = of_queue(waiting | described(job(statusReason=SIZE, container=wants(1, 9000))))
    assert [one.id for one in found.causes] == ["nothing-fits"] and found.causes[0].about == f"job {ID}"
    young = {"batch:ListJobs": {"jobSummaryList": [{"jobId": ID, "createdAt": millis(1)}]}}
    assert [one.id for one in of_queue(young).causes] == ["none"]
    broken = environment("bad", "INVALID", reason="CLIENT_ERROR - Clusters can not be blank.")
    found = of_queue(environments(environment(), broken) | idle)
    assert [(one.id, one.about) for one in found.causes] == [("cluster-gone", "environment bad")]
    assert ask("jobQueues", "q", {"batch:DescribeJobQueues": {"jobQueues": []}})[0] is None


def test_environments():
    def of_environment(one, replies=None):
        listed = {"batch:DescribeComputeEnvironments": {"computeEnvironments": [one]}}
        return ask("computeEnvironments", "ce", listed | (replies or {}))[0]

    assert [one.id for one in of_environment(environment()).causes] == ["none"]
    gone = environment(status="INVALID", reason="CLIENT_ERROR - Launch Template: lt-0 does not exist")
    assert [one.id for one in of_environment(gone).causes] == ["template-gone"]
    strange = of_environment(environment(status="INVALID", reason="CLIENT_ERROR - never seen"))
    assert [one.id for one in strange.causes] == ["unknown"] and strange.causes[0].evidence[-1].value.endswith("seen")
    assert [one.id for one in of_environment(environment(status="UPDATING")).causes] == ["updating-slow"]
    assert [one.id for one in of_environment(environment(), ALONE).causes] == ["nothing-joined"]
    failing = {"autoscaling:DescribeScalingActivities": {"Activities": [launch("Failed", 1, "never seen")]}}
    assert [one.id for one in of_environment(environment(), failing).causes] == ["unknown"]
    joined = environment(
        status="INVALID", reason="CLIENT_ERROR - ... because none of the instances joined the underlying ECS Cluster."
    )
    found = of_environment(joined, {**NO_ROUTE, **PROFILE})
    assert [one.id for one in found.causes] == ["none-joined", "instance-role", "no-way-out"]
    fleet = {
        "SpotFleetRequestConfig": {"IamFleetRole": "r"},
        "SpotFleetRequestState": "active",
        "SpotFleetRequestId": "sfr-1",
    }
    history = {
        "HistoryRecords": [
            {
                "EventInformation": {
                    "EventSubType": "spotInstanceCountLimitExceeded",
                    "EventDescription": "Max spot instance count exceeded",
                }
            }
        ]
    }
    spot = {
        "autoscaling:DescribeAutoScalingGroups": {"AutoScalingGroups": []},
        "ec2:DescribeSpotFleetRequests": {"SpotFleetRequestConfigs": [fleet]},
        "ec2:DescribeSpotFleetRequestHistory": history,
    }
    on_spot = environment(type="SPOT", spotIamFleetRole="r")
    assert [one.id for one in of_environment(on_spot, spot).causes] == ["vcpu-quota"]
    price = {"EventType": "information", "EventInformation": {"EventSubType": "launchSpecUnusable"}}
    launched = {"EventType": "instanceChange", "EventInformation": {"EventSubType": "launched"}}
    for records, expected in (([launched, price], "spot-price"), ([price, launched], "none")):
        history["HistoryRecords"] = records
        assert [one.id for one in of_environment(on_spot, spot).causes] == [expected]


def test_the_newest_job_of_a_definition():
    def summary(identity, status, minutes):
        return {"jobId": identity, "status": status, "createdAt": millis(minutes)}

    jobs = [summary(HEAD, "SUCCEEDED", 1), summary(ID, "FAILED", 5), summary("x", "FAILED", 50)]
    found, made = ask(
        "jobDefinitions",
        "d",
        {"batch:ListJobs": {"jobSummaryList": jobs}, **described(failed(attempt(exitCode=3)))},
        by_id=False,
    )
    assert (found.id, [one.id for one in found.causes]) == (ID, ["app-exit"])
    assert made == ["batch:DescribeJobQueues", "batch:ListJobs", "batch:DescribeJobs"]
    assert [one.id for one in ask("jobDefinitions", "d", {}, by_id=False)[0].causes] == ["none"]


def without(value, draw):
    """``value`` without some of its members, at any depth."""
    if isinstance(value, dict):
        return {key: without(item, draw) for key, item in value.items() if draw(st.integers(0, 9)) or key in KEPT}
    if isinstance(value, list):
        return [without(item, draw) for item in value]
    return value


KEPT = {"jobs", "jobId", "status"}


@settings(max_examples=40 if LONG else 15, deadline=None)
@given(st.data())
def test_members_may_be_missing(data):
    """AWS leaves out members that have no value: whatever is missing, there is an answer."""
    name = data.draw(st.sampled_from([*WAITING, *FAILED]))
    replies = {**HEALTHY, **(WAITING.get(name) or FAILED[name])[0]}

    def less(reply):
        if isinstance(reply, Refused):
            return reply
        return (lambda params: without(reply(params), data.draw)) if callable(reply) else without(reply, data.draw)

    fewer = {call: less(reply) for call, reply in replies.items()}
    found, _ = of_job(fewer)

    assert found is None or found.causes


def test_every_call_is_in_the_policy():
    made = set()
    for replies, *_ in (*WAITING.values(), *FAILED.values()):
        made |= set(of_job(replies)[1])

    assert made <= set(discover()["jobDefinitions"].diagnosis.permissions)
