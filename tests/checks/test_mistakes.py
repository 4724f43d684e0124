"""What people get wrong in YAML: each mistake is told with its place and the way out.

No mistake gives a traceback, and none is silently accepted. They stand in ``tests/data/mistakes``, by what they are
about: what the mistake is, the file, the code of the problem, its line and column, and a piece of what is said. What AWS
would take, and people would regret, is a warning there.
"""

from pathlib import Path

import pytest

from reconciler.checks import environment
from reconciler.config import loader
from reconciler.kinds import discover
from reconciler.model.problems import Problems
from tests.support.tables import cases

FILES = sorted((Path(__file__).parents[1] / "data" / "mistakes").glob("*.yaml"))
MISTAKES = [case for path in FILES for case in cases(path)]


def found_in(directory, text):
    """Every problem of an environment that is one file."""
    file = directory / "env.yaml"
    file.write_text(text)
    try:
        loaded = loader.load(file, environ={})
    except Problems as error:
        return error.problems
    return environment.environment(loaded, discover())[1]


@pytest.mark.parametrize("case", [pytest.param(case, id=case["mistake"]) for case in MISTAKES])
def test_the_mistake_is_told_with_its_place_and_the_way_out(tmp_path, case):
    warning = case.get("warning", False)
    found = [problem for problem in found_in(tmp_path, case["file"]) if problem.warning is warning]
    there = [p for p in found if (p.code, f"{p.pos.line}:{p.pos.column}") == (case["code"], case["at"])]

    assert any(case["said"] in f"{p.message} {p.hint}" for p in there), found
    assert all(p.hint and p.pos.file == "env.yaml" for p in found), found


@pytest.mark.parametrize("case", [pytest.param(case, id=case["mistake"]) for case in MISTAKES if case.get("warning")])
def test_what_aws_would_take_is_no_error(tmp_path, case):
    assert all(problem.warning for problem in found_in(tmp_path, case["file"]))


def test_there_are_enough_mistakes_and_none_is_there_twice():
    assert len(MISTAKES) >= 400
    names, texts = [{case[member] for case in MISTAKES} for member in ("mistake", "file")]
    assert len(names) == len(texts) == len(MISTAKES)
