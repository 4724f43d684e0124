"""Commands typed by a user who may do what a policy allows and nothing else; what IAM was asked for is kept."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import boto3
import pytest

from reconciler.model.steps import DENIALS
from reconciler.sandbox.iam import guard
from reconciler.sandbox.iam.evaluation import Decision, Effect, Policies, Request, effect_among
from reconciler.sandbox.iam.policies import Statement, statements
from tests.support.shell import Result, Shell

_EVERYWHERE = ("aws:currenttime", "aws:epochtime")
_TAG = "resourcetag/"
ACCOUNT, REGION = "123456789012", "eu-west-1"


@dataclass
class Permitted:
    """The account, its own credentials, and the actions that IAM has been asked for since the last look."""

    shell: Shell
    patch: pytest.MonkeyPatch
    asked: set[str] = field(default_factory=set)
    denied: set[str] = field(default_factory=set)
    requests: dict[Any, Request] = field(default_factory=dict)
    made: int = 0

    def __post_init__(self) -> None:
        """What IAM decides about is kept, each once."""
        decide = guard.evaluate

        def kept(request: Request, policies: Policies) -> Decision:
            keys = tuple(sorted(one for one in request.context.items() if one[0] not in _EVERYWHERE))
            self.requests[request.action, request.resources, keys] = request
            return decide(request, policies)

        self.patch.setattr(guard, "evaluate", kept)

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


Part: TypeAlias = tuple[str, tuple[str, ...]]
"""An action of a statement, and the keys of its conditions."""


def parts_of(policies: Iterable[Mapping[str, Any]]) -> dict[str, list[Statement]]:
    """The statements of policies by action."""
    found: dict[str, list[Statement]] = {}
    for policy in policies:
        for one in statements(json.dumps(policy)):
            for action in one.listed("Action") or ():
                found.setdefault(action, []).append(one)
    return found


def wanted(policies: Sequence[Mapping[str, Any]]) -> set[Part]:
    """The actions of all statements."""
    return {(action, _keys(one)) for action, some in parts_of(policies).items() for one in some}


def needed(policies: Sequence[Mapping[str, Any]], requests: Iterable[Request]) -> set[Part]:
    """The actions of statements without which some request would be refused.

    Of each request also the one that it would be about an object without tags, as those are that are adopted.
    """
    by_action, found = parts_of(policies), set[Part]()
    for recorded in requests:
        untagged = {key: value for key, value in recorded.context.items() if _TAG not in key}
        for request in (recorded, Request(recorded.action, recorded.resources, untagged)):
            allow = [one for one in by_action.get(request.action, ()) if effect_among(request, [one]) is Effect.ALLOW]
            if len(allow) == 1:
                found.add((request.action, _keys(allow[0])))
    return found


def _keys(statement: Statement) -> tuple[str, ...]:
    return tuple(sorted(key for _, key, _ in statement.conditions))
