"""Hints are right: who follows one and validates again has got rid of the problem, and got no other in its place.

A hint that gives the word to write, or says what to remove, is followed by the machine in every mistake of the tables
(:mod:`tests.support.following`); ``tests/data/followed.yaml`` has what people write for others, and one or more for
every code of a problem.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from reconciler.kinds import discover
from reconciler.model.problems import Problem
from reconciler.schema import messages, registry
from tests.checks.test_mistakes import MISTAKES, found_in
from tests.support.following import followed, steps_of
from tests.support.tables import DATA, cases

BY_NAME = {case["mistake"]: case for case in MISTAKES}
FOLLOWED = cases(DATA / "followed.yaml")
MECHANICAL = 215
# An example of a chain that leaves something to decide: the word is right, and what was given for it is not
UNDECIDED = frozenset({"key publicKeyMaterial", "policy doc is terraform data", "dependsOn no address"})


def problem_of(case: Any, found: Sequence[Problem]) -> Problem:
    return next(
        problem
        for problem in found
        if (problem.code, f"{problem.pos.line}:{problem.pos.column}") == (case["code"], case["at"])  # type: ignore[union-attr]
        and case["said"] in f"{problem.message} {problem.hint}"
    )


def test_the_word_that_a_hint_gives_is_right(tmp_path: Path) -> None:
    done, wrong, codes = 0, [], set()
    for case in MISTAKES:
        found = found_in(tmp_path, case["file"])
        problem = problem_of(case, found)
        before = {(other.code, other.message) for other in found if other is not problem}
        text, trail = case["file"], [problem]
        while (next_file := followed(text, trail[-1])) is not None:
            text, place = next_file
            left = [
                other
                for other in found_in(tmp_path, text)
                if (not other.warning or problem.warning)
                and steps_of(other)[: len(place)] == place
                and (other.code, other.message) not in before
            ]
            if not left:
                done += 1
                codes.add(str(problem.code))
                break
            trail.append(left[0])
            if len(trail) > 5 or (left[0].code, left[0].message) in {(one.code, one.message) for one in trail[:-1]}:
                wrong.append((case["mistake"], trail))
                break
        else:
            stuck = len(trail) > 1 and trail[-1].code != "missing-field" and steps_of(trail[-1]) == place
            if stuck and case["mistake"] not in UNDECIDED:
                wrong.append((case["mistake"], trail))

    assert not wrong, [(name, [(one.message, one.hint) for one in trail]) for name, trail in wrong]
    assert done >= MECHANICAL
    by_people = {BY_NAME[one["mistake"]]["code"] for one in FOLLOWED}
    assert {case["code"] for case in MISTAKES} - codes - by_people == set()


@pytest.mark.parametrize("case", [pytest.param(case, id=case["mistake"]) for case in FOLLOWED])
def test_what_people_write_for_a_hint_is_right(tmp_path: Path, case: Any) -> None:
    mistake = BY_NAME[case["mistake"]]
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "x.txt").write_text("x")
    problem = problem_of(mistake, found_in(tmp_path, mistake["file"]))
    text = mistake["file"]
    for old, new in case["change"].items():
        assert old in text
        text = text.replace(old, new)
    after = found_in(tmp_path, text)

    assert (problem.code, problem.message) not in {(one.code, one.message) for one in after}
    same_place = [one for one in after if steps_of(one) == steps_of(problem) and steps_of(one) and not one.warning]
    assert [one for one in same_place if one.code != "missing-field"] == []


@pytest.mark.parametrize("section", sorted(discover()))
def test_what_aws_sets_is_never_suggested(section: str, tmp_path: Path) -> None:
    """However a read-only member is misspelt, and wherever it is written."""
    schema: Any = registry.shipped().documents[registry.shipped().by_section[section]]
    read_only = [name for name, about in schema["properties"].items() if messages.is_read_only(about)]
    for name in read_only:
        for misspelt in (f"{name}s", name[:-1], f"x{name}", name.upper()[:3] + name[3:]):
            if misspelt in schema["properties"]:
                continue
            found = found_in(tmp_path, f"environment: t\n{section}: {{n: {{{misspelt}: x}}}}\n")
            (problem,) = [one for one in found if one.code == "unknown-field"]
            assert not any(f'"{other}"' in problem.hint for other in read_only), problem.hint
            assert problem.hint
