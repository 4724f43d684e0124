"""The order of what a plan shows, equal changes once, and what is counted instead of shown."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from reconciler.model import Disruption, Effect, Field, Plan, Reference, Template
from reconciler.planning import planner
from reconciler.render import view
from reconciler.render.mask import Mask
from reconciler.render.ranges import ranges
from tests.support.builders import SCOPE, env, kind, live, observed, resource
from tests.support.shown import as_text

KINDS = {
    "engines": kind("engines", fields={"fuel": Field(effect=Effect.REPLACE)}),
    "jobs": kind("jobs", fields={"image": Field(effect=Effect.NEW_REVISION)}),
    "queues": kind(
        "queues",
        disruption=lambda _, want, __: (
            Disruption("no new jobs are accepted") if want.props.get("state") == "DISABLED" else "not affected"
        ),
    ),
}


def planned(declared: dict[str, dict[str, Any]], there: dict[str, dict[str, Any]]) -> Plan:
    """A plan from resources by address to resources by address."""
    wanted = env(*(resource(*address.split("."), **props) for address, props in declared.items()))
    lives: dict[str, list[Any]] = {}
    for address, props in there.items():
        section, name = address.split(".")
        lives.setdefault(section, []).append(live(name, **props))
    return planner.make(wanted, KINDS, SCOPE, observed(**lives))[0]


def headings(shown: str) -> list[str]:
    return [line for line in shown.splitlines() if re.match(r"(\+/-|-/\+|[-+~&]) ", line)]


MIXED = planned(
    {
        "engines.new": {},
        "engines.v8": {"fuel": "diesel"},
        "jobs.a": {"image": "lab/a:1.5"},
        "jobs.b": {"image": "lab/b:1.5"},
        "jobs.c": {"image": "lab/c:1.5", "command": ["rm", "-rf", "/data"]},
        "queues.q": {"state": "DISABLED", "priority": 1},
        "queues.r": {"state": "ENABLED", "priority": 2},
    },
    {
        "engines.v8": {"fuel": "gas"},
        "engines.old": {"fuel": "gas"},
        "jobs.a": {"image": "lab/a:1.4"},
        "jobs.b": {"image": "lab/b:1.4"},
        "jobs.c": {"image": "lab/c:1.4", "command": ["run"]},
        "queues.q": {"state": "ENABLED", "priority": 1},
        "queues.r": {"state": "ENABLED", "priority": 1},
    },
)


def test_dangers_come_first_and_what_changes_like_no_other_before_groups() -> None:
    assert [re.split(r"  ", line)[0] for line in headings(as_text(MIXED))] == [
        "~ queues.q",
        "- engines.old",
        "+/- engines.v8 as v8-5deae6",
        "~ jobs.c",
        "~ queues.r",
        "~ 2 jobs",
        "+ engines.new",
    ]


def test_equal_changes_stand_once_with_their_addresses() -> None:
    block = as_text(MIXED).partition("~ 2 jobs")[2].partition("\n\n")[0]

    assert '    image  "…:1.4" -> "…:1.5"  # new-revision\n' in block
    assert block.endswith("\n    a, b")


def test_equal_texts_are_shown_whole() -> None:
    made = planned(
        {f"jobs.{name}": {"image": "lab/x:1.5"} for name in "ab"},
        {f"jobs.{name}": {"image": "lab/x:1.4"} for name in "ab"},
    )
    assert '"lab/x:1.4" -> "lab/x:1.5"' in as_text(made)


def test_every_resource_stands_alone_with_its_calls_where_asked() -> None:
    shown = as_text(MIXED, verbose=True)

    assert {line.split()[1] for line in headings(shown)} == {str(item.address) for item in MIXED.resources}
    assert shown.count("test:Update") == 5
    assert "--verbose" not in shown


def test_calls_and_unchanged_attributes_are_counted() -> None:
    shown = as_text(MIXED)

    assert "test:" not in shown
    assert "(2 unchanged attributes, 1 API call)" in shown.partition("~ queues.q")[2].partition("\n\n")[0]
    calls = sum(step.action.__class__.__name__ == "Call" for step in MIXED.steps)
    assert f"\n{calls} API calls (--verbose shows them)\n" in shown


def test_500_definitions_that_change_alike_fit_on_one_screen() -> None:
    """Whatever their names are; the one that changes otherwise can be seen."""
    names = [f"align-{n:03}" for n in range(250)] + [f"{'abcdefgh'[n % 8]}{n * 7919}-sample" for n in range(250)]
    declared = {f"jobs.{name}": {"image": f"lab/{name}:1.5"} for name in names}
    declared["jobs.align-077"]["command"] = ["rm"]
    shown = as_text(planned(declared, {f"jobs.{name}": {"image": f"lab/{name}:1.4"} for name in names}))

    assert len(shown.splitlines()) < 40
    assert headings(shown)[0].startswith("~ jobs.align-077")
    assert "align-{000..076}, align-{078..249}" in shown
    assert re.search(r"\.\.\. and \d+ more \(--verbose shows each\)", shown)


def test_equal_creations_stand_once_where_names_have_a_prefix() -> None:
    """Each has its own name in a tag, and that is no difference."""
    names = [f"align-{n:03}" for n in range(50)]
    jobs = (replace(resource("jobs", name, image="lab/x:1.5"), physical=f"dev-{name}") for name in names)
    wanted = env(*jobs)
    shown = as_text(planner.make(wanted, KINDS, SCOPE, observed())[0])

    assert [re.split(r"  ", line)[0] for line in headings(shown)] == ["+ 50 jobs"]
    assert '"reconciler/name":"…"' in shown
    assert "align-{000..049}" in shown


def test_every_deletion_is_named() -> None:
    names = [f"{'abcdefgh'[n % 8]}{n * 7919}" for n in range(400)]
    shown = as_text(planned({"jobs.kept": {}}, {f"jobs.{name}": {} for name in ["kept", *names]}))

    assert not [name for name in names if not re.search(rf"\b{name}\b", shown)]
    assert "more (--verbose" not in shown


def test_a_look_up_that_moved_says_from_what_and_where() -> None:
    ami = Template((Reference("lookups", "${lookups.ami}", attr="ami"),))
    wanted = env(resource("jobs", "a", image=ami), resource("jobs", "b", image="fixed"))
    there = observed(jobs=[live("a", image="ami-1"), live("b", image="other")])
    found = {"ami": "ami-2", "vpc": "vpc-1"}
    made, _ = planner.make(wanted, KINDS, SCOPE, there, lookups=found)

    assert '  ami  "ami-2"  # moved: "ami-1" -> "ami-2" (jobs.a)\n  vpc  "vpc-1"\n' in as_text(made)


def expanded(shown: str) -> list[str]:
    """What a shell makes of ``a-{01..03}``."""
    match = re.fullmatch(r"(.*)\{(\d+)\.\.(\d+)\}(.*)", shown, re.DOTALL)
    if not match:
        return [shown]
    lead, start, end, tail = match.groups()
    return [f"{lead}{str(number).zfill(len(start))}{tail}" for number in range(int(start), int(end) + 1)]


def test_a_look_up_that_moved_below_500_definitions_takes_one_line() -> None:
    """As the digest of an image does that all of them use."""
    names = [f"{'abcdefgh'[n % 8]}{n * 7919}-sample" for n in range(500)]
    image = Template((Reference("lookups", "${lookups.app}", attr="app"),))
    wanted = env(*(resource("jobs", name, image=image) for name in names))
    there = observed(jobs=[live(name, image="app@1") for name in names])
    shown = as_text(planner.make(wanted, KINDS, SCOPE, there, lookups={"app": "app@2"})[0])

    line = next(line for line in shown.splitlines() if line.startswith("  app  "))
    assert len(line) < 200 and re.search(r"\(jobs\.a0-sample, .* and \d{3} more\)$", line)
    assert len(shown.splitlines()) < 40


@given(st.lists(st.from_regex(r"[a-c]?[0-9]{0,3}[a-c]?", fullmatch=True), unique=True))
def test_ranges_are_the_names(names: list[str]) -> None:
    assert sorted(name for shown in ranges(names) for name in expanded(shown)) == sorted(names)


WORDS = st.text("abc:/.-1 ", max_size=8)


@given(st.lists(st.tuples(WORDS, WORDS).filter(lambda pair: pair[0] != pair[1]), min_size=1, max_size=4))
def test_changes_in_one_group_differ_in_the_same_words(pairs: list[tuple[str, str]]) -> None:
    """Nobody's difference is hidden behind another's: each is ``lead + old + tail`` of what its group shows."""
    declared = {f"jobs.j{number}": {"image": new} for number, (_, new) in enumerate(pairs)}
    there = {f"jobs.j{number}": {"image": old} for number, (old, _) in enumerate(pairs)}
    for group in view.of(planned(declared, there), Mask()).groups:
        said = re.fullmatch(r'image  "(…?)(.*?)(…?)" -> "(…?)(.*?)(…?)"  # new-revision', group.lines[0].text)
        assert said
        for one in group.entries:
            old, new = pairs[int(one.name[1:])]
            leads = range(len(old) + 1) if said[1] else [0]
            assert any(
                (old, new) == (f"{old[:n]}{said[2]}{tail}", f"{old[:n]}{said[5]}{tail}")
                for n in leads
                for tail in tails(old, said[3])
            )


def tails(text: str, shortened: str) -> list[str]:
    return [text[n:] for n in range(len(text) + 1)] if shortened else [""]
