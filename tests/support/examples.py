"""The environments that come with the tool, and the account that they are tried in by the commands people type."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3

from tests.support.shell import Shell

ROOT = Path(__file__).resolve().parents[2]
ARTICLES = ("retry-strategies", "dcv-desktop", "custom-logging")
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


@dataclass(frozen=True)
class Account:
    """The account that is served, and the commands pointed at it, typed at the root of the repository."""

    shell: Shell

    def run(self, script: Path) -> None:
        """A script of the AWS CLI's."""
        done = subprocess.run([str(script)], cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
        assert done.returncode == 0, f"{script} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"

    def reconcile(self, *arguments: str, expect: int = 0) -> str:
        done = self.shell(*arguments)
        assert done.code == expect, f"{arguments} ended with {done.code}\n{done.told}"
        return done.out

    def converged(self, name: str) -> None:
        shown = self.reconcile("plan", name, "--detailed-exitcode")
        assert "No changes. The account matches the environment." in shown

    def names(self) -> set[tuple[str, str]]:
        """Everything there is, by the call that lists it and its name; what Batch still shows as DELETED is not."""
        found: set[tuple[str, str]] = set()
        for service, listings in ALL.items():
            client: Any = boto3.client(service)  # type: ignore[call-overload]
            for call, arguments, items, name in listings:
                listed = getattr(client, call)(**arguments)[items]
                found |= {(call, item[name]) for item in listed if item.get("status") != "DELETED"}
        return found
