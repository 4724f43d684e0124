"""`drift --accept`: what people changed is written into the YAML, and nothing else in it moves."""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from typing import Any

import boto3
import pytest

from reconciler.sandbox.server import Sandbox
from tests.support.shell import Shell

BASE = """\
topics:
  shared: {attributes: {DisplayName: "from the base"}}
"""
SETTINGS = """\
environment: lab
region: eu-west-1
extends: ../base.yaml
variables: {days: 30}
tags: {team: hpc}
defaults:
  repositories: {imageTagMutability: MUTABLE}
alerts: {topic: alarms, on: [job-failed], queues: ["arn:aws:batch:eu-west-1:123456789012:job-queue/x"]}
"""
RESOURCES = """\
# what this environment has
logGroups:
  /lab/plain:   # a group
    retentionInDays: 30   # a month
    tags: {a: one, "b": 'two'}   # of ours
  /lab/variable: {retentionInDays: "${var.days}"}
  /lab/anchor: &same
    retentionInDays: 30
  /lab/alias: *same
  /lab/merged:
    <<: *same
    tags: {a: one}
  /lab/tagged: {}
repositories:
  lab: {}
schedulingPolicies:
  fair:
    fairsharePolicy:
      shareDecaySeconds: 600   # ten minutes
      # who counts for what
      shareDistribution:
        - {shareIdentifier: A, weightFactor: 1}   # everybody
        # the others
        - {shareIdentifier: "B*", weightFactor: 0.5}

roles:
  job:
    description: 'it''s for jobs'
    trust: [ecs-tasks.amazonaws.com]
    managedPolicies:
      - service-role/AmazonECSTaskExecutionRolePolicy
    inlinePolicies:
      logs:
        Version: "2012-10-17"
        Statement:
          - {Effect: Allow, Action: "logs:PutLogEvents", Resource: "*"}
topics:
  alarms:
    attributes: {DisplayName: Alarms}
  texts:
    policy: |   # as the console shows it
      {"Version": "2012-10-17",
       "Statement": [{"Sid": "one", "Effect": "Allow", "Principal": {"AWS": "${account}"},
                      "Action": "sns:Publish",
                      "Resource": "arn:aws:sns:eu-west-1:${account}:texts"}]}
secrets:
  lab/db: {value: "${env:DB_PASSWORD}", description: of the database}
jobDefinitions:
  work:
    type: container
    containerProperties:
      image: busybox
      command: [echo, "one two"]
      resourceRequirements:
        - {type: VCPU, value: "1"}
        - {type: MEMORY, value: "512"}
      environment:
        - {name: MODE, value: slow}   # or fast
        - {name: LEVEL, value: "3"}
    retryStrategy: {attempts: 3}
"""
PASSWORD = "nightingale-in-may"


def client(service: str) -> Any:
    return boto3.client(service, region_name="eu-west-1")  # type: ignore[call-overload]


@pytest.fixture
def lab(shell: Shell, served: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DB_PASSWORD", PASSWORD)
    shell.secrets.add(PASSWORD)
    place = shell.home / "environments" / "lab"
    place.mkdir(parents=True)
    (place.parent / "base.yaml").write_text(BASE)
    (place / "environment.yaml").write_text(SETTINGS)
    (place / "resources.yaml").write_text(RESOURCES)
    (place / "resources.yaml").chmod(0o640)
    shell.ok("apply", "lab", "--auto-approve")
    return place / "resources.yaml"


def changed_by_hand() -> None:
    logs, iam, batch = client("logs"), client("iam"), client("batch")
    for name in ("plain", "variable", "anchor", "merged"):
        logs.put_retention_policy(logGroupName=f"/lab/{name}", retentionInDays=7)
    arn = next(one["arn"] for one in logs.describe_log_groups()["logGroups"] if one["logGroupName"] == "/lab/plain")
    logs.tag_resource(resourceArn=arn.removesuffix(":*"), tags={"b": "its: two", "owner": "yes"})
    logs.untag_resource(resourceArn=arn.removesuffix(":*"), tagKeys=["a"])
    logs.tag_resource(resourceArn=arn.removesuffix("plain:*") + "tagged", tags={"team": "other"})
    client("ecr").put_image_tag_mutability(repositoryName="lab", imageTagMutability="IMMUTABLE")
    (policy,) = batch.list_scheduling_policies()["schedulingPolicies"]
    shares = [{"shareIdentifier": "A", "weightFactor": 1.0}, {"shareIdentifier": "C", "weightFactor": 2.0}]
    fair = {"shareDecaySeconds": 900, "computeReservation": 5, "shareDistribution": shares}
    batch.update_scheduling_policy(arn=policy["arn"], fairsharePolicy=fair)
    iam.update_role(RoleName="job", Description="now it's more", MaxSessionDuration=7200)
    iam.attach_role_policy(RoleName="job", PolicyArn="arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess")
    allow = {"Effect": "Allow", "Action": ["logs:PutLogEvents", "logs:CreateLogStream"], "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    iam.put_role_policy(RoleName="job", PolicyName="logs", PolicyDocument=document)
    topic = "arn:aws:sns:eu-west-1:123456789012:"
    actions, who = ["sns:Publish", "sns:Subscribe"], {"AWS": "arn:aws:iam::123456789012:root"}
    say = {"Sid": "one", "Effect": "Allow", "Principal": who, "Action": actions, "Resource": topic + "texts"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [say]})
    client("sns").set_topic_attributes(TopicArn=topic + "texts", AttributeName="Policy", AttributeValue=policy)
    for name in ("alarms", "shared"):
        client("sns").set_topic_attributes(TopicArn=topic + name, AttributeName="DisplayName", AttributeValue="true")
    client("events").disable_rule(Name="lab-job-failed-to-alarms")
    client("secretsmanager").put_secret_value(SecretId="lab/db", SecretString="cuckoo-in-march-22")
    container = {
        "image": "busybox:1.36",
        "command": ["echo", "one two", "three"],
        "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "1024"}],
        "environment": [{"name": "MODE", "value": "fast"}, {"name": "EXTRA", "value": "a\nb"}],
    }
    batch.register_job_definition(
        jobDefinitionName="work",
        type="container",
        containerProperties=container,
        retryStrategy={"attempts": 5},
        tags={"reconciler/environment": "lab", "team": "hpc"},
    )


REFUSED = {
    "eventRules.lab-job-failed-to-alarms": "no file declares the resource",
    "jobDefinitions.gone": "there is no resource",
    'logGroups["/lab/anchor"]': "an anchor shares this value",
    'logGroups["/lab/merged"]': "the value is inherited",
    'logGroups["/lab/tagged"]': "environments/lab/environment.yaml:5:8",  # the environment's tags
    'logGroups["/lab/variable"]': "the value comes from an expression",
    "repositories.lab": "environments/lab/environment.yaml:7:18",  # the defaults
    'secrets["lab/db"]': "secrets are never written",
    "topics.shared": "the resource is declared in a base",
}
ACCEPTED = (
    "jobDefinitions.work",
    'logGroups["/lab/plain"]',
    "roles.job",
    "schedulingPolicies.fair",
    "topics.alarms",
    "topics.texts",
)
# what the files say afterwards, line by line; everything else is as it was
LINES = """\
-    retentionInDays: 30   # a month
-    tags: {a: one, "b": 'two'}   # of ours
+    retentionInDays: 7   # a month
+    tags: {"b": 'its: two', owner: "yes"}   # of ours
-      shareDecaySeconds: 600   # ten minutes
+      shareDecaySeconds: 900   # ten minutes
-        - {shareIdentifier: "B*", weightFactor: 0.5}
+        - {shareIdentifier: "C", weightFactor: 2.0}
+      computeReservation: 5
-    description: 'it''s for jobs'
+    description: 'now it''s more'
+      - "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"
-          - {Effect: Allow, Action: "logs:PutLogEvents", Resource: "*"}
+          - {Effect: Allow, Action: ["logs:PutLogEvents", "logs:CreateLogStream"], Resource: "*"}
+    maxSessionDuration: 7200
-    attributes: {DisplayName: Alarms}
+    attributes: {DisplayName: "true"}
-                      "Action": "sns:Publish",
+                      "Action": ["sns:Publish", "sns:Subscribe"],
-      image: busybox
-      command: [echo, "one two"]
+      image: "busybox:1.36"
+      command: [echo, "one two", three]
-        - {type: MEMORY, value: "512"}
+        - {type: MEMORY, value: "1024"}
-        - {name: MODE, value: slow}   # or fast
-        - {name: LEVEL, value: "3"}
-    retryStrategy: {attempts: 3}
+        - {name: MODE, value: fast}   # or fast
+        - {name: EXTRA, value: "a\\nb"}
+    retryStrategy: {attempts: 5}
"""


def test_live_values_become_yaml(shell: Shell, lab: Path) -> None:
    changed_by_hand()
    shell.secrets.add("cuckoo-in-march-22")
    whole = [word for address in ("topics.alarms", "topics.shared") for word in ("--accept", address)]
    refused = shell("drift", "lab", *whole)
    assert refused.code == 1 and lab.read_text() == RESOURCES, "all or nothing"
    for address, why in REFUSED.items():
        told = shell("drift", "lab", "--accept", address)
        assert told.code == 1 and why in told.err
        assert "environments/" in told.err or "gone" in address, "the place to change"
    assert lab.read_text() == RESOURCES

    told = shell.ok("drift", "lab", *[word for address in ACCEPTED for word in ("--accept", address)])

    assert 'containerProperties.image  "busybox" -> "busybox:1.36"' in told.out, "declared before, declared now"
    changed = difflib.unified_diff(RESOURCES.splitlines(), lab.read_text().splitlines(), n=0, lineterm="")
    assert "\n".join(line for line in changed if not line.startswith(("---", "+++", "@@"))) == LINES.rstrip("\n")
    assert lab.stat().st_mode & 0o777 == 0o640
    assert [path.name for path in lab.parent.iterdir() if path.name.startswith(".")] == []
    left = shell("drift", "lab", "--format", "json")
    found = {entry["address"] for entry in left.json["environments"][0]["plan"]["resource_changes"] if "drift" in entry}
    assert found == {*REFUSED} - {"jobDefinitions.gone"}, "the plan of an accepted resource is empty"
    assert shell.ok("drift", "lab", "--accept", "topics.alarms").out == "No drift: nothing to accept.\n"
    assert shell("drift", "lab", "other", "--accept", "topics.alarms").code == 1
    for more in (("--since", "x"), ("--who",), ("--format", "markdown"), ("--format", "json=x")):
        told = shell("drift", "lab", "--accept", "topics.alarms", *more)
        assert told.code == 1 and "--accept " in told.told

    client("sns").delete_topic(TopicArn="arn:aws:sns:eu-west-1:123456789012:alarms")
    gone = shell("drift", "lab", "--accept", "topics.alarms")
    assert gone.code == 1 and "the resource is not in the account" in gone.err


def test_what_cannot_be_read_is_not_accepted(shell: Shell, lab: Path) -> None:
    shell.account.faults.add(service="logs", operation="DescribeLogGroups", deny=True, times=0)
    told = shell("drift", "lab", "--accept", 'logGroups["/lab/plain"]')
    assert told.code == 1 and "allow logs:DescribeLogGroups" in told.err and "there is no resource" not in told.err
    assert lab.read_text() == RESOURCES
