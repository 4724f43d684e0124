"""SNS in the sandbox, rule by rule.

https://docs.aws.amazon.com/sns/latest/api/API_Operations.html
"""

from __future__ import annotations

import json

import pytest

TOPIC = "arn:aws:sns:eu-west-1:123456789012:t"
TAGS = [{"Key": "a", "Value": "b"}]


@pytest.fixture
def sns(sandbox):
    client = sandbox.client("sns")
    client.create_topic(Name="t", Tags=TAGS)
    return client


@pytest.fixture
def mail(sns):
    given = {"TopicArn": TOPIC, "Protocol": "email", "Endpoint": "me@example.com"}
    return sns.subscribe(**given, ReturnSubscriptionArn=True)["SubscriptionArn"]


@pytest.fixture
def door(sandbox):
    from reconciler.sandbox.services.sns import subscription_event

    return lambda event: subscription_event(sandbox.account, TOPIC, "me@example.com", event)


def listed(sns):
    return [one["SubscriptionArn"] for one in sns.list_subscriptions_by_topic(TopicArn=TOPIC)["Subscriptions"]]


def test_the_same_topic_again_is_the_same_topic(sns):
    assert sns.create_topic(Name="t")["TopicArn"] == TOPIC
    assert sns.create_topic(Name="t", Tags=TAGS)["TopicArn"] == TOPIC


def test_a_topic_is_not_created_over_another(sns, refused):
    tags = [{"Key": "a", "Value": "other"}]
    refused("InvalidParameter", "Topic already exists with different tags", sns.create_topic, Name="t", Tags=tags)
    named = {"DisplayName": "other"}
    refused(
        "InvalidParameter", "already exists with different attributes", sns.create_topic, Name="t", Attributes=named
    )


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("DisplayName", "x" * 101, "DisplayName"),
        ("SQSSuccessFeedbackSampleRate", "101", "between 0 and 100"),
        ("ContentBasedDeduplication", "true", "can only be set for FIFO topics"),
        ("Policy", '{"Statement": [{"Action": "SNS:*"}]}', "action out of service scope"),
        ("Policy", '{"Statement": {"Action": ["sns:Publish", "kms:Decrypt"]}}', "action out of service scope"),
    ],
)
def test_attributes_of_topics_are_checked(sns, refused, name, value, text):
    given = {"TopicArn": TOPIC, "AttributeName": name, "AttributeValue": value}

    refused("InvalidParameter", text, sns.set_topic_attributes, **given)
    refused("InvalidParameter", text, sns.create_topic, Name="new", Attributes={name: value})


@pytest.mark.parametrize(
    ("endpoint", "attributes", "text"),
    [
        ("q.fifo", {}, "FIFO SQS Queues can not be subscribed to standard SNS topics"),
        ("q", {"RedrivePolicy": "{"}, "RedrivePolicy"),
        ("q", {"RedrivePolicy": '{"deadLetterTargetArn": "arn:aws:sns:eu-west-1:123456789012:t"}'}, "RedrivePolicy"),
        ("q", {"FilterPolicy": '{"status": "FAILED"}'}, "must be an object or an array"),
        ("q", {"FilterPolicy": '{"detail": {"status": ["FAILED"]}}'}, "does not support nested filter policy"),
    ],
)
def test_subscriptions_of_queues_are_checked(sns, refused, endpoint, attributes, text):
    queue = f"arn:aws:sqs:eu-west-1:123456789012:{endpoint}"
    given = {"TopicArn": TOPIC, "Protocol": "sqs", "Endpoint": queue, "Attributes": attributes}

    refused("InvalidParameter", text, sns.subscribe, **given)


def test_a_missing_topic(sns, refused):
    refused("NotFound", "", sns.get_topic_attributes, TopicArn=TOPIC + "x")
    sns.delete_topic(TopicArn=TOPIC + "x")


def test_tags_are_read_back_and_aws_is_reserved(sns, refused):
    sns.tag_resource(ResourceArn=TOPIC, Tags=[{"Key": "c", "Value": "d"}])
    sns.untag_resource(ResourceArn=TOPIC, TagKeys=["a"])

    assert sns.list_tags_for_resource(ResourceArn=TOPIC)["Tags"] == [{"Key": "c", "Value": "d"}]
    refused("InvalidParameter", "aws:", sns.tag_resource, ResourceArn=TOPIC, Tags=[{"Key": "aws:x", "Value": ""}])


def test_a_topic_has_its_default_policy(sns):
    attributes = sns.get_topic_attributes(TopicArn=TOPIC)["Attributes"]

    assert json.loads(attributes["Policy"])["Id"] == "__default_policy_ID"
    assert attributes["DisplayName"] == ""


def test_a_policy_may_only_name_who_exists(sns, refused):
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::123456789012:role/none"},
        "Action": "sns:Publish",
        "Resource": TOPIC,
    }
    text = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    given = {"TopicArn": TOPIC, "AttributeName": "Policy"}

    refused("InvalidParameter", "PrincipalNotFound", sns.set_topic_attributes, **given, AttributeValue=text)
    refused("InvalidParameter", "", sns.set_topic_attributes, **given, AttributeValue="nope")


def test_plain_subscribe_to_mail_answers_a_text(sns):
    given = {"TopicArn": TOPIC, "Protocol": "email", "Endpoint": "me@example.com"}

    assert sns.subscribe(**given)["SubscriptionArn"] == "pending confirmation"


def test_mail_is_pending_until_its_recipient_confirms(sns, mail, door, refused):
    attributes = sns.get_topic_attributes(TopicArn=TOPIC)["Attributes"]

    assert mail.startswith(TOPIC + ":")
    assert listed(sns) == ["PendingConfirmation"]
    assert [one["SubscriptionArn"] for one in sns.list_subscriptions()["Subscriptions"]] == ["PendingConfirmation"]
    assert (attributes["SubscriptionsPending"], attributes["SubscriptionsConfirmed"]) == ("1", "0")
    refused("InvalidParameter", "pending confirmation", sns.unsubscribe, SubscriptionArn=mail)
    refused("InvalidParameter", "", sns.unsubscribe, SubscriptionArn="PendingConfirmation")

    assert door("confirm")
    assert [mail] == listed(sns)
    sns.unsubscribe(SubscriptionArn=mail)
    assert listed(sns) == []


def test_subscribing_again_is_the_same_subscription(sns, mail):
    given = {"TopicArn": TOPIC, "Protocol": "email", "Endpoint": "me@example.com"}

    assert mail == sns.subscribe(**given, ReturnSubscriptionArn=True)["SubscriptionArn"]
    assert len(listed(sns)) == 1


def test_an_invitation_expires_after_two_days(sandbox, sns, mail):
    sandbox.advance(48 * 3600)

    assert listed(sns) == []


def test_a_recipient_may_leave(sns, mail, door):
    door("confirm")
    door("leave")

    assert listed(sns) == []
    assert not door("leave")


def test_subscriptions_are_checked(sns, refused):
    refused("InvalidParameter", "Email address", sns.subscribe, TopicArn=TOPIC, Protocol="email", Endpoint="me")
    refused("InvalidParameter", "protocol", sns.subscribe, TopicArn=TOPIC, Protocol="pigeon", Endpoint="me")
    refused("NotFound", "", sns.subscribe, TopicArn=TOPIC + "x", Protocol="email", Endpoint="me@example.com")


def test_attributes_are_stored_and_must_agree(sns, refused):
    given = {"TopicArn": TOPIC, "Protocol": "sqs", "Endpoint": "arn:aws:sqs:eu-west-1:123456789012:q"}
    arn = sns.subscribe(**given, Attributes={"RawMessageDelivery": "true"})["SubscriptionArn"]

    assert sns.get_subscription_attributes(SubscriptionArn=arn)["Attributes"]["RawMessageDelivery"] == "true"
    assert arn == sns.subscribe(**given, Attributes={"RawMessageDelivery": "true"})["SubscriptionArn"]
    other = {"RawMessageDelivery": "false"}
    refused("InvalidParameter", "already exists with different attributes", sns.subscribe, **given, Attributes=other)


def test_subscriptions_go_with_their_topic(sns, mail):
    sns.delete_topic(TopicArn=TOPIC)
    sns.create_topic(Name="t")

    assert listed(sns) == []


def test_tracing_is_kept_and_has_a_default(sandbox):
    """TracingConfig is PassThrough until it is set."""
    sns = sandbox.client("sns")
    plain = sns.create_topic(Name="plain")["TopicArn"]
    traced = sns.create_topic(Name="traced", Attributes={"TracingConfig": "Active"})["TopicArn"]
    before = sns.get_topic_attributes(TopicArn=traced)["Attributes"]["TracingConfig"]
    sns.set_topic_attributes(TopicArn=traced, AttributeName="TracingConfig", AttributeValue="PassThrough")

    assert sns.get_topic_attributes(TopicArn=plain)["Attributes"]["TracingConfig"] == "PassThrough"
    assert before == "Active"
    assert sns.get_topic_attributes(TopicArn=traced)["Attributes"]["TracingConfig"] == "PassThrough"
