"""The policies of `permissions`: what they are made of, what merging and splitting leave, what is said beside them."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import reconciler.kinds
from reconciler.kinds import discover
from reconciler.model import Address, Environment, Lookup, Pos, Resource
from reconciler.model.problems import Problems
from reconciler.operations import pipeline
from reconciler.operations.permissions import actions, build, policy
from reconciler.operations.permissions.build import Policies
from reconciler.operations.permissions.merging import Statement
from reconciler.operations.permissions.modes import Purpose
from reconciler.operations.permissions.needs import Need
from tests.support.examples import SECRETS
from tests.support.long import some
from tests.support.sources import nodes_of
from tools import iam_actions

ACCOUNT, REGION = "123456789012", "eu-west-1"
ENVIRONMENTS = Path(__file__).parents[2] / "environments"
EVERY = sorted(path.parent.name for path in ENVIRONMENTS.glob("*/environment.yaml"))
KINDS = discover()

# --- the table, and what the kinds say -------------------------------------------------------------------------------

_OPERATION = re.compile(
    "(Add|Associate|Attach|Authorize|Create|Delete|Deregister|Describe|Detach|Disassociate|Get|Import|List|Modify|Put|"
    "Register|Remove|Restore|Revoke|Set|Subscribe|Tag|Terminate|Unsubscribe|Untag|Update)[A-Z][A-Za-z]+"
)
# texts of the same form that are no operations, and operations that are called only where the index is refused
OTHERS = {
    *("AttachedManagedPolicies", "AttachmentCount", "AttachedPolicies", "DeletedDate", "DeleteConflict"),
    *("RemoveFromVersionId", "SetAsDefault", "TagFilters", "TagKeys", "TagSpecifications"),
    *("AuthorizeSecurityGroup", "RevokeSecurityGroup", "UpdateSecurityGroupRuleDescriptions"),
}
# operations that only others call, by which CloudTrail shows a change
RECORDED = {"CreateKeyPair", "DeleteServiceLinkedRole", "ModifySecurityGroupRules", "UpdateRoleDescription"}
WITHOUT_INDEX = {
    *("ListConsumableResources", "ListLogGroups", "ListScheduleGroups", "ListSchedulingPolicies", "ListSecrets"),
}


def operations(source: str) -> set[str]:
    texts = (node.value for node in nodes_of(ast.parse(source)) if isinstance(node, ast.Constant))
    return {text for text in texts if isinstance(text, str) and _OPERATION.fullmatch(text)}


def test_every_operation_that_a_kind_calls_is_in_its_access_or_another() -> None:
    known = {action.partition(":")[2] for action in iam_actions.wanted()}
    root = Path(reconciler.kinds.__file__).parent
    called = {
        (name, path.relative_to(root).as_posix())
        for path in root.rglob("*.py")
        for name in operations(path.read_text(encoding="utf-8"))
    }

    of_snapshots = {one.call.operation for kind in KINDS.values() for one in kind.complete_lists}
    others = known | OTHERS | WITHOUT_INDEX | RECORDED | of_snapshots
    assert {one for one in called if one[0] not in others} == set()


def test_the_table_is_the_reference_and_has_every_action() -> None:
    assert iam_actions.text() == iam_actions.TARGET.read_text(encoding="utf-8")


@pytest.mark.parametrize("section", sorted(KINDS))
def test_a_kind_says_which_type_it_is_and_its_actions_are_of_that_type(section: str) -> None:
    access = KINDS[section].access
    own = {*access.types}

    assert own
    for action in (*access.reads, *access.creates, *access.changes, *access.deletes, *access.tags):
        assert not actions.limited(action) or own & {*actions.types(action)}, action
    for action in (*access.looks, *access.removals, *access.referrers, *access.waits, *access.always):
        assert action.partition(":")[2].startswith(("Describe", "Get", "List")), action


# --- policies of examples --------------------------------------------------------------------------------------------


@cache
def example(name: str, *, writes: bool) -> Policies:
    env, _ = pipeline.read_environment(ENVIRONMENTS / name, SECRETS, strict=True)
    return build.for_environment(env, ACCOUNT, REGION, Purpose.apply if writes else Purpose.plan)


def allowed(statements: Iterable[Statement]) -> Iterator[Need]:
    for one in statements:
        for action in one.actions:
            for resource in one.resources:
                yield Need(action, resource, one.conditions)


@pytest.mark.parametrize("name", some(EVERY, 4))
def test_merging_and_splitting_allow_what_is_needed_and_nothing_else(name: str) -> None:
    for writes in (False, True):
        found = example(name, writes=writes)
        wanted = found.needs.found
        for made in (found.whole, [one for part in found.parts for one in part]):
            given = [*allowed(made)]
            by_action: dict[str, list[Need]] = {}
            for need in given:
                by_action.setdefault(need.action, []).append(need)
            for need in wanted:
                assert any(covers(one, need) for one in by_action[need.action]), need
            for one in given:
                possible = not actions.limited(one.action) or any(
                    actions.form(kind, found.needs.estate.scope).fullmatch(one.resource)
                    for kind in actions.types(one.action)
                )
                needed = any(covers(one, need) or covers(need, one) for need in wanted if need.action == one.action)
                assert needed or not possible, one
        assert all(policy.size(part) <= policy.MANAGED for part in found.parts)


def covers(one: Need, other: Need) -> bool:
    return fnmatchcase(other.resource, one.resource) and {*one.conditions} <= {*other.conditions}


@pytest.mark.parametrize("name", some(EVERY, 4))
def test_no_condition_has_a_key_that_the_action_does_not_know(name: str) -> None:
    scope = example(name, writes=True).needs.estate.scope
    for need in example(name, writes=True).needs.found:
        kinds = [one for one in actions.types(need.action) if actions.form(one, scope).fullmatch(need.resource)]
        for key, _ in need.conditions:
            assert kinds, need
            assert all(actions.supports(need.action, one, key.partition("/")[0]) for one in kinds), need


def test_a_plan_writes_nothing_and_passes_no_role() -> None:
    for name in EVERY:
        for statement in example(name, writes=False).whole:
            for action in statement.actions:
                assert action.partition(":")[2].startswith(("Describe", "Get", "List")), action


# --- one environment, to the letter ----------------------------------------------------------------------------------


def environment(*resources: Resource, **settings: Any) -> Environment:
    return Environment(name="test", resources={one.address: one for one in resources}, **settings)


def resource(section: str, name: str, **props: Any) -> Resource:
    return Resource(address=Address(section, name), props=props)


def needed(env: Environment, *, writes: bool = True) -> dict[str, set[tuple[str, tuple[str, ...]]]]:
    """Resources by action, without their account, each with the keys of its conditions."""
    found: dict[str, set[tuple[str, tuple[str, ...]]]] = {}
    for need in build.for_environment(env, ACCOUNT, REGION, Purpose.apply if writes else Purpose.plan).needs.found:
        what = need.resource.partition(f":{ACCOUNT}:")[2] or need.resource
        found.setdefault(need.action, set()).add((what, tuple(key for key, _ in need.conditions)))
    return found


OWN, SENT = ("aws:ResourceTag/reconciler/environment",), ("aws:RequestTag/reconciler/environment",)


def test_a_queue_names_its_environment_wherever_that_is_declared() -> None:
    order = [{"order": 1, "computeEnvironment": "ours"}, {"order": 2, "computeEnvironment": "theirs"}]
    found = needed(
        environment(
            resource("computeEnvironments", "ours", serviceRole="svc"),
            resource("jobQueues", "q", priority=1, computeEnvironmentOrder=order),
        )
    )

    assert found["batch:CreateJobQueue"] == {
        ("job-queue/q", SENT),
        ("job-queue/q-*", SENT),
        ("compute-environment/ours", ()),
        ("compute-environment/ours-*", ()),
        ("compute-environment/theirs", ()),
    }
    assert found["batch:DeleteJobQueue"] == {("job-queue/q", ()), ("job-queue/q-*", ()), ("job-queue/*", OWN)}
    assert found["iam:PassRole"] == {("role/svc", ("iam:PassedToService",))}
    assert "iam:CreateServiceLinkedRole" not in found
    assert found["ssm:PutParameter"] == {("parameter/reconcile/locks/test", ())}


def test_what_aws_numbers_is_known_by_its_tag() -> None:
    found = needed(environment(resource("securityGroups", "g", vpcId="vpc-0abc")))

    assert found["ec2:CreateSecurityGroup"] == {("security-group/*", SENT), ("vpc/vpc-0abc", ())}
    assert found["ec2:DeleteSecurityGroup"] == {("security-group/*", OWN)}
    assert ("security-group/*", (*SENT, "ec2:CreateAction")) in found["ec2:CreateTags"]


def test_roles_are_narrowed_by_the_policies_that_are_declared() -> None:
    attached = "arn:aws:iam::aws:policy/ReadOnlyAccess"
    role = resource("roles", "r", path="/hpc/", managedPolicies=[attached], assumeRolePolicyDocument={})
    found = build.for_environment(environment(role), ACCOUNT, REGION, Purpose.apply)
    attach = [need for need in found.needs.found if need.action == "iam:AttachRolePolicy"]

    assert {need.resource.partition("::")[2] for need in attach} == {
        f"{ACCOUNT}:role/{name}" for name in ("hpc/r", "hpc/r-*", "r", "r-*")
    }
    assert {need.conditions for need in attach} == {(("iam:PolicyARN", (attached,)),)}
    assert not any("role/*" in need.resource for need in attach)


def test_schedules_have_no_tags_and_are_known_by_their_group() -> None:
    found = needed(
        environment(
            resource("scheduleGroups", "test"),
            resource("schedules", "nightly", groupName="test", target={"roleArn": "runner"}),
        )
    )

    assert found["scheduler:DeleteSchedule"] == {("schedule/test/nightly", ()), ("schedule/test/*", ())}
    assert found["scheduler:DeleteScheduleGroup"] == {("schedule-group/test", ()), ("schedule-group/*", OWN)}
    assert found["iam:PassRole"] == {("role/runner", ("iam:PassedToService",))}


LOOKUPS = {
    "vpc": ({"default": True}, "ec2:DescribeVpcs", {"*"}),
    "ssmParameter": ("/aws/service/x", "ssm:GetParameter", {"arn:aws:ssm:eu-west-1::parameter/aws/service/x"}),
    "repositoryImage": ({"repository": "app", "tag": "1"}, "ecr:DescribeImages", {"repository/app"}),
    "fileSystem": ({"fileSystemId": "fs-1"}, "elasticfilesystem:DescribeFileSystems", {"file-system/fs-1"}),
    "kmsKey": ("alias/batch", "kms:DescribeKey", {"key/*"}),
    "secret": ("token", "secretsmanager:DescribeSecret", {"secret:token", "secret:token-??????"}),
    "role": ("shared", "iam:GetRole", {"role/shared", "role/*/shared"}),
}


@pytest.mark.parametrize("kind", sorted(LOOKUPS))
def test_look_ups(kind: str) -> None:
    args, action, resources = LOOKUPS[kind]
    lookup = Lookup(name="x", kind=kind, args=args, pos=Pos("environment.yaml", 1, 1))
    found = needed(environment(lookups={"x": lookup}), writes=False)

    assert {what for what, _ in found[action]} == resources


def test_what_is_not_known_is_a_wildcard_and_is_said() -> None:
    found = build.for_environment(environment(resource("topics", "t")), None, None, Purpose.apply)

    assert any(need.resource == "arn:aws:sns:*:*:t" for need in found.needs.found)
    assert [note.partition(" is not known")[0] for note in found.notes] == ["the account", "the region"]


def test_sections_that_are_no_longer_declared_are_allowed_by_tag_on_request() -> None:
    found = build.for_environment(environment(), ACCOUNT, REGION, Purpose.apply, also=["topics"])
    deletes = [need for need in found.needs.found if need.action == "sns:DeleteTopic"]

    assert [(need.resource, [key for key, _ in need.conditions]) for need in deletes] == [
        (f"arn:aws:sns:{REGION}:{ACCOUNT}:*", [*OWN])
    ]


def test_a_document_is_as_iam_writes_it() -> None:
    one = Statement(
        frozenset({"iam:AttachRolePolicy"}),
        frozenset({"b", "a"}),
        (("aws:RequestTag/x", ("1",)), ("iam:PolicyARN", ("p", "q"))),
    )

    assert policy.document([one]) == {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": "iam:AttachRolePolicy",
                "Resource": ["a", "b"],
                "Condition": {"StringEquals": {"aws:RequestTag/x": "1"}, "ArnLike": {"iam:PolicyARN": ["p", "q"]}},
            }
        ],
    }
    assert len(policy.compact(policy.document([one]))) == policy.size([one])


def test_a_statement_that_is_too_large_for_a_document_is_halved() -> None:
    env = environment(*(resource("topics", f"{'t' * 60}-{number}") for number in range(40)))
    found = build.for_environment(env, ACCOUNT, REGION, Purpose.apply)

    assert policy.size(found.whole) > policy.MANAGED
    assert len(found.parts) > 1
    assert all(policy.size(part) <= policy.MANAGED for part in found.parts)
    given = {(need.action, need.resource) for part in found.parts for need in allowed(part)}
    assert {(need.action, need.resource) for need in found.needs.found if not need.conditions} <= given


# --- one plan --------------------------------------------------------------------------------------------------------


def entry(address: Address, action: str, *steps: tuple[str, dict[str, Any]], **rest: Any) -> dict[str, Any]:
    return {
        "type": address.section,
        "name": address.name,
        "physical_name": address.name,
        "action": action,
        "change": {"before": None},
        "steps": [{"call": call, "parameters": params} for call, params in steps],
        **rest,
    }


def of_plan(env: Environment, *entries: dict[str, Any]) -> dict[str, set[tuple[str, tuple[str, ...]]]]:
    found: dict[str, set[tuple[str, tuple[str, ...]]]] = {}
    document = {"account": ACCOUNT, "region": REGION, "resource_changes": [*entries]}
    for need in build.for_plan(env, document).needs.found:
        what = need.resource.partition(f":{ACCOUNT}:")[2] or need.resource
        found.setdefault(need.action, set()).add((what, tuple(key for key, _ in need.conditions)))
    return found


def test_a_plan_allows_its_own_steps_only() -> None:
    order = [{"order": 1, "computeEnvironment": "ours"}]
    queue = resource("jobQueues", "q", priority=1, computeEnvironmentOrder=order)
    env = environment(resource("computeEnvironments", "ours", serviceRole="svc"), queue)
    found = of_plan(
        env,
        entry(queue.address, "update", ("batch:UpdateJobQueue", {"jobQueue": "q", "priority": 2})),
        entry(Address("computeEnvironments", "ours"), "noop"),
    )

    assert found["batch:UpdateJobQueue"] == {("job-queue/q", ())}
    assert {"batch:CreateJobQueue", "batch:DeleteJobQueue", "batch:UpdateComputeEnvironment", "iam:PassRole"} & {
        *found
    } == set()
    assert "ssm:PutParameter" in found
    assert "ssm:PutParameter" not in of_plan(env, entry(queue.address, "noop"))


def test_a_replacement_is_about_both_names() -> None:
    one = resource("computeEnvironments", "ours", serviceRole="svc")
    role = f"arn:aws:iam::{ACCOUNT}:role/svc"
    create = {"computeEnvironmentName": "ours-0a1b2c", "serviceRole": role, "tags": {"reconciler/environment": "test"}}
    found = of_plan(
        environment(one),
        entry(
            one.address,
            "replace",
            ("batch:CreateComputeEnvironment", create),
            ("batch:UpdateComputeEnvironment", {"computeEnvironment": "ours", "state": "DISABLED"}),
            ("batch:DeleteComputeEnvironment", {"computeEnvironment": "ours"}),
            physical_name="ours-0a1b2c",
        ),
    )

    assert found["batch:CreateComputeEnvironment"] == {("compute-environment/ours-0a1b2c", SENT)}
    assert found["batch:DeleteComputeEnvironment"] == {("compute-environment/ours", ())}
    assert found["iam:PassRole"] == {("role/svc", ("iam:PassedToService",))}
    assert ("*", ()) in found["ecs:DescribeClusters"]


def test_the_role_of_a_request_that_does_not_name_it_is_that_of_the_plan() -> None:
    one = resource("computeEnvironments", "ours", serviceRole="svc")
    env = environment(one, resource("roles", "svc"))
    scale = ("batch:UpdateComputeEnvironment", {"computeEnvironment": "ours", "computeResources": {"maxvCpus": 2}})
    named = f"arn:aws:iam::{ACCOUNT}:role/svc-0a1b2c"

    found = of_plan(env, entry(one.address, "update", scale, change={"before": {}, "after": {"serviceRole": named}}))
    assert found["iam:PassRole"] == {("role/svc-0a1b2c", ("iam:PassedToService",))}
    unknown = of_plan(env, entry(one.address, "update", scale, change={"before": {}, "after": {"serviceRole": None}}))
    assert {arn for arn, _ in unknown["iam:PassRole"]} == {"role/svc", "role/svc-*"}


def test_what_is_deleted_need_not_be_declared() -> None:
    gone = entry(Address("securityGroups", "g"), "delete", ("ec2:DeleteSecurityGroup", {"GroupId": "sg-0abc"}))
    found = of_plan(environment(), gone)

    assert found["ec2:DeleteSecurityGroup"] == {("security-group/sg-0abc", ())}
    assert ("*", ()) in found["ec2:DescribeInstances"]
    assert json.dumps(policy.document(build.for_plan(environment(), _document(gone)).whole))


def test_a_forged_call_gets_no_permission() -> None:
    forged = entry(Address("roles", "r"), "delete", ("iam:DeleteUser\n", {"UserName": "admin"}))
    with pytest.raises(Problems, match="the plan has a step that reconcile does not make: iam:DeleteUser"):
        of_plan(environment(), forged)


def _document(*entries: dict[str, Any]) -> dict[str, Any]:
    return {"account": ACCOUNT, "region": REGION, "resource_changes": [*entries]}
