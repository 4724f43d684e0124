"""The images of compute environments: what Describe tells of them, and the update that takes the newest."""

import pytest

from tests.sandbox.batch_desk import ROLE, Desk

PROGRESSIVE = {"allocationStrategy": "BEST_FIT_PROGRESSIVE"}
BUSY = {**PROGRESSIVE, "minvCpus": 4}
NEWEST = {"updateToLatestImageVersion": True}


def images(desk: Desk) -> list[str | None]:
    """The status of each image type."""
    return [one.get("batchImageStatus") for one in desk.see_environment()["computeResources"]["ec2Configuration"]]


def refresh(desk: Desk, name: str = "ce"):
    return desk.client.update_compute_environment(computeEnvironment=name, computeResources=NEWEST)


def refuse(desk: Desk, name: str = "ce") -> str:
    call = desk.client.update_compute_environment
    return desk.refused(call, computeEnvironment=name, computeResources=NEWEST)


def test_a_status_shows_once_instances_were_launched(desk):
    """The status appears only after scaling has begun, and stays when the instances are gone."""
    desk.environment(resources=PROGRESSIVE)
    assert images(desk) == [None]
    desk.client.update_compute_environment(computeEnvironment="ce", computeResources={"minvCpus": 4})
    desk.wait(200)
    assert images(desk) == ["LATEST"]
    desk.client.update_compute_environment(computeEnvironment="ce", computeResources={"minvCpus": 0})
    desk.wait(200)

    assert images(desk) == ["LATEST"]


def test_a_job_launches_instances_too(desk):
    """What a job needs is scaling as well."""
    desk.environment(resources=PROGRESSIVE)
    desk.queue()
    desk.register()
    desk.client.submit_job(jobName="job", jobQueue="q", jobDefinition="jd")
    desk.wait(60)

    assert images(desk) == ["LATEST"]


def test_a_newer_image_waits_for_an_update_that_asks_for_it(desk):
    """UPDATE_AVAILABLE stays through every other infrastructure update; `updateToLatestImageVersion` ends it."""
    desk.environment(resources=BUSY)
    desk.wait(100)
    desk.settings.image_release += 1
    assert images(desk) == ["UPDATE_AVAILABLE"]
    desk.client.update_compute_environment(computeEnvironment="ce", computeResources={"instanceTypes": ["m5"]})
    desk.wait()
    assert images(desk) == ["UPDATE_AVAILABLE"]
    refresh(desk)
    desk.wait(300)
    assert desk.see_environment()["status"] == "UPDATING"
    assert images(desk) == ["UPDATE_AVAILABLE"]
    desk.wait(400)

    assert (desk.see_environment()["status"], images(desk)) == ("VALID", ["LATEST"])


def test_another_image_type_comes_in_its_newest_version(desk):
    """A new image type means its latest AMI, whether or not the update asks for the newest."""
    desk.environment(resources=BUSY)
    desk.wait(100)
    desk.settings.image_release += 1
    both = [{"imageType": "ECS_AL2023"}, {"imageType": "ECS_AL2023_NVIDIA"}]
    desk.client.update_compute_environment(computeEnvironment="ce", computeResources={"ec2Configuration": both})
    desk.wait()

    assert images(desk) == ["UPDATE_AVAILABLE", "LATEST"]


def test_a_new_environment_of_an_old_name_starts_with_the_newest(desk):
    """Nothing is remembered of the environment that had the name before."""
    desk.environment(resources=BUSY)
    desk.wait(100)
    desk.disable_environment()
    desk.client.delete_compute_environment(computeEnvironment="ce")
    desk.wait()
    desk.settings.image_release += 1
    desk.environment(resources=BUSY)
    assert images(desk) == [None]
    desk.wait(100)

    assert images(desk) == ["LATEST"]


@pytest.mark.parametrize(
    "pinned",
    [
        {"imageId": "ami-1"},
        {"ec2Configuration": [{"imageType": "ECS_AL2023", "imageIdOverride": "ami-1"}]},
        {"launchTemplate": {"launchTemplateName": "nodes", "version": "3"}},
        {
            "instanceTypes": ["m5"],
            "launchTemplate": {"overrides": [{"launchTemplateId": "lt-1", "targetInstanceTypes": ["m5"]}]},
        },
    ],
    ids=["imageId", "imageIdOverride", "template", "overrides"],
)
def test_pinned_images_have_no_status(desk, pinned):
    """No status where the image is not AWS's choice; the update for the newest is accepted, and changes nothing."""
    desk.world.template_images["nodes", "3"] = "ami-1"
    desk.environment(resources={**BUSY, **pinned})
    desk.wait(100)
    desk.settings.image_release += 1
    assert images(desk) == [None]
    refresh(desk)
    desk.wait()

    assert (desk.see_environment()["status"], images(desk)) == ("VALID", [None])


def test_a_template_without_an_image_leaves_the_choice_to_aws(desk):
    """A launch template only pins the image if it says one, in the version that is asked for."""
    desk.world.template_images["nodes", "3"] = "ami-1"
    desk.environment(resources={**BUSY, "launchTemplate": {"launchTemplateName": "nodes", "version": "$Latest"}})
    desk.wait(100)

    assert images(desk) == ["LATEST"]


def test_the_newest_image_needs_an_infrastructure_update(desk):
    """It is refused where there is none: ordinary role, BEST_FIT, Fargate, unmanaged."""
    desk.environment("ordinary", serviceRole=ROLE, resources=PROGRESSIVE)
    desk.environment("best-fit")
    desk.fargate()
    desk.client.create_compute_environment(computeEnvironmentName="own", type="UNMANAGED", serviceRole=ROLE)
    desk.wait()

    assert "Batch Service Linked Role" in refuse(desk, "ordinary")
    assert "allocation strategy" in refuse(desk, "best-fit")
    assert "Non-fargate Compute Environment" in refuse(desk, "fg")
    assert "unmanaged" in refuse(desk, "own")


@pytest.mark.parametrize(("minutes", "ends"), [(None, 1800), (5, 300)])
def test_running_jobs_may_go_on_for_a_while(desk, minutes, ends):
    """Without terminateJobsOnUpdate what runs has jobExecutionTimeoutMinutes (30) left, then it loses its host."""
    desk.environment(resources=PROGRESSIVE)
    desk.queue()
    desk.register()
    desk.settings.outcomes = {"long": [{"exitCode": 0, "seconds": 10**5}], "short": [{"exitCode": 0, "seconds": 200}]}
    ids = {
        name: desk.client.submit_job(jobName=name, jobQueue="q", jobDefinition="jd")["jobId"]
        for name in ("long", "short")
    }
    desk.wait(60)
    policy = {"updatePolicy": {"jobExecutionTimeoutMinutes": minutes}} if minutes else {}
    desk.client.update_compute_environment(computeEnvironment="ce", computeResources=NEWEST, **policy)
    desk.wait(ends - 10)
    assert desk.see_job(ids["long"])["status"] == "RUNNING"
    desk.wait(20)

    assert desk.see_job(ids["long"])["status"] == "FAILED"
    assert desk.see_job(ids["long"])["statusReason"].startswith("Host EC2 ")
    assert desk.see_job(ids["short"])["status"] == "SUCCEEDED"
