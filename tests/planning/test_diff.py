"""Canonical form and differences: no phantom ones, no missed ones."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.model import MISSING, Address, Effect, JsonText, Kind, Later, Live, Secret, Text, Want
from reconciler.planning import diff
from reconciler.planning.canonical import canonical, sort_key, with_defaults
from tests.support.builders import SCOPE
from tests.support.long import LONG
from tests.support.things import THING, props, scalars


def compare(
    live: dict[str, Any], wanted: dict[str, Any], members: Any = None, of: Kind = THING
) -> dict[str, tuple[Any, Any]]:
    change = changes(live, wanted, members, of)
    return {".".join(map(str, c.path)): (c.before, c.after) for c in change}


def changes(live: dict[str, Any], wanted: dict[str, Any], members: Any = None, of: Kind = THING) -> Any:
    want = Want(
        address=Address("things", "t"),
        physical="t",
        declared=wanted,
        props=with_defaults(of, wanted),
        tags={},
        attrs={},
        scope=SCOPE,
    )
    return diff.difference(of, Live(physical="t", attrs={}, props=live), want, members or {})[0].changes


@pytest.mark.parametrize(
    ("live", "wanted", "reason"),
    [
        ({"state": "ON"}, {}, "a default is what absence means"),
        ({}, {"state": "ON"}, "and saying it is the same"),
        ({"a": [], "b": {}, "c": None}, {}, "empty and absent are alike"),
        ({"set": ["b", "a"]}, {"set": ["a", "b"]}, "a set has no order"),
        ({"set": ["b", "a", "a"]}, {"set": ["a", "b"]}, "nor repeats"),
        (
            {"env": [{"name": "B", "value": 1}, {"name": "A"}]},
            {"env": [{"name": "A"}, {"name": "B", "value": "1"}]},
            "keyed",
        ),
        ({"size": {"unit": "GB"}}, {"size": {"unit": "gb"}}, "normal forms"),
        ({"filled": {"x": 1}}, {}, "the service fills it in"),
        ({"inner": {"filled": 1, "a": 2}}, {"inner": {"a": 2}}, "also below"),
        ({"inner": {"filled": 1}}, {}, "also alone below"),
        ({"moves": 1}, {"moves": 2}, "the service moves it"),
        ({"sub": {"level": 3, "x": 1}}, {"sub": {"x": 1}}, "defaults below"),
        ({"n": 1}, {"n": 1.0}, "numbers are numbers"),
    ],
)
def test_no_phantom_differences(live: dict[str, Any], wanted: dict[str, Any], reason: str) -> None:
    assert compare(live, wanted) == {}, reason


@pytest.mark.parametrize(
    ("live", "wanted", "expected"),
    [
        ({"state": "OFF"}, {}, {"state": ("OFF", "ON")}),
        ({"extra": 1}, {}, {"extra": (1, MISSING)}),
        ({}, {"extra": 1}, {"extra": (MISSING, 1)}),
        ({"set": ["a"]}, {"set": ["a", "b"]}, {"set": (["a"], ["a", "b"])}),
        ({"env": [{"name": "A", "value": "1"}]}, {"env": [{"name": "A", "value": "2"}]}, {"env.A.value": ("1", "2")}),
        ({"env": [{"name": "__A", "value": "1"}]}, {}, {"env.__A.value": ("1", MISSING)}),
        (
            {"env": [{"name": ["A"]}]},
            {"env": [{"name": ["B"]}]},
            {"env.['A']": ({}, MISSING), "env.['B']": (MISSING, {})},
        ),
        ({"list": ["a", "b"]}, {"list": ["b", "a"]}, {"list": (["a", "b"], ["b", "a"])}),
        ({"rows": [{"x": 1}]}, {"rows": [{"x": 2}]}, {"rows.0.x": (1, 2)}),
        ({"filled": 1}, {"filled": 2}, {"filled": (1, 2)}),
        ({"flag": False}, {"flag": True}, {"flag": (False, True)}),
        ({"text": "1"}, {"text": 1}, {"text": ("1", 1)}),
        ({"a": {"b": 1}}, {"a": "b"}, {"a": (MISSING, "b"), "a.b": (1, MISSING)}),
    ],
)
def test_no_missed_differences(live: dict[str, Any], wanted: dict[str, Any], expected: dict[str, Any]) -> None:
    assert compare(live, wanted) == expected


def test_effects_are_those_of_the_deepest_rule_that_has_one() -> None:
    found = {
        c.path: (c.effect, c.because)
        for c in changes({"scaled": 1, "size": {"unit": "gb"}}, {"scaled": 2, "docs": {"d": {"x": 1}}})
    }

    assert found == {
        ("scaled",): (Effect.SCALING, "from 1"),
        ("size", "unit"): (Effect.REPLACE, ""),
        ("docs", "d", "x"): (Effect.INFRASTRUCTURE, ""),
    }


def test_a_secret_is_seen_to_differ_and_never_shown() -> None:
    (change,) = changes({"password": "old"}, {"password": "new"})

    assert change.secret
    assert (change.before, change.after) == ("(sensitive)", "(sensitive)")


def test_what_only_aws_can_say_is_unknown() -> None:
    later = Later(Address("things", "x"), "id")
    for value in (later, Text(("a", later)), JsonText({"a": later}), [later]):
        (change,) = changes({"ref": "sg-1"}, {"ref": value})
        assert change.unknown


def test_members_nobody_knows_are_not_drift_unless_declared() -> None:
    members = {"known": {}, "deep": {"a": {}}, "free": {"*": {}}}
    live = {"known": 1, "new": 2, "deep": {"a": 1, "b": 2}, "free": {"x": 1}}

    assert compare(live, {"known": 1, "deep": {"a": 1}, "free": {"x": 1}}, members) == {}
    assert compare(live, {"known": 1, "new": 3, "deep": {"a": 1}, "free": {}}, members) == {
        "new": (2, 3),
        "free.x": (1, MISSING),
    }


def test_ignored_changes_keep_the_live_value() -> None:
    live = {"a": {"b": 1, "c": 2}, "env": [{"name": "X", "value": "live"}, {"name": "Y", "value": "live"}]}
    want = {"a": {"b": 9, "c": 9}, "env": [{"name": "X", "value": "want"}, {"name": "Y", "value": "want"}], "n": 1}

    kept = diff.keep_ignored(THING, live, want, ["a.b", "env.X", "n"])
    assert kept["a"] == {"b": 1, "c": 9}
    assert {e["name"]: e["value"] for e in kept["env"]} == {"X": "live", "Y": "want"}
    assert "n" not in kept


@given(props)
def test_nothing_differs_from_itself(value: dict[str, Any]) -> None:
    assert compare(value, value) == {}


@given(props, props)
def test_differences_are_symmetric_and_name_every_change(one: dict[str, Any], other: dict[str, Any]) -> None:
    there, back = compare(one, other), compare(other, one)

    assert {path: (b, a) for path, (a, b) in back.items()} == there
    assert bool(there) == (sort_key(canonical(THING, one)) != sort_key(canonical(THING, other)))


@given(
    st.lists(
        st.fixed_dictionaries({"name": st.sampled_from("ABCD"), "value": scalars}),
        max_size=4,
        unique_by=lambda e: e["name"],
    ),
    st.randoms(),
)
def test_keyed_lists_and_sets_have_no_order(items: list[Any], random: Any) -> None:
    shuffled = random.sample(items, len(items))
    names_of = [e["name"] for e in items]

    assert compare({"env": items, "set": names_of}, {"env": shuffled, "set": [e["name"] for e in shuffled]}) == {}


few = st.sampled_from([None, "ON", "a", 3, 0, False, "", [], {}, ["a"], {"x": None}])
fields = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("state", "size", "filled", "moves", "odd"), few),
        "set": st.lists(st.sampled_from("ab"), max_size=3),
        "env": st.lists(st.fixed_dictionaries({"name": st.sampled_from("AB")}, optional={"value": few}), max_size=2),
        **dict.fromkeys(
            ("sub", "inner", "docs", "size"),
            st.fixed_dictionaries({}, optional=dict.fromkeys(("level", "filled", "x"), few)),
        ),
    },
)


@settings(max_examples=300 if LONG else 40, deadline=None)
@given(fields, fields, st.sets(st.sampled_from(["state", "size", "filled", "odd", "set", "env", "sub", "inner"])))
def test_what_is_told_alike_at_a_glance_is_alike_at_length(
    one: dict[str, Any], other: dict[str, Any], theirs: set[str]
) -> None:
    live = {**one, **{name: other[name] for name in theirs if name in other}}
    wanted = {name: item for name, item in one.items() if name not in theirs or name in other}
    glance = changes(live, wanted)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(diff, "_surely_equal", lambda *_: False)
        assert changes(live, wanted) == glance


odd_scalars = st.sampled_from(
    [None, True, False, 0, 1, 1.0, 2, 2.5, "", "1", "a", "a\nb", "{}", "[]", "__x", Later(Address("a", "b"), "arn")]
)
odd_names = st.sampled_from(["a", "b", "__x", "__class__", "0", "1", "it's", 'say "x"', "a.b", "root['a']", "a b", ""])
structures = st.dictionaries(
    odd_names,
    st.recursive(
        odd_scalars,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(odd_names, inner, max_size=4),
        max_leaves=15,
    ),
    max_size=4,
)


def flat(value: Any, path: tuple[Any, ...] = ()) -> dict[tuple[Any, ...], Any]:
    """Every leaf by its path, a list of scalars being one."""
    if isinstance(value, dict) and (value or not path):
        below = value.items()
    elif isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        below = enumerate(value)
    else:
        return {path: value}
    return {at: leaf for name, item in below for at, leaf in flat(item, (*path, name)).items()}


@settings(max_examples=300 if LONG else 40, deadline=None)
@given(structures, structures, st.booleans(), st.data())
def test_every_leaf_that_differs_is_found_and_no_other(
    old: dict[str, Any], new: dict[str, Any], related: bool, data: st.DataObject
) -> None:
    if related:  # most of what is compared differs in little
        new = {**old, **{name: new[name] for name in data.draw(st.sets(st.sampled_from(sorted(new) or [""]))) & {*new}}}
    before, after = flat(old), flat(new)
    paths = [
        path
        for path in {**before, **after}
        if sort_key(before.get(path, MISSING)) != sort_key(after.get(path, MISSING))
        or (path in before) != (path in after)
    ]
    expected = {path: (before.get(path, MISSING), after.get(path, MISSING)) for path in paths}

    found = diff._differing(old, new)
    assert {path: tuple(map(repr, pair)) for path, pair in found.items()} == {
        path: tuple(map(repr, pair)) for path, pair in expected.items()
    }
    assert list(found) == sorted(found, key=lambda path: [str(part) for part in path])


def test_secrets_do_not_show_in_any_representation() -> None:
    assert "hunter2" not in f"{Secret('hunter2')!r} {Secret({'a': 'hunter2'})}"
