"""What people and machines are shown: whole documents, and nothing that could harm whoever reads them.

`UPDATE_GOLDEN=1 pytest tests/render/test_render.py` writes the documents anew, to be reviewed as part of the change.
"""

from __future__ import annotations

import json
import os
import re
from base64 import b64encode
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reconciler.model import Effect, Field, Options, Outcome, Plan, Ref, Secret
from reconciler.planning import planner
from reconciler.render import json as as_json
from reconciler.render import markdown, markup, report, text, view
from reconciler.render.checksum import checksum
from reconciler.render.mask import Mask
from tests.support.builders import OWNED, SCOPE, env, kind, live, observed, resource
from tests.support.plan_schema import valid_plan
from tests.support.shown import as_html, as_markdown, as_text

HERE = Path(__file__).resolve().parents[1] / "data"
PLAIN = text.Paint(colour=False)
STAMP = "2026-01-31T12:00:00Z"

KINDS = {
    "engines": kind("engines", fields={"fuel": Field(effect=Effect.REPLACE), "power": Field(default=1)}),
    "cars": kind("cars", refs={"engine": Ref(section="engines")}, fields={"code": Field(secret=True)}),
    "groups": kind("groups", assigned_by_aws=frozenset({"id"}), attrs=lambda s, n, p: {"name": n}),
    "doors": kind("doors", refs={"group": Ref(section="groups", attr="id")}),
}


def rich() -> Plan:
    """One of everything: create, adopt, update, replace, delete, unknown, secret, and one left alone."""
    declared = env(
        resource("engines", "v8", fuel="diesel"),
        resource("engines", "quiet"),
        resource("cars", "bus", engine="v8", code="new-secret", seats=[1, 2]),
        resource("cars", "found", seats=[3]),
        resource("groups", "g"),
        resource("doors", "left", group="g"),
    )
    seen = observed(
        engines=[live("v8", fuel="gas"), live("quiet", power=1)],
        cars=[
            live("bus", engine="arn:v8", code="old-secret", seats=[1]),
            live("found", {}, seats=[4]),
            live("old", engine="arn:v8"),
        ],
    )
    made, problems = planner.make(declared, KINDS, SCOPE, seen, options=Options(adopt=True), lookups={"vpc": "vpc-1"})
    assert problems == []
    return made


def golden(name: str, shown: str) -> None:
    file = HERE / "golden" / name
    if "UPDATE_GOLDEN" in os.environ:
        file.write_text(shown, encoding="utf-8")
    assert shown == file.read_text("utf-8")


def test_text() -> None:
    golden("rich.txt", as_text(rich(), Mask()) + "\n")


SCRIPT = "#!/bin/sh\nexport DB_PASSWORD={}\necho done\ncurl https://u:{}@host/\n"


def test_passwords_in_user_data_are_in_no_output() -> None:
    """Neither the declared ones nor the live ones, in any format; the rest of a script is shown."""
    declared = env(resource("engines", "v8", userData=SCRIPT.format("newone1", "newone2"), size=2))
    seen = observed(
        engines=[
            live("v8", userData=SCRIPT.format("oldone1", "oldone2"), size=1),
            live("old", userData=SCRIPT.format("oldone3", "oldone4"), command=["x", "--token=oldone5"]),
        ]
    )
    made, _ = planner.make(declared, KINDS, SCOPE, seen, options=Options())
    document = as_json.plan(made, timestamp=STAMP, mask=Mask())
    shown = [json.dumps(document), as_text(made, Mask()), as_markdown(made, Mask()), as_html(made, Mask())]

    assert not [one for one in shown if re.search("oldone|newone", one)]
    assert all("export DB_PASSWORD=(sensitive)" in one and "echo done" in one for one in shown[:1])
    found = {one["path"]: one["sensitive"] for item in document["resource_changes"] for one in item["differences"]}
    assert (found["userData"], found["size"]) == (True, False)


def test_a_live_script_is_masked_by_line_where_the_declared_one_has_a_secret() -> None:
    declared = env(resource("engines", "v8", userData="#!/bin/sh\nlogin u hidden-one\necho two\n"))
    seen = observed(engines=[live("v8", userData="#!/bin/sh\nlogin u other-one\necho one\necho two\n")])
    made, _ = planner.make(declared, KINDS, SCOPE, seen, options=Options())
    mask = Mask({"hidden-one"}).learnt(made)

    document = json.dumps(as_json.plan(made, timestamp=STAMP, mask=mask))
    assert "hidden-one" not in document
    assert "other-one" not in document
    assert "#!/bin/sh" in document
    assert "echo two" in document


def test_what_a_live_command_gives_to_an_option_is_masked_everywhere() -> None:
    declared = env(resource("engines", "v8", command=["run"]))
    commands = ["run", "--password", "oldone"], ["run", "--token", "oldtwo", "--size", "five"]
    seen = observed(engines=[live("v8", command=commands[0]), live("old", command=commands[1])])
    made, _ = planner.make(declared, KINDS, SCOPE, seen, options=Options())
    mask = Mask().learnt(made)

    document = json.dumps(as_json.plan(made, timestamp=STAMP, mask=mask))
    shown = [document, as_text(made, mask), as_markdown(made, mask), as_html(made, mask)]

    assert not [one for one in shown if re.search("oldone|oldtwo", one)]
    assert "five" in document


def test_user_data_in_base64_is_masked_where_it_has_a_secret() -> None:
    mask = Mask()
    plain, private = (b64encode(text.encode()).decode() for text in ("echo one\n", "PASSWORD=abcdef\n"))

    assert mask.value({"UserData": plain}) == {"UserData": plain}
    assert mask.value({"UserData": private, "ImageId": "ami-1"}) == {"UserData": "(sensitive)", "ImageId": "ami-1"}


def test_markdown() -> None:
    golden("rich.md", as_markdown(rich(), Mask()))


def test_json() -> None:
    document = as_json.plan(rich(), timestamp=STAMP, mask=Mask())

    valid_plan(document)
    golden("rich.json", json.dumps(document, indent=2) + "\n")


def test_nothing_to_do() -> None:
    made, _ = planner.make(env(resource("engines", "q")), KINDS, SCOPE, observed(engines=[live("q", power=1)]))

    assert as_text(made, Mask()).endswith("No changes. The account matches the environment.")
    assert "No changes" in as_markdown(made, Mask()) and "<details>" not in as_markdown(made, Mask())


def test_no_form_shows_a_secret() -> None:
    made = rich()
    mask = Mask({"new-secret", "old-secret"})
    shown = [
        as_text(made, mask),
        as_markdown(made, mask),
        as_html(made, mask),
        json.dumps(as_json.plan(made, timestamp=STAMP, mask=mask)),
    ]

    for document in shown:
        assert "secret" not in document.replace("(sensitive)", "").replace("_sensitive", "").replace("sensitive", "")
    assert mask.value({"a": Secret("new-secret"), "b": "x new-secret y"}) == {
        "a": "(sensitive)",
        "b": "x (sensitive) y",
    }


HOSTILE = "a\x1b[31m</pre></details><script>alert(1)</script>```\n| ![x](http://e) `x` \u202eevil"


def hostile() -> Plan:
    declared = env(resource("engines", HOSTILE, note=HOSTILE), resource("engines", "v8", note=HOSTILE))
    seen = observed(engines=[live("v8", {**OWNED, HOSTILE: HOSTILE}, note=f"{HOSTILE}!")])
    return planner.make(declared, KINDS, SCOPE, seen)[0]


def test_nothing_reaches_the_terminal_raw() -> None:
    shown = as_text(hostile(), Mask())

    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", shown)


def test_markdown_and_html_cannot_be_broken_out_of() -> None:
    page, comment = as_html(hostile(), Mask()), as_markdown(hostile(), Mask())
    outside = re.sub(r"(`{3,})(?:text|diff)\n.*?\n\1", "", comment, flags=re.DOTALL)

    assert "<script>" not in outside
    assert page.count("<script>") == 1 and page.count("<details ") == page.count("</details>")
    assert page.count('<details class="group') == outside.count("</details>") == 2
    assert "![x]" not in outside
    assert "|" not in outside


def test_a_comment_has_an_end() -> None:
    declared = env(*(resource("engines", f"e{n}", note=f"{n}" + "x" * 400) for n in range(300)))
    made, _ = planner.make(declared, KINDS, SCOPE, observed())
    comment = as_markdown(made, Mask())

    assert len(comment) <= markdown.LIMIT
    assert "**Left out, since a comment has at most 65,400 characters:**" in comment
    assert comment.count("<details>") == comment.count("</details>")


def test_the_checksum_is_over_what_is_done_and_where() -> None:
    made = rich()
    moved = replace(made, resources=tuple(replace(r, pos=None) for r in made.resources))
    elsewhere = replace(made, scope=replace(SCOPE, account="999999999999"))
    less = replace(made, resources=made.resources[1:])

    assert checksum(made, Mask()) == checksum(moved, Mask())
    assert len({checksum(p, Mask()) for p in (made, elsewhere, less)}) == 3


@pytest.mark.parametrize("interrupted", [False, True])
def test_the_report_lists_what_failed_and_what_never_started(interrupted: bool) -> None:
    made = rich()
    steps = [s.id for s in made.steps]
    outcome = Outcome(
        done=tuple(s for s in steps if s.startswith("groups")),
        failed=tuple(s for s in steps if s == "cars.bus:up.0"),
        never_started=tuple(s for s in steps if not s.startswith(("groups", "cars.bus:up.0"))),
        interrupted=interrupted,
    )
    shown = report.of(made, outcome, {"cars.bus:up.0": "AccessDenied: no"}, 12.3, Mask())

    assert ("Interrupted" if interrupted else "Stopped") + " after 12 s: 1 created." in shown
    assert "cars.bus failed at test:Update" in shown and "AccessDenied: no" in shown
    assert "doors.left not started" in shown
    assert "run the same command again" in shown


def test_colours_only_when_asked() -> None:
    made: Any = rich()

    assert "\x1b[" not in as_text(made, Mask())
    assert "\x1b[32m+" in text.plan(view.of(made, Mask()), text.Paint(colour=True))


@pytest.mark.parametrize("name", ["~_", "!_a", ":_x:", "$_", "~label"])
def test_what_hosts_link_is_parted(name: str) -> None:
    """A host reads a label, a request or a snippet in them, underlines included."""
    assert "<!-- -->" in markup.plain(name)
