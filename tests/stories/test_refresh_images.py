"""What moves with a change of a compute environment, seen in plans: jobs, launch templates, images; --refresh-images."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from reconciler.cli import main as cli
from reconciler.model import Address, Environment
from reconciler.operations import pipeline
from reconciler.operations.pipeline import Planned
from reconciler.render import json as as_json
from reconciler.render.mask import Mask
from reconciler.sandbox.faults import Fault
from tests.support.histories import History
from tests.support.long import some_rows
from tests.support.plan_schema import valid_plan
from tests.support.shown import as_html, as_markdown, as_text

ROOT = Path(__file__).resolve().parents[2]
NODES = "nodes-template"
ADDRESS = "computeEnvironments.ce"
CE = Address("computeEnvironments", "ce")
REFRESH = {"refresh": (CE,)}
NO_CHANGES = "No changes. The account matches the environment."
LINKED = "instances are replaced: running jobs may continue for 30 minutes"

Run = Callable[..., tuple[int, str, str]]


def ec2(**members: Any) -> dict[str, Any]:
    """A declaration on EC2 that may be updated in place; None leaves a member out."""
    resources = {
        "type": "EC2",
        "allocationStrategy": "BEST_FIT_PROGRESSIVE",
        "minvCpus": 4,
        "maxvCpus": 16,
        "instanceTypes": ["m5"],
        "subnets": "${lookups.subnets}",
        "securityGroupIds": ["${lookups.default}"],
        "instanceRole": "nodes",
        **members,
    }
    return {"type": "MANAGED", "computeResources": {name: v for name, v in resources.items() if v is not None}}


FARGATE = {
    "type": "MANAGED",
    "computeResources": {
        "type": "FARGATE",
        "maxvCpus": 4,
        "subnets": "${lookups.subnets}",
        "securityGroupIds": ["${lookups.default}"],
    },
}
AROUND = {
    "environment": "images",
    "region": "eu-west-1",
    "lookups": {
        "vpc": {"vpc": {"default": True}},
        "subnets": {"subnets": {"vpcId": "${lookups.vpc}"}},
        "default": {"securityGroup": {"groupName": "default", "vpcId": "${lookups.vpc}"}},
    },
    "roles": {
        "nodes": {
            "trust": ["ec2.amazonaws.com"],
            "managedPolicies": ["service-role/AmazonEC2ContainerServiceforEC2Role"],
        },
        "service": {"trust": ["batch.amazonaws.com"], "managedPolicies": ["service-role/AWSBatchServiceRole"]},
    },
    "instanceProfiles": {"nodes": {"role": "nodes"}},
}


class Desk:
    """An account with a compute environment ``ce`` in it, on a clock that stands still."""

    def __init__(self, sandbox: Any, directory: Path) -> None:
        self.sandbox, self.directory = sandbox, directory
        self.history = History(sandbox, name="images")
        self.batch, self.ec2 = sandbox.client("batch"), sandbox.client("ec2")
        self.env = Environment(name="images")

    def declare(self, environment: Mapping[str, Any], **sections: Any) -> None:
        write(self.directory, environment, **sections)
        self.env, _ = pipeline.read_environment(self.directory, {}, strict=True)

    def apply(self, **options: Any) -> None:
        """Applied, and nothing to do afterwards."""
        self.history.converge(self.env, **{"adopt": True, **options})

    def there(self, environment: Mapping[str, Any], **sections: Any) -> None:
        """Declared, applied, its instances running."""
        self.declare(environment, **sections)
        self.apply()
        self.sandbox.advance(300)

    def planned(self, **options: Any) -> Planned:
        return self.history.plan(self.env, **options)

    def plan(self, **options: Any) -> dict[str, Any]:
        """The entry of the environment in the plan."""
        made = self.planned(**options)
        assert not made.problems
        document = as_json.plan(made.plan, timestamp="2026-01-31T12:00:00Z", mask=made.mask)
        valid_plan(document)
        found: dict[str, Any] = next(item for item in document["resource_changes"] if item["address"] == ADDRESS)
        return found

    def refused(self, *addresses: str) -> dict[str, Any]:
        """The one problem of a refresh."""
        asked = tuple(Address(*address.split(".")) for address in addresses)
        (problem,) = self.planned(refresh=asked or (CE,)).problems
        return as_json.problem(problem, Mask())

    def nothing_to_do(self) -> str:
        """The text of a plan that changes nothing."""
        made = self.planned()
        told = as_text(made.plan, made.mask)
        assert not made.plan.applyable, told
        assert told.endswith(NO_CHANGES)
        return told

    def newer_image(self) -> None:
        self.sandbox.change({"image_release": self.sandbox.batch_settings.image_release + 1})

    def live(self) -> dict[str, Any]:
        return environment_of(self.batch)

    def statuses(self) -> list[str | None]:
        return [one.get("batchImageStatus") for one in self.live()["computeResources"]["ec2Configuration"]]

    def updates(self) -> list[Any]:
        return updates_of(self.sandbox)


def write(directory: Path, environment: Mapping[str, Any], **sections: Any) -> None:
    document = {**AROUND, "computeEnvironments": {"ce": environment}, **sections}
    (directory / "environment.yaml").write_text(json.dumps(document), encoding="utf-8")


def environment_of(batch: Any) -> dict[str, Any]:
    listed = batch.describe_compute_environments()["computeEnvironments"]
    (found,) = [one for one in listed if one["status"] != "DELETED" and one["computeEnvironmentName"][:2] == "ce"]
    return dict(found)


def updates_of(sandbox: Any) -> list[Any]:
    return [call.params for call in sandbox.calls if call.operation == "UpdateComputeEnvironment"]


@pytest.fixture
def desk(sandbox: Any, tmp_path: Path) -> Desk:
    return Desk(sandbox, tmp_path)


# --- the command -----------------------------------------------------------------------------------------------------


@pytest.fixture
def account(served: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)
    return served


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def once(*argv: str) -> tuple[int, str, str]:
        codes: list[int] = []
        cli.main(list(argv), leave=codes.append)
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return codes[0], out, err

    return once


def test_by_command_from_the_advice_to_the_newest_image(account: Any, run: Run, tmp_path: Path) -> None:
    """Advice leaves the exit code alone; a saved plan carries the refresh, and new advice does not spoil it."""
    write(tmp_path, ec2())
    assert run("apply", "--auto-approve")[0] == 0
    account.clock.advance(300)
    saving = run("plan", "--refresh-images", ADDRESS, "--out", "saved.plan")
    account.change({"image_release": 2})
    advised = run("plan", "--detailed-exitcode")
    refused = run("plan", "--refresh-images", "roles.nodes")
    applied = run("apply", "saved.plan")
    after = run("plan", "--detailed-exitcode")

    assert saving[0] == 0, saving
    assert advised[0] == 0 and advised[1].rstrip().endswith(NO_CHANGES)
    assert f"`reconcile plan --refresh-images {ADDRESS}`" in advised[1]
    assert refused[0] == 1 and "a role has no images to refresh" in refused[2]
    assert applied[0] == 0, applied
    assert updates_of(account)[-1]["computeResources"] == {"updateToLatestImageVersion": True}
    assert after[0] == 0 and "newer image" not in after[1]


# --- what AWS moves by itself ----------------------------------------------------------------------------------------


def test_what_aws_moves_by_itself_is_never_drift(desk: Desk) -> None:
    """desiredvCpus moves, image types are filled in, a new template version is out: nothing to do, nothing shown."""
    template = desk.ec2.create_launch_template(LaunchTemplateName=NODES, LaunchTemplateData={"EbsOptimized": True})
    which = {"LaunchTemplateId": template["LaunchTemplate"]["LaunchTemplateId"]}
    desk.there(ec2(launchTemplate={"launchTemplateName": NODES, "version": "$Latest"}))
    desk.batch.update_compute_environment(computeEnvironment="ce", computeResources={"desiredvCpus": 8})
    desk.sandbox.advance(600)
    desk.ec2.create_launch_template_version(**which, LaunchTemplateData={"EbsOptimized": False})
    seen = desk.live()["computeResources"]

    assert seen["desiredvCpus"] == 8
    assert seen["ec2Configuration"] == [{"imageType": "ECS_AL2023", "batchImageStatus": "LATEST"}]
    assert ADDRESS not in desk.nothing_to_do()


def test_a_newer_image_is_advice_in_every_form(desk: Desk) -> None:
    """No difference, `No changes.` stays: a note with the way out."""
    desk.there(ec2())
    desk.newer_image()
    made = desk.planned()

    for told in (desk.nothing_to_do(), as_markdown(made.plan, made.mask), as_html(made.plan, made.mask)):
        assert "No changes." in told
        assert "AWS has a newer image for ECS_AL2023" in told
        assert f"reconcile plan --refresh-images {ADDRESS}" in told


def test_the_advice_is_a_note_in_json(desk: Desk) -> None:
    """It stands on an entry that changes nothing."""
    desk.there(ec2())
    desk.newer_image()
    entry = desk.plan()

    assert (entry["action"], entry["differences"], entry["steps"]) == ("noop", [], [])
    assert any("newer image" in note for note in entry["notes"])


def test_where_images_cannot_be_refreshed_the_advice_is_a_replacement(desk: Desk) -> None:
    """BEST_FIT has no infrastructure update."""
    desk.there(ec2(allocationStrategy=None))
    desk.newer_image()

    assert f"`reconcile plan --replace {ADDRESS}` plans the replacement" in desk.nothing_to_do()


def test_a_replacement_for_newer_images_is_what_the_advice_says(desk: Desk) -> None:
    """The way out of the advice leads out."""
    desk.there(ec2(allocationStrategy=None))
    desk.newer_image()
    desk.apply(replace=(CE,))
    desk.sandbox.advance(300)

    assert "newer image" not in desk.nothing_to_do()


def test_images_past_their_end_are_advice(desk: Desk) -> None:
    """An environment made by AWS with Amazon Linux 2 is told, whether or not that is declared."""
    desk.there(ec2(ec2Configuration=[{"imageType": "ECS_AL2"}]))
    declared = desk.nothing_to_do()
    desk.declare(ec2(ec2Configuration=[{"imageType": "ECS_AL2023"}]))
    moving = desk.plan()

    assert "ECS_AL2 is Amazon Linux 2, which AWS Batch has not supported since 30 June 2026" in declared
    assert "ec2Configuration: [{imageType: ECS_AL2023}]" in declared
    assert not any("Amazon Linux 2," in note for note in moving["notes"])
    assert moving["differences"][0]["effect"] == "infrastructure"


# --- --refresh-images ------------------------------------------------------------------------------------------------


def test_a_refresh_takes_the_newest_and_is_over_then(desk: Desk) -> None:
    """One infrastructure update with its disruption and its wait; the plan after it is empty, the advice gone."""
    desk.there(ec2())
    desk.newer_image()
    assert desk.statuses() == ["UPDATE_AVAILABLE"]
    entry = desk.plan(**REFRESH)
    difference = {"path": "computeResources.updateToLatestImageVersion", "before": None, "after": True}
    told = {"effect": "infrastructure", "reason": "requested with --refresh-images"}
    desk.apply(**REFRESH)

    assert (entry["action"], entry["action_reason"]) == ("update", "requested with --refresh-images")
    assert entry["differences"] == [{**difference, **told, "sensitive": False, "unknown": False}]
    assert entry["disruption"].startswith(LINKED)
    assert entry["steps"] == [
        {
            "call": "batch:UpdateComputeEnvironment",
            "parameters": {"computeEnvironment": "ce", "computeResources": {"updateToLatestImageVersion": True}},
        },
        {"wait": "compute environment ce VALID"},
    ]
    assert "new instances start from the latest ECS_AL2023 image" in entry["notes"]
    assert desk.statuses() == ["LATEST"]
    assert "newer image" not in desk.nothing_to_do()


def test_a_refresh_goes_with_other_changes_in_one_call(desk: Desk) -> None:
    """Jobs are disturbed once, not twice."""
    desk.there(ec2())
    desk.declare(ec2(instanceTypes=["m6i"], maxvCpus=32))
    before = len(desk.updates())
    desk.apply(**REFRESH)
    sent = {"instanceTypes": ["m6i"], "maxvCpus": 32, "updateToLatestImageVersion": True}

    assert desk.updates()[before:] == [{"computeEnvironment": "ce", "computeResources": sent}]
    desk.nothing_to_do()


def test_a_refresh_may_be_asked_of_several(desk: Desk) -> None:
    """The option is repeatable; what is not named stays as it is."""
    names = ("ce", "b", "c")
    desk.declare({}, computeEnvironments=dict.fromkeys(names, ec2()))
    desk.apply()
    before = len(desk.updates())
    desk.apply(refresh=(CE, Address("computeEnvironments", "b")))

    assert sorted(params["computeEnvironment"] for params in desk.updates()[before:]) == ["b", "ce"]


def test_a_refresh_of_what_is_new_already_is_done_and_told(desk: Desk) -> None:
    """Who asks for it gets it, and reads beforehand that AWS sees nothing newer."""
    desk.there(ec2())
    notes = desk.plan(**REFRESH)["notes"]

    assert "its instances already start from the latest images, according to AWS Batch" in notes


def test_what_is_made_anew_needs_no_refresh(desk: Desk) -> None:
    """A creation, or a replacement in the same plan, takes the newest anyway."""
    desk.declare(ec2())
    assert desk.plan(**REFRESH)["action"] == "create"
    desk.apply()
    desk.declare(ec2(allocationStrategy="BEST_FIT"))
    entry = desk.plan(**REFRESH)

    assert entry["action"] == "replace"
    assert [item["path"] for item in entry["differences"]] == ["computeResources.allocationStrategy"]


PINNED = [{"imageType": "ECS_AL2023", "imageIdOverride": "ami-1"}]


@pytest.mark.parametrize(
    ("declared", "why", "hint"),
    [
        ({**ec2(), "serviceRole": "service"}, "with a custom serviceRole", "--replace computeEnvironments.ce"),
        (ec2(allocationStrategy="BEST_FIT"), "BEST_FIT", "--replace computeEnvironments.ce"),
        (FARGATE, "Fargate has no images", "fargatePlatformConfiguration"),
        ({"type": "UNMANAGED", "serviceRole": "service"}, "you run the instances", "a newer image"),
        (ec2(imageId="ami-1"), "imageId sets ami-1", "leave it out"),
        (ec2(ec2Configuration=PINNED), "imageIdOverride sets ami-1", "leave it out"),
    ],
    ids=["ordinary role", "BEST_FIT", "Fargate", "unmanaged", "imageId", "imageIdOverride"],
)
def test_a_refresh_is_refused_where_it_could_do_nothing(
    desk: Desk, declared: dict[str, Any], why: str, hint: str
) -> None:
    """The problem says why, and the way out; nothing is planned."""
    desk.there(declared)
    problem = desk.refused()

    assert (problem["code"], problem["address"], problem["severity"]) == ("cannot-refresh", ADDRESS, "error")
    assert why in problem["message"]
    assert hint in problem["hint"]
    assert problem["file"] == "environment.yaml"


def test_a_refresh_of_something_else_is_refused(desk: Desk) -> None:
    """Other kinds have no images; unknown addresses are told with the nearest."""
    desk.there(ec2())

    assert "a role has no images" in desk.refused("roles.nodes")["message"]
    assert desk.refused("computeEnvironments.cf")["hint"] == f'did you mean "{ADDRESS}"?'


# --- launch templates ------------------------------------------------------------------------------------------------


def template(desk: Desk, **data: Any) -> None:
    desk.ec2.create_launch_template(LaunchTemplateName=NODES, LaunchTemplateData={"EbsOptimized": True, **data})


def version(desk: Desk, **data: Any) -> None:
    desk.ec2.create_launch_template_version(LaunchTemplateName=NODES, LaunchTemplateData=data)


def asks(value: str | None = None, **changes: Any) -> dict[str, Any]:
    """A declaration that asks for a version of the launch template ``t``."""
    wanted = {"launchTemplateName": NODES, **({"version": value} if value else {})}
    return ec2(launchTemplate=wanted, **changes)


@pytest.mark.parametrize(("asked", "number"), [("$Latest", 2), ("$Default", 1), (None, 1)])
def test_an_unpinned_version_moves_with_every_infrastructure_update(desk: Desk, asked: str | None, number: int) -> None:
    """The plan says to which number, although the template is not part of the change."""
    template(desk)
    desk.there(asks(asked))
    version(desk, EbsOptimized=False)
    desk.declare(asks(asked, instanceTypes=["m6i"]))
    notes = desk.plan()["notes"]

    assert f"launch template nodes-template: {asked or '$Default'} is resolved again, to version {number}" in " ".join(
        notes
    )


def test_from_which_number_is_told_where_it_is_known(desk: Desk) -> None:
    """Going over from a number to $Latest, both are known."""
    template(desk)
    desk.there(asks("1"))
    version(desk, EbsOptimized=False)
    desk.declare(asks("$Latest"))

    assert (
        "launch template nodes-template: $Latest is resolved again, from version 1 to version 2" in desk.plan()["notes"]
    )


def test_a_new_version_that_never_arrives_is_told_at_the_environment(desk: Desk) -> None:
    """With an ordinary role nothing but a replacement resolves $Default again; the template names who follows it."""
    moving = ec2(launchTemplate={"launchTemplateName": NODES})
    nodes = {NODES: {"launchTemplateData": {"instanceInitiatedShutdownBehavior": "terminate"}}}
    changed = {NODES: {"launchTemplateData": {"instanceInitiatedShutdownBehavior": "stop"}}}
    desk.there({**moving, "serviceRole": "service"}, launchTemplates=nodes)
    desk.declare({**moving, "serviceRole": "service"}, launchTemplates=changed)

    (note,) = desk.plan()["notes"]
    assert note == (
        f"launch template {NODES} changes, and with a custom serviceRole a new version never reaches this environment:"
        f" $Default is resolved only when it is created; replace it with --replace {ADDRESS}"
    )
    items = {str(item.address): item.notes for item in desk.planned().plan.resources}
    assert items[f"launchTemplates.{NODES}"] == (f"{ADDRESS} uses its $Default or $Latest version",)
    desk.apply()
    assert "never reaches" not in desk.nothing_to_do()


def test_a_template_that_changes_in_the_same_plan_is_taken_into_account(desk: Desk) -> None:
    """The number is not known yet; the plan says whose it is."""
    templates = {NODES: {"launchTemplateData": {"ebsOptimized": True}}}
    desk.there(asks("$Latest"), launchTemplates=templates)
    changed = {NODES: {"launchTemplateData": {"ebsOptimized": False}}}
    desk.declare(asks("$Latest", instanceTypes=["m6i"]), launchTemplates=changed)
    told = "launch template nodes-template: $Latest is resolved again, to the version that this plan creates (now 1)"

    assert told in desk.plan()["notes"]
    desk.apply()
    desk.nothing_to_do()


def test_a_template_that_cannot_be_read_is_no_obstacle(desk: Desk) -> None:
    """The plan says that it moves, and which permission is missing to say where to."""
    found = desk.ec2.create_launch_template(LaunchTemplateName=NODES, LaunchTemplateData={"EbsOptimized": True})
    by_id = {"launchTemplateId": found["LaunchTemplate"]["LaunchTemplateId"], "version": "$Latest"}
    desk.there(ec2(launchTemplate=by_id))
    desk.declare(ec2(launchTemplate=by_id, instanceTypes=["m6i"]))
    desk.sandbox.faults.add(
        Fault(operation="DescribeLaunchTemplateVersions", code="UnauthorizedOperation", message="no", times=0)
    )
    notes = " ".join(desk.plan()["notes"])

    told = "ec2:DescribeLaunchTemplateVersions was refused (UnauthorizedOperation)"
    assert f"$Latest is resolved again; the version is unknown: {told}" in notes


def test_scaling_asks_for_no_template_and_says_nothing_of_images(desk: Desk) -> None:
    """What does not move is not mentioned, and costs no call."""
    template(desk)
    desk.there(asks("$Latest"))
    desk.declare(asks("$Latest", maxvCpus=32))
    desk.sandbox.calls.clear()
    entry = desk.plan()
    asked = [c.params.get("Versions") for c in desk.sandbox.calls if c.operation == "DescribeLaunchTemplateVersions"]

    assert (entry["notes"], entry["disruption"]) == ([], "not affected")
    assert not any(asked)


def test_an_image_in_a_fixed_version_cannot_be_refreshed(desk: Desk) -> None:
    """AWS would replace every instance and ignore the wish."""
    template(desk, ImageId="ami-7")
    desk.there(asks("1"))
    problem = desk.refused()

    assert problem["code"] == "cannot-refresh"
    assert "version 1 of launch template nodes-template sets ami-7" in problem["message"]
    assert problem["path"] == "computeResources.launchTemplate.version"


def test_an_image_in_the_latest_version_is_taken_over_by_a_refresh(desk: Desk) -> None:
    """Without it AWS keeps to the one before; both plans say so."""
    template(desk, ImageId="ami-7")
    desk.there(asks("$Latest"))
    version(desk, ImageId="ami-8")
    desk.declare(asks("$Latest", instanceTypes=["m6i"]))
    without, refreshing = desk.plan()["notes"], desk.plan(**REFRESH)["notes"]
    says = "new instances start from ami-8 (set by launch template nodes-template)"

    assert any(note.startswith(says) and note.endswith(f"--refresh-images {ADDRESS}") for note in without)
    assert says in refreshing


# --- images and jobs -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("members", "note"),
    [
        ({}, "keeps the current ECS_AL2023 image; add --refresh-images computeEnvironments.ce to move to the latest"),
        ({"updateToLatestImageVersion": True}, "new instances start from the latest ECS_AL2023 image"),
        ({"imageId": "ami-1"}, "new instances start from ami-1 (set by imageId)"),
        ({"ec2Configuration": PINNED}, "ECS_AL2023: new instances start from ami-1 (set by imageIdOverride)"),
    ],
    ids=["default", "newest wished", "imageId", "imageIdOverride"],
)
def test_an_infrastructure_update_says_which_image_it_brings(desk: Desk, members: dict[str, Any], note: str) -> None:
    """The newest, the same as before, or the pinned one."""
    desk.there(ec2(**members))
    desk.declare(ec2(instanceTypes=["m6i"], **members))

    assert any(line.startswith(note) for line in desk.plan()["notes"])


def test_a_new_image_type_comes_in_its_newest_version(desk: Desk) -> None:
    """Whether or not the newest is asked for."""
    desk.there(ec2())
    desk.declare(ec2(ec2Configuration=[{"imageType": "ECS_AL2023_NVIDIA"}]))

    assert "new instances start from the latest ECS_AL2023_NVIDIA image" in desk.plan()["notes"]


POLICY = {"terminateJobsOnUpdate": False, "jobExecutionTimeoutMinutes": 90}


@pytest.mark.parametrize(
    ("before", "after", "said"),
    some_rows(
        [
            ({}, {"instanceTypes": ["m6i"]}, "instances are replaced: running jobs may continue for 30 minutes"),
            ({}, {"maxvCpus": 99}, "not affected"),
            (
                {"policy": POLICY},
                {"policy": POLICY, "instanceTypes": ["m6i"]},
                "running jobs may continue for 90 minutes",
            ),
            (
                {},
                {"policy": {"terminateJobsOnUpdate": True}, "instanceTypes": ["m6i"]},
                "instances are replaced: running jobs are terminated immediately",
            ),
            (
                {"policy": {"terminateJobsOnUpdate": True}},
                {"instanceTypes": ["m6i"]},
                "jobs may continue for 30 minutes",
            ),
            ({"state": "ENABLED"}, {"state": "DISABLED"}, "no new jobs are started on it; running jobs continue"),
            ({}, {"allocationStrategy": "BEST_FIT"}, "apply waits up to 120 minutes for jobs still running"),
            (
                {},
                {"allocationStrategy": "BEST_FIT", "lifecycle": {"drain": "terminate", "drainTimeoutMinutes": 15}},
                "may continue for 15 minutes, then they are terminated",
            ),
            (
                {},
                {"allocationStrategy": "BEST_FIT", "lifecycle": {"replace": "delete-first"}},
                "the old environment is deleted first; its queues cannot run jobs until",
            ),
        ],
        2,
    ),
)
def test_the_plan_says_what_becomes_of_running_jobs(
    desk: Desk, before: dict[str, Any], after: dict[str, Any], said: str
) -> None:
    """How long they may go on, and what ends them; a policy that changes is in force for the update it comes with."""
    desk.there(declared(before))
    desk.declare(declared(after))

    assert said in desk.plan()["disruption"]


def declared(members: Mapping[str, Any]) -> dict[str, Any]:
    """Members of the resources, and those beside them."""
    beside = {"policy": "updatePolicy", "state": "state", "lifecycle": "lifecycle"}
    inside = {name: value for name, value in members.items() if name not in beside}
    return {**ec2(**inside), **{beside[name]: value for name, value in members.items() if name in beside}}


# --- trouble ---------------------------------------------------------------------------------------------------------


def test_a_refresh_whose_answer_is_lost_comes_to_its_end(desk: Desk) -> None:
    """The update is under way, and sending it again is refused for that: no failure, and the newest image."""
    desk.there(ec2())
    desk.newer_image()
    desk.sandbox.faults.add(Fault(operation="UpdateComputeEnvironment", lost=True))
    desk.apply(**REFRESH)

    assert desk.statuses() == ["LATEST"]
