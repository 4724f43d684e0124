"""The comment on a pull request: what a reviewer must see is there, in little room, too."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.model import Pos
from reconciler.model.problems import Problem
from reconciler.render import banner, markdown
from reconciler.render.difference import Line
from reconciler.render.view import Entry, LookupView, View, grouped
from tests.support.long import LONG

SIGNS = {"create": "+", "update": "~", "replace": "-/+", "delete": "-", "adopt": "&"}
PLACE = re.compile(r"batch\.yaml:\d+")


def entry(address: str, verb: str = "update", **more: Any) -> Entry:
    section, _, name = address.partition(".")
    lines = (Line("~", 1, 'image  "lab:1.4" -> "lab:1.5"'),)
    given: dict[str, Any] = {"reason": "image differs", "lines": lines, "core": lines, "unchanged": 3, **more}
    return Entry(address=address, section=section, name=name, verb=verb, sign=SIGNS[verb], **given)


def a_view(*entries: Entry, **more: Any) -> View:
    summary = f"Plan: {len(entries)} to change."
    return View(
        environment="prod",
        account="123456789012",
        region="eu-west-1",
        place="eu-west-1",
        **{"summary": summary, "groups": grouped(entries), **more},
    )


def read(comment: str) -> str:
    """What stands in it for its readers, less the marks of a quote."""
    return unescape(re.sub(r"<!-- -->|</?code>", "", comment)).replace("\n> ", "\n")


def named(shown: str) -> set[str]:
    """All names in a text, those in ranges included."""
    found: set[str] = set()
    for word in re.findall(r"[\w.-]+(?:\{\d+\.\.\d+\}[\w.-]*)?", shown):
        if run := re.fullmatch(r"(.*)\{(\d+)\.\.(\d+)\}(.*)", word):
            numbers = range(int(run[2]), int(run[3]) + 1)
            found |= {f"{run[1]}{str(n).zfill(len(run[2]))}{run[4]}" for n in numbers}
        found.add(word)
    return found


def of_banner(comment: str) -> str:
    return "\n".join(re.findall(r"(?m)^>.*", comment.partition("> [!CAUTION]")[2].partition("\n\n")[0]))


def well_formed(comment: str) -> bool:
    """Every fence is closed by one like it, every fold too, and the mark is there."""
    fence = ""
    for line in (line.removeprefix("> ") for line in comment.splitlines()):
        if fence:
            fence = "" if line == fence else fence
        elif opened := re.match(r"`{3,}", line):
            fence = opened[0]
    folds = len(re.findall(r"<details(?: open)?>", comment)), comment.count("</details>")
    return not fence and folds[0] == folds[1] and comment.rstrip().endswith("-->")


# --- what is where ---------------------------------------------------------------------------------------------------

OPEN_PORT = Problem(
    code="open-to-world",  # type: ignore[arg-type]
    message="port 22 is open to 0.0.0.0/0",
    hint="name the networks that need it",
    warning=True,
    address="securityGroups.login",
    pos=Pos("network.yaml", 12, 5),
)
ALIGN = [f"align-{number:03}" for number in range(1, 481)]
NO_TIMEOUT = [
    replace(OPEN_PORT, code="job-without-timeout", message=f"{name} has no timeout", address=f"jobs.{name}")
    for name in ALIGN
]
REVIEWED = a_view(
    *(entry(f"jobs.{name}", place=f"batch.yaml:{number}:3") for number, name in enumerate(ALIGN)),
    entry("jobs.merge", core=(Line("~", 1, "memory  1 -> 2"),), lines=(Line("~", 1, "memory  1 -> 2"),)),
    entry("queues.old", "delete", reason="no longer declared", lines=(), core=(), jobs="waits until they have ended"),
    entry("envs.ce", "replace", reason="type differs", place="batch.yaml:7:3", interrupts=True, jobs="jobs are ended"),
    problems=(*NO_TIMEOUT, OPEN_PORT),
    root="environments/prod/",
    lookups=(
        LookupView(name="ami", value='"ami-2"', moved='"ami-1" -> "ami-2"', users=("envs.ce",)),
        LookupView(name="vpc", value='"vpc-1"'),
    ),
    facts={"planned": "2026-01-31T12:00:00Z", "commit": "abc1234", "version": "0.3.0"},
)


def test_a_reviewer_sees_the_one_dangerous_line_among_480() -> None:
    comment = markdown.plan(REVIEWED)
    shown = read(comment)
    visible = re.sub(r"<details>.*?</details>", "", shown, flags=re.DOTALL)

    places = [
        shown.index(part)
        for part in (
            "### Plan: 483 to change.",
            "prod in account 123456789012, eu-west-1; 481 warnings (below)",
            "[!CAUTION]\n**1 deletion, 1 replacement, 1 interruption of jobs**",
            "- **replace** envs.ce (delete, then create): type differs. **Running jobs**: jobs are ended (batch.yaml:7:3)",
            "- **delete** queues.old: no longer declared. Running jobs: waits until they have ended",
            "-/+ envs.ce  type differs batch.yaml:7:3",
            "- queues.old  no longer declared",
            "~ jobs.merge",
            "~ 480 jobs  image differs",
            "align-{001..480}",
            "jobs.align-002  batch.yaml:1:3\njobs.align-003  batch.yaml:2:3",
            "[!WARNING]\n**481 warnings**\n>\n- **open-to-world** securityGroups.login: port 22 is open to 0.0.0.0/0",
            "; name the networks that need it (environments/prod/network.yaml:12:5)",
            "- **job-without-timeout** 480 times, in jobs.align-{001..480}; the first: align-001 has no timeout",
            '- ami: "ami-1" -> "ami-2", used by envs.ce',
            'vpc = "vpc-1"',
            "Planned at 2026-01-31T12:00:00Z of commit abc1234 by reconcile 0.3.0.",
            "<!-- reconcile: prod 123456789012 eu-west-1 -->",
        )
    ]
    assert places == sorted(places) and places[0] == 0
    assert "Left out" not in shown
    assert all(part in visible for part in ('"lab:1.4" -> "lab:1.5"', "memory  1 -> 2", "open to 0.0.0.0/0"))
    assert "jobs.align-002" not in visible and len(visible.splitlines()) < 70


def test_errors_come_first() -> None:
    error = replace(OPEN_PORT, warning=False, code="not-owned", message="no environment owns it")
    rail = read(markdown.plan(replace(REVIEWED, problems=(error, OPEN_PORT))))
    refused = read(markdown.plan(a_view(problems=(error,), refused=True)))

    assert rail.startswith("### This cannot be applied: 1 error.\n") and refused.startswith(rail.splitlines()[0])
    assert rail.index("**Plan: ") < rail.index("no environment owns it") < rail.index("[!CAUTION]")
    assert "no environment owns it" in refused and "Plan:" not in refused


def test_the_mark_is_a_comment_whatever_the_names_are() -> None:
    mark = markdown.plan(replace(a_view(), environment="a--b --> <x>")).splitlines()[-1]

    assert mark == "<!-- reconcile: a--b_--___x_ 123456789012 eu-west-1 -->"


# --- what is left out first ------------------------------------------------------------------------------------------


LEFT_OUT = (
    (60_000, ""),
    (44_000, "unchanged details"),
    (30_000, "unchanged details; the places of equal changes"),
    (14_000, "unchanged details; the places of equal changes; most names of equal changes"),
    (5_000, "… names of equal changes; the differences of … resources"),
    (2_500, "… all differences; … resources (… to update, 30 to create)"),
)


def test_what_is_left_out_first_as_room_gets_less() -> None:
    changed = (Line("~", 1, 'image  "lab:1.4" -> "lab:1.5"'),)
    around = tuple(Line("", 2, f"a line that is equal: {number}") for number in range(200))
    names = [*ALIGN[:150], *(f"z{n}-x" for n in range(0, 1600, 2)), "z1601-x"]
    view = a_view(
        *(entry(f"jobs.{n}", lines=(*changed, *around), core=changed, place="batch.yaml:9:3") for n in names),
        *(
            entry(f"queues.q{n}", lines=(line,), core=(line,))
            for n in range(40)
            for line in [Line("~", 1, f"p  9 -> {n}")]
        ),
        *(entry(f"others.o{n}", "create", reason=f"other {n}") for n in range(30)),
        entry("queues.old", "delete", lines=(), core=(), reason="no longer declared"),
    )
    seen: list[list[bool]] = []
    for limit, missing in LEFT_OUT:
        comment = read(markdown.plan(view, limit=limit))
        said = "".join(re.findall(r"characters:\*\* (.*?)\. The output", comment))
        assert re.fullmatch(re.escape(missing).replace("…", ".*"), said), said
        assert "- **delete** queues.old: no longer declared" in comment
        parts = (
            "a line that is equal",
            "jobs.align-002  batch.yaml",
            "z1601-x",
            "9 -> 39",
            "others.o29",
            "jobs  image",
        )
        seen.append([part in comment for part in parts])
    assert seen == [[number >= lost for number in range(6)] for lost in (0, 1, 2, 3, 4, 6)]


# --- the banner ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "lacks"),
    [
        ([f"{'job-definition-of-a-team-' * 4}{n:03}" for n in range(500)], ""),
        ([f"{n * 7919}_{'long-' * 12}{n}x" for n in range(500)], ""),
        ([f"{n * 7919}_{'_' * 40}x" for n in range(500)], "the reasons in the banner"),
        ([f"{n * 7919:07}".ljust(127, "_") + "y" for n in range(500)], "all but these addresses"),
    ],
    ids=["ranges", "long", "escapes", "longest"],
)
def test_500_deletions_are_all_in_the_banner(names: list[str], lacks: str) -> None:
    """Names of up to 128 characters; also where each group has a reason of its own."""
    assert max(map(len, names)) <= 128
    view = a_view(
        *(entry(f"jobs.{name}", "delete", lines=(), core=(), reason="no longer declared") for name in names),
        *(entry(f"queues.q{n}", reason=f"reason {n}" * 9) for n in range(300)),
        problems=NO_TIMEOUT,
        facts=REVIEWED.facts,
    )
    comment = markdown.plan(view)

    assert len(comment) <= markdown.LIMIT
    assert {*names} <= named(unescape(of_banner(comment)))
    assert (lacks in comment) if lacks else ("the reasons" not in comment)
    assert "Left out" in comment and well_formed(comment)


def test_where_even_addresses_are_too_many_their_number_is_exact() -> None:
    names = [f"{n * 7919:07}{'x' * 100}y" for n in range(1000)]
    comment = markdown.plan(a_view(*(entry(f"jobs.{name}", "delete") for name in names)))
    there = {*names} & named(of_banner(comment))

    assert len(comment) <= markdown.LIMIT and len(there) > 550
    assert f"{1000 - len(there)} of 1000 deletions, replacements and interruptions" in comment


# --- any plan --------------------------------------------------------------------------------------------------------

NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,12}-[0-9]{1,3}", fullmatch=True)


@st.composite
def views(draw: st.DrawFn) -> View:
    """Plans of up to some hundred resources: each kind of them repeated under numbers."""
    entries: dict[str, Entry] = {}
    for kind in range(draw(st.integers(0, 6))):
        verb = draw(st.sampled_from([*SIGNS]))
        texts = draw(st.lists(st.text("ab`>-#", min_size=1, max_size=80), max_size=4))
        lines = tuple(Line("~", 1, text) for text in texts)
        for number in range(draw(st.sampled_from([1, 2, 3, 30]))):
            address = f"s{kind}.{draw(NAMES) if number < 2 else f'n{kind}-{number:03}'}"
            entries[address] = entry(
                address,
                verb,
                reason=draw(st.sampled_from(["differs", "it differs " * 20])),
                lines=(*lines, Line("", 1, "equal")),
                core=lines,
                interrupts=draw(st.booleans()),
                jobs=draw(st.sampled_from(["", "jobs are ended", "jobs wait " * 30])),
                place=draw(st.sampled_from(["", "batch.yaml:3:1"])),
            )
    problems = draw(st.lists(st.sampled_from([*NO_TIMEOUT[:3], OPEN_PORT, replace(OPEN_PORT, note=True)]), max_size=4))
    errors = [replace(OPEN_PORT, warning=False)] * draw(st.sampled_from([0, 0, 1, 30]))
    return a_view(*entries.values(), problems=(*errors, *problems), lookups=REVIEWED.lookups)


@settings(max_examples=500 if LONG else 20)
@given(view=views(), limit=st.integers(2000, 12000))
def test_any_comment_fits_has_every_danger_and_says_what_is_missing(view: View, limit: int) -> None:
    whole, comment = markdown.plan(view, limit=10**7), markdown.plan(view, limit=limit)
    dangers = [one for one in view.entries if one.dangerous]
    there = named(unescape(of_banner(comment)))
    listed = [one for one in dangers if {one.name, one.address} & there]
    left = re.search(r"(\d+) of \d+ deletions, replacements and interruptions", comment)

    assert len(comment) <= limit
    assert well_formed(comment) and well_formed(whole)
    assert "Left out" not in whole
    assert ("Left out" in comment) == (comment != whole) == (len(whole) > limit)
    assert len(dangers) - len(listed) == (int(left[1]) if left else 0)
    assert (banner.counted(view.dangers) in comment) if dangers else ("CAUTION" not in comment)
