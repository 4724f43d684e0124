"""Which resources each request names: the place of their names in the parameters, by action and resource type.

``type=path``: a path leads through members, ``[]`` through lists; of several paths with ``|`` between them the first
that leads somewhere counts, and ``*`` is what AWS compares where the name is not known yet.

https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_QUEUE = "job-queue=jobQueue"
_ENVIRONMENT = "compute-environment=computeEnvironment"
_BY_QUEUE = "compute-environment=computeEnvironmentOrder[].computeEnvironment scheduling-policy=schedulingPolicyArn"
_SERVICE = "service-environment=serviceEnvironment"
_CONSUMABLE = "consumable-resource=consumableResource"
_TAGGED = "any=resourceArn"
_GROUP = "security-group=GroupId|GroupName"
_TEMPLATE = "launch-template=LaunchTemplateId|LaunchTemplateName"
_REPOSITORY = "repository=repositoryName"
_ROLE = "role=RoleName"
_POLICY = "policy=PolicyArn"
_PROFILE = "instance-profile=InstanceProfileName"
_LOG_GROUP = "log-group=logGroupName"
_ANY_LOG_GROUP = "log-group=logGroupName|logGroupIdentifier"
_RULE = "rule=Name"
_SECRET = "Secret=SecretId"  # noqa: S105  where the name is
_TOPIC = "topic=TopicArn"
_SUBSCRIPTION = "topic=SubscriptionArn"
_PARAMETER = "parameter=Name"

ROWS: Mapping[str, str] = {
    "batch:CancelJob": "job=jobId|jobs[]",
    "batch:CreateComputeEnvironment": "compute-environment=computeEnvironmentName",
    "batch:CreateConsumableResource": "consumable-resource=consumableResourceName",
    "batch:CreateJobQueue": "job-queue=jobQueueName "
    f"{_BY_QUEUE} service-environment=serviceEnvironmentOrder[].serviceEnvironment",
    "batch:CreateQuotaShare": f"{_QUEUE} quota-share=quotaShareName",
    "batch:CreateSchedulingPolicy": "scheduling-policy=name",
    "batch:CreateServiceEnvironment": "service-environment=serviceEnvironmentName",
    "batch:DeleteComputeEnvironment": _ENVIRONMENT,
    "batch:DeleteConsumableResource": _CONSUMABLE,
    "batch:DeleteJobQueue": _QUEUE,
    "batch:DeleteQuotaShare": "quota-share=quotaShareArn",
    "batch:DeleteSchedulingPolicy": "scheduling-policy=arn",
    "batch:DeleteServiceEnvironment": _SERVICE,
    "batch:DeregisterJobDefinition": "job-definition-revision=jobDefinition",
    "batch:DescribeConsumableResource": _CONSUMABLE,
    "batch:DescribeQuotaShare": "quota-share=quotaShareArn",
    "batch:GetJobQueueSnapshot": _QUEUE,
    "batch:ListJobsByConsumableResource": _CONSUMABLE,
    "batch:ListQuotaShares": _QUEUE,
    "batch:ListTagsForResource": _TAGGED,
    "batch:RegisterJobDefinition": "job-definition=jobDefinitionName "
    "consumable-resource=consumableResourceProperties.consumableResourceList[].consumableResource",
    "batch:SubmitJob": f"job=* job-definition=jobDefinition {_QUEUE} "
    "consumable-resource=consumableResourcePropertiesOverride.consumableResourceList[].consumableResource",
    "batch:SubmitServiceJob": f"service-job=* {_QUEUE} quota-share=quotaShareName",
    "batch:TagResource": _TAGGED,
    "batch:TerminateJob": "job=jobId|jobs[]",
    "batch:TerminateServiceJob": "service-job=jobId|jobs[]",
    "batch:UntagResource": _TAGGED,
    "batch:UpdateComputeEnvironment": _ENVIRONMENT,
    "batch:UpdateConsumableResource": _CONSUMABLE,
    "batch:UpdateJobQueue": f"{_QUEUE} {_BY_QUEUE}",
    "batch:UpdateQuotaShare": "quota-share=quotaShareArn",
    "batch:UpdateSchedulingPolicy": "scheduling-policy=arn",
    "batch:UpdateServiceEnvironment": _SERVICE,
    "batch:UpdateServiceJob": "service-job=jobId",
    "ec2:AuthorizeSecurityGroupEgress": _GROUP,
    "ec2:AuthorizeSecurityGroupIngress": _GROUP,
    "ec2:CreateLaunchTemplate": "launch-template=*",
    "ec2:CreateLaunchTemplateVersion": _TEMPLATE,
    "ec2:CreatePlacementGroup": "placement-group=GroupName|*",
    "ec2:CreateSecurityGroup": "security-group=* vpc=VpcId",
    "ec2:CreateTags": "any=Resources[]",
    "ec2:DeleteKeyPair": "key-pair=KeyName|KeyPairId",
    "ec2:DeleteLaunchTemplate": _TEMPLATE,
    "ec2:DeleteLaunchTemplateVersions": _TEMPLATE,
    "ec2:DeletePlacementGroup": "placement-group=GroupName",
    "ec2:DeleteSecurityGroup": _GROUP,
    "ec2:DeleteTags": "any=Resources[]",
    "ec2:DescribeSpotFleetRequestHistory": "spot-fleet-request=SpotFleetRequestId",
    "ec2:DescribeVpcAttribute": "vpc=VpcId",
    "ec2:GetConsoleOutput": "instance=InstanceId",
    "ec2:ImportKeyPair": "key-pair=KeyName",
    "ec2:ModifyLaunchTemplate": _TEMPLATE,
    "ec2:RevokeSecurityGroupEgress": _GROUP,
    "ec2:RevokeSecurityGroupIngress": _GROUP,
    "ec2:UpdateSecurityGroupRuleDescriptionsEgress": _GROUP,
    "ec2:UpdateSecurityGroupRuleDescriptionsIngress": _GROUP,
    "ecr:BatchGetImage": _REPOSITORY,
    "ecr:CreateRepository": _REPOSITORY,
    "ecr:DeleteLifecyclePolicy": _REPOSITORY,
    "ecr:DeleteRepository": _REPOSITORY,
    "ecr:DeleteRepositoryPolicy": _REPOSITORY,
    "ecr:DescribeImages": _REPOSITORY,
    "ecr:DescribeRepositories": "repository=repositoryNames[]|*",
    "ecr:GetDownloadUrlForLayer": _REPOSITORY,
    "ecr:GetLifecyclePolicy": _REPOSITORY,
    "ecr:GetRepositoryPolicy": _REPOSITORY,
    "ecr:ListTagsForResource": "repository=resourceArn",
    "ecr:PutImageScanningConfiguration": _REPOSITORY,
    "ecr:PutImageTagMutability": _REPOSITORY,
    "ecr:PutLifecyclePolicy": _REPOSITORY,
    "ecr:SetRepositoryPolicy": _REPOSITORY,
    "ecr:TagResource": "repository=resourceArn",
    "ecr:UntagResource": "repository=resourceArn",
    "ecs:DescribeClusters": "cluster=clusters[]|*",
    "ecs:DescribeContainerInstances": "container-instance=containerInstances[]",
    "ecs:DescribeTasks": "task=tasks[]",
    "ecs:ExecuteCommand": "cluster=cluster task=task",
    "ecs:ListContainerInstances": "cluster=cluster|*",
    "ecs:ListTasks": "container-instance=containerInstance|*",
    "elasticfilesystem:DescribeFileSystems": "file-system=FileSystemId|*",
    "elasticfilesystem:DescribeMountTargets": "file-system=FileSystemId|*",
    "events:DeleteRule": _RULE,
    "events:DescribeRule": _RULE,
    "events:ListTagsForResource": "any=ResourceARN",
    "events:ListTargetsByRule": "rule=Rule",
    "events:PutRule": _RULE,
    "events:PutTargets": "rule=Rule",
    "events:RemoveTargets": "rule=Rule",
    "events:TagResource": "any=ResourceARN",
    "events:UntagResource": "any=ResourceARN",
    "iam:AddRoleToInstanceProfile": _PROFILE,
    "iam:AttachRolePolicy": _ROLE,
    "iam:CreateInstanceProfile": _PROFILE,
    "iam:CreatePolicy": "policy=PolicyName",
    "iam:CreatePolicyVersion": _POLICY,
    "iam:CreateRole": _ROLE,
    "iam:CreateServiceLinkedRole": "role=AWSServiceName",
    "iam:DeleteInstanceProfile": _PROFILE,
    "iam:DeletePolicy": _POLICY,
    "iam:DeletePolicyVersion": _POLICY,
    "iam:DeleteRole": _ROLE,
    "iam:DeleteRolePermissionsBoundary": _ROLE,
    "iam:DeleteRolePolicy": _ROLE,
    "iam:DetachRolePolicy": _ROLE,
    "iam:GetInstanceProfile": _PROFILE,
    "iam:GetPolicy": _POLICY,
    "iam:GetPolicyVersion": _POLICY,
    "iam:GetRole": _ROLE,
    "iam:GetRolePolicy": _ROLE,
    "iam:ListAttachedRolePolicies": _ROLE,
    "iam:ListInstanceProfilesForRole": _ROLE,
    "iam:ListPolicyVersions": _POLICY,
    "iam:ListRolePolicies": _ROLE,
    "iam:PutRolePermissionsBoundary": _ROLE,
    "iam:PutRolePolicy": _ROLE,
    "iam:RemoveRoleFromInstanceProfile": _PROFILE,
    "iam:SetDefaultPolicyVersion": _POLICY,
    "iam:SimulatePrincipalPolicy": "any=PolicySourceArn",
    "iam:TagInstanceProfile": _PROFILE,
    "iam:TagPolicy": _POLICY,
    "iam:TagRole": _ROLE,
    "iam:UntagInstanceProfile": _PROFILE,
    "iam:UntagPolicy": _POLICY,
    "iam:UntagRole": _ROLE,
    "iam:UpdateAssumeRolePolicy": _ROLE,
    "iam:UpdateRole": _ROLE,
    "kms:Decrypt": "key=KeyId",
    "kms:DescribeKey": "key=KeyId",
    "kms:GenerateDataKey": "key=KeyId",
    "logs:AssociateKmsKey": _LOG_GROUP,
    "logs:CreateLogGroup": _LOG_GROUP,
    "logs:DeleteLogGroup": _LOG_GROUP,
    "logs:DeleteRetentionPolicy": _LOG_GROUP,
    "logs:DescribeLogStreams": _ANY_LOG_GROUP,
    "logs:DisassociateKmsKey": _LOG_GROUP,
    "logs:FilterLogEvents": _ANY_LOG_GROUP,
    "logs:GetLogEvents": "log-stream=logGroupName|logGroupIdentifier",
    "logs:ListTagsForResource": _TAGGED,
    "logs:PutLogGroupDeletionProtection": "log-group=logGroupIdentifier",
    "logs:PutRetentionPolicy": _LOG_GROUP,
    "logs:StartLiveTail": "log-group=logGroupIdentifiers[]",
    "logs:TagResource": _TAGGED,
    "logs:UntagResource": _TAGGED,
    "s3:GetObject": "object=Key",
    "s3:ListBucket": "bucket=Bucket",
    "s3:PutObject": "object=Key",
    "scheduler:CreateSchedule": "schedule=Name",
    "scheduler:CreateScheduleGroup": "schedule-group=Name",
    "scheduler:DeleteSchedule": "schedule=Name",
    "scheduler:DeleteScheduleGroup": "schedule-group=Name",
    "scheduler:GetSchedule": "schedule=Name",
    "scheduler:GetScheduleGroup": "schedule-group=Name",
    "scheduler:ListTagsForResource": "any=ResourceArn",
    "scheduler:TagResource": "any=ResourceArn",
    "scheduler:UntagResource": "any=ResourceArn",
    "scheduler:UpdateSchedule": "schedule=Name",
    "secretsmanager:CreateSecret": "Secret=Name",
    "secretsmanager:DeleteSecret": _SECRET,
    "secretsmanager:DescribeSecret": _SECRET,
    "secretsmanager:GetSecretValue": _SECRET,
    "secretsmanager:ListSecretVersionIds": _SECRET,
    "secretsmanager:PutSecretValue": _SECRET,
    "secretsmanager:RestoreSecret": _SECRET,
    "secretsmanager:TagResource": _SECRET,
    "secretsmanager:UntagResource": _SECRET,
    "secretsmanager:UpdateSecret": _SECRET,
    "secretsmanager:UpdateSecretVersionStage": _SECRET,
    "sns:CreateTopic": "topic=Name",
    "sns:DeleteTopic": _TOPIC,
    "sns:GetDataProtectionPolicy": "topic=ResourceArn",
    "sns:GetSubscriptionAttributes": _SUBSCRIPTION,
    "sns:GetTopicAttributes": _TOPIC,
    "sns:ListSubscriptionsByTopic": _TOPIC,
    "sns:ListTagsForResource": "topic=ResourceArn",
    "sns:Publish": "topic=TopicArn|TargetArn",
    "sns:PutDataProtectionPolicy": "topic=ResourceArn",
    "sns:SetSubscriptionAttributes": _SUBSCRIPTION,
    "sns:SetTopicAttributes": _TOPIC,
    "sns:Subscribe": _TOPIC,
    "sns:TagResource": "topic=ResourceArn",
    "sns:Unsubscribe": _SUBSCRIPTION,
    "sns:UntagResource": "topic=ResourceArn",
    "ssm:DeleteParameter": _PARAMETER,
    "ssm:GetParameter": _PARAMETER,
    "ssm:GetParameterHistory": _PARAMETER,
    "ssm:GetParameters": "parameter=Names[]",
    "ssm:PutParameter": _PARAMETER,
    "sts:AssumeRole": "role=RoleArn",
}


def named(action: str, params: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Type and name of each resource that a request for an action names; ``any`` where it depends on the name
    itself, which is an ARN or an id.
    """
    for row in ROWS.get(action, "").split():
        kind, _, paths = row.partition("=")
        for path in paths.split("|"):
            found = ["*"] if path == "*" else list(at(params, path))
            for value in found:
                yield kind, value
            if found:
                break


def at(value: Any, path: str) -> Iterator[str]:
    """The strings that a path leads to."""
    if not path:
        if isinstance(value, str) and value:
            yield value
        return
    step, _, rest = path.partition(".")
    inner = value.get(step.removesuffix("[]")) if isinstance(value, Mapping) else None
    if not step.endswith("[]"):
        yield from at(inner, rest)
    elif isinstance(inner, list | tuple):
        for one in inner:
            yield from at(one, rest)
