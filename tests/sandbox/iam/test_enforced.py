"""What roles and users may do in the sandbox, and how the services word what they may not."""

import base64
import json

import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.support.limited import ACCOUNT, ROOT, allow, deny, document, keys, role, trusting

OTHER = "111122223333"
ME = f"arn:aws:sts::{ACCOUNT}:assumed-role/r/me"
ORDER = [{"order": 1, "computeEnvironment": "c"}]
ARN = f"arn:aws:batch:eu-west-1:{ACCOUNT}"
# Service, call, parameters; code, status, what stands in the message.
REFUSALS = [
    ("batch", "describe_job_queues", {}, "AccessDeniedException", 403, f"User: {ME} is not authorized to perform: batch:DescribeJobQueues on resource: * because no identity-based policy allows the batch:DescribeJobQueues action"),
    ("batch", "create_job_queue", {"jobQueueName": "q", "priority": 1, "computeEnvironmentOrder": ORDER}, "AccessDeniedException", 403, f"User: {ME} is not authorized to perform: batch:CreateJobQueue on resource: {ARN}:job-queue/q because no identity-based policy allows the batch:CreateJobQueue action"),
    ("ec2", "describe_subnets", {}, "UnauthorizedOperation", 403, f"You are not authorized to perform this operation. User: {ME} is not authorized to perform: ec2:DescribeSubnets because no"),
    ("ec2", "create_launch_template", {"LaunchTemplateName": "abc", "LaunchTemplateData": {"ImageId": "ami-1"}}, "UnauthorizedOperation", 403, ":launch-template/* because no identity-based policy allows the ec2:CreateLaunchTemplate action. Encoded authorization failure message: "),
    ("sns", "create_topic", {"Name": "t"}, "AuthorizationError", 403, f"SNS:CreateTopic on resource: arn:aws:sns:eu-west-1:{ACCOUNT}:t because no"),
    ("iam", "list_roles", {}, "AccessDenied", 403, f"iam:ListRoles on resource: arn:aws:iam::{ACCOUNT}:role/ because no"),
    ("iam", "get_role", {"RoleName": "r"}, "AccessDenied", 403, f"iam:GetRole on resource: arn:aws:iam::{ACCOUNT}:role/r because no"),
    ("secretsmanager", "describe_secret", {"SecretId": "a/b"}, "AccessDeniedException", 400, "secretsmanager:DescribeSecret on resource: a/b because no"),
    ("logs", "describe_log_groups", {}, "AccessDeniedException", 400, f"arn:aws:logs:eu-west-1:{ACCOUNT}:log-group::log-stream: because no"),
    ("secretsmanager", "list_secrets", {}, "AccessDeniedException", 400, "secretsmanager:ListSecrets because no"),
    ("logs", "put_retention_policy", {"logGroupName": "/a", "retentionInDays": 7}, "AccessDeniedException", 400, "log-group:/a:log-stream: because no"),
    ("ecr", "describe_repositories", {}, "AccessDeniedException", 400, ":repository/* because no"),
    ("events", "put_rule", {"Name": "r", "ScheduleExpression": "rate(1 day)"}, "AccessDeniedException", 400, ":rule/r because no"),
    ("ssm", "get_parameter", {"Name": "/reconcile/x"}, "AccessDeniedException", 400, ":parameter/reconcile/x because no"),
    ("scheduler", "get_schedule", {"Name": "s"}, "AccessDeniedException", 403, ":schedule/default/s because no"),
    ("resourcegroupstaggingapi", "get_resources", {}, "AccessDeniedException", 400, "tag:GetResources because no"),
    ("kms", "describe_key", {"KeyId": "alias/x"}, "AccessDeniedException", 400, "kms:DescribeKey"),
    ("s3", "get_object", {"Bucket": "b", "Key": "k/l"}, "AccessDenied", 403, "s3:GetObject on resource: arn:aws:s3:::b/k/l because no"),
    ("sts", "assume_role", {"RoleArn": f"arn:aws:iam::{ACCOUNT}:role/r", "RoleSessionName": "me"}, "AccessDenied", 403, f"sts:AssumeRole on resource: arn:aws:iam::{ACCOUNT}:role/r"),
]  # fmt: skip


@pytest.fixture
def iam(sandbox):
    return sandbox.client("iam")


@pytest.fixture
def acting(sandbox):
    """A client that acts as the session of a role, or with other keys."""

    def client(service, who, **more):
        given = keys(sandbox.client("sts"), who, **more) if isinstance(who, str) else who
        return sandbox.session.client(service, region_name="eu-west-1", **given)

    return client


def test_each_service_refuses_in_its_own_words(sandbox, iam, acting):
    held = keys(sandbox.client("sts"), role(iam, "r", deny("a:b")))
    assert acting("sts", held).get_caller_identity()["Arn"] == ME

    for service, call, params, code, status, said in REFUSALS:
        with pytest.raises(ClientError) as caught:
            getattr(acting(service, held), call)(**params)
        error = caught.value.response
        assert (error["Error"]["Code"], error["ResponseMetadata"]["HTTPStatusCode"]) == (code, status), call
        assert said in error["Error"]["Message"]

    assert sandbox.calls[-1].code == "AccessDenied", "the log has them"
    assert sandbox.checked == []
    assert len(sandbox.client("batch").describe_job_queues()["jobQueues"]) == 0, "the account itself may do everything"


def test_policies_limit_by_arn_tag_and_passed_role(sandbox, iam, acting, refused):
    team = {"aws:RequestTag/team": "hpc"}
    service = role(iam, "service")
    job = {
        "image": "busybox",
        "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "64"}],
    }
    limited = [
        allow(
            ["batch:CreateSchedulingPolicy", "batch:TagResource"], f"{ARN}:scheduling-policy/dev-*", StringEquals=team
        ),
        allow("batch:DeleteSchedulingPolicy", f"{ARN}:scheduling-policy/*"),
        deny("batch:DeleteSchedulingPolicy", StringEquals={"aws:ResourceTag/protected": "yes"}),
        allow("batch:RegisterJobDefinition", f"{ARN}:job-definition/*", Bool={"batch:Privileged": "false"}),
        allow("batch:CreateComputeEnvironment"),
    ]
    batch = acting("batch", role(iam, "r", *limited))

    batch.create_scheduling_policy(name="dev-a", tags={"team": "hpc"})
    arn = batch.create_scheduling_policy(name="dev-b", tags={"team": "hpc", "protected": "yes"})["arn"]
    refused("AccessDeniedException", "batch:CreateSchedulingPolicy on", batch.create_scheduling_policy, name="dev-c")
    refused("AccessDeniedException", "/x because", batch.create_scheduling_policy, name="x", tags={"team": "hpc"})
    refused(
        "AccessDeniedException",
        f"batch:DeleteSchedulingPolicy on resource: {arn} with an explicit deny in an identity-based policy",
        batch.delete_scheduling_policy,
        arn=arn,
    )
    sandbox.client("batch").untag_resource(resourceArn=arn, tagKeys=["protected"])
    batch.delete_scheduling_policy(arn=arn)

    define = {"jobDefinitionName": "j", "type": "container"}
    batch.register_job_definition(**define, containerProperties={**job, "privileged": False})
    refused(
        "AccessDeniedException", "RegisterJob", batch.register_job_definition,
        **define, containerProperties={**job, "privileged": True},
    )  # fmt: skip
    passing = (
        f"User: {ME} is not authorized to perform: iam:PassRole on resource: {service} because no identity-based policy"
    )
    with_role = {**job, "privileged": False, "jobRoleArn": service}
    refused("AccessDeniedException", passing, batch.register_job_definition, **define, containerProperties=with_role)
    environment = {"computeEnvironmentName": "c", "type": "UNMANAGED", "serviceRole": service}
    refused("AccessDeniedException", passing, batch.create_compute_environment, **environment)

    tasks = {"iam:PassedToService": "ecs-tasks.amazonaws.com"}
    role(iam, "r", *limited, allow("iam:PassRole", service, StringEquals=tasks))
    batch.register_job_definition(**define, containerProperties=with_role)
    refused("AccessDeniedException", passing, batch.create_compute_environment, **environment)

    own = acting("batch", role(iam, "r", allow("batch:Describe*"), allow("batch:*", f"{ARN}:job-queue/*")))
    refused("AccessDeniedException", "batch:ListJobs on resource: *", own.list_jobs, jobQueue="q")
    assert [need.action for need in sandbox.checked][:2] == ["batch:CreateSchedulingPolicy", "batch:TagResource"]


def test_boundaries_and_session_policies_narrow(sandbox, iam, acting, refused):
    everything = allow("*")
    edge = iam.create_policy(PolicyName="edge", PolicyDocument=document(allow("batch:*")))["Policy"]["Arn"]
    arn = role(iam, "r", everything)
    sts = sandbox.client("sts")

    narrow = document(allow("batch:DescribeJobQueues"))
    narrowed = acting("batch", arn, Policy=narrow)
    narrowed.describe_job_queues()
    said = "because no session policy allows the batch:DescribeComputeEnvironments action"
    refused("AccessDeniedException", said, narrowed.describe_compute_environments)
    managed = acting("sns", arn, PolicyArns=[{"arn": edge}])
    refused("AuthorizationError", "because no session policy allows the SNS:ListTopics action", managed.list_topics)
    both = acting("sns", arn, Policy=document(deny("sns:*"), everything), PolicyArns=[{"arn": edge}])
    refused("AuthorizationError", "with an explicit deny in a session policy", both.list_topics)

    iam.put_role_permissions_boundary(RoleName="r", PermissionsBoundary=edge)
    bounded = acting("sns", arn)
    refused(
        "AuthorizationError", "because no permissions boundary allows the SNS:ListTopics action", bounded.list_topics
    )
    acting("batch", arn).describe_compute_environments()

    assume = {"RoleArn": arn, "RoleSessionName": "me"}
    refused("MalformedPolicyDocument", "JSON", sts.assume_role, **assume, Policy="{")
    refused("NoSuchEntity", "was not found", sts.assume_role, **assume, PolicyArns=[{"arn": f"{edge}-not"}])
    long = document(*[allow("batch:DescribeJobQueues", f"{ARN}:job-queue/{n}") for n in range(20)])
    assert len(long) > 2048
    refused("PackedPolicyTooLarge", "2048", sts.assume_role, **assume, Policy=long)
    iam.delete_role_policy(RoleName="r", PolicyName="inline")
    iam.delete_role(RoleName="r")
    refused("UnrecognizedClientException", "security token", narrowed.describe_job_queues)


def test_trust_policies_say_who_assumes_a_role(sandbox, iam, acting, refused):
    sts, theirs = sandbox.client("sts"), {"aws_access_key_id": OTHER, "aws_secret_access_key": "x"}
    first = role(iam, "first", allow("sts:AssumeRole", f"arn:aws:iam::{ACCOUNT}:role/by-*"))
    by_account = role(iam, "by-account", allow("*"))
    by_name = role(iam, "named", allow("*"), trust=trusting(first))
    shared = role(
        iam, "shared", allow("*"), trust=trusting(OTHER, StringEquals={"sts:ExternalId": "secret", "aws:PrincipalAccount": OTHER})
    )  # fmt: skip
    session = acting("sts", first)

    for arn, caller, fine, more in (
        (by_account, session, True, {}),
        (by_name, session, True, {}),  # in the same account its trust is enough
        (by_name, sts, False, {}),
        (shared, sts, False, {"ExternalId": "secret"}),
        (shared, acting("sts", theirs), True, {"ExternalId": "secret"}),
        (shared, acting("sts", theirs), False, {"ExternalId": "other"}),
        (shared, acting("sts", theirs), False, {}),
    ):
        asked = {"RoleArn": arn, "RoleSessionName": "me", **more}
        if fine:
            assert caller.assume_role(**asked)["AssumedRoleUser"]["Arn"].endswith("/me")
        else:
            refused(
                "AccessDenied",
                f"is not authorized to perform: sts:AssumeRole on resource: {arn}",
                caller.assume_role,
                **asked,
            )

    chained = keys(acting("sts", theirs), shared, ExternalId="secret")
    assert acting("sts", chained).get_caller_identity()["Account"] == ACCOUNT
    acting("batch", chained).create_scheduling_policy(name="p")
    assert len(sandbox.client("batch").list_scheduling_policies()["schedulingPolicies"]) == 1
    assert sandbox.arn_of(chained["aws_access_key_id"]) == f"arn:aws:sts::{ACCOUNT}:assumed-role/shared/me"
    assert sandbox.arn_of("test") is None
    iam.update_assume_role_policy(RoleName="by-account", PolicyDocument=document(
        {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": "*"}, {"Effect": "Deny", "Action": "sts:AssumeRole", "Principal": {"AWS": ROOT}}
    ))  # fmt: skip
    refused("AccessDenied", "", sts.assume_role, RoleArn=by_account, RoleSessionName="me")


def test_users_have_policies_of_their_own_and_of_their_groups(sandbox, iam, acting, refused):
    iam.create_user(UserName="ana")
    key = iam.create_access_key(UserName="ana")["AccessKey"]
    held = {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}
    own = document(
        allow("iam:GetUser", f"arn:aws:iam::{ACCOUNT}:user/${{aws:username}}"),
        allow("sns:CreateTopic", "arn:aws:sns:*:*:${aws:username}-*"),
    )
    iam.put_user_policy(UserName="ana", PolicyName="own", PolicyDocument=own)

    acting("sns", held).create_topic(Name="ana-1")
    user = f"User: arn:aws:iam::{ACCOUNT}:user/ana is not authorized"
    refused("AuthorizationError", user, acting("sns", held).create_topic, Name="bob-1")
    refused("AccessDeniedException", user, acting("batch", held).describe_job_queues)
    iam.create_group(GroupName="g")
    iam.put_group_policy(GroupName="g", PolicyName="p", PolicyDocument=document(allow("batch:Describe*")))
    iam.add_user_to_group(GroupName="g", UserName="ana")
    acting("batch", held).describe_job_queues()


def test_the_simulator_says_the_same_without_a_request(sandbox, iam, refused):
    own = {"aws:ResourceTag/team": "hpc"}
    arn = role(
        iam,
        "r",
        allow("batch:*"),
        deny("batch:DeleteJobQueue", StringEquals=own),
        allow("sns:Publish", "arn:aws:sns:*:*:a"),
    )
    edge = iam.create_policy(PolicyName="edge", PolicyDocument=document(allow("batch:*")))["Policy"]["Arn"]

    def simulated(*actions, resources=("*",), **more):
        asked = {"PolicySourceArn": arn, "ActionNames": list(actions), "ResourceArns": list(resources), **more}
        found = iam.simulate_principal_policy(**asked)["EvaluationResults"]
        return [(one["EvalActionName"], one["EvalResourceName"], one["EvalDecision"]) for one in found]

    topics = ["arn:aws:sns:eu-west-1:1:a", "arn:aws:sns:eu-west-1:1:b"]
    assert simulated("batch:SubmitJob", "iam:GetRole") == [
        ("batch:SubmitJob", "*", "allowed"),
        ("iam:GetRole", "*", "implicitDeny"),
    ]
    assert simulated("sns:Publish", resources=topics) == [
        ("sns:Publish", topics[0], "allowed"),
        ("sns:Publish", topics[1], "implicitDeny"),
    ]
    tagged = [
        {"ContextKeyName": key, "ContextKeyValues": [value], "ContextKeyType": "string"} for key, value in own.items()
    ]
    assert simulated("batch:DeleteJobQueue", ContextEntries=tagged)[0][2] == "explicitDeny"
    assert simulated("iam:GetRole", PolicyInputList=[document(allow("iam:GetRole"))])[0][2] == "allowed"
    told = iam.simulate_principal_policy(PolicySourceArn=arn, ActionNames=["batch:DeleteJobQueue"])[
        "EvaluationResults"
    ][0]
    assert told["MissingContextValues"] == [*own]
    iam.put_role_permissions_boundary(RoleName="r", PermissionsBoundary=edge)
    bounded = iam.simulate_principal_policy(PolicySourceArn=arn, ActionNames=["sns:Publish"], ResourceArns=topics[:1])[
        "EvaluationResults"
    ][0]
    assert (bounded["EvalDecision"], bounded["PermissionsBoundaryDecisionDetail"]) == (
        "implicitDeny",
        {"AllowedByPermissionsBoundary": False},
    )
    custom = iam.simulate_custom_policy(PolicyInputList=[document(allow("sns:*"))], ActionNames=["sns:Publish"])
    assert custom["EvaluationResults"][0]["EvalDecision"] == "allowed"

    refused(
        "InvalidInput", "Invalid Entity Arn", iam.simulate_principal_policy, PolicySourceArn=ME, ActionNames=["a:b"]
    )
    refused(
        "NoSuchEntity", "cannot be found", iam.simulate_principal_policy, PolicySourceArn=f"{arn}x", ActionNames=["a:b"]
    )


def test_a_job_signs_in_with_the_token_of_its_host(sandbox, iam, acting, refused):
    host = "token.actions.githubusercontent.com"
    provider = iam.create_open_id_connect_provider(
        Url=f"https://{host}", ClientIDList=["sts.amazonaws.com"], ThumbprintList=["0" * 40]
    )
    trust = {
        "Effect": "Allow",
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Principal": {"Federated": provider["OpenIDConnectProviderArn"]},
        "Condition": {
            "StringEquals": {f"{host}:aud": "sts.amazonaws.com", f"{host}:environment": "prod"},
            "StringLike": {f"{host}:sub": "repo:org/name:*"},
        },
    }
    arn = role(iam, "ci", allow("batch:Describe*"), trust=document(trust))
    sts = sandbox.session.client("sts", config=Config(signature_version=UNSIGNED))

    def token(**claims):
        given = {
            "iss": f"https://{host}",
            "aud": "sts.amazonaws.com",
            "sub": "repo:org/name:x",
            "environment": "prod",
            **claims,
        }
        return "e30." + base64.urlsafe_b64encode(json.dumps(given).encode()).decode().rstrip("=") + ".c2ln"

    def sign_in(**claims):
        return sts.assume_role_with_web_identity(RoleArn=arn, RoleSessionName="job", WebIdentityToken=token(**claims))

    found = sign_in()["Credentials"]
    held = {
        "aws_access_key_id": found["AccessKeyId"],
        "aws_secret_access_key": "x",
        "aws_session_token": found["SessionToken"],
    }
    acting("batch", held).describe_job_queues()
    refused(
        "AccessDeniedException", "assumed-role/ci/job is not authorized", acting("batch", held).list_jobs, jobQueue="q"
    )
    assert "sub" not in str(sandbox.calls[0].params.get("WebIdentityToken", "")), "the log has no tokens"

    denied = "Not authorized to perform sts:AssumeRoleWithWebIdentity"
    refused("AccessDenied", denied, sign_in, sub="repo:fork/name:x")
    refused("AccessDenied", denied, sign_in, environment="dev")
    refused("InvalidIdentityToken", "Incorrect token audience", sign_in, aud="other")
    refused(
        "InvalidIdentityToken",
        "No OpenIDConnect provider found in your account for https://else",
        sign_in,
        iss="https://else",
    )
    refused("ExpiredTokenException", "Token expired", sign_in, exp=1)
    asked = {"RoleArn": arn, "RoleSessionName": "job"}
    refused(
        "InvalidIdentityToken", "not a valid JWT", sts.assume_role_with_web_identity, **asked, WebIdentityToken="secret"
    )
    refused("AccessDenied", "sts:AssumeRole on", sandbox.client("sts").assume_role, **asked)


def test_a_session_ends_with_its_role(sandbox, iam, acting, refused):
    arn = role(iam, "r", allow("*"))
    held = keys(sandbox.client("sts"), arn)
    acting("batch", held).describe_job_queues()
    iam.delete_role_policy(RoleName="r", PolicyName="inline")
    iam.delete_role(RoleName="r")
    role(iam, "r", allow("*"))

    refused("UnrecognizedClientException", "security token", acting("batch", held).describe_job_queues)
    refused("InvalidClientTokenId", "security token", acting("iam", held).list_roles)
    announced = f"arn:aws:iam::{ACCOUNT}:role/announced"
    sandbox.let_assume(announced)
    sts = acting("sts", role(iam, "other", allow("batch:*")))
    refused("AccessDenied", "", sts.assume_role, RoleArn=announced, RoleSessionName="me")
    free = keys(sandbox.client("sts"), announced)
    acting("sns", free).create_topic(Name="t")


def test_names_are_read_wherever_the_protocol_has_them(sandbox, iam, acting, refused):
    """In the URL, as AWS Batch's tags and all of EventBridge Scheduler's; in lists of forms; in the path of an object."""
    arn = sandbox.client("batch").create_scheduling_policy(name="p")["arn"]
    scheduler, ec2 = sandbox.client("scheduler"), sandbox.client("ec2")
    group = scheduler.create_schedule_group(Name="g")["ScheduleGroupArn"]
    vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
    file_system = sandbox.client("efs").create_file_system(CreationToken="x")["FileSystemId"]
    topic = sandbox.client("sns").create_topic(Name="t")["TopicArn"]
    keys_only = {"ForAllValues:StringEquals": {"aws:TagKeys": ["team"]}}
    limited = role(
        iam, "r",
        allow(["batch:TagResource", "batch:UntagResource", "batch:ListTagsForResource"], arn, **keys_only),
        allow("scheduler:*", [group, f"{group.replace('schedule-group', 'schedule')}/*"], **keys_only),
        allow(["ec2:CreateTags", "ec2:DeleteTags"], f"arn:aws:ec2:*:*:vpc/{vpc}", **keys_only),
        allow("elasticfilesystem:*", f"arn:aws:elasticfilesystem:*:*:file-system/{file_system}"),
        allow("sns:*", topic, **keys_only),
    )  # fmt: skip
    session = keys(sandbox.client("sts"), limited)
    other = {arn: arn.replace("/p", "/q"), group: group.replace("/g", "/h"), vpc: "vpc-1", topic: f"{topic}2"}
    for service, call, name, given, rest in (
        ("batch", "tag_resource", "resourceArn", arn, {"tags": {"team": "a"}}),
        ("batch", "list_tags_for_resource", "resourceArn", arn, {}),
        ("batch", "untag_resource", "resourceArn", arn, {"tagKeys": ["team"]}),
        ("scheduler", "tag_resource", "ResourceArn", group, {"Tags": [{"Key": "team", "Value": "a"}]}),
        ("scheduler", "untag_resource", "ResourceArn", group, {"TagKeys": ["team"]}),
        ("ec2", "create_tags", "Resources", vpc, {"Tags": [{"Key": "team", "Value": "a"}]}),
        ("ec2", "delete_tags", "Resources", vpc, {"Tags": [{"Key": "team"}]}),
        ("sns", "tag_resource", "ResourceArn", topic, {"Tags": [{"Key": "team", "Value": "a"}]}),
        ("sns", "untag_resource", "ResourceArn", topic, {"TagKeys": ["team"]}),
    ):
        client = acting(service, session)
        asked = (lambda one: [one]) if name == "Resources" else str
        getattr(client, call)(**{name: asked(given)}, **rest)
        with pytest.raises(ClientError, match="not authorized"):
            getattr(client, call)(**{name: asked(other[given])}, **rest)
        if rest:
            more = json.loads(json.dumps(rest).replace("team", "owner"))
            with pytest.raises(ClientError, match="not authorized"):
                getattr(client, call)(**{name: asked(given)}, **more)

    acting("scheduler", session).get_schedule_group(Name="g")
    refused("AccessDeniedException", "schedule-group/h", acting("scheduler", session).get_schedule_group, Name="h")
    refused(
        "AccessDeniedException", "schedule/h/s", acting("scheduler", session).delete_schedule, GroupName="h", Name="s"
    )
    acting("efs", session).describe_file_systems(FileSystemId=file_system)
    refused("AccessDeniedException", "file-system/*", acting("efs", session).describe_file_systems)
