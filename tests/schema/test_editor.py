"""The schema as editors use it: what yaml-language-server shows, offers and explains, and what any part of a file may be."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from reconciler.kinds import discover
from reconciler.operations import editor_schema, scaffold
from reconciler.schema import registry
from tests.support import language_server
from tests.support.language_server import LanguageServer
from tests.support.long import LONG
from tests.support.tables import DATA, cases

ENVIRONMENTS = Path(__file__).parents[2] / "environments"
TABLE = cases(DATA / "editor" / "files.yaml")
LINE = f"# yaml-language-server: $schema={(registry.directory() / 'environment.schema.json').as_uri()}\n"


@pytest.fixture(scope="module")
def server() -> Iterator[LanguageServer]:
    start = language_server.command()
    if isinstance(start, str):
        pytest.skip(start)
    with language_server.started(start) as running:
        yield running


# --- in an editor ------------------------------------------------------------------------------------------------------


def test_examples_and_new_environments_show_no_error(server: LanguageServer, tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    files = sorted(file for file in ENVIRONMENTS.rglob("*.yaml") if "files" not in file.parts)
    files = files if LONG else files[::6]
    for template in (scaffold.MINIMAL, "dcv-desktop"):
        written = scaffold.write(tmp_path / "environments" / template, template)
        files += [file for file in written if file.suffix == ".yaml"]
    wrong = tmp_path / "environments" / "dcv-desktop" / "jobs" / "wrong.yaml"
    line = files[-1].read_text("utf-8").splitlines()[0]
    assert line == f"# yaml-language-server: $schema=../../schemas/{editor_schema.NAME}"
    texts = {file: file.read_text("utf-8") for file in files}
    texts[wrong] = f"{line.replace('../..', '../../..')}\njobQueues: {{q: {{prio: 1}}}}\n"

    shown = server.diagnostics(texts)

    assert shown.pop(wrong) == ["2:17 Property prio is not allowed."]  # so the schema has been found
    assert {file: marks for file, marks in shown.items() if marks} == {}
    assert len(shown) > 15


def test_what_an_editor_shows_of_right_and_wrong_files(server: LanguageServer, tmp_path: Path) -> None:
    expected = {case["case"]: (case["file"], case.get("shown", [])) for case in (*TABLE["right"], *TABLE["wrong"])}
    paths = {tmp_path / f"{re.sub('[^a-z]+', '-', case)}.yaml": case for case in expected}

    shown = server.diagnostics({path: LINE + expected[case][0] for path, case in paths.items()})

    found = {case: [_line_before(mark) for mark in shown[path]] for path, case in paths.items()}
    assert found == {case: marks for case, (_, marks) in expected.items()}


def test_what_an_editor_offers_and_explains(server: LanguageServer, tmp_path: Path) -> None:
    for case in TABLE["completed"]:
        offered = server.completion(tmp_path / "completed.yaml", LINE + case["at"])
        assert offered.keys() >= set(case["offered"]), case
        assert not offered.keys() & {*case.get("not offered", ())}, case
        assert not case.get("only") or offered.keys() == set(case["offered"]), case
        assert not [label for label, about in offered.items() if about.startswith("Read-only")], case
    for case in TABLE["explained"]:
        shown = server.hover(tmp_path / "explained.yaml", LINE + case["at"])
        assert case["shown"] in shown, case
        assert "||" not in shown, case


def _line_before(mark: str) -> str:
    """A mark, counted without the line of the schema."""
    line, _, rest = mark.partition(":")
    return f"{int(line) - 1}:{rest}"


# --- what any part of a file may be ------------------------------------------------------------------------------------

WHOLE = jsonschema.Draft202012Validator(registry.published())


@pytest.mark.parametrize("section", registry.sections())
def test_a_file_may_have_any_part_of_a_resource(section: str) -> None:
    documents = registry.shipped()
    for example in documents.documents[documents.by_section[section]]["examples"]:
        reserved = {name: example[name] for name in example if name in ("tags", "lifecycle")}
        for part in (
            example,
            {},
            *({name: value} for name, value in example.items()),
            _leaves(example, None),
            _leaves({name: value for name, value in example.items() if name not in reserved}, "${var.x}"),
            *({name: "${var.x}"} for name in example if name != "lifecycle"),
            dict.fromkeys(example),
        ):
            for file in ({section: {"x": part}}, {"defaults": {section: part}}):
                assert [error.message for error in WHOLE.iter_errors(file)] == [], part
    assert WHOLE.is_valid({section: {"x": None}, "defaults": {section: None}})
    assert WHOLE.is_valid({section: None})
    assert not WHOLE.is_valid({section: {"x": {"noSuchMember": 1}}})
    assert not WHOLE.is_valid({section: {"x": 1}})


def _leaves(value: Any, leaf: Any) -> Any:
    """A value with another at every place that is no mapping; lists are values as a whole."""
    return {name: _leaves(item, leaf) for name, item in value.items()} if isinstance(value, dict) else leaf


def test_every_message_is_a_sentence_and_every_read_only_member_is_left_out_of_what_is_offered() -> None:
    found = list(_schemas(registry.published()))
    read_only = [one for one in found if str(one.get("description", "")).startswith("Read-only")]

    assert len(read_only) > 30
    assert all(one["doNotSuggest"] for one in read_only)
    patterns = [one for one in found if isinstance(one.get("pattern"), str)]
    bare = [one for one in patterns if "patternErrorMessage" not in one]
    assert {one["pattern"] for one in bare} <= {r"\$\{.+\}", r"\$\{"}, "alternatives, whose first one has a message"
    assert not [one for one in found if "oneOf" in one or "null" in one.get("type", ())]


def test_the_member_that_names_a_resource_is_offered() -> None:
    for section, kind in discover().items():
        assert not kind.name_member or kind.name_member in registry.published(section)["properties"]


def _schemas(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for name, item in value.items():
            if name != "examples":
                yield from _schemas(item)
    elif isinstance(value, list):
        for item in value:
            yield from _schemas(item)
