"""The setting ``alerts``: what it stands for, what is wrong with it, and what becomes of it in an account."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reconciler.cli import main as cli
from reconciler.kinds.events._alerts import ALERTS, LONGEST_NAME, MOST_QUEUES, expand
from reconciler.model import Address, Derived, Finding, Naming
from reconciler.model.problems import Problems
from reconciler.operations import pipeline
from reconciler.operations.importing import existing
from reconciler.schema import registry

QUEUES = "jobQueues: {a: &q {priority: 1, computeEnvironmentOrder: [{order: 1, computeEnvironment: c}]}, b: *q}\n"
FARGATE = "{type: FARGATE, maxvCpus: 4, subnets: [subnet-1], securityGroupIds: [sg-1]}"
COMPUTE = f"computeEnvironments: {{c: {{type: MANAGED, computeResources: {FARGATE}}}}}\n"
TOPIC = "topics: {ops: {}}\n"
ALL = "alerts: {topic: ops, on: [job-failed, queue-blocked, environment-invalid]}\n"


@pytest.fixture
def read(tmp_path: Path) -> Any:
    def run(text: str, *, name: str = "prod") -> tuple[dict[str, Any], list[str]]:
        """The resources by address, and the problems in a line each."""
        (tmp_path / "environment.yaml").write_text(f"environment: {name}\n{text}", encoding="utf-8")
        try:
            env, found = pipeline.read_environment(tmp_path, {}, strict=True)
        except Problems as error:
            return {}, [
                f"{one.pos.line}:{one.pos.column} {one.code}: {one.message}" for one in error.problems if one.pos
            ]
        return (
            {str(address): resource for address, resource in env.resources.items()},
            [f"{one.pos.line}:{one.pos.column} {one.code}: {one.message}" for one in found if one.pos],
        )

    return run


def pattern(resource: Any) -> Any:
    return {name: str(value) for name, value in resource.props["eventPattern"]["detail"].items()}


def test_three_lines_stand_for_rules_and_a_statement(read: Any) -> None:
    tags = "tags: {team: hpc}\ndefaults: {eventRules: {state: DISABLED, tags: {part: alerts}}}\n"
    found, problems = read(ALL + tags + TOPIC + QUEUES + COMPUTE)

    assert problems == []
    rules = {name: one for name, one in found.items() if name.startswith("eventRules.")}
    assert [*rules] == [f"eventRules.prod-{alert}-to-ops" for alert in ALERTS]
    for rule in rules.values():
        assert rule.at(()).line == 2, "at the line of the setting"
        assert (rule.props["state"], rule.tags) == ("DISABLED", {"team": "hpc", "part": "alerts"}), "as if written"
        assert [*map(str, rule.props["eventPattern"]["detail"]["jobQueue"])] == [
            "${jobQueues.a.arn}",
            "${jobQueues.b.arn}",
        ]
        (target,) = rule.props["targets"]
        assert str(target["arn"]) == "${topics.ops.arn}"
        template, names = target["inputTransformer"]["inputTemplate"], target["inputTransformer"]["inputPathsMap"]
        assert template.startswith('"prod: ') and all(line[0] == line[-1] == '"' for line in template.splitlines())
        assert all(f"<{name}>" in template for name in names) and template.count("<") >= len(names)
    blocked, invalid = (pattern(rules[f"eventRules.prod-{alert}-to-ops"]) for alert in [*ALERTS][1:])
    assert "anything-but" in blocked["statusReason"] and "anything-but" not in invalid["statusReason"]
    topic = found["topics.ops"]
    assert [one["Sid"] for one in topic.props["policy"]["Statement"]] == ["__default_statement_ID", "ReconcileAlerts"]
    assert topic.at(("policy", "Statement", 1)).line == 2

    alone, _ = read("alerts: {topic: ops, on: [queue-blocked]}\n" + TOPIC + QUEUES + COMPUTE)
    assert "statusReason" not in pattern(alone["eventRules.prod-queue-blocked-to-ops"]), (
        "or an invalid one is not reported"
    )


def allowing(**principal: str) -> dict[str, Any]:
    return {"Effect": "Allow", "Principal": principal, "Action": "sns:*", "Resource": "*"}


@pytest.mark.parametrize(
    ("topic", "added"),
    [
        ({"policy": {"Statement": [allowing(AWS="arn:aws:iam::1:root")]}}, True),
        ({"policy": {"Statement": allowing(Service="s3.amazonaws.com")}}, True),
        ({"attributes": {"DisplayName": "x", "Policy": json.dumps({"Statement": [allowing(AWS="1")]})}}, True),
        ({"policy": {"Statement": allowing(Service="events.amazonaws.com")}}, False),
    ],
)
def test_the_statement_is_added_to_those_of_the_user(topic: dict[str, Any], added: bool) -> None:
    declared = {"topics": {"t": topic}, "jobQueues": {"q": {}}}
    made = expand({"topic": "t", "on": ["job-failed"]}, Naming("prod"), declared)

    members = [one.value for one in made if isinstance(one, Derived) and one.members]
    assert bool(members) is added, "or EventBridge may publish already"
    for value in members:
        own, ours = value["policy"]["Statement"]
        assert own["Action"] == "sns:*" and ours["Sid"] == "ReconcileAlerts"
        assert value.get("attributes", {}) == ({"DisplayName": "x"} if "attributes" in topic else {})


def test_lists_unite_what_goes_to_one_topic_and_many_queues_take_several_rules(read: Any) -> None:
    two = (
        "alerts:\n"
        "  - {topic: ops, on: [job-failed], queues: [a]}\n"
        '  - {topic: "${topics.ops.arn}", on: [job-failed, queue-blocked], queues: ["${jobQueues.b.arn}"]}\n'
        "  - {topic: dev, on: [job-failed], queues: [b]}\n"
    )
    found, problems = read(two + "topics: {ops: {}, dev: {}}\n" + QUEUES + COMPUTE)
    assert problems == []
    told = {name.partition(".")[2]: pattern(one)["jobQueue"] for name, one in found.items() if "eventRules" in name}
    assert [*told] == ["prod-job-failed-to-ops", "prod-queue-blocked-to-ops", "prod-job-failed-to-dev"]
    assert told["prod-job-failed-to-ops"].count(".arn") == 2 and "jobQueues.b" in told["prod-job-failed-to-dev"]

    many = {"topics": {"t": {}}, "jobQueues": {f"q{number}": {} for number in range(2 * MOST_QUEUES + 1)}}
    made = [
        one for one in expand({"topic": "t", "on": ["job-failed"]}, Naming("e" * 63), many) if isinstance(one, Derived)
    ]
    names = [one.address.name for one in made if not one.members]
    assert len({*names}) == 3 and all(len(name) <= LONGEST_NAME for name in names), names
    made = list(expand({"topic": "t", "on": ["job-failed"]}, Naming("prod", "x-"), many))
    names = [one.address.name for one in made if isinstance(one, Derived) and not one.members]
    assert names == ["job-failed-to-t", "job-failed-to-t-2", "job-failed-to-t-3"], "the prefix makes them unique"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("alerts: {topic: ops, on: [job-faild]}", '2:27 invalid-value: alerts.on.0 cannot be the text "job-faild"'),
        ("alerts: {topic: opps, on: [job-failed]}", '2:10 unknown-reference: there is no topic "opps" in this environ'),
        ("alerts: {topic: ops, on: [job-failed], queues: [x]}", '2:49 unknown-reference: there is no job queue "x"'),
        ("alerts: {topic: 'arn:aws:sns:eu-west-1:1:x', on: [job-failed]}", "2:10 foreign-topic: the topic x is not de"),
        ('alerts: {topic: "${lookups.x}", on: [job-failed]}\nlookups: {x: {ssmParameter: /a}}', "2:10 foreign-topic"),
        (
            "alerts: {topic: ops, on: [job-failed]}\neventRules: {prod-job-failed-to-ops: {eventPattern: {source: [x]}}}",
            "2:27 duplicate-resource: alerts stands for eventRules.prod-job-failed-to-ops, which is declared as well",
        ),
        ("alerts: [{topic: ops, on: []}]", "2:23 out-of-range"),
        ("alerts: {topic: ops}", "2:1 missing-field: on is missing in alerts"),
    ],
)
def test_what_is_wrong_is_said_at_its_place(text: str, problem: str, read: Any) -> None:
    _, problems = read(f"{text}\n{TOPIC}{QUEUES}{COMPUTE}")

    assert [one for one in problems if one.startswith(problem)], problems


def test_an_environment_without_queues_has_nothing_to_report(read: Any) -> None:
    assert read(ALL + TOPIC)[1] == ["2:1 missing-field: there is no job queue in this environment to send alerts of"]
    (found,) = expand({"topic": "x", "on": ["job-failed"]}, Naming("e"), {})
    assert isinstance(found, Finding) and found.path == ("topic",)


def test_the_schema_allows_the_alerts_there_are() -> None:
    schema = json.loads((registry.directory() / "settings.schema.json").read_text(encoding="utf-8"))

    assert schema["$defs"]["alert"]["properties"]["on"]["items"]["enum"] == [*ALERTS]


def test_they_are_explained_and_completed_as_what_is_written(
    read: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    read(ALL + TOPIC + QUEUES + COMPUTE)
    monkeypatch.chdir(tmp_path)

    cli.main(["explain", "eventRules.prod-job-failed-to-ops.eventPattern", "."], leave=lambda _: None)
    assert "environment.yaml:2" in capsys.readouterr().out
    monkeypatch.setenv("_RECONCILE_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "reconcile plan --target eventRules.prod-q")
    monkeypatch.setenv("COMP_CWORD", "3")
    cli.main([], leave=lambda _: None)
    assert capsys.readouterr().out.split() == ["eventRules.prod-queue-blocked-to-ops"]
    assert Address("eventRules", "prod-job-failed-to-ops") in existing.read(tmp_path, {}).declared, "not imported again"
