"""A difference is never cut: whatever differs, old and new can be read from the plan, in every format."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from reconciler.model import EMPTY, MISSING, Effect, Field, Live, Options, Plan, Secret, Want
from reconciler.planning import diff, planner
from reconciler.render import changes, text
from reconciler.render.difference import Line, between, fits, shift
from reconciler.render.mask import Mask
from tests.support.builders import SCOPE, env, kind, live, observed, resource
from tests.support.long import LONG
from tests.support.shown import as_html, as_markdown, as_text

PLAIN = text.Paint(colour=False)
KINDS = {
    "engines": kind(
        "engines",
        fields={
            "fuel": Field(effect=Effect.REPLACE),
            "rows[].code": Field(secret=True),
            "env": Field(key="name"),
            "sets": Field(unordered=True),
        },
    )
}
STEADY = settings(deadline=None, max_examples=80 if LONG else 40)

LONG = "word " * 30
PIECES = [
    "a",
    "b",
    "-t 4",
    "-t 8",
    "10m",
    "1m",
    " ",
    "  ",
    "\t",
    "\n",
    "é",
    "e\u0301",
    "\u00a0",
    "s3:Get*",
    LONG,
    "x" * 130,
]
TEXTS = st.lists(st.sampled_from(PIECES), max_size=14).map("".join)
LEAVES = TEXTS | st.integers(0, 3) | st.booleans() | st.none()
NAMES = st.sampled_from(["Sid", "Action", "Effect", "note"])
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=6) | st.dictionaries(NAMES, inner, max_size=4), max_leaves=14
)


@st.composite
def neighbours(draw: st.DrawFn) -> tuple[Any, Any]:
    """A value, and one that is not quite the same."""
    value = draw(VALUES)
    return value, draw(st.just(other(draw, value)) | VALUES)


def other(draw: st.DrawFn, value: Any) -> Any:
    """``value`` with something put in, left out, or in another place."""
    if isinstance(value, dict) and value:
        name = draw(st.sampled_from(sorted(value)))
        rest = {key: item for key, item in value.items() if key != name}
        return rest if draw(st.booleans()) else {**rest, name: other(draw, value[name])}
    if isinstance(value, list) and value:
        at = draw(st.integers(0, len(value) - 1))
        put = draw(st.sampled_from([[], [other(draw, value[at])], [value[at], value[at]], [draw(VALUES), value[at]]]))
        return [*value[:at], *put, *value[at + 1 :]] if draw(st.booleans()) else value[::-1]
    if isinstance(value, str):
        at = draw(st.integers(0, len(value)))
        return value[:at] + draw(st.sampled_from(["", *PIECES])) + value[at + draw(st.integers(0, 3)) :]
    return draw(LEAVES)


def same(one: Any, two: Any) -> bool:
    """Equality as JSON has it: True is not 1."""
    return repr(one) == repr(two) if not isinstance(one, dict | list) else canonical(one) == canonical(two)


def canonical(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: canonical(value[name]) for name in sorted(value)}
    return [canonical(item) for item in value] if isinstance(value, list) else repr(value)


def lines(old: Any, new: Any) -> list[Line]:
    """What the plan shows between two values."""
    return [Line("~", 0, shift(old, new))] if fits(old, new) else [*between(old, new)]


def changed(shown: list[Line]) -> list[Line]:
    """What is left without the unchanged rest."""
    return [line for line in shown if line.sign]


@STEADY
@given(neighbours())
@example(("a\nb\n", "a\nb"))
@example((["\n", ""], ["", "\n"]))
@example((["a\n", "b\n", LONG], ["a\nb\n", LONG]))
@example(([{"Sid": "a", "note": LONG}, {"Sid": "b"}], [{"Sid": "b"}, {"Sid": "a", "note": LONG}]))
def test_what_differs_is_shown_on_both_sides(pair: tuple[Any, Any]) -> None:
    old, new = pair
    assume(not same(old, new))
    every = lines(old, new)
    shown = changed(every)

    removed, added = ([line.text for line in shown if line.sign == sign] for sign in "-+")
    moved = [line.text for line in every if line.sign != "+"] != [line.text for line in every if line.sign != "-"]
    assert shown
    shifts = [line.text.rpartition(" -> ") for line in shown if line.sign == "~" and " -> " in line.text]
    assert removed != added or moved or any(one != two and not one.endswith(f": {two}") for one, _, two in shifts)


@STEADY
@given(VALUES, neighbours())
@example(LONG + "x", (LONG + "y", LONG + "z"))
@example([{"Sid": "a"}], ([{"Sid": "a"}, {"Sid": "b"}], [{"Sid": "b"}, {"Sid": "a"}]))
@example("", (["a\n", "b\n"], ["a\nb\n"]))
def test_other_values_are_shown_otherwise(value: Any, pair: tuple[Any, Any]) -> None:
    """From one side and what is shown the other side follows: nothing of it was cut."""
    one, two = pair
    assume(not same(one, two))

    assert lines(value, one) != lines(value, two)
    assert lines(one, value) != lines(two, value)


def planned(old: Any, new: Any, **more: Any) -> Plan:
    declared = env(resource("engines", "v8", p=new, **more))
    made, problems = planner.make(declared, KINDS, SCOPE, observed(engines=[live("v8", p=old)]), options=Options())
    assert problems == []
    return made


def comment(made: Plan, mask: Mask) -> str:
    return "\n".join(re.findall(r"```diff\n(.*?)\n```", as_markdown(made, mask), re.DOTALL))


def page(made: Plan, mask: Mask) -> str:
    return unescape("\n".join(re.findall(r"<pre>(.*?)</pre>", as_html(made, mask), re.DOTALL)))


def calls_removed(shown: str) -> str:
    return "\n".join(line for line in shown.splitlines() if not re.match(r" +\d+\. ", line))


FORMATS: list[Any] = [as_text, comment, page]
ACTIONS = [f"service:Action{number}" for number in range(16)]
RULE = {
    "ipProtocol": "tcp",
    "fromPort": 443,
    "toPort": 443,
    "ipRanges": [{"cidrIp": "10.0.0.0/8", "description": "n" * 80}],
}
SCRIPT = "#!/bin/sh\n" + "".join(f"echo step {number}\n" for number in range(12)) + "sort -t {} in\n"
STATEMENT = {"Sid": "Read", "Effect": "Allow", "Action": ACTIONS, "Resource": ["arn:aws:s3:::one/*"]}
CASES = {
    "ninth action": ([STATEMENT], [{**STATEMENT, "Action": [*ACTIONS[:8], "s3:*", *ACTIONS[9:]]}], "Action8", '"s3:*"'),
    "script": (SCRIPT.format(4), SCRIPT.format(8), "sort -t 4 in", "sort -t 8 in"),
    "second rule": ([RULE], [RULE, {**RULE, "ipRanges": [{"cidrIp": "0.0.0.0/0"}]}], "", "0.0.0.0/0"),
    "statement in front": ([STATEMENT], [{"Effect": "Allow", "Action": "*"}, STATEMENT], "", '[0] = {"Action":"*"'),
    "long line": (f"{LONG} 10m {LONG}", f"{LONG} 1m {LONG}", "10m", "1m"),
    "long list": ([*ACTIONS, "-t", "4"], [*ACTIONS, "-t", "8"], '"4"', '"8"'),
    "nested script": (["sh", "-c", SCRIPT.format(4)], ["sh", "-c", SCRIPT.format(8)], "sort -t 4", "sort -t 8"),
    "blank at the end": ("one \\\ntwo\n", "one \\ \ntwo\n", "one \\", "one \\\\\\x20"),
    "control character": ("a\x1b[0m", "a\\x1b[0m", "\\u001b", "\\\\x1b"),
    "long mapping": ({"a": LONG + "1", "b": 1}, {"a": LONG + "2", "b": 1}, '1"', '2"'),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("shown", FORMATS, ids=["text", "markdown", "html"])
def test_both_sides_are_in_every_format(shown: Any, case: str) -> None:
    old, new, was, will_be = CASES[case]
    found = calls_removed(shown(planned(old, new), Mask()))

    assert was in found
    assert will_be in found
    assert len(found.splitlines()) < 25


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("shown", FORMATS, ids=["text", "markdown", "html"])
def test_all_that_is_created_is_shown(shown: Any, case: str) -> None:
    declared = env(resource("engines", "v8", p=CASES[case][1]))
    made, _ = planner.make(declared, KINDS, SCOPE, observed(engines=[]))
    found = calls_removed(shown(made, Mask()))

    leaves = re.findall(r"service:Action\d+|\d+\.0\.0\.0/\d|s3:\*|sort -t 8|1m|n{80}", repr(CASES[case][1]))
    assert all(leaf in found for leaf in leaves)
    assert " ..." not in found


def test_a_comment_marks_lines_as_hosts_colour_them() -> None:
    found = calls_removed(comment(planned(SCRIPT.format(4), SCRIPT.format(8)), Mask())).splitlines()

    assert [line[0] for line in found if "sort" in line] == ["-", "+"]
    assert [line[0] for line in found if "step" in line] == [" "] * 3
    assert found[0].startswith("!   p")


def test_an_unchanged_line_that_looks_like_a_sign_is_none() -> None:
    found = calls_removed(comment(planned("- one\n+ two\nthree\n", "- one\n+ two\nfour\n"), Mask())).splitlines()

    assert [line[0] for line in found if "one" in line or "two" in line] == [" ", " "]


def test_secrets_stay_masked_and_a_changed_one_is_said_to_be() -> None:
    script = "#!/bin/sh\nexport DB_PASSWORD={}\necho {}\n"
    made = planned(script.format("oldone1", "a"), script.format("newone1", "b"))
    found = as_text(made, Mask({"oldone1", "newone1"}))

    assert "oldone" not in calls_removed(found) and "newone" not in calls_removed(found)
    assert "- export DB_PASSWORD=(sensitive)\n" in found
    assert "+ export DB_PASSWORD=(sensitive, changed)\n" in found
    kept = as_text(planned(script.format("same1x", "a"), script.format("same1x", "b")), Mask())
    assert "(sensitive, changed)" not in kept and "same1x" not in kept


def differences(old: Any, new: Any, name: str) -> str:
    own = KINDS["engines"]
    declared = resource("engines", "v8", **{name: new})
    want = Want(
        address=declared.address, physical="v8", props={name: new}, declared={name: new}, tags={}, attrs={}, scope=SCOPE
    )
    found, _, _ = diff.difference(own, Live(physical="v8", props={name: old}, tags={}, attrs={}), want, EMPTY)
    return "\n".join("  " * line.depth + line.sign + line.text for line in changes.lines(found.changes, Mask()))


@settings(STEADY, max_examples=40 if LONG else 20)
@given(VALUES, neighbours())
def test_what_a_plan_does_not_find_equal_is_shown_otherwise(value: Any, pair: tuple[Any, Any]) -> None:
    """As above, with the canonical forms, and with the leaves that the plan compares."""
    one, two = pair
    assume(differences(one, two, "p"))

    assert differences(value, one, "p") != differences(value, two, "p")
    assert differences(one, value, "p") != differences(two, value, "p")


def test_a_secret_field_of_an_element_is_masked() -> None:
    row = {"note": LONG}
    found = differences([{"code": "abcd1", **row}], [{"code": Secret("abcd2"), "more": 1, **row}], "rows")

    assert "abcd" not in found
    assert "rows.0.code  (sensitive) differs" in found
    assert "+more = 1" in found


def test_a_named_secret_of_an_element_is_masked() -> None:
    old, new = ([{"name": "DB_PASSWORD", "value": f"hidden{n}"}, {"name": "A", "value": n}] for n in (1, 2))

    assert "hidden" not in differences(old, new, "env") + differences(old, new, "plain")


def test_a_moved_element_is_a_change_where_the_order_counts() -> None:
    one, two = {"Sid": "one", "note": LONG}, {"Sid": "two", "note": LONG}

    assert "~[1] -> [0]" in differences([one, two], [two, one], "rows")
    assert differences([one, two], [two, one], "sets") == ""


def test_a_removed_list_is_shown() -> None:
    assert "[1].toPort = 1" in differences([RULE, {**RULE, "toPort": 1}], MISSING, "rows")
