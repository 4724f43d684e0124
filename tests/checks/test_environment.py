"""Offline checks, on kinds of our own: what each resource says, and what resources say about each other."""

from itertools import islice
from pathlib import Path

import pytest

from reconciler.checks import environment
from reconciler.config import loader
from reconciler.kinds import discover
from reconciler.model import Address, Lifecycle, Lookup, Pos, Reference, Replace, Template
from reconciler.model.problems import Problems
from reconciler.schema import registry
from tests.support.long import LONG
from tests.support.own_kinds import errors


def test_a_sound_environment_becomes_resources(checked):
    env, found = checked(
        "region: eu-west-1\ntags: {team: x}\nlookups: {v: {vpc: {default: true}}}\n"
        "things:\n"
        "  a: {size: 1, tags: {own: y}}\n"
        '  b: {friend: a, note: "${things.a.arn} ${boxes.c.id} ${lookups.v}"}\n'
        "boxes: {c: {}}\n"
    )

    assert found == []
    assert (env.name, env.region, set(env.lookups)) == ("t", "eu-west-1", {"v"})
    a = env.resources[Address("things", "a")]
    assert a.props == {"size": 1, "expanded": True}
    assert a.tags == {"team": "x", "own": "y"}
    assert a.at(("size",)).line == 6
    assert set(env.resources) == {Address("things", "a"), Address("things", "b"), Address("boxes", "c")}


def test_the_lifecycle_is_read(checked):
    env, found = checked(
        "boxes: {c: {}}\nthings:\n  a:\n    lifecycle:\n      preventDestroy: true\n      ignoreChanges: [size, items.x, map.k]\n"
        "      replace: create-first\n      dependsOn: [boxes.c]\n      adopt: true\n      keepRevisions: 3\n"
        "      drain: terminate\n      drainTimeoutMinutes: 5\n"
    )

    assert found == []
    assert env.resources[Address("things", "a")].lifecycle == Lifecycle(
        prevent_destroy=True,
        ignore_changes=("size", "items.x", "map.k"),
        replace=Replace.CREATE_FIRST,
        depends_on=(Address("boxes", "c"),),
        adopt=True,
        keep_revisions=3,
        drain="terminate",
        drain_timeout_minutes=5,
    )


def test_what_the_kind_finds_gets_its_place_or_the_nearest_above(checked):
    _, found = checked("things:\n  a:\n    size: 13\n    deep: {x: y}\n")

    assert [item[:4] for item in found] == [
        ("error", "invalid-value", "4:5", "13 brings bad luck"),
        ("warning", "invalid-value", "5:5", "too deep"),
    ]


def test_a_kind_is_not_asked_about_what_its_schema_refuses(checked):
    env, found = checked("things: {a: {size: '13'}}\n")

    assert errors(found) == [("wrong-type", "2:14", 'size must be a whole number, not the text "13"')]
    assert env.resources == {}


def test_names_have_an_end_and_may_not_differ_in_case_alone(checked):
    _, found = checked("things:\n  a2345678901: {}\nboxes:\n  box: {}\n  Box: {}\n")

    assert [item[:2] for item in errors(found)] == [("out-of-range", "3:3"), ("duplicate-resource", "6:3")]


def test_a_section_without_a_kind_is_unknown(checked):
    _, found = checked("others:\n  a: {}\n")

    assert [item[:2] for item in errors(found)] == [("unknown-section", "3:3")]


@pytest.mark.parametrize(
    ("tags", "code"),
    [
        ("{'aws:x': y}", "invalid-value"),
        ("{AWS:x: y}", "invalid-value"),
        ("{reconciler/name: y}", "invalid-value"),
        ("{a: true}", "wrong-type"),
        (f"{{{'k' * 129}: y}}", "out-of-range"),
        (f"{{a: {'v' * 257}}}", "out-of-range"),
        (f"{{{', '.join(f'k{n}: v' for n in range(49))}}}", "out-of-range"),
    ],
)
def test_tags_that_aws_would_refuse(checked, tags, code):
    _, found = checked(f"things:\n  a:\n    tags: {tags}\n")

    assert [item[0] for item in errors(found)] == [code]


def test_numbers_are_text_where_aws_wants_text(tmp_path):
    """As they are written: in settings, tags, environment values, commands, amounts and versions."""
    (tmp_path / "e.yaml").write_text(
        """
environment: t
account: 123456789012
tags: {cost: 42}
jobDefinitions:
  j:
    type: container
    timeout: {attemptDurationSeconds: 60}
    parameters: {ratio: 0.5}
    tags: {half: 0.5}
    retryStrategy: {attempts: 2, evaluateOnExit: [{action: RETRY, onExitCode: 1}]}
    containerProperties:
      image: busybox:1
      command: [sleep, 600]
      environment: [{name: A, value: 8}, {name: B, value: -3}]
      resourceRequirements: [{type: VCPU, value: 1}, {type: MEMORY, value: 2048}]
secrets: {s: {value: 12345678}}
"""
    )

    env, found = environment.environment(loader.load(tmp_path / "e.yaml", environ={}), discover())

    assert all(problem.warning for problem in found)
    job = env.resources[Address("jobDefinitions", "j")]
    container = job.props["containerProperties"]
    assert (env.account, env.tags, job.tags) == ("123456789012", {"cost": "42"}, {"cost": "42", "half": "0.5"})
    assert (job.props["parameters"], container["command"]) == ({"ratio": "0.5"}, ["sleep", "600"])
    assert [one["value"] for one in container["environment"]] == ["8", "-3"]
    assert [one["value"] for one in container["resourceRequirements"]] == ["1", "2048"]
    assert job.props["retryStrategy"] == {"attempts": 2, "evaluateOnExit": [{"action": "RETRY", "onExitCode": "1"}]}
    assert env.resources[Address("secrets", "s")].props["value"] == "12345678"


def test_what_many_resources_inherit_is_said_once(checked):
    _, found = checked("tags: {'aws:x': y}\nthings: {a: {}, b: {}, c: {}}\n")

    assert [item[:2] for item in errors(found)] == [("invalid-value", "2:8")]


# --- lifecycle and secrets ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("sizee", 'did you mean "size"?'),
        ("boxes[].bx", 'did you mean "box"?'),
        ("size.x", "size has no members"),
        ("tags.x", "ignoreTags"),
    ],
)
def test_ignored_changes_must_name_a_property(checked, path, hint):
    _, found = checked(f"things:\n  a: {{lifecycle: {{ignoreChanges: ['{path}']}}}}\n")

    assert [item[:2] for item in errors(found)] == [("unknown-field", "3:35")]
    assert hint in found[0][4]


@pytest.mark.parametrize(
    "path", ["size", "boxes[].box", "boxes.0.box", "items.NAME.value", "items[].value", "map.any", "deep"]
)
def test_ignored_changes_may_go_through_lists_and_maps(checked, path):
    assert checked(f"things:\n  a: {{lifecycle: {{ignoreChanges: ['{path}']}}}}\n")[1] == []


def test_a_secret_that_goes_into_the_open_is_a_warning(checked):
    _, found = checked(
        "variables: {v: 'x-${env:DB_PASSWORD}'}\n"
        "things:\n  a:\n    password: ${env:DB_PASSWORD}\n    note: ${var.v}\n    label: ${env:TEAM}\n",
        DB_PASSWORD="hunter2",
        TEAM="x",
    )

    assert [item[:3] for item in found] == [("warning", "secret-in-clear", "6:5")]
    assert "hunter2" not in str(found)


def test_a_sensitive_value_is_in_no_message(checked):
    env, found = checked("things: {a: {note: 'x', size: '${env:API_TOKEN}'}}\n", API_TOKEN="hunter2")

    assert errors(found)
    assert "hunter2" not in str(found)
    assert env.sensitive == {"hunter2"}


def test_warnings_of_loading_are_among_what_is_found(checked):
    _, found = checked("things: {a: {note: }}\n")

    assert [item[:2] for item in found] == [("warning", "idle-null")]


# --- every kind, every value -------------------------------------------------------------------------------------------

WHOLE = Template((Reference("lookups", "${lookups.x}", attr="x"),))
PART = Template(("a-", Reference("region", "${region}"), "-b"))
ODD = (WHOLE, PART, None, True, -1, 1.5, "", "a b", "${x}", [], [None], [[]], [WHOLE], {}, {"": 1}, {"a": WHOLE})


def variants(value):
    """``value`` with each part of it, in turn, replaced by something odd."""
    yield from ODD
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        for odd in variants(item):
            changed = dict(value) if isinstance(value, dict) else list(value)
            changed[key] = odd
            yield changed


@pytest.mark.parametrize("section", sorted(discover()))
def test_whatever_is_declared_is_judged_and_never_a_crash(section):
    documents = registry.shipped()
    pos = {(): Pos("f", 1, 1)}
    lookup = {"x": Lookup(name="x", kind="ssmParameter", args="/x", pos=pos[()])}

    for example in documents.documents[documents.by_section[section]]["examples"]:
        for value in islice(variants(example), 0, None, 1 if LONG else 11):
            if isinstance(value, dict):
                raw = loader.DeclaredResource(value=value, pos=pos)
                env = loader.LoadedEnvironment(name="t", root="", sections={section: {"x": raw}}, lookups=lookup)
                _, found = environment.environment(env, discover())
                assert all(problem.pos for problem in found)


def test_the_example_environments_have_no_errors(request):
    for path in sorted((Path(request.config.rootpath) / "environments").iterdir()):
        if path.is_dir():
            try:
                _, found = environment.environment(loader.load(path, environ={}), discover())
            except Problems as error:
                found = error.problems
            assert [str(problem) for problem in found if not problem.warning] == []
