"""Who changed what has drifted: every kind changed by another client, and found in the history of the account."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import boto3
import botocore
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from reconciler import __version__
from reconciler.kinds import discover
from reconciler.model import Address, Call, Environment, Live, Plan, ResourcePlan, Scope, Verb
from reconciler.operations.drift import who as looking
from reconciler.operations.drift.events import ChangedBy, by_batch, changed_by, parsed
from reconciler.operations.drift.who import Pace, Report, Window, find_callers
from tests.support.histories import History, Ticking

ACCOUNT = "123456789012"
CONSOLE = "Mozilla/5.0 (X11; Linux x86_64)"
READ_ONLY = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"
ALLOW = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]}
DENY = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "s3:*", "Resource": "*"}]})
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICQhSMv3YxO+yHEubNeW7C/sLiSRbwNwVch7mj6mmeVn"
JOB = {
    "image": "alpine",
    "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "2048"}],
}
TARGET = {"id": "mail", "arn": "topic"}


def stack(subnet: str, vpc: str) -> dict[str, Any]:
    """One of every kind."""
    tags = {"tags": {"team": "hpc"}}
    limit = {"capacityUnit": "NUM_INSTANCES", "maxCapacity": 8}
    resources = {"type": "FARGATE", "maxvCpus": 16, "subnets": [subnet], "securityGroupIds": ["group"]}
    job = {"jobQueue": "queue", "jobDefinition": "job", "jobName": "nightly"}
    return {
        "roles": {
            "role": {"trust": ["ec2.amazonaws.com"], "managedPolicies": [READ_ONLY], "inlinePolicies": {"in": ALLOW}},
            "tagged": {"trust": ["ec2.amazonaws.com"], **tags},
            "caller": {"trust": ["scheduler.amazonaws.com"]},
        },
        "policies": {"policy": {"policyDocument": ALLOW}},
        "instanceProfiles": {"profile": {"role": "role"}},
        "serviceLinkedRoles": {"batch.amazonaws.com": {}},
        "securityGroups": {
            "group": {
                "description": "d",
                "vpcId": vpc,
                "ingress": [{"protocol": "tcp", "port": 22, "cidr": "10.0.0.0/8"}],
            }
        },
        "keyPairs": {"key": {"publicKey": KEY, **tags}},
        "launchTemplates": {"template": {"launchTemplateData": {"instanceType": "m5.large"}}},
        "placementGroups": {"close": {"strategy": "cluster", **tags}},
        "repositories": {"repository": {"imageTagMutability": "IMMUTABLE"}},
        "secrets": {"secret": {"description": "d"}},
        "topics": {"topic": {"attributes": {"DisplayName": "T"}}},
        "logGroups": {"/log": {"retentionInDays": 7}, "/gone": {"retentionInDays": 7}},
        "eventRules": {"rule": {"scheduleExpression": "rate(1 day)", "targets": [TARGET]}},
        "computeEnvironments": {"ce": {"type": "MANAGED", "computeResources": resources}},
        "jobQueues": {
            "queue": {"priority": 1, "computeEnvironmentOrder": [{"order": 1, "computeEnvironment": "ce"}]},
            "train": {
                "priority": 1,
                "jobQueueType": "SAGEMAKER_TRAINING",
                "schedulingPolicyArn": "quota",
                "serviceEnvironmentOrder": [{"order": 1, "serviceEnvironment": "train"}],
            },
        },
        "jobDefinitions": {"job": {"type": "container", "containerProperties": JOB}},
        "schedulingPolicies": {
            "fair": {"fairsharePolicy": {"shareDecaySeconds": 60}},
            "quota": {"quotaSharePolicy": {"idleResourceAssignmentStrategy": "FIFO"}},
        },
        "consumableResources": {"tokens": {"totalQuantity": 2, "resourceType": "REPLENISHABLE"}},
        "serviceEnvironments": {"train": {"serviceEnvironmentType": "SAGEMAKER_TRAINING", "capacityLimits": [limit]}},
        "quotaShares": {
            "train/team": {
                "capacityLimits": [{**limit, "maxCapacity": 4}],
                "resourceSharingConfiguration": {"strategy": "RESERVE"},
                "preemptionConfiguration": {"inSharePreemption": "ENABLED"},
            }
        },
        "scheduleGroups": {"test": {}},
        "schedules": {
            "nightly": {
                "scheduleExpression": "rate(1 day)",
                "target": {"roleArn": "caller", "submitJob": job},
            }
        },
    }


# by address: what is done by hand, and the event that it is found by; the parameters may name the live attributes
BY_HAND: dict[str, tuple[str, str, dict[str, Any]]] = {
    "roles.role": ("iam", "DetachRolePolicy", {"RoleName": "{name}", "PolicyArn": READ_ONLY}),
    "roles.tagged": ("iam", "UntagRole", {"RoleName": "{name}", "TagKeys": ["team"]}),
    "policies.policy": (
        "iam",
        "CreatePolicyVersion",
        {"PolicyArn": "{arn}", "PolicyDocument": DENY, "SetAsDefault": True},
    ),
    "instanceProfiles.profile": (
        "iam",
        "RemoveRoleFromInstanceProfile",
        {"InstanceProfileName": "{name}", "RoleName": "role"},
    ),
    "securityGroups.group": (
        "ec2",
        "AuthorizeSecurityGroupIngress",
        {
            "GroupId": "{id}",
            "IpPermissions": [
                {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
            ],
        },
    ),
    "keyPairs.key": ("ec2", "DeleteTags", {"Resources": ["{id}"], "Tags": [{"Key": "team"}]}),
    "launchTemplates.template": (
        "ec2",
        "ModifyLaunchTemplate",
        {"LaunchTemplateId": "{id}", "DefaultVersion": "2"},
    ),
    "placementGroups.close": ("ec2", "CreateTags", {"Resources": ["{id}"], "Tags": [{"Key": "team", "Value": "x"}]}),
    "repositories.repository": (
        "ecr",
        "PutImageTagMutability",
        {"repositoryName": "{name}", "imageTagMutability": "MUTABLE"},
    ),
    "secrets.secret": ("secretsmanager", "UpdateSecret", {"SecretId": "{arn}", "Description": "by hand"}),
    "topics.topic": (
        "sns",
        "SetTopicAttributes",
        {"TopicArn": "{arn}", "AttributeName": "DisplayName", "AttributeValue": "X"},
    ),
    'logGroups["/log"]': ("logs", "PutRetentionPolicy", {"logGroupName": "{name}", "retentionInDays": 14}),
    "eventRules.rule": ("events", "DisableRule", {"Name": "{name}"}),
    "computeEnvironments.ce": (
        "batch",
        "UpdateComputeEnvironment",
        {"computeEnvironment": "{name}", "computeResources": {"maxvCpus": 32}},
    ),
    "jobQueues.queue": ("batch", "UpdateJobQueue", {"jobQueue": "{arn}", "priority": 9}),
    "jobDefinitions.job": (
        "batch",
        "RegisterJobDefinition",
        {"jobDefinitionName": "{name}", "type": "container", "containerProperties": {**JOB, "image": "busybox"}},
    ),
    "schedulingPolicies.fair": (
        "batch",
        "UpdateSchedulingPolicy",
        {"arn": "{arn}", "fairsharePolicy": {"shareDecaySeconds": 90}},
    ),
    "consumableResources.tokens": (
        "batch",
        "UpdateConsumableResource",
        {"consumableResource": "{name}", "operation": "SET", "quantity": 5},
    ),
    "serviceEnvironments.train": (
        "batch",
        "UpdateServiceEnvironment",
        {"serviceEnvironment": "{name}", "capacityLimits": [{"capacityUnit": "NUM_INSTANCES", "maxCapacity": 9}]},
    ),
    'quotaShares["train/team"]': (
        "batch",
        "UpdateQuotaShare",
        {"quotaShareArn": "{arn}", "capacityLimits": [{"capacityUnit": "NUM_INSTANCES", "maxCapacity": 2}]},
    ),
    "schedules.nightly": (
        "scheduler",
        "UpdateSchedule",
        {
            "Name": "{name}",
            "GroupName": "test",
            "ScheduleExpression": "rate(2 days)",
            "FlexibleTimeWindow": {"Mode": "OFF"},
            "Target": {
                "Arn": "arn:aws:scheduler:::aws-sdk:batch:submitJob",
                "RoleArn": f"arn:aws:iam::{ACCOUNT}:role/caller",
                "Input": json.dumps(
                    {
                        "JobName": "nightly",
                        "JobQueue": f"arn:aws:batch:eu-west-1:{ACCOUNT}:job-queue/queue",
                        "JobDefinition": f"arn:aws:batch:eu-west-1:{ACCOUNT}:job-definition/job",
                    }
                ),
            },
        },
    ),
}

UNTRIED = ("scheduleGroups", "serviceLinkedRoles")  # nothing of them can be changed by hand but tags and a description


def filled(value: Any, attrs: Any) -> Any:
    if isinstance(value, dict):
        return {key: filled(item, attrs) for key, item in value.items()}
    if isinstance(value, list):
        return [filled(item, attrs) for item in value]
    return attrs[value[1:-1]] if isinstance(value, str) and value[:1] == "{" and value[1:-1] in attrs else value


@dataclass
class Estate:
    """One of every kind, an hour after it was applied."""

    sandbox: Any
    history: History
    env: Environment
    subnet: str
    vpc: str
    lives: dict[str, Live]

    def change(self, address: str, client: Callable[[str], Any]) -> None:
        """What is done by hand to a resource, by a client of the given service."""
        service, operation, params = BY_HAND[address]
        getattr(client(service), botocore.xform_name(operation))(**filled(params, self.lives[address].attrs))

    def console(self, service: str) -> Any:
        """A client like the console's: another user agent."""
        return self.sandbox.session.client(service, config=Config(user_agent=CONSOLE))

    def plan(self, *addresses: str) -> Plan:
        """The plan of the environment, or what it says about some resources."""
        plan = self.history.plan(self.env).plan
        some = tuple(one for one in plan.resources if not addresses or str(one.address) in addresses)
        return replace(plan, resources=some)

    def ask(self, plan: Plan | None = None, **options: Any) -> Report:
        """Who made the changes; time passes as it waits."""
        now = self.sandbox.clock.now()
        pace = Pace(Ticking(self.sandbox))
        return find_callers(plan or self.plan(), discover(), self.history.aws, pace, now=now, **options)

    def asked(self) -> list[tuple[str, dict[str, Any]]]:
        """Region and parameters of the look-ups, refused ones too."""
        return [(call.region, dict(call.params)) for call in self.sandbox.calls if call.operation == "LookupEvents"]


@pytest.fixture
def estate(sandbox: Any) -> Estate:
    history = History(sandbox)
    network = sandbox.client("ec2").describe_subnets()["Subnets"][0]
    found = network["SubnetId"], network["VpcId"]
    env = history.environment(stack(*found))
    history.converge(env)
    sandbox.advance(3600)
    resources = history.plan(env).plan.resources
    return Estate(sandbox, history, env, *found, {str(one.address): one.kept_object for one in resources})


def only(report: Report) -> ChangedBy:
    """The only resource of a report was changed by this."""
    (found,) = report.changed_by.values()
    assert found is not None, report.reasons
    return found


def test_every_kind_is_found_by_what_was_done_to_it(estate: Estate) -> None:
    """By hand, in a console; then by ourselves, as another declaration of the same environment."""
    other = {"LaunchTemplateName": "template", "LaunchTemplateData": {"InstanceType": "m5.xlarge"}}
    estate.sandbox.client("ec2").create_launch_template_version(**other)
    for address in BY_HAND:
        estate.change(address, estate.console)
    estate.console("logs").delete_log_group(logGroupName="/gone")
    done = datetime.fromtimestamp(int(estate.sandbox.clock.now()), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    estate.sandbox.advance(1000)
    plan = estate.plan()
    estate.sandbox.calls.clear()
    began = estate.sandbox.clock.now()
    report = estate.ask(plan, most=100)

    expected = {address: (operation, done, "root user", "console") for address, (_, operation, _) in BY_HAND.items()}
    expected['logGroups["/gone"]'] = ("DeleteLogGroup", done, "root user", "console")
    found = {str(address): one for address, one in report.changed_by.items() if one}
    assert expected == {address: (one.event, one.at, one.who, one.via) for address, one in found.items()}
    assert not report.reasons and not report.warnings
    covered = {str(address).partition(".")[0].partition("[")[0] for address in found}
    assert {section for section, kind in discover().items() if kind.recorded} == covered | {*UNTRIED}
    assert {*discover()} == covered | {*UNTRIED}

    asked = estate.asked()
    names = {one["LookupAttributes"][0]["AttributeValue"] for _, one in asked if "ResourceName" in str(one)}
    assert {"role", "tagged", "profile"} < names
    assert {region for region, one in asked if names & {str(one["LookupAttributes"][0]["AttributeValue"])}} == {
        "us-east-1",
        "eu-west-1",
    }
    assert len(asked) == len({(region, str(one)) for region, one in asked}) < 30
    assert estate.sandbox.clock.now() - began >= len([1 for region, _ in asked if region == "eu-west-1"]) / 2 - 1

    limited = estate.ask(plan, most=3)
    assert {*limited.reasons.values()} == {"unknown: the limit of 3 look-ups was reached"}
    assert any(limited.changed_by.values())

    first = estate.env
    changed = stack(estate.subnet, estate.vpc)
    changed["jobQueues"]["queue"]["priority"] = 5
    changed["computeEnvironments"]["ce"]["computeResources"]["maxvCpus"] = 64
    changed["roles"]["tagged"]["tags"] = {"team": "other"}
    estate.history.converge(estate.history.environment(changed))
    estate.sandbox.advance(1000)
    estate.env = first
    ours = {str(address): one for address, one in estate.ask().changed_by.items()}
    assert {*ours} == {"jobQueues.queue", "computeEnvironments.ce", "roles.tagged"}
    assert {one.via for one in ours.values() if one} == {"ourselves"}
    assert ours["roles.tagged"] and ours["roles.tagged"].event == "TagRole"


def test_only_what_made_the_change_counts(estate: Estate) -> None:
    """Another's later call about the same resource did not make it, nor did one that was refused, nor AWS Batch."""
    queue, batch = "jobQueues.queue", estate.sandbox.client("batch")
    made = estate.sandbox.client("iam").create_user(UserName="ann")["User"]
    everything = "arn:aws:iam::aws:policy/AdministratorAccess"
    estate.sandbox.client("iam").attach_user_policy(UserName="ann", PolicyArn=everything)
    key = estate.sandbox.client("iam").create_access_key(UserName=made["UserName"])["AccessKey"]
    session = boto3.Session(key["AccessKeyId"], key["SecretAccessKey"], region_name="eu-west-1")
    estate.sandbox.attach(session)
    agent = Config(user_agent="aws-cli/2.15.0 Python/3.11")
    estate.change(queue, lambda service: session.client(service, config=agent))
    estate.sandbox.advance(60)
    batch.update_job_queue(jobQueue="queue", state="ENABLED")
    batch.update_job_queue(jobQueue="train", priority=1)
    with pytest.raises(ClientError):
        batch.update_job_queue(jobQueue="queue", priority=-5)
    by_batch = {"type": "AWSService", "invokedBy": "batch.amazonaws.com"}
    trail = estate.sandbox.account.trail
    asked = {"jobQueue": "queue", "priority": 9}
    trail.record_service("batch.amazonaws.com", "batch", "UpdateJobQueue", "eu-west-1", asked, by_batch)
    early = estate.ask(estate.plan(queue))
    soon = estate.ask(estate.plan(queue), windows=window(after=estate.sandbox.clock.now() - 300))
    estate.sandbox.advance(600)
    plan, now = estate.plan(queue), estate.sandbox.clock.now()
    found = only(estate.ask(plan))
    estate.sandbox.calls.clear()
    in_window = only(estate.ask(plan, windows=window(after=now - 1000)))
    ((_, params),) = estate.asked()

    assert (found.event, found.who, found.via) == ("UpdateJobQueue", "user ann", "cli")
    assert in_window == found and "StartTime" in params
    assert [*early.reasons.values()] == [looking.NO_EVENT]
    assert [*soon.reasons.values()] == ["not yet in CloudTrail: the change is less than 15 minutes old"]
    long_ago = estate.ask(plan, windows=window(before=now - 91 * 86400))
    assert [*long_ago.reasons.values()] == ["older than the 90 days that CloudTrail keeps"]
    missed = estate.ask(plan, windows=window(before=now - 3000))
    assert [*missed.reasons.values()] == ["older than the 90 days that CloudTrail keeps"]
    nobody = estate.ask(plan, windows=window(after=now - 86400, before=now - 3000))
    assert [*nobody.reasons.values()] == ["unknown: CloudTrail has no such call"]
    assert not (early.warnings or soon.warnings or long_ago.warnings)


def test_who_made_it_as_declared_did_not_change_it(estate: Estate) -> None:
    """While the call that did is not in the history yet, the one before is not blamed: it set what is declared."""
    logs, iam = estate.console("logs"), estate.console("iam")
    iam.tag_role(RoleName="tagged", Tags=[{"Key": "team", "Value": "hpc"}, {"Key": "more", "Value": "x"}])
    iam.untag_role(RoleName="tagged", TagKeys=["more"])
    estate.sandbox.advance(3600)
    logs.put_retention_policy(logGroupName="/log", retentionInDays=60)
    iam.tag_role(RoleName="tagged", Tags=[{"Key": "team", "Value": "other"}])
    both = ('logGroups["/log"]', "roles.tagged")
    early = estate.ask(estate.plan(*both))
    assert {str(address): why for address, why in early.reasons.items()} == dict.fromkeys(both, looking.NO_EVENT)

    estate.sandbox.advance(1000)
    found = estate.ask(estate.plan(*both)).changed_by.values()
    assert [one and (one.event, one.via) for one in found] == [
        ("PutRetentionPolicy", "console"),
        ("TagRole", "console"),
    ]


def test_every_call_is_named_that_explains_a_difference(estate: Estate) -> None:
    """What grants everything comes before a tag, also where the tag is newer; what changed nothing is not named."""
    role, ann = "roles.role", {"RoleName": "role", "PolicyName": "in"}
    console, script = estate.console("iam"), estate.sandbox.client("iam")
    script.put_role_policy(**ann, PolicyDocument=json.dumps(ALLOW))  # followed by another
    console.put_role_policy(**ann, PolicyDocument=DENY)
    console.tag_role(RoleName="role", Tags=[{"Key": "owner", "Value": "ann"}])
    estate.change(role, estate.sandbox.client)
    script.tag_role(RoleName="role", Tags=[{"Key": "cost", "Value": "1"}])
    script.untag_role(RoleName="role", TagKeys=["cost"])
    estate.change("jobQueues.queue", estate.console)
    estate.sandbox.client("batch").tag_resource(
        resourceArn=estate.lives["jobQueues.queue"].attrs["arn"], tags={"x": "y"}
    )
    estate.sandbox.advance(1000)
    plan = estate.plan(role, "jobQueues.queue")
    estate.sandbox.calls.clear()

    report = estate.ask(plan)
    named = {str(address): one and (one.event, one.via) for address, one in report.changed_by.items()}
    assert named == {role: ("PutRolePolicy", "console"), "jobQueues.queue": ("UpdateJobQueue", "console")}
    also = {str(address): [(one.event, one.via) for one in more] for address, more in report.also.items()}
    assert also == {
        role: [("DetachRolePolicy", "sdk"), ("TagRole", "console")],
        "jobQueues.queue": [("TagResource", "sdk")],
    }
    assert len(estate.asked()) <= 4, [one for _, one in estate.asked()]


def window(**times: float) -> dict[Address, Window]:
    return {Address("jobQueues", "queue"): Window(**times)}


def test_a_refused_look_up_is_a_warning_and_a_throttled_one_is_repeated(estate: Estate) -> None:
    queue, role = "jobQueues.queue", "roles.role"
    for address in (queue, role):
        estate.change(address, estate.console)
    estate.sandbox.advance(1000)
    plan, faults = estate.plan(queue, role), estate.sandbox.faults
    estate.sandbox.calls.clear()

    faults.add(service="cloudtrail", deny=True, times=0)
    report = estate.ask(plan)
    (warning,) = report.warnings
    assert (warning.code, warning.severity) == ("event-history", "warning")
    assert "cloudtrail:LookupEvents" in warning.message and "cloudtrail:LookupEvents" in warning.hint
    assert {*report.changed_by.values()} == {None}
    assert {*report.reasons.values()} == {"unknown: CloudTrail cannot be read"}
    assert len(estate.asked()) == 1

    faults.clear()
    faults.add(service="cloudtrail", throttle=True, times=2)
    began = estate.sandbox.clock.now()
    report = estate.ask(plan)
    assert all(report.changed_by.values()) and not report.warnings
    assert estate.sandbox.clock.now() - began >= 3

    faults.clear()
    faults.add(service="cloudtrail", throttle=True, times=0)
    estate.sandbox.calls.clear()
    report = estate.ask(plan)
    assert {one.code for one in report.warnings} == {"event-history"} and len(report.warnings) == 2
    assert len(estate.asked()) == 8


class Still:
    """A clock that notes for how long it would sleep."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def now(self) -> float:
        return 100.0

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


class Endless:
    """An account in which others do the same all the time: every page is full of it, and has a next one."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.region = "cn-northwest-1"

    def in_region(self, region: str) -> Endless:
        other = Endless()
        other.asked, other.region = self.asked, region
        return other

    def call(self, call: Call) -> dict[str, Any]:
        self.asked.append((self.region, dict(call.params)))
        of = call.params["LookupAttributes"][0]["AttributeValue"]
        service = "iam" if "Role" in of else "batch"
        event = {"eventName": of, "eventSource": f"{service}.amazonaws.com", "eventTime": "2026-01-31T12:00:00Z"}
        event |= {"requestParameters": {"roleName": "other", "jobQueue": "other"}}
        return {"Events": [{"CloudTrailEvent": json.dumps(event)}] * 50, "NextToken": f"page {len(self.asked)}"}


def test_a_busy_account_costs_few_look_ups() -> None:
    """Pages are read one after the other, at most four of a look-up, and at most as many as the limit for all."""
    scope = Scope(account=ACCOUNT, region="cn-northwest-1", partition="aws-cn", environment="test")
    addresses = [Address("roles", "role"), Address("roles", "role2"), Address("jobQueues", "queue")]
    deleted = [
        ResourcePlan(address=one, verb=Verb.CREATE, physical=one.name, before=None, after={}) for one in addresses
    ]
    plan, clock = Plan(scope=scope, resources=tuple(deleted)), Still()
    client = Endless()
    report = find_callers(plan, discover(), client, Pace(clock), now=1769862000.0)

    assert [*report.reasons.values()] == ["unknown: CloudTrail has more such calls than are read"] * 3
    regions = [region for region, _ in client.asked]
    assert (regions.count("cn-north-1"), regions.count("cn-northwest-1")) == (12, 4)
    assert [params.get("NextToken") for region, params in client.asked if region == "cn-northwest-1"] == [
        None,
        "page 13",
        "page 14",
        "page 15",
    ]
    assert clock.slept[:3] == [0.5, 1.0, 1.5]

    client = Endless()
    report = find_callers(plan, discover(), client, Pace(Still()), now=1769862000.0, most=6)
    assert len(client.asked) == 6
    assert {*report.reasons.values()} == {"unknown: the limit of 6 look-ups was reached"}


def test_two_look_ups_a_second_whoever_makes_them() -> None:
    clock = Still()
    pace = Pace(clock)
    for region in ("eu-west-1", "eu-west-1", "us-east-1", "eu-west-1"):
        pace.wait(ACCOUNT, region)
    pace.wait("210987654321", "eu-west-1")

    assert clock.slept == [0.5, 1.0]


def role(name: str, session: str, **context: Any) -> dict[str, Any]:
    issuer = {"type": "Role", "arn": f"arn:aws:iam::{ACCOUNT}:role/{name}", "userName": name}
    arn = f"arn:aws:sts::{ACCOUNT}:assumed-role/{name}/{session}"
    return {"type": "AssumedRole", "arn": arn, "sessionContext": {"sessionIssuer": issuer, **context}}


OIDC = {"federatedProvider": f"arn:aws:iam::{ACCOUNT}:oidc-provider/token.actions.githubusercontent.com"}
OURS = f"Boto3/1.44.8 md/Botocore#1.44.8 lang/python#3.11 Botocore/1.44.8 batch-reconcile/{__version__}"
CLOUDFORMATION = "cloudformation.amazonaws.com"
CALLERS: list[tuple[dict[str, Any], str, str, str, str]] = [
    ({"type": "Root"}, "1.2.3.4", CONSOLE, "root user", "console"),
    ({"type": "IAMUser", "userName": "ann"}, "1.2.3.4", "[aws-cli/2.15.0 Python/3.11]", "user ann", "cli"),
    (role("ops", "bob"), "1.2.3.4", "aws-sdk-go/1.44.260 (go1.20.8)", "role ops, session bob", "sdk"),
    (role("ops", "bob"), "1.2.3.4", "console.amazonaws.com", "role ops, session bob", "console"),
    (role("ops", "bob"), "1.2.3.4", "", "role ops, session bob", ""),
    (role("ci", "reconcile"), "1.2.3.4", OURS, "role ci, session reconcile", "ourselves"),
    (role("ci", "x"), "1.2.3.4", f"{OURS} curl/8", "role ci, session x", "sdk"),
    (
        role("AWSReservedSSO_PowerUser_0123456789abcdef", "ann@example.org"),
        "1.2.3.4",
        "APN/1.0 HashiCorp/1.0 Terraform/1.11.0 (+https://www.terraform.io) terraform-provider-aws/5.100.0",
        "ann@example.org (Identity Center, PowerUser)",
        "terraform",
    ),
    (
        role("ci", "GitHubActions", webIdFederationData=OIDC),
        "1.2.3.4",
        "aws-cli/2.15.0",
        "role ci, session GitHubActions (CI by OIDC, token.actions.githubusercontent.com)",
        "cli",
    ),
    (
        {**role("cdk", "deploy"), "invokedBy": CLOUDFORMATION},
        CLOUDFORMATION,
        CLOUDFORMATION,
        "CloudFormation, on behalf of role cdk, session deploy",
        "cloudformation",
    ),
    (
        {**role("fix", "auto"), "invokedBy": "ssm.amazonaws.com"},
        "ssm.amazonaws.com",
        "ssm.amazonaws.com",
        "ssm.amazonaws.com, on behalf of role fix, session auto",
        "service",
    ),
    (
        {"type": "AWSService", "invokedBy": "config.amazonaws.com"},
        "config.amazonaws.com",
        "config.amazonaws.com",
        "AWS service config.amazonaws.com",
        "service",
    ),
    ({"type": "SAMLUser", "principalId": "x:ann"}, "1.2.3.4", "x", "x:ann", ""),
    ({}, "1.2.3.4", "x", "unknown", ""),
]


@pytest.mark.parametrize(("identity", "source", "agent", "by", "via"), CALLERS)
def test_who_it_was_and_with_what(identity: dict[str, Any], source: str, agent: str, by: str, via: str) -> None:
    secret = {"jobQueue": "q", "password": "hush"}
    event = {
        "eventName": "UpdateJobQueue",
        "eventSource": "batch.amazonaws.com",
        "eventTime": "2026-01-31T12:00:00Z",
        "userIdentity": identity,
        "sourceIPAddress": source,
        "userAgent": agent,
        "requestParameters": secret,
    }
    found = parsed({"CloudTrailEvent": json.dumps(event)})
    assert found is not None

    assert changed_by(found).to_json() == {
        "event": "UpdateJobQueue",
        "at": "2026-01-31T12:00:00Z",
        "who": by,
        "via": via,
    }
    assert "hush" not in repr(found)
    assert not by_batch(found)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"eventName": "x"}', '{"eventTime": "yesterday"}'])
def test_what_is_no_event_is_passed_over(text: str) -> None:
    assert parsed({"CloudTrailEvent": text}) is None
    assert parsed({}) is None
