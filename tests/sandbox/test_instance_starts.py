"""What keeps instances from starting, in the words of AWS, and what EC2 and ECS say of instances and their end.

https://docs.aws.amazon.com/autoscaling/ec2/userguide/ts-as-launch-template.html, operating.md 1.2 and 1.3, and for user
data https://github.com/aws/aws-cdk/issues/6427
"""

from __future__ import annotations

from base64 import b64encode
from typing import Any

from tests.sandbox import site

SCRIPT = b64encode(b"#!/bin/bash\necho hello").decode()
PARTS = b64encode(b'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="=="\n\n--==--').decode()
LAUNCHES = {
    "key": ({"ec2KeyPair": "gone"}, "The key pair 'gone' does not exist."),
    "template-key": ({"launchTemplate": {"launchTemplateName": "keyed"}}, "The key pair 'lost' does not exist."),
    "placement": ({"placementGroup": "gone"}, "The Placement Group 'gone' is unknown."),
    "image": ({"ec2Configuration": [{"imageType": "ECS_AL2023"}]}, "' does not exist."),
    "tiny": (
        {},
        "There are not enough free addresses in subnet 'SUBNET' to satisfy the requested number of instances.",
    ),
}
INVALID = {
    "script": ({"launchTemplateName": "script"}, "Launch Template UserData is not MIME multipart format"),
    "version": ({"launchTemplateName": "parts", "version": "7"}, "Could not find the specified version 7"),
}


def test_launches_fail_as_aws_tells_it(sandbox: Any) -> None:
    site.built(sandbox)
    batch, ec2 = sandbox.client("batch"), sandbox.client("ec2")
    for name, data in (
        ("keyed", {"KeyName": "lost"}),
        ("script", {"UserData": SCRIPT}),
        ("parts", {"UserData": PARTS}),
    ):
        ec2.create_launch_template(LaunchTemplateName=name, LaunchTemplateData=data)
    image = ec2.register_image(Name="own")["ImageId"]
    network = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=network, CidrBlock="10.9.0.0/28", AvailabilityZone="eu-west-1a")["Subnet"][
        "SubnetId"
    ]
    group = ec2.create_security_group(GroupName="g", Description="d", VpcId=network)["GroupId"]
    ours = batch.describe_compute_environments(computeEnvironments=["ec2"])["computeEnvironments"][0][
        "computeResources"
    ]
    kept = ("type", "allocationStrategy", "minvCpus", "maxvCpus", "instanceTypes", "subnets", "securityGroupIds")
    where = {member: ours[member] for member in (*kept, "instanceRole")}

    def create(name: str, changes: Any) -> None:
        if name == "image":
            changes = {"ec2Configuration": [{**changes["ec2Configuration"][0], "imageIdOverride": image}]}
        if name == "tiny":
            changes = {"subnets": [subnet], "securityGroupIds": [group], "minvCpus": 30}
        resources = {**where, "minvCpus": 2, **changes}
        batch.create_compute_environment(computeEnvironmentName=name, type="MANAGED", computeResources=resources)

    for name, (changes, _) in LAUNCHES.items():
        create(name, changes)
    for name, (template, _) in INVALID.items():
        create(name, {"launchTemplate": template})
    create("fine", {"launchTemplate": {"launchTemplateName": "parts", "version": "1"}})
    ec2.deregister_image(ImageId=image)
    sandbox.advance(200)

    groups = sandbox.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
    number = {one["AutoScalingGroupName"].split("-asg-")[0].removeprefix("AWSBatch-"): one for one in groups}
    for name, (_, text) in LAUNCHES.items():
        scaling = sandbox.client("autoscaling")
        asked = {"AutoScalingGroupName": number[name]["AutoScalingGroupName"]}
        failed = [
            one for one in scaling.describe_scaling_activities(**asked)["Activities"] if one["StatusCode"] == "Failed"
        ]
        expected = text.replace("SUBNET", subnet)
        assert failed and failed[0]["StatusMessage"].endswith(f"{expected} Launching EC2 instance failed."), name
    assert {name: len(number[name]["Instances"]) for name in (*LAUNCHES, "fine")} == {
        **dict.fromkeys(LAUNCHES, 0),
        "tiny": 11,
        "fine": 1,
    }
    told = {one["computeEnvironmentName"]: one for one in batch.describe_compute_environments()["computeEnvironments"]}
    for name, (_, text) in INVALID.items():
        assert told[name]["status"] == "INVALID"
        assert told[name]["statusReason"].startswith(f"CLIENT_ERROR - {text}")
