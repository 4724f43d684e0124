"""Look-ups against the account: what is found, a tag of an image that moves, and what is not there."""

from __future__ import annotations

import json

import boto3
import pytest

from tests.support.shell import Shell

STACK = """
environment: e
region: eu-west-1
variables: {system: data, key: alias/batch}
lookups:
  vpc: {vpc: {filters: [{Name: is-default, Values: ["true"]}]}}
  subnets: {subnets: {vpcId: "${lookups.vpc}", filters: [{Name: availability-zone, Values: [eu-west-1a, eu-west-1b]}]}}
  data: {fileSystem: {tags: {Name: "${var.system}"}}}
  key: {kmsKey: "${var.key}"}
  app: {repositoryImage: {repository: app, tag: 1.4}}
  token: {secret: splunk-token}
  role: {role: shared-job-role}
logGroups: {g: {kmsKeyId: "${lookups.key}"}}
jobDefinitions:
  j:
    type: container
    timeout: {attemptDurationSeconds: 3600}
    containerProperties:
      image: "${lookups.app}"
      jobRoleArn: "${lookups.role}"
      executionRoleArn: "${lookups.role}"
      resourceRequirements: [{type: VCPU, value: "1"}, {type: MEMORY, value: "64"}]
      secrets: [{name: TOKEN, valueFrom: "${lookups.token}"}]
      volumes: [{name: data, efsVolumeConfiguration: {fileSystemId: "${lookups.data}"}}]
      mountPoints: [{sourceVolume: data, containerPath: /data}]
"""
TRUST = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}, "Action": "sts:AssumeRole"}]}  # fmt: skip
DOCKER = "application/vnd.docker.distribution.manifest.v2+json"


def push(size: int) -> str:
    """An image with tag 1.4; its digest."""
    manifest = json.dumps({"schemaVersion": 2, "mediaType": DOCKER, "config": {"size": size}, "layers": []})
    ecr = boto3.client("ecr")
    return str(
        ecr.put_image(repositoryName="app", imageTag="1.4", imageManifest=manifest)["image"]["imageId"]["imageDigest"]
    )


@pytest.fixture
def made(shell: Shell) -> dict[str, str]:
    """What the look-ups find."""
    kms = boto3.client("kms")
    key = kms.create_key()["KeyMetadata"]["Arn"]
    kms.create_alias(AliasName="alias/batch", TargetKeyId=key)
    boto3.client("ecr").create_repository(repositoryName="app")
    efs = boto3.client("efs")
    efs.create_file_system(CreationToken="other", Tags=[{"Key": "Name", "Value": "scratch"}])
    system = efs.create_file_system(CreationToken="data", Tags=[{"Key": "Name", "Value": "data"}])["FileSystemId"]
    secret = boto3.client("secretsmanager").create_secret(Name="splunk-token", SecretString="never-read")["ARN"]
    iam = boto3.client("iam")
    role = iam.create_role(RoleName="shared-job-role", Path="/jobs/", AssumeRolePolicyDocument=json.dumps(TRUST))
    shell.secrets.add("never-read")
    (shell.go(shell.home / "e") / "environment.yaml").write_text(STACK)
    return {"data": system, "key": key, "token": secret, "role": role["Role"]["Arn"]}


def test_all_are_found_and_a_tag_that_moves_is_a_change(shell: Shell, made: dict[str, str]) -> None:
    shell.account.change({"iam_delay": 0})
    registry = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/app"
    old = push(1)
    shell.ok("validate", "--strict")
    found = shell.ok("plan", "--format", "json").json["lookups"]
    assert {name: found[name] for name in made} == made
    assert found["app"] == f"{registry}@{old}"
    assert (found["vpc"][:4], len(found["subnets"])) == ("vpc-", 2)

    shell.ok("apply", "--auto-approve")
    assert not any(call.operation == "GetSecretValue" for call in shell.account.calls)
    assert shell("plan", "--detailed-exitcode").code == 0

    new = push(2)
    moved = shell.ok("plan", "--format", "json", "--only-changes").json
    (job,) = moved["resource_changes"]
    assert [(one["path"], one["before"], one["after"], one["effect"]) for one in job["differences"]] == [
        ("containerProperties.image", f"{registry}@{old}", f"{registry}@{new}", "new-revision")
    ]


def test_what_is_not_there_is_told_at_once_at_its_place(shell: Shell, made: dict[str, str]) -> None:
    boto3.client("kms").schedule_key_deletion(KeyId=made["key"].rpartition("/")[2])
    boto3.client("secretsmanager").delete_secret(SecretId="splunk-token")
    told = shell("plan")

    assert told.code == 1
    for said in (
        "environment.yaml:9:3",
        "the KMS key alias/batch is scheduled for deletion",
        "environment.yaml:10:3",
        "the repository app has no image with tag 1.4",
        "the secret splunk-token is scheduled for deletion",
    ):
        assert said in told.told


def test_what_may_not_be_read_names_the_permission(shell: Shell, made: dict[str, str]) -> None:
    push(1)
    shell.account.faults.add(service="elasticfilesystem", code="AccessDeniedException", message="no", times=0)
    told = shell("plan")

    assert told.code == 1 and "allow elasticfilesystem:DescribeFileSystems" in told.told
