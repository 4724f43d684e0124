"""The front door: routing, shapes, settings and the clock."""

import json
import threading

import botocore.session
import pytest

from reconciler.sandbox.batch import BatchError, Settings
from reconciler.sandbox.batch.shapes import ENUMS, OPERATIONS, PRIMITIVES, STRUCTURES, operation_at
from reconciler.sandbox.clock import Clock
from tests.sandbox.batch_desk import START, ec2


@pytest.fixture(scope="module")
def model():
    return botocore.session.get_session().get_service_model("batch")


def test_every_operation_of_the_client_has_a_route(model):
    """Method and path of each operation are those the client uses."""
    for name in model.operation_names:
        http = model.operation_model(name).http

        assert operation_at(http["method"], http["requestUri"].replace("{resourceArn}", "arn")) == name


@pytest.mark.parametrize("operation", sorted(OPERATIONS))
def test_the_table_has_what_the_client_has(model, operation):
    """Members, whether they are required, their types and enums, at every level: a newer client may only know more."""
    _compare(OPERATIONS[operation], model.operation_model(operation).input_shape, operation)


def _compare(members, shape, path):
    for member in members:
        assert member.name in shape.members, f"{path}.{member.name}"
        assert member.required == (member.name in shape.required_members)
        _compare_type(member.type, shape.members[member.name], f"{path}.{member.name}")


def _compare_type(type_, shape, path):
    if type_.startswith("["):
        assert shape.type_name == "list", path
        _compare_type(type_[1:-1], shape.member, path)
    elif type_.startswith("{"):
        assert shape.type_name == "map", path
        _compare_type(type_[1:-1], shape.value, path)
    elif type_ in STRUCTURES:
        assert shape.type_name == "structure", path
        _compare(STRUCTURES[type_], shape, path)
    elif type_ in ENUMS:
        assert set(ENUMS[type_]) <= set(shape.enum), path
    else:
        assert type_ in PRIMITIVES
        assert type_ == shape.type_name, path


def refused(desk, method, path, body=b"{}"):
    with pytest.raises(BatchError) as caught:
        desk.batch.handle(method, path, {}, body)
    return caught.value


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/v1/launchrocket"), ("GET", "/v1/describejobs"), ("POST", "/v2/describejobs"), ("PUT", "/v1/tags/x")],
)
def test_unknown_operations(desk, method, path):
    """What is no operation answers with 404 UnknownOperationException."""
    error = refused(desk, method, path)

    assert (error.status, error.code) == (404, "UnknownOperationException")


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"jobs": "x"}', b'{"jobs": [1]}', b'{"jobs": {}}'])
def test_unreadable_bodies(desk, body):
    """What cannot be read as the operation's shape is a SerializationException."""
    error = refused(desk, "POST", "/v1/describejobs", body)

    assert (error.status, error.code) == (400, "SerializationException")


def test_required_members(desk):
    """A required member that is missing, or null, is refused without a client's help."""
    assert "jobs is required." in refused(desk, "POST", "/v1/describejobs").message

    assert "jobs is required." in refused(desk, "POST", "/v1/describejobs", b'{"jobs": null}').message


def test_unknown_members_are_ignored(desk):
    """At every level."""
    given = {
        "computeEnvironmentName": "ce",
        "type": "MANAGED",
        "flavour": "odd",
        "computeResources": {**ec2(), "colour": "red"},
    }
    status, _ = desk.batch.handle("POST", "/v1/createcomputeenvironment", {}, json.dumps(given).encode())

    assert status == 200
    assert "colour" not in desk.see_environment()["computeResources"]


@pytest.mark.parametrize(
    ("changes", "text"),
    [({"type": "MANGED"}, "MANAGED, UNMANAGED"), ({"computeResources": {**ec2(), "type": "ec2"}}, "EC2, SPOT")],
)
def test_enums(desk, changes, text):
    """A value outside an enum is refused with the values there are."""
    given = {"computeEnvironmentName": "ce", "type": "MANAGED", "computeResources": ec2(), **changes}

    assert text in desk.refused(desk.client.create_compute_environment, **given)


def test_flags_are_not_numbers(desk):
    """true is no integer."""
    given = {"computeEnvironmentName": "ce", "type": "MANAGED", "computeResources": {**ec2(), "maxvCpus": True}}
    error = refused(desk, "POST", "/v1/createcomputeenvironment", json.dumps(given).encode())

    assert error.code == "SerializationException"


def test_reset_empties_the_account(desk):
    """Nothing is left, and nothing of what was about to happen happens."""
    desk.environment(settled=False)
    desk.batch.reset()
    desk.wait()
    assert desk.client.describe_compute_environments()["computeEnvironments"] == []

    assert desk.register()["revision"] == 1


def test_settings_change_all_or_none():
    """A wrong name changes nothing."""
    settings = Settings()
    with pytest.raises(KeyError, match="nonsense"):
        settings.change({"queue_create": 1, "nonsense": 2})
    assert settings.queue_create == 5
    settings.change({"queue_create": 1})

    assert settings.queue_create == 1


def test_calls_may_come_from_several_threads(desk):
    """Revisions are numbered without gaps however many register at once."""
    threads = [threading.Thread(target=desk.register) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = desk.client.describe_job_definitions()["jobDefinitions"]

    assert sorted(one["revision"] for one in found) == list(range(1, 9))


def test_a_clock_runs_at_its_speed():
    """A thousand virtual seconds in a real one; changing the speed keeps the time."""
    real = [0.0]
    clock = Clock(1000, start=START, real=lambda: real[0])
    real[0] = 2
    assert clock.now() == START + 2000
    clock.speed = 1
    real[0] = 3
    assert clock.now() == START + 2001
    clock.advance(10)

    assert clock.now() == START + 2011


def test_a_clock_never_runs_backwards():
    """Neither by a leap nor by its speed."""
    clock = Clock(0, start=START)
    with pytest.raises(ValueError, match="forward"):
        clock.advance(-1)
    with pytest.raises(ValueError, match="forward"):
        clock.speed = -1

    assert clock.now() == START


def test_structures_and_maps_are_objects(desk):
    """Neither a list nor a text will do."""
    base = {"computeEnvironmentName": "ce", "type": "MANAGED", "computeResources": ec2()}
    for wrong in ({"computeResources": "EC2"}, {"tags": ["a"]}, {"serviceRole": 5}):
        body = json.dumps({**base, **wrong}).encode()
        assert refused(desk, "POST", "/v1/createcomputeenvironment", body).code == "SerializationException"


def test_tag_keys_are_one_to_fifty(desk):
    """However they come in: as a raw query or a mapping."""
    arn = desk.register(tags={"a": "b", "c": "d"})["jobDefinitionArn"]
    assert "between 1 and 50" in refused(desk, "DELETE", f"/v1/tags/{arn}", b"").message
    desk.batch.handle("DELETE", f"/v1/tags/{arn}", "tagKeys=a", b"")
    desk.batch.handle("DELETE", f"/v1/tags/{arn}", {"tagKeys": "c"}, b"")

    assert desk.see_definition(arn)["tags"] == {}
