"""Which part of a fleet a machine checks: every environment is in exactly one part, and all machines agree."""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.model.problems import Problems
from reconciler.operations import pipeline, session
from reconciler.operations.drift import shards
from reconciler.operations.drift.shards import Part

ROOT = Path(__file__).parents[2]
BATCH = {"AWS_BATCH_JOB_ARRAY_INDEX": "0", "AWS_BATCH_JOB_ID": "job-7:0"}


@given(st.dictionaries(st.text(min_size=1), st.integers(1, 2000), max_size=60), st.integers(1, 40), st.randoms())
def test_every_environment_is_in_one_part(sizes: dict[str, int], total: int, order: random.Random) -> None:
    named = [*sizes.items()]
    parts = shards.divided(named, total)
    assert len(parts) == total
    assert sorted(number for part in parts for number in part) == list(range(len(named)))
    room = max(sum(sizes.values()) / total * shards.SLACK + 1, *sizes.values(), 1)
    most = max(sum(named[number][1] for number in part) for part in parts)
    assert most <= room + max([*sizes.values(), 0]), "no part has all the work"

    mixed = order.sample(named, len(named))
    again = shards.divided(mixed, total)
    assert [{named[number] for number in part} for part in parts] == [
        {mixed[number] for number in part} for part in again
    ]


def test_a_fleet_is_divided_evenly_and_keeps_its_parts() -> None:
    sizes = random.Random(7)
    named = [(f"environments/{number:04}", sizes.choice((4, 8, 8, 8, 20, 200))) for number in range(2000)]
    parts = shards.divided(named, 16)
    loads = [sum(named[number][1] for number in part) for part in parts]
    assert max(loads) < 1.12 * sum(loads) / 16

    where = {named[number][0]: part for part, numbers in enumerate(parts) for number in numbers}
    more = [*named, ("environments/new", 20)]
    after = {more[number][0]: part for part, numbers in enumerate(shards.divided(more, 16)) for number in numbers}
    assert sum(where[name] != after[name] for name in where) < 200, "another environment moves few"


RIGHT: list[tuple[str, Mapping[str, str], Part]] = [
    ("3/16", {}, Part(3, 16)),
    ("3/16", BATCH, Part(3, 16, "job-7")),
    ("auto", {**BATCH, "AWS_BATCH_JOB_ARRAY_SIZE": "2"}, Part(1, 2, "job-7")),
    ("auto/2", {**BATCH, "AWS_BATCH_JOB_ARRAY_SIZE": "2"}, Part(1, 2, "job-7")),
    ("auto/9", BATCH, Part(1, 9, "job-7")),
    ("auto/4", {"JOB_COMPLETION_INDEX": "3"}, Part(4, 4)),
    ("auto", {"CI_NODE_INDEX": "1", "CI_NODE_TOTAL": "4", "CI_PIPELINE_ID": "12"}, Part(1, 4, "12")),
    ("auto", {"CI_NODE_INDEX": "4", "CI_NODE_TOTAL": "4", "GITHUB_RUN_ID": "13"}, Part(4, 4, "13")),
]
WRONG: list[tuple[str, Mapping[str, str], str]] = [
    ("0/4", {}, "there is no part 0 of 4"),
    ("5/4", {}, "there is no part 5 of 4"),
    ("1/0", {}, "0 is not a number of parts"),
    ("1/10001", {}, "10001 is not a number of parts"),
    *((word, {}, "is not a part") for word in ("", "1", "a/b", "1/2/3", "-1/2", "1/", "/2", "²/3", "auto/", "auto/x")),
    ("auto", {}, "none of AWS_BATCH_JOB_ARRAY_INDEX, JOB_COMPLETION_INDEX and CI_NODE_INDEX is set"),
    ("auto", {"CI_NODE_TOTAL": "1"}, "none of"),
    ("auto", BATCH, "AWS_BATCH_JOB_ARRAY_INDEX is 0, and the number of parts is unknown"),
    ("auto", {"JOB_COMPLETION_INDEX": "1"}, "the number of parts is unknown"),
    ("auto/3", {**BATCH, "AWS_BATCH_JOB_ARRAY_SIZE": "2"}, "AWS_BATCH_JOB_ARRAY_SIZE is 2"),
    ("auto/4", {"JOB_COMPLETION_INDEX": "4"}, "there is no part 5 of 4"),
    ("auto", {"CI_NODE_INDEX": "0", "CI_NODE_TOTAL": "4"}, "there is no part 0 of 4"),
    ("auto", {"CI_NODE_INDEX": "one", "CI_NODE_TOTAL": "4"}, 'CI_NODE_INDEX is "one", which is not a number'),
]


def test_which_part_a_machine_is() -> None:
    for word, environ, part in RIGHT:
        assert shards.part_of(word, environ) == part
    for word, environ, says in WRONG:
        with pytest.raises(Problems) as error:
            shards.part_of(word, environ)
        assert says in error.value.problems[0].message and error.value.problems[0].hint, (word, environ)
        if word == "5/4":
            assert error.value.problems[0].hint == "the parts are 1 to 4"


def test_sizes_are_about_the_number_of_resources(tmp_path: Path) -> None:
    sizes = shards.Sizes(shards.discover())
    for directory in sorted(ROOT.glob("environments/*/")):
        env, _ = pipeline.read_environment(directory, {}, strict=False)
        assert abs(sizes.of(directory) - shards.FIXED - len(env.resources)) <= 3, (
            directory.name
        )  # settings stand for some

    (tmp_path / "base.yaml").write_text(
        "logGroups:\n  # one\n\n  a: {}\n  b:\n    retentionInDays: 3\ntopics: {c: {}}\n"
    )
    for name, extends in (
        ("one", "../base.yaml"),
        ("list", "[../base.yaml, ../one]"),
        ("lines", "\n  - '../list'\n  - ../x"),
    ):
        (tmp_path / name / "files").mkdir(parents=True)
        (tmp_path / name / "files" / "no.yaml").write_text("topics:\n  not: {}\n")
        (tmp_path / name / "environment.yaml").write_text(
            f"environment: {name}\nextends: {extends}\ntopics:\n  d: {{}}\n"
        )
    found = {name: sizes.of(tmp_path / name) - shards.FIXED for name in ("one", "list", "lines", "missing")}
    assert found == {"one": 4, "list": 5, "lines": 6, "missing": 0}
    locations = [session.Location(tmp_path / name, "") for name in ("one", "list")]
    assert shards.split(locations, 2, tmp_path).fleet == shards.split(locations[::-1], 2, tmp_path).fleet
    assert shards.split(locations[1:], 2, tmp_path).fleet != shards.split(locations, 2, tmp_path).fleet
