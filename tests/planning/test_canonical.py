"""The one form in which properties are compared: what is the same to AWS looks the same."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from reconciler.model import MISSING, Address, JsonText, Later, Text
from reconciler.planning.canonical import canonical, sort_key, with_defaults
from tests.support.things import THING, props

ID = Later(Address("things", "a"), "id")


@given(props)
def test_canonical_is_idempotent(value: dict[str, Any]) -> None:
    once = canonical(THING, value)
    assert canonical(THING, once) == once


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        ({}, {"state": "ON"}),
        ({"state": None}, {"state": "ON"}),
        ({"state": {"x": {}}}, {"state": "ON"}),
        ({"state": ""}, {"state": ""}),
        ({"state": "OFF", "a": [], "b": {}, "c": None}, {"state": "OFF"}),
        ({"a": "", "b": 0, "c": False}, {"a": "", "b": 0, "c": False, "state": "ON"}),
        ({"sub": {}}, {"state": "ON", "sub": {"level": 3}}),
        ({"sub": {"level": 4}}, {"state": "ON", "sub": {"level": 4}}),
        ({"moves": 1}, {"state": "ON"}),
        ({"set": ["b", "a", "b"]}, {"set": ["a", "b"], "state": "ON"}),
        (
            {"env": [{"name": "B", "value": 1}, {"name": "A", "value": 2}]},
            {"env": [{"name": "A", "value": "2"}, {"name": "B", "value": "1"}], "state": "ON"},
        ),
        ({"size": {"unit": "GB"}}, {"size": {"unit": "gb"}, "state": "ON"}),
        ({"list": ["b", "a"]}, {"list": ["b", "a"], "state": "ON"}),
    ],
)
def test_the_canonical_form(declared: dict[str, Any], expected: dict[str, Any]) -> None:
    found = canonical(THING, declared)

    assert found == expected
    assert list(found) == sorted(found)


def test_defaults_are_left_out_where_they_are_not_asked_for() -> None:
    assert canonical(THING, {"sub": {"other": 1}}, fill=False) == {"sub": {"other": 1}}


def test_defaults_are_filled_in_where_their_parent_is_and_nothing_is_copied_for_nothing() -> None:
    whole = {"state": "OFF", "sub": {"level": 1}}

    assert with_defaults(THING, {"sub": {}}) == {"sub": {"level": 3}, "state": "ON"}
    assert with_defaults(THING, whole)["sub"] is whole["sub"]


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        (1, 1.0, True),
        (1, "1", False),
        (1, True, False),
        (None, MISSING, False),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        (["a", "b"], ["b", "a"], False),
        (Text(("x-", ID)), Text(("x-", Later(Address("things", "a"), "id"))), True),
        (Text(("x-", ID)), Text(("y-", ID)), False),
        (ID, Later(Address("things", "b"), "id"), False),
        (JsonText({"a": [ID]}), JsonText({"a": [ID]}), True),
        (JsonText({"a": 1}), {"a": 1}, False),
    ],
)
def test_what_is_equal_has_the_same_key(one: Any, other: Any, alike: bool) -> None:
    assert (sort_key(one) == sort_key(other)) is alike
