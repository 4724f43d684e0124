"""Revisions of job definitions: which go, and which stay because somebody in the account still names them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest

from reconciler.cli import main as cli
from tests.support.plan_schema import valid_plan

ACCOUNT = "123456789012"
ARN = f"arn:aws:batch:eu-west-1:{ACCOUNT}:job-definition/etl"
OURS = {"reconciler/environment": "e"}
FOR_EVER = 10.0**9
NEVER = {"scheduleExpression": "rate(1 day)", "state": "DISABLED"}
ANYTHING = '{"source": ["s"]}'


def job(says: str = "", *, image: str = "alpine", keep: int | None = None, **members: Any) -> dict[str, Any]:
    """A declared definition whose command says something."""
    lifecycle = {"lifecycle": {"keepRevisions": keep}} if keep else {}
    container = {"image": image, "command": ["run", says], "vcpus": 1, "memory": 64}
    return {"type": "container", "containerProperties": container, **members, **lifecycle}


@dataclass
class Desk:
    """An account with an environment, and what a person does at both."""

    sandbox: Any
    folder: Path
    capsys: pytest.CaptureFixture[str]
    stack: dict[str, Any] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        return boto3.client(service)

    @property
    def batch(self) -> Any:
        return self.client("batch")

    def declare(self, **sections: Mapping[str, Any]) -> None:
        self.stack = {"environment": "e", "region": "eu-west-1", **sections}
        (self.folder / "environment.yaml").write_text(json.dumps(self.stack), encoding="utf-8")

    def run(self, *argv: str) -> tuple[int, str]:
        codes: list[int] = []
        cli.main(list(argv), leave=codes.append)
        out, err = self.capsys.readouterr()
        assert "Traceback" not in out + err
        return codes[0], out + err

    def plan(self, *argv: str) -> dict[str, Any]:
        """The plan as JSON, by address."""
        code, out = self.run("plan", "--format", "json", *argv)
        document = json.loads(out)
        assert code == 0, out
        valid_plan(document)
        return {item["address"]: item for item in document["resource_changes"]}

    def apply(self, *argv: str, verb: str = "apply") -> str:
        code, out = self.run(verb, "--auto-approve", *argv)
        assert code == 0, out
        return out

    def revisions(self, name: str = "etl") -> list[int]:
        """The ACTIVE ones."""
        found = self.batch.describe_job_definitions(jobDefinitionName=name, status="ACTIVE")["jobDefinitions"]
        return sorted(item["revision"] for item in found)

    def goes(self) -> list[str]:
        """The revisions that a plan would deregister."""
        calls = [step for item in self.plan().values() for step in item["steps"]]
        named = [call["parameters"]["jobDefinition"] for call in calls if "Deregister" in call.get("call", "")]
        return sorted(arn.rpartition("/")[2] for arn in named)

    def etl(self, *says: str, **others: Mapping[str, Any]) -> None:
        """As many revisions as texts, all of them ours; and whatever else is declared."""
        for text in says:
            self.register("etl", text, tags=OURS)
        if others:
            self.declare(jobDefinitions={"etl": job(says[-1], keep=9)}, **others)
            self.apply()

    def rule(self, name: str, definition: str, bus: str = "default", queue: str = "elsewhere") -> None:
        """Somebody else's rule that starts jobs with the definition."""
        iam, events = self.client("iam"), self.client("events")
        if not [role for role in iam.list_roles()["Roles"] if role["RoleName"] == "starter"]:
            trust = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sts:AssumeRole"}
            iam.create_role(RoleName="starter", AssumeRolePolicyDocument=json.dumps({"Statement": [trust]}))
            self.sandbox.clock.advance(60)
        events.put_rule(Name=name, EventBusName=bus, EventPattern=ANYTHING)
        target = {
            "Id": "1",
            "Arn": f"arn:aws:batch:eu-west-1:{ACCOUNT}:job-queue/{queue}",
            "RoleArn": f"arn:aws:iam::{ACCOUNT}:role/starter",
            "BatchParameters": {"JobDefinition": definition, "JobName": "nightly"},
        }
        events.put_targets(Rule=name, EventBusName=bus, Targets=[target])

    def register(self, name: str, says: str, **members: Any) -> None:
        """Somebody else's definition."""
        self.batch.register_job_definition(jobDefinitionName=name, **job(says, **members))

    def queue(self, name: str) -> None:
        """Somebody else's queue, with an environment that runs jobs, and the role they need."""
        allow = {"Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}, "Action": "sts:AssumeRole"}
        trust = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
        with suppress(self.client("iam").exceptions.EntityAlreadyExistsException):
            self.client("iam").create_role(RoleName="runner", AssumeRolePolicyDocument=trust)
        policy = "arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy"
        self.client("iam").attach_role_policy(RoleName="runner", PolicyArn=policy)
        ec2 = self.client("ec2")
        resources = {
            "type": "FARGATE",
            "maxvCpus": 4,
            "subnets": [ec2.describe_subnets()["Subnets"][0]["SubnetId"]],
            "securityGroupIds": [ec2.describe_security_groups()["SecurityGroups"][0]["GroupId"]],
        }
        self.batch.create_compute_environment(computeEnvironmentName=name, type="MANAGED", computeResources=resources)
        self.sandbox.clock.advance(60)
        order = [{"order": 1, "computeEnvironment": name}]
        self.batch.create_job_queue(jobQueueName=name, priority=1, computeEnvironmentOrder=order)
        self.sandbox.clock.advance(60)

    def calls(self, *argv: str) -> Counter[str]:
        """What a plan asks of AWS."""
        self.sandbox.calls.clear()
        self.plan(*argv)
        return Counter(f"{record.service}:{record.operation}" for record in self.sandbox.calls)


@pytest.fixture
def desk(served: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Desk:
    monkeypatch.chdir(tmp_path)
    return Desk(served, tmp_path, capsys)


FARGATE = {"platformCapabilities": ["FARGATE"]}


def fargate(says: str = "") -> dict[str, Any]:
    role = f"arn:aws:iam::{ACCOUNT}:role/runner"
    needs = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "2048"}]
    container = {"image": "alpine", "command": [says], "resourceRequirements": needs, "executionRoleArn": role}
    return {"type": "container", "containerProperties": container, **FARGATE}


# --- how many stay anyway --------------------------------------------------------------------------------------------


def test_fewer_to_keep_prunes_with_nothing_else_changed(desk):
    for text in ("1", "2", "3", "4"):
        desk.declare(jobDefinitions={"etl": job(text, keep=9)})
        desk.apply()
    assert desk.revisions() == [1, 2, 3, 4]

    desk.declare(jobDefinitions={"etl": job("4", keep=2)})
    found = desk.plan()["jobDefinitions.etl"]
    assert (found["action"], found["differences"], found["notes"]) == ("update", [], [])
    assert found["action_reason"] == "revisions beyond those to keep: etl:2, etl:1"
    desk.apply()

    assert desk.revisions() == [3, 4]
    assert desk.plan()["jobDefinitions.etl"]["action"] == "noop"


def test_a_plan_that_removes_nothing_asks_nothing_more(desk):
    desk.etl("1", "2")
    desk.declare(jobDefinitions={"etl": job("2", keep=2)})

    asked = desk.calls()
    assert not [call for call in asked if call.startswith("events:") or call == "batch:ListJobs"]


# --- who names one ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bus", ["default", "other"])
@pytest.mark.parametrize("definition", ["etl:1", f"{ARN}:1"])
def test_an_event_rule_keeps_the_revision_it_starts_jobs_with(desk, definition, bus):
    desk.etl("1", "2", "3")
    if bus != "default":
        desk.client("events").create_event_bus(Name=bus)
    desk.rule("nightly", definition, bus)

    desk.declare(jobDefinitions={"etl": job("3", keep=1)})
    found = desk.plan()["jobDefinitions.etl"]
    assert found["action_reason"] == "revisions beyond those to keep: etl:2"
    assert found["notes"] == [
        (
            "revision 1 is kept: event rule nightly (target 1) starts jobs with it; "
            "to delete it, change the target to the definition's name without a revision"
        )
    ]
    desk.apply()

    assert desk.revisions() == [1, 3]
    again = desk.plan()["jobDefinitions.etl"]
    assert (again["action"], again["steps"]) == ("noop", [])
    code, out = desk.run("plan", "--detailed-exitcode")
    assert code == 0 and "note: revision 1 is kept: event rule nightly" in out and "No changes." in out


def test_it_goes_with_the_next_plan_once_nobody_names_it(desk):
    desk.etl("1", "2")
    desk.rule("nightly", "etl:1")
    desk.declare(jobDefinitions={"etl": job("2", keep=1)})
    desk.apply()
    assert desk.revisions() == [1, 2]

    desk.client("events").remove_targets(Rule="nightly", Ids=["1"])
    desk.apply()

    assert desk.revisions() == [2]


@pytest.mark.parametrize("definition", ["etl", ARN, "etl:2", "etl:11", "other:1", f"{ARN.replace('eu', 'us')}:1"])
def test_a_rule_that_means_another_keeps_nothing(desk, definition):
    desk.etl("1", "2")
    desk.rule("nightly", definition)

    desk.declare(jobDefinitions={"etl": job("2", keep=1)})

    assert desk.goes() == ["etl:1"]


def test_a_rule_is_found_by_its_queue_where_there_are_more_rules_than_queues(desk):
    desk.etl("1", "2")
    desk.queue("busy")
    events = desk.client("events")
    for number in range(25):
        events.put_rule(Name=f"stranger-{number}", EventPattern=ANYTHING)
    desk.rule("nightly", "etl:1", queue="busy")

    desk.declare(jobDefinitions={"etl": job("2", keep=1)})
    asked = desk.calls()
    assert (asked["events:ListRuleNamesByTarget"], asked["events:ListTargetsByRule"]) == (1, 1)
    desk.apply()

    assert desk.revisions() == [1, 2]


NAMING = [
    job("submit --definition etl:1"),
    job(f"submit {ARN}:1"),
    job("x", parameters={"next": "etl:1"}),
    {"type": "container", "containerProperties": {**job()["containerProperties"], "command": ["etl:1"]}},
    {
        "type": "container",
        "containerProperties": {
            **job()["containerProperties"],
            "environment": [{"name": "NEXT", "value": '{"jobDefinition":"etl:1"}'}],
        },
    },
]


@pytest.mark.parametrize("definition", NAMING, ids=["command", "arn", "parameter", "whole", "environment"])
def test_another_definition_keeps_the_revision_its_text_names(desk, definition):
    desk.etl("1", "2")
    desk.batch.register_job_definition(jobDefinitionName="driver", **definition)

    desk.declare(jobDefinitions={"etl": job("2", keep=1)})
    found = desk.plan()["jobDefinitions.etl"]

    (note,) = found["notes"]
    assert note.startswith("revision 1 is kept: job definition driver:1 names it; to delete it, ")
    assert (found["action"], found["steps"]) == ("noop", [])


@pytest.mark.parametrize(
    "says",
    [
        "my-etl:1",
        "etl:12",
        "etl:1-slim",
        "etl:1.5",
        "registry.example.com/etl:1",
        f"{ARN.replace(ACCOUNT, '210987654321')}:1",
        "etl",
        "ETL:1",
    ],
)
def test_what_only_looks_like_the_revision_keeps_nothing(desk, says):
    desk.etl("1", "2")
    desk.register("driver", says, image="etl:1")

    desk.declare(jobDefinitions={"etl": job("2", keep=1)})

    assert desk.goes() == ["etl:1"]


def test_definitions_that_are_not_active_keep_nothing(desk):
    desk.etl("1", "2")
    desk.register("driver", "etl:1")
    desk.batch.deregister_job_definition(jobDefinition="driver:1")

    desk.declare(jobDefinitions={"etl": job("2", keep=1)})

    assert desk.goes() == ["etl:1"]


STATES = {
    "SUBMITTED": {"job_to_runnable": FOR_EVER},
    "PENDING": {},
    "RUNNABLE": {"job_to_starting": FOR_EVER},
    "STARTING": {"job_to_running": FOR_EVER},
    "RUNNING": {"outcomes": {"*": [{"exitCode": 0, "seconds": FOR_EVER}]}},
}


@pytest.mark.parametrize("state", [*STATES, "SUCCEEDED", "FAILED"])
def test_jobs_keep_their_revision_until_they_have_finished(desk, state):
    outcome = {"outcomes": {"*": [{"exitCode": 1 if state == "FAILED" else 0, "seconds": 1}]}}
    desk.batch.register_job_definition(jobDefinitionName="etl", **fargate("1"), tags=OURS)
    desk.queue("busy")
    desk.sandbox.change({**outcome, **STATES.get(state, {})})
    more = {}
    if state == "PENDING":
        desk.sandbox.change({"job_to_starting": FOR_EVER})
        desk.batch.register_job_definition(jobDefinitionName="first", **fargate())
        first = desk.batch.submit_job(jobName="first", jobQueue="busy", jobDefinition="first")
        more = {"dependsOn": [{"jobId": first["jobId"]}]}
    job_id = desk.batch.submit_job(jobName="j", jobQueue="busy", jobDefinition="etl", **more)["jobId"]
    desk.sandbox.clock.advance(3600)
    assert desk.batch.describe_jobs(jobs=[job_id])["jobs"][0]["status"] == state

    desk.declare(jobDefinitions={"etl": {**fargate("2"), "lifecycle": {"keepRevisions": 1}}})
    found = desk.plan()["jobDefinitions.etl"]

    stays = state in STATES
    said = "revision 1 is kept: jobs in queue busy that use it have not finished; apply again after they have finished to delete it"
    assert found["notes"] == ([said] if stays else [])
    calls = [step["call"] for step in found["steps"]]
    assert calls == ["batch:RegisterJobDefinition", *([] if stays else ["batch:DeregisterJobDefinition"])]


def test_everybody_is_named_but_not_too_many(desk):
    desk.etl("1", "2")
    for number in range(5):
        desk.register(f"driver-{number}", "etl:1")
    desk.rule("nightly", "etl:1")

    desk.declare(jobDefinitions={"etl": job("2", keep=1)})
    (note,) = desk.plan()["jobDefinitions.etl"]["notes"]

    assert note.startswith(
        "revision 1 is kept: event rule nightly (target 1) starts jobs with it, "
        "job definition driver-0:1 names it, 4 more; to delete it, "
    )


# --- what this very plan does ----------------------------------------------------------------------------------------


def own_rule(definition: str) -> dict[str, Any]:
    trust = {"trust": ["events.amazonaws.com"]}
    target = {
        "id": "1",
        "arn": f"arn:aws:batch:eu-west-1:{ACCOUNT}:job-queue/elsewhere",
        "roleArn": "starter",
        "batchParameters": {"jobDefinition": definition, "jobName": "n"},
    }
    return {"roles": {"starter": trust}, "eventRules": {"nightly": {**NEVER, "targets": [target]}}}


@pytest.mark.parametrize("change", ["other target", "newest", "gone"])
def test_our_own_rule_counts_only_if_it_still_names_it_afterwards(desk, change):
    desk.etl("1", "2", **own_rule("etl:1"))
    assert "eventRules.nightly" in desk.plan()

    desk.declare(jobDefinitions={"etl": job("2", keep=1)}, **own_rule("etl:1"))
    (note,) = desk.plan()["jobDefinitions.etl"]["notes"]
    assert note == "revision 1 is kept: eventRules.nightly refers to it; to delete it, refer to another one there"
    other = {"other target": own_rule("etl:2"), "newest": own_rule("etl"), "gone": {}}[change]
    desk.declare(jobDefinitions={"etl": job("2", keep=1)}, **other)
    found = desk.plan()["jobDefinitions.etl"]

    assert (found["notes"], len(found["steps"])) == ([], 1)


def test_our_own_rule_that_is_excluded_from_the_plan_still_counts(desk):
    desk.etl("1", "2", **own_rule("etl:1"))

    desk.declare(jobDefinitions={"etl": job("2", keep=1)}, **own_rule("etl:2"))
    desk.apply("--exclude", "eventRules.nightly")
    assert desk.revisions() == [1, 2]
    desk.apply()
    assert desk.revisions() == [2]


def test_what_is_declared_to_name_it_from_now_on_counts(desk):
    desk.etl("1", "2")

    desk.declare(jobDefinitions={"etl": job("2", keep=1), "driver": job("etl:1")}, **own_rule("etl:1"))
    (note,) = desk.plan()["jobDefinitions.etl"]["notes"]
    desk.apply()

    assert "revision 1 is kept: eventRules.nightly refers to it, jobDefinitions.driver refers to it; " in note
    assert desk.revisions() == [1, 2]


def test_revisions_that_go_together_do_not_keep_each_other(desk):
    desk.etl("etl:2", "etl:1", "etl:3", "4")

    desk.declare(jobDefinitions={"etl": job("4", keep=1)})

    assert desk.goes() == ["etl:1", "etl:2", "etl:3"]


def test_one_that_stays_keeps_what_it_names(desk):
    desk.etl("1", "etl:1", "3", "etl:3")
    desk.rule("nightly", "etl:2")

    desk.declare(jobDefinitions={"etl": job("5", keep=1)})
    notes = desk.plan()["jobDefinitions.etl"]["notes"]

    assert [note.split(":")[0] for note in notes] == ["revision 2 is kept", "revision 1 is kept"]
    assert desk.goes() == ["etl:3", "etl:4"]


@pytest.mark.parametrize(("keep", "gone"), [(1, ["driver:1", "etl:1"]), (2, [])])
def test_our_own_definition_names_it_as_long_as_that_revision_stays(desk, keep, gone):
    desk.etl("1", "2")
    desk.register("driver", "etl:1", tags=OURS)

    desk.declare(jobDefinitions={"etl": job("2", keep=1), "driver": job("etl:2", keep=keep)})

    assert desk.goes() == gone


def test_definitions_of_the_environment_that_go_keep_nothing(desk):
    both = {"etl": job("1"), "driver": job("etl:1")}
    desk.declare(jobDefinitions=both, logGroups={"/keep": {}})
    desk.apply()

    desk.declare(logGroups={"/keep": {}})
    desk.apply()

    assert desk.revisions() == desk.revisions("driver") == []


# --- no longer declared, destroyed -----------------------------------------------------------------------------------


def test_what_is_no_longer_declared_stays_without_being_a_deletion(desk):
    desk.etl("1")
    desk.rule("nightly", "etl:1")

    desk.declare(logGroups={"/keep": {}})
    found = desk.plan()["jobDefinitions.etl"]
    assert (found["action"], found["steps"], found["change"]["actions"]) == ("noop", [], ["no-op"])
    assert found["change"]["before"] == found["change"]["after"] != {}
    assert "revision 1 is kept: event rule nightly" in found["notes"][0]
    desk.apply()
    assert desk.revisions() == [1]

    desk.client("events").remove_targets(Rule="nightly", Ids=["1"])
    assert desk.plan()["jobDefinitions.etl"]["action"] == "delete"
    desk.apply()

    assert desk.revisions() == []
    assert "jobDefinitions.etl" not in desk.plan()


def test_only_the_revision_that_is_named_stays_of_one_that_is_no_longer_declared(desk):
    desk.etl("1", "2", "3", logGroups={"/keep": {}})
    desk.rule("nightly", "etl:2")

    desk.declare(logGroups={"/keep": {}})
    found = desk.plan()["jobDefinitions.etl"]
    desk.apply()

    assert (found["action"], len(found["notes"])) == ("delete", 1)
    assert desk.revisions() == [2]


@pytest.mark.parametrize("definition", ["etl", ARN])
def test_the_newest_stays_for_who_asks_for_no_other_revision(desk, definition):
    desk.etl("1", "2", "3", logGroups={"/keep": {}})
    desk.rule("nightly", definition)

    desk.declare(logGroups={"/keep": {}})
    (note,) = desk.plan()["jobDefinitions.etl"]["notes"]

    assert "revision 3 is kept: event rule nightly (target 1) starts jobs with the latest revision" in note
    assert desk.goes() == ["etl:1", "etl:2"]


@pytest.mark.parametrize("theirs", [1, 3])
def test_who_asks_for_no_revision_is_content_with_one_that_is_not_ours(desk, theirs):
    for revision in (1, 2, 3):
        owner = {"reconciler/environment": "somebody"} if revision == theirs else OURS
        desk.register("etl", "x", tags=owner)
    desk.rule("nightly", "etl")

    desk.declare(logGroups={"/keep": {}})

    assert desk.goes() == [f"etl:{revision}" for revision in (1, 2, 3) if revision != theirs]


def test_who_asks_for_no_revision_is_content_with_one_that_comes(desk):
    desk.etl("1")
    desk.rule("nightly", "etl")

    desk.declare(jobDefinitions={"etl": job("2", keep=1)})

    assert desk.goes() == ["etl:1"]


def whole(desk: Desk) -> dict[str, Any]:
    """An environment with everything that names revisions, all its own."""
    ec2 = desk.client("ec2")
    resources = {
        "type": "FARGATE",
        "maxvCpus": 4,
        "subnets": [ec2.describe_subnets()["Subnets"][0]["SubnetId"]],
        "securityGroupIds": [ec2.describe_security_groups()["SecurityGroups"][0]["GroupId"]],
    }
    own = own_rule("etl:1")
    own["eventRules"]["nightly"]["targets"][0]["arn"] = "q"
    return {
        **own,
        "computeEnvironments": {"ce": {"type": "MANAGED", "computeResources": resources}},
        "jobQueues": {"q": {"priority": 1, "computeEnvironmentOrder": [{"order": 1, "computeEnvironment": "ce"}]}},
        "jobDefinitions": {"etl": fargate(), "driver": job("etl:1"), "other": job("driver:1")},
    }


def test_an_environment_on_its_own_is_destroyed_to_nothing(desk):
    desk.sandbox.change({"outcomes": {"*": [{"exitCode": 0, "seconds": FOR_EVER}]}})
    desk.declare(**whole(desk))
    desk.apply()
    desk.batch.submit_job(jobName="j", jobQueue="q", jobDefinition="etl:1")

    assert desk.calls("--destroy")["batch:ListJobs"] == 0
    desk.apply(verb="destroy")

    assert desk.revisions() == desk.revisions("driver") == desk.revisions("other") == []
    assert desk.plan("--destroy") == {}


def test_a_queue_that_is_kept_after_all_keeps_what_its_jobs_use(desk):
    """Its jobs are asked for only then: those of a queue that goes keep nothing."""
    desk.sandbox.change({"outcomes": {"*": [{"exitCode": 0, "seconds": FOR_EVER}]}})
    desk.declare(**whole(desk))
    desk.apply()
    desk.register("theirs", "x")
    desk.batch.submit_job(jobName="j", jobQueue="q", jobDefinition="etl:1")
    desk.rule("hourly", "theirs", queue="q")

    desk.sandbox.calls.clear()
    code, told = desk.run("plan", "--destroy", "--out", "all.plan")
    asked = [record.operation for record in desk.sandbox.calls]
    assert (code, asked.count("ListJobs")) == (0, 1)
    code, done = desk.run("apply", "all.plan", "--auto-approve")
    assert code == 0, done

    assert "note: q is kept: event rule hourly names it" in told
    assert "note: revision 1 is kept: jobs in queue q that use it have not finished" in told
    assert (desk.revisions(), desk.revisions("other")) == ([1], [])


def test_jobs_in_a_queue_that_goes_end_with_it(desk):
    desk.sandbox.change({"outcomes": {"*": [{"exitCode": 0, "seconds": FOR_EVER}]}})
    desk.declare(**whole(desk), logGroups={"/keep": {}})
    desk.apply()
    desk.batch.submit_job(jobName="j", jobQueue="q", jobDefinition="etl:1")
    kept = {"jobQueues", "computeEnvironments", "logGroups", "environment", "region"}
    desk.declare(
        **{section: named for section, named in desk.stack.items() if section in kept - {"environment", "region"}}
    )
    assert desk.plan()["jobDefinitions.etl"]["action"] == "noop"

    desk.declare(logGroups={"/keep": {}})
    desk.apply("--allow-deletions", "9")

    assert desk.revisions() == []


def test_destroying_leaves_what_others_name_and_says_so(desk):
    desk.etl("1", "2")
    desk.rule("nightly", "etl:1")
    desk.declare(jobDefinitions={"etl": job("2")})

    assert "note: revision 1 is kept: event rule nightly" in desk.apply(verb="destroy")
    assert desk.revisions() == [1]
    code, out = desk.run("plan", "--destroy", "--detailed-exitcode")
    assert code == 0
    assert (
        "\n\nNo changes. The remaining resources are kept: other resources in the account still use them (see the notes).\n"
        in out
    )

    desk.client("events").remove_targets(Rule="nightly", Ids=["1"])
    desk.apply(verb="destroy")
    assert desk.revisions() == []


def test_older_ones_go_while_the_newest_is_still_named(desk):
    desk.etl("1", "2")
    desk.rule("nightly", "etl:2")
    desk.declare(jobDefinitions={"etl": job("2")})

    assert "note: revision 2 is kept: event rule nightly" in desk.apply(verb="destroy")
    assert desk.revisions() == [2]


# --- what cannot be seen, and what it costs ---------------------------------------------------------------------------

READS = [
    "events:ListEventBuses",
    "events:ListRules",
    "events:ListTargetsByRule",
    "batch:ListJobs",
]


@pytest.mark.parametrize("denied", READS)
def test_where_a_read_is_refused_it_stays_and_the_note_says_what_is_missing(desk, denied):
    desk.etl("1", "2")
    desk.queue("busy")
    desk.rule("unrelated", "other:1")
    service, operation = denied.split(":")
    desk.sandbox.faults.add(service=service, operation=operation, code="AccessDeniedException", times=0)

    desk.declare(jobDefinitions={"etl": job("3", keep=1)})
    found = desk.plan()["jobDefinitions.etl"]

    said = f"{denied} was refused (AccessDeniedException), so it may be in use; allow {denied}"
    assert found["notes"] == [f"revision 2 is kept: {said}", f"revision 1 is kept: {said}"]
    assert [step["call"] for step in found["steps"]] == ["batch:RegisterJobDefinition"]
    desk.sandbox.faults.clear()
    assert desk.goes() == ["etl:1", "etl:2"]


def test_every_missing_permission_is_named_at_once(desk):
    desk.etl("1", "2")
    desk.queue("busy")
    for service, operation in (("events", "*"), ("batch", "ListJobs")):
        desk.sandbox.faults.add(service=service, operation=operation, code="AccessDeniedException", times=0)

    desk.declare(jobDefinitions={"etl": job("2", keep=1)})
    (note,) = desk.plan()["jobDefinitions.etl"]["notes"]

    assert note.endswith("; allow events:ListEventBuses; allow batch:ListJobs")


def test_the_second_look_costs_pages_and_not_a_call_for_each(desk):
    desk.etl("1", "2")
    for number in range(300):
        desk.register(f"foreign-{number}", "x")
    desk.declare(jobDefinitions={"etl": job("2", keep=2)})
    quiet = desk.calls()
    desk.declare(jobDefinitions={"etl": job("2", keep=1)})

    asked = desk.calls()
    asked.subtract(quiet)
    more = {call: count for call, count in asked.items() if count}
    definitions = more.pop("batch:DescribeJobDefinitions", 0)

    assert definitions <= 4
    lists = ("batch:DescribeJobQueues", "events:ListEventBuses", "events:ListRules", "scheduler:ListSchedules")
    assert more == dict.fromkeys(lists, 1)


def test_jobs_are_asked_for_once_a_queue_and_where_there_are_many_by_state(desk):
    desk.sandbox.change({"outcomes": {"*": [{"exitCode": 0, "seconds": FOR_EVER}]}})
    desk.etl("1", "2", "3", "4")
    desk.queue("busy")
    desk.queue("idle")
    desk.declare(jobDefinitions={"etl": job("4", keep=1)})
    assert desk.calls()["batch:ListJobs"] == 2

    for definition, count in (
        ("etl:1", 1),
        ("etl:4", 100),
    ):  # the page with the newest hundred does not show the oldest
        for _ in range(count):
            desk.batch.submit_job(jobName="j", jobQueue="busy", jobDefinition=definition)
    assert desk.calls()["batch:ListJobs"] == 2 + 5
    code, told = desk.run("plan")
    assert code == 0
    assert "revision 1 is kept: jobs in queue busy that use it have not finished" in told
