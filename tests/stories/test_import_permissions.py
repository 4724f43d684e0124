"""An import needs the policy that is printed for it, and no more; its result as JSON has a schema."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from reconciler.schema import registry
from tests.support.others import MADE
from tests.support.permitted import Permitted
from tests.support.shell import Shell

SCOPE = ("--account", "123456789012", "--region", "eu-west-1")


def test_an_import_with_no_more_than_the_policy_for_it(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    MADE["terraform"](lambda: shell.account.clock.advance(1e4))
    user = Permitted(shell, monkeypatch)
    policies = user.policies("--for", "import", *SCOPE, folder=tmp_path)
    done = user.run(policies, "import", "all", "--name", "*", "--format", "json")

    assert done.code == 0
    assert not user.denied
    schema = json.loads((registry.directory() / "import.schema.json").read_text("utf-8"))
    Draft202012Validator(schema).validate(done.json)
    assert not [one for one in done.json["warnings"] if "could not be read" in one]
    listed = [one["Action"] for document in policies for one in document["Statement"]]
    allowed = {action for some in listed for action in ([some] if isinstance(some, str) else some)}
    assert {action.partition(":")[2][:3] for action in allowed} == {"Des", "Get", "Lis"}
    assert "secretsmanager:GetSecretValue" not in allowed
    assert {"cloudformation:ListStackResources", "kms:ListAliases", "ssm:GetParameters"} <= allowed

    refused = shell("permissions", "all", "--for", "import")
    assert refused.code == 1
    assert "import is about an account" in refused.err
