"""Commands typed by a user who may do what a policy allows and nothing else; what IAM was asked for is kept."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest

from reconciler.model.steps import DENIALS
from tests.support.shell import Result, Shell

ACCOUNT, REGION = "123456789012", "eu-west-1"


@dataclass
class Permitted:
    """The account, its own credentials, and the actions that IAM has been asked for since the last look."""

    shell: Shell
    patch: pytest.MonkeyPatch
    asked: set[str] = field(default_factory=set)
    denied: set[str] = field(default_factory=set)
    made: int = 0

    def policies(self, *words: str, folder: Path) -> list[dict[str, Any]]:
        """The policies that the tool prints for these words, each small enough for a managed policy."""
        where = folder / f"policies-{self.made}"
        self.made += 1
        self.shell.ok("permissions", *words, "--out-dir", str(where))
        return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(where.glob("*.json"))]

    @contextmanager
    def as_user(self, policies: Sequence[Mapping[str, Any]]) -> Iterator[Shell]:
        """The shell of a new user with these policies."""
        iam, self.made = boto3.client("iam"), self.made + 1
        name = f"somebody-{self.made}"
        iam.create_user(UserName=name)
        for number, document in enumerate(policies):
            made = iam.create_policy(PolicyName=f"{name}-{number}", PolicyDocument=json.dumps(document))
            iam.attach_user_policy(UserName=name, PolicyArn=made["Policy"]["Arn"])
        key = iam.create_access_key(UserName=name)["AccessKey"]
        with self.patch.context() as patch:
            patch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
            patch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
            yield self.shell

    def run(self, policies: Sequence[Mapping[str, Any]], *words: str) -> Result:
        """One command of such a user."""
        with self.as_user(policies) as shell:
            calls, checked = shell.account.calls, shell.account.checked
            calls.clear()
            checked.clear()
            done = shell(*words)
            self.asked |= {need.action for need in checked}
            self.denied |= {f"{one.service}:{one.operation} {one.code}" for one in calls if one.code in DENIALS}
            return done


def actions_of(policies: Sequence[Mapping[str, Any]]) -> set[str]:
    """The actions that policies allow."""
    found: set[str] = set()
    for policy in policies:
        for statement in policy["Statement"]:
            some = statement["Action"]
            found |= {some} if isinstance(some, str) else set(some)
    return found


def without(policies: Sequence[Mapping[str, Any]], action: str) -> list[dict[str, Any]]:
    """The policies without one action."""
    done = []
    for policy in policies:
        kept = []
        for statement in policy["Statement"]:
            some = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
            if left := [one for one in some if one != action]:
                kept.append({**statement, "Action": left})
        done.append({**policy, "Statement": kept})
    return done
