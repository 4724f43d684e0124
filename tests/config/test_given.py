"""Values of variables from the command line and the process's environment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reconciler.config import given, loader
from reconciler.model.problems import Problems

KEY = "-----BEGIN KEY-----\nabc=\n-----END KEY-----\n"
READ: list[tuple[str, Any]] = [
    ("hpc", "hpc"),
    ("32", 32),
    ("-1", -1),
    ("true", True),
    ("1.4", 1.4),
    ("1.10", "1.10"),
    ("012", "012"),
    ("no", "no"),
    ("", ""),
    ("null", None),
    ('"32"', "32"),
    ("'it''s'", "it's"),
    ("[a, b]", ["a", "b"]),
    ("- a\n- b", ["a", "b"]),
    ("{small: 1}", {"small": 1}),
    ("small: 1", {"small": 1}),
    ("a=b", "a=b"),
    ("repo:1.4", "repo:1.4"),
    ("arn:aws:iam::123456789012:role/x", "arn:aws:iam::123456789012:role/x"),
    ("a # b", "a # b"),
    (KEY, KEY),
    ("${env:HOME}", "${env:HOME}"),
    ("$${x}", "$${x}"),
]


@pytest.mark.parametrize(("text", "value"), READ)
def test_a_value_is_read_as_yaml(text: str, value: Any, tmp_path: Path) -> None:
    """And it is final: what looks like an expression stays as it is, in keys and values."""
    (tmp_path / "environment.yaml").write_text(
        'environment: t\nvariables: {x: y}\nroles: {a: {v: "${var.x}", in: "${var.x}"}}\n'
    )
    for given_by in (given.gather({"RECONCILE_VAR_x": text}), given.gather({}, (), [f"x={text}"])):
        loaded = loader.load(tmp_path, environ={}, sections=["roles"], given=given_by)
        assert loaded.sections["roles"]["a"].value["v"] == value
        assert type(loaded.sections["roles"]["a"].value["v"]) is type(value)
        assert loaded.variables == {"x": value}


def test_the_strongest_wins(tmp_path: Path) -> None:
    """``variables:``, ``RECONCILE_VAR_``, ``--var-file`` in order, ``--var`` in order; each sets the whole value."""
    (tmp_path / "files").mkdir()  # which is not read as part of the environment
    names = ("a", "b", "c", "d", "e")
    (tmp_path / "environment.yaml").write_text(
        f"environment: t\nvariables: {{{', '.join(f'{name}: {{file: 1}}' for name in names)}, f: '${{var.e}}!'}}\n"
    )
    (tmp_path / "files" / "one.yaml").write_text("c: one\nd: one\ne: one\n")
    (tmp_path / "files" / "two.json").write_text('{"d": "two", "e": {"deep": ["${var.a}"]}}')
    environ = {f"RECONCILE_VAR_{name}": "environ" for name in "bcde"}
    options = ["e=first", "e=option"]

    found = given.gather(environ, [str(tmp_path / "files" / "one.yaml"), str(tmp_path / "files" / "two.json")], options)
    loaded = loader.load(tmp_path, environ={}, given=found)

    assert loaded.variables == {
        "a": {"file": 1},
        "b": "environ",
        "c": "one",
        "d": "two",
        "e": "option",
        "f": "option!",
    }
    assert loader.load(tmp_path, environ=environ).variables["e"] == "environ"


@pytest.mark.parametrize(
    ("files", "options", "environ", "told"),
    [
        ([], ["team"], {}, ["--var needs a name and a value"]),
        ([], ["=x"], {}, ["--var has no name before ="]),
        ([], ["a=[hunter2"], {}, ["the value of --var a cannot be read as YAML"]),
        ([], ["a=*hunter2"], {}, ["the value of --var a cannot be read as YAML"]),
        ([], [], {"RECONCILE_VAR_a": "{hunter2"}, ["the value of RECONCILE_VAR_a cannot be read as YAML"]),
        (["nothing.yaml"], ["x"], {}, ["nothing.yaml cannot be read: No such file or directory", "--var needs a name"]),
        (["list.yaml"], [], {}, ["the file must be a mapping of variables to values"]),
        (["twice.yaml"], [], {}, ['duplicate key "a"']),
    ],
)
def test_what_cannot_be_read(
    files: list[str],
    options: list[str],
    environ: dict[str, str],
    told: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All of it is told, and no value is quoted: it may be a secret."""
    monkeypatch.chdir(tmp_path)
    Path("list.yaml").write_text("[a]\n")
    Path("twice.yaml").write_text("a: 1\na: 2\n")
    with pytest.raises(Problems) as caught:
        given.gather(environ, files, options)

    messages = [problem.message for problem in caught.value.problems]
    assert [message.startswith(start) for message, start in zip(messages, told, strict=True)] == [True] * len(told)
    assert "hunter2" not in str([(problem.message, problem.hint) for problem in caught.value.problems])


@pytest.mark.parametrize(
    ("declared", "hint"),
    [
        ("{team: hpc}", 'did you mean "team"?'),
        ("{other: 1}", "declared: one of other"),
        ("{}", "declare it under variables:"),
    ],
)
def test_a_variable_that_no_file_declares_is_an_error(declared: str, hint: str, tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "environment.yaml").write_text(f"environment: t\nvariables: {declared}\n")
    (tmp_path / "files" / "vars.yml").write_text("tean: x\n")
    for environ, files, options, source in (
        ({"RECONCILE_VAR_tean": "x"}, [], [], "RECONCILE_VAR_tean"),
        ({}, [str(tmp_path / "files" / "vars.yml")], [], f"--var-file {tmp_path / 'files' / 'vars.yml'}"),
        ({}, [], ["tean=x"], "--var tean"),
    ):
        with pytest.raises(Problems) as caught:
            loader.load(tmp_path / "environment.yaml", environ={}, given=given.gather(environ, files, options))
        (problem,) = caught.value.problems
        assert problem.message == f'there is no variable "tean" to set with {source}'
        assert hint in problem.hint
