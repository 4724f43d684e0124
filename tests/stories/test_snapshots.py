"""Snapshots: planned from as from the account, without credentials or secrets; never applied, and never trusted."""

from __future__ import annotations

import json
import re
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reconciler.account import named_lookups
from reconciler.account.recorded import Entry, Record, Recorded
from reconciler.account.reduced import reduced
from reconciler.model import Address, Call, Environment, Lookup, Options, Pos, Refused, Resource
from reconciler.model.steps import NOT_RECORDED
from reconciler.model.values import fingerprint
from reconciler.operations import pipeline, session, snapshots
from reconciler.operations.sealed import Sealer, opened, secrets_of
from reconciler.operations.session import Session
from reconciler.render.mask import Mask
from tests.support.builders import SCOPE
from tests.support.examples import ROOT, SECRETS, Account
from tests.support.histories import History
from tests.support.plan_schema import valid_plan
from tests.support.shell import Shell

EVERY = sorted(path.parent.name for path in (ROOT / "environments").glob("*/environment.yaml"))
USUAL = ("dcv-desktop",)  # it has secrets, look-ups, groups, templates, topics; the others are for the long run
MARK = "NobodysBusiness"
CODED = b64encode(MARK.encode()).decode()
TRUST = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}}]}
TRUST["Statement"][0]["Action"] = "sts:AssumeRole"  # type: ignore[index]


def by_others(sandbox: Any, env: Environment) -> None:
    """What stands in the account besides, each with something in it that is nobody's business; and a queue that uses
    an environment of ours.
    """
    make = sandbox.client
    for at in env.resources:
        if (
            at.section == "computeEnvironments"
            and not make("batch").describe_job_queues(jobQueues=["hand"])["jobQueues"]
        ):
            order = [{"order": 1, "computeEnvironment": at.name}]
            make("batch").create_job_queue(
                jobQueueName="hand", priority=1, computeEnvironmentOrder=order, tags={MARK: MARK}
            )
    tags = [{"Key": MARK, "Value": MARK}]
    trust = {**TRUST, "Statement": [{**TRUST["Statement"][0], "Sid": MARK}]}  # type: ignore[dict-item]
    make("iam").create_role(
        RoleName="handmade", AssumeRolePolicyDocument=json.dumps(trust), Description=MARK, Tags=tags
    )
    sizes = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "512"}]
    variables = [{"name": "DB_PASSWORD", "value": MARK}]
    container = {"image": MARK.lower(), "command": [MARK], "environment": variables, "resourceRequirements": sizes}
    make("batch").register_job_definition(
        jobDefinitionName="handmade", type="container", containerProperties=container, tags={MARK: MARK}
    )
    make("ec2").create_security_group(GroupName="handmade", Description=MARK)
    make("ec2").create_launch_template(
        LaunchTemplateName="handmade", LaunchTemplateData={"ImageId": "ami-0123456789abcdef0", "UserData": CODED}
    )
    make("secretsmanager").create_secret(Name="handmade", Description=MARK, SecretString=MARK)
    make("sns").create_topic(Name="handmade", Attributes={"DisplayName": MARK})
    make("ecr").create_repository(repositoryName="handmade")
    make("logs").create_log_group(logGroupName="handmade", tags={MARK: MARK})


HANDMADE: dict[str, dict[str, Any]] = {
    "roles": {"assumeRolePolicyDocument": TRUST},
    "jobDefinitions": {"type": "container", "containerProperties": {"image": "alpine"}},
    "securityGroups": {"description": "x"},
    "launchTemplates": {"launchTemplateData": {}},
    "secrets": {},
    "topics": {},
    "repositories": {},
    "logGroups": {},
}


def changed(env: Environment) -> Iterator[tuple[str, Environment, dict[str, Any]]]:
    """The environment, and what a branch may have made of it."""
    all_of_it = dict(env.resources)
    second = {
        Address(at.section, f"{at.name}-2"): replace(one, address=Address(at.section, f"{at.name}-2"), physical="")
        for at, one in all_of_it.items()
    }
    yield "as it is", env, {}
    yield "to be destroyed", env, {"destroy": True}
    yield "with another tag", replace(env, tags={**env.tags, "new": "tag"}), {}
    yield "with another of each", replace(env, resources={**all_of_it, **second}), {}
    for gone in list(all_of_it)[::4]:
        left = {at: one for at, one in all_of_it.items() if at != gone}
        yield f"without {gone}", replace(env, resources=left), {}
        yield f"with another {gone}", env, {"replace": (gone,)}


def both(there: Session, recorded: Session, options: Options) -> list[Any]:
    """The plan of the account and that of the snapshot, with their problems, as JSON has them."""
    found = []
    for one in (there, recorded):
        made = session.make_plan(one, options)
        document = valid_plan(pipeline.document(made, timestamp="2026-01-31T12:00:00Z"))
        applyable, taken = document.pop("applyable"), document.pop("snapshot", None)
        assert (taken is None) == (one is there) and not (taken and applyable)
        found.append((document, [str(problem) for problem in (*made.problems, *made.warnings)]))
    return found


@pytest.mark.parametrize("name", [pytest.param(one, marks=[] if one in USUAL else pytest.mark.long) for one in EVERY])
def test_what_it_says_is_what_the_account_says(sandbox: Any, tmp_path: Path, name: str) -> None:
    """Also after the YAML has changed. Nothing is in it that is secret, or that belongs to others."""
    loaded = session.read(session.location_of(ROOT / "environments" / name, Path.cwd()), SECRETS, strict=True)
    history = History(sandbox, loaded.env.name)
    history.converge(loaded.env)
    by_others(sandbox, loaded.env)
    file = tmp_path / "a.snapshot"
    snapshots.take(Session(loaded, history.scope, history.aws, SECRETS), file)  # type: ignore[arg-type]
    written, taken = file.read_text("ascii"), snapshots.read(file)
    for hidden in (*SECRETS.values(), MARK, MARK.lower(), CODED):
        assert hidden not in written, written[written.index(hidden) - 600 :][:700]
    assert "handmade" in written and file.stat().st_mode & 0o77 == 0

    for what, env, options in changed(loaded.env):
        here = replace(loaded, env=env)
        there = Session(here, history.scope, history.aws, SECRETS)  # type: ignore[arg-type]
        one, other = both(there, snapshots.connect(taken, here, SECRETS), Options(**options))
        assert other == one, what

    claimed = {Address(section, "handmade"): props for section, props in HANDMADE.items()}
    more = {at: Resource(address=at, props=props) for at, props in claimed.items()}
    here = replace(loaded, env=replace(loaded.env, resources={**loaded.env.resources, **more}))
    for options in ({}, {"adopt": True}):
        made = session.make_plan(snapshots.connect(taken, here, SECRETS), Options(**options))
        assert {problem.address for problem in made.problems} == {str(at) for at in claimed}
        assert not made.plan.applyable, "what exists is neither created nor adopted by its name alone"


# --- the command line ------------------------------------------------------------------------------------------------


@pytest.fixture
def fork(account: Account, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """An environment applied and recorded in ``a.snapshot``; then nobody has credentials, a Region or its secrets."""
    shell = account.shell
    place = shell.go(shell.home / "environments" / "site")
    shell.secrets |= {*SECRETS.values()}
    (place / "environment.yaml").write_text(SITE)
    shell.ok("apply", "-y")
    told = shell.ok("snapshot", "--out", "a.snapshot")
    assert "reconcile plan . --snapshot a.snapshot" in told.err and not told.out
    assert not any(secret in Path("a.snapshot").read_text() for secret in SECRETS.values())
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    for name in SECRETS:
        monkeypatch.delenv(name)
    monkeypatch.setattr("reconciler.account.client.connect", lambda **_: pytest.fail("it connects"))
    shell.account.calls.clear()
    return shell


SITE = """\
environment: site
account: "123456789012"
secrets: {site-login: {value: {user: batch, password: "${env:DCV_PASSWORD}"}}}
logGroups: {site-logs: {retentionInDays: 7}}
jobDefinitions:
  site-job:
    type: container
    containerProperties:
      image: alpine
      command: [run, "--token=${env:SPLUNK_TOKEN}"]
      environment: [{name: SPLUNK_TOKEN, value: "${env:SPLUNK_TOKEN}"}]
      resourceRequirements: [{type: VCPU, value: "1"}, {type: MEMORY, value: "512"}]
"""


def test_a_fork_plans_without_anything(fork: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """One account for all of it: to apply takes seconds."""
    plans_from_it(fork)
    Path("environment.yaml").write_text(SITE)
    it_is_never_applied(fork)
    one_of_another_place_or_that_is_none_is_refused(fork, monkeypatch)


def plans_from_it(fork: Shell) -> None:
    found = fork.ok("plan", "--snapshot", "a.snapshot", "--detailed-exitcode")
    assert "No changes." in found.out
    assert "not set here, and their values count as unchanged: DCV_PASSWORD, SPLUNK_TOKEN" in found.err
    Path("environment.yaml").write_text(SITE.replace("retentionInDays: 7", "retentionInDays: 30"))
    outputs = ("text=a.txt", "markdown=a.md", "html=a.html", "json")
    found = fork("plan", "--snapshot", "a.snapshot", "--detailed-exitcode", *(f"--format={one}" for one in outputs))
    document = valid_plan(found.json)

    assert found.code == 2 and document["summary"]["update"] == 1 and not document["applyable"]
    assert document["snapshot"]["age_seconds"] < 3600
    for file in ("a.txt", "a.md", "a.html"):
        told = Path(file).read_text()
        assert "taken 20" in told and "ago; AWS was not asked, and this cannot be applied" in told, file
    assert fork.account.calls == []

    Path("environment.yaml").write_text(f"{SITE}lookups: {{key: {{kmsKey: alias/other}}}}\n")
    unknown = fork("plan", "--snapshot", "a.snapshot")
    assert unknown.code == 1 and "lookups.key: the snapshot does not have what kms:DescribeKey answers" in unknown.err
    Path("environment.yaml").write_text(SITE.replace("site-logs: {retentionInDays: 7}", ""))
    gone = fork.ok("plan", "--snapshot", "a.snapshot")
    assert gone.out.endswith("Plan: 0 to create, 0 to update, 0 to replace, 1 to delete.\n")

    Path("environment.yaml").write_text("environment: site\n")
    rail = fork("plan", "--snapshot", "a.snapshot", "--format", "json")
    assert (
        rail.code == 4 and valid_plan(rail.json)["snapshot"] and rail.json["problems"][0]["code"] == "empty-environment"
    )

    Path("environment.yaml").write_text(SITE)
    contents = json.loads(Path("a.snapshot").read_text())
    contents["taken"] = "2026-01-31T12:00:00Z"
    forged("b.snapshot", contents)
    assert "warning[old-snapshot]: the snapshot is" in fork.ok("plan", "--snapshot", "b.snapshot").err
    contents["taken"] = "2126-01-31T12:00:00Z"
    forged("b.snapshot", contents)
    early = fork.ok("plan", "--snapshot", "b.snapshot")
    assert "was taken at 2126-01-31T12:00:00Z, in the future by the clock here: its age is unknown" in early.err
    assert "taken 2126-01-31T12:00:00Z, in the future by the clock here" in early.told and " ago" not in early.told


def it_is_never_applied(fork: Shell) -> None:
    refused = fork("plan", "--snapshot", "a.snapshot", "--out", "a.plan")
    assert refused.code == 1 and "--out cannot be combined with --snapshot" in refused.err
    assert not Path("a.plan").exists()
    for flags in (["--sandbox"], ["--check-permissions"], ["--apply-role", "arn:aws:iam::123456789012:role/x"]):
        refused = fork("plan", "--snapshot", "a.snapshot", *flags)
        assert refused.code == 1 and f"{flags[0]} cannot be combined with --snapshot" in refused.err
    for command in ("apply", "show"):
        refused = fork(command, "a.snapshot")
        assert refused.code == 1 and "the file is a snapshot, which is planned from and never applied" in refused.err
    assert fork.account.calls == []


def forged(name: str, contents: Mapping[str, Any] | str) -> str:
    """A file with the first line of a snapshot."""
    text = (
        contents
        if isinstance(contents, str)
        else json.dumps({**contents, "file": None})[1:].replace(', "file": null', "").replace('"file": null, ', "")
    )
    text = text.replace('"file": "reconcile-snapshot/1", ', "")
    Path(name).write_bytes(b'{\n "file": "reconcile-snapshot/1",\n' + text.encode())
    return name


def one_of_another_place_or_that_is_none_is_refused(fork: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    true = json.loads(Path("a.snapshot").read_text())
    replies = true["replies"]
    first = {**replies[0], "call": "batch:DescribeJobQueues", "params": {}}
    bad: dict[str, Any] = {
        "for account 999999999999": {"account": "999999999999"},
        "a snapshot of the environment prod": {"environment": "prod"},
        "or is damaged": {"replies": None},
        "is damaged": {"replies": [{"call": "batch:X", "params": [], "reply": {}}]},
        "damaged": {"taken": "yesterday"},
        "is not a snapshot of reconcile, or": {"hidden": [[["env:X"], "", "x"]]},
    }
    for words, change in bad.items():
        refused = fork("plan", "--snapshot", forged("b.snapshot", {**true, **change}))
        assert refused.code in (1, 4), words
        assert words.replace("for account", "of account") in refused.err, refused.err
    nonsense = ("", "[" * 100_000, '"replies": [NaN]}', '"a": 1', "\ud83d", f'"x": {"9" * 5000}}}')
    for text in nonsense:
        Path("c.snapshot").write_bytes(b'{\n "file": "reconcile-snapshot/1",\n' + text.encode("utf-8", "surrogatepass"))
        assert "is not a snapshot of reconcile, or is damaged" in fork("plan", "--snapshot", "c.snapshot").err
    Path("d.snapshot").write_bytes(b'{\n "file": "reconcile-snapshot/9",\n}')
    assert "snapshot version 9, but this reconcile reads 1" in fork("plan", "--snapshot", "d.snapshot").err
    for name in ("environment.yaml", "nowhere", "."):
        refused = fork("plan", "--snapshot", name)
        assert refused.code == 1 and "snapshot-file" in refused.err
    for name in ("environment.yaml", "no/where", "."):
        assert "snapshot-file" in fork("snapshot", "--out", name).err
    monkeypatch.setattr(snapshots, "MOST_BYTES", 1000)
    assert "is too large for a snapshot" in fork("plan", "--snapshot", "a.snapshot").err
    monkeypatch.setattr(snapshots, "MOST_BYTES", 1 << 26)

    for wrong in ({}, {"jobDefinitions": 7}, {"jobDefinitions": [7]}, {"nextToken": []}, {"jobDefinitions": [{}]}):
        some = [{**one, "reply": wrong} if "reply" in one else one for one in (*replies, first)]
        found = fork("plan", "--snapshot", forged("e.snapshot", {**true, "replies": some}))
        assert found.code in (0, 1) and "to delete" not in found.out.replace(" 0 to delete", ""), wrong


# --- what follows from what is recorded ------------------------------------------------------------------------------

QUEUES = "DescribeJobQueues"
UNUSED = "reconcile-snapshot-no-such-name"


def queue(name: str, **more: Any) -> dict[str, Any]:
    return {"jobQueueName": name, "jobQueueArn": f"arn:aws:batch:eu-west-1:1:job-queue/{name}", **more}


def test_answers_that_are_not_certain_are_not_given() -> None:
    def asking(*names: str) -> Call:
        return Call("batch", QUEUES, {"jobQueues": list(names)})

    entries = [
        Entry(asking("a", "b"), {"jobQueues": [queue("a"), queue("b")]}),
        Entry(asking(UNUSED), {"jobQueues": []}),
    ]
    record = Record(entries, frozenset({"a", "b"}), {f"batch:{QUEUES}": frozenset({"a", "b", "others"})})
    answers = Recorded(record)

    def names(*asked: str) -> Any:
        reply = answers.call(asking(*asked))
        return reply.code if isinstance(reply, Refused) else [one["jobQueueName"] for one in reply["jobQueues"]]

    assert names("a") == ["a"] and names("b", "a") == ["a", "b"] and names("a", "new") == ["a"] and names("new") == []
    assert names("others") == names("a", "others") == NOT_RECORDED
    assert isinstance(Recorded(replace(record, names={})).call(asking("new")), Refused)
    assert isinstance(answers.call(Call("batch", QUEUES)), Refused)


def test_of_others_remain_names_owners_and_what_names_ours() -> None:
    own = {"ours", "arn:aws:batch:eu-west-1:1:job-queue/ours", "arn:ce"}
    theirs = queue(
        "theirs",
        priority=7,
        statusReason=MARK,
        tags={"reconciler/environment": "prod", MARK: MARK},
        computeEnvironmentOrder=[{"order": 1, "computeEnvironment": "arn:ce"}, {"computeEnvironment": MARK}],
    )
    ours = queue("ours", statusReason="whole", tags={"reconciler/environment": "site"})
    found = reduced(Call("batch", QUEUES), {"jobQueues": [ours, theirs], "nextToken": "t"}, "site", own)

    assert found == {
        "jobQueues": [
            ours,
            queue(
                "theirs",
                tags={"reconciler/environment": "prod"},
                computeEnvironmentOrder=[{"computeEnvironment": "arn:ce"}],
            ),
        ],
        "nextToken": "t",
    }


def test_what_look_ups_ask_for_is_kept() -> None:
    args = {"tags": {"Name": "data"}, "filters": [{"Name": "tag:tier", "Values": ["x"]}]}
    tags = [{"Key": "Name", "Value": "data"}, {"Key": "tier", "Value": "x"}, {"Key": MARK, "Value": MARK}]
    systems = {"FileSystems": [{"FileSystemId": "fs-1", "LifeCycleState": "available", "Tags": tags, "OwnerId": "1"}]}
    parameter = {"Parameter": {"Name": "/p", "Value": "ami-1", "Type": "String", "DataType": MARK}}
    key = {"KeyMetadata": {"Arn": "arn:k", "KeyId": "k", "KeyState": "Enabled", "Description": MARK}}
    for kind, given, service, operation, reply, value in (
        ("fileSystem", args, "efs", "DescribeFileSystems", systems, "fs-1"),
        ("ssmParameter", "/p", "ssm", "GetParameter", parameter, "ami-1"),
        ("kmsKey", "alias/k", "kms", "DescribeKey", key, "arn:k"),
    ):
        lookup = Lookup(name="x", kind=kind, args=given, pos=Pos("a.yaml", 1, 1))
        filters = {word.removeprefix("tag:") for word in snapshots._words(given)}
        kept = reduced(Call(service, operation), reply, "site", set(), filters)

        assert MARK not in str(kept)
        assert named_lookups.resolve(lookup, given, SCOPE, lambda calls, kept=kept: (kept,) * len(calls)) == value


# --- secrets ---------------------------------------------------------------------------------------------------------

PASSWORD, UNKNOWN = "correct horse battery", "tr0ub4dor&3-of-others"
TOKEN = "ghp_" + "0123456789abcdefghij" * 2
ARN = "arn:aws:secretsmanager:eu-west-1:1:secret:login-AbCdEf"


def coded(text: str) -> str:
    return b64encode(text.encode()).decode()


TEXTS: dict[str, tuple[Any, bool]] = {  # what a reply has, and whether it is the same again afterwards
    "alone": (PASSWORD, True),
    "in a command": (["login", f"--password={PASSWORD}"], True),
    "in user data": ({"UserData": coded(f"#!/bin/sh\necho '{PASSWORD}' | login --password-stdin\n")}, True),
    "as a key": ({PASSWORD: ["x"]}, True),
    "under a private name": ([{"name": "DB_PASSWORD", "value": PASSWORD}], True),
    "its version": ({"ARN": ARN, "VersionIdsToStages": {fingerprint({"p": PASSWORD}, ARN): ["AWSCURRENT"]}}, True),
    "a token in a text": ([f"see {TOKEN}"], True),
    "a token of others": ([f"not {TOKEN}"], False),
    "no secret": ({"Name": "x", "Value": "y", "n": [1, True, None], "UserData": coded("#!/bin/sh\nexit 0\n")}, True),
    "of others": ([{"name": "DB_PASSWORD", "value": UNKNOWN}], False),
    "of others in user data": ({"UserData": coded(f"DB_PASSWORD='{UNKNOWN}'\n")}, False),
    "of others in a command": (["sh", "-c", f"curl -u batch:{UNKNOWN} https://example.com"], False),
    "another version": ({"ARN": ARN, "VersionIdsToStages": {fingerprint({"p": UNKNOWN}, ARN): ["AWSCURRENT"]}}, False),
}


@pytest.mark.parametrize("case", TEXTS)
def test_secrets_are_taken_out_and_what_the_declaration_has_is_put_in_again(case: str) -> None:
    reply, same = TEXTS[case]
    at = Address("secrets", "login")
    env = Environment(
        name="site",
        sensitive=frozenset({PASSWORD}),
        resources={at: Resource(address=at, props={"value": {"p": PASSWORD}, "description": f"see {TOKEN}"})},
    )
    secrets = secrets_of(env, {"DCV_PASSWORD": PASSWORD})
    sealer = Sealer(env, secrets, Mask({PASSWORD}))
    written = sealer.value(reply, "secretsmanager")
    texts = json.dumps(written) + "".join(
        b64decode(one).decode()
        for one in re.findall(
            "[A-Za-z0-9+/]{20,}={0,2}", str(written.get("UserData", "") if isinstance(written, dict) else "")
        )
    )

    for hidden in (PASSWORD, UNKNOWN, TOKEN, fingerprint({"p": PASSWORD}, ARN), fingerprint({"p": UNKNOWN}, ARN)):
        assert hidden not in texts and coded(hidden)[4:-4] not in texts
    assert (opened(written, sealer.places, secrets) == reply) is same
    assert PASSWORD not in str(opened(written, sealer.places, {}))
