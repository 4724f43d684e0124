"""An import needs the policy that is printed for it, and no more."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.operations.permissions import build
from reconciler.operations.permissions.modes import Purpose
from tests.support.others import MADE
from tests.support.permitted import Permitted
from tests.support.shell import Shell

SCOPE = ("--account", "123456789012", "--region", "eu-west-1")


def test_the_policy_reads_and_reads_no_secret() -> None:
    needs = build.for_account("123456789012", "eu-west-1", Purpose.import_).needs.found
    allowed = {need.action for need in needs}
    assert {action.partition(":")[2][:3] for action in allowed} == {"Des", "Get", "Lis"}
    assert "secretsmanager:GetSecretValue" not in allowed
    assert {"cloudformation:ListStackResources", "kms:ListAliases", "batch:ListQuotaShares"} <= allowed
    parameters = [need.resource for need in needs if need.action == "ssm:GetParameters"]
    assert parameters == ["arn:aws:ssm:eu-west-1::parameter/aws/service/*"]


@pytest.mark.long
@pytest.mark.parametrize("made", sorted(MADE))
def test_an_import_with_no_more_than_the_policy_for_it(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, made: str
) -> None:
    MADE[made](lambda: shell.account.clock.advance(1e4))
    user = Permitted(shell, monkeypatch)
    policies = user.policies("--for", "import", *SCOPE, folder=tmp_path)
    done = user.run(policies, "import", "all", "--name", "*", "--format", "json")
    assert done.code == 0
    assert not user.denied
    assert not [one for one in done.json["warnings"] if "could not be read" in one]

    refused = shell("permissions", "all", "--for", "import")
    assert refused.code == 1
    assert "import is about an account" in refused.err
