"""AWS at its worst: replies that are lost, storms of refusals, what is seen late, what is wrong for good, and Ctrl-C."""

from __future__ import annotations

import json
import re
import signal
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ReadTimeoutError

from reconciler.aws import Boto
from reconciler.kinds import discover
from reconciler.kinds._compute_waits import CAUSES
from reconciler.model import Call, Proof, Refused, Reply, Step, What, compact
from reconciler.sandbox import process
from tests import live
from tests.changes import _Account, files
from tests.histories import READS, STRIDE, Door, History
from tests.test_killed import ENVIRONMENTS, counted, read
from tests.trouble import Arrived, Court, Perform, Weather, court, everything, hung_up, refusing

pytestmark = pytest.mark.slow

# --- lost replies ----------------------------------------------------------------------------------------------------

# Whose second sending comes to the same, by AWS's word.
API = "https://docs.aws.amazon.com"
SAME_AGAIN = {
    "iam:AttachRolePolicy": f"{API}/IAM/latest/APIReference/API_AttachRolePolicy.html",
    "iam:PutRolePolicy": f"{API}/IAM/latest/APIReference/API_PutRolePolicy.html",  # replaces
    "secretsmanager:PutSecretValue": f"{API}/secretsmanager/latest/apireference/API_PutSecretValue.html",  # token
    "sns:CreateTopic": f"{API}/sns/latest/api/API_CreateTopic.html",  # idempotent
    "sns:Subscribe": f"{API}/sns/latest/api/API_Subscribe.html",  # gives the ARN of the one that is there
    "ec2:AuthorizeSecurityGroupIngress": f"{API}/AWSEC2/latest/APIReference/errors-overview.html",  # Duplicate is done
    "ec2:AuthorizeSecurityGroupEgress": f"{API}/AWSEC2/latest/APIReference/errors-overview.html",
    "ec2:CreateTags": f"{API}/AWSEC2/latest/APIReference/API_CreateTags.html",  # overwrites
}
MAKES = re.compile(r":(Create|Register|Import|Add|Attach|Put|Subscribe|Authorize|Run|Start)")


@dataclass
class Losing(Door):
    """Every write is done, and the first answers to each are lost; ``sent`` counts each."""

    losses: int = 1
    sent: Counter[str] = field(default_factory=Counter)
    calls: list[Call] = field(default_factory=list)

    def call(self, call: Call) -> Reply:
        reply = super().call(call)
        if call.operation.startswith(READS):
            return reply
        key = f"{call} {compact(call.params)}"
        self.sent[key] += 1
        self.calls.append(call)
        lost = self.sent[key] <= self.losses
        return Refused("ConnectionClosedError", "the connection was closed", lost=True) if lost else reply


LATE = {"read_lag": 20, "tag_lag": 20, "iam_refuses_fresh": True, "iam_delay": 25, "relationship_lag": 120}


@pytest.mark.parametrize("late", [{}, LATE], ids=["seen", "seen-late"])
@pytest.mark.parametrize("name", ENVIRONMENTS if STRIDE == 1 else ENVIRONMENTS[::2])
def test_every_answer_is_lost_once_and_nothing_is_done_twice(name: str, late: Mapping[str, Any], sandbox: Any) -> None:
    env, history = read(name), History(sandbox, name)
    history.converge(env)
    whole = counted(everything(sandbox.client))
    sandbox.reset()
    sandbox.change(late)
    history = History(sandbox, name)
    door = Losing(history.aws)

    outcome = history.run(env, door)

    assert outcome.ok, history.failures()
    proven = [event for event in history.events if event.detail == "was done, only the answer was lost"]
    assert len(proven) >= 5
    assert any("and not seen yet" in event.detail for event in history.events) is bool(late)
    sandbox.advance(60)
    history.expect_nothing(env)
    assert counted(everything(sandbox.client)) == whole
    outcome = history.run(env, Losing(history.aws), destroy=True)
    assert outcome.ok, history.failures()
    sandbox.advance(60)
    history.expect_empty(env)


KINDS = [file for file in files() if not discover()[file.section].shared]


@pytest.mark.parametrize("file", KINDS if STRIDE == 1 else KINDS[::2], ids=lambda file: file.section)
def test_lost_answers_to_changes_of_every_kind(file: Any, sandbox: Any, tmp_path: Path) -> None:
    sandbox.change({"iam_delay": 0})
    history = History(sandbox, name="effects")
    account = _Account(file, (), history, tmp_path, {})
    able = [row for row in file.rows if not row.refused and row.effect not in ("replace", "none")][:12]
    before, after = ({f"x-{row.id}": row.declared(value) for row in able for value in [pick(row)]} for pick in PICKS)
    for declared in (before, after, before):
        env = account.environment({file.name.format(id=name): props for name, props in declared.items()})
        door = Losing(history.aws)

        outcome = history.run(env, door, allow_deletions=100)

        assert outcome.ok, history.failures()
        history.expect_nothing(env)
        expect_safe(door.calls)
        revisions = [key for key, times in door.sent.items() if key.startswith("batch:RegisterJob") and times > 1]
        assert not revisions


PICKS = (lambda row: row.before, lambda row: row.after)


def expect_safe(calls: list[Call]) -> None:
    """What makes something has a proof that it was made, or does no harm when it is sent again."""
    for call in calls:
        unsafe = MAKES.search(str(call)) and call.proof is Proof.NONE and str(call) not in SAME_AGAIN
        assert not unsafe or str(call).startswith(TAKES_PLACE), str(call)


TAKES_PLACE = ("ecr:Put", "logs:Put", "events:Put", "sns:Put", "secretsmanager:Put", "iam:PutRolePermissionsBoundary")
