"""Secrets that AWS shows in plain text, and what is none."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.model import Address
from reconciler.operations.importing.express import walked, written
from reconciler.operations.importing.hidden import Secrets

JOB = Address("jobDefinitions", "job")
PASSWORD = "correct-horse-4711"


@pytest.mark.parametrize(
    ("props", "shown", "names"),
    [
        (
            {"environment": [{"name": "DB_PASSWORD", "value": PASSWORD}, {"name": "A", "value": "b"}]},
            {"environment": [{"name": "DB_PASSWORD", "value": "${env:DB_PASSWORD}"}, {"name": "A", "value": "b"}]},
            {"DB_PASSWORD"},
        ),
        (
            {"environment": [{"name": "DB_USER", "value": "admin"}, {"name": "DB_PASSWORD", "value": "admin"}]},
            {
                "environment": [
                    {"name": "DB_USER", "value": "admin"},
                    {"name": "DB_PASSWORD", "value": "${env:DB_PASSWORD}"},
                ]
            },
            {"DB_PASSWORD"},
        ),
        (
            {"options": {"token": PASSWORD}, "command": ["sh", "-c", f"curl https://x/{PASSWORD}"]},
            {"options": {"token": "${env:TOKEN}"}, "command": ["sh", "-c", "curl https://x/${env:TOKEN}"]},
            {"TOKEN"},
        ),
        ({"options": {"splunk-token": PASSWORD}}, {"options": {"splunk-token": "${env:SPLUNK_TOKEN}"}}, {"SPLUNK_TOKEN"}),
        (
            {"userData": f"#!/bin/sh\necho ${{HOME}}\nexport DB_PASSWORD={PASSWORD}\n"},
            {"userData": "#!/bin/sh\necho $${HOME}\nexport DB_PASSWORD=${env:DB_PASSWORD}\n"},
            {"DB_PASSWORD"},
        ),
        ({"command": ["run", "--password", PASSWORD]}, {"command": ["run", "--password", "${env:PASSWORD}"]}, {"PASSWORD"}),
        (
            {"environment": [{"name": "DATABASE_URL", "value": f"postgres://app:{PASSWORD}@db:5432/x"}]},
            {"environment": [{"name": "DATABASE_URL", "value": "postgres://app:${env:DATABASE_URL_PASSWORD}@db:5432/x"}]},
            {"DATABASE_URL_PASSWORD"},
        ),
        ({"environment": [{"name": "API_TOKEN", "value": "true"}]}, None, set()),
        ({"environment": [{"name": "DB_PASSWORD_ARN", "value": "arn:aws:secretsmanager:eu-west-1:1:secret:x"}]}, None, set()),
        ({"secrets": [{"name": "DB_PASSWORD", "valueFrom": "db-password"}]}, None, set()),
        ({"inlinePolicies": {"read-token": {"Statement": [{"Action": "secretsmanager:GetSecretValue"}]}}}, None, set()),
        ({"repositoryCredentials": {"credentialsParameter": "registry-login"}}, None, set()),
    ],
)  # fmt: skip
def test_secrets_become_environment_variables(props: Any, shown: Any, names: set[str]) -> None:
    secrets = Secrets()
    sites = {("repositoryCredentials", "credentialsParameter")}
    hidden = walked(secrets.hide(JOB, props, sites), lambda _, text: written(text))
    assert hidden == (props if shown is None else shown)
    assert set(secrets.values) == names and set(secrets.values.values()) <= {PASSWORD, "admin"}


def test_the_same_name_for_another_secret_is_another_variable() -> None:
    secrets = Secrets()
    for job, value in (("a", "first-secret-1"), ("b", "second-secret-2"), ("c", "first-secret-1")):
        secrets.hide(Address("jobDefinitions", job), {"options": {"password": value}}, ())
    assert secrets.values == {"PASSWORD": "first-secret-1", "B_PASSWORD": "second-secret-2"}
    assert [str(address) for address, _ in secrets.places["PASSWORD"]] == ["jobDefinitions.a", "jobDefinitions.c"]
