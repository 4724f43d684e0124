"""How jobs are submitted, as data: the requests for overrides, and the queues that take a definition.

What is sent must be what AWS's own model accepts.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from botocore.loaders import create_loader
from botocore.model import ServiceModel
from botocore.validate import ParamValidator

from reconciler.kinds import discover
from reconciler.model import Address, Declared, Resource
from reconciler.model.jobs import Overrides
from tests.support.tables import DATA, cases

TABLE = cases(DATA / "jobs" / "submissions.yaml")


def submission(name: str) -> Any:
    return discover()["jobDefinitions"].submits(TABLE["definitions"][name])


@cache
def model() -> ServiceModel:
    return ServiceModel(create_loader().load_service_model("batch", "service-2"))


def valid(request: dict[str, Any]) -> None:
    whole = {"jobName": "n", "jobQueue": "q", "jobDefinition": "d", **request}
    shape = model().operation_model("SubmitJob").input_shape
    assert not ParamValidator().validate(whole, shape).has_errors()


@pytest.mark.parametrize("case", TABLE["cases"], ids=lambda case: f"{case['of']}-{'-'.join(case['given'])}")
def test_overrides_are_sent_where_the_definition_takes_them(case):
    given = {**case["given"]}
    if "command" in given:
        given["command"] = tuple(given["command"])
    if error := case.get("error"):
        with pytest.raises(ValueError, match=error):
            submission(case["of"]).request(Overrides(**given))
        return
    request = submission(case["of"]).request(Overrides(**given))
    assert request == case["expect"]
    valid(request)


@pytest.mark.parametrize("case", TABLE["files"], ids=lambda case: f"{case['of']}-{'-'.join(case['content'])}")
def test_a_file_has_members_of_the_request_or_the_content_of_one(case):
    if error := case.get("error"):
        with pytest.raises(ValueError, match=error):
            submission(case["of"]).from_file(case["content"])
        return
    request = submission(case["of"]).from_file(case["content"])
    assert request == case["expect"]
    valid(request)


ENVIRONMENTS: dict[str, Any] = {
    "spot": {"type": "SPOT"},
    "ec2": {"type": "EC2"},
    "far": {"type": "FARGATE_SPOT"},
    "unmanaged": None,
}


@pytest.mark.parametrize(
    ("listed", "more", "wanted", "fits", "shares"),
    [
        (["ec2"], {}, "plain", True, False),
        (["ec2"], {}, "nodes", True, False),
        (["spot"], {}, "nodes", False, False),
        (["far"], {}, "plain", False, False),
        (["far"], {}, "fargate", True, False),
        (["far"], {}, "pod", False, False),
        (["unmanaged"], {}, "plain", True, False),
        (["elsewhere"], {}, "pod", True, False),
        (["ec2"], {"schedulingPolicyArn": "fair"}, "plain", True, True),
        (["ec2"], {"schedulingPolicyArn": "elsewhere"}, "plain", True, None),
        ([], {"serviceEnvironmentOrder": [{"order": 1, "serviceEnvironment": "s"}]}, "plain", False, None),
    ],
)
def test_a_queue_takes_what_its_environments_run(listed, more, wanted, fits, shares):
    order = [{"order": at, "computeEnvironment": name} for at, name in enumerate(listed)]
    queue = Resource(address=Address("jobQueues", "q"), props={"computeEnvironmentOrder": order, **more})
    known = {
        Address("computeEnvironments", name): {"computeResources": resources} if resources else {}
        for name, resources in ENVIRONMENTS.items()
    }
    known[Address("schedulingPolicies", "fair")] = {"fairsharePolicy": {}}
    kinds = discover()
    found = kinds["jobQueues"].takes_jobs(
        queue, Declared({address: Resource(address=address, props=props) for address, props in known.items()})
    )
    props = {"containerProperties": {}, "platformCapabilities": ["FARGATE"]}
    job = kinds["jobDefinitions"].submits(props if wanted == "fargate" else TABLE["definitions"][wanted])
    assert found.fits(job) is fits
    assert found.shares is shares
