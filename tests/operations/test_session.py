"""Several environments at once in one process: nothing of one shows in, or decides about, another."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import pytest

from reconciler.account.client import Endpoint
from reconciler.model import Options
from reconciler.operations import pipeline, session
from reconciler.render import json as as_json
from tests.support.shown import as_text

ROOT = Path(__file__).resolve().parents[2]
ACCOUNTS = {"west": "123456789012", "east": "210987654321"}
REGIONS = {"west": "eu-west-1", "east": "us-east-1"}
SECRETS = {"west": "hummingbird-7", "east": "nightingale-9"}

# each names the other's secret as an ordinary text, which is no secret to it
STACK = """\
environment: {name}
region: {region}
account: "{account}"
roleArn: arn:aws:iam::{account}:role/{name}-deployer
secrets:
  {name}/db: {{value: "${{env:PASSWORD}}", description: "not {ordinary}"}}
logGroups:
  /{name}/jobs: {{retentionInDays: 7}}
roles:
  {name}-role:
    trust: [ecs-tasks.amazonaws.com]
    description: in ${{region}} of ${{account}}
"""


@pytest.fixture
def elsewhere() -> Iterator[str]:
    """A second account, in a process of its own since moto keeps one account a process."""
    command = [sys.executable, "-m", "reconciler.sandbox", "--account", ACCOUNTS["east"], "--region", REGIONS["east"]]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        yield server.stdout.readline().strip()
        server.terminate()


def deployer(url: str, name: str) -> None:
    """The role that the environment is planned with."""
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "eu-west-1"}
    principal = {"Effect": "Allow", "Principal": {"AWS": ACCOUNTS[name]}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [principal]})
    iam = boto3.client("iam", endpoint_url=url, **keys)
    iam.create_role(RoleName=f"{name}-deployer", AssumeRolePolicyDocument=document)
    iam.attach_role_policy(RoleName=f"{name}-deployer", PolicyArn="arn:aws:iam::aws:policy/ReadOnlyAccess")


def written(folder: Path, name: str) -> Path:
    other = next(other for other in ACCOUNTS if other != name)
    place = folder / name
    place.mkdir()
    facts = {"name": name, "region": REGIONS[name], "account": ACCOUNTS[name], "ordinary": SECRETS[other]}
    (place / "environment.yaml").write_text(STACK.format(**facts))
    return place


@pytest.mark.long
def test_two_accounts_are_planned_at_the_same_time(sandbox_url: str, elsewhere: str, tmp_path: Path) -> None:
    urls = {"west": sandbox_url, "east": elsewhere}
    places = {name: written(tmp_path, name) for name in ACCOUNTS}
    for name, url in urls.items():
        deployer(url, name)
    before = dict(os.environ)
    together = threading.Barrier(len(ACCOUNTS))

    def planned(name: str) -> tuple[session.Session, pipeline.Planned]:
        location = session.locate(name, tmp_path)
        loaded = session.read(location, {"PASSWORD": SECRETS[name]}, strict=True)
        endpoint = Endpoint(urls[name], "eu-central-1", "test", "test")
        together.wait()  # from here on both are under way
        account = session.connect(loaded, {}, endpoint=endpoint)
        together.wait()
        return account, pipeline.make_plan(account.env, account.scope, account.client, Options())

    with ThreadPoolExecutor(2) as pool:
        made = dict(zip(ACCOUNTS, pool.map(planned, ACCOUNTS), strict=True))

    assert dict(os.environ) == before
    for name, other in (("west", "east"), ("east", "west")):
        account, plan = made[name]
        assert (account.scope.account, account.scope.region) == (ACCOUNTS[name], REGIONS[name])
        assert account.root == f"{name}/" and places[name].is_dir()
        for shown in printed(plan):
            assert SECRETS[name] not in shown
            assert f"not {SECRETS[other]}" in shown, "another environment's secret is no secret here"
            assert not any(f"{other}{rest}" in shown for rest in ("/db", "/jobs", "-role", "-deployer"))
            assert ACCOUNTS[other] not in shown and REGIONS[other] not in shown
            assert f"in {REGIONS[name]} of {ACCOUNTS[name]}" in shown


def printed(plan: pipeline.Planned) -> list[str]:
    document: Any = pipeline.document(plan, timestamp="2026-01-31T12:00:00Z")
    return [as_json.dumps(document), as_text(plan.plan, plan.mask)]


def test_the_users_settings_do_not_reach_an_endpoint_of_its_own(
    sandbox_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a profile that is not there nor an endpoint in the environment: `--sandbox` is meant."""
    deployer(sandbox_url, "west")
    broken = tmp_path / "config"
    broken.write_text("this is [no configuration")
    monkeypatch.setenv("AWS_PROFILE", "nowhere")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(broken))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    place = written(tmp_path, "west")
    loaded = session.read(session.locate(str(place), tmp_path), {"PASSWORD": "x" * 12}, strict=True)

    account = session.connect(loaded, {}, endpoint=Endpoint(sandbox_url, "eu-west-1", "test", "test"))

    assert account.scope.account == ACCOUNTS["west"]
