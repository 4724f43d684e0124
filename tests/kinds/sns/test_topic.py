"""Topics: attributes that are text, and subscriptions that wait for their recipient."""

from __future__ import annotations

import json

import pytest

from reconciler.kinds.sns.topic import KIND
from reconciler.model import Call, Effect, JsonText, Live, On, Refused, Sought
from tests.support.service_kinds import (
    INDEX,
    OWNED,
    SCOPE,
    TAGS,
    changed,
    differs,
    found,
    read,
    want,
    withstands_expressions,
)

ARN = "arn:aws:sns:eu-west-1:123456789012:t"
QUEUE = "arn:aws:sqs:eu-west-1:123456789012:q"
MAIL = {"protocol": "email", "endpoint": "User001@example.com"}
BUSY = (On("ConcurrentAccess"), On("StaleTag"))
OWN_POLICY = {
    "Version": "2008-10-17",
    "Id": "__default_policy_ID",
    "Statement": [
        {
            "Sid": "__default_statement_ID",
            "Effect": "Allow",
            "Principal": {"AWS": "*"},
            "Action": ["SNS:GetTopicAttributes", "SNS:Publish"],
            "Resource": ARN,
            "Condition": {"StringEquals": {"AWS:SourceOwner": "123456789012"}},
        }
    ],
}
ATTRIBUTES = {
    "TopicArn": ARN,
    "Owner": "123456789012",
    "DisplayName": "",
    "TracingConfig": "PassThrough",
    "Policy": json.dumps(OWN_POLICY),
    "EffectiveDeliveryPolicy": '{"http":{"defaultHealthyRetryPolicy":{"numRetries":3}}}',
    "SubscriptionsConfirmed": "1",
    "SubscriptionsPending": "1",
    "SubscriptionsDeleted": "0",
    "HTTPSuccessFeedbackSampleRate": "0",
}
PUBLISH = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sns:Publish", "Resource": ARN}
    ],
}


def call(operation, retry_on=BUSY, ok_if=(), patience=300.0, **params):
    return Call("sns", operation, params, retry_on=retry_on, ok_if=ok_if, patience=patience)


def asked(operation, *, all_pages=False, **params):
    return Call("sns", operation, params, all_pages=all_pages)


def about(attributes, subscriptions=(), tags=TAGS):
    return [
        (asked("GetTopicAttributes", TopicArn=ARN), {"Attributes": attributes}),
        (asked("ListTagsForResource", ResourceArn=ARN), {"Tags": tags}),
        (asked("ListSubscriptionsByTopic", all_pages=True, TopicArn=ARN), {"Subscriptions": list(subscriptions)}),
        *([] if attributes.get("FifoTopic") == "true" else [guard()]),
    ]


def guard(text=""):
    return asked("GetDataProtectionPolicy", ResourceArn=ARN), text if isinstance(text, Refused) else {
        "DataProtectionPolicy": text
    }


def subscription(protocol, endpoint, arn):
    return {
        "SubscriptionArn": arn,
        "Owner": "123456789012",
        "Protocol": protocol,
        "Endpoint": endpoint,
        "TopicArn": ARN,
    }


def live(*subscriptions, attributes=None):
    """``subscriptions``: (protocol, endpoint, state or attributes); a state is what stands for the ARN."""
    listed, replies = [], []
    for number, (protocol, endpoint, state) in enumerate(subscriptions):
        arn = state if isinstance(state, str) else f"{ARN}:{number}"
        listed.append(subscription(protocol, endpoint, arn))
        if not isinstance(state, str):
            shown = {
                "SubscriptionArn": arn,
                "Protocol": protocol,
                "RawMessageDelivery": "false",
                "PendingConfirmation": "false",
            }
            replies.append(
                (asked("GetSubscriptionAttributes", SubscriptionArn=arn), {"Attributes": {**shown, **state}})
            )
    rounds = [about({**ATTRIBUTES, **(attributes or {})}, listed), *([replies] if replies else [])]
    (found_one,) = read(KIND, rounds, "t")
    return found_one


# --- reading ---------------------------------------------------------------------------------------------------------


def test_a_live_topic_is_in_yamls_shape():
    one = live(("email", "User001@example.com", "PendingConfirmation"), ("sqs", QUEUE, {"RawMessageDelivery": "true"}))

    assert one.attrs == {"name": "t", "arn": ARN}
    assert one.props["policy"] == OWN_POLICY
    assert one.props["attributes"] == {
        "DisplayName": "",
        "TracingConfig": "PassThrough",
        "HTTPSuccessFeedbackSampleRate": "0",
    }
    assert one.props["subscriptions"] == [
        {"protocol": "email", "endpoint": "user001@example.com"},
        {"protocol": "sqs", "endpoint": QUEUE, "attributes": {"RawMessageDelivery": "true"}},
    ]
    assert one.extra["subscriptions"] == {
        "email user001@example.com": "PendingConfirmation",
        f"sqs {QUEUE}": f"{ARN}:1",
    }


def test_a_topic_that_is_not_there():
    gone = Refused("NotFound", "Topic does not exist")

    assert read(KIND, [[(asked("GetTopicAttributes", TopicArn=ARN), gone)]], Sought("t")) == []


def test_declared_subscriptions_are_asked_for_at_once():
    gone = Refused("NotFound", "Topic does not exist")
    at_once = ("GetTopicAttributes", "ListSubscriptionsByTopic")
    rounds = [[(request, gone) for request, _ in about({}) if request.operation in at_once]]

    assert read(KIND, rounds, Sought("t", {"subscriptions": [{"protocol": "sqs", "endpoint": QUEUE}]})) == []


def test_a_topic_that_counts_no_subscriptions_is_not_asked_for_them():
    none = {**ATTRIBUTES, "SubscriptionsConfirmed": "0", "SubscriptionsPending": "0"}

    (one,) = read(KIND, [[*about(none)[:2], guard()]], Sought("t"))

    assert "subscriptions" not in one.props


def test_read_confirms_what_the_tagging_index_proposes_and_passes_over_subscriptions():
    index = {"ResourceTagMappingList": [{"ResourceARN": ARN}, {"ResourceARN": f"{ARN}:1234"}]}

    assert [one.physical for one in read(KIND, [[(INDEX, index)], about(ATTRIBUTES)], owned=True)] == ["t"]


def test_what_lost_its_tag_is_not_owned():
    index = {"ResourceTagMappingList": [{"ResourceARN": ARN}]}

    assert read(KIND, [[(INDEX, index)], about(ATTRIBUTES, tags=[])[:2]], owned=True) == []


def test_the_data_protection_policy_is_read_whether_or_not_it_is_declared():
    (*others, _) = about(ATTRIBUTES)
    shown = guard('{"Name":"g"}')

    (one,) = read(KIND, [[*others, shown]], Sought("t", {"dataProtectionPolicy": {"Name": "g"}}))
    (other,) = read(KIND, [[*others, shown]], "t")

    assert one.props["dataProtectionPolicy"] == other.props["dataProtectionPolicy"] == {"Name": "g"}
    assert changed(KIND, other, want(KIND, "t", subscriptions=[])) == [
        call("PutDataProtectionPolicy", ResourceArn=ARN, DataProtectionPolicy="")
    ]


@pytest.mark.parametrize("code", ["AuthorizationError", "AccessDenied", "InvalidParameter", "NotFound"])
def test_who_may_not_read_a_policy_that_is_not_declared_plans_without_it(code):
    (*others, _) = about(ATTRIBUTES)

    (one,) = read(KIND, [[*others, guard(Refused(code, "no"))]], "t")

    assert "dataProtectionPolicy" not in one.props
    told = any("allow sns:GetDataProtectionPolicy" in note for note in KIND.notes(one, want(KIND, "t")))
    assert told == one.extra.get("data_protection_not_read", False) == (code in ("AuthorizationError", "AccessDenied"))


# --- comparing -------------------------------------------------------------------------------------------------------


def test_what_aws_fills_in_is_no_difference():
    assert differs(KIND, live(), want(KIND, "t")) == {}
    assert differs(KIND, live(), want(KIND, "t", attributes={})) == {}


def test_attributes_are_compared_by_what_they_say():
    delivery = {"http": {"defaultHealthyRetryPolicy": {"numRetries": 5}}}
    shown = {"http": {**delivery["http"], "defaultSicklyRetryPolicy": None}, "guaranteed": False}
    there = live(attributes={"FifoTopic": "true", "DeliveryPolicy": json.dumps(shown), "SignatureVersion": "2"})
    declared = {"FifoTopic": True, "DeliveryPolicy": delivery, "SignatureVersion": 2}

    assert differs(KIND, there, want(KIND, "t", attributes=declared)) == {}


def test_a_declared_policy_is_compared_by_meaning():
    written = {**PUBLISH, "Statement": [{**PUBLISH["Statement"][0], "Action": ["SNS:publish"]}]}

    assert differs(KIND, live(attributes={"Policy": json.dumps(PUBLISH)}), want(KIND, "t", policy=written)) == {}
    assert differs(KIND, live(), want(KIND, "t", policy=PUBLISH)) != {}


def own(**changed):
    statement = {**OWN_POLICY["Statement"][0], **changed}
    return {**OWN_POLICY, "Statement": [statement]}


@pytest.mark.parametrize(
    "policy",
    [
        OWN_POLICY,
        {**OWN_POLICY, "Version": "2012-10-17"},
        own(Action=["SNS:Receive", "SNS:Publish"]),
        own(Condition={"StringEquals": {"AWS:SourceOwner": "0123456789012"}}),
    ],
)
def test_the_policy_sns_gives_a_topic_is_what_none_means(policy):
    assert differs(KIND, live(attributes={"Policy": json.dumps(policy)}), want(KIND, "t")) == {}


@pytest.mark.parametrize(
    "policy",
    [
        PUBLISH,
        own(Condition={"StringEquals": {"AWS:SourceOwner": "210987654321"}}),
        own(Condition={"StringEquals": {"AWS:SourceOwner": "123456789012"}, "Bool": {"aws:SecureTransport": "true"}}),
        {key: value for key, value in own().items() if key != "Statement"} | {"Statement": []},
        {**OWN_POLICY, "Statement": [*OWN_POLICY["Statement"], *PUBLISH["Statement"]]},
    ],
)
def test_another_policy_is_a_difference_and_is_put_back(policy):
    there = live(attributes={"Policy": json.dumps(policy)})

    (set_,) = changed(KIND, there, want(KIND, "t"))

    assert set_.params["AttributeName"] == "Policy"
    given = set_.params["AttributeValue"].value
    assert differs(KIND, live(attributes={"Policy": json.dumps(given)}), want(KIND, "t")) == {}


def test_a_subscription_that_waits_counts_as_done():
    waiting = live(("email", "user001@example.com", "PendingConfirmation"))
    with_filter = {**MAIL, "attributes": {"FilterPolicy": {"a": ["b"]}}}

    assert differs(KIND, waiting, want(KIND, "t", subscriptions=[MAIL])) == {}
    assert differs(KIND, waiting, want(KIND, "t", subscriptions=[with_filter])) == {}
    assert "waits for its recipient" in next(iter(KIND.notes(waiting, want(KIND, "t", subscriptions=[MAIL]))))


def test_a_subscription_that_waits_cannot_be_removed():
    waiting = live(("email", "user001@example.com", "PendingConfirmation"))

    assert differs(KIND, waiting, want(KIND, "t")) == {}
    assert "cannot be removed" in next(iter(KIND.notes(waiting, want(KIND, "t"))))


def test_a_subscription_its_recipient_has_ended_is_absent():
    ended = live(("email", "user001@example.com", "Deleted"))

    assert differs(KIND, ended, want(KIND, "t", subscriptions=[MAIL])).keys() == {
        "subscriptions.0.endpoint",
        "subscriptions.0.protocol",
    }


def test_subscriptions_are_compared_by_protocol_and_endpoint_and_what_they_say():
    there = live(
        (
            "sqs",
            QUEUE,
            {"FilterPolicy": '{"a": ["b"]}', "FilterPolicyScope": "MessageAttributes", "RawMessageDelivery": "true"},
        ),
        ("email", "USER001@example.com", {}),
        ("https", "https://me:****@example.com/x", {}),
    )
    attributes = {"RawMessageDelivery": True, "FilterPolicy": {"a": ["b"]}}
    declared = [
        {"protocol": "https", "endpoint": "https://me:pw@example.com/x"},
        MAIL,
        {"protocol": "sqs", "endpoint": QUEUE, "attributes": attributes},
    ]

    assert differs(KIND, there, want(KIND, "t", subscriptions=declared)) == {}
    assert list(KIND.notes(there, want(KIND, "t", subscriptions=declared))) == []


@pytest.mark.parametrize(
    ("there", "declared", "value"),
    [
        ({"DisplayName": "x"}, {}, ""),
        ({}, {"DisplayName": "x"}, "x"),
        ({"TracingConfig": "Active"}, {}, "PassThrough"),
        ({"SignatureVersion": "2"}, {}, "1"),
        ({"KmsMasterKeyId": "alias/aws/sns"}, {}, ""),
        ({"DeliveryPolicy": '{"http": {"a": 1}}'}, {}, ""),
        ({"ArchivePolicy": '{"MessageRetentionPeriod": 1}'}, {}, "{}"),
        ({}, {"DeliveryPolicy": {"http": {}, "x": 1}}, JsonText({"http": {}, "x": 1})),
        ({"HTTPFailureFeedbackRoleArn": "arn:r"}, {}, ""),
        ({}, {"HTTPSuccessFeedbackSampleRate": 5}, "5"),
    ],
)
def test_each_attribute_is_set_by_a_call_of_its_own(there, declared, value):
    (name,) = {*there, *declared}

    assert changed(KIND, live(attributes=there), want(KIND, "t", attributes=declared)) == [
        call("SetTopicAttributes", TopicArn=ARN, AttributeName=name, AttributeValue=value)
    ]


def test_fifo_or_not_is_another_topic():
    assert differs(KIND, live(), want(KIND, "t", attributes={"FifoTopic": True})).keys() == {"attributes.FifoTopic"}
    assert KIND.fields["attributes.FifoTopic"].effect is Effect.REPLACE


# --- writing ---------------------------------------------------------------------------------------------------------


def test_create_sends_what_create_takes_and_the_rest_afterwards():
    wanted = want(
        KIND,
        "t",
        attributes={
            "DisplayName": "Hi",
            "FifoTopic": False,
            "HTTPFailureFeedbackRoleArn": "arn:r",
            "Policy": json.dumps(PUBLISH),
        },
        subscriptions=[{"protocol": "sqs", "endpoint": QUEUE, "attributes": {"RawMessageDelivery": True}}, MAIL],
    )

    assert KIND.create(wanted) == [
        call(
            "CreateTopic",
            patience=120.0,
            Name="t",
            Attributes={"DisplayName": "Hi", "Policy": JsonText(PUBLISH)},
            Tags=TAGS,
        ),
        call("SetTopicAttributes", TopicArn=ARN, AttributeName="HTTPFailureFeedbackRoleArn", AttributeValue="arn:r"),
        call("Subscribe", TopicArn=ARN, Protocol="email", Endpoint="User001@example.com", ReturnSubscriptionArn=True),
        call(
            "Subscribe",
            TopicArn=ARN,
            Protocol="sqs",
            Endpoint=QUEUE,
            Attributes={"RawMessageDelivery": "true"},
            ReturnSubscriptionArn=True,
        ),
    ]
    assert KIND.create(want(KIND, "t")) == [call("CreateTopic", patience=120.0, Name="t", Tags=TAGS)]


def test_a_role_of_this_account_may_need_a_moment_before_a_policy_can_name_it():
    role = {
        **PUBLISH,
        "Statement": [{**PUBLISH["Statement"][0], "Principal": {"AWS": "arn:aws:iam::123456789012:role/r"}}],
    }

    (set_,) = changed(KIND, live(), want(KIND, "t", policy=role))

    assert set_.retry_on == (*BUSY, On("InvalidParameter", "PrincipalNotFound"))


def test_update_subscribes_then_changes_then_unsubscribes():
    there = live(
        ("sqs", QUEUE, {"RawMessageDelivery": "true", "FilterPolicy": '{"a": ["b"]}'}),
        ("lambda", "arn:old", {}),
        ("email", "waiting@example.com", "PendingConfirmation"),
    )
    kept = {"FilterPolicy": {"a": ["c"]}, "FilterPolicyScope": "MessageBody"}
    wanted = want(KIND, "t", subscriptions=[MAIL, {"protocol": "sqs", "endpoint": QUEUE, "attributes": kept}])

    def set_(name, value):
        return call("SetSubscriptionAttributes", SubscriptionArn=f"{ARN}:0", AttributeName=name, AttributeValue=value)

    assert changed(KIND, there, wanted) == [
        call("Subscribe", TopicArn=ARN, Protocol="email", Endpoint="User001@example.com", ReturnSubscriptionArn=True),
        set_("FilterPolicyScope", "MessageBody"),
        set_("FilterPolicy", JsonText({"a": ["c"]})),
        set_("RawMessageDelivery", "false"),
        call("Unsubscribe", ok_if=(On("NotFound"),), SubscriptionArn=f"{ARN}:1"),
    ]


def test_a_filter_is_cleared_by_an_empty_one():
    there = live(("sqs", QUEUE, {"FilterPolicy": '{"a": ["b"]}', "FilterPolicyScope": "MessageAttributes"}))

    (cleared,) = changed(KIND, there, want(KIND, "t", subscriptions=[{"protocol": "sqs", "endpoint": QUEUE}]))

    assert (cleared.params["AttributeName"], cleared.params["AttributeValue"]) == ("FilterPolicy", "{}")


def test_the_data_protection_policy_is_put_where_it_is_declared():
    declared = {"dataProtectionPolicy": {"Name": "g"}}
    (one,) = read(KIND, [about(ATTRIBUTES)], Sought("t", declared))

    assert changed(KIND, one, want(KIND, "t", **declared)) == [
        call("PutDataProtectionPolicy", ResourceArn=ARN, DataProtectionPolicy=JsonText({"Name": "g"}))
    ]


def test_delete_and_tag():
    one = Live(physical="t", attrs={"name": "t", "arn": ARN}, props={}, tags=OWNED)

    assert KIND.delete(one, {}) == [call("DeleteTopic", ok_if=(On("NotFound"),), TopicArn=ARN)]
    assert KIND.tag(one, {"a": "b"}, ["c"]) == [
        call("UntagResource", ResourceArn=ARN, TagKeys=["c"]),
        call("TagResource", ResourceArn=ARN, Tags=[{"Key": "a", "Value": "b"}]),
    ]


def test_attributes_of_a_topic_are_computed():
    assert KIND.attrs(SCOPE, "t", {}) == {"name": "t", "arn": ARN}


# --- declarations ----------------------------------------------------------------------------------------------------


def one(protocol, endpoint, **attributes):
    return {"subscriptions": [{"protocol": protocol, "endpoint": endpoint, "attributes": attributes}]}


@pytest.mark.parametrize(
    ("name", "props", "path"),
    [
        ("a b", {}, ""),
        ("t.fifo", {}, ""),
        ("t", {"attributes": {"FifoTopic": True}}, ""),
        ("t", {"attributes": {"displayName": "x"}}, "attributes.displayName"),
        ("t", {"attributes": {"Brandnew": "x"}}, "attributes.Brandnew*"),
        ("t", {"attributes": {"TracingConfig": "on"}}, "attributes.TracingConfig"),
        ("t", {"policy": "nope"}, "policy"),
        ("t", {"dataProtectionPolicy": "nope"}, "dataProtectionPolicy"),
        ("t", one("mail", "a@example.com"), "subscriptions.0.protocol"),
        ("t", one("email", "example.com"), "subscriptions.0.endpoint"),
        ("t", one("email", "a@example"), "subscriptions.0.endpoint"),
        ("t", one("https", "http://example.com"), "subscriptions.0.endpoint"),
        ("t", one("sqs", "q"), "subscriptions.0.endpoint"),
        ("t", one("sms", "help"), "subscriptions.0.endpoint"),
        ("t", one("email", ""), "subscriptions.0"),
        ("t", one("sqs", QUEUE, rawMessageDelivery=True), "subscriptions.0.attributes.rawMessageDelivery"),
        ("t", one("sqs", QUEUE, RawMessageDelivery="yes"), "subscriptions.0.attributes.RawMessageDelivery"),
        ("t", one("firehose", "arn:aws:firehose:eu-west-1:123456789012:deliverystream/x"), "subscriptions.0"),
        ("t", {"subscriptions": [MAIL, {**MAIL, "endpoint": "user001@example.com"}]}, "subscriptions.1"),
    ],
)
def test_check_finds_what_sns_would_refuse(name, props, path):
    assert list(found(KIND, name, **props)) == [path]


def test_check_withstands_expressions():
    withstands_expressions(
        KIND,
        attributes={"DisplayName": "x", "TracingConfig": "Active"},
        policy=PUBLISH,
        dataProtectionPolicy={"Name": "g"},
        subscriptions=[MAIL, one("sqs", QUEUE, FilterPolicy={"a": ["b"]})["subscriptions"][0]],
    )
    withstands_expressions(KIND, attributes={"Policy": json.dumps(PUBLISH)})
