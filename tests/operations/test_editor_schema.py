"""The one copy of the schema in a project, and the first lines of its files, which refer to it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reconciler.cli import main as cli
from reconciler.operations import editor_schema, scaffold
from reconciler.schema import registry

BEGINS = "# yaml-language-server: $schema="


def first_line(file: Path) -> str:
    return file.read_text("utf-8").splitlines()[0]


def test_two_environments_of_a_repository_share_one_copy(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    copy = tmp_path.resolve() / "schemas" / editor_schema.NAME

    first = scaffold.write(tmp_path / "environments" / "a", scaffold.MINIMAL)
    assert copy in [path.resolve() for path in first]
    document = json.loads(copy.read_text("utf-8"))
    assert document == {**registry.published(), "$id": editor_schema.NAME}
    copy.write_text("{}")
    second = scaffold.write(tmp_path / "environments" / "b", "custom-logging")

    assert copy not in [path.resolve() for path in second]
    assert copy.read_text() == "{}"
    assert first_line(tmp_path / "environments/a/environment.yaml") == f"{BEGINS}../../schemas/{copy.name}"
    assert first_line(tmp_path / "environments/b/jobs/alpine-env.yaml") == f"{BEGINS}../../../schemas/{copy.name}"
    assert [path.name for path in tmp_path.rglob("*.json")] == [copy.name]


@pytest.mark.parametrize(
    ("there", "directory", "copied_to"),
    [
        ((), "stack", "stack"),  # what is above may be anything, such as one's home
        ((), "environments/a", "."),
        (("repo/.git/HEAD",), "repo", "repo"),
        (("repo/.git/HEAD",), "repo/aws/a", "repo"),
        (("repo/.git",), "repo/a", "repo"),  # a worktree
        (("repo/.git/HEAD", "repo/aws/schemas/reconcile-0.1.0.schema.json"), "repo/aws/environments/a", "repo/aws"),
    ],
)
def test_where_the_copy_of_a_project_belongs(
    tmp_path: Path, there: tuple[str, ...], directory: str, copied_to: str
) -> None:
    for name in there:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()

    assert editor_schema.top(tmp_path / directory) == (tmp_path / copied_to).resolve()


def test_an_example_of_our_own_refers_to_the_schema_that_is_there() -> None:
    ours = registry.directory()

    assert editor_schema.place(ours.parent / "environments" / "another") == ours / "environment.schema.json"


def test_another_version_is_written_and_referred_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / ".git").mkdir()
    texts = {
        "environments/a/environment.yaml": f"{BEGINS}../../schemas/reconcile-0.1.0.schema.json\r\nenvironment: a\r\n",
        "environments/a/jobs/b.yml": f"{BEGINS}environment.schema.json\njobQueues: {{}}\n",
        "environments/a/other.yaml": f"{BEGINS}../other.schema.json\n",
        "environments/a/none.yaml": "jobQueues: {}\n",
        "environments/a/second.yaml": f"\n{BEGINS}environment.schema.json\n",
        ".hidden/a.yaml": f"{BEGINS}environment.schema.json\n",
        "node_modules/a.yaml": f"{BEGINS}environment.schema.json\n",
    }
    for name, text in texts.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(text.encode())
    (tmp_path / "environments/a/latin.yaml").write_bytes(b"\xff")
    monkeypatch.chdir(tmp_path / "environments")

    def schema(*argv: str) -> tuple[int, str, str]:
        codes: list[int] = []
        cli.main(["schema", "--write", *argv], leave=codes.append)
        return codes[0], *capsys.readouterr()

    code, out, err = schema()
    wrote = [f"../schemas/{editor_schema.NAME}", "a/environment.yaml", "a/jobs/b.yml"]
    assert (code, out, err.splitlines()) == (0, "", [f"wrote {path}" for path in wrote])
    changed = {name: (tmp_path / name).read_bytes().decode() for name in texts}
    assert changed == {
        **texts,
        "environments/a/environment.yaml": f"{BEGINS}../../schemas/{editor_schema.NAME}\r\nenvironment: a\r\n",
        "environments/a/jobs/b.yml": f"{BEGINS}../../../schemas/{editor_schema.NAME}\njobQueues: {{}}\n",
    }
    assert (tmp_path / "schemas" / editor_schema.NAME).read_text("utf-8") == editor_schema.text()
    assert schema()[2].splitlines() == [f"wrote {wrote[0]}"]
    assert "cannot be combined" in schema("jobQueues")[2]
