"""The three environments against the articles they come from.

The articles' JSON stands here as printed, with only the braces put back that the text lost. What the YAML says
differently is listed in full beside it, so that nothing else can differ.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from reconciler.model import Address, Environment
from reconciler.operations import pipeline

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENTS = ROOT / "environments"
NAMES = ("custom-logging", "dcv-desktop", "retry-strategies")
SET = {"DCV_PASSWORD": "correct horse battery", "SPLUNK_TOKEN": "1b2c-3d4e"}
ABSENT = "(absent)"


def load(name: str, environ: Mapping[str, str] = SET, *, strict: bool = True) -> Environment:
    env, _ = pipeline.read_environment(ENVIRONMENTS / name, environ, strict=strict)
    return env


def props(name: str, section: str, resource: str) -> Any:
    return load(name).resources[Address(section, resource)].props


def leaves(value: Any, path: str = "") -> dict[str, Any]:
    """Every leaf by its path; expressions as they are written."""
    if isinstance(value, Mapping) and value:
        return {
            p: leaf for key, item in value.items() for p, leaf in leaves(item, f"{path}.{key}" if path else key).items()
        }
    if isinstance(value, list | tuple) and value:
        return {p: leaf for index, item in enumerate(value) for p, leaf in leaves(item, f"{path}[{index}]").items()}
    return {path: value if isinstance(value, str | int | float | bool) else str(value)}


def differences(article: str, ours: Any) -> dict[str, tuple[Any, Any]]:
    """What the article's JSON and our properties do not agree on, by path: (article, ours)."""
    printed = leaves({key: value for key, value in json.loads(article).items() if not key.endswith("Name")})
    declared = leaves(ours)
    return {
        path: (printed.get(path, ABSENT), declared.get(path, ABSENT))
        for path in sorted(printed | declared)
        if printed.get(path, ABSENT) != declared.get(path, ABSENT)
    }


def trusted(document: Any) -> set[str]:
    """The services that a trust policy lets assume the role."""
    services: set[str] = set()
    for statement in document["Statement"]:
        assert statement["Effect"] == "Allow"
        assert statement["Action"] in ("sts:AssumeRole", ["sts:AssumeRole"])
        found = statement["Principal"]["Service"]
        services |= {found} if isinstance(found, str) else set(found)
    return services


# --- all three -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        (
            "retry-strategies",
            {
                "computeEnvironments.compute-0: no-updates-in-place",
                "jobDefinitions.noContainer: no-timeout",
                "jobDefinitions.randomEC: no-timeout",
                "jobDefinitions.randomEC: no-catch-all",
                "jobDefinitions.spot: no-timeout",
            },
        ),
        (
            "dcv-desktop",
            {
                "computeEnvironments.DCV-GPU-CE: no-updates-in-place",
                "jobDefinitions.DCV-GPU-JD: privileged",
                "securityGroups.dcv-sg: open-to-all",
            },
        ),
        (
            "custom-logging",
            {
                "computeEnvironments.od-ce: no-updates-in-place",
                "jobDefinitions.alpine-env: no-timeout",
                "jobDefinitions.alpine-splunk: no-timeout",
                "policies.batch-awslog-policy: invalid-value",
            },
        ),
    ],
)
def test_it_loads_and_draws_no_more_advice_than_the_article_deserves(name: str, advice: set[str]) -> None:
    env, warnings = pipeline.read_environment(ENVIRONMENTS / name, SET, strict=True)

    assert env.name == name
    assert {f"{problem.address}: {problem.code}" for problem in warnings} == advice


@pytest.mark.parametrize("name", NAMES)
def test_every_file_starts_with_a_schema_line_that_leads_to_the_schema(name: str) -> None:
    for file in (ENVIRONMENTS / name).rglob("*.yaml"):
        first = file.read_text(encoding="utf-8").splitlines()[0]
        line = re.fullmatch(r"# yaml-language-server: \$schema=(\S+)", first)

        assert line, file
        schema = "tests.schema.json" if file.parent.name == "tests" else "environment.schema.json"
        assert (file.parent / line[1]).resolve() == ROOT / "schemas" / schema


@pytest.mark.parametrize("name", NAMES)
def test_its_readme_says_how_to_plan_it_and_what_it_costs(name: str) -> None:
    text = (ENVIRONMENTS / name / "README.md").read_text(encoding="utf-8")

    assert f"reconcile plan {name}" in text
    assert "## What it costs to leave on" in text


def test_no_name_is_declared_by_two_environments() -> None:
    seen: dict[Address, str] = {}
    for name in NAMES:
        for address in load(name).resources:
            assert address not in seen, f"{address} is in {seen[address]} and {name}"
            seen[address] = name


@pytest.mark.parametrize(("name", "variable"), [("dcv-desktop", "DCV_PASSWORD"), ("custom-logging", "SPLUNK_TOKEN")])
def test_an_unset_variable_is_a_warning_to_validate(name: str, variable: str) -> None:
    _, warnings = pipeline.read_environment(ENVIRONMENTS / name, {}, strict=False)

    assert any(variable in problem.message for problem in warnings)


@pytest.mark.parametrize("name", NAMES)
def test_no_secret_value_stands_in_a_file(name: str) -> None:
    for file in (ENVIRONMENTS / name).rglob("*"):
        text = file.read_text(encoding="utf-8") if file.is_file() else ""
        assert not re.search(r"PRIVATE KEY|AKIA[A-Z0-9]{16}|XXX-YYY-ZZZ|splunk-token: +[^$\s]", text), file


# --- Introducing retry strategies for AWS Batch ----------------------------------------------------------------------

COMPUTE_0 = """{
  "computeEnvironmentName": "compute-0",
  "type": "MANAGED",
  "state": "ENABLED",
  "computeResources": {
    "type": "SPOT",
    "allocationStrategy": "SPOT_CAPACITY_OPTIMIZED",
    "minvCpus": 2,
    "maxvCpus": 32,
    "desiredvCpus": 4,
    "instanceTypes": [ "m5.xlarge","m5.2xlarge","m4.xlarge","m4.2xlarge","m5a.xlarge","m5a.2xlarge"],
    "subnets": ["${SUBNET_ID}"],
    "securityGroupIds": ["${AWS_SG_DEFAULT}"],
    "instanceRole": "arn:aws:iam::${AWS_ACCT_ID}:instance-profile/ecsInstanceRole",
    "tags": {"Name": "aws-batch-instances"},
    "ec2KeyPair": "batch-ssh-key",
    "bidPercentage": 0
  },
  "serviceRole": "arn:aws:iam::${AWS_ACCT_ID}:role/AWSBatchServiceRole"
}"""

QUEUE_0 = """{
  "jobQueueName": "queue-0",
  "state": "ENABLED",
  "priority": 1,
  "computeEnvironmentOrder": [{
    "order": 0,
    "computeEnvironment": "compute-0"
  }]
}"""

SPOT = """{
    "jobDefinitionName": "spot",
    "type": "container",
    "containerProperties": {
        "image": "alpine:latest",
        "vcpus": 2,
        "memory": 256,
        "command":  ["sleep","600"],
        "readonlyRootFilesystem": false
    },
    "retryStrategy": {
        "attempts": 5,
        "evaluateOnExit": [{
            "onStatusReason" :"Host EC2*",
            "action": "RETRY"
        },{
            "onReason" : "*",
            "action": "EXIT"
        }]
    }
}"""

RANDOM_EC = """{
    "jobDefinitionName": "randomEC",
    "type": "container",
    "containerProperties": {
        "image": "qnib/random-ec:2020-10-13.3",
        "vcpus": 2,
        "memory": 256,
        "readonlyRootFilesystem": false
    },
    "retryStrategy": {
        "attempts": 10,
        "evaluateOnExit": [{
            "onExitCode": "1",
            "action": "RETRY"
        },{
            "onExitCode": "2",
            "action": "RETRY"
        },{
            "onExitCode": "3",
            "action": "EXIT"
        }]
    }
}"""

NO_CONTAINER = """{
    "jobDefinitionName": "noContainer",
    "type": "container",
    "containerProperties": {
        "image": "no-container-image",
        "vcpus": 2,
        "memory": 256,
        "readonlyRootFilesystem": false
    },
    "retryStrategy": {
        "attempts": 10,
        "evaluateOnExit": [{
            "onReason": "CannotPullContainerError:*",
            "action": "EXIT"
        }]
    }
}"""


def test_retry_strategies_declares_the_articles_stack() -> None:
    assert {
        "roles.ecsInstanceRole",
        "roles.AWSBatchServiceRole",
        "instanceProfiles.ecsInstanceProfile",
        "keyPairs.batch-ssh-key",
        "computeEnvironments.compute-0",
        "jobQueues.queue-0",
        "jobDefinitions.spot",
        "jobDefinitions.randomEC",
        "jobDefinitions.noContainer",
    } == set(map(str, load("retry-strategies").resources))


def test_compute_0_is_the_articles_but_for_the_profile_and_the_look_ups() -> None:
    ours = props("retry-strategies", "computeEnvironments", "compute-0")

    assert differences(COMPUTE_0, ours) == {
        "computeResources.instanceRole": (
            "arn:aws:iam::${AWS_ACCT_ID}:instance-profile/ecsInstanceRole",
            "ecsInstanceProfile",
        ),
        "computeResources.securityGroupIds[0]": ("${AWS_SG_DEFAULT}", "${lookups.defaultGroup}"),
        "computeResources.subnets": (ABSENT, "${lookups.subnets}"),
        "computeResources.subnets[0]": ("${SUBNET_ID}", ABSENT),
        "serviceRole": ("arn:aws:iam::${AWS_ACCT_ID}:role/AWSBatchServiceRole", "AWSBatchServiceRole"),
    }


@pytest.mark.parametrize(
    ("section", "name", "article"),
    [
        ("jobQueues", "queue-0", QUEUE_0),
        ("jobDefinitions", "spot", SPOT),
        ("jobDefinitions", "randomEC", RANDOM_EC),
        ("jobDefinitions", "noContainer", NO_CONTAINER),
    ],
)
def test_queue_and_job_definitions_are_the_articles_to_the_letter(section: str, name: str, article: str) -> None:
    assert differences(article, props("retry-strategies", section, name)) == {}


@pytest.mark.parametrize(
    ("name", "role", "service", "policies"),
    [
        (
            "retry-strategies",
            "ecsInstanceRole",
            "ec2.amazonaws.com",
            ["service-role/AmazonEC2ContainerServiceforEC2Role"],
        ),
        ("retry-strategies", "AWSBatchServiceRole", "batch.amazonaws.com", ["service-role/AWSBatchServiceRole"]),
        (
            "custom-logging",
            "ecsInstanceRole-custom-logging",
            "ec2.amazonaws.com",
            ["service-role/AmazonEC2ContainerServiceforEC2Role", "batch-awslog-policy"],
        ),
        (
            "custom-logging",
            "AWSBatchServiceRole-custom-logging",
            "batch.amazonaws.com",
            ["service-role/AWSBatchServiceRole"],
        ),
        (
            "dcv-desktop",
            "AWSBatchServiceRole-dcv-desktop",
            "batch.amazonaws.com",
            ["service-role/AWSBatchServiceRole"],
        ),
    ],
)
def test_a_role_trusts_its_service_and_has_its_policies(
    name: str, role: str, service: str, policies: list[str]
) -> None:
    ours = props(name, "roles", role)

    assert {service} == trusted(ours["assumeRolePolicyDocument"])
    assert policies == list(ours["managedPolicies"])


@pytest.mark.parametrize(
    ("name", "profile", "role"),
    [
        ("retry-strategies", "ecsInstanceProfile", "ecsInstanceRole"),
        ("custom-logging", "ecsInstanceProfile-custom-logging", "ecsInstanceRole-custom-logging"),
        ("dcv-desktop", "dcv-ecs-batch-role", "dcv-ecs-batch-role"),
    ],
)
def test_a_profile_holds_its_role(name: str, profile: str, role: str) -> None:
    assert role == props(name, "instanceProfiles", profile)["role"]


# --- How to run 3D interactive applications with NICE DCV in AWS Batch -----------------------------------------------


def test_dcv_desktop_declares_the_articles_stack() -> None:
    assert {
        "roles.dcv-ecs-batch-role",
        "roles.AWSBatchServiceRole-dcv-desktop",
        "instanceProfiles.dcv-ecs-batch-role",
        "secrets.Run_DCV_in_Batch",
        "secrets.DCV_Session_Ready_Notification",
        "topics.DCV_Session_Ready_Notification",
        "securityGroups.dcv-sg",
        "repositories.dcv",
        "computeEnvironments.DCV-GPU-CE",
        "jobQueues.DCV-GPU-Queue",
        "jobDefinitions.DCV-GPU-JD",
    } == set(map(str, load("dcv-desktop").resources))


def test_dcv_role_has_five_managed_policies_the_licence_policy_and_two_trusted_services() -> None:
    ours = props("dcv-desktop", "roles", "dcv-ecs-batch-role")

    assert {"ec2.amazonaws.com", "ecs-tasks.amazonaws.com"} == trusted(ours["assumeRolePolicyDocument"])
    assert [policy.removeprefix("service-role/") for policy in ours["managedPolicies"]] == [
        "AmazonEC2ContainerRegistryFullAccess",
        "AmazonEC2ContainerServiceforEC2Role",
        "SecretsManagerReadWrite",
        "AmazonSNSFullAccess",
        "AmazonECSTaskExecutionRolePolicy",
    ]
    (statement,) = ours["inlinePolicies"]["DCVLicensePolicy"]["Statement"]
    assert (
        statement["Effect"],
        statement["Action"],
        str(statement["Resource"]),
    ) == ("Allow", "s3:GetObject", "arn:${partition}:s3:::dcv-license.eu-west-1/*")


def test_dcv_secrets_hold_the_password_and_the_topic() -> None:
    login = props("dcv-desktop", "secrets", "Run_DCV_in_Batch")["value"]
    notice = props("dcv-desktop", "secrets", "DCV_Session_Ready_Notification")["value"]

    assert {"user001": SET["DCV_PASSWORD"]} == login
    assert leaves(notice) == {"sns_topic_arn": "${topics.DCV_Session_Ready_Notification.arn}"}


def test_dcv_topic_has_a_mail_subscription() -> None:
    (subscription,) = props("dcv-desktop", "topics", "DCV_Session_Ready_Notification")["subscriptions"]

    assert (subscription["protocol"], subscription["endpoint"]) == ("email", "user001@example.com")


def test_dcv_security_group_is_open_on_8443() -> None:
    ours = leaves(props("dcv-desktop", "securityGroups", "dcv-sg"))

    assert (
        ours["ingress[0].ipProtocol"],
        ours["ingress[0].fromPort"],
        ours["ingress[0].toPort"],
    ) == ("tcp", 8443, 8443)
    assert ours["vpcId"] == "${lookups.vpc}"


def test_dcv_compute_environment() -> None:
    assert leaves(props("dcv-desktop", "computeEnvironments", "DCV-GPU-CE")) == {
        "type": "MANAGED",
        "computeResources.type": "EC2",
        "computeResources.minvCpus": 0,
        "computeResources.maxvCpus": 16,
        "computeResources.allocationStrategy": "BEST_FIT_PROGRESSIVE",
        "computeResources.instanceTypes[0]": "g4dn.2xlarge",
        "computeResources.instanceTypes[1]": "g5.2xlarge",
        "computeResources.instanceTypes[2]": "g6.2xlarge",
        "computeResources.subnets": "${lookups.subnets}",
        "computeResources.securityGroupIds[0]": "dcv-sg",
        "computeResources.instanceRole": "dcv-ecs-batch-role",
        "computeResources.imageId": "${lookups.gpuAmi}",
        "computeResources.tags.Name": "DCV-GPU-Batch-Instance",
        "serviceRole": "AWSBatchServiceRole-dcv-desktop",
    }


def test_dcv_queue_and_job_definition() -> None:
    assert leaves(props("dcv-desktop", "jobQueues", "DCV-GPU-Queue")) == {
        "priority": 1,
        "computeEnvironmentOrder[0].order": 1,
        "computeEnvironmentOrder[0].computeEnvironment": "DCV-GPU-CE",
    }
    assert leaves(props("dcv-desktop", "jobDefinitions", "DCV-GPU-JD")) == {
        "type": "container",
        "parameters.command": "--network=host",
        "timeout.attemptDurationSeconds": 3600,
        "containerProperties.jobRoleArn": "dcv-ecs-batch-role",
        "containerProperties.image": "${repositories.dcv.uri}",
        "containerProperties.vcpus": 8,
        "containerProperties.memory": 2048,
        "containerProperties.resourceRequirements[0].type": "GPU",
        "containerProperties.resourceRequirements[0].value": "1",
        "containerProperties.privileged": True,
        "containerProperties.user": "root",
        "containerProperties.environment[0].name": "DISPLAY",
        "containerProperties.environment[0].value": "0",
        "containerProperties.environment[1].name": "DCV_LOGIN_SECRET",
        "containerProperties.environment[1].value": "${secrets.Run_DCV_in_Batch.arn}",
        "containerProperties.environment[2].name": "DCV_TOPIC_SECRET",
        "containerProperties.environment[2].value": "${secrets.DCV_Session_Ready_Notification.arn}",
    }


# --- Custom logging with AWS Batch -----------------------------------------------------------------------------------

POLICY = """{
  "Version": "2012-10-17",
  "Statement": [{
    "Effect": "Allow",
    "Action": [
    ],
    "Resource": "*",
    "Condition": {
      "StringEqualsIfExists": {
        "batch:LogDriver": ["awslogs"],
        "batch:AWSLogsGroup": ["/aws/batch/custom/*"]
      }
    }
  }]
}"""

OD_CE = """{
  "computeEnvironmentName": "od-ce",
  "type": "MANAGED",
  "state": "ENABLED",
  "computeResources": {
    "type": "EC2",
    "allocationStrategy": "BEST_FIT_PROGRESSIVE",
    "minvCpus": 1,
    "maxvCpus": 8,
    "desiredvCpus": 1,
    "instanceTypes": ["m5.xlarge"],
    "subnets": ["${SUBNET_ID}"],
    "securityGroupIds": ["${AWS_SG_DEFAULT}"],
    "instanceRole": "arn:aws:iam::${AWS_ACCT_ID}:instance-profile/ecsInstanceRole",
    "tags": {"Name": "aws-batch-compute"},
    "bidPercentage": 0
  },
  "serviceRole": "arn:aws:iam::${AWS_ACCT_ID}:role/AWSBatchServiceRole"
}"""

JQ = """{
  "jobQueueName": "jq",
  "state": "ENABLED",
  "priority": 1,
  "computeEnvironmentOrder": [{
    "order": 0,
    "computeEnvironment": "od-ce"
  }]
}"""

ALPINE_ENV = """{
  "jobDefinitionName": "alpine-env",
  "type": "container",
  "containerProperties": {
  "image": "alpine",
  "vcpus": 1,
  "memory": 128,
  "command": ["env"],
  "readonlyRootFilesystem": true,
  "logConfiguration": {
    "logDriver": "awslogs",
    "options": {
      "awslogs-region": "${AWS_REGION}",
      "awslogs-group": "/aws/batch/custom/env-queue",
      "awslogs-create-group": "true"}
    }
  }
}"""

ALPINE_SPLUNK = """{
  "jobDefinitionName": "alpine-splunk",
  "type": "container",
  "containerProperties": {
    "image": "alpine",
    "vcpus": 1,
    "memory": 128,
    "command": ["env"],
    "readonlyRootFilesystem": false,
    "logConfiguration": {
      "logDriver": "splunk",
      "options": {
        "splunk-url": "https://<splunk-url>",
        "splunk-token": "XXX-YYY-ZZZ"
      }
    }
  }
}"""


def test_custom_logging_declares_the_articles_stack() -> None:
    assert {
        "roles.ecsInstanceRole-custom-logging",
        "roles.AWSBatchServiceRole-custom-logging",
        "roles.splunk-execution-role",
        "instanceProfiles.ecsInstanceProfile-custom-logging",
        "policies.batch-awslog-policy",
        'logGroups["/aws/batch/custom/env-queue"]',
        "secrets.splunk-token",
        "computeEnvironments.od-ce",
        "jobQueues.jq",
        "jobDefinitions.alpine-env",
        "jobDefinitions.alpine-splunk",
    } == set(map(str, load("custom-logging").resources))


def test_the_log_policy_is_the_articles_with_an_operator_that_knows_the_star() -> None:
    ours = props("custom-logging", "policies", "batch-awslog-policy")["policyDocument"]
    equals, like = "Statement[0].Condition.StringEqualsIfExists", "Statement[0].Condition.StringLikeIfExists"

    assert {
        "Statement[0].Action": ("[]", ABSENT),  # the text lost the actions
        "Statement[0].Action[0]": (ABSENT, "logs:CreateLogGroup"),
        "Statement[0].Action[1]": (ABSENT, "logs:CreateLogStream"),
        "Statement[0].Action[2]": (ABSENT, "logs:PutLogEvents"),
        f"{equals}.batch:LogDriver[0]": ("awslogs", ABSENT),
        f"{equals}.batch:AWSLogsGroup[0]": ("/aws/batch/custom/*", ABSENT),
        f"{like}.batch:LogDriver[0]": (ABSENT, "awslogs"),
        f"{like}.batch:AWSLogsGroup[0]": (ABSENT, "/aws/batch/custom/*"),
    } == differences(POLICY, ours)


def test_od_ce_is_the_articles_but_for_the_profile_the_suffixes_and_the_look_ups() -> None:
    assert differences(OD_CE, props("custom-logging", "computeEnvironments", "od-ce")) == {
        "computeResources.instanceRole": (
            "arn:aws:iam::${AWS_ACCT_ID}:instance-profile/ecsInstanceRole",
            "ecsInstanceProfile-custom-logging",
        ),
        "computeResources.securityGroupIds[0]": ("${AWS_SG_DEFAULT}", "${lookups.defaultGroup}"),
        "computeResources.subnets": (ABSENT, "${lookups.subnets}"),
        "computeResources.subnets[0]": ("${SUBNET_ID}", ABSENT),
        "serviceRole": ("arn:aws:iam::${AWS_ACCT_ID}:role/AWSBatchServiceRole", "AWSBatchServiceRole-custom-logging"),
    }


def test_jq_is_the_articles_to_the_letter() -> None:
    assert differences(JQ, props("custom-logging", "jobQueues", "jq")) == {}


def test_alpine_env_is_the_articles_with_a_reference_to_the_log_group() -> None:
    options = "containerProperties.logConfiguration.options"

    assert {
        f"{options}.awslogs-group": (
            "/aws/batch/custom/env-queue",
            '${logGroups["/aws/batch/custom/env-queue"].name}',
        ),
        f"{options}.awslogs-region": ("${AWS_REGION}", "${region}"),
    } == differences(ALPINE_ENV, props("custom-logging", "jobDefinitions", "alpine-env"))


def test_alpine_splunk_is_the_articles_with_the_token_from_a_secret() -> None:
    log = "containerProperties.logConfiguration"

    assert {
        "containerProperties.executionRoleArn": (ABSENT, "splunk-execution-role"),
        f"{log}.options.splunk-token": ("XXX-YYY-ZZZ", ABSENT),
        f"{log}.secretOptions[0].name": (ABSENT, "splunk-token"),
        f"{log}.secretOptions[0].valueFrom": (ABSENT, "${secrets.splunk-token.arn}"),
    } == differences(ALPINE_SPLUNK, props("custom-logging", "jobDefinitions", "alpine-splunk"))


def test_the_execution_role_may_read_the_token_and_nothing_else() -> None:
    ours = props("custom-logging", "roles", "splunk-execution-role")
    (statement,) = ours["inlinePolicies"]["read-splunk-token"]["Statement"]

    assert {"ecs-tasks.amazonaws.com"} == trusted(ours["assumeRolePolicyDocument"])
    assert not ours.get("managedPolicies")
    assert (
        statement["Action"],
        str(statement["Resource"]),
    ) == ("secretsmanager:GetSecretValue", "${secrets.splunk-token.arn}")
    assert SET["SPLUNK_TOKEN"] == props("custom-logging", "secrets", "splunk-token")["value"]
