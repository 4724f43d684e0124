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
from tests.support.long import together
from tests.support.tables import cases

FILES = sorted((Path(__file__).parents[1] / "data" / "mistakes").glob("*.yaml"))
BY_FILE = {path.stem: cases(path) for path in FILES}
MISTAKES = [case for found in BY_FILE.values() for case in found]


def found_in(directory, text):
    """Every problem of an environment that is one file."""
    file = directory / "env.yaml"
    file.write_text(text)
    try:
        loaded = loader.load(file, environ={})
    except Problems as error:
        return error.problems
    return environment.environment(loaded, discover())[1]


@pytest.mark.parametrize("about", BY_FILE)
def test_a_mistake_is_told_with_its_place_and_the_way_out_and_what_aws_would_take_is_no_error(tmp_path, about):
    together(lambda case: is_told(tmp_path, case), BY_FILE[about])


def is_told(tmp_path, case):
    warning = case.get("warning", False)
    every = found_in(tmp_path, case["file"])
    found = [problem for problem in every if problem.warning is warning]
    there = [p for p in found if (p.code, f"{p.pos.line}:{p.pos.column}") == (case["code"], case["at"])]

    assert any(case["said"] in f"{p.message} {p.hint}" for p in there), found
    assert all(p.hint and p.pos.file == "env.yaml" for p in found), found
    assert not warning or all(problem.warning for problem in every), every


def test_there_are_enough_mistakes_and_none_is_there_twice():
    assert len(MISTAKES) >= 400
    names, texts = [{case[member] for case in MISTAKES} for member in ("mistake", "file")]
    assert len(names) == len(texts) == len(MISTAKES)
