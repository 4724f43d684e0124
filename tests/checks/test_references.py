"""References without AWS: what leads nowhere, circles, and names that are nearly one of ours."""

import pytest

from tests.support.own_kinds import errors


@pytest.mark.parametrize(
    ("expression", "message", "hint"),
    [
        ("${thigns.a.arn}", "there is no section thigns", 'did you mean "things"?'),
        ("${things.aa.arn}", "things.aa is not declared", 'did you mean "a"?'),
        ("${boxes.a.arn}", "boxes.a is not declared", "did you mean things.a?"),
        ("${boxes.zzzzz.arn}", "boxes.zzzzz is not declared", "declared in boxes: one of c"),
        ("${things.a.id}", "things.a has no id", "it has arn, name"),
        ("${boxes.c.idd}", "boxes.c has no idd", 'did you mean "id"?'),
        ("${lookups.x}", "there is no look-up x", "declare it under lookups:"),
    ],
)
def test_an_expression_that_leads_nowhere(checked, expression, message, hint):
    _, found = checked(f"boxes: {{c: {{}}}}\nthings:\n  a: {{}}\n  b:\n    note: 'x {expression}'\n")

    assert errors(found) == [("unknown-reference", "6:5", f"{expression}: {message}")]
    assert hint in found[0][4]


def test_expressions_in_tags_are_judged_too(checked):
    _, found = checked("things:\n  b: {tags: {x: '${things.c.arn}'}}\n")

    assert [item[:2] for item in errors(found)] == [("unknown-reference", "3:14")]


def test_a_broken_resource_may_still_be_referred_to(checked):
    _, found = checked("things:\n  a: {size: x}\n  b: {note: '${things.a.whatever}', friend: a}\n")

    assert [item[0] for item in errors(found)] == ["wrong-type"]


@pytest.mark.parametrize(
    ("target", "hint"),
    [
        ("boxes.cc", "did you mean boxes.c?"),
        ("c", "as in roles."),
        ("box.c", "did you mean boxes.c?"),
        ("3x", "as in roles."),
    ],
)
def test_depends_on_must_name_what_is_declared(checked, target, hint):
    _, found = checked(f"boxes: {{c: {{}}}}\nthings:\n  a: {{lifecycle: {{dependsOn: [{target}]}}}}\n")

    assert [item[:2] for item in errors(found)] == [("unknown-reference", "4:31")]
    assert hint in found[0][4]


@pytest.mark.parametrize(
    "yaml",
    [
        "things: {b: {friend: a}, a: {friend: b}}\n",
        "things: {b: {note: '${things.a.arn}'}, a: {friend: b}}\n",
        "things: {b: {lifecycle: {dependsOn: [things.a]}}, a: {tags: {x: '${things.b.arn}'}}}\n",
    ],
)
def test_a_circle_is_printed_from_a_stable_start(checked, yaml):
    _, found = checked(yaml)

    assert [item[0::2] for item in errors(found)] == [
        ("reference-cycle", "dependency cycle: things.a -> things.b -> things.a")
    ]


def test_two_circles_are_both_told(checked):
    _, found = checked("things: {a: {friend: b}, b: {friend: a}, c: {friend: d}, d: {friend: c}, e: {friend: c}}\n")

    assert [item[2][-22:] for item in errors(found)] == [
        "things.a -> things.b -> things.a"[-22:],
        "things.c -> things.d -> things.c"[-22:],
    ]


@pytest.mark.parametrize(
    "yaml",
    [
        "things: {a: {friends: [b]}, b: {friends: [a]}}\n",
        "things: {a: {note: '${things.a.arn}'}}\n",
        "things: {a: {friends: [b, a]}, b: {friend: a}}\n",
    ],
)
def test_late_references_and_oneself_are_no_circle(checked, yaml):
    assert checked(yaml)[1] == []


def test_look_ups_may_need_each_other_but_not_in_a_circle_nor_resources(checked):
    _, found = checked(
        "lookups:\n"
        "  a: {ssmParameter: '/${lookups.b}'}\n"
        "  b: {ssmParameter: '/${lookups.a}'}\n"
        "  c: {ssmParameter: '/${things.x.arn}'}\n"
        "  d: {ssmParameter: '/${lookups.a}/${region}'}\n"
        "things: {x: {}}\n"
    )

    assert [item[:2] for item in errors(found)] == [("lookup-cycle", "3:3"), ("bad-expression", "5:3")]


@pytest.mark.parametrize(
    ("props", "hint"),
    [
        ("friend: compute-o", 'did you mean "compute-0"?'),
        ("label: gian-box", 'did you mean "giant-box"?'),
        ("friend: giant-box", "boxes.giant-box is declared, but here it takes one of things"),
    ],
)
def test_a_name_that_is_nearly_one_of_ours_is_a_warning(checked, props, hint):
    _, found = checked(f"boxes: {{giant-box: {{}}}}\nthings:\n  compute-0: {{}}\n  x: {{{props}}}\n")

    assert [item[:3] for item in found] == [("warning", "undeclared-name", "5:7")]
    assert hint in found[0][4]


@pytest.mark.parametrize(
    "props",
    [
        "friend: elsewhere",
        "friend: 'arn:aws:x:us-east-1:123456789012:y'",
        "boxes: [{box: box-123}]",
        "label: compute-0",
    ],
)
def test_other_names_are_left_to_the_plan(checked, props):
    assert checked(f"boxes: {{giant-box: {{}}}}\nthings:\n  compute-0: {{}}\n  x: {{{props}}}\n")[1] == []
