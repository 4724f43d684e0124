"""Resources that passed their own checks: whatever would be found is found, with what an earlier run kept or without."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from reconciler.checks import environment
from reconciler.checks.passed import Passed
from reconciler.config import loader
from reconciler.config.loader import DeclaredResource, LoadedEnvironment
from reconciler.kinds import discover
from reconciler.kinds.scheduler import _schedule_checks
from reconciler.model import Environment
from reconciler.model.problems import Problem, Problems
from reconciler.schema import registry
from tests.support.long import LONG
from tests.support.tables import cases

TOP = Path(__file__).parents[2]
ENVIRON = {"DCV_PASSWORD": "abcdefgh1", "NOTIFY_EMAIL": "a@example.com", "SPLUNK_TOKEN": "x" * 36}
EXAMPLES = sorted(path for path in (TOP / "environments").iterdir() if path.is_dir())
MISTAKES = [case for file in sorted((TOP / "tests" / "data" / "mistakes").glob("*.yaml")) for case in cases(file)]


def judged(loaded: LoadedEnvironment, earlier: frozenset[bytes]) -> tuple[Environment, Any, frozenset[bytes]]:
    passed = Passed(earlier)
    env, found = environment.environment(loaded, discover(), passed=passed)
    return env, found, passed.digests()


def is_judged_alike(loaded: LoadedEnvironment) -> int:
    """The number of resources that passed, where a second run finds what the first one did."""
    env, found, digests = judged(loaded, frozenset())
    again = judged(loaded, digests)
    assert again == (env, found, digests)
    return len(digests)


def each_mistake(directory: Path) -> Iterator[LoadedEnvironment]:
    for number, case in enumerate(islice(MISTAKES, 0, None, 1 if LONG else 6)):
        file = directory / f"{number}.yaml"
        file.write_text(case["file"])
        try:
            yield loader.load(file, environ={})
        except Problems:
            continue


def test_a_mistake_is_told_each_time(tmp_path: Path) -> None:
    assert sum(map(is_judged_alike, each_mistake(tmp_path))) > 10


def test_an_example_is_the_same_environment_each_time() -> None:
    counts = {path.name: is_judged_alike(loader.load(path, environ=ENVIRON)) for path in EXAMPLES}
    assert sum(counts.values()) > 100


def odd(value: Any) -> Iterator[Any]:
    """``value`` with each part of it, in turn, replaced by something similar, or removed."""
    yield from (str(value), None, [value], f"{value} ", [], {})
    if isinstance(value, str) and value.isdecimal():
        yield int(value)
    if isinstance(value, bool | int):
        yield from (float(value), not value, bool(value), int(value))
    for key, item in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        for other in odd(item):
            changed = dict(value) if isinstance(value, dict) else list(value)
            changed[key] = other
            yield changed


@pytest.mark.parametrize("section", sorted(discover()))
def test_whatever_changes_is_checked(section: str) -> None:
    documents = registry.shipped()
    for example in documents.documents[documents.by_section[section]]["examples"]:
        raw = DeclaredResource(value=example, pos={(): loader.Pos("f", 1, 1)})
        sound = LoadedEnvironment(name="t", root="", sections={section: {"x": raw}})
        *_, digests = judged(sound, frozenset())
        for value in islice(odd(example), 0, None, 1 if LONG else 17):
            if isinstance(value, dict):
                changed = replace(sound, sections={section: {"x": replace(raw, value=value)}})
                env, found, own = judged(changed, frozenset())
                assert judged(changed, digests | own)[:2] == (env, found)


def passed_in(directory: Path, text: str, **environ: str) -> tuple[tuple[Problem, ...], int]:
    file = directory / "env.yaml"
    file.write_text(f"environment: t\n{text}")
    _, found, digests = judged(loader.load(file, environ=environ), frozenset())
    return found, len(digests)


JOB = """\
jobDefinitions:
  one:
    type: container
    timeout: {attemptDurationSeconds: 600}
    containerProperties:
      image: "busybox:1"
      resourceRequirements: [{type: VCPU, value: "1"}, {type: MEMORY, value: "512"}]
"""


@pytest.mark.parametrize(
    ("more", "passes"),
    [
        ("", True),
        ("      environment: [{name: A, value: b}]\n", True),
        # what may be a secret: nothing of it is kept, and it must be masked again
        ('      environment: [{name: A, value: "${env:A}"}]\n', False),
        ("      environment: [{name: DB_PASSWORD, value: hunter22}]\n", False),
        ("      command: [run, --password=hunter22]\n", False),
        # taken as text: what is declared is not what it stands for
        ("      environment: [{name: A, value: 8}]\n", False),
        # whether a path exists may depend on the installed botocore
        ("    lifecycle: {ignoreChanges: [timeout]}\n", False),
        ("      readonlyRootFilesystem: true\n      privileged: yes please\n", False),
    ],
)
def test_what_is_kept_of_a_resource(tmp_path: Path, more: str, passes: bool) -> None:
    assert passed_in(tmp_path, JOB + more, A="b")[1] is int(passes)


def test_what_the_machine_decides_is_checked_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "env.yaml"
    file.write_text(
        "environment: t\nschedules:\n  s:\n    scheduleExpression: rate(1 hour)\n"
        "    scheduleExpressionTimezone: Europe/Pariss\n    flexibleTimeWindow: {mode: 'OFF'}\n"
        "    target: {arn: 'arn:aws:sqs:eu-west-1:123456789012:q', roleArn: 'arn:aws:iam::123456789012:role/r'}\n"
    )
    loaded = loader.load(file, environ={})
    monkeypatch.setattr(_schedule_checks, "_time_zones", frozenset)
    _, found, digests = judged(loaded, frozenset())
    assert not found
    monkeypatch.undo()
    assert [problem.pos.line for problem in judged(loaded, digests)[1] if problem.pos] == [5]


def test_no_value_of_the_tags_of_all_is_kept_that_a_resource_does_not_have(tmp_path: Path) -> None:
    file = tmp_path / "env.yaml"
    file.write_text(f'environment: t\ntags: {{a: "${{env:A}}"}}\n{JOB}    tags: {{a: b}}\n')
    digests = [judged(loader.load(file, environ={"A": value}), frozenset())[2] for value in "xyb"]
    assert digests[0] == digests[1] != digests[2]


def test_the_name_the_tags_of_all_and_what_is_declared_decide(tmp_path: Path) -> None:
    file = tmp_path / "env.yaml"
    texts = [
        f"environment: t\n{JOB}",
        f"environment: t\nnamePrefix: p-\n{JOB}",
        f"environment: t\ntags: {{a: b}}\n{JOB}",
        f"environment: t\n{JOB.replace('one:', 'two:')}",
        f"environment: t\n{JOB.replace('512', '1024')}",
    ]
    digests = set()
    for text in texts:
        file.write_text(text)
        digests |= judged(loader.load(file, environ={}), frozenset())[2]
    assert len(digests) == len(texts)


def test_what_a_variable_gives_a_resource_counts(tmp_path: Path) -> None:
    file, digests = tmp_path / "env.yaml", []
    for image in ("busybox:1", "busybox:2"):
        file.write_text(
            f"environment: t\nvariables: {{image: '{image}'}}\n{JOB}".replace('"busybox:1"', "${var.image}")
        )
        digests.append(judged(loader.load(file, environ={}), frozenset())[2])
    assert len(digests[0]) == 1 and digests[0] != digests[1]
