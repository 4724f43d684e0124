"""What a service's own model says of a value, which the front of the service checks before anything else.

https://smithy.io/2.0/spec/constraint-traits.html
"""

from __future__ import annotations

import json

import pytest

TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"},
        ],
    }
)
PATTERN = "Member must satisfy regular expression pattern"


@pytest.mark.parametrize(
    ("service", "operation", "params", "code", "fragment"),
    [
        ("iam", "create_role", {"RoleName": "a b", "AssumeRolePolicyDocument": TRUST}, "ValidationError", PATTERN),
        ("iam", "create_instance_profile", {"InstanceProfileName": "a b"}, "ValidationError", PATTERN),
        ("iam", "create_policy", {"PolicyName": "ä", "PolicyDocument": TRUST}, "ValidationError", "at 'policyName'"),
        (
            "iam",
            "create_role",
            {"RoleName": "r", "AssumeRolePolicyDocument": TRUST, "MaxSessionDuration": 43201},
            "ValidationError",
            "Value '43201' at 'maxSessionDuration' failed to satisfy constraint: Member must have value less than",
        ),
        (
            "iam",
            "create_role",
            {"RoleName": "r" * 65, "AssumeRolePolicyDocument": TRUST},
            "ValidationError",
            "Member must have length less than or equal to 64",
        ),
        ("events", "put_rule", {"Name": "a b", "ScheduleExpression": "rate(1 day)"}, "ValidationException", PATTERN),
        (
            "events",
            "put_targets",
            {"Rule": "r", "Targets": [{"Id": "a b", "Arn": "arn:aws:sns:eu-west-1:123456789012:t"}]},
            "ValidationException",
            "at 'targets.1.member.id'",
        ),
        ("logs", "create_log_group", {"logGroupName": "a b"}, "InvalidParameterException", PATTERN),
        ("secretsmanager", "create_secret", {"Name": "a b"}, "ValidationException", "Invalid name."),
        (
            "secretsmanager",
            "create_secret",
            {"Name": "s", "SecretString": "x" * 65537},
            "ValidationException",
            "Value at 'secretString' failed to satisfy constraint: Member must have length less than or equal to 65536",
        ),
    ],
)
def test_values_that_the_model_does_not_allow(sandbox, refused, service, operation, params, code, fragment):
    refused(code, fragment, getattr(sandbox.client(service), operation), **params)


def test_values_that_it_allows(sandbox):
    iam = sandbox.client("iam")
    iam.create_role(RoleName="a_b+=,.@-9", AssumeRolePolicyDocument=TRUST, MaxSessionDuration=43200)
    iam.tag_role(RoleName="a_b+=,.@-9", Tags=[{"Key": "café", "Value": ""}])

    assert iam.get_role(RoleName="a_b+=,.@-9")["Role"]["MaxSessionDuration"] == 43200


RULES = [
    ("rate(1 minute)", True),
    ("rate(5 minutes)", True),
    ("cron(0 12 * * ? *)", True),
    ("cron(0/15 8-17 ? * MON-FRI *)", True),
    ("rate(2 day)", False),
    ("rate(1 days)", False),
    ("rate(0 days)", False),
    ("rate(1 week)", False),
    ("cron(0 12 * * *)", False),
    ("cron(0 12 1 * 1 *)", False),
    ("cron(60 12 * * ? *)", False),
    ("cron(0 24 * * ? *)", False),
    ("cron(0 12 ? * 0 *)", False),
    ("cron(0 12 L-3 JAN-MAR,12 ? 2030-2035)", True),
    ("cron(5,35 14 ? * 2#1 *)", True),
    ("cron(0 9 15W * ? *)", True),
    ("at(2027-01-01T00:00:00)", False),
]


@pytest.mark.parametrize(("expression", "valid"), RULES)
def test_schedules_of_rules(sandbox, refused, expression, valid):
    events = sandbox.client("events")
    if valid:
        events.put_rule(Name="r", ScheduleExpression=expression)
    else:
        message = "Parameter ScheduleExpression is not valid."
        refused("ValidationException", message, events.put_rule, Name="r", ScheduleExpression=expression)
