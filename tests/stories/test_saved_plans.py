"""Saved plans: applied where and when they still hold, and refused with what differs where they do not."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest

from reconciler.model import Options
from reconciler.model.problems import Problems
from reconciler.operations import saved_plan
from tests.support.plan_schema import valid_plan
from tests.support.shell import Result, Shell

ROOT = Path(__file__).resolve().parents[2]
SECRET, OTHER = "hunter2-and-more", "correct-horse-battery"

SETTINGS = """\
environment: site
region: eu-west-1
ignoreTags: ["scanner:*"]
"""
LOOKUPS = """\
lookups:
  vpc: {vpc: {default: true}}
  subnets: {subnets: {vpcId: "${lookups.vpc}"}}
  default: {securityGroup: {groupName: default, vpcId: "${lookups.vpc}"}}
"""
CONTAINER = {
    "image": "alpine",
    "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "512"}],
}
WORKERS = {
    "type": "EC2",
    "minvCpus": 0,
    "maxvCpus": 8,
    "instanceTypes": ["m5.large", "c5.large"],
    "instanceRole": "site-role",
    "subnets": "${lookups.subnets}",
    "securityGroupIds": ["${lookups.default}"],
}
LIGHT = {
    "logGroups": {"site-a": {"retentionInDays": 7}, "site-b": {"retentionInDays": 7}},
    "topics": {"site-topic": {"attributes": {"DisplayName": "one"}}},
}
BASIC = {
    **LIGHT,
    "roles": {"site-role": {"trust": ["ec2.amazonaws.com"], "managedPolicies": ["ReadOnlyAccess"]}},
    "secrets": {"site-secret": {"value": "${env:SITE_SECRET}"}},
    "jobDefinitions": {"site-job": {"type": "container", "containerProperties": CONTAINER}},
}
FULL = {
    **BASIC,
    "instanceProfiles": {"site-role": {"role": "site-role"}},
    "computeEnvironments": {"site-ce": {"type": "MANAGED", "computeResources": WORKERS}},
}
WAITING = {
    "logGroups": {"site-a": {"retentionInDays": 30}, "site-b": None},
    "topics": {"site-topic": {"attributes": {"DisplayName": "two"}}},
    "jobDefinitions": {"site-job": {"parameters": {"x": "1"}}},
}
SCALING = {
    "computeEnvironments": {
        "site-ce": {
            "computeResources": {**WORKERS, "maxvCpus": 16},
            "lifecycle": {"ignoreChanges": ["computeResources.minvCpus"]},
        }
    },
}


def declare(place: Path, stack: dict[str, Any] = LIGHT, change: dict[str, Any] | None = None) -> Path:
    """Write an environment; ``change`` is merged over its resources, and takes away what is None."""
    lines = []
    for section in {**stack, **(change or {})}:
        named = {name: dict(value) for name, value in stack.get(section, {}).items()}
        for name, value in (change or {}).get(section, {}).items():
            named[name] = None if value is None else {**named.get(name, {}), **value}  # type: ignore[assignment]
        lines.append(f"{section}: {json.dumps({name: value for name, value in named.items() if value is not None})}\n")
    place.mkdir(parents=True, exist_ok=True)
    looked_up = [LOOKUPS] if "computeEnvironments" in stack else []
    (place / "environment.yaml").write_text("".join([SETTINGS, *looked_up, *lines]), encoding="utf-8")
    return place


@pytest.fixture
def shell(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.setenv("SITE_SECRET", SECRET)
    shell.secrets = {SECRET, OTHER}
    return shell


@pytest.fixture
def clone(shell: Shell) -> Path:
    """A clone with one small environment, nothing of it applied."""
    (shell.home / "clone" / ".git").mkdir(parents=True)
    declare(shell.home / "clone" / "environments" / "site")
    return shell.go(shell.home / "clone")


def waiting(clone: Path, shell: Shell, stack: dict[str, Any], change: dict[str, Any]) -> Path:
    """The environment applied, and a saved plan of changes of every sort."""
    site = declare(clone / "environments" / "site", stack)
    shell.ok("apply", "-y")
    declare(site, stack, change)
    shell.ok("plan", "--out", "a.plan")
    return site / "environment.yaml"


def problems(found: Result) -> list[Any]:
    (line,) = found.lines
    assert line["type"] == "problems" and line["@level"] == "error"
    return [(problem["code"], problem["address"]) for problem in line["problems"]]


# --- elsewhere -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("planned_in", "named", "applied_in"),
    [
        (".", None, "environments"),
        (".", "site", "environments/site"),
        ("environments/site", ".", "docs/deep"),
        ("docs", "../environments/site", "environments/site"),
        (".", "site", "/elsewhere"),
    ],
)
def test_it_is_applied_in_another_clone(
    clone: Path, shell: Shell, planned_in: str, named: str | None, applied_in: str
) -> None:
    """Also from a directory outside, while the file lies in a clone."""
    shell.go(clone / planned_in)
    shell.ok("plan", *([named] if named else []), "--out", str(clone / "a.plan"))
    other = shell.home / "other" / "place"
    shutil.move(clone, other)
    shell.go(shell.home / "nowhere" if applied_in == "/elsewhere" else other / applied_in)

    assert "3 created" in shell.ok("apply", os.path.relpath(other / "a.plan")).out


def test_without_git_it_is_found_from_the_same_place_or_in_its_own_directory(clone: Path, shell: Shell) -> None:
    shell.ok("plan", "--out", "a.plan")
    (clone / ".git").rmdir()
    other = shell.home / "other"
    shutil.move(clone, other)
    shell.go(shell.home)
    lost = shell("apply", "other/a.plan", "--format", "json")
    assert (lost.code, problems(lost)) == (1, [("no-environment", "")])
    told = lost.lines[0]["problems"][0]
    assert "environments/site" in told["message"] and "root of a clone" in told["hint"]

    shell.go(other / "environments" / "site")
    shell.ok("apply", "../../a.plan")


def test_a_file_that_is_an_environment(shell: Shell) -> None:
    declare(shell.home / "x")
    (shell.home / "x" / "environment.yaml").rename(shell.home / "one.yaml")
    shell.ok("plan", "one.yaml", "--out", "one.plan.yaml")
    assert "3 created" in shell.ok("apply", "one.plan.yaml").out
    shell.ok("plan", "one.yaml", "--detailed-exitcode")


def test_of_several_environments_here_it_takes_its_own(clone: Path, shell: Shell) -> None:
    shell.ok("plan", "environments/site", "--out", "a.plan")
    (clone / "environments" / "site").rename(clone / "moved")
    strangers = declare(clone / "environments" / "site") / "environment.yaml"
    strangers.write_text(strangers.read_text("utf-8").replace("environment: site", "environment: other"), "utf-8")
    shell.go(clone / "moved")

    assert "3 created" in shell.ok("apply", "../a.plan").out
    shell.go(clone)
    refused = shell("apply", "a.plan", "--format", "json")
    assert (refused.code, problems(refused)) == (5, [("foreign-plan", "")])


# --- what may move, and what may not ---------------------------------------------------------------------------------


def test_what_does_not_concern_it_may_move(clone: Path, shell: Shell) -> None:
    """Others' resources, what the service moves by itself, ignored tags and properties; in another order, and later."""
    settings = waiting(clone, shell, FULL, {**WAITING, **SCALING})
    batch, logs = boto3.client("batch"), boto3.client("logs")
    arn = batch.describe_compute_environments(computeEnvironments=["site-ce"])["computeEnvironments"][0]
    logs.create_log_group(logGroupName="stranger")
    logs.tag_log_group(logGroupName="site-a", tags={"scanner:seen": "today"})
    logs.create_log_stream(logGroupName="site-a", logStreamName="jobs")
    batch.tag_resource(resourceArn=arn["computeEnvironmentArn"], tags={"scanner:seen": "today"})
    batch.register_job_definition(jobDefinitionName="stranger", type="container", containerProperties=CONTAINER)
    batch.update_compute_environment(computeEnvironment="site-ce", computeResources={"minvCpus": 2, "desiredvCpus": 4})
    shell.account.clock.advance(7200)
    shell.account.change({"shuffle": "another order"})
    settings.write_text("# moved down\n\n" + settings.read_text("utf-8"), "utf-8")
    done = shell.ok("apply", "a.plan")

    assert "1 deleted" in done.out and "updated" in done.out
    shell.ok("plan", "--detailed-exitcode")


def submitted(revision: int) -> str:
    """A job that waits in another's queue and holds on to a revision."""
    found: str = boto3.client("batch").submit_job(
        jobName="x", jobQueue="site-queue", jobDefinition=f"site-job:{revision}"
    )["jobId"]
    return found


def revisions() -> list[int]:
    found = boto3.client("batch").describe_job_definitions(jobDefinitionName="site-job", status="ACTIVE")
    return sorted(item["revision"] for item in found["jobDefinitions"])


def busy(clone: Path, shell: Shell) -> Path:
    """Two revisions, of which one more than is kept would go with the next; and a queue."""
    queue = {"priority": 1, "computeEnvironmentOrder": [{"order": 1, "computeEnvironment": "site-ce"}]}
    stack: dict[str, Any] = {**FULL, "jobQueues": {"site-queue": queue}}
    site = declare(clone / "environments" / "site", stack)
    for number in (1, 2):
        declare(site, stack, {"jobDefinitions": {"site-job": {"parameters": {"x": str(number)}}}})
        shell.ok("apply", "-y")
    declare(site, stack, {"jobDefinitions": {"site-job": {"parameters": {"x": "3"}}}})
    return site


def test_jobs_come_and_go_without_spoiling_it(clone: Path, shell: Shell) -> None:
    """What a job held when the plan was saved stays; what a job holds since then stays as well, and is told."""
    shell.account.change({"job_to_starting": 10**6})
    busy(clone, shell)
    held = submitted(1)
    shell.ok("plan", "--out", "held.plan")
    assert "revision 1 is kept" in shell.ok("plan").out
    boto3.client("batch").terminate_job(jobId=held, reason="done")
    shell.account.clock.advance(600)
    assert "DeregisterJobDefinition" in shell.ok("plan", "--verbose").out

    shell.ok("apply", "held.plan")
    assert revisions() == [1, 2, 3]

    shell.ok("apply", "-y")
    shell.ok("plan", "--detailed-exitcode")
    assert revisions() == [2, 3]


def test_a_revision_that_a_job_holds_since_is_left(clone: Path, shell: Shell) -> None:
    shell.account.change({"job_to_starting": 10**6})
    busy(clone, shell)
    shell.ok("plan", "--out", "free.plan")
    submitted(1)

    done = shell.ok("apply", "free.plan")

    assert "revision 1 is kept" in done.out
    assert revisions() == [1, 2, 3]


def test_what_was_to_go_and_is_in_use_since_spoils_it(clone: Path, shell: Shell) -> None:
    shell.account.change({"job_to_starting": 10**6})
    declare(busy(clone, shell), {**FULL, "jobDefinitions": {}})
    shell.ok("plan", "--exclude", "jobQueues.site-queue", "--out", "gone.plan")
    submitted(2)
    refused = shell("apply", "gone.plan", "--format", "json")

    assert refused.code == 5
    assert ("stale-plan", "jobDefinitions.site-job") in problems(refused)
    assert revisions() == [1, 2]


def _yaml(change: dict[str, Any]) -> Callable[[Path], Any]:
    def edit(clone: Path) -> None:
        merged = {section: {**WAITING.get(section, {}), **named} for section, named in change.items()}  # type: ignore[dict-item]
        declare(clone / "environments" / "site", BASIC, {**WAITING, **merged})

    return edit


def _again(_: Path) -> None:
    definition = {"jobDefinitionName": "site-job", "type": "container", "containerProperties": CONTAINER}
    boto3.client("batch").register_job_definition(**definition)


MOVES: list[tuple[str, Callable[[Path], Any], str]] = [
    ("a tag", lambda _: boto3.client("logs").tag_log_group(logGroupName="site-a", tags={"t": "x"}), "logGroups.site-a"),
    (
        "the property",
        lambda _: boto3.client("logs").put_retention_policy(logGroupName="site-a", retentionInDays=14),
        "logGroups.site-a",
    ),
    (
        "what was as declared",
        lambda _: boto3.client("iam").update_role(RoleName="site-role", MaxSessionDuration=7200),
        "roles.site-role",
    ),
    ("a revision of that name", _again, "jobDefinitions.site-job"),
    (
        "what is to go is in another use",
        lambda _: boto3.client("logs").put_retention_policy(logGroupName="site-b", retentionInDays=365),
        "logGroups.site-b",
    ),
    ("what is to go has gone", lambda _: boto3.client("logs").delete_log_group(logGroupName="site-b"), ""),
    ("what is to change has gone", lambda _: boto3.client("logs").delete_log_group(logGroupName="site-a"), ""),
    ("the YAML has more", _yaml({"topics": {"site-new": {}}}), "topics.site-new"),
    (
        "the YAML has less",
        _yaml({"topics": {"site-new": {}}, "jobDefinitions": {"site-job": {}}}),
        "",
    ),
]


def test_what_concerns_it_may_not(clone: Path, shell: Shell) -> None:
    """One movement after the other: each is told, with those before it."""
    waiting(clone, shell, BASIC, WAITING)
    moved: set[str] = set()
    for what, move, address in MOVES:
        move(clone)
        moved |= {address} if address else set()
        shell.writes()
        refused = shell("apply", "a.plan", "--format", "json")

        assert refused.code == 5, what
        assert problems(refused) == [("stale-plan", ""), *(("stale-plan", name) for name in sorted(moved))], what
        assert {call.partition(":")[0] for call in shell.writes()} == {"ssm"}, what
    text = shell("apply", "a.plan")
    assert text.code == 5 and "make a new one" in text.err
    assert "error[stale-plan]: logGroups.site-a: the plan was to update it; a new plan would create it" in text.err
    assert (
        "error[stale-plan]: logGroups.site-b: the plan was to delete it; a new plan would keep it unchanged" in text.err
    )


def test_what_stands_in_the_way_now_is_told_with_it(clone: Path, shell: Shell) -> None:
    shell.ok("plan", "--out", "a.plan")
    boto3.client("logs").create_log_group(logGroupName="site-a")
    refused = shell("apply", "a.plan", "--format", "json")

    assert refused.code == 5
    assert ("exists-unowned", "logGroups.site-a") in problems(refused) and ("stale-plan", "") in problems(refused)
    text = shell("apply", "a.plan")
    assert text.code == 5 and "--adopt" in text.err and "make a new one" in text.err
    assert "logGroups.site-a: the plan was to" not in text.err, "a new plan would do nothing with it"


def test_a_read_that_is_refused_is_no_change(clone: Path, shell: Shell) -> None:
    shell.ok("plan", "--out", "a.plan")
    shell.account.faults.add(service="logs", operation="Describe*", code="AccessDeniedException", times=0)
    blind = shell("apply", "a.plan", "--format", "json")
    shell.account.faults.clear()

    assert blind.code == 1 and {code for code, _ in problems(blind)} == {"unreadable"}
    shell.ok("apply", "a.plan")


def test_many_differences_are_cut_short(clone: Path, shell: Shell) -> None:
    many = {f"site-{n}": {"retentionInDays": 7} for n in range(14)}
    declare(clone / "environments" / "site", {"logGroups": many})
    shell.ok("plan", "--out", "a.plan")
    shell.ok("apply", "-y")
    refused = shell("apply", "a.plan")

    assert refused.code == 5
    assert refused.err.count("a new plan would keep it unchanged") == 10 and "and 4 more" in refused.err


def test_one_without_changes_is_applied_as_such(clone: Path, shell: Shell) -> None:
    shell.ok("apply", "-y")
    shell.ok("plan", "--out", "a.plan")

    assert "No changes" in shell.ok("apply", "a.plan").out
    declare(clone / "environments" / "site", LIGHT, {"topics": {"site-more": {}}})
    assert shell("apply", "a.plan").code == 5


# --- secrets ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["a new secret", "a secret that is there", "a variable of a job", "user data"])
def test_plans_that_differ_in_a_secret_alone_are_not_exchanged(
    clone: Path, shell: Shell, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    site = clone / "environments" / "site"
    containers = {**CONTAINER, "environment": [{"name": "DB_PASSWORD", "value": "${env:SITE_SECRET}"}]}
    user_data = "#!/bin/sh\nexport TOKEN=${env:SITE_SECRET}\n"
    stack: dict[str, Any] = {
        "a variable of a job": {
            "jobDefinitions": {"site-job": {"type": "container", "containerProperties": containers}}
        },
        "user data": {"launchTemplates": {"site-lt": {"launchTemplateData": {"userData": user_data}}}},
    }.get(where, {"secrets": {"site-secret": {"value": {"password": "${env:SITE_SECRET}"}}}})
    declare(site, stack)
    if where == "a secret that is there":
        monkeypatch.setenv("SITE_SECRET", "the-first-one")
        shell.ok("apply", "-y")
        monkeypatch.setenv("SITE_SECRET", SECRET)
    shell.ok("plan", "--out", "a.plan")
    one = json.loads(Path("a.plan").read_text("utf-8"))["plan"]
    monkeypatch.setenv("SITE_SECRET", OTHER)
    two = shell.ok("plan", "--format", "json").json
    refused = shell("apply", "a.plan")

    assert SECRET not in Path("a.plan").read_text("utf-8")
    assert {**one, "timestamp": "", "checksum": ""} == {**two, "timestamp": "", "checksum": ""}
    assert one["checksum"] != two["checksum"]
    assert refused.code == 5 and "a value that is not shown" in refused.err
    if where == "a new secret":
        monkeypatch.setenv("SITE_SECRET", SECRET)
        shell.ok("apply", "a.plan")


# --- the file --------------------------------------------------------------------------------------------------------


def test_it_is_its_owners_and_keeps_the_schema(clone: Path, shell: Shell) -> None:
    Path("a.plan").touch(0o644)
    shell.ok("plan", "--out", "a.plan")
    saved = json.loads(Path("a.plan").read_text("utf-8"))

    assert Path("a.plan").stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in clone.iterdir()) == [".git", "a.plan", "environments"]
    valid_plan(saved["plan"])
    refused = shell("plan", "--out", "nowhere/a.plan")
    assert refused.code == 1 and "nowhere/a.plan cannot be written" in refused.err


def test_any_byte_that_is_changed_shows(clone: Path, shell: Shell) -> None:
    shell.ok("plan", "--target", "topics.site-topic", "--out", "a.plan")
    data = Path("a.plan").read_bytes()
    for place in (*range(300), *range(300, len(data), 7)):
        Path("b.plan").write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        with pytest.raises(Problems):
            saved_plan.read(Path("b.plan"))
    shell.writes()
    for broken in (data[:-1], data + b"\n", data[: len(data) // 2], data.replace(b"\n", b"\r\n")):
        Path("b.plan").write_bytes(broken)
        refused = shell("apply", "b.plan")
        assert refused.code == 1 and "reconcile plan --out" in refused.err
    assert shell.account.calls == []


def resealed(path: Path, change: Callable[[Any, dict[str, Any]], None]) -> None:
    """Forge a plan file: change what it says, and make its digest right again."""
    saved = saved_plan.read(path)
    document = json.loads(json.dumps(saved.document))
    options: dict[str, Any] = {}
    change(document, options)
    given = Options(**options) if options else saved.options
    saved_plan.write(path, document, where=saved.where, options=given, shown=saved.shown)


def _lie(document: Any, _: Any) -> None:
    document["resource_changes"][0]["steps"][0]["parameters"]["logGroupName"] = "harmless"


FORGERIES: dict[str, tuple[Callable[[Any, dict[str, Any]], None], str]] = {
    "a step": (_lie, "stale-plan"),
    "a resource left out": (lambda document, _: document["resource_changes"].pop(), "stale-plan"),
    "the checksum": (lambda document, _: document.update(checksum="sha256:" + "0" * 64), "stale-plan"),
    "the options": (lambda _, options: options.update(destroy=True), "stale-plan"),
    "the account": (lambda document, _: document.update(account="999999999999"), "foreign-plan"),
    "the environment": (lambda document, _: document.update(environment="prod"), "foreign-plan"),
    "the region": (lambda document, _: document.update(region="us-east-1"), "foreign-plan"),
}


def test_one_that_is_forged_to_the_last_byte_gains_nothing(clone: Path, shell: Shell) -> None:
    shell.ok("plan", "--out", "a.plan")
    true = Path("a.plan").read_bytes()
    shell.writes()
    for what, (change, code) in FORGERIES.items():
        Path("a.plan").write_bytes(true)
        resealed(Path("a.plan"), change)
        refused = shell("apply", "a.plan", "--format", "json")

        assert refused.code == 5 and {found for found, _ in problems(refused)} == {code}, what
    assert {call.partition(":")[0] for call in shell.writes()} <= {"ssm"}


def test_one_that_claims_that_something_is_in_use_gains_nothing(clone: Path, shell: Shell) -> None:
    """A plan file names what the plan keeps because it is in use. An object that is in no use is deleted nevertheless,
    or the plan is refused; only an old revision may stay for one plan more.
    """
    site = declare(clone / "environments" / "site", BASIC)
    shell.ok("apply", "-y")
    declare(site, BASIC, {**WAITING, "topics": {"site-topic": None}})
    kept = frozenset({("logGroups", "site-b"), ("topics", "site-topic")})
    shell.ok("plan", "--exclude", "logGroups.site-b", "--exclude", "topics.site-topic", "--out", "a.plan")
    resealed(Path("a.plan"), lambda _, options: options.update(kept=kept))
    shell.writes()

    refused = shell("apply", "a.plan", "--format", "json")

    found = {("stale-plan", "logGroups.site-b"), ("stale-plan", "topics.site-topic")}
    assert refused.code == 5 and found <= {*problems(refused)}
    assert {call.partition(":")[0] for call in shell.writes()} <= {"ssm"}


def test_one_of_other_files_than_the_clones_gains_nothing(clone: Path, shell: Shell) -> None:
    """Whoever can write artifacts can put an environment beside the plan: of the same name, and with all checksums
    right. What is applied are the files of the clone nevertheless.
    """
    evil = {**LIGHT, "logGroups": {"site-a": {"retentionInDays": 1}}}
    download = shell.home / "download"
    (download / ".git").mkdir(parents=True)
    declare(download / "environments" / "site", evil)
    declare(shell.home / "site", evil)
    shell.go(download)
    shell.ok("plan", "--out", "a.plan")
    made = saved_plan.read(Path("a.plan"))
    shell.go(clone)
    shell.writes()
    for path, in_clone in (
        ("../download/environments/site", None),
        (str(download / "environments" / "site"), None),
        ("nowhere", "environments/site"),
        ("nowhere", "../download/environments/site"),
        ("nowhere", str(download / "environments" / "site")),
        ("../site", "../../site"),
    ):
        where = saved_plan.Place("site", path, in_clone)
        file = download / "a.plan"
        saved_plan.write(file, made.document, where=where, options=made.options, shown=made.shown)
        refused = shell("apply", str(file), "--format", "json")
        found = {code for code, _ in problems(refused)}
        assert (refused.code, found) in ((5, {"stale-plan"}), (1, {"no-environment"})), (path, in_clone)
    assert {call.partition(":")[0] for call in shell.writes()} <= {"ssm"}


def test_one_for_another_region_is_refused(clone: Path, shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = clone / "environments" / "site" / "environment.yaml"
    settings.write_text(settings.read_text("utf-8").replace("region: eu-west-1\n", ""), "utf-8")
    shell.ok("plan", "--out", "a.plan")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    refused = shell("apply", "a.plan")

    assert refused.code == 5
    assert (
        "the plan is for region eu-west-1, but the current one is us-east-1" in refused.err
        and "AWS_REGION" in refused.err
    )


def _sparse(path: Path) -> None:
    with path.open("wb") as stream:
        stream.truncate(1 << 36)


HEAD = b'{\n "file": "reconcile-plan/'
NO_PLANS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "empty": (lambda path: path.write_bytes(b""), "the file is empty"),
    "an object": (lambda path: path.write_bytes(b"{}"), "is not a saved plan"),
    "binary": (lambda path: path.write_bytes(bytes(range(256))), "is not a saved plan"),
    "terraform's plan": (
        lambda path: path.write_bytes(b"PK\x03\x04" + b"x" * 99),
        "the file is a ZIP archive, like a terraform plan",
    ),
    "terraform's JSON": (lambda path: path.write_bytes(b'{"format_version":"1.2"}'), "the file is terraform JSON"),
    "64 GB of nothing": (_sparse, "is not a saved plan"),
    "newer": (lambda path: path.write_bytes(HEAD + b'9",\n "digest": "sha256:x"}'), "has plan file version 9"),
    "older": (lambda path: path.write_bytes(HEAD + b'4",\n "asked": {}}'), "has plan file version 4"),
    "deep": (
        lambda path: path.write_bytes(saved_plan._sealed({}, {}, {}).replace(b"{}", b"[" * 99_999)),
        "was modified",
    ),
}


@pytest.mark.parametrize("kind", NO_PLANS)
def test_what_is_no_plan_is_told_so(clone: Path, shell: Shell, kind: str) -> None:
    write, told = NO_PLANS[kind]
    write(Path("x.plan"))
    for command in ("apply", "show"):
        refused = shell(command, "x.plan")

        assert refused.code == 1
        assert told in refused.err and "x.plan" in refused.err


def test_what_plan_prints_is_no_saved_plan(clone: Path, shell: Shell) -> None:
    Path("x.plan").write_text(shell.ok("plan", "--format", "json").out, "utf-8")
    refused = shell("apply", "x.plan")

    assert refused.code == 1 and "the output of `plan --format json`" in refused.err


@pytest.mark.parametrize("what", [{}, {"plan": []}, {"plan": {"resource_changes": [1]}}, {"asked": [], "plan": {}}])
def test_one_that_says_nonsense_under_a_right_digest_is_refused(
    clone: Path, shell: Shell, what: dict[str, Any]
) -> None:
    Path("x.plan").write_bytes(saved_plan._sealed(what.get("asked", {}), what.get("plan", {}), {}))
    for command in ("apply", "show"):
        refused = shell(command, "x.plan")

        assert refused.code == 1 and "is not a plan file of reconcile" in refused.err


# --- options ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "calls"),
    [
        (["--target", "topics.site-topic"], {"sns:CreateTopic"}),
        (["--exclude", "topics.site-topic", "--exclude", "logGroups.site-b"], {"logs:CreateLogGroup"}),
    ],
)
def test_it_carries_what_it_was_narrowed_to(clone: Path, shell: Shell, options: list[str], calls: set[str]) -> None:
    shell.ok("plan", *options, "--out", "a.plan")
    shell.writes()
    shell.ok("apply", "a.plan")
    made = [call for call in shell.writes() if ":Create" in call]

    assert set(made) == calls and len(made) == len(calls)


def test_it_carries_how_it_was_asked_for(clone: Path, shell: Shell) -> None:
    """Adopting, replacing, deleting many, destroying."""
    boto3.client("logs").create_log_group(logGroupName="site-a")
    shell.ok("plan", "--adopt", "--out", "a.plan")
    assert "1 adopted" in shell.ok("apply", "a.plan").out

    shell.ok("plan", "--replace", "topics.site-topic", "--out", "b.plan")
    shell.writes()
    shell.ok("apply", "b.plan")
    assert {"sns:DeleteTopic", "sns:CreateTopic"} <= set(shell.writes())

    site = clone / "environments" / "site"
    many = {f"site-{n}": {} for n in range(12)}
    declare(site, LIGHT, {"logGroups": many})
    shell.ok("apply", "-y")
    declare(site)
    assert shell("plan", "--out", "c.plan").code == 4 and not Path("c.plan").exists()
    shell.ok("plan", "--allow-deletions", "12", "--out", "c.plan")
    assert "12 deleted" in shell.ok("apply", "c.plan").out

    shell.ok("plan", "--destroy", "--out", "d.plan")
    assert "3 deleted" in shell.ok("apply", "d.plan").out


def test_it_has_its_own_options(clone: Path, shell: Shell) -> None:
    shell.ok("plan", "--out", "a.plan")
    refused = shell("apply", "a.plan", "--target", "topics.site-topic")

    assert refused.code == 1 and "error[usage]: --target cannot be combined with a saved plan" in refused.err
    assert "pass it to `reconcile plan --out FILE`" in refused.err
    refused = shell("apply", "a.plan", "--adopt", "--allow-deletions", "0")

    assert (
        refused.code == 1
        and "error[usage]: --adopt, --allow-deletions cannot be combined with a saved plan" in refused.err
    )
    assert "pass them to `reconcile plan --out FILE`" in refused.err
