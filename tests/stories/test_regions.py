"""One environment, several Regions: roles, policies and profiles exist once for all of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.support.shell import Shell

HERE, THERE = "eu-west-1", "us-east-1"
ROLES = """
environment: reg
roles: {job: {trust: [ecs-tasks.amazonaws.com], managedPolicies: [reader]}, instance: {trust: [ec2.amazonaws.com]}}
policies: {reader: {policyDocument: {Statement: [{Effect: Allow, Action: "s3:GetObject", Resource: "*"}]}}}
instanceProfiles: {instance: {role: instance}}
"""
REGIONAL = "logGroups: {/batch/reg: {}}\n"
IAM = ["instanceProfiles.instance", "policies.reader", "roles.instance", "roles.job"]
KEY = "reconciler/region"


@pytest.fixture
def shell(shell: Shell) -> Shell:
    declare()
    run(shell, "apply", "--auto-approve")
    return shell


def declare(text: str = ROLES + REGIONAL, **settings: str) -> None:
    Path("environment.yaml").write_text(text + "".join(f"{k}: {v}\n" for k, v in settings.items()), "utf-8")


def run(shell: Shell, *argv: str, region: str = HERE, code: int = 0) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_REGION", region)
        patch.setenv("AWS_DEFAULT_REGION", region)
        done = shell(*argv)
    assert done.code == code, done.told
    return done


def planned(shell: Shell, *options: str, **how: Any) -> dict[str, Any]:
    found = run(shell, "plan", "--format", "json", *options, **how).json
    return {item["address"]: item for item in found["resource_changes"] if item["action"] != "noop"}


def tags() -> dict[str, dict[str, str]]:
    """The tags of everything of this environment in IAM, by address."""
    iam = boto3.client("iam")
    profile = iam.get_instance_profile(InstanceProfileName="instance")["InstanceProfile"]
    found = {f"roles.{name}": iam.get_role(RoleName=name)["Role"]["Tags"] for name in ("instance", "job")}
    found["policies.reader"] = iam.list_policy_tags(PolicyArn=policy())["Tags"]
    found["instanceProfiles.instance"] = profile["Tags"]
    return {address: {tag["Key"]: tag["Value"] for tag in listed} for address, listed in found.items()}


def policy() -> str:
    listed = boto3.client("iam").list_policies(Scope="Local")["Policies"]
    return next(one["Arn"] for one in listed if one["PolicyName"] == "reader")


def forget() -> None:
    """Take the Region out of the tags, as an older version left them."""
    iam = boto3.client("iam")
    for name in ("instance", "job"):
        iam.untag_role(RoleName=name, TagKeys=[KEY])
    iam.untag_policy(PolicyArn=policy(), TagKeys=[KEY])
    iam.untag_instance_profile(InstanceProfileName="instance", TagKeys=[KEY])


def test_the_region_is_a_tag_of_what_spans_regions_and_of_nothing_else(shell: Shell) -> None:
    assert tags() == {address: {"reconciler/environment": "reg", KEY: HERE} for address in IAM}
    arn = "arn:aws:logs:eu-west-1:123456789012:log-group:/batch/reg"
    assert boto3.client("logs", HERE).list_tags_for_resource(resourceArn=arn)["tags"] == {
        "reconciler/environment": "reg"
    }
    assert "No changes" in run(shell, "plan", "--detailed-exitcode").out


def test_from_another_region_it_belongs_to_the_environment_there(shell: Shell) -> None:
    found = run(shell, "plan", "--adopt", "--format", "json", region=THERE, code=1).told

    for _ in IAM:
        assert "exists and belongs to the environment reg in eu-west-1" in found
    assert "a role is the same in all Regions: run with the Region eu-west-1" in found


def test_destroying_from_another_region_deletes_nothing_of_it(shell: Shell) -> None:
    found = run(shell, "destroy", "--auto-approve", region=THERE)

    assert set(tags()) == set(IAM)
    assert "reg in eu-west-1 owns instanceProfiles.instance, policies.reader, roles.instance, roles.job" in found.told
    assert "run `reconcile destroy` with the Region eu-west-1" in found.told


def test_what_is_not_declared_any_more_is_not_deleted_from_another_region(shell: Shell) -> None:
    declare("environment: reg\n" + REGIONAL)
    shown = run(shell, "plan", region=THERE).told

    assert "Plan: 1 to create, 0 to update, 0 to replace, 0 to delete." in shown
    assert "reg in eu-west-1 owns instanceProfiles.instance, policies.reader" in shown

    run(shell, "apply", "--auto-approve", region=THERE)
    assert "reg in eu-west-1" not in run(shell, "plan", region=THERE).told, "said once, and not for ever"
    assert set(planned(shell)) == set(IAM), "where it belongs it is deleted"


def test_a_region_that_changes_in_yaml_leaves_behind_what_the_plan_names(shell: Shell) -> None:
    declare("environment: reg\nroles: {other: {trust: [ec2.amazonaws.com]}}\n" + REGIONAL, region=THERE)

    shown = run(shell, "plan").told

    assert "reg in eu-west-1 owns instanceProfiles.instance" in shown
    assert "all of this is kept" in shown


def test_an_older_versions_tags_are_completed_and_then_there_is_no_difference(shell: Shell) -> None:
    forget()

    found = planned(shell)
    assert set(found) == set(IAM)
    assert {one["path"] for item in found.values() for one in item["differences"]} == {f"tags.{KEY}"}

    run(shell, "apply", "--auto-approve")
    assert {address: held[KEY] for address, held in tags().items()} == dict.fromkeys(IAM, HERE)
    assert "No changes" in run(shell, "plan", "--detailed-exitcode").out


def test_an_older_versions_objects_are_not_deleted_from_a_region_without_anything_else(shell: Shell) -> None:
    forget()

    shown = run(shell, "destroy", "--auto-approve", region=THERE).told

    assert set(tags()) == set(IAM)
    assert "job is kept: its tags do not name the Region of reg, which may be another than us-east-1" in shown
    assert "apply reg in its Region, which adds the tag reconciler/region" in shown

    declare("environment: reg\n" + REGIONAL)
    assert set(planned(shell, region=THERE)) == {'logGroups["/batch/reg"]'}
    assert set(planned(shell)) == set(IAM)


def test_an_older_versions_objects_are_taken_over_from_a_new_region_only_if_somebody_says_so(shell: Shell) -> None:
    forget()

    refused = run(shell, "plan", region=THERE, code=1).told
    assert "exists and belongs to the environment reg, in a Region that its tags do not name" in refused
    assert "if that is us-east-1, pass --adopt" in refused

    found = planned(shell, "--adopt", region=THERE)
    assert {found[address]["action"] for address in IAM} == {"adopt"}
    assert {one["path"] for address in IAM for one in found[address]["differences"]} == {f"tags.{KEY}"}


def test_older_objects_go_with_the_rest_of_the_environment_from_the_region_it_is_in(shell: Shell) -> None:
    forget()

    run(shell, "destroy", "--auto-approve")

    names = [role["RoleName"] for role in boto3.client("iam").list_roles()["Roles"]]
    assert not {"job", "instance"} & set(names)


def test_one_that_is_known_to_be_elsewhere_makes_the_others_uncertain(shell: Shell) -> None:
    """An older version was applied in both Regions, a newer one since in the other only."""
    forget()
    boto3.client("iam").tag_role(RoleName="job", Tags=[{"Key": KEY, "Value": THERE}])

    shown = run(shell, "destroy", "--auto-approve").told

    assert set(tags()) == set(IAM)
    assert "instance is kept" in shown


def test_an_environment_of_nothing_else_has_its_tags_completed_wherever_it_is_applied(shell: Shell) -> None:
    declare(ROLES)
    run(shell, "apply", "--auto-approve", "--allow-deletions", "1")
    forget()

    assert "is kept" in run(shell, "destroy", "--auto-approve").told
    run(shell, "apply", "--auto-approve")
    assert {address: held[KEY] for address, held in tags().items()} == dict.fromkeys(IAM, HERE)
    run(shell, "destroy", "--auto-approve")


def test_an_environment_that_is_renamed_says_how_to_take_its_resources_along(shell: Shell) -> None:
    declare((ROLES + REGIONAL).replace("environment: reg", "environment: new"))

    shown = run(shell, "plan", "--adopt", code=1).told

    assert "exists and belongs to the environment reg" in shown
    assert "if reg was renamed to new, destroy it under its old name" in shown


def test_adoption_names_the_owner_and_its_region_is_no_difference_of_its_own(shell: Shell) -> None:
    boto3.client("iam").untag_role(RoleName="job", TagKeys=[KEY, "reconciler/environment"])

    found = planned(shell, "--adopt")
    assert [one["path"] for one in found["roles.job"]["differences"]] == ["tags.reconciler/environment"]
    assert json.dumps(found["roles.job"]["steps"]).count(HERE) == 1

    run(shell, "apply", "--adopt", "--auto-approve")
    assert tags()["roles.job"] == {"reconciler/environment": "reg", KEY: HERE}
    assert "No changes" in run(shell, "plan", "--detailed-exitcode").out
