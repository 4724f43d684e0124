"""The sandbox itself: its doors, its control, its faults, its process.

Which error codes throttle: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/throttling.html
"""

from __future__ import annotations

import http.client
import json
import shutil
import subprocess
import sys
import urllib.error
import urllib.request

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError, EndpointConnectionError, HTTPClientError

from reconciler.sandbox import process
from reconciler.sandbox.faults import Died, shuffled
from reconciler.sandbox.server import operations
from tests.support.effort import effort
from tests.support.waiting import PATIENCE, until

TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": ["batch.amazonaws.com"]}, "Action": ["sts:AssumeRole"]},
            {"Effect": "Allow", "Principal": {"AWS": "123456789012"}, "Action": "sts:AssumeRole"},
        ],
    }
)


def connect(sandbox, service, **config):
    """A client of its own, with its own retries."""
    return sandbox.session.client(service, config=Config(retries={"mode": "standard", **config}))


# --- the account ---


def test_one_account_in_every_region(sandbox):
    assert sandbox.client("sts").get_caller_identity()["Account"] == "123456789012"
    assert sandbox.client("sts", "us-east-1").get_caller_identity()["Account"] == "123456789012"

    sandbox.client("sns").create_topic(Name="here")

    assert sandbox.client("sns", "us-east-1").list_topics()["Topics"] == []
    assert [topic["TopicArn"] for topic in sandbox.client("sns").list_topics()["Topics"]] == [
        "arn:aws:sns:eu-west-1:123456789012:here"
    ]


def test_iam_is_the_same_from_every_region(sandbox):
    sandbox.client("iam", "us-west-2").create_role(RoleName="r", AssumeRolePolicyDocument=TRUST)

    assert [role["RoleName"] for role in sandbox.client("iam").list_roles()["Roles"]] == ["r"]


def test_batch_is_ours(sandbox, refused):
    batch = sandbox.client("batch")

    assert batch.describe_compute_environments()["computeEnvironments"] == []
    refused("ClientException", "", batch.delete_job_queue, jobQueue="none")


def test_batch_tags_travel_in_the_path(sandbox):
    batch = sandbox.client("batch")
    arn = batch.create_scheduling_policy(name="p", tags={"a": "b", "c": "d"})["arn"]
    batch.untag_resource(resourceArn=arn, tagKeys=["a", "x"])

    assert batch.list_tags_for_resource(resourceArn=arn)["tags"] == {"c": "d"}


def test_reset_empties_it(sandbox):
    sandbox.client("iam").create_role(RoleName="r", AssumeRolePolicyDocument=TRUST)
    sandbox.client("batch").create_scheduling_policy(name="p")
    group = sandbox.client("ec2").create_security_group(GroupName="g", Description="d")["GroupId"]
    sandbox.client("s3", "us-east-1").create_bucket(Bucket="mine")
    sandbox.faults.add(service="iam", code="Nope")

    sandbox.reset()

    assert sandbox.client("iam").list_roles()["Roles"] == []
    assert sandbox.client("batch").list_scheduling_policies()["schedulingPolicies"] == []
    assert sandbox.client("s3").list_buckets()["Buckets"] == []
    assert group not in [one["GroupId"] for one in sandbox.client("ec2").describe_security_groups()["SecurityGroups"]]


def test_reset_leaves_what_aws_provides(sandbox):
    arn = "arn:aws:iam::aws:policy/AmazonSNSFullAccess"
    sandbox.client("iam").create_role(RoleName="r", AssumeRolePolicyDocument=TRUST)
    sandbox.client("iam").attach_role_policy(RoleName="r", PolicyArn=arn)
    sandbox.client("ec2").create_security_group(GroupName="g", Description="d")

    sandbox.reset()

    assert sandbox.client("iam").get_policy(PolicyArn=arn)["Policy"]["AttachmentCount"] == 0
    linux = [{"Name": "name", "Values": ["amzn2-ami-hvm-2.*"]}]
    assert sandbox.client("ec2").describe_images(Owners=["amazon"], Filters=linux, MaxResults=5)["Images"]
    assert len(sandbox.client("ec2").describe_subnets()["Subnets"]) == 3


def test_reset_is_little_work(sandbox):
    sandbox.client("iam").create_role(RoleName="r", AssumeRolePolicyDocument=TRUST)
    sandbox.client("ec2").create_security_group(GroupName="g", Description="d")

    assert effort(sandbox.reset) < 50_000


def test_calls_are_logged_without_secrets(sandbox):
    sandbox.client("secretsmanager").create_secret(Name="s", SecretString="hush")
    sandbox.client("batch").describe_job_queues(jobQueues=["q"])
    first, second = sandbox.calls

    assert operations(sandbox.calls) == ["secretsmanager:CreateSecret", "batch:DescribeJobQueues"]
    assert first.params["SecretString"] == "(masked)"
    assert second.params == {"jobQueues": ["q"]}
    assert (first.status, first.region) == (200, "eu-west-1")


def test_what_moto_lacks_is_said_and_not_retried(sandbox, refused):
    iam = sandbox.client("iam")
    refused("NotImplemented", "iam:", iam.get_service_last_accessed_details, JobId="1" * 36)

    assert len(sandbox.calls) == 1


def test_a_compute_environment_holds_its_group_until_it_is_gone(sandbox, refused):
    iam, ec2, batch = (sandbox.client(service) for service in ("iam", "ec2", "batch"))
    trust = TRUST.replace("batch.amazonaws.com", "ec2.amazonaws.com")
    iam.create_role(RoleName="node", AssumeRolePolicyDocument=trust)
    policy = "arn:aws:iam::aws:policy/service-role/AmazonEC2ContainerServiceforEC2Role"
    iam.attach_role_policy(RoleName="node", PolicyArn=policy)
    profile = iam.create_instance_profile(InstanceProfileName="node")["InstanceProfile"]["Arn"]
    iam.add_role_to_instance_profile(InstanceProfileName="node", RoleName="node")
    group = ec2.create_security_group(GroupName="g", Description="d")["GroupId"]
    sandbox.advance(60)
    batch.create_compute_environment(
        computeEnvironmentName="c",
        type="MANAGED",
        computeResources={
            "type": "EC2",
            "minvCpus": 4,
            "maxvCpus": 8,
            "instanceTypes": ["optimal"],
            "subnets": [ec2.describe_subnets()["Subnets"][0]["SubnetId"]],
            "securityGroupIds": [group],
            "instanceRole": profile,
        },
    )
    sandbox.advance(600)
    described = batch.describe_compute_environments()["computeEnvironments"][0]
    linked = iam.get_role(RoleName="AWSServiceRoleForBatch")["Role"]["Arn"]

    assert ("VALID", linked) == (described["status"], described["serviceRole"])
    refused("DependencyViolation", "", ec2.delete_security_group, GroupId=group)
    batch.update_compute_environment(computeEnvironment="c", state="DISABLED")
    sandbox.advance(600)
    batch.delete_compute_environment(computeEnvironment="c")
    sandbox.advance(600)
    ec2.delete_security_group(GroupId=group)


# --- faults ---


@pytest.mark.parametrize(
    ("service", "operation", "code"),
    [
        ("iam", "list_roles", "Throttling"),
        ("ec2", "describe_vpcs", "RequestLimitExceeded"),
        ("ecr", "describe_repositories", "ThrottlingException"),
        ("batch", "describe_job_queues", "TooManyRequestsException"),
        ("resourcegroupstaggingapi", "get_resources", "ThrottledException"),
    ],
)
def test_every_service_throttles_in_its_own_words(sandbox, refused, service, operation, code):
    sandbox.faults.add(throttle=True, times=0)
    client = connect(sandbox, service, total_max_attempts=1)

    refused(code, "", getattr(client, operation))


def test_a_throttled_call_passes_when_it_is_repeated(sandbox):
    sandbox.faults.add(service="batch", throttle=True, times=1)
    reply = connect(sandbox, "batch", total_max_attempts=3).describe_job_queues()

    assert reply["ResponseMetadata"]["RetryAttempts"] == 1


def test_access_is_denied_by_operation(sandbox, refused):
    sandbox.faults.add(service="iam", operation="GetAccountAuthorizationDetails", code="AccessDenied", times=0)
    iam = sandbox.client("iam")

    refused("AccessDenied", "iam:GetAccountAuthorizationDetails", iam.get_account_authorization_details)
    assert iam.list_roles()["Roles"] == []


def test_only_the_nth_call_fails(sandbox, refused):
    sandbox.faults.add(service="sns", operation="List*", nth=2, code="InternalError", status=400)
    sns = sandbox.client("sns")
    sns.list_topics()

    refused("InternalError", "", sns.list_topics)
    sns.list_topics()


def test_some_calls_fail_by_chance(sandbox):
    sandbox.faults.add(service="sns", probability=0.5, seed=3, times=0, code="Unlucky")
    sns = sandbox.client("sns")
    failed = 0
    for _ in range(40):
        try:
            sns.list_topics()
        except ClientError:
            failed += 1

    assert 5 < failed < 35


def test_a_lost_reply_was_performed(sandbox):
    sandbox.faults.add(service="sns", operation="CreateTopic", lost=True)
    sns = connect(sandbox, "sns", total_max_attempts=1)

    with pytest.raises(ConnectionClosedError):
        sns.create_topic(Name="t")
    assert len(sns.list_topics()["Topics"]) == 1


def test_a_lost_reply_is_asked_for_again(sandbox):
    sandbox.faults.add(service="iam", operation="CreateRole", lost=True)
    iam = connect(sandbox, "iam", total_max_attempts=2)

    with pytest.raises(ClientError, match="EntityAlreadyExists"):
        iam.create_role(RoleName="r", AssumeRolePolicyDocument=TRUST)


def test_a_killed_run_gets_no_further(sandbox):
    sandbox.faults.add(service="sns", nth=2, die=True)
    sns = sandbox.client("sns")
    sns.create_topic(Name="one")

    with pytest.raises(Died):
        sns.create_topic(Name="two")
    with pytest.raises(Died):
        sandbox.client("iam").list_roles()
    sandbox.faults.clear()
    assert len(sns.list_topics()["Topics"]) == 1


def test_a_delay_takes_virtual_time(sandbox):
    sandbox.faults.add(service="sns", delay=30)
    before = sandbox.clock.now()
    sandbox.client("sns").list_topics()

    assert sandbox.clock.now() - before == 30


# --- another order ---


def test_replies_come_shuffled_and_mean_the_same(sandbox):
    iam, sns = sandbox.client("iam"), sandbox.client("sns")
    iam.create_role(RoleName="r", AssumeRolePolicyDocument=TRUST)
    for n in range(8):
        sns.create_topic(Name=f"t{n}")
    plain = [topic["TopicArn"] for topic in sns.list_topics()["Topics"]]
    sandbox.change({"shuffle": 1})

    orders = {tuple(topic["TopicArn"] for topic in sns.list_topics()["Topics"]) for _ in range(4)}
    texts = [json.dumps(iam.get_role(RoleName="r")["Role"]["AssumeRolePolicyDocument"]) for _ in range(12)]

    assert len(orders) > 1
    assert {tuple(sorted(plain))} == {tuple(sorted(order)) for order in orders}
    assert len(set(texts)) > 1
    assert any('"Service": "batch.amazonaws.com"' in text for text in texts)
    assert all("arn:aws:iam::123456789012:root" in text for text in texts)


def test_a_shuffle_repeats_with_its_seed(sandbox):
    def orders():
        sandbox.change({"shuffle": 7})
        return [[one["SubnetId"] for one in sandbox.client("ec2").describe_subnets()["Subnets"]] for _ in range(5)]

    assert orders() == orders()


def test_order_that_means_something_is_kept():
    import random

    policy = json.dumps({"rules": [{"rulePriority": n} for n in range(9)]})

    mixed = shuffled({"lifecyclePolicyText": policy}, random.Random(1))

    assert json.loads(policy) == json.loads(mixed["lifecyclePolicyText"])


# --- over HTTP ---


def at(url, service, **config):
    session = boto3.Session(aws_access_key_id="any", aws_secret_access_key="thing", region_name="eu-west-1")
    return session.client(service, endpoint_url=url, config=Config(retries={"mode": "standard", **config}))


def ask(url, door, values=None, method=None):
    body = None if values is None else json.dumps(values).encode()
    request = urllib.request.Request(f"{url}/_sandbox/{door}", data=body, method=method)
    with urllib.request.urlopen(request, timeout=10) as reply:
        return json.loads(reply.read())


def test_any_client_with_any_credentials(sandbox_url):
    at(sandbox_url, "iam").create_role(RoleName="r", AssumeRolePolicyDocument=TRUST)

    assert at(sandbox_url, "sts").get_caller_identity()["Account"] == "123456789012"
    assert at(sandbox_url, "iam").get_role(RoleName="r")["Role"]["RoleName"] == "r"
    assert at(sandbox_url, "batch").describe_job_queues()["jobQueues"] == []
    assert at(sandbox_url, "resourcegroupstaggingapi").get_resources()["ResourceTagMappingList"] == []


def test_objects_go_through_too(sandbox_url):
    s3 = at(sandbox_url, "s3")
    s3.create_bucket(Bucket="mine", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.put_object(Bucket="mine", Key="a/b c", Body=b"x" * 100_000)

    assert s3.get_object(Bucket="mine", Key="a/b c")["Body"].read() == b"x" * 100_000


def test_a_connection_is_kept(sandbox_url):
    connection = http.client.HTTPConnection(sandbox_url.removeprefix("http://"))
    ports = []
    for _ in range(3):
        connection.request("GET", "/_sandbox/status")
        connection.getresponse().read()
        ports.append(connection.sock and connection.sock.getsockname()[1])
    connection.close()

    assert ports[0] and len(set(ports)) == 1


def test_the_control_door_shows_and_moves_time(sandbox_url):
    before = ask(sandbox_url, "clock")["now"]
    after = ask(sandbox_url, "clock", {"advance": 3600})["now"]
    ask(sandbox_url, "clock", {"speed": 50})

    assert 3600 <= after - before < 3700
    assert ask(sandbox_url, "status")["speed"] == 50
    assert ask(sandbox_url, "clock", {"speed": 1})["speed"] == 1


def test_the_control_door_changes_settings(sandbox_url):
    changed = ask(sandbox_url, "settings", {"iam_delay": 3, "queue_create": 9})

    assert (changed["iam_delay"], changed["queue_create"]) == (3, 9)
    refused = [
        ({"iam_dely": 3}, "unknown name"),
        ({"iam_delay": 1, "nope": 2}, "unknown name"),
        ({"iam_delay": 1, "no_capacity": "m5.*"}, "no_capacity should be a list of texts"),
        ({"vcpu_quotas": {"g*": "0"}}, "each a whole number"),
        ({"blocked_after": -1}, "blocked_after should be a number, not negative"),
        ({"duplicate": "no"}, "ClientException or ConflictException"),
        ({"outcomes": {"j": ["exit:999"]}}, "'exit:999' is not an end of an attempt"),
        ({"outcomes": {"j": [{"lines": [{"at": 1}]}]}}, "is not an end of an attempt"),
    ]
    for wrong, text in refused:
        with pytest.raises(urllib.error.HTTPError) as caught:
            ask(sandbox_url, "settings", wrong)
        assert text in json.loads(caught.value.read())["error"]
    assert ask(sandbox_url, "settings")["iam_delay"] == 3


def test_the_control_door_adds_faults_and_clears_them(sandbox_url):
    ask(sandbox_url, "faults", {"service": "sns", "code": "AccessDenied", "times": 0})

    with pytest.raises(ClientError, match="AccessDenied"):
        at(sandbox_url, "sns").list_topics()
    assert ask(sandbox_url, "faults")["faults"][0]["struck"] == 1
    ask(sandbox_url, "faults", method="DELETE")
    assert at(sandbox_url, "sns").list_topics()["Topics"] == []


def test_lost_and_dead_close_the_connection(sandbox_url):
    ask(sandbox_url, "faults", {"operation": "CreateTopic", "lost": True})
    with pytest.raises(HTTPClientError):
        at(sandbox_url, "sns", total_max_attempts=1).create_topic(Name="t")
    assert len(at(sandbox_url, "sns").list_topics()["Topics"]) == 1
    ask(sandbox_url, "faults", {"die": True})
    with pytest.raises(HTTPClientError):
        at(sandbox_url, "sns", total_max_attempts=1).list_topics()
    assert ask(sandbox_url, "faults")["dead"]


def test_the_control_door_gives_the_log(sandbox_url):
    at(sandbox_url, "sns").list_topics()
    at(sandbox_url, "sns").create_topic(Name="t")
    calls = ask(sandbox_url, "calls")["calls"]

    assert [one["operation"] for one in calls] == ["ListTopics", "CreateTopic"]
    assert [one["operation"] for one in ask(sandbox_url, "calls?since=1")["calls"]] == ["CreateTopic"]


def test_the_control_door_answers_for_recipients(sandbox_url):
    sns = at(sandbox_url, "sns")
    topic = sns.create_topic(Name="t")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="email", Endpoint="me@example.com")

    assert ask(sandbox_url, "subscriptions", {"topic": topic, "endpoint": "me@example.com"})["changed"]
    assert sns.list_subscriptions()["Subscriptions"][0]["SubscriptionArn"].startswith(topic)


@pytest.mark.parametrize(("door", "status"), [("nonsense", 404), ("faults?", 200)])
def test_unknown_doors_are_named(sandbox_url, door, status):
    if status == 200:
        assert ask(sandbox_url, door)["faults"] == []
        return
    with pytest.raises(urllib.error.HTTPError) as caught:
        ask(sandbox_url, door)
    assert (status, True) == (caught.value.code, "settings" in json.loads(caught.value.read())["error"])


@pytest.mark.skipif(shutil.which("aws") is None, reason="the AWS CLI is not installed")
@pytest.mark.long
def test_the_aws_cli_works(sandbox_url, tmp_path):
    environment = {**process.environment(sandbox_url), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}

    def aws(*arguments):
        command = [shutil.which("aws"), *arguments]
        return json.loads(subprocess.run(command, env=environment, capture_output=True, check=True, text=True).stdout)

    aws("sns", "create-topic", "--name", "t", "--tags", "Key=a,Value=b")

    assert aws("sts", "get-caller-identity")["Account"] == "123456789012"
    assert (
        len(aws("resourcegroupstaggingapi", "get-resources", "--tag-filters", "Key=a")["ResourceTagMappingList"]) == 1
    )
    assert aws("batch", "describe-job-queues")["jobQueues"] == []


# --- in the background ---


@pytest.fixture
def background(monkeypatch, tmp_path):
    monkeypatch.setenv("RECONCILE_SANDBOX_DIR", str(tmp_path / "state"))
    yield tmp_path / "state"
    process.stop()


def test_it_runs_once_and_stops_and_a_dead_one_is_noticed(background):
    assert process.status() is None
    killed = process.start()
    subprocess.run(["kill", "-KILL", str(killed.pid)], check=True)
    until(lambda: process.status() is None)

    started = process.start(speed=100)
    again = process.start()
    at(started.url, "sns").create_topic(Name="t")

    assert killed != started == again == process.status()
    assert process.control(started.url, "status")["speed"] == 100
    assert process.reset()
    assert at(started.url, "sns").list_topics()["Topics"] == []
    assert started == process.stop()
    assert process.status() is None
    assert process.stop() is None
    assert not process.reset()
    with pytest.raises(EndpointConnectionError):
        at(started.url, "sns", total_max_attempts=1).list_topics()


@pytest.mark.long  # as in test_sandbox_command
def test_a_taken_port_is_said(background, sandbox_url):
    port = int(sandbox_url.rpartition(":")[2])

    with pytest.raises(process.SandboxError, match=f"cannot listen on 127.0.0.1:{port}"):
        process.start(port=port)


def test_a_state_file_of_somebody_else_counts_as_nothing(background, sandbox_url):
    background.mkdir()
    (background / "sandbox.json").write_text(json.dumps({"url": "http://127.0.0.1:9", "pid": 1}))

    assert process.status() is None
    (background / "sandbox.json").write_text("{")
    assert process.status() is None


def test_exports_point_a_shell_at_it():
    lines = process.exports("http://127.0.0.1:4")

    assert "export AWS_ENDPOINT_URL=http://127.0.0.1:4" in lines
    assert "export AWS_REGION=eu-west-1" in lines
    assert all(line.startswith("export AWS_") for line in lines)


def test_without_moto_it_says_what_to_install(tmp_path):
    for name in ("moto",):
        (tmp_path / f"{name}.py").write_text("raise ModuleNotFoundError(\"No module named 'moto'\", name='moto')\n")
    command = [sys.executable, "-m", "reconciler.sandbox"]
    ran = subprocess.run(
        command, env={"PYTHONPATH": f"{tmp_path}:."}, capture_output=True, text=True, check=False, timeout=PATIENCE
    )

    assert ran.returncode == 1
    assert "batch-reconcile[sandbox]" in ran.stderr
    assert "Traceback" not in ran.stderr
