"""What something else in the account names is kept when it is no longer declared; what nobody names is deleted."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from reconciler.model import Address, Environment, Live, Outcome, Verb
from reconciler.render import report
from reconciler.render.mask import Mask
from tests.support.histories import History
from tests.support.sandbox_account import loaded
from tests.support.tables import cases

DATA = Path(__file__).parents[1] / "data" / "dependents"
CASES = cases(DATA / "elsewhere.yaml")
ACCOUNT = "123456789012"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ3tTqQ0cB0m0b1r0bqV3Yl6m1kq8b0Zk3r9bqV3Yl6m x"
NOTHING = Environment(name="test")


@pytest.fixture
def ours(sandbox: Any) -> History:
    return History(sandbox)


def filled(value: Any, facts: Mapping[str, str]) -> Any:
    """``value`` with every ``{…}`` that ``facts`` has."""
    if isinstance(value, str):
        return re.sub(r"\{([A-Z]+(?::[^}]+)?)\}", lambda found: facts.get(found[1], found[0]), value)
    if isinstance(value, list):
        return [filled(item, facts) for item in value]
    return {key: filled(item, facts) for key, item in value.items()} if isinstance(value, dict) else value


def default_network(history: History) -> dict[str, str]:
    ec2 = history.sandbox.client("ec2")
    (vpc,) = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
    (group,) = ec2.describe_security_groups(
        Filters=[{"Name": "group-name", "Values": ["default"]}, {"Name": "vpc-id", "Values": [vpc["VpcId"]]}]
    )["SecurityGroups"]
    subnet = ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [vpc["VpcId"]]}])["Subnets"][0]["SubnetId"]
    return {"VPC": vpc["VpcId"], "GROUP": group["GroupId"], "SUBNET": subnet, "ACCOUNT": ACCOUNT, "KEY": KEY}


def declared(given: Mapping[str, Mapping[str, Any]], facts: Mapping[str, str], folder: Path) -> Environment:
    return loaded(folder, {"environment": "test", "region": "eu-west-1", **filled(given, facts)})


def merged(listed: list[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for given in listed:
        for section, named in given.items():
            found.setdefault(section, {}).update(named)
    return found


def lives(history: History) -> Iterator[Live]:
    for item in history.plan(NOTHING, destroy=True).plan.resources:
        yield from item.removed_objects


def called(history: History, call: Mapping[str, Any]) -> None:
    ((operation, params),) = call.items()
    service, _, method = operation.partition(".")
    getattr(history.sandbox.client(service), method)(**params)


def test_what_somebody_else_names_is_kept_and_the_rest_goes(ours: History, tmp_path: Path) -> None:
    facts = default_network(ours)
    assert ours.run(declared(merged([case["given"] for case in CASES]), facts, tmp_path / "e")).ok, ours.failures()
    for live in lives(ours):
        facts |= {f"ARN:{live.physical}": live.attrs.get("arn", ""), f"ID:{live.physical}": live.attrs.get("id", "")}
    ours.sandbox.advance(60)
    for case in CASES:
        for call in case["calls"]:
            called(ours, filled(call, facts))
    ours.sandbox.advance(600)
    (reservation,) = ours.sandbox.client("ec2").describe_instances()["Reservations"]
    facts["INSTANCE"] = reservation["Instances"][0]["InstanceId"]

    found = {str(item.address): item for item in ours.plan(NOTHING, destroy=True).plan.resources}
    expected = {address: filled(note, facts) for case in CASES for address, note in case["kept"].items()}
    told = {
        address: item.notes[0].partition(";")[0].partition(": ")[2] for address, item in found.items() if item.notes
    }
    assert told == {**expected, "roles.bare-role": "instanceProfiles.bare-used is kept and depends on it"}
    going = {address for address, item in found.items() if item.verb is Verb.DELETE}
    assert going == set(found) - set(told)
    assert len(going) == 6

    assert ours.run(NOTHING, destroy=True).ok, ours.failures()
    told = {address: note for address, note in told.items() if "policies." not in address}  # see the case
    assert {str(item.address) for item in ours.plan(NOTHING, destroy=True).plan.resources} == set(told)


# --- kept revisions and unfinished jobs ------------------------------------------------------------------------------


def job(role: str, says: str = "", keep: int = 2, **members: Any) -> dict[str, Any]:
    needs = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "2048"}]
    container = {"image": "alpine", "command": ["run", says], "resourceRequirements": needs, "jobRoleArn": role}
    return {"type": "container", "containerProperties": {**container, **members}, "lifecycle": {"keepRevisions": keep}}


def role_with(path: str) -> dict[str, Any]:
    return {"trust": ["ecs-tasks.amazonaws.com"], "path": path}


def entry(history: History, env: Environment, address: str, **options: Any) -> Any:
    (found,) = [one for one in history.plan(env, **options).plan.resources if str(one.address) == address]
    return found


def roles(history: History) -> list[str]:
    return sorted(one["RoleName"] for one in history.sandbox.client("iam").list_roles()["Roles"])


def test_a_replaced_role_stays_while_a_kept_revision_names_it(ours: History, tmp_path: Path) -> None:
    def stack(path: str, says: str, role: str = "job") -> Environment:
        stack = {"roles": {"job": role_with(path)}, "jobDefinitions": {"etl": job(role, says)}}
        return declared(stack, {}, tmp_path / "e")

    ours.converge(stack("/", "1"))
    planned = entry(ours, stack("/new/", "1"), "roles.job")
    new = planned.physical
    assert (planned.verb, planned.removed_objects) == (Verb.REPLACE, ())
    (note,) = planned.notes
    assert note.startswith(
        "job is kept: job definition etl:1 names it; apply deletes it when no kept revision names it any"
    )
    assert note.endswith(f"; replaced by {new}")
    ours.converge(stack("/new/", "1"))
    assert roles(ours) == ["job", new]

    ours.converge(stack("/new/", "2"))  # deregisters etl:1
    assert roles(ours) == [new]


def test_what_a_target_leaves_out_counts_as_well(ours: History, tmp_path: Path) -> None:
    def stack(path: str) -> Environment:
        given = {"roles": {"job": role_with(path)}, "jobDefinitions": {"etl": job("job", keep=1)}}
        return declared(given, {}, tmp_path / "e")

    ours.converge(stack("/"))
    only = {"targets": (Address("roles", "job"),)}
    (note,) = entry(ours, stack("/new/"), "roles.job", **only).notes
    assert note.startswith("job is kept: job definition etl:1 names it; ")
    assert ours.run(stack("/new/"), **only).ok
    assert len(roles(ours)) == 2

    ours.converge(stack("/new/"))
    assert len(roles(ours)) == 1


def test_what_is_kept_keeps_what_it_names(ours: History, tmp_path: Path) -> None:
    """Also where AWS would delete that: the template, kept for an environment of others, goes on with its key."""
    network = default_network(ours)
    data = {"launchTemplateData": {"keyName": "key"}}
    given = {"keyPairs": {"key": {"publicKey": KEY}}, "launchTemplates": {"template": data}}
    ours.converge(declared(given, network, tmp_path / "e"))
    iam = ours.sandbox.client("iam")
    trust = '{"Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}]}'
    iam.create_role(RoleName="theirs", AssumeRolePolicyDocument=trust)
    iam.create_instance_profile(InstanceProfileName="theirs")
    iam.add_role_to_instance_profile(InstanceProfileName="theirs", RoleName="theirs")
    resources = {
        "type": "EC2",
        "minvCpus": 0,
        "maxvCpus": 4,
        "instanceTypes": ["m5.large"],
        "instanceRole": "theirs",
        "subnets": [network["SUBNET"]],
        "securityGroupIds": [network["GROUP"]],
        "launchTemplate": {"launchTemplateName": "template"},
    }
    ours.sandbox.client("batch").create_compute_environment(
        computeEnvironmentName="theirs", type="MANAGED", computeResources=resources
    )
    assert entry(ours, NOTHING, "keyPairs.key", destroy=True).notes == (
        "key is kept: launchTemplates.template is kept and depends on it",
    )
    assert ours.plan(NOTHING, destroy=True).plan.steps == ()


def test_a_role_that_is_no_longer_declared_stays_as_long(ours: History, tmp_path: Path) -> None:
    both = {"roles": {"old": role_with("/"), "new": role_with("/")}, "jobDefinitions": {"etl": job("old")}}
    ours.converge(declared(both, {}, tmp_path / "e"))
    one = {"roles": {"new": role_with("/")}, "jobDefinitions": {"etl": job("new")}}
    ours.converge(declared(one, {}, tmp_path / "e"))
    assert roles(ours) == ["new", "old"]
    *_, note = entry(ours, declared(one, {}, tmp_path / "e"), "roles.old").notes
    assert note.startswith("old is kept: job definition etl:1 names it; ")

    once = {"roles": one["roles"], "jobDefinitions": {"etl": job("new", keep=1)}}
    ours.converge(declared(once, {}, tmp_path / "e"))
    assert roles(ours) == ["new"]


def test_a_role_stays_while_a_job_of_a_deregistered_revision_has_not_finished(ours: History, tmp_path: Path) -> None:
    service = {"roles": {"exec": role_with("/")}}
    network = default_network(ours)
    fargate = {
        "type": "MANAGED",
        "computeResources": {
            "type": "FARGATE",
            "maxvCpus": 4,
            "subnets": [network["SUBNET"]],
            "securityGroupIds": [network["GROUP"]],
        },
    }
    listed = {"priority": 1, "computeEnvironmentOrder": [{"order": 1, "computeEnvironment": "ce"}]}
    runs = {"platformCapabilities": ["FARGATE"]}
    stack = {
        **service,
        "computeEnvironments": {"ce": fargate},
        "jobQueues": {"q": listed},
        "jobDefinitions": {"etl": {**job("exec", executionRoleArn="exec"), **runs}},
    }
    ours.converge(declared(stack, network, tmp_path / "e"))
    batch = ours.sandbox.client("batch")
    ours.sandbox.advance(60)
    batch.submit_job(jobName="j", jobQueue="q", jobDefinition="etl")
    batch.deregister_job_definition(jobDefinition="etl:1")
    rest = {section: stack[section] for section in ("computeEnvironments", "jobQueues")}
    env = declared(rest, network, tmp_path / "e")

    (note,) = entry(ours, env, "roles.exec").notes
    assert note == (
        "exec is kept: job definition etl:1, of unfinished jobs in queue q, names it; "
        "apply again after they have finished to delete it"
    )
    assert entry(ours, env, "roles.exec", destroy=True).verb is Verb.DELETE  # its jobs go with the queue
    ours.sandbox.advance(1e6)
    ours.converge(env)
    assert roles(ours) == ["AWSServiceRoleForBatch"]


def test_what_is_made_anew_under_its_name_is_not_held_by_names(ours: History, tmp_path: Path) -> None:
    def stack(kind: str) -> Environment:
        named = {"consumableResourceList": [{"consumableResource": "licence", "quantity": 1}]}
        etl = {**job("job"), "consumableResourceProperties": named}
        resource = {"totalQuantity": 2, "resourceType": kind}
        given = {"roles": {"job": role_with("/")}, "jobDefinitions": {"etl": etl}}
        return declared({**given, "consumableResources": {"licence": resource}}, {}, tmp_path / "e")

    ours.converge(stack("REPLENISHABLE"))
    planned = entry(ours, stack("NON_REPLENISHABLE"), "consumableResources.licence")
    assert (planned.verb, len(planned.removed_objects), planned.notes) == (Verb.REPLACE, 1, ())
    ours.converge(stack("NON_REPLENISHABLE"))


# --- revisions of others ---------------------------------------------------------------------------------------------


def test_revisions_that_others_registered_are_named_and_kept(ours: History, tmp_path: Path) -> None:
    batch = ours.sandbox.client("batch")
    for says in ("1", "2", "3"):
        plain = {key: value for key, value in job("", says).items() if key != "lifecycle"}
        plain["containerProperties"].pop("jobRoleArn")
        batch.register_job_definition(jobDefinitionName="etl", **plain)
    env = ours.environment({"jobDefinitions": {"etl": plain}})
    assert ours.run(env, adopt=True).ok
    ours.expect_nothing(env)

    batch.register_job_definition(jobDefinitionName="etl", **plain)  # newer than ours
    planned = entry(ours, NOTHING, "jobDefinitions.etl", destroy=True)
    assert planned.notes == (
        "etl:1, etl:2, etl:4 are kept: not registered by this environment (no reconciler/environment tag)",
    )
    whole = ours.plan(NOTHING, destroy=True).plan
    advice = "Delete them, or pass --adopt to the next apply of jobDefinitions.etl"
    done = Outcome(done=tuple(step.id for step in whole.steps))
    assert report.of(whole, done, {}, 0.0, Mask()).splitlines() == [
        "Done in 0 s: 1 deleted.",
        f"  etl:1, etl:2, etl:4 remain: no environment owns them. {advice}.",
    ]
    assert [live.physical for live in planned.removed_objects] == ["etl:3"]
    other = ours.environment({"topics": {"t": {}}})
    assert entry(ours, other, "jobDefinitions.etl").notes == planned.notes

    ours.destroy(NOTHING)
    left = batch.describe_job_definitions(jobDefinitionName="etl", status="ACTIVE")["jobDefinitions"]
    assert sorted(item["revision"] for item in left) == [1, 2, 4]


def test_of_a_role_and_what_replaced_it_the_latest_revision_shows_which_is_in_service(
    ours: History, tmp_path: Path
) -> None:
    """Both need a replacement, and revisions name both."""

    def stack(path: str) -> Environment:
        return declared({"roles": {"job": role_with(path)}, "jobDefinitions": {"etl": job("job")}}, {}, tmp_path / "e")

    ours.converge(stack("/"))
    ours.converge(stack("/new/"))
    _, new = roles(ours)
    planned = entry(ours, stack("/newest/"), "roles.job")
    assert [(change.before, change.after) for change in planned.changes] == [("/new/", "/newest/")]
    kept, gone = sorted(planned.notes, key=lambda note: note.startswith("job "))
    assert kept.startswith(f"{new} is kept: job definition etl:2 names it; ")
    assert gone == "job is another role with the same tags, and is deleted"  # with the revision that names it
    assert [one.physical for one in planned.removed_objects] == ["job"]
    ours.converge(stack("/newest/"))
    assert roles(ours) == sorted([new, planned.physical])
