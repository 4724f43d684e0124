"""All findings in one run: a problem hides only what depends on it, and nothing is told that another problem explains."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reconciler.checks import environment
from reconciler.config import loader
from reconciler.kinds import discover
from reconciler.model import problem_codes as codes
from reconciler.model.problems import Problem, Problems
from reconciler.operations import pipeline
from tests.checks.test_mistakes import MISTAKES
from tests.support.long import LONG, together

BESIDE = 'unknownOfThem: {zz: {a: 1}}\nlogGroups: {zz: {tags: {a: "${var.nowhere}"}}}\n'
BROKEN = "logGroups: {\n"


def found_in(directory: Path, files: dict[str, str]) -> tuple[Problem, ...]:
    for name, content in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    target = directory / "env" if (directory / "env").is_dir() else directory
    try:
        return pipeline.read_environment(target, {}, strict=False)[1]
    except Problems as error:
        return error.problems


def told(directory: Path, files: dict[str, str]) -> list[str]:
    """``file:line code message`` of every problem."""
    found = found_in(directory, files)
    return [f"{one.pos.file}:{one.pos.line} {one.code} {one.message}" for one in found if one.pos]


# One in four; the rest is of the same kinds. Those that name their own file are left out.
SHARE = [
    case for index, case in enumerate(MISTAKES) if index % 4 == 0 and "env.yaml" not in case["file"] + case["said"]
]


def test_no_mistake_is_hidden_by_an_unknown_section_or_variable(tmp_path: Path) -> None:
    together(lambda case: not_hidden(tmp_path, case), SHARE)


def not_hidden(tmp_path: Path, case: dict[str, Any]) -> None:
    found = found_in(tmp_path, {"environment.yaml": case["file"], "beside.yaml": BESIDE})

    assert any(
        (one.code, str(one.pos)) == (case["code"], f"environment.yaml:{case['at']}")
        and case["said"] in f"{one.message} {one.hint}"
        for one in found
    ), found


# What another file may declare, or would have made: a name that is not declared here, and a reference to it.
DEPENDS = {
    "unknown-reference",
    "undeclared-name",
    "misfit",
    "reference-cycle",
    "lookup-cycle",
    "invalid-value",
    "no-updates-in-place",
}


def test_nor_by_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    together(lambda case: not_hidden_by_broken(tmp_path, case), [one for one in SHARE if one["code"] not in DEPENDS])


def not_hidden_by_broken(tmp_path: Path, case: dict[str, Any]) -> None:
    found = found_in(tmp_path, {"environment.yaml": case["file"], "beside.yaml": BROKEN})

    assert [one.code for one in found if one.pos and one.pos.file == "beside.yaml"] == ["yaml-syntax"]
    assert any((one.code, str(one.pos)) == (case["code"], f"environment.yaml:{case['at']}") for one in found), found


HEAD = "environment: t\nregion: eu-west-1\n"


def test_twelve_in_every_layer(tmp_path: Path) -> None:
    files = {
        "environment.yaml": "environment: t\nregion: eu west 1\naccount: 123456789012\nvariabels: {a: 1}\n"
        "variables: {used: '${var.missing}'}\nignoreTags: x\nlookups: {v: {vpcs: {}}}\n",
        "a.yaml": "logGroups:\n  a: {retentionDays: 1}\n  b: {tags: {x: '${var.used}', y: '${nonsense}'}}\n"
        "  c: {kmsKeyId: '${lookups.w}'}\n  d: {kmsKeyId: '${lookups.v}'}\nunknownOnes: {zz: {}}\n",
        "b.yaml": "jobQueue:\n  q: {priorty: 1, computeEnvironmentOrder: [{order: 1, computeEnvironment: x}]}\n"
        "logGroups:\n  a: {}\n  a: {}\n",
        "c.yaml": "topics: {t: {policy: '${file:files/nothing.json}'}}\n",
    }
    codes = [line.partition(" ")[2].split(" ")[0] for line in told(tmp_path, files)]
    assert sorted(codes) == sorted(
        [
            *("invalid-value", "wrong-type", "unknown-section", "unknown-variable", "unknown-field"),
            *("unknown-field", "bad-expression", "unknown-section"),
            *("unknown-section", "unknown-field", "missing-field", "duplicate-key", "duplicate-resource"),
            "bad-file",
        ]
    )


@pytest.mark.parametrize(
    ("files", "lines"),
    [
        pytest.param(
            {
                "env/environment.yaml": HEAD + "extends: ../bsae\nvariables: {a: 1}\n",
                "env/a.yaml": "jobQueues: {q: {priority: '${var.of-base}', stat: ENABLED}}\nlogGroups: {gone: }\n",
            },
            [
                "environment.yaml:3 unknown-base there is no ../bsae to extend",
                'a.yaml:1 unknown-field unknown field "stat"',
            ],
            id="what a base would have supplied is not missing",
        ),
        pytest.param(
            {
                "env/environment.yaml": HEAD
                + "defaults: [a]\nlogGroups: {a: {retentionDays: 1}}\njobQueues: {q: {}}\n",
            },
            [
                "environment.yaml:3 wrong-type defaults must be a mapping, not a list",
                'environment.yaml:4 unknown-field unknown field "retentionDays"',
            ],
            id="nor what defaults would have",
        ),
        pytest.param(
            {
                "env/environment.yaml": HEAD + "logGroups: {a: {tags: {x: '${queues.q.arn} ${jobQueues.q.arn}'}}}\n",
                "env/a.yaml": "queues: {q: {}}\n",
            },
            ['a.yaml:1 unknown-section unknown section "queues"'],
            id="what an unknown section declares is not undeclared",
        ),
        pytest.param(
            {
                "env/environment.yaml": HEAD + "logGroups: {a: {tags: {x: '${topics.t.arn}'}, x: 1}}\n",
                "env/a.yaml": "topics: {t: {}\n",
            },
            [
                'environment.yaml:3 unknown-field unknown field "x"',
                "a.yaml:2 yaml-syntax a list or mapping in brackets is not finished",
            ],
            id="nor what a broken file does",
        ),
        pytest.param(
            {
                "env/environment.yaml": HEAD
                + "jobQueues: {q: {priority: '${var.p}', computeEnvironmentOrder: '${var.o}'}}"
            },
            [
                "environment.yaml:3 unknown-variable there is no variable p",
                "environment.yaml:3 unknown-variable there is no variable o",
            ],
            id="a value that is unknown is not a wrong one",
        ),
    ],
)
def test_what_another_problem_explains_is_not_told(tmp_path: Path, files: dict[str, str], lines: list[str]) -> None:
    assert sorted(told(tmp_path, files)) == sorted(lines)


# One value of a wrong type, and what else is wrong in the same resource
BESIDE_A_WRONG_TYPE = """\
jobDefinitions:
  a:
    type: container
    timeout: {attemptDurationSeconds: 3}
    containerProperties:
      image: lab/a:1
      command: 7
      vcpu: 3
      resourceRequirements: [{type: MEMORY, value: 16GB}, {type: VCPU, value: "1"}]
    retryStrategy: {attempts: 30, evaluateOnExit: [{action: retry, onExitCode: "1*2"}]}
jobQueues:
  q: {priority: 5000, computeEnvironmentOrder: [], stat: ENABLED}
"""


def test_a_wrong_type_hides_nothing_else_in_its_resource(tmp_path: Path) -> None:
    found = told(tmp_path, {"environment.yaml": HEAD + BESIDE_A_WRONG_TYPE})

    for said in (
        "3 seconds are too few",
        "must be a list",
        "vcpu",
        "16GB",
        "attempts 30",
        "onExitCode",
        "priority 5000",
        "stat",
    ):
        assert any(said in one for one in found), (said, found)


EXAMPLES = sorted((Path(__file__).resolve().parents[2] / "environments").iterdir())


def with_a_wrong_type(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    """``value`` with each of its parts in turn replaced by one of another type, and the path of that part."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, item in inside:
        for other, place in with_a_wrong_type(item, (*path, name)):
            changed = {**value, name: other} if isinstance(value, dict) else [*value[:name], other, *value[name + 1 :]]
            yield changed, place
    if path:
        yield ({"x": [1]} if isinstance(value, int) else 7), path


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_what_depends_on_a_wrong_type_is_not_judged(example: Path) -> None:
    """In resources without errors, one wrong type is the only one that is found."""
    environ = {"DCV_PASSWORD": "abcdefgh1", "NOTIFY_EMAIL": "a@example.com", "SPLUNK_TOKEN": "x" * 36}
    loaded = loader.load(example, environ=environ)
    for section, raws in loaded.sections.items():
        for name, raw in raws.items():
            for value, path in [*with_a_wrong_type(dict(raw.value))][:: 1 if LONG else 9]:
                one = replace(loaded, sections={section: {name: replace(raw, value=value)}})
                _, found = environment.environment(one, discover())
                wrong = {problem.pos for problem in found if problem.code in (codes.WRONG_TYPE, codes.UNKNOWN_FIELD)}
                if raw.at(path) in wrong:
                    others = [problem for problem in found if problem.code is codes.INVALID_VALUE]
                    assert not [problem for problem in others if problem.pos != raw.at(path)], (path, found)
