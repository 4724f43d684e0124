"""Three environments in two accounts and two Regions, which people change behind the back of the YAML."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import boto3
import pytest

from reconciler.account.client import Endpoint
from reconciler.model import Environment
from reconciler.sandbox.server import Sandbox
from tests.support.shell import Shell

MAIN, OTHER = "123456789012", "111122223333"
PASSWORD = "hummingbird-in-june"
# name -> account, Region
PLACES = {"dev": (MAIN, "eu-west-1"), "prod": (MAIN, "us-east-1"), "partner": (OTHER, "eu-west-1")}
SETTINGS = """\
environment: {name}
region: {region}
account: "{account}"
tags: {{team: hpc}}
{role}
"""
RESOURCES = """\
# how long {name} keeps its logs
logGroups:
  /{name}/jobs:
    retentionInDays: 30   # a month
topics:
  {name}-alarms: {{attributes: {{DisplayName: "{name} alarms"}}}}
schedulingPolicies:
  {name}-fair:
    fairsharePolicy: {{shareDecaySeconds: 600, computeReservation: 10}}
secrets:
  {name}/db: {{value: "${{env:DB_PASSWORD}}"}}
"""


def client(served: Sandbox, service: str, name: str) -> Any:
    """The client of a person with access to the account of an environment."""
    account, region = PLACES[name]
    keys = {"aws_access_key_id": "test" if account == MAIN else account, "aws_secret_access_key": "x"}
    return boto3.client(service, region_name=region, **keys)  # type: ignore[call-overload]


@pytest.fixture
def estate(shell: Shell, served: Sandbox, sandbox_url: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DB_PASSWORD", PASSWORD)
    shell.secrets.add(PASSWORD)
    served.let_assume(f"arn:aws:iam::{OTHER}:role/deploy")

    def endpoint(env: Environment, *_: Any, **__: Any) -> Endpoint:
        """As with --sandbox: the account of an environment by its key; a role is assumed from within its account."""
        return Endpoint(sandbox_url, "eu-west-1", env.account or MAIN, "x", "sandbox")

    monkeypatch.setattr("reconciler.operations.session.sandbox_endpoint", endpoint)
    for name, (account, region) in PLACES.items():
        place = shell.home / "environments" / name
        place.mkdir(parents=True)
        role = f"roleArn: arn:aws:iam::{account}:role/deploy" if account == OTHER else ""
        settings = SETTINGS.format(name=name, region=region, account=account, role=role)
        (place / "environment.yaml").write_text(settings)
        (place / "resources.yaml").write_text(RESOURCES.format(name=name))
        shell.ok("apply", name, "--auto-approve")
    return shell.home / "environments"


def test_drift(shell: Shell, served: Sandbox, estate: Path) -> None:
    clean = shell.ok("drift", "--all")
    print(clean.out, clean.err)
    (estate/'broken').mkdir(); (estate/'broken/environment.yaml').write_text('environment: broken\nregion: eu-west-1\njobQueues: {q: {priority: x}}\n')
    client(served, "logs", "dev").put_retention_policy(logGroupName="/dev/jobs", retentionInDays=7)
    client(served, "sns", "dev").delete_topic(TopicArn=f"arn:aws:sns:eu-west-1:{MAIN}:dev-alarms")
    for f in ("text","json","markdown","junit","sarif", "html"):
        r = shell("drift", "--all", "--format", f)
        print(r.code, r.out[:6000], r.err)
        (Path("/tmp/drift_out")/f"r.{f}").write_text(r.out)
    assert 0
