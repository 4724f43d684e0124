"""The three environments in the sandbox, by the commands people type: built, left alone, adopted, taken down."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest

from reconciler.sandbox import process

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("retry-strategies", "dcv-desktop", "custom-logging")
SECRETS = {"DCV_PASSWORD": "correct horse battery", "SPLUNK_TOKEN": "1b2c-3d4e"}
ALL = {
    "iam": (
        ("list_roles", {}, "Roles", "RoleName"),
        ("list_policies", {"Scope": "Local"}, "Policies", "PolicyName"),
        ("list_instance_profiles", {}, "InstanceProfiles", "InstanceProfileName"),
    ),
    "ec2": (
        ("describe_security_groups", {}, "SecurityGroups", "GroupName"),
        ("describe_key_pairs", {}, "KeyPairs", "KeyName"),
    ),
    "ecr": (("describe_repositories", {}, "repositories", "repositoryName"),),
    "secretsmanager": (("list_secrets", {}, "SecretList", "Name"),),
    "sns": (("list_topics", {}, "Topics", "TopicArn"), ("list_subscriptions", {}, "Subscriptions", "Endpoint")),
    "logs": (("describe_log_groups", {}, "logGroups", "logGroupName"),),
    "batch": (
        ("describe_compute_environments", {}, "computeEnvironments", "computeEnvironmentName"),
        ("describe_job_queues", {}, "jobQueues", "jobQueueName"),
        ("describe_job_definitions", {"status": "ACTIVE"}, "jobDefinitions", "jobDefinitionName"),
    ),
}

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Account:
    """A sandbox over HTTP whose clock runs fast, and the commands pointed at it."""

    url: str

    @property
    def environ(self) -> Mapping[str, str]:
        return {**os.environ, **process.environment(self.url), **SECRETS, "NO_COLOR": "1"}

    def run(self, *command: str, expect: int = 0) -> str:
        done = subprocess.run(
            command, cwd=ROOT, env=self.environ, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == expect, f"{command} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def reconcile(self, *arguments: str, expect: int = 0) -> str:
        return self.run(sys.executable, "-m", "reconciler", *arguments, expect=expect)

    def converged(self, name: str) -> None:
        shown = self.reconcile("plan", name, "--detailed-exitcode")
        assert "No changes. The account matches the environment." in shown

    def names(self) -> set[tuple[str, str]]:
        """Everything there is, by the call that lists it and its name; what Batch still shows as DELETED is not."""
        found: set[tuple[str, str]] = set()
        for service, listings in ALL.items():
            client: Any = boto3.client(
                service,  # type: ignore[call-overload]
                endpoint_url=self.url,
                region_name=process.REGION,
                aws_access_key_id="test",
                aws_secret_access_key="test",
            )
            for call, arguments, items, name in listings:
                listed = getattr(client, call)(**arguments)[items]
                found |= {(call, item[name]) for item in listed if item.get("status") != "DELETED"}
        return found


@pytest.fixture
def account(sandbox_url: str) -> Iterator[Account]:
    process.control(sandbox_url, "clock", {"speed": 100})
    yield Account(sandbox_url)
    process.control(sandbox_url, "clock", {"speed": 1})


@pytest.fixture(params=[None, 7], ids=["in-order", "shuffled"])
def any_order(request: pytest.FixtureRequest, account: Account) -> Account:
    """The account, once as it is, once with every list of every reply shuffled."""
    process.control(account.url, "settings", {"shuffle": request.param})
    return account


@pytest.mark.parametrize("name", NAMES)
def test_it_is_built_then_left_alone_then_taken_down_to_nothing(name: str, any_order: Account) -> None:
    account = any_order
    before = account.names()

    account.reconcile("apply", name, "--auto-approve")

    assert account.names() > before
    account.converged(name)

    account.reconcile("destroy", name, "--auto-approve")

    assert account.names() == before


def test_all_three_stand_side_by_side(account: Account) -> None:
    before = account.names()

    for name in NAMES:
        account.reconcile("apply", name, "--auto-approve")
    for name in NAMES:
        account.converged(name)
    for index, name in enumerate(NAMES):
        account.reconcile("destroy", name, "--auto-approve")
        for other in NAMES[index + 1 :]:
            account.converged(other)

    assert account.names() == before


def test_it_can_be_built_again_after_it_was_destroyed(account: Account) -> None:
    for _ in range(2):
        account.reconcile("apply", "custom-logging", "--auto-approve")
        account.converged("custom-logging")
        account.reconcile("destroy", "custom-logging", "--auto-approve")


@pytest.mark.skipif(shutil.which("aws") is None, reason="the AWS CLI is not installed")
@pytest.mark.parametrize("name", NAMES)
def test_what_the_articles_commands_build_is_adopted_without_a_difference(name: str, account: Account) -> None:
    before = account.names()
    account.run(str(ROOT / "tests" / "data" / "articles" / f"{name}.sh"))

    plan = json.loads(account.reconcile("plan", name, "--adopt", "--format", "json"))

    assert {change["action"] for change in plan["resource_changes"]} == {"adopt"}
    assert {difference["path"] for change in plan["resource_changes"] for difference in change["differences"]} == {
        "tags.reconciler/environment"
    }

    account.reconcile("apply", name, "--adopt", "--auto-approve")
    account.converged(name)
    account.reconcile("destroy", name, "--auto-approve")

    assert account.names() == before
