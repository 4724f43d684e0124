"""Three environments in two accounts and two Regions, which people change behind the back of the YAML."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import boto3
import pytest

from reconciler.account.client import Endpoint
from reconciler.model import Environment
from reconciler.operations.drift.callers import WallClock
from reconciler.sandbox.server import Sandbox
from reconciler.sandbox.wire import Reply, Request
from tests.support import reports
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
        return Endpoint(sandbox_url, "eu-west-1", PLACES.get(env.name, (MAIN, ""))[0], "x", "sandbox")

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


class Hook:
    """A web hook on this machine: what it was sent, and what it answers next."""

    def __init__(self) -> None:
        hook = self
        self.got: list[Any] = []
        self.answers: list[int] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                hook.got.append((self.path, json.loads(body)))
                self.send_response(hook.answers.pop(0) if hook.answers else 200)
                self.send_header("Location", "/elsewhere")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Nothing on stderr."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/{path}"


@pytest.fixture
def hook() -> Iterator[Hook]:
    made = Hook()
    yield made
    made.server.shutdown()
    made.server.server_close()


def by_its_own_clock(served: Sandbox, patch: pytest.MonkeyPatch) -> None:
    """AWS says the time in each reply, here that of the account, and the clock of this machine is a quarter of an hour
    fast: when something happened does not depend on either.
    """
    here, answer = time.time, served.answer

    def dated(request: Request) -> Reply:
        reply = answer(request)
        return replace(reply, headers={**reply.headers, "date": formatdate(served.clock.now(), usegmt=True)})

    patch.setattr(served, "answer", dated)
    patch.setattr(time, "time", lambda: here() + 900)


SECRET_PATH = "services/T0/B0/hushhushhushhush"
TOPIC = f"arn:aws:sns:eu-west-1:{MAIN}:oncall"


def changed_by_hand(served: Sandbox) -> None:
    """What people do at night: a retention, a tag, a deletion, and something of ours that nobody declares."""
    client(served, "logs", "dev").put_retention_policy(logGroupName="/dev/jobs", retentionInDays=7)
    arn = f"arn:aws:logs:eu-west-1:{MAIN}:log-group:/dev/jobs"
    client(served, "logs", "dev").tag_resource(resourceArn=arn, tags={"owner": "someone"})
    batch = client(served, "batch", "dev")
    (policy,) = batch.list_scheduling_policies()["schedulingPolicies"]
    batch.tag_resource(resourceArn=policy["arn"], tags={"owner": "someone"})
    client(served, "sns", "dev").delete_topic(TopicArn=f"arn:aws:sns:eu-west-1:{MAIN}:dev-alarms")
    tags = [{"Key": "reconciler/environment", "Value": "partner"}]
    client(served, "sns", "partner").create_topic(Name="stray", Tags=tags)


def writes(shell: Shell) -> list[str]:
    return [call for call in shell.writes() if call not in ("sts:AssumeRole", "cloudtrail:LookupEvents")]


def statuses(document: Any) -> dict[str, str]:
    return {one["environment"]: one["status"] for one in reports.report(document)["environments"]}


def drifts(document: Any, name: str, member: str = "drift") -> dict[str, Any]:
    (one,) = (one for one in document["environments"] if one["environment"] == name)
    return {entry["address"]: entry[member] for entry in one["plan"]["resource_changes"] if member in entry}


def callers(document: Any, name: str) -> list[Any]:
    return [*drifts(document, name, "changed_by").values()]


@pytest.mark.usefixtures("estate")
def test_people_change_an_estate_at_night(
    shell: Shell, served: Sandbox, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_its_own_clock(served, monkeypatch)
    client(served, "sns", "dev").create_topic(Name="oncall")
    monkeypatch.setenv("RECONCILE_NOTIFY", f"slack:{hook.url(SECRET_PATH)} webhook:{hook.url('generic')} sns:{TOPIC}")
    shell.secrets.add(SECRET_PATH)
    served.calls.clear()
    clean = shell.ok("drift", "--all", "--since", "last.json", "--format", "text", "--format", "json=last.json")
    assert clean.out.splitlines()[-1] == "3 environments: 3 clean."
    assert "last.json does not exist yet" in clean.err and "3/3 " in clean.err
    assert statuses(json.loads(Path("last.json").read_text())) == dict.fromkeys(("dev", "partner", "prod"), "clean")
    assert writes(shell) == [] and hook.got == [], "a clean night is quiet"

    changed_by_hand(served)
    served.calls.clear()
    formats = {name: f"report.{name}" for name in ("markdown", "html", "junit", "sarif")}
    asked = [word for name, file in formats.items() for word in ("--format", f"{name}={file}")]
    monkeypatch.setattr(WallClock, "sleep", lambda _, seconds: served.clock.advance(seconds))
    served.clock.advance(1200)  # until CloudTrail has delivered the events
    told = shell("drift", "--all", "--who", "--since", "last.json", *asked, "--format", "json")

    assert told.code == 2, told.err
    events = ["DeleteTopic", "PutRetentionPolicy", "TagResource"]
    also = [[one["event"] for one in more] for more in drifts(told.json, "dev", "also_changed_by").values()]
    assert also == [["TagResource"]], "of the log group, which the retention comes before"
    assert sorted(one["event"] for one in callers(told.json, "dev")) == events
    assert [one["event"] for one in callers(told.json, "partner")] == ["CreateTopic"]
    (Path("last.json")).write_text(told.out)
    assert statuses(told.json) == {"dev": "drifted", "partner": "drifted", "prod": "clean"}
    found = {
        'logGroups["/dev/jobs"]': "changed",
        "schedulingPolicies.dev-fair": "changed",
        "topics.dev-alarms": "missing",
    }
    assert drifts(told.json, "dev") == found
    assert drifts(told.json, "partner") == {"topics.stray": "undeclared"}
    assert {*drifts(told.json, "dev", "since").values()} == {"new"}
    where = [(one["environment"], one["account"], one["region"]) for one in told.json["environments"]]
    assert where == [(name, *PLACES[name]) for name in ("dev", "partner", "prod")]

    files = {name: Path(file).read_text("utf-8") for name, file in formats.items()}
    assert all(PASSWORD not in text for text in files.values())
    check_markdown(files["markdown"])
    assert files["html"].index('id="environment-0"') < files["html"].index('id="environment-2"')
    assert "7 -&gt; 30" in files["html"] and 'data-status="clean"' in files["html"]
    cases = reports.junit(files["junit"])
    dev = next(suite for title, suite in cases.items() if title.startswith("dev "))
    assert {name for name, case in dev.items() if case.find("failure") is not None} == {*found}
    prod = next(suite for title, suite in cases.items() if title.startswith("prod "))
    own = {"dev": dev, "prod": prod}
    placed = {
        (name, case.get("file"))
        for name, suite in own.items()
        for case in suite.values()
        if "." in case.get("name", "")
    }
    assert placed == {(name, f"environments/{name}/resources.yaml") for name in own}, "with drift, and without"
    assert (dev['logGroups["/dev/jobs"]'].find("failure").text or "").startswith("environments/dev/resources.yaml:4:5")
    runs = {run["automationDetails"]["id"]: run for run in reports.sarif(files["sarif"])["runs"]}
    assert runs[f"reconcile-drift/prod/{MAIN}/us-east-1/"]["results"] == []
    by_rule = {
        (one["ruleId"], one["locations"][0]["physicalLocation"]["region"]["startLine"])
        for one in runs[f"reconcile-drift/dev/{MAIN}/eu-west-1/"]["results"]
    }
    assert by_rule == {("drift-changed", 3), ("drift-changed", 4), ("drift-changed", 8), ("drift-missing", 6)}

    # --- the notices: without values, and the URL nowhere ---
    assert writes(shell) == ["sns:Publish"]
    (slack_path, slack), (generic_path, generic) = hook.got
    assert (slack_path, generic_path) == (f"/{SECRET_PATH}", "/generic")
    assert len(slack["blocks"]) == 4 and "dev-alarms" in slack["blocks"][3]["text"]["text"]
    assert {one["environment"] for one in generic["environments"]} == {"dev", "partner"}
    assert "4 new" in generic["changes"]
    hook.got.clear()

    # --- the same picture again: nobody is told; then one thing ends and another begins ---
    same = shell("drift", "--all", "--since", "last.json")
    assert same.code == 2 and "nothing new." in same.out and "still there: " in same.out
    assert writes(shell) == [] and hook.got == []
    client(served, "logs", "dev").put_retention_policy(logGroupName="/dev/jobs", retentionInDays=30)
    arn = f"arn:aws:logs:eu-west-1:{MAIN}:log-group:/dev/jobs"
    client(served, "logs", "dev").untag_resource(resourceArn=arn, tagKeys=["owner"])
    client(served, "sns", "prod").delete_topic(TopicArn=f"arn:aws:sns:us-east-1:{MAIN}:prod-alarms")
    hook.answers = [302, 503, 503, 503]
    monkeypatch.setattr("reconciler.operations.drift.notify.PAUSES", (0.01, 0.01))
    moved = shell("drift", "--all", "--since", "last.json", "--format", "json")
    assert moved.code == 2, "a notice that fails changes nothing"
    assert moved.err.count("was not sent: HTTP 30") == 1 and moved.err.count("was not sent: HTTP 503") == 1
    assert [path for path, _ in hook.got] == [f"/{SECRET_PATH}", *["/generic"] * 3], "redirects are not followed"
    assert moved.json["environments"][0]["resolved"] == ['logGroups["/dev/jobs"]']
    assert {*drifts(moved.json, "dev", "since").values()} == {"still"}
    assert drifts(moved.json, "prod", "since") == {"topics.prod-alarms": "new"}

    # --- what could not be sent is sent by the next run, to those that lack it, although nothing is new since ---
    assert "the next run with --since sends it" in moved.err
    unsent = {one["to"]: one for one in moved.json["unsent"]}
    assert [*unsent] == ["slack at 127.0.0.1", "webhook at 127.0.0.1"] and SECRET_PATH not in moved.out
    Path("last.json").write_text(moved.out)
    hook.got.clear()
    writes(shell)
    hook.answers = [200, 503, 503, 503]
    late = shell("drift", "--all", "--since", "last.json", "--format", "json")
    assert drifts(late.json, "prod", "since") == {"topics.prod-alarms": "still"} and writes(shell) == []
    told = dict(hook.got)
    assert "1 new, 1 resolved" in told["/generic"]["changes"], "as the notice that failed"
    assert [one["to"] for one in late.json["unsent"]] == ["webhook at 127.0.0.1"], "one is as it was two runs ago"
    assert late.json["unsent"][0] == unsent["webhook at 127.0.0.1"]
    Path("last.json").write_text(late.out)
    hook.got.clear()
    assert "unsent" not in shell("drift", "--all", "--since", "last.json", "--format", "json").json
    assert [path for path, _ in hook.got] == ["/generic"]


def check_markdown(text: str) -> None:
    assert text.startswith("### Drift: 3 environments")
    assert text.endswith("<!-- reconcile: ..drift -->\n")
    assert text.index("#### ⚠️ <code>dev in") < text.index("1 environment without drift")
    assert "!   retentionInDays  7 -> 30" in text and "environments/dev/resources.yaml" in text


def test_what_cannot_be_read_is_never_without_drift(shell: Shell, served: Sandbox, estate: Path) -> None:
    several = shell("drift")
    assert several.code == 1 and "--all checks all" in several.err
    before = shell.ok("drift", "dev", "prod", "--format", "json=last.json")
    assert before.out == ""
    (estate / "broken").mkdir()
    (estate / "broken" / "environment.yaml").write_text("environment: broken\njobQueues: {q: {priority: high}}\n")
    settings = estate / "partner" / "environment.yaml"
    settings.write_text(settings.read_text().replace("role/deploy", "role/removed"))
    wrong = estate / "prod" / "environment.yaml"
    wrong.write_text(wrong.read_text().replace(f'account: "{MAIN}"', 'account: "999999999999"'))
    served.faults.add(service="logs", operation="DescribeLogGroups", deny=True, times=0)
    served.faults.add(service="tagging", operation="GetResources", deny=True, times=0)

    told = shell("drift", "--all", "--since", "last.json", "--format", "json", "--format", "sarif=x.sarif")

    assert told.code == 1
    assert statuses(told.json) == dict.fromkeys(("broken", "dev", "partner", "prod"), "error")
    codes = {one["environment"]: {problem["code"] for problem in one["problems"]} for one in told.json["environments"]}
    assert "wrong-type" in codes["broken"] and "role-refused" in codes["partner"] and "unreadable" in codes["dev"]
    dev, prod = told.json["environments"][1], told.json["environments"][3]
    assert (dev["since"], dev["resolved"]) == ("new", []) and prod["plan"] is None
    results = [run["results"] for run in reports.sarif(Path("x.sarif").read_text())["runs"]]
    assert {one["ruleId"] for found in results for one in found} == {"drift-unread"} and all(results)
    text = shell("drift", "--all", "--since", "last.json").out
    assert "no longer readable" in text and "4 environments: 4 error." in text
    refused = [line for line in text.partition("dev in account")[2].splitlines() if "GetResources was refused" in line]
    assert refused and all("error[unreadable]" in line for line in refused) and "Advice" not in text

    assert shell("drift", "prod").code == 4, "the account guard of the only one"
    kept = Path("last.json").read_text()
    assert shell("drift", "--all", "dev", "--since", "last.json", "--format", "json=last.json").code == 1
    assert Path("last.json").read_text() == kept, "the next run has it to compare with"
    unknown = shell("drift", "nowhere", "dev", "--format", "json")
    assert unknown.code == 1 and unknown.json["problems"] and statuses(unknown.json) == {"dev": "error"}
    for form in ("json", "markdown", "html", "junit", "sarif"):
        failed = shell("drift", "--all", "dev", "--format", form)
        assert failed.code == 1 and "--all cannot be combined with ENV" in failed.out
    for target in (
        f"sns:{TOPIC}x:y",
        "slack:hooks.example.com/hushhush",
        "webhook:http://example.com/hushhush",
        "mail:hushhush",
    ):
        refused = shell("drift", "dev", "--notify", target)
        assert refused.code == 1 and "--notify" in refused.err and "hushhush" not in refused.told
    url = f"https://hooks.slack.com/{SECRET_PATH}"
    shell.secrets.add(SECRET_PATH)
    for typed in (("dev", f"slack:{url}"), (url,), ("--since", f"slack:{url}", "dev"), ("--format", f"slack:{url}")):
        mistyped = shell("drift", *typed)  # which says that a secret is nowhere in what it prints
        assert mistyped.code == 1 or "(sensitive) does not exist yet" in mistyped.err, mistyped.told
    assert "a target of notices is given as an environment" in shell("drift", "dev", f"sns:{TOPIC}").err


def test_what_aws_is_still_changing_can_be_left_out(shell: Shell, served: Sandbox) -> None:
    Path("environment.yaml").write_text(
        "environment: dev\nregion: eu-west-1\n"
        "roles:\n  batch: {trust: [batch.amazonaws.com], managedPolicies: [service-role/AWSBatchServiceRole]}\n"
        "computeEnvironments:\n  ce: {type: UNMANAGED, serviceRole: batch}\n"
        "jobQueues:\n  q: {priority: 1, computeEnvironmentOrder: [{order: 1, computeEnvironment: ce}]}\n"
    )
    shell.ok("apply", "--auto-approve")
    client(served, "batch", "dev").update_job_queue(jobQueue="q", priority=2)  # UPDATING for a while

    assert shell("drift").code == 2
    left = shell.ok("drift", "--ignore-transient", "--format", "json").json["environments"][0]
    assert (left["status"], left["moving"]) == ("clean", ["jobQueues.q"])
    said = "left out, since AWS is still changing it: jobQueues.q"
    assert said in shell.ok("drift", "--ignore-transient", "--format", "text", "--format", "markdown=left.md").out
    assert said.replace(":", "&#58;") in Path("left.md").read_text(), "also where there is no drift"
    served.clock.advance(600)
    assert shell("drift", "--ignore-transient").code == 2, "it has come to rest, and differs"

    # what apply would refuse is drift all the same
    settings = Path("environment.yaml").read_text()
    Path("environment.yaml").write_text(
        settings.replace("{priority: 1,", "{priority: 2, lifecycle: {preventDestroy: true},")
    )
    shell.ok("apply", "--auto-approve")
    Path("environment.yaml").write_text(settings.partition("jobQueues:")[0])
    refused = shell("drift", "--format", "json")
    assert refused.code == 2 and drifts(refused.json, "dev") == {"jobQueues.q": "undeclared"}
    (problem,) = (one for one in refused.json["environments"][0]["problems"] if one["address"] == "jobQueues.q")
    assert (problem["code"], problem["severity"]) == ("prevent-destroy", "warning")
