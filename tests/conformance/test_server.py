"""The sandbox itself: its doors, its control, its faults."""

from __future__ import annotations


def test_one_account_in_every_region(sandbox):
    assert sandbox.client("sts").get_caller_identity()["Account"] == "123456789012"
    assert sandbox.client("sts", "us-east-1").get_caller_identity()["Account"] == "123456789012"

    sandbox.client("sns").create_topic(Name="here")

    assert sandbox.client("sns", "us-east-1").list_topics()["Topics"] == []
    assert [topic["TopicArn"] for topic in sandbox.client("sns").list_topics()["Topics"]] == [
        "arn:aws:sns:eu-west-1:123456789012:here"
    ]
