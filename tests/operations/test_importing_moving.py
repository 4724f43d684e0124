"""The files of terraform and CloudFormation: which resources they name, by which keys, and that no secret leaves them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from reconciler.kinds import discover
from reconciler.model import Call, Live, Refused, Scope
from reconciler.model.problems import Problems
from reconciler.operations.importing import cloudformation, moving, other_tools, terraform
from reconciler.operations.importing.moving import Origin

DATA = Path("tests/data/moving")
HERE = Scope("123456789012", "eu-west-1", "aws", "gpu")


class Account:
    """What an index of the account answers, and the replies of CloudFormation."""

    def __init__(self, reply: Any = None) -> None:
        self.reply = reply
        self.calls: list[Call] = []

    def call_or_raise(self, call: Call) -> Any:
        self.calls.append(call)
        return self.reply

    def problem_of(self, call: Call, refused: Refused) -> None:
        return None


def there(section: str, word: str) -> str | None:
    """The name that an ARN, an id or a name has in the account; some have gone."""
    name = {"sg-1": "nodes", "sg-2": "nodes-2", "sg-9": "jobs-20240101"}.get(
        word, word.rpartition("/")[2].rpartition(":")[2]
    )
    if section == "jobDefinitions":
        name = word.rpartition("/")[2].partition(":")[0]
    return None if name == "gone" or (word.startswith("sg-") and name == word) else name.removesuffix("-AbCdEf")


def live(name: str, attrs: dict[str, str], logical: str = "", stack: str = "jobs") -> Live:
    tags = {"aws:cloudformation:stack-name": stack, "aws:cloudformation:logical-id": logical} if logical else {}
    return Live(physical=name, attrs=attrs, props={}, tags=tags)


LIVES = {
    "securityGroups": [live("jobs-Group-1A", {"id": "sg-7"}, "Group")],
    "roles": [
        live("jobs-Role-1A", {"arn": "arn:aws:iam::123456789012:role/jobs-Role-1A"}, "Role"),
        live("x-Profile", {}, "Twice", "x"),
        live("y-Profile", {}, "Twice", "y"),
        live("untagged", {}),
    ],
}


def lives(sections: Any) -> dict[str, Any]:
    return {section: LIVES.get(section, []) for section in sections}


def nothing(_: Any) -> dict[str, Any]:
    return {}


def text(name: str) -> str:
    return (DATA / name).read_text()


@pytest.mark.parametrize("case", yaml.safe_load(text("public/cases.yaml")), ids=lambda case: case["file"])
def test_files_of_public_projects(case: dict[str, Any]) -> None:
    """Excerpts; each says where it is from."""
    content, file = text(f"public/{case['file']}"), case["file"]
    named = terraform.read(content, file) if file.endswith("tfstate") else cloudformation.read([(content, file)])[0]
    keys: dict[str, list[str]] = {}
    for one in named.resources:
        keys.setdefault(one.section, []).append(one.key)
    assert keys == case["keys"]
    assert [one.name for one in named.left_out] == case.get("left_out", [])
    assert all(one.why == other_tools.NO_KIND for one in named.left_out)


def test_a_resource_whose_condition_is_not_met() -> None:
    template = {
        "Resources": {
            "Spot": {
                "Type": "AWS::Batch::JobQueue",
                "Condition": "UseSpot",
                "Properties": {"JobQueueName": "spot"},
            }
        }
    }
    stack = {"StackResourceSummaries": [{"LogicalResourceId": "Other", "ResourceType": "AWS::Batch::JobQueue"}]}
    texts = [(json.dumps(template), "t.json")]
    assert [one.key for one in cloudformation.read(texts)[0].resources] == ["Spot"]
    (named,) = cloudformation.read([*texts, (json.dumps(stack), "s.json")])
    assert named.resources == ()
    assert "its condition is not met" in named.left_out[0].why


def test_a_state() -> None:
    named = terraform.read(text("terraform.tfstate"), "terraform.tfstate")
    naming, left = other_tools.resolved(named, HERE, there)

    assert {f"{section}/{name}": key for (section, name), key in naming.keys.items()} == {
        "computeEnvironments/ec2-20240101": "batch-a_ec2",
        "computeEnvironments/spot": "batch-b-spot-x",
        "jobQueues/LowPriority": "batch-low",
        "jobQueues/q-a": "gpu-main-a",
        "jobQueues/deep": "site-gpu-queues-1-main",
        "jobQueues/other": "gpu-main-a-2",
        "jobQueues/cc": "cc",
        "jobDefinitions/hello": "hello",
        "roles/ecs-instance": "batch-instance",
        "serviceLinkedRoles/batch.amazonaws.com": "batch.amazonaws.com",
        "securityGroups/nodes": "nodes-0",
        "securityGroups/nodes-2": "nodes-1",
        "secrets/db": "db",
        "eventRules/nightly": "nightly",
    }
    assert {one.name: one.why.split(":")[0].split(",")[0] for one in left} == {
        'module.batch.aws_batch_compute_environment.this["c"]': "terraform has replaced it and not yet deleted it",
        "aws_batch_job_queue.west": "in us-west-2; this import reads eu-west-1",
        "aws_batch_job_queue.theirs": "in the account 999999999999; this import reads 123456789012",
        "aws_batch_job_queue.gone": "no job queue arn",
        "aws_iam_role_policy.shared": "a part of a role that is not in the file",
        "aws_db_instance.db": "reconcile has no such kind",
    }
    assert "hunter2" not in repr((named, naming, left))


def test_what_terraform_shows() -> None:
    named = terraform.read(text("shown.json"), "shown.json")

    assert [(one.section, one.key, one.identifiers) for one in named.resources] == [
        ("jobQueues", "urgent", ("arn:aws:batch:eu-west-1:123456789012:job-queue/urgent-1", "urgent-1")),
        ("securityGroups", "net-sg-jobs", ("sg-9", "jobs-20240101")),
    ]
    assert [one.name for one in named.left_out] == ['module.net.module.sg["jobs"].aws_subnet.this']
    plan = json.dumps({"format_version": "1.2", "planned_values": {}, "prior_state": json.loads(text("shown.json"))})
    assert terraform.read(plan, "plan.json") == named
    assert terraform.read('{"format_version": "1.0", "terraform_version": "1.9.8"}', "empty.json").resources == ()


def test_a_key_is_no_id() -> None:
    one = {
        "type": "aws_security_group",
        "name": "jobs",
        "mode": "managed",
        "instances": [{"attributes": {"id": "sg-1"}}],
    }
    other = {**one, "type": "aws_batch_job_queue"}
    named = terraform.read(
        json.dumps({"version": 4, "resources": [{"module": "module.sg", **each} for each in (one, other)]}), "x"
    )

    assert [one.key for one in named.resources] == ["sg_jobs", "sg-jobs"]


def test_a_large_state() -> None:
    instances = [{"attributes": {"name": f"q-{number}"}} for number in range(2000)]
    one = {"type": "aws_batch_job_queue", "name": "q", "mode": "managed", "instances": instances}
    named = terraform.read(json.dumps({"version": 4, "resources": [one]}), "x")

    assert [one.key for one in named.resources][:3] == ["q", "q-2", "q-3"]  # its instances have lost their keys
    assert len({one.key for one in named.resources}) == 2000


def of(name: str, *others: str, **facts: str) -> dict[str, Any]:
    (named,) = cloudformation.read([(text(one), one) for one in (name, *others)], None, facts)
    return {one.address: one for one in named.resources} | {f"- {one.name}": one.why for one in named.left_out}


def test_a_template() -> None:
    found = of("template.yaml", **{"AWS::StackName": "jobs"})

    assert {name: one.identifiers for name, one in found.items() if not name.startswith("-")} == {
        "Compute": ("jobs-prod",),
        "Queue": ("jobs-queue-prod",),
        "Literal": ("prod-$x",),
        "Sized": (),
        "Hidden": (),
        "Group": (),
        "Role": (),
        "Profile": (),
    }
    assert all(one.key == name for name, one in found.items() if not name.startswith("-"))
    assert [name for name in found if name.startswith("-")] == [
        "- Bucket",
        "- Network",
        "- Fn::ForEach::Queues",
        "- Foreign",
    ]
    assert "hunter2" not in repr(found)
    assert of("template.yaml")["Queue"].identifiers == ()


def test_a_template_with_the_resources_of_its_stack() -> None:
    found = of("template.yaml", "stack.json")

    assert found["Compute"].identifiers[0].endswith("compute-environment/Compute-1a2b")
    assert (found["Compute"].region, found["Compute"].account) == ("eu-west-1", "123456789012")
    assert found["Group"].identifiers == ("sg-1",)
    assert found["Role"].identifiers == ("jobs-Role-1X2Y",)
    (alone,) = cloudformation.read([(text("stack.json"), "stack.json")])
    assert [one.key for one in alone.resources] == ["Compute", "Group", "Role"]
    assert [one.name for one in alone.left_out] == ["Bucket"]


def test_a_stack_in_the_account(tmp_path: Path) -> None:
    reply = {"StackResourceSummaries": json.loads(text("stack.json"))["StackResources"]}
    account: Any = Account(reply)
    named = moving.named(Origin(stack="jobs"), account, HERE, nothing)
    assert [one.key for one in named.resources] == ["Compute", "Group", "Role"]
    (call,) = account.calls
    assert (call.service, call.operation, call.params) == (
        "cloudformation",
        "ListStackResources",
        {"StackName": "jobs"},
    )
    both = moving.named(
        Origin(templates=(DATA / "template.yaml",), states=(DATA / "shown.json",), stack="jobs"), account, HERE, nothing
    )
    words = {one.address: one.identifiers for one in both.resources}
    assert words["Queue"] == ("jobs-queue-prod",)
    assert words["Role"] == ("jobs-Role-1X2Y",)
    assert "aws_batch_job_queue.urgent[0]" in words

    _, left = other_tools.resolved(
        moving.named(Origin(templates=(DATA / "template.yaml",)), account, HERE, nothing), HERE, there
    )
    assert [one.name for one in left if "which CloudFormation or a parameter has" in one.why] == [
        *("Queue", "Sized", "Hidden", "Group", "Role", "Profile")
    ]
    tagged = moving.named(Origin(templates=(DATA / "template.yaml",)), account, HERE, lives)
    assert {one.address: one.identifiers for one in tagged.resources}["Group"] == ("sg-7",)
    refused: Any = Account(Refused("ValidationError", "Stack with id jobs does not exist"))
    with pytest.raises(Problems, match="cannot read the resources of the stack jobs: ValidationError"):
        moving.named(Origin(stack="jobs"), refused, HERE, nothing)
    by_tags = moving.named(Origin(stack="jobs"), refused, HERE, lives)
    assert [(one.key, one.identifiers[0]) for one in by_tags.resources] == [
        ("Group", "sg-7"),
        ("Role", "arn:aws:iam::123456789012:role/jobs-Role-1A"),
    ]
    with pytest.raises(Problems, match="No such file"):
        moving.named(Origin(states=(tmp_path / "no.json",)), account, HERE, nothing)


def test_a_template_of_cdk() -> None:
    found = of("cdk.json")

    assert {name: one.key for name, one in found.items()} == {
        "CESecurityGroup6653FE7C": "CE-SecurityGroup",
        "CE1BFE03A1": "CE",
        "joBBQ9FD52DAF": "joBBQ",
        "Role1ABCC5F0": "Role",
        "NoPath0A1B2C3D": "NoPath",
    }
    got = json.dumps({"TemplateBody": json.loads(text("cdk.json")), "StagesAvailable": ["Original"]})
    assert cloudformation.read([(got, "got.json")]) == cloudformation.read([(text("cdk.json"), "cdk.json")])
    body = "Resources: {Q: {Type: AWS::Batch::JobQueue}}"
    got = json.dumps({"TemplateBody": body})
    assert cloudformation.read([(got, "got.json")]) == cloudformation.read([(body, "body.yaml")])
    bare = json.loads(text("cdk.json"))
    bare["Rules"] = {"CheckBootstrapVersion": {}}
    for one in bare["Resources"].values():
        one.pop("Metadata", None)
    (named,) = cloudformation.read([(json.dumps(bare), "bare.json")])
    assert [one.key for one in named.resources] == ["CESecurityGroup", "CE", "joBBQ", "Role", "NoPath"]


NOT_A_STATE = {
    "token: hunter2": "not JSON",
    "[]": "no JSON object",
    '{"a": "hunter2"}': "no resources",
    '{"version": 3, "modules": [], "resources": []}': "version 3 of the format instead of 4",
    '{"version": 3, "modules": []}': "an old version of the format",
    '{"meta": {}, "encrypted_data": "x", "encryption_version": "v0"}': "encrypted",
    '{"Resources": {}}': "which --from-cloudformation reads",
    '{"version": 4, "resources": [{"type": 3}]}': "in another form than terraform's",
    '{"version": 4, "resources": ["hunter2"]}': "in another form than terraform's",
    "[" * 100_000: "nested too deeply",
    '{"values": {"root_module": {"resources": [5]}}}': "in another form than terraform's",
}
NOT_A_TEMPLATE = {
    "a: [": "neither JSON nor YAML",
    "hunter2": "no mapping",
    "a: hunter2": "no Resources",
    "": "no mapping",
    '{"terraform_version": "1"}': "which --from-terraform-state reads",
}


@pytest.mark.parametrize("content", [*NOT_A_STATE, *NOT_A_TEMPLATE], ids=lambda content: content[:20])
def test_other_files(content: str) -> None:
    reads = terraform.read if content in NOT_A_STATE else lambda text, file: cloudformation.read([(text, file)])
    with pytest.raises(Problems) as raised:
        reads(content, "x")
    assert (NOT_A_STATE | NOT_A_TEMPLATE)[content] in str(raised.value)
    assert "hunter2" not in str(raised.value)


@pytest.mark.long  # seconds: the parser is slow at this
def test_what_is_nested_too_deeply() -> None:
    with pytest.raises(Problems, match="nested too deeply"):
        cloudformation.read([("a: " + "[" * 1500, "x")])


def test_aliases_do_not_explode() -> None:
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    lines += [f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]" for old, new in zip("abcdefgh", "bcdefghi", strict=True)]
    (named,) = cloudformation.read(
        [("\n".join([*lines, "Resources: {Q: {Type: AWS::Batch::JobQueue, Properties: *i}}"]), "x")]
    )
    assert named.resources[0].identifiers == ()


def test_every_kind_has_its_types() -> None:
    types = other_tools.cloudformation_types()
    assert {section for section, _ in types.values()} == {*discover()}
    assert not {*types} & {*other_tools.part_types()}
    assert all(name.startswith(("aws_", "awscc_")) for name in other_tools.terraform_types())
    assert other_tools.terraform_types()["awscc_iam_service_linked_role"][1][0] == "aws_service_name"
