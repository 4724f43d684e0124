"""Cut-down models: a client that is made of one does what botocore's own does, and any doubt brings botocore's back."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import botocore.session
import botocore.utils
import pytest
from botocore.loaders import Loader
from botocore.model import ServiceModel

from reconciler.account.client import AwsClient, RegionSession
from reconciler.account.cut_models import cut, cut_pages
from reconciler.account.service_models import ServiceModels, directory_for
from tests.support.clients import client_of

CALLED = {
    "batch": ["DescribeJobDefinitions", "RegisterJobDefinition"],
    "ec2": ["DescribeVpcs", "DescribeSubnets"],
    "iam": ["GetRole", "ListRoles"],
    "logs": ["DescribeLogGroups"],
    "resourcegroupstaggingapi": ["GetResources"],
    "sts": ["GetCallerIdentity"],
}
REGIONS = ("eu-west-1", "us-east-1", "cn-north-1", "us-gov-west-1", "eusc-de-east-1", "xx-nowhere-1")


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Botocore's files that are read, by service or name."""
    found: list[str] = []
    whole = ServiceModels.FILE_LOADER_CLASS.load_file

    def load(self: Any, path: str) -> Any:
        data = whole(self, path)
        if data is not None and path.startswith(Loader.BUILTIN_DATA_PATH):
            found.append(Path(path).relative_to(Loader.BUILTIN_DATA_PATH).parts[0])
        return data

    monkeypatch.setattr(ServiceModels.FILE_LOADER_CLASS, "load_file", load)
    return found


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with what one run has kept."""
    directory = tmp_path_factory.mktemp("kept") / "models"
    models = ServiceModels([], directory)
    for service, operations in CALLED.items():
        for operation in operations:
            models.called(service, operation)
    models.save()
    return directory


@pytest.fixture(scope="module")
def whole() -> Loader:
    return Loader()


@pytest.fixture
def kept(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "models"))


def client(models: ServiceModels, service: str, region: str = "eu-west-1") -> Any:
    session = botocore.session.Session()
    session.register_component("data_loader", models)
    session.set_credentials("test", "test")
    return session.create_client(service, region_name=region)


def undocumented(value: Any) -> Any:
    """Without what a cut-down model leaves out, but for members of that name."""
    if isinstance(value, dict):
        words = ("documentation", "documentationUrl", "examples")
        return {k: undocumented(v) for k, v in value.items() if k not in words or not isinstance(v, str | list)}
    return [undocumented(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("service", CALLED)
def test_what_is_kept_is_as_in_the_full_model(service: str, whole: Loader) -> None:
    model = whole.load_service_model(service, "service-2")
    small = cut(model, CALLED[service])

    assert list(small["operations"]) == sorted(CALLED[service])
    assert {*small} == {*model} - {"documentation", "examples"}
    for part in ("operations", "shapes"):
        assert small[part] == undocumented({name: model[part][name] for name in small[part]})
    for name in CALLED[service]:
        ours, theirs = (ServiceModel(one).operation_model(name) for one in (small, model))
        assert reached(ours) == reached(theirs)
    errors = [{shape.name for shape in ServiceModel(one).error_shapes} for one in (small, model)]
    assert errors[0] == errors[1]
    assert len(json.dumps(small)) < len(json.dumps(model)) / 2 or service in ("sts", "resourcegroupstaggingapi")


def reached(operation: Any) -> set[str]:
    found: set[str] = set()
    ahead = [shape for shape in (operation.input_shape, operation.output_shape, *operation.error_shapes) if shape]
    while ahead:
        shape = ahead.pop()
        if shape.name in found:
            continue
        found.add(shape.name)
        ahead += [*getattr(shape, "members", {}).values()] if shape.type_name == "structure" else []
        ahead += [
            getattr(shape, part)
            for part in ("member", "key", "value")
            if shape.type_name in ("list", "map") and hasattr(shape, part)
        ]
    return found


def test_a_member_called_documentation_stays() -> None:
    shapes = {
        "In": {
            "type": "structure",
            "documentation": "of In",
            "members": {"documentation": {"shape": "S", "documentation": "it"}},
        },
        "S": {"type": "string"},
    }
    model = {"metadata": {}, "operations": {"A": {"name": "A", "input": {"shape": "In"}}}, "shapes": shapes}
    assert cut(model, ["A"])["shapes"]["In"] == {"type": "structure", "members": {"documentation": {"shape": "S"}}}


def test_pages_are_those_of_the_operations() -> None:
    assert cut_pages({"pagination": {"A": {"x": 1}, "B": {}}, "version": 1}, {"A"}) == {
        "pagination": {"A": {"x": 1}},
        "version": 1,
    }


def test_the_next_run_reads_no_model_of_botocore(made: Path, read: list[str]) -> None:
    models = ServiceModels([], made)
    for service, operations in CALLED.items():
        found = client(models, service)
        assert {*operations} <= {*found.meta.service_model.operation_names}
        if service == "ec2":
            assert found.can_paginate("describe_vpcs")

    assert {*read} == {"partitions", "sdk-default-configuration"}
    assert stat.S_IMODE(made.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in made.iterdir()} == {0o600}


@pytest.mark.parametrize("service", [*CALLED, "sns"])
def test_endpoints_are_those_of_botocore(service: str, made: Path, whole: Loader) -> None:
    ours, theirs = ServiceModels([], made), whole
    for region in REGIONS:
        found, expected = client(ours, service, region), client(theirs, service, region)  # type: ignore[arg-type]
        assert found.meta.endpoint_url == expected.meta.endpoint_url
        assert found.meta.partition == expected.meta.partition
        assert found._request_signer.signing_name == expected._request_signer.signing_name
        assert found._request_signer.region_name == expected._request_signer.region_name


def test_a_run_that_calls_more_keeps_both(kept: Path) -> None:
    before = json.loads((kept / "ec2.json").read_text())
    models = ServiceModels([], kept)
    assert "DescribeInstances" not in client(models, "ec2").meta.service_model.operation_names
    assert models.use_whole("ec2")
    assert "DescribeInstances" in client(models, "ec2").meta.service_model.operation_names
    models.called("ec2", "DescribeInstances")
    models.save()

    again = ServiceModels([], kept)
    assert {*client(again, "ec2").meta.service_model.operation_names} == {
        *before["service-2"]["operations"],
        "DescribeInstances",
    }
    assert [*kept.glob(".*")] == []


def test_commands_at_the_same_time_keep_what_each_called(kept: Path) -> None:
    """Each has read what there was before the others wrote."""
    called = (
        {"ec2": "DescribeInstances", "sns": "GetTopicAttributes"},
        {"ec2": "DescribeImages", "ecr": "DescribeImages"},
    )
    both = [(ServiceModels([], kept), one) for one in called]
    for models, one in both:
        client(models, "ec2")
        for service, operation in one.items():
            models.called(service, operation)
    for models, _ in both:
        models.save()

    operations = {*json.loads((kept / "ec2.json").read_text())["service-2"]["operations"]}
    assert operations == {*CALLED["ec2"], "DescribeInstances", "DescribeImages"}
    assert {"sns", "api.ecr"} <= {*json.loads((kept / "endpoints.json").read_text())["prefixes"]}


def test_every_client_of_a_service_gets_what_it_lacks(kept: Path) -> None:
    """Those for reads and for writes, and of another Region: each was made of the cut-down model."""
    models = ServiceModels([], kept)
    session = botocore.session.Session()
    session.register_component("data_loader", models)
    session.set_credentials("test", "test")
    here = AwsClient(RegionSession(session, "eu-west-1", models))
    there = here.in_region("eu-west-2")
    for aws in (here, there):
        assert aws.offers("logs", "DescribeLogGroups")

    assert "CreateLogGroup" in here.client("logs", "CreateLogGroup", once=True).meta.service_model.operation_names
    assert here.offers("logs", "DescribeLogStreams")
    assert there.offers("logs", "DescribeLogStreams")
    assert not there.offers("logs", "DescribeNothing")
    assert there.client("logs", "DescribeNothing") is there.client("logs", "DescribeLogGroups")


def test_what_botocore_calls_itself_is_kept(kept: Path) -> None:
    """A bucket in another Region is found by botocore, which asks for its head."""
    models = ServiceModels([], kept)
    models.called("s3", "GetObject")
    models.save()
    found = client(ServiceModels([], kept), "s3")
    assert {*found.meta.service_model.operation_names} == {"CreateSession", "GetObject", "HeadBucket"}
    source = Path(botocore.utils.__file__).read_text()
    assert {*re.findall(r"_client\.(\w+)\(", source)} <= {"create_session", "head_bucket"}


def test_nothing_is_written_where_nothing_is_new(kept: Path) -> None:
    written = {file.name: file.stat().st_mtime_ns for file in kept.iterdir()}
    models = ServiceModels([], kept)
    for service, operations in CALLED.items():
        models.called(service, operations[0])
    models.save()
    assert {file.name: file.stat().st_mtime_ns for file in kept.iterdir()} == written


@pytest.fixture
def elsewhere(tmp_path: Path) -> type[ServiceModels]:
    """The models of another installation of the same botocore, made at another time."""
    data = tmp_path / "elsewhere" / "data"
    for name in ("ec2", "iam"):
        shutil.copytree(Path(Loader.BUILTIN_DATA_PATH, name), data / name, copy_function=shutil.copyfile)
    for name in ("endpoints.json", "partitions.json", "_retry.json", "sdk-default-configuration.json"):
        shutil.copyfile(Path(Loader.BUILTIN_DATA_PATH, name), data / name)
    return type("Elsewhere", (ServiceModels,), {"BUILTIN_DATA_PATH": str(data)})


def test_another_installation_of_the_same_botocore_shares_them(kept: Path, elsewhere: type[ServiceModels]) -> None:
    models = elsewhere([], kept)
    assert "CreateRole" not in client(models, "iam").meta.service_model.operation_names
    assert len(models.load_data("endpoints")["partitions"][0]["services"]) < 20
    written = {file.name: file.stat().st_mtime_ns for file in kept.iterdir()}
    models.called("iam", "GetRole")
    models.save()
    assert {file.name: file.stat().st_mtime_ns for file in kept.iterdir()} == written


def test_a_model_of_the_same_version_that_was_changed_is_read_as_it_is(
    kept: Path, elsewhere: type[ServiceModels]
) -> None:
    file = next(Path(elsewhere.BUILTIN_DATA_PATH, "iam").glob("*/service-2.json.gz"))
    text = gzip.decompress(file.read_bytes()).replace(b"MaxSessionDuration", b"MinSessionDuration")  # as long as before
    before = file.stat()
    file.write_bytes(gzip.compress(text))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))

    role = client(elsewhere([], kept), "iam").meta.service_model.shape_for("Role")
    assert "MinSessionDuration" in role.members


def test_a_list_of_endpoints_that_was_changed_is_read_as_it_is(kept: Path, elsewhere: type[ServiceModels]) -> None:
    file = Path(elsewhere.BUILTIN_DATA_PATH, "endpoints.json")
    file.write_text(file.read_text().replace('"regionRegex"', '"regionRegEx"', 1))

    partitions = elsewhere([], kept).load_data("endpoints")["partitions"]
    assert any("regionRegEx" in partition for partition in partitions)


def of_another_botocore(file: Path) -> None:
    found = json.loads(file.read_text())
    found["source"][1] = "1.0.0"
    file.write_text(json.dumps(found))


def cut_short(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:1000])


@pytest.mark.parametrize(
    "damage",
    [
        of_another_botocore,
        cut_short,
        lambda file: file.write_text("[]"),
        lambda file: file.write_text("{}"),
        lambda file: file.write_bytes(b"\xff"),
        lambda file: file.chmod(0o666),
        lambda file: (file.unlink(), file.mkdir()),
    ],
)
def test_a_file_that_cannot_be_used_is_as_none(damage: Callable[[Path], object], kept: Path) -> None:
    damage(kept / "iam.json")
    damage(kept / "endpoints.json")
    models = ServiceModels([], kept)
    found = client(models, "iam", "us-gov-west-1")
    assert "CreateRole" in found.meta.service_model.operation_names
    assert found.meta.endpoint_url == "https://iam.us-gov.amazonaws.com"
    models.called("iam", "GetRole")
    models.save()


def test_models_of_the_user_are_whole(kept: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    version = mine / "iam" / "2010-05-08"
    version.mkdir(parents=True)
    model = {**Loader().load_service_model("iam", "service-2")}
    model["operations"] = {**model["operations"], "GetMoon": {**model["operations"]["GetRole"], "name": "GetMoon"}}
    (version / "service-2.json").write_text(json.dumps(model))
    models = ServiceModels([str(mine)], kept)
    assert "GetMoon" in client(models, "iam").meta.service_model.operation_names
    assert "CreateVpc" not in client(models, "ec2").meta.service_model.operation_names
    written = (kept / "iam.json").read_bytes()
    models.called("iam", "GetMoon")
    models.save()
    assert (kept / "iam.json").read_bytes() == written


def test_where_nothing_can_be_written_nothing_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    models = ServiceModels([], tmp_path / "file" / "models")
    models.called("sts", "GetCallerIdentity")
    models.save()
    assert "GetCallerIdentity" in client(models, "sts").meta.service_model.operation_names


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"HOME": "/home/me"}, "/home/me/.cache/reconcile"),
        ({"HOME": "/home/me", "XDG_CACHE_HOME": "/cache"}, "/cache/reconcile"),
        ({"HOME": "/home/me", "RECONCILE_CACHE_DIR": "/mine"}, "/mine"),
        ({"HOME": "/home/me", "RECONCILE_CACHE_DIR": ""}, None),
        ({"XDG_CACHE_HOME": "relative"}, None),
        ({}, None),
    ],
)
def test_where_they_are_kept(environ: dict[str, str], expected: str | None) -> None:
    found = directory_for(environ)
    assert (found and os.fspath(found.parent.parent)) == expected


DECLARED = """\
environment: small
roles:
  service:
    trust: [batch.amazonaws.com]
    managedPolicies: [service-role/AWSBatchServiceRole]
computeEnvironments:
  small-ce: {type: UNMANAGED, serviceRole: service}
logGroups:
  /small/jobs: {}
"""


def test_commands_do_the_same_with_them(shell: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kept by a plan, used by the second, and extended by the apply, which calls more."""
    (tmp_path / "small.yaml").write_text(DECLARED)
    said, called = [], []
    for run in range(2):
        with monkeypatch.context() as patch:
            models = ServiceModels([], tmp_path / "models")
            patch.setattr("reconciler.account.service_models.shared", lambda _, found=models: found)
            before = len(shell.account.calls)
            said.append(shell.ok("plan", "small.yaml", "--format", "json").json)
            called.append(sorted((one.operation, repr(one.params)) for one in shell.account.calls[before:]))
            if run:
                shell.ok("apply", "small.yaml", "--auto-approve")
                assert "No changes." in shell.ok("plan", "small.yaml").out
            models.save()
    assert [one.pop("timestamp") for one in said] != []  # the moment of each
    assert said[0] == said[1]
    assert called[0] == called[1]
    small = json.loads((tmp_path / "models" / "batch.json").read_text())["service-2"]["operations"]
    assert {"CreateComputeEnvironment", "DescribeComputeEnvironments"} <= {*small}
    assert "DescribeJobs" not in small


def test_the_session_of_a_test_keeps_the_whole_models(sandbox: Any) -> None:
    """Whichever of them has been cut down, since its own clients are asked what the tool's never ask."""
    client_of(sandbox.session, sandbox.region)

    assert not isinstance(sandbox.session._session.get_component("data_loader"), ServiceModels)
