"""What an account has, listed and read without a declaration."""

from __future__ import annotations

from typing import Any

from reconciler.account.everything import Everything
from reconciler.account.reader import Reader
from reconciler.kinds import discover
from tests.support.histories import History

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHL5mLT5UQjPPCbyYPbgkkOHyoh7xEsyVMt1S9RPDWXe a"
DOCUMENT = {"Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]}
STACK: dict[str, dict[str, Any]] = {
    "roles": {"r": {"trust": ["ec2.amazonaws.com"], "path": "/hpc/", "managedPolicies": ["p"]}, "ev": {
        "trust": ["scheduler.amazonaws.com"]}, "svc": {"trust": ["batch.amazonaws.com"], "managedPolicies": ["service-role/AWSBatchServiceRole"]}},
    "policies": {"p": {"policyDocument": DOCUMENT}},
    "instanceProfiles": {"prof": {"role": "r"}, "bare": {}},
    "securityGroups": {"g": {}},
    "keyPairs": {"k": {"publicKey": KEY}},
    "launchTemplates": {"template": {"launchTemplateData": {"securityGroupIds": ["g"]}}},
    "placementGroups": {"pg": {}},
    "repositories": {"app": {}},
    "secrets": {"s/one": {}},
    "topics": {"t": {}},
    "logGroups": {"/x/l": {"retentionInDays": 7}},
    "eventRules": {"rule": {"eventPattern": {"source": ["aws.batch"]}, "targets": [{"id": "a", "arn": "t"}]}},
    "scheduleGroups": {"sg": {}},
    "schedules": {"nightly": {"groupName": "sg", "scheduleExpression": "rate(1 day)", "target": {
        "arn": "t", "roleArn": "ev"}}},
    "schedulingPolicies": {"fair": {"fairsharePolicy": {}}, "quota": {"quotaSharePolicy": {
        "idleResourceAssignmentStrategy": "FIFO"}}},
    "serviceEnvironments": {"se": {"serviceEnvironmentType": "SAGEMAKER_TRAINING", "capacityLimits": [
        {"capacityUnit": "ml.m5.large", "maxCapacity": 2}]}},
    "jobQueues": {"q": {"priority": 1, "jobQueueType": "SAGEMAKER_TRAINING", "schedulingPolicyArn": "quota",
                        "serviceEnvironmentOrder": [{"order": 1, "serviceEnvironment": "se"}]}},
    "quotaShares": {"q/a": {"capacityLimits": [{"capacityUnit": "ml.m5.large", "maxCapacity": 2}],
                            "resourceSharingConfiguration": {"strategy": "RESERVE"},
                            "preemptionConfiguration": {"inSharePreemption": "ENABLED"}}},
    "consumableResources": {"licence": {"totalQuantity": 2}},
    "computeEnvironments": {"own": {"type": "UNMANAGED", "serviceRole": "svc"}},
    "jobDefinitions": {"job": {"type": "container", "containerProperties": {"image": "a", "vcpus": 1, "memory": 64}}},
    "serviceLinkedRoles": {"batch.amazonaws.com": {}},
}  # fmt: skip


def test_all_there_is_is_found_but_what_belongs_to_aws(sandbox: Any) -> None:
    kinds, history = discover(), History(sandbox)
    assert [kind.section for kind in kinds.values() if kind.everything is None] == []
    assert STACK.keys() == kinds.keys()
    history.converge(history.environment(STACK))

    assert history.scope
    everything = Everything(Reader(history.aws, parallelism=0), kinds, history.scope)
    lives = everything.everything(kinds)
    names = {section: sorted(live.attrs["name"] for live in found) for section, found in lives.items()}
    slr = names.pop("serviceLinkedRoles")
    assert "AWSServiceRoleForBatch" in slr
    assert names == {section: sorted(named) for section, named in STACK.items() if section != "serviceLinkedRoles"}
    assert not everything.refused
    (policy,) = lives["policies"]
    assert policy.props["policyDocument"]["Statement"][0]["Action"] == "s3:GetObject"
    assert policy.tags["reconciler/environment"] == "test"
    (group,), (share,) = lives["securityGroups"], lives["quotaShares"]
    assert group.props["vpcId"] and share.props["capacityLimits"]

    calls = len(sandbox.calls)
    assert everything.everything(kinds) == lives and len(sandbox.calls) == calls
