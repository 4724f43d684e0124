"""What an import writes: files by kind or one, into a new environment or one that is there, all of them or none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reconciler.config import loader
from reconciler.model.problems import Problems
from reconciler.operations.importing import existing, layout, saving, writer
from reconciler.operations.importing.found import Imported, ImportedResource
from reconciler.render import unified
from reconciler.render.mask import Mask
from reconciler.render.text import Paint

RESOURCES = (
    ImportedResource(
        section="jobQueues",
        key="q",
        physical="q",
        props={
            "tags": {"team": "hpc"},
            "computeEnvironmentOrder": [{"computeEnvironment": "c", "order": 1}],
            "priority": 5,
        },
        comments={"priority": "as AWS shows it"},
    ),
    ImportedResource(
        section="computeEnvironments",
        key="c",
        physical="gpu-c",
        props={
            "computeResources": {"subnets": "${lookups.subnets}", "type": "FARGATE", "maxvCpus": 4},
            "computeEnvironmentName": "gpu-c",
            "type": "MANAGED",
        },
    ),
    ImportedResource(section="roles", key="r", physical="r", props={"trust": ["batch.amazonaws.com"]}),
    ImportedResource(section="logGroups", key="/x", physical="/x", props={}),
)
LOOKUPS = {
    "vpc": {"vpc": {"default": True}},
    "subnets": {"subnets": {"vpcId": "${lookups.vpc}"}},
    "unused": {"vpc": {"default": True}},
}
FOUND = Imported(
    resources=RESOURCES,
    lookups=LOOKUPS,
    settings={"tags": {"team": "hpc"}, "region": "eu-west-1", "environment": "gpu", "account": "123456789012"},
)
PLAIN = Paint(colour=False)
MASK = Mask()


def declared(target: Path) -> dict[str, dict[str, Any]]:
    return {
        section: {name: raw.value for name, raw in below.items()}
        for section, below in loader.load(target, environ={}).sections.items()
    }


def test_a_new_environment(tmp_path: Path) -> None:
    target = tmp_path / "environments" / "gpu"
    there = existing.read(target, environ={})
    written = writer.write(FOUND, there)

    assert list(written.files) == ["environment.yaml", "logging.yaml", "iam.yaml", "batch.yaml"]
    assert written.files["environment.yaml"] == (
        f"{writer.SCHEMA_LINE}environment: gpu\nregion: eu-west-1\n"
        'account: "123456789012"\n\ntags: {team: hpc}\n\nlookups:\n'
        "  vpc: {vpc: {default: true}}\n"
        '  subnets: {subnets: {vpcId: "${lookups.vpc}"}}\n'
        "  unused: {vpc: {default: true}}\n"
    )
    assert written.files["batch.yaml"] == (
        f"{writer.SCHEMA_LINE}computeEnvironments:\n  c:\n    computeEnvironmentName: gpu-c\n    type: MANAGED\n"
        '    computeResources:\n      type: FARGATE\n      maxvCpus: 4\n      subnets: "${lookups.subnets}"\n\n'
        "jobQueues:\n  q:\n    # as AWS shows it\n    priority: 5\n    computeEnvironmentOrder:\n"
        "      - {order: 1, computeEnvironment: c}\n    tags: {team: hpc}\n"
    )
    assert written.files["logging.yaml"].endswith("logGroups:\n  /x: {}\n")
    texts = saving.with_schema(target, written.files, there)
    assert texts["iam.yaml"].startswith("# yaml-language-server: $schema=../../schemas/reconcile-")
    paths = saving.save(target, texts, there)
    assert [path.name for path in paths[:-1]] == list(texts)
    assert paths[-1].parent.name == "schemas"
    assert {section: {*below} for section, below in declared(target).items()} == {
        one.section: {one.key} for one in RESOURCES
    }
    again = writer.write(FOUND, existing.read(target, environ={}))
    assert (again.files, again.added) == ({}, ())
    assert {one.why for one in again.left_alone} >= {
        "already declared, at iam.yaml:3:3",
        "already declared, at batch.yaml:3:3",
    }


def test_all_in_one(tmp_path: Path) -> None:
    for target, name in ((tmp_path / "gpu.yaml", "gpu.yaml"), (tmp_path / "gpu", "environment.yaml")):
        there = existing.read(target, environ={})
        written = writer.write(FOUND, there, single_file=target.suffix == "")
        assert list(written.files) == [name]
        directory = target if target.suffix == "" else target.parent
        saving.save(directory, written.files, there)
        assert {*declared(target)} == {one.section for one in RESOURCES}
        more = Imported(resources=(ImportedResource(section="topics", key="t", physical="t", props={}),))
        there = existing.read(target, environ={})
        if target.suffix:
            assert list(writer.write(more, there).files) == [name]


FILES = {
    "environment.yaml": "# mine\nextends: ../base\nenvironment: gpu\nnamePrefix: gpu-\n\nlookups:   # found\n  vpc: {vpc: {tags: {a: b}}}\n",
    "compute.yml": "computeEnvironments:\n    x:  # one\n        type: UNMANAGED\n",
    "sub/batch.yaml": "serviceEnvironments: {}\n",
    "iam.yaml": "# roles later\n",
}
BASE = {
    "environment.yaml": "environment: base\n",
    "roles.yaml": "roles:\n  r: {trust: [ec2.amazonaws.com], roleName: r}\n",
}


def prepared(tmp_path: Path) -> Path:
    for directory, files in (("gpu", FILES), ("base", BASE)):
        for name, text in files.items():
            path = tmp_path / directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode())
    return tmp_path / "gpu"


def test_into_what_is_there(tmp_path: Path) -> None:
    target = prepared(tmp_path)
    there = existing.read(target, environ={})
    written = writer.write(FOUND, there)

    assert [(one.section, one.name, one.why) for one in written.left_alone] == [
        ("roles", "r", "already declared, at ../base/roles.yaml:2:3")
    ]
    assert {*written.files} == {"environment.yaml", "compute.yml", "sub/batch.yaml", "logging.yaml"}
    assert written.files["environment.yaml"] == (
        FILES["environment.yaml"] + '  vpc2: {vpc: {default: true}}\n  subnets: {subnets: {vpcId: "${lookups.vpc2}"}}\n'
    )
    assert written.files["compute.yml"].startswith(
        FILES["compute.yml"] + "\n    c:\n        computeEnvironmentName: gpu-c\n"
    )
    assert written.files["sub/batch.yaml"].startswith(FILES["sub/batch.yaml"] + "\njobQueues:\n  q:\n")
    assert written.files["logging.yaml"] == "logGroups:\n  /x: {}\n"  # none of its files refers to the schema
    before = declared(target)
    saving.save(target, saving.with_schema(target, written.files, there), there)
    assert not (tmp_path / "schemas").exists()
    assert not (target / "schemas").exists()
    after = declared(target)
    for section, below in before.items():
        assert {name: after[section][name] for name in below} == below
    assert {one.key for one in written.added} == {"q", "c", "/x"}

    shown = [*unified.diff(there.texts, written.files, PLAIN, MASK)]
    assert "--- a/compute.yml" in shown
    assert "+        computeEnvironmentName: gpu-c" in shown
    assert "--- /dev/null" in shown
    assert not [line for line in shown if line.startswith("-") and not line.startswith("---")]
    coloured = [*unified.diff(there.texts, written.files, Paint(colour=True), MASK)]
    assert "\x1b[32m+  /x: {}\x1b[0m" in coloured


def test_by_physical_names(tmp_path: Path) -> None:
    there = existing.read(prepared(tmp_path), environ={})
    same = ImportedResource(section="computeEnvironments", key="other", physical="gpu-x", props={})
    clash = ImportedResource(section="computeEnvironments", key="x", physical="x", props={})
    left = writer.write(Imported(resources=(same, clash)), there).left_alone

    assert [one.why for one in left] == [
        "already declared as x, at compute.yml:2:5",
        "another resource is declared by this name, at compute.yml:2:5",
    ]


def test_no_secret_of_the_file_is_shown() -> None:
    before = (
        "secrets:\n  db:\n    value: hunter2-and-more\n    dbPassword: short\n    script: |\n      token abc\n"
        "    list:\n      - {name: A, value: b}\n      - word\n    kind: x\n"
    )
    shown = "\n".join(
        unified.diff({"a.yaml": before}, {"a.yaml": f"{before}  new: {{}}\n", "b.yaml": "x: 1\n"}, PLAIN, MASK)
    )

    assert all(secret not in shown for secret in ("hunter2", "short", "token abc", "value: b"))
    lines = unified.diff(
        {"a": "a:\n  value: hunter2-and-more\n  password: abc\n  k: v\n"},
        {"a": "a:\n  value: hunter2-and-more\n  password: abc\n  k: v\n  n: 1\n"},
        PLAIN,
        MASK,
    )
    assert [*lines][3:] == ["   value: (sensitive)", "   password: (sensitive)", "   k: v", "+  n: 1"]


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    target = prepared(tmp_path)
    there = existing.read(target, environ={})
    written = writer.write(FOUND, there)
    (target / "logging.yaml").write_text("# appeared\n")
    state = {path: path.read_bytes() for path in target.rglob("*") if path.is_file()}
    with pytest.raises(Problems, match=r"logging\.yaml exists"):
        saving.save(target, written.files, there)
    assert {path: path.read_bytes() for path in target.rglob("*") if path.is_file()} == state

    (target / "logging.yaml").unlink()
    (target / "compute.yml").write_text("# changed\n")
    with pytest.raises(Problems, match="has changed since it was read"):
        saving.save(target, written.files, there)
    assert (target / "environment.yaml").read_text() == FILES["environment.yaml"]
    assert not list(target.rglob(".*.part"))


def test_all_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = prepared(tmp_path)
    there = existing.read(target, environ={})
    written = writer.write(FOUND, there)
    (target / "compute.yml").chmod(0o640)
    state = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    put = saving._Files.put

    def fails(self: Any, path: Path, part: Path) -> None:
        if path.name == "logging.yaml":
            raise OSError(28, "No space left on device", str(path))
        put(self, path, part)

    monkeypatch.setattr(saving._Files, "put", fails)
    with pytest.raises(Problems, match="No space left"):
        saving.save(target, written.files, there)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == state
    with pytest.raises(Problems, match="No space left"):
        saving.save(tmp_path / "new" / "deep", {"logging.yaml": "x: 1\n"}, existing.NOTHING)
    assert not (tmp_path / "new").exists()
    monkeypatch.undo()
    saving.save(target, written.files, there)
    assert (target / "compute.yml").stat().st_mode & 0o777 == 0o640


def test_a_directory_with_other_files(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(Problems, match="is not empty"):
        existing.read(tmp_path, environ={})
    assert existing.read(tmp_path / "new", environ={}) == existing.NOTHING


def test_what_cannot_be_added_goes_to_another_file_or_is_said(tmp_path: Path) -> None:
    shared = "environment: e\nroles: &r\n  a: {trust: [ec2.amazonaws.com]}\nvariables: {x: *r}\n"
    (tmp_path / "environment.yaml").write_text(shared)
    found = Imported(resources=RESOURCES[2:3])

    assert list(writer.write(found, existing.read(tmp_path, environ={})).files) == ["iam.yaml"]
    (tmp_path / "environment.yaml").rename(tmp_path / "one.yaml")
    with pytest.raises(Problems, match=r"roles cannot be added to one\.yaml: an anchor shares"):
        writer.write(found, existing.read(tmp_path / "one.yaml", environ={}))


def test_order() -> None:
    assert {*layout.sections()} == {*layout.in_order(layout.sections())}
    for user, used in (("jobQueues", "computeEnvironments"), ("instanceProfiles", "roles"), ("roles", "policies")):
        assert layout.sections().index(used) < layout.sections().index(user)
    made = layout.arranged(
        "jobDefinitions", {"tags": {"b": "1", "a": "2"}, "zzz": 1, "type": "container", "jobDefinitionName": "n"}
    )
    assert list(made) == ["jobDefinitionName", "type", "zzz", "tags"]
    assert list(made["tags"]) == ["b", "a"]
