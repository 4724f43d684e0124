"""The history of CloudTrail: what is recorded of a call, how it is found, and the limits of LookupEvents.

https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html
https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-user-identity.html
https://docs.aws.amazon.com/batch/latest/userguide/logging-using-cloudtrail.html
"""

from __future__ import annotations

import json
from datetime import UTC, datetime

import boto3
import botocore
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

DELAY = 300
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"AWS": "123456789012"}, "Action": "sts:AssumeRole"}],
    }
)
ONCE = Config(retries={"total_max_attempts": 1})


class Looking:
    """Look-ups, each a second after the last, of events that were delivered; ``last`` is the whole reply."""

    def __init__(self, sandbox, region="eu-west-1"):
        self.sandbox = sandbox
        self.client = sandbox.session.client("cloudtrail", region_name=region, config=ONCE)

    def __call__(self, key=None, value="", **params):
        if key:
            params["LookupAttributes"] = [{"AttributeKey": key, "AttributeValue": value}]
        self.sandbox.clock.advance(1)
        self.last = self.client.lookup_events(**params)
        return [json.loads(event["CloudTrailEvent"]) for event in self.last["Events"]]

    def one(self, name):
        """The only event of a name."""
        (found,) = self("EventName", name)
        return found


@pytest.fixture
def looking(sandbox):
    return Looking(sandbox)


def keyed(sandbox, service, key, secret, token=None, **config):
    """A client with other credentials, perhaps with another user agent."""
    session = boto3.Session(key, secret, token, region_name="eu-west-1")
    sandbox.attach(session)
    return session.client(service, config=Config(**config))


def test_an_event_says_what_was_asked_and_by_whom(sandbox, looking):
    now = sandbox.clock.now()
    batch = sandbox.session.client("batch", config=Config(user_agent="Mozilla/5.0"))
    job = {
        "image": "alpine",
        "environment": [{"name": "A", "value": "shown"}],
        "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "2048"}],
    }
    batch.register_job_definition(jobDefinitionName="job", type="container", containerProperties=job)
    sandbox.clock.advance(DELAY)
    event = looking.one("RegisterJobDefinition")
    (shown,) = looking.last["Events"]
    at = datetime.fromtimestamp(int(now), UTC)

    expected = {
        "eventSource": "batch.amazonaws.com",
        "eventTime": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "awsRegion": "eu-west-1",
        "sourceIPAddress": "127.0.0.1",
        "userAgent": "Mozilla/5.0 Botocore/" + botocore.__version__,
        "readOnly": False,
        "requestParameters": {"jobDefinitionName": "job", "type": "container", "containerProperties": job},
        "userIdentity": {
            "type": "Root",
            "principalId": "123456789012",
            "arn": "arn:aws:iam::123456789012:root",
            "accountId": "123456789012",
            "accessKeyId": "test",
        },
    }
    assert expected == {name: event[name] for name in expected}
    assert event["responseElements"]["revision"] == 1
    assert "resources" not in event and "errorCode" not in event
    assert shown["Resources"] == []
    assert (shown["EventTime"], shown["Username"], shown["ReadOnly"]) == (at, "root", "false")
    assert shown["EventId"] == event["eventID"]


def test_parameters_are_written_as_each_service_does(sandbox, looking):
    batch, ec2, iam = sandbox.client("batch"), sandbox.client("ec2"), sandbox.client("iam")
    policy = batch.create_scheduling_policy(name="p")["arn"]
    batch.tag_resource(resourceArn=policy, tags={"Team": "a"})
    batch.untag_resource(resourceArn=policy, tagKeys=["Team"])
    group = ec2.create_security_group(GroupName="g", Description="d")["GroupId"]
    ranges = [{"IpProtocol": "tcp", "FromPort": 1, "ToPort": 2, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}]
    rules = ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=ranges)["SecurityGroupRules"]
    rule = {
        "SecurityGroupRuleId": rules[0]["SecurityGroupRuleId"],
        "SecurityGroupRule": {"IpProtocol": "tcp", "FromPort": 1, "ToPort": 3, "CidrIpv4": "10.0.0.0/8"},
    }
    ec2.modify_security_group_rules(GroupId=group, SecurityGroupRules=[rule])
    ec2.create_tags(Resources=[group], Tags=[{"Key": "Team", "Value": "a"}])
    template = ec2.create_launch_template(LaunchTemplateName="lt1", LaunchTemplateData={"UserData": "aHVzaA=="})
    iam.create_role(RoleName="r", AssumeRolePolicyDocument=TRUST, Tags=[{"Key": "Team", "Value": "a"}])
    sandbox.client("secretsmanager").create_secret(Name="s", SecretString="hush")
    sandbox.client("sns").create_topic(Name="t", Attributes={"DisplayName": "T"})
    sandbox.clock.advance(DELAY)
    written = {event["eventName"]: event for event in looking("ReadOnly", "false")}

    def asked(name):
        return written[name]["requestParameters"]

    assert asked("TagResource") == {"resourceArn": policy, "tags": {"Team": "a"}}
    assert asked("UntagResource") == {"resourceArn": policy, "tagKeys": ["Team"]}
    items = [{"ipProtocol": "tcp", "fromPort": 1, "toPort": 2, "ipRanges": {"items": [{"cidrIp": "10.0.0.0/8"}]}}]
    assert asked("AuthorizeSecurityGroupIngress") == {"groupId": group, "ipPermissions": {"items": items}}
    assert asked("ModifySecurityGroupRules")["ModifySecurityGroupRulesRequest"]["GroupId"] == group
    tags = {"items": [{"key": "Team", "value": "a"}]}
    assert asked("CreateTags") == {"resourcesSet": {"items": [{"resourceId": group}]}, "tagSet": tags}
    launch = asked("CreateLaunchTemplate")["CreateLaunchTemplateRequest"]
    assert launch["LaunchTemplateData"] == {"UserData": "<sensitiveDataRemoved>"}
    assert asked("CreateSecret")["secretString"] == "HIDDEN_DUE_TO_SECURITY_REASONS"
    assert asked("CreateTopic") == {"name": "t", "attributes": {"DisplayName": "T"}}
    assert "hush" not in json.dumps(list(written.values())) and "aHVzaA" not in json.dumps(list(written.values()))

    home = Looking(sandbox, "us-east-1")
    assert "CreateRole" not in written
    assert home.one("CreateRole")["requestParameters"]["tags"] == [{"key": "Team", "value": "a"}]
    assert home.last["Events"][0]["Resources"] == [{"ResourceType": "AWS::IAM::Role", "ResourceName": "r"}]
    found = [event["eventName"] for event in looking("ResourceName", group)]
    assert found == ["CreateTags", "ModifySecurityGroupRules", "AuthorizeSecurityGroupIngress", "CreateSecurityGroup"]
    assert looking("ResourceName", template["LaunchTemplate"]["LaunchTemplateId"])
    assert looking("ResourceName", policy) == looking("ResourceName", "p") == []


def test_who_called_is_a_user_a_session_or_a_service(sandbox, looking):
    iam, sts = sandbox.client("iam"), sandbox.client("sts")
    iam.create_user(UserName="ann")
    iam.attach_user_policy(UserName="ann", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    key = iam.create_access_key(UserName="ann")["AccessKey"]
    role = iam.create_role(RoleName="ops", AssumeRolePolicyDocument=TRUST)["Role"]
    iam.attach_role_policy(RoleName="ops", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    taken = sts.assume_role(RoleArn=role["Arn"], RoleSessionName="bob")["Credentials"]
    keyed(sandbox, "batch", key["AccessKeyId"], key["SecretAccessKey"]).create_scheduling_policy(name="anns")
    session = (taken["AccessKeyId"], taken["SecretAccessKey"], taken["SessionToken"])
    keyed(sandbox, "batch", *session).create_scheduling_policy(name="bobs")
    sandbox.sandbox.account.trail.identities["SSO"] = {"type": "IdentityCenterUser", "accessKeyId": "SSO"}
    keyed(sandbox, "batch", "SSO", "x").create_scheduling_policy(name="other")
    sandbox.clock.advance(DELAY)
    other, bobs, anns = (event["userIdentity"] for event in looking("EventName", "CreateSchedulingPolicy"))

    assert (anns["type"], anns["userName"], anns["accessKeyId"]) == ("IAMUser", "ann", key["AccessKeyId"])
    assert bobs["arn"] == "arn:aws:sts::123456789012:assumed-role/ops/bob"
    issuer = {"type": "Role", "arn": role["Arn"], "accountId": "123456789012", "userName": "ops"}
    assert issuer.items() <= bobs["sessionContext"]["sessionIssuer"].items()
    assert other == {"type": "IdentityCenterUser", "accessKeyId": "SSO"}
    assert [event["userIdentity"] for event in looking("Username", "bob")] == [bobs]
    assert [event["userIdentity"] for event in looking("AccessKeyId", key["AccessKeyId"])] == [anns]


def test_what_was_refused_is_recorded_with_its_error(sandbox, looking, refused):
    ec2 = sandbox.client("ec2")
    refused("ClientException", "", sandbox.client("batch").update_job_queue, jobQueue="none", priority=1)
    refused("InvalidGroup.NotFound", "", ec2.delete_security_group, GroupId="sg-0123456789abcdef0")
    sandbox.faults.add(service="sns", operation="CreateTopic", deny=True)
    refused("AuthorizationError", "", sandbox.client("sns").create_topic, Name="t")
    sandbox.clock.advance(DELAY)

    assert looking.one("UpdateJobQueue")["errorCode"] == "ClientException"
    assert looking.one("DeleteSecurityGroup")["errorCode"] == "Client.InvalidGroup.NotFound"
    denied = looking.one("CreateTopic")
    assert (denied["errorCode"], denied["responseElements"]) == ("AuthorizationError", None)
    assert "sns:CreateTopic" in denied["errorMessage"]


def test_reads_are_events_and_messages_are_not(sandbox, looking):
    topic = sandbox.client("sns").create_topic(Name="t")["TopicArn"]
    sandbox.client("sns").publish(TopicArn=topic, Message="m")
    sandbox.client("batch").describe_job_queues()
    sandbox.clock.advance(DELAY)

    assert looking.one("DescribeJobQueues")["readOnly"]
    assert looking("EventName", "Publish") == []
    assert [event["eventName"] for event in looking("EventSource", "batch.amazonaws.com")] == ["DescribeJobQueues"]


def test_events_are_late_end_after_90_days_and_come_in_pages(sandbox, looking, refused):
    batch, begin = sandbox.client("batch"), sandbox.clock.now()
    for number in range(60):
        batch.create_scheduling_policy(name=f"p{number}")
        sandbox.clock.advance(1)
    sandbox.clock.advance(DELAY - 11.5)  # of the last ten nothing is known
    by = {"LookupAttributes": [{"AttributeKey": "EventName", "AttributeValue": "CreateSchedulingPolicy"}]}

    def names(events):
        return [event["requestParameters"]["name"] for event in events]

    assert names(looking(**by)) == [f"p{number}" for number in range(49, -1, -1)]
    assert "NextToken" not in looking.last
    sandbox.clock.advance(10.5)
    assert names(looking(**by)) == [f"p{number}" for number in range(59, 9, -1)]
    token = looking.last["NextToken"]
    refused("InvalidNextTokenException", "", looking.client.lookup_events, NextToken=token)
    assert names(looking(**by, NextToken=token)) == [f"p{number}" for number in range(9, -1, -1)]
    start, end = (datetime.fromtimestamp(begin + seconds, UTC) for seconds in (4.5, 7.5))
    assert names(looking(**by, StartTime=start, EndTime=end, MaxResults=2)) == ["p7", "p6"]
    assert names(looking(**by, StartTime=start, EndTime=end, MaxResults=2, NextToken=looking.last["NextToken"])) == [
        "p5"
    ]
    refused("InvalidTimeRangeException", "", looking.client.lookup_events, StartTime=end, EndTime=start)
    sandbox.clock.advance(1)
    two = by["LookupAttributes"] * 2
    refused("InvalidLookupAttributesException", "", looking.client.lookup_events, LookupAttributes=two)
    sandbox.clock.advance(90 * 86400)
    assert looking(**by) == []


def test_two_look_ups_a_second_in_each_region(sandbox):
    here, there = Looking(sandbox).client, Looking(sandbox, "us-east-1").client
    for client in (here, there, here, there):
        client.lookup_events()
    with pytest.raises(ClientError) as caught:
        here.lookup_events()
    error = caught.value.response
    assert (error["Error"]["Code"], error["Error"]["Message"]) == ("ThrottlingException", "Rate exceeded")
    assert error["ResponseMetadata"]["HTTPStatusCode"] == 400
    sandbox.clock.advance(1)
    here.lookup_events()


def test_the_delay_can_be_set_and_a_reset_forgets(sandbox, looking):
    sandbox.sandbox.change({"trail_delay": 0})
    sandbox.client("batch").create_scheduling_policy(name="p")
    assert looking.one("CreateSchedulingPolicy")
    sandbox.sandbox.account.reset()
    assert looking("EventName", "CreateSchedulingPolicy") == []


def test_services_call_in_their_own_name(sandbox, looking):
    """AWS Batch starts instances, as its role; a schedule submits its jobs, as the role that it names."""
    from reconciler.sandbox.account import AccountSurroundings
    from reconciler.sandbox.batch.surroundings import Launch
    from reconciler.sandbox.services.scheduler import identity

    account = sandbox.sandbox.account
    subnet = sandbox.client("ec2").describe_subnets()["Subnets"][0]["SubnetId"]
    AccountSurroundings(account, "eu-west-1").launch(Launch("ce", "AWSBatch-ce-asg-1", "m5.large", subnet))
    by = identity("arn:aws:iam::123456789012:role/nightly", account.id)
    account.trail.record_service("scheduler.amazonaws.com", "batch", "SubmitJob", "eu-west-1", {"jobName": "j"}, by)
    sandbox.clock.advance(DELAY)
    started, submitted = looking.one("RunInstances"), looking.one("SubmitJob")

    assert started["userIdentity"]["arn"].endswith(":assumed-role/AWSServiceRoleForBatch/aws-batch")
    assert started["userIdentity"]["invokedBy"] == started["sourceIPAddress"] == "batch.amazonaws.com"
    assert submitted["userIdentity"]["arn"] == "arn:aws:sts::123456789012:assumed-role/nightly/scheduler"
    assert submitted["userAgent"] == "scheduler.amazonaws.com"
