"""The policies that the tool prints are enough, and no more than is used: every example, planned, built, changed, made
smaller and taken down by users who may do what the policy for that says, in an account that enforces IAM.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import boto3
import pytest

from reconciler.config import loader
from reconciler.model import Template
from reconciler.operations import pipeline
from reconciler.sandbox.iam.evaluation import Request
from tests.conftest import fresh
from tests.stories.test_examples import ENVIRONMENTS, EVERY
from tests.support.examples import SECRETS, Account
from tests.support.permitted import ACCOUNT, REGION, Permitted, actions_of, needed, wanted, without

HERE = ("--account", ACCOUNT, "--region", REGION)
OFTEN = ("fargate-spot",)
EXAMPLES = [name if name in OFTEN else pytest.param(name, marks=pytest.mark.long) for name in EVERY]

# Needed, though not by any of these runs, and why.
SELDOM = {
    "batch:DescribeJobs": "names the jobs that keep an environment from being deleted",
    "batch:ListJobs": "of queues that stay, where revisions of job definitions go",
    "batch:ListQuotaShares": "of queues that have quota shares",
    "ec2:DeleteLaunchTemplateVersions": "of templates with more versions than are kept",
    "ecs:DescribeClusters": "waits for the jobs on an environment that is replaced",
    "events:DescribeRule": "of a rule that is alone on its bus, or after the first page",
    "events:ListRuleNamesByTarget": "in an account with more rules than are read one by one",
    "iam:GetRole": "of roles after the first thousand",
    "iam:GetRolePolicy": "of roles with inline policies",
    "iam:ListAttachedRolePolicies": "of a role that is written to when no other is left to write to",
    "iam:ListInstanceProfilesForRole": "of a role that is written to when no other is left to write to",
    "iam:ListRolePolicies": "of a role that is written to when no other is left to write to",
    "iam:ListPolicies": "of policies in a path that their names do not say",
    "logs:DisassociateKmsKey": "takes away a key that somebody set by hand",
    "secretsmanager:ListSecretVersionIds": "of secrets whose value changes",
    "secretsmanager:RestoreSecret": "brings back a secret that is scheduled for deletion",
    "secretsmanager:UpdateSecretVersionStage": "makes a former value current again",
    "sns:GetSubscriptionAttributes": "of subscriptions that are confirmed",
    "sns:SetSubscriptionAttributes": "of subscriptions that are confirmed",
    "sns:Unsubscribe": "of subscriptions that are confirmed",
}
OWN = "aws:ResourceTag/reconciler/environment"
ELSEWHERE = {
    ("events:ListTargetsByRule", (OWN,)): "of rules that are owned and no longer declared",
    ("iam:DeleteRolePolicy", (OWN,)): "of roles with inline policies that are no longer declared",
    **{
        (f"batch:Describe{one}", ()): "of those that are owned and no longer declared, also without --also"
        for one in ("ComputeEnvironments", "JobDefinitions")
    },
    ("batch:UpdateSchedulingPolicy", ()): "of fair-share policies; those of quota shares have no choice",
    ("iam:DeletePolicyVersion", ()): "of policies with several versions",
    **{
        (f"iam:{one}", (OWN,)): "of policies that are deleted, and have another default version than planned"
        for one in ("ListPolicyVersions", "GetPolicyVersion")
    },
    **{
        (f"events:{one}", ()): "finds who uses roles that EventBridge may assume, or job definitions"
        for one in ("ListEventBuses", "ListRules", "ListTargetsByRule")
    },
}
# A profile that was deleted before its role has no tag by which it could be known; the run goes on.
GONE = "iam:RemoveRoleFromInstanceProfile AccessDenied"
# Refused, they fail no run: something else is read instead, or what may be in use is kept.
DONE_WITHOUT = {"iam:ListRoles": "each role is read by its name"}

# What is changed of each resource of a section, twice, so that most of what `update` can call is called; then all of it
# is taken back.
ALLOW = {"Effect": "Allow", "Resource": "*"}
PULL = {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::123456789012:root"}, "Action": "ecr:BatchGetImage"}
ONE, OTHER = (
    {"Version": "2012-10-17", "Statement": [{**ALLOW, "Action": f"s3:Get{x}"}]} for x in ("Object", "ObjectAcl")
)
RULES = [
    [{"protocol": "tcp", "fromPort": port, "toPort": port, "ipRanges": [{"cidrIp": "10.0.0.0/8", "description": text}]}]
    for port, text in ((4711, "one"), (4711, "other"))
]
EXPIRY = {"rulePriority": 1, "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 7}}
QUEUE = "arn:aws:sqs:eu-west-1:123456789012:queue"
CHANGES: dict[str, tuple[Any, ...]] = {
    "computeEnvironments": ({"computeResources": {"maxvCpus": 9}}, {"computeResources": {"maxvCpus": 10}}),
    "jobQueues": ({"priority": 77}, {"priority": 78}),
    "jobDefinitions": ({"timeout": {"attemptDurationSeconds": 777}}, {"timeout": {"attemptDurationSeconds": 778}}),
    "roles": (
        {"description": "changed", "maxSessionDuration": 7200, "inlinePolicies": {"more": ONE}},
        {"permissionsBoundary": "arn:aws:iam::aws:policy/AdministratorAccess"},
    ),
    "policies": ({"policyDocument": ONE}, {"policyDocument": OTHER}),
    "logGroups": ({"retentionInDays": 3, "deletionProtectionEnabled": True}, {"retentionInDays": None}),
    "eventRules": ({"description": "changed"}, {"description": "again"}),
    "schedules": ({"description": "changed"}, {"description": "again"}),
    "secrets": ({"description": "changed", "value": "one"}, {"description": "again", "value": "two"}),
    "topics": (
        {
            "attributes": {"DisplayName": "changed"},
            "subscriptions": [{"protocol": "email", "endpoint": "a@example.com"}],
        },
        {"attributes": {"DisplayName": "again"}},
    ),
    "consumableResources": ({"totalQuantity": 7}, {"totalQuantity": 8}),
    "securityGroups": tuple({"ingress": some, "egress": some} for some in RULES),
    "repositories": (
        {"imageTagMutability": "MUTABLE", "imageScanningConfiguration": {"scanOnPush": False}, "lifecyclePolicy": None},
        {
            "imageTagMutability": "IMMUTABLE",
            "imageScanningConfiguration": {"scanOnPush": True},
            "lifecyclePolicy": {"rules": [{**EXPIRY, "action": {"type": "expire"}}]},
            "repositoryPolicy": {"Version": "2012-10-17", "Statement": [PULL]},
        },
    ),
    "schedulingPolicies": tuple({"fairsharePolicy": {"computeReservation": some}} for some in (7, 8)),
    "serviceEnvironments": ({"state": "DISABLED"}, {"state": "ENABLED"}),
    "quotaShares": ({"state": "DISABLED"}, {"state": "ENABLED"}),
    "launchTemplates": tuple({"launchTemplateData": {"ebsOptimized": some}} for some in (True, False)),
}


@pytest.fixture
def permitted(account: Account, monkeypatch: pytest.MonkeyPatch) -> Permitted:
    return Permitted(account.shell, monkeypatch)


def overlay(folder: Path, name: str, changes: dict[str, Any], **settings: Any) -> str:
    """An environment like an example, but for some changes."""
    folder.mkdir()
    document = {"environment": name, "extends": str(ENVIRONMENTS / name), **settings, **changes}
    (folder / "environment.yaml").write_text(json.dumps(document), encoding="utf-8")
    return str(folder)


def sections(name: str) -> list[str]:
    """The sections of an example."""
    env, _ = pipeline.read_environment(ENVIRONMENTS / name, SECRETS, strict=True)
    return sorted({address.section for address in env.resources})


def changed(name: str, which: int) -> dict[str, Any]:
    """The changes of every resource of an example."""
    env, _ = pipeline.read_environment(ENVIRONMENTS / name, SECRETS, strict=True)
    written = loader.load(ENVIRONMENTS / name, environ=SECRETS).sections
    found: dict[str, Any] = {}
    for address in env.resources:
        if address.name not in written.get(address.section, ()):
            continue  # one that a setting (alerts) stands for
        if address.section in CHANGES and "quotaSharePolicy" not in env.resources[address].props:
            found.setdefault(address.section, {})[address.name] = {**CHANGES[address.section][which]}
        if address.section == "roles":
            trust = plain(env.resources[address].props["assumeRolePolicyDocument"]["Statement"])
            also = {"Effect": "Allow", "Principal": {"Service": "batch.amazonaws.com"}, "Action": "sts:AssumeRole"}
            document = {"Version": "2012-10-17", "Statement": [*trust, also][: len(trust) + which]}
            found["roles"][address.name] |= {"trust": None, "assumeRolePolicyDocument": document}
    return found


def plain(value: Any) -> Any:
    """A value with its expressions as they are written."""
    if isinstance(value, Template):
        return "".join(part if isinstance(part, str) else part.text for part in value.parts)
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return {key: plain(one) for key, one in value.items()} if isinstance(value, Mapping) else value


def strangers(permitted: Permitted) -> None:
    """What others have in the account: a policy and a profile without users, a rule and a schedule that start jobs."""
    iam, events, scheduler = (boto3.client(name) for name in ("iam", "events", "scheduler"))
    iam.create_policy(PolicyName="stranger", PolicyDocument=json.dumps(ONE))
    iam.create_instance_profile(InstanceProfileName="stranger")
    trust = {"Effect": "Allow", "Principal": {"Service": "scheduler.amazonaws.com"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    role = iam.create_role(RoleName="stranger", AssumeRolePolicyDocument=document)["Role"]["Arn"]
    permitted.shell.account.clock.advance(60)  # until the role is seen everywhere
    job = {"JobName": "stranger", "JobQueue": "stranger", "JobDefinition": "stranger"}
    topic = f"arn:aws:sns:{REGION}:{ACCOUNT}:stranger"
    events.put_rule(Name="stranger", ScheduleExpression="rate(1 day)")
    events.put_targets(Rule="stranger", Targets=[{"Id": "1", "Arn": topic}])
    scheduler.create_schedule(
        Name="stranger",
        ScheduleExpression="at(2099-01-01T00:00:00)",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={"Arn": "arn:aws:scheduler:::aws-sdk:batch:submitJob", "RoleArn": role, "Input": json.dumps(job)},
    )


def done(permitted: Permitted, policies: list[dict[str, Any]], *words: str, besides: str = "") -> None:
    """Runs a command as somebody who may do that and nothing else; nothing is refused."""
    found = permitted.run(policies, *words)
    assert found.code == 0, found.told
    assert permitted.denied - {besides} == set()
    permitted.denied.clear()


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_run_of_an_example_passes_with_the_policy_for_it(
    permitted: Permitted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("RECONCILE_PREFLIGHT", "off")  # its reads are permitted with --preflight only
    changes = [overlay(tmp_path / str(n), name, changed(name, n), tags={"changed": str(n)}) for n in (0, 1)]
    rest = tmp_path / "rest.yaml"
    rest.write_text(json.dumps({"environment": name, "topics": {"rest": {}}}), encoding="utf-8")
    strangers(permitted)
    reading, again = (permitted.policies(one, "--for", "plan", *HERE, folder=tmp_path) for one in (name, changes[0]))
    writing = [permitted.policies(one, "--for", "apply", *HERE, folder=tmp_path) for one in (name, *changes)]
    also = [word for section in sections(name) for word in ("--also", section)]
    looking, deleting = (
        permitted.policies(str(rest), "--for", one, *also, *HERE, folder=tmp_path) for one in ("plan", "apply")
    )
    file = str(tmp_path / "one.plan")

    done(permitted, reading, "plan", name)
    planned = taken(permitted)
    done(permitted, writing[0], "apply", name, "--auto-approve")
    applied = taken(permitted)
    done(permitted, reading, "plan", name, "--detailed-exitcode")
    done(permitted, reading, "plan", name, "--destroy")
    with monkeypatch.context() as elsewhere:  # no clone, out of which the path of a plan file must not lead
        elsewhere.chdir(tmp_path)
        done(permitted, again, "plan", changes[0], "--out", file)
        planned += taken(permitted)
        session = permitted.policies(file, folder=tmp_path)
        done(permitted, session, "apply", file)
        alone = taken(permitted)
    done(permitted, writing[2], "apply", changes[1], "--auto-approve")
    done(permitted, writing[0], "apply", name, "--auto-approve")
    applied += alone + taken(permitted)
    done(permitted, looking, "plan", str(rest), "--allow-deletions", "1000")
    unowned = needed(looking, taken(permitted))
    done(permitted, deleting, "apply", str(rest), "--auto-approve", "--allow-deletions", "1000", besides=GONE)
    unowned |= needed(deleting, taken(permitted))
    done(permitted, deleting, "destroy", str(rest), "--auto-approve")
    taken(permitted)
    done(permitted, writing[0], "apply", name, "--auto-approve")
    done(permitted, writing[0], "destroy", name, "--auto-approve")
    applied += taken(permitted)

    for what, policies, requests in (
        ("plan", reading, planned),
        ("file", session, alone),
        ("apply", writing[0], applied),
    ):
        left = wanted(policies) - needed(policies, requests) - unowned
        assert {one for one in left if one[0] not in SELDOM and one not in ELSEWHERE} == set(), (name, what)


def taken(permitted: Permitted) -> list[Request]:
    """What IAM has decided about since the last look."""
    found, permitted.requests = [*permitted.requests.values()], {}
    return found


@pytest.mark.long
@pytest.mark.parametrize("name", EVERY)
def test_a_snapshot_has_all_with_the_policy_for_it(permitted: Permitted, tmp_path: Path, name: str) -> None:
    strangers(permitted)
    looking = permitted.policies(name, "--for", "snapshot", *HERE, folder=tmp_path)
    permitted.shell.ok("snapshot", name, "--out", str(tmp_path / "all"))
    done(permitted, looking, "snapshot", name, "--out", str(tmp_path / "permitted"))

    whole, found = (json.loads((tmp_path / one).read_text(encoding="utf-8")) for one in ("all", "permitted"))
    assert found["names"].keys() == whole["names"].keys()


@pytest.mark.parametrize("lacking", ["iam:PassRole", "batch:DeregisterJobDefinition"])
def test_without_one_action_a_run_fails_and_names_it(permitted: Permitted, tmp_path: Path, lacking: str) -> None:
    writing = permitted.policies(OFTEN[0], "--for", "apply", *HERE, folder=tmp_path)
    strangers(permitted)

    code, told = lived(permitted, without(writing, lacking), [])
    assert code not in (0, 2)
    assert f"{lacking} action" in told


@pytest.mark.long
def test_without_any_one_action_some_run_is_refused(permitted: Permitted, tmp_path: Path) -> None:
    changes = [overlay(tmp_path / str(n), OFTEN[0], changed(OFTEN[0], n), tags={"changed": str(n)}) for n in (0, 1)]
    writing = permitted.policies(changes[1], "--for", "apply", *HERE, folder=tmp_path)
    passed: set[str] = set()
    for lacking in sorted(actions_of(writing) - SELDOM.keys()):
        fresh(permitted.shell.account)
        strangers(permitted)
        permitted.denied.clear()
        code, _ = lived(permitted, without(writing, lacking), changes)
        assert permitted.denied, lacking
        passed |= {lacking} if code in (0, 2) else set()

    assert passed == DONE_WITHOUT.keys()


def lived(permitted: Permitted, policies: list[dict[str, Any]], changes: list[str]) -> tuple[int, str]:
    """How the first command ends that fails, or the last, in the life of an example."""
    found = permitted.run(policies, "plan", OFTEN[0])
    for command, env in (*(("apply", env) for env in (OFTEN[0], *changes, OFTEN[0])), ("destroy", OFTEN[0])):
        if found.code in (0, 2):
            found = permitted.run(policies, command, env, "--auto-approve")
    return found.code, found.told
