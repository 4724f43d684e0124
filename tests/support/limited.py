"""Roles with limited permissions, made in the sandbox and assumed there."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

ACCOUNT = "123456789012"
ROOT = f"arn:aws:iam::{ACCOUNT}:root"
Statement = Mapping[str, Any]


def allow(
    action: str | Sequence[str], resource: str | Sequence[str] = "*", **condition: Mapping[str, Any]
) -> Statement:
    """A statement; ``condition`` are operators with their keys."""
    found = {"Effect": "Allow", "Action": action, "Resource": resource}
    return {**found, "Condition": condition} if condition else found


def deny(action: str | Sequence[str], resource: str | Sequence[str] = "*", **condition: Mapping[str, Any]) -> Statement:
    return {**allow(action, resource, **condition), "Effect": "Deny"}


def document(*statements: Statement) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def trusting(*principals: str, **condition: Mapping[str, Any]) -> str:
    """A trust policy for accounts, roles and users."""
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": list(principals or [ROOT])}}
    return document({**statement, "Condition": condition} if condition else statement)


def role(iam: Any, name: str, *statements: Statement, trust: str = "", **more: Any) -> str:
    """Makes a role with one inline policy, or replaces the policy; returns its ARN."""
    if name not in {one["RoleName"] for one in iam.list_roles()["Roles"]}:
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust or trusting(), **more)
    if statements:
        iam.put_role_policy(RoleName=name, PolicyName="inline", PolicyDocument=document(*statements))
    return f"arn:aws:iam::{ACCOUNT}:role/{name}"


def keys(sts: Any, arn: str, **more: Any) -> dict[str, str]:
    """The credentials of a session, as boto3's clients take them."""
    found = sts.assume_role(RoleArn=arn, RoleSessionName="me", **more)["Credentials"]
    return {
        "aws_access_key_id": found["AccessKeyId"],
        "aws_secret_access_key": found["SecretAccessKey"],
        "aws_session_token": found["SessionToken"],
    }
