"""Logs, ECR, EventBridge, SSM and the tagging API in the sandbox, rule by rule.

https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/Welcome.html
https://docs.aws.amazon.com/resourcegroupstagging/latest/APIReference/API_GetResources.html
"""

from __future__ import annotations

import json

import pytest

GROUP = "/aws/batch/custom"
GROUP_ARN = f"arn:aws:logs:eu-west-1:123456789012:log-group:{GROUP}"
OWNER = {"Key": "reconciler/environment", "Value": "dev"}


@pytest.fixture
def logs(sandbox):
    client = sandbox.client("logs")
    client.create_log_group(logGroupName=GROUP, tags={"a": "b"})
    return client


def shown(logs):
    return logs.describe_log_groups(logGroupNamePrefix=GROUP)["logGroups"][0]


# --- logs ---


def test_a_log_group_has_two_arns(logs):
    assert (f"{GROUP_ARN}:*", GROUP_ARN) == (shown(logs)["arn"], shown(logs)["logGroupArn"])


def test_a_log_group_never_expires_until_told(logs):
    before = shown(logs)
    logs.put_retention_policy(logGroupName=GROUP, retentionInDays=30)
    during = shown(logs)
    logs.delete_retention_policy(logGroupName=GROUP)

    assert "retentionInDays" not in before
    assert during["retentionInDays"] == 30
    assert "retentionInDays" not in shown(logs)


@pytest.mark.parametrize("days", [0, 2, 15, 4000])
def test_only_some_retention_periods_exist(logs, refused, days):
    refused("InvalidParameterException", "", logs.put_retention_policy, logGroupName=GROUP, retentionInDays=days)


def test_the_class_is_kept(sandbox, logs):
    logs.create_log_group(logGroupName="rare", logGroupClass="INFREQUENT_ACCESS")

    assert shown(logs)["logGroupClass"] == "STANDARD"
    assert logs.describe_log_groups(logGroupNamePrefix="rare")["logGroups"][0]["logGroupClass"] == "INFREQUENT_ACCESS"


@pytest.mark.parametrize("name", ["aws/mine", "with space", "quèstion"])
def test_some_names_are_refused(logs, refused, name):
    refused("InvalidParameterException", "", logs.create_log_group, logGroupName=name)


def test_a_name_is_taken_or_missing(logs, refused):
    refused("ResourceAlreadyExistsException", "", logs.create_log_group, logGroupName=GROUP)
    refused("ResourceNotFoundException", "", logs.delete_log_group, logGroupName="none")
    refused("ResourceNotFoundException", "", logs.put_retention_policy, logGroupName="none", retentionInDays=30)


def test_only_the_plain_arn_is_tagged(logs, refused):
    logs.tag_resource(resourceArn=GROUP_ARN, tags={"c": "d"})
    logs.untag_resource(resourceArn=GROUP_ARN, tagKeys=["a"])

    assert logs.list_tags_for_resource(resourceArn=GROUP_ARN)["tags"] == {"c": "d"}
    starred = f"{GROUP_ARN}:*"
    refused("ValidationException", "Invalid resourceArn", logs.tag_resource, resourceArn=starred, tags={"a": "b"})
    refused("ValidationException", "Invalid resourceArn", logs.list_tags_for_resource, resourceArn=starred)


def test_groups_are_listed_by_tag(logs):
    logs.create_log_group(logGroupName="other")

    found = logs.list_log_groups(logGroupTags=[{"key": "a", "values": ["b"]}])["logGroups"]

    assert [(one["logGroupName"], one["logGroupArn"]) for one in found] == [(GROUP, GROUP_ARN)]


def test_a_key_is_associated_and_let_go(logs):
    key = "arn:aws:kms:eu-west-1:123456789012:key/11111111-2222-3333-4444-555555555555"
    logs.associate_kms_key(logGroupName=GROUP, kmsKeyId=key)
    associated = shown(logs)
    logs.disassociate_kms_key(logGroupName=GROUP)

    assert key == associated["kmsKeyId"]
    assert "kmsKeyId" not in shown(logs)


def test_a_protected_group_stays(logs, refused):
    logs.put_log_group_deletion_protection(logGroupIdentifier=GROUP, deletionProtectionEnabled=True)

    assert shown(logs)["deletionProtectionEnabled"]
    refused("OperationAbortedException", "", logs.delete_log_group, logGroupName=GROUP)
    logs.put_log_group_deletion_protection(logGroupIdentifier=GROUP, deletionProtectionEnabled=False)
    logs.delete_log_group(logGroupName=GROUP)
    assert logs.describe_log_groups()["logGroups"] == []


def test_log_groups_come_fifty_at_a_time(logs):
    for n in range(60):
        logs.create_log_group(logGroupName=f"g{n}")

    first = logs.describe_log_groups()
    pages = logs.get_paginator("describe_log_groups").paginate()

    assert len(first["logGroups"]) == 50
    assert len([one for page in pages for one in page["logGroups"]]) == 61


# --- ECR ---


@pytest.fixture
def ecr(sandbox):
    client = sandbox.client("ecr")
    client.create_repository(repositoryName="repo", tags=[OWNER])
    return client


def test_repositories_come_in_pages(ecr):
    ecr.create_repository(repositoryName="second")

    pages = list(ecr.get_paginator("describe_repositories").paginate(PaginationConfig={"PageSize": 1}))

    assert [[one["repositoryName"] for one in page["repositories"]] for page in pages] == [["repo"], ["second"]]


def test_a_repository_has_its_defaults_and_tags(ecr):
    repository = ecr.describe_repositories()["repositories"][0]

    assert repository["repositoryUri"] == "123456789012.dkr.ecr.eu-west-1.amazonaws.com/repo"
    assert repository["imageTagMutability"] == "MUTABLE"
    assert repository["imageScanningConfiguration"] == {"scanOnPush": False}
    assert repository["encryptionConfiguration"]["encryptionType"] == "AES256"
    assert ecr.list_tags_for_resource(resourceArn=repository["repositoryArn"])["tags"] == [OWNER]


def test_exclusion_filters_are_stored(ecr, refused):
    filters = [{"filterType": "WILDCARD", "filter": "dev-*"}]
    mutability = {"repositoryName": "repo", "imageTagMutability": "IMMUTABLE_WITH_EXCLUSION"}
    ecr.put_image_tag_mutability(**mutability, imageTagMutabilityExclusionFilters=filters)

    shown_repository = ecr.describe_repositories()["repositories"][0]

    assert filters == shown_repository["imageTagMutabilityExclusionFilters"]
    refused("InvalidParameterException", "", ecr.put_image_tag_mutability, **mutability)


def test_what_a_repository_does_not_have(ecr, refused):
    refused("LifecyclePolicyNotFoundException", "", ecr.get_lifecycle_policy, repositoryName="repo")
    refused("RepositoryPolicyNotFoundException", "", ecr.get_repository_policy, repositoryName="repo")
    refused("RepositoryNotFoundException", "", ecr.describe_repositories, repositoryNames=["repo", "none"])
    refused("RepositoryAlreadyExistsException", "", ecr.create_repository, repositoryName="repo")


@pytest.mark.parametrize(
    ("selections", "text"),
    [
        ([{"tagStatus": "tagged", "tagPrefixList": ["a"], "tagPatternList": ["b*"]}], "exactly one schema"),
        ([{"tagStatus": "untagged", "tagPrefixList": ["a"]}], "exactly one schema"),
        ([{"tagStatus": "tagged", "tagPrefixList": [f"a{n}"]} for n in range(51)], "at most 50 elements"),
        ([{"tagStatus": "tagged", "tagPrefixList": ["a" * 31000]}], "less than or equal to 30720"),
    ],
)
def test_lifecycle_policies_are_checked(ecr, refused, selections, text):
    count = {"countType": "imageCountMoreThan", "countNumber": 1}
    rules = [
        {"rulePriority": n, "action": {"type": "expire"}, "selection": {**one, **count}}
        for n, one in enumerate(selections, 1)
    ]
    given = {"repositoryName": "repo", "lifecyclePolicyText": json.dumps({"rules": rules})}

    refused("InvalidParameterException", text, ecr.put_lifecycle_policy, **given)


# --- EventBridge ---


@pytest.fixture
def events(sandbox):
    client = sandbox.client("events")
    client.put_rule(Name="r", ScheduleExpression="rate(5 minutes)", State="DISABLED", Tags=[OWNER])
    return client


def test_put_rule_replaces_and_ignores_tags(events):
    events.put_rule(Name="r", ScheduleExpression="rate(6 minutes)", Tags=[{"Key": "x", "Value": "y"}])
    rule = events.describe_rule(Name="r")

    assert (rule["ScheduleExpression"], rule["State"]) == ("rate(6 minutes)", "ENABLED")
    assert events.list_tags_for_resource(ResourceARN=rule["Arn"])["Tags"] == [OWNER]


def test_a_rule_needs_something_to_wait_for(events, refused):
    refused("ValidationException", "", events.put_rule, Name="x")


def test_targets_are_checked(events, refused):
    queue = {"Id": "1", "Arn": "arn:aws:batch:eu-west-1:123456789012:job-queue/q"}
    job = {"JobDefinition": "d", "JobName": "j"}
    role = "arn:aws:iam::123456789012:role/r"

    refused(
        "ValidationException", "BatchParameters", events.put_targets, Rule="r", Targets=[{**queue, "RoleArn": role}]
    )
    refused("ValidationException", "RoleArn", events.put_targets, Rule="r", Targets=[{**queue, "BatchParameters": job}])
    many = [{"Id": str(n), "Arn": "arn:aws:sns:eu-west-1:123456789012:t"} for n in range(6)]
    refused("LimitExceededException", "", events.put_targets, Rule="r", Targets=many)


SQS = "arn:aws:sqs:eu-west-1:123456789012:q"


@pytest.mark.parametrize(
    ("target", "text"),
    [
        ({"Arn": "arn:aws:sqs"}, "not in correct format"),
        ({"Arn": "arn:aws:batch:eu-west-1:123456789012:compute-environment/c"}, "Not a supported target"),
        ({"Arn": "arn:aws:ecs:eu-west-1:123456789012:cluster/c"}, "EcsParameters"),
        ({"Arn": SQS, "DeadLetterConfig": {"Arn": "arn:aws:sns:eu-west-1:123456789012:t"}}, "dead-letter queue"),
        ({"Arn": SQS, "DeadLetterConfig": {"Arn": f"{SQS}.fifo"}}, "dead-letter queue"),
        ({"Arn": SQS, "InputPath": "detail"}, "InputPath for target 1 is invalid."),
    ],
)
def test_targets_that_do_not_fit(events, refused, target, text):
    refused("ValidationException", text, events.put_targets, Rule="r", Targets=[{"Id": "1", **target}])


def test_roles_of_rules_and_targets_must_let_eventbridge_in(sandbox, events, refused):
    trust = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sts:AssumeRole"}
    iam = sandbox.client("iam")
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    role = iam.create_role(RoleName="ev", AssumeRolePolicyDocument=document)["Role"]["Arn"]
    other = json.dumps(
        {"Version": "2012-10-17", "Statement": [{**trust, "Principal": {"Service": "ec2.amazonaws.com"}}]}
    )
    stranger = iam.create_role(RoleName="ec2", AssumeRolePolicyDocument=other)["Role"]["Arn"]
    target = {"Id": "1", "Arn": "arn:aws:sns:eu-west-1:123456789012:t"}
    told = "cannot be assumed by principal 'events.amazonaws.com'"

    refused("ValidationException", told, events.put_targets, Rule="r", Targets=[{**target, "RoleArn": role}])
    sandbox.advance(60)
    events.put_targets(Rule="r", Targets=[{**target, "RoleArn": role}])
    for arn in (stranger, role + "x"):
        refused("ValidationException", told, events.put_targets, Rule="r", Targets=[{**target, "RoleArn": arn}])
    schedule = {"Name": "x", "ScheduleExpression": "rate(1 hour)"}
    refused("ValidationException", told, events.put_rule, RoleArn=stranger, **schedule)


@pytest.mark.parametrize("pattern", ["nonsense", "{}", "[]", '{"source": "x"}', '{"source": []}', '{"detail": {}}'])
def test_patterns_are_objects_with_lists(events, refused, pattern):
    refused("InvalidEventPatternException", "", events.put_rule, Name="p", EventPattern=pattern)
    events.put_rule(Name="p", EventPattern='{"source": ["aws.batch"], "detail": {"status": ["FAILED"]}}')


def test_the_input_of_a_target_is_one_and_json(events, refused):
    target = {"Id": "1", "Arn": "arn:aws:sns:eu-west-1:123456789012:t"}
    both = {**target, "Input": "{}", "InputPath": "$.detail"}

    refused("ValidationException", "Only one of", events.put_targets, Rule="r", Targets=[both])
    refused("ValidationException", "JSON", events.put_targets, Rule="r", Targets=[{**target, "Input": "hello"}])


def test_rules_of_another_bus(events):
    events.create_event_bus(Name="b")
    arn = events.put_rule(Name="x", EventBusName="b", EventPattern='{"source": ["s"]}', Tags=[OWNER])["RuleArn"]

    assert arn == "arn:aws:events:eu-west-1:123456789012:rule/b/x"
    assert events.describe_rule(Name="x", EventBusName="b")["EventBusName"] == "b"
    assert events.list_tags_for_resource(ResourceARN=arn)["Tags"] == [OWNER]


def test_who_aims_at_what_is_listed_by_bus_and_page(sandbox, events):
    """Rules by bus; by target, only those of the bus that is asked about; buses and rules in pages."""
    for number in range(3):
        events.create_event_bus(Name=f"b{number}")
    sandbox.change({"page_size": 2})
    arns = ["arn:aws:sns:eu-west-1:123456789012:one", "arn:aws:sns:eu-west-1:123456789012:two"]
    for bus, name, arn in [("b0", "x", arns[0]), ("b0", "y", arns[1]), ("b0", "z", arns[1]), ("default", "x", arns[1])]:
        events.put_rule(Name=name, EventBusName=bus, EventPattern='{"source": ["s"]}')
        events.put_targets(Rule=name, EventBusName=bus, Targets=[{"Id": "t", "Arn": arn}])
    first = events.list_event_buses()
    rest = events.list_event_buses(NextToken=first["NextToken"])

    assert {bus["Name"] for page in (first, rest) for bus in page["EventBuses"]} == {"default", "b0", "b1", "b2"}
    assert "NextToken" not in rest
    assert rule_names(events, EventBusName="b0") == ["x", "y", "z"]
    assert rule_names(events) == ["r", "x"]
    assert events.list_rule_names_by_target(TargetArn=arns[1])["RuleNames"] == ["x"]
    assert events.list_rule_names_by_target(TargetArn=arns[1], EventBusName="b0")["RuleNames"] == ["y", "z"]
    assert events.list_targets_by_rule(Rule="y", EventBusName="b0")["Targets"] == [{"Id": "t", "Arn": arns[1]}]


def rule_names(events, **where):
    pages = events.get_paginator("list_rules").paginate(**where)
    return [rule["Name"] for page in pages for rule in page["Rules"]]


def test_a_rule_with_targets_stays_and_a_missing_one_is_no_error(events, refused):
    events.put_targets(Rule="r", Targets=[{"Id": "1", "Arn": "arn:aws:sns:eu-west-1:123456789012:t"}])

    refused("ValidationException", "targets", events.delete_rule, Name="r")
    events.remove_targets(Rule="r", Ids=["1"])
    events.delete_rule(Name="r")
    events.delete_rule(Name="r")


# --- SSM ---


@pytest.mark.parametrize(
    "path",
    [
        "amazon-linux-2/recommended",
        "amazon-linux-2/gpu/recommended",
        "amazon-linux-2/arm64/recommended",
        "amazon-linux-2023/recommended",
        "amazon-linux-2023/gpu/recommended",
        "amazon-linux-2023/arm64/recommended",
    ],
)
def test_the_recommended_images_are_there(sandbox, path):
    ssm, ec2 = sandbox.client("ssm"), sandbox.client("ec2")
    name = f"/aws/service/ecs/optimized-ami/{path}"

    described = ssm.get_parameter(Name=name)["Parameter"]
    image = ssm.get_parameter(Name=f"{name}/image_id")["Parameter"]
    shown_image = ec2.describe_images(ImageIds=[image["Value"]])["Images"][0]

    assert image["Value"] == json.loads(described["Value"])["image_id"]
    assert f"arn:aws:ssm:eu-west-1::parameter{name}/image_id" == image["ARN"]
    assert ("arm64" if "arm64" in path else "x86_64") == shown_image["Architecture"]


def test_missing_parameters(sandbox, refused):
    ssm = sandbox.client("ssm")

    refused("ParameterNotFound", "", ssm.get_parameter, Name="/aws/service/none")
    assert ssm.get_parameters(Names=["/aws/service/none"])["InvalidParameters"] == ["/aws/service/none"]


# --- tagging ---


@pytest.fixture
def tagging(sandbox):
    return sandbox.client("resourcegroupstaggingapi")


def everything(sandbox):
    """One owned resource of every kind; gives their ARNs, IAM's aside."""
    tags = [OWNER]
    ec2 = sandbox.client("ec2")
    specification = lambda kind: [{"ResourceType": kind, "Tags": tags}]  # noqa: E731
    iam = sandbox.client("iam")
    iam.create_instance_profile(InstanceProfileName="p", Tags=tags)
    arn = "arn:aws:{}:eu-west-1:123456789012:{}".format
    sg = ec2.create_security_group(GroupName="g", Description="d", TagSpecifications=specification("security-group"))
    key = ec2.create_key_pair(KeyName="k", TagSpecifications=specification("key-pair"))
    template = ec2.create_launch_template(
        LaunchTemplateName="template",
        LaunchTemplateData={"ImageId": "ami-1"},
        TagSpecifications=specification("launch-template"),
    )
    ec2.create_placement_group(GroupName="p", TagSpecifications=specification("placement-group"))
    sandbox.client("ecr").create_repository(repositoryName="repo", tags=tags)
    secret = sandbox.client("secretsmanager").create_secret(Name="s", Tags=tags)
    sandbox.client("sns").create_topic(Name="t", Tags=tags)
    sandbox.client("logs").create_log_group(logGroupName=GROUP, tags={OWNER["Key"]: OWNER["Value"]})
    sandbox.client("events").put_rule(Name="r", ScheduleExpression="rate(5 minutes)", Tags=tags)
    policy = sandbox.client("batch").create_scheduling_policy(name="p", tags={OWNER["Key"]: OWNER["Value"]})
    return {
        arn("ec2", f"security-group/{sg['GroupId']}"),
        arn("ec2", f"key-pair/{key['KeyPairId']}"),
        arn("ec2", f"launch-template/{template['LaunchTemplate']['LaunchTemplateId']}"),
        arn("ec2", "placement-group/p"),
        arn("ecr", "repository/repo"),
        secret["ARN"],
        arn("sns", "t"),
        GROUP_ARN,
        arn("events", "rule/r"),
        policy["arn"],
    }


def found(tagging, **given):
    pages = tagging.get_paginator("get_resources").paginate(**given)
    return [one["ResourceARN"] for page in pages for one in page["ResourceTagMappingList"]]


def test_everything_owned_is_found_by_its_tag_but_iam(sandbox, tagging):
    arns = everything(sandbox)
    sandbox.client("sns").create_topic(Name="untagged")

    assert sorted(arns) == sorted(found(tagging, TagFilters=[{"Key": OWNER["Key"], "Values": ["dev"]}]))
    assert sorted(arns) == sorted(found(tagging, TagFilters=[{"Key": OWNER["Key"]}]))
    assert found(tagging, TagFilters=[{"Key": OWNER["Key"], "Values": ["other"]}]) == []
    assert found(sandbox.client("resourcegroupstaggingapi", "us-east-1"), TagFilters=[{"Key": OWNER["Key"]}]) == []


@pytest.mark.parametrize(
    ("kind", "count"),
    [("sns:topic", 1), ("sns", 1), ("ec2", 4), ("ec2:key-pair", 1), ("logs:log-group", 1), ("batch", 1), ("iam", 0)],
)
def test_kinds_are_filtered(sandbox, tagging, kind, count):
    everything(sandbox)

    assert count == len(found(tagging, ResourceTypeFilters=[kind]))


def test_resources_come_in_pages(sandbox, tagging, refused):
    everything(sandbox)

    pages = list(tagging.get_paginator("get_resources").paginate(ResourcesPerPage=2))

    assert [len(page["ResourceTagMappingList"]) for page in pages] == [2, 2, 2, 2, 2]
    refused("InvalidParameterException", "", tagging.get_resources, ResourcesPerPage=101)
    refused("PaginationTokenExpiredException", "", tagging.get_resources, PaginationToken="nonsense")


def test_what_is_deleted_is_not_found(sandbox, tagging):
    everything(sandbox)
    sandbox.client("ec2").delete_key_pair(KeyName="k")
    sandbox.client("ec2").delete_launch_template(LaunchTemplateName="template")
    sandbox.client("ec2").delete_security_group(GroupName="g")
    sandbox.client("ecr").delete_repository(repositoryName="repo")
    sandbox.client("events").delete_rule(Name="r")
    sandbox.client("ec2").delete_placement_group(GroupName="p")

    assert len(found(tagging, TagFilters=[{"Key": OWNER["Key"]}])) == 4


def test_the_index_may_be_behind(sandbox, tagging):
    sandbox.change({"index_lag": 60})
    sandbox.client("sns").create_topic(Name="t", Tags=[OWNER])

    early = found(tagging, TagFilters=[{"Key": OWNER["Key"]}])
    sandbox.advance(60)
    late = found(tagging, TagFilters=[{"Key": OWNER["Key"]}])

    assert (len(early), len(late)) == (0, 1)
