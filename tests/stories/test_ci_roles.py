"""The roles of ``environments/ci-roles``: who can assume them, and whether their policies are enough for every example."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.support.examples import ROOT, Account
from tests.support.limited import ACCOUNT
from tests.support.long import some

HOST = "token.actions.githubusercontent.com"
PULL_REQUEST, MAIN = "repo:example/batch:pull_request", "repo:example/batch:ref:refs/heads/main"
APPROVED = "repo:example/batch:environment:production"
EXAMPLES = sorted(path.parent.name for path in ROOT.glob("environments/*/environment.yaml"))
SECRET = f"arn:aws:secretsmanager:eu-west-1:{ACCOUNT}:secret:"
As = Callable[[str, str], AbstractContextManager[Account]]


def sign_in(role: str, subject: str) -> dict[str, str]:
    """The credentials of a job of the host's whose token has ``subject``; raises ClientError."""
    claims = {"iss": f"https://{HOST}", "aud": "sts.amazonaws.com", "sub": subject}
    token = f"e30.{base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip('=')}.c2ln"
    found = boto3.client("sts", config=Config(signature_version=UNSIGNED)).assume_role_with_web_identity(
        RoleArn=f"arn:aws:iam::{ACCOUNT}:role/reconcile-{role}", RoleSessionName="job", WebIdentityToken=token
    )["Credentials"]
    return {
        "AWS_ACCESS_KEY_ID": found["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": found["SecretAccessKey"],
        "AWS_SESSION_TOKEN": found["SessionToken"],
    }


@pytest.fixture
def job(account: Account, monkeypatch: pytest.MonkeyPatch) -> As:
    """Commands typed in a job that has signed in as a role; the roles are applied by the administrator before."""
    boto3.client("iam").create_open_id_connect_provider(
        Url=f"https://{HOST}", ClientIDList=["sts.amazonaws.com"], ThumbprintList=["0" * 40]
    )
    account.reconcile("apply", "ci-roles", "--auto-approve")

    @contextmanager
    def signed_in(role: str, subject: str) -> Iterator[Account]:
        with monkeypatch.context() as patch:
            for name, value in sign_in(role, subject).items():
                patch.setenv(name, value)
            yield account

    return signed_in


def test_who_can_assume_them(job: As) -> None:
    for role, subject, can in (
        ("plan", PULL_REQUEST, True),
        ("plan", MAIN, True),
        ("plan", "repo:example/batch:ref:refs/heads/other", False),
        ("plan", "repo:someone/batch:pull_request", False),  # a fork's own run
        ("plan", APPROVED, False),
        ("apply", APPROVED, True),
        ("apply", MAIN, False),
        ("apply", PULL_REQUEST, False),
        ("apply", "repo:someone/batch:environment:production", False),
    ):
        if can:
            sign_in(role, subject)
        else:
            with pytest.raises(ClientError, match="Not authorized to perform sts:AssumeRoleWithWebIdentity"):
                sign_in(role, subject)

    with job("plan", PULL_REQUEST) as reader:
        refused = reader.shell("apply", "job-alerts", "--auto-approve")
        assert refused.code == 4 and "allow ssm:PutParameter on parameter/reconcile/locks/*" in refused.err
    with job("apply", APPROVED) as writer:
        iam = boto3.session.Session().client("iam")  # with the credentials of now
        for call, more in (
            (iam.attach_role_policy, {"PolicyArn": "arn:aws:iam::aws:policy/AdministratorAccess"}),
            (iam.delete_role, {}),
            (iam.update_assume_role_policy, {"PolicyDocument": "{}"}),
        ):
            with pytest.raises(ClientError, match="explicit deny"):
                call(RoleName="reconcile-apply", **more)
        writer.converged("ci-roles")
    with job("plan", MAIN) as reader:
        reader.converged("ci-roles")
    role, declared = (f"arn:aws:iam::{ACCOUNT}:role/{name}" for name in ("some", "fargate-spot-job"))
    for name, action, resource, service, can in (
        ("plan", "secretsmanager:GetSecretValue", f"{SECRET}x-abcdef", "", "explicitDeny"),
        (
            "plan",
            "kms:Decrypt",
            f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/x",
            "",
            "explicitDeny",
        ),  # of a parameter's SecureString
        ("apply", "iam:PassRole", declared, "ecs-tasks.amazonaws.com", "allowed"),
        ("apply", "iam:PassRole", declared, "lambda.amazonaws.com", "implicitDeny"),
        ("apply", "iam:PassRole", role, "ecs-tasks.amazonaws.com", "implicitDeny"),
        ("apply", "iam:CreateRole", role, "", "implicitDeny"),
        ("apply", "iam:PutRolePolicy", declared, "", "allowed"),
        ("apply", "iam:PutRolePolicy", role, "", "implicitDeny"),
        ("apply", "iam:PassRole", f"arn:aws:iam::{ACCOUNT}:role/reconcile-apply", "ec2.amazonaws.com", "explicitDeny"),
    ):
        passed = {"ContextKeyName": "iam:PassedToService", "ContextKeyValues": [service], "ContextKeyType": "string"}
        (result,) = boto3.client("iam").simulate_principal_policy(
            PolicySourceArn=f"arn:aws:iam::{ACCOUNT}:role/reconcile-{name}",
            ActionNames=[action],
            ResourceArns=[resource],
            ContextEntries=[passed] if service else [],
        )["EvaluationResults"]
        assert (name, action, service, result["EvalDecision"]) == (name, action, service, can)


@pytest.mark.parametrize("name", some([name for name in EXAMPLES if name != "ci-roles"], 10, 2))
def test_their_policies_are_enough(job: As, name: str) -> None:
    with job("plan", PULL_REQUEST) as reader:
        assert "to create" in reader.reconcile("plan", name)
    with job("apply", APPROVED) as writer:
        writer.reconcile("apply", name, "--auto-approve")
    with job("plan", MAIN) as reader:
        reader.converged(name)
    with job("apply", APPROVED) as writer:
        writer.reconcile("destroy", name, "--auto-approve")
