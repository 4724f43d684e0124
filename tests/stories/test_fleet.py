"""The night of a fleet in three accounts, by the jobs of ``environments/fleet-drift``: some environments are broken, to
some accounts there is no way in, and one account throttles.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from reconciler.account.client import Endpoint
from reconciler.model import Environment
from reconciler.operations import pipeline
from reconciler.sandbox.faults import Faults
from reconciler.sandbox.server import Sandbox
from tests.support import reports
from tests.support.examples import ROOT
from tests.support.shell import Result, Shell

MAIN, OTHER, BUSY = "123456789012", "111122223333", "444455556666"
PARTS, BUCKET = 2, "example-estate-drift"
TOPIC = f"arn:aws:sns:eu-west-1:{MAIN}:fleet-drift-notices"
BASE = 'region: eu-west-1\nlogGroups:\n  jobs: {logGroupName: "/${environment}/jobs", retentionInDays: 30}\n'
# status -> of twenty environments
KINDS = {"broken": {7}, "denied": {11}, "drifted": {3, 13}}


def kind(number: int) -> str:
    return next((name for name, of in KINDS.items() if number % 20 in of), "clean")


def account(number: int) -> str:
    return (MAIN, OTHER, BUSY)[number % 3]


@pytest.fixture
def fleet(shell: Shell, served: Sandbox, sandbox_url: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Writes and creates a fleet of some size."""

    def endpoint(env: Environment, *_: Any, **__: Any) -> Endpoint:
        return Endpoint(sandbox_url, "eu-west-1", env.account or MAIN, "x", "sandbox")

    def made(size: int) -> list[str]:
        clients = {one: served.of(one).attach().client("logs", region_name="eu-west-1") for one in (MAIN, OTHER, BUSY)}
        (shell.home / "environments" / "base").mkdir(parents=True)
        (shell.home / "environments" / "base" / "environment.yaml").write_text(BASE)
        names = [f"team-{number:04}" for number in range(size)]
        for number, name in enumerate(names):
            place, where = shell.home / "environments" / name, account(number)
            place.mkdir()
            role = "reconcile-gone" if kind(number) == "denied" else "reconcile-drift"
            settings = f'environment: {name}\nextends: ../base\naccount: "{where}"\n'
            settings += f"roleArn: arn:aws:iam::{where}:role/{role}\n"
            (place / "environment.yaml").write_text(settings + ("jobQueues: [\n" if kind(number) == "broken" else ""))
            tags = {"reconciler/environment": name, "reconciler/name": "jobs"}
            clients[where].create_log_group(logGroupName=f"/{name}/jobs", tags=tags)
            days = 7 if kind(number) == "drifted" else 30
            clients[where].put_retention_policy(logGroupName=f"/{name}/jobs", retentionInDays=days)
        for one in clients:
            served.let_assume(f"arn:aws:iam::{one}:role/reconcile-drift")
        return names

    monkeypatch.setattr("reconciler.operations.session.sandbox_endpoint", endpoint)
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    return made


def command(name: str) -> list[str]:
    """The command of a job definition, as a job gets it."""
    directory = ROOT / "environments" / "fleet-drift"
    env, _ = pipeline.read_environment(directory, {"RECONCILE_VAR_parts": str(PARTS)}, strict=True)
    (found,) = (one for address, one in env.resources.items() if address.name == name)
    values = {"Ref::results": f"s3://{BUCKET}/fleet-drift/run-1"}
    words = [values.get(str(word), str(word)) for word in found.props["containerProperties"]["command"]]
    return [f"sns:{TOPIC}" if word.startswith("sns:") else word for word in words]


def night(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> Result:
    """What the array job and the job after it do."""
    monkeypatch.setenv("AWS_BATCH_JOB_ID", "run-1")
    for number in range(PARTS):
        monkeypatch.setenv("AWS_BATCH_JOB_ARRAY_INDEX", str(number))
        assert shell.ok(*command("fleet-drift-parts")).out.startswith(f"Part {number + 1} of {PARTS}: ")
    monkeypatch.delenv("AWS_BATCH_JOB_ARRAY_INDEX")
    return shell(*command("fleet-drift-report"))


@pytest.mark.parametrize("size", [20, pytest.param(2000, marks=pytest.mark.long)])
def test_a_night_of_a_fleet(
    shell: Shell, served: Sandbox, fleet: Any, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    names = fleet(size)
    main = served.attach()
    s3 = main.client("s3", region_name="eu-west-1")
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    main.client("sns", region_name="eu-west-1").create_topic(Name="fleet-drift-notices")
    monkeypatch.setattr(served.of(BUSY), "faults", Faults())  # else those of all accounts
    throttled = served.of(BUSY).faults.add(throttle=True, probability=0.4, times=0)
    served.faults.add(service="s3", operation="PutObject", throttle=True, times=2)
    served.calls.clear()

    told = night(shell, monkeypatch)

    kinds = Counter(kind(number) for number in range(size))
    wrong = kinds["broken"] + kinds["denied"]
    assert told.code == 1
    summary = f"{size} environments: {kinds['clean']} clean, {kinds['drifted']} drifted, {wrong} error."
    assert told.out.splitlines()[-1] == summary
    calls = Counter(f"{call.service}:{call.operation}" for call in served.calls)
    assert throttled.struck and calls["sns:Publish"] == 1
    assert calls.total() < 12 * size + 10 * PARTS, calls
    s3.download_file(BUCKET, "fleet-drift/last.json", "last.json")
    report = reports.report(json.loads(Path("last.json").read_text()))
    status = {"broken": "error", "denied": "error"}
    expected = [(name, status.get(kind(number), kind(number))) for number, name in enumerate(names)]
    assert [(one["environment"], one["status"]) for one in report["environments"]] == expected
    codes = Counter(one["problems"][0]["code"] for one in report["environments"] if one["status"] == "error")
    assert codes["role-refused"] == kinds["denied"] and codes.total() == wrong
    page = s3.get_object(Bucket=BUCKET, Key="fleet-drift/last.html")["Body"].read().decode()
    assert page.count('<section class="environment"') == size and page.index("team-0007") < page.index("team-0000")

    # --- with the same picture again nobody gets a mail ---
    served.calls.clear()
    again = shell(*command("fleet-drift-report"))
    assert again.code == 1 and "nothing new." in again.out
    assert not any(call.operation == "Publish" for call in served.calls)
