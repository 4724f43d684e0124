"""A plan that is written and read again is shown as before, and nothing secret is written."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest

from reconciler.model import Options, Plan, Pos, problem_codes
from reconciler.model.problems import Problem
from reconciler.planning import planner
from reconciler.render import html, markdown, stored, text, view
from reconciler.render.mask import Mask
from tests.render.test_render import KINDS, hostile, rich
from tests.support.builders import SCOPE, env, live, observed, resource
from tests.support.shown import PLAIN
from tests.support.views import made

HIDDEN = "s3cr3t-that-nobody-may-see"
LINES = f"first line of it\n{HIDDEN}\nlast line of it"


def again(viewed: view.View) -> view.View:
    return stored.read(json.loads(json.dumps(stored.write(viewed))))


def script(one: str, two: str = "end") -> str:
    return f"#!/bin/sh\nexport DB_PASSWORD={one}\necho {two}\ncurl https://u:{one}@host/\n"


def planned(before: dict[str, Any], after: dict[str, Any]) -> Plan:
    declared = env(resource("engines", "v8", **after), resource("engines", "new", **after))
    made, _ = planner.make(
        declared, KINDS, SCOPE, observed(engines=[live("v8", **before), live("old", **before)]), options=Options()
    )
    return made


SECRETS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "scripts": ({"userData": script("oldone-pw")}, {"userData": script("newone-pw", "done")}),
    "base64": (
        {"userData": b64encode(script("oldone-pw").encode()).decode()},
        {"userData": b64encode(script("newone-pw").encode()).decode()},
    ),
    "names": (
        {"environment": [{"name": "DB_PASSWORD", "value": "oldone-pw"}, {"name": "A", "value": "1"}], "token": "x"},
        {"environment": [{"name": "A", "value": "2"}, {"name": "DB_PASSWORD", "value": "newone-pw"}], "token": "yy"},
    ),
    "commands": ({"command": ["x", "--password", "oldone-pw"]}, {"command": ["x", "--password", "newone-pw", "y"]}),
    "inside": ({"text": f"a {HIDDEN} b"}, {"text": f"a {HIDDEN} c {HIDDEN[::-1]}", "other": f'"{HIDDEN}"'}),
    "of several lines": ({"text": f"a\n{LINES}\nb"}, {"text": f"a\n{LINES}\nc"}),
    "that differ alone": ({"text": f"a\nx {HIDDEN}\nb"}, {"text": f"a\nx {HIDDEN[::-1]}\nb"}),
    "short": ({"pin": "abc", "text": 'a "abc" abc'}, {"pin": "xyz", "text": 'a "xyz" abc'}),
}


@pytest.mark.parametrize("name", SECRETS)
def test_secrets_are_shown_as_they_were_and_are_not_written(name: str) -> None:
    plan = planned(*SECRETS[name])
    viewed = view.of(plan, Mask({HIDDEN, HIDDEN[::-1], LINES, "abc", "xyz"}, {"abc", "xyz"}).learnt(plan))
    written, shown = json.dumps(stored.write(viewed)), text.plan(viewed, PLAIN, verbose=True)

    assert stored.read(json.loads(written)) == viewed
    for secret in ("oldone-pw", "newone-pw", HIDDEN, HIDDEN[::-1], b64encode(b"oldone-pw").decode()[:8]):
        assert secret not in written or secret in shown, secret


def test_everything_is_shown_as_it_was() -> None:
    """Also where texts are hostile: they are read as they are shown."""
    pos = Pos("a.yaml", 1, 2)
    found = [
        Problem(code=problem_codes.ADVICE, message="one\ntwo", hint="do", warning=True, note=note, pos=place)
        for note in (False, True)
        for place in (None, pos)
    ]
    for plan in (rich(), hostile()):
        viewed = view.of(plan, Mask(), problems=found, root="a/", facts={"planned": "today"})
        after = again(viewed)
        assert after == viewed
        assert text.plan(after, PLAIN, verbose=True) == text.plan(viewed, PLAIN, verbose=True)
        assert (markdown.plan(after), html.plan(after)) == (markdown.plan(viewed), html.plan(viewed))
    assert again(made([])) == made([])


@pytest.mark.parametrize("wrong", [None, [], "x", {"groups": [{"entries": 1}]}, {"summary": 1}, {"no": "member"}])
def test_what_is_no_plan_is_refused(wrong: Any) -> None:
    right = stored.write(view.of(rich(), Mask()))

    with pytest.raises((ValueError, TypeError, KeyError, AttributeError)):
        stored.read({**right, **wrong} if isinstance(wrong, dict) else wrong)
