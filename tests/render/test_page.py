"""The page of a plan: its structure, and in headless Chromium what it looks like, does and asks for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from reconciler.model import Pos, Verb
from reconciler.planning import planner
from reconciler.render import html, layers, picture
from reconciler.render.mask import Mask
from reconciler.render.ranges import ranges
from reconciler.render.view import LookupView, View, of
from tests.support import views
from tests.support.browser import Browser, opened
from tests.support.builders import KINDS, SCOPE, env, live, observed, resource

MEASURES = (Path(__file__).resolve().parents[1] / "data" / "page_measures.js").read_text("utf-8")
EVIL = (
    '<img src="http://evil.example/x.png" onerror="window.owned=1">\'"><script>window.owned=1</script></pre></details>'
    "<svg onload=window.owned=1></style></title><!--${x}javascript:window.owned=1"
)


def hostile() -> View:
    """Texts that try to leave their place, wherever there is a text, and words without an end."""
    long = "n" * 300
    evil = views.entry(
        "jobQueues",
        EVIL,
        "update",
        [("~", 0, EVIL), ("+", 1, EVIL), ("-", 1, long)],
        reason=EVIL,
        jobs=EVIL,
        notes=(EVIL, long),
        physical=EVIL,
        steps=(EVIL,),
        place=f"{EVIL}:3",
        interrupts=True,
        depends_on=("roles.r", f"roles.{EVIL}"),
    )
    used = views.entry("roles", "r", "delete", reason=long, depends_on=(f"roles.{EVIL}",))
    problem = replace(views.PROBLEMS[0], message=EVIL, hint=long, address=EVIL, pos=Pos(EVIL, 1, 1))
    return views.made(
        [evil, replace(evil, address=long, name=long), used],
        environment=EVIL,
        account=long,
        facts={EVIL: EVIL, "commit": long},
        limits=EVIL,
        lookups=(LookupView(name=EVIL, value=long, moved=EVIL, users=(EVIL,)),),
        problems=(problem, replace(problem, warning=False)),
        others={f"roles.{EVIL}": (), f"jobQueues.{long}": ("roles.r",)},
    )


class Parsed(HTMLParser):
    """The elements of a page that are not closed, and the text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        assert not [name for name, value in attrs if name.startswith("on") or name in ("src", "style")]
        assert all(value.startswith("#") for name, value in attrs if name == "href" and value is not None)
        if tag not in ("meta", "input"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] not in ("style", "script"):
            self.text += data


# --- without a browser -----------------------------------------------------------------------------------------------


def test_a_page_is_whole_and_loads_nothing() -> None:
    for view in (views.few(), hostile(), views.made([]), views.few(groups=(), lookups=(), refused=True)):
        page = html.plan(view)
        parsed = Parsed(page)
        policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)

        assert parsed.open == [] and parsed.tags.count("script") == parsed.tags.count("style") == 1
        assert policy and policy[1].startswith("default-src 'none'; ") and "unsafe" not in policy[1]
        for tag in ("style", "script"):
            content = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
            assert len(content) == 1 and f"{tag}-src '{html.digest(content[0])}'" in policy[1]


def test_the_order_is_what_a_reviewer_needs_first() -> None:
    text = Parsed(html.plan(views.few())).text
    headings = re.findall(r"<h2[^>]*>(.*?)</h2>", html.plan(views.few()))
    expected = [
        "Plan: 1 to create",
        "1 warning",
        "1 deletion, 1 interruption of",
        "Dependencies",
        "Changes",
        "Warnings and",
        "Look-ups",
    ]

    assert [text.index(one) for one in expected] == sorted(text.index(one) for one in expected)
    assert headings[0] == "1 deletion, 1 interruption of jobs"
    assert 'ami\n"ami-2"moved: "ami-1" -> "ami-2", used by computeEnvironments.spot' in re.sub(
        r"(?<=ami)(?=\")", "\n", text
    )
    assert text.count("port 22 is open to the world") == 2 and "network.yaml:6:9" in text
    assert text.rindex("3f2a9c1 (main)") > text.index("Look-ups") > text.index("3f2a9c1 (main)")
    assert "7 resources without changes" in text


def test_the_banner_has_every_danger_by_name_and_blocks_have_every_address() -> None:
    gone = [views.entry("jobQueues", f"q-{n * 3}", "delete", reason="no longer declared") for n in range(300)]
    swapped = views.entry("computeEnvironments", "ce", "replace", [("~", 0, "a")], jobs="they end")
    view = views.made([*views.many().entries, *gone, swapped])
    page = html.plan(view)
    banner = unescape(page[page.index('class="banner"') : page.index('id="changes"')])

    assert "301 deletions, 1 replacement, 1 interruption" in banner and "running jobs: they end" in banner
    assert all(name in banner for name in ranges([one.name for one in gone]))
    for one in view.entries:
        assert f"{one.address}<" in page and (not one.place or f">{one.place}<" in page)
    assert page.count('<details class="calls">') == len([*view.entries])


def test_equal_warnings_are_one_so_that_another_is_seen() -> None:
    many = [
        replace(views.PROBLEMS[0], address=f"jobDefinitions.j{n}", message="no timeout", pos=None) for n in range(480)
    ]
    note = replace(views.PROBLEMS[0], note=True, message="x", address="jobQueues.old")
    page = html.plan(views.few(problems=(*many, *views.PROBLEMS, note)))
    items = [unescape(re.sub("<.*?>", "", item)) for item in page.split('id="warnings">')[1].split("<li>")]

    assert "481 warnings" in page and "1 note<" in page
    assert "port 22 is open to the world" in items[1]
    assert items[2].startswith("warning[open-to-all] 480 times, the first: jobDefinitions.j0: no timeout")
    assert sum("no timeout" in item for item in items) == 481
    assert "note[open-to-all]" in items[-1]


def test_without_the_script_everything_is_there() -> None:
    page = html.plan(views.few())

    assert '<div class="tools" role="search" hidden>' in page
    assert page.count(" hidden>") == 1


def test_few_changes_are_open_many_are_folded_but_dangers() -> None:
    assert html.plan(views.few()).count(" open>") == 5
    assert re.findall(r'class="group (.*?)" id[^>]*\n[^>]* open>', html.plan(views.many(60, 200))) == [
        "update interrupts",
        "delete",
    ]


def test_layers_have_what_is_used_first() -> None:
    graph = {"rule": ["queue"], "queue": ["ce"], "ce": ["role", "profile"], "profile": ["role"], "role": []}
    circle = {"a": ["b"], "b": ["c"], "c": ["a"], "d": ["a"]}

    assert layers.layered(graph) == [["role"], ["profile", layers.Bend("role", 1)], ["ce"], ["queue"], ["rule"]]
    assert sorted(node for layer in layers.layered(circle) for node in layer) == ["a", "b", "c", "d"]
    assert layers.layered({"a": ["x"], "b": ["y"], "x": [], "y": []})[1] == ["a", "b"]
    assert layers.layered({}) == []
    long = {str(n): [str(n + 1)] if n < 5000 else [] for n in range(5001)}
    assert len(layers.layered(long)) == 5001


def boxes(found: View) -> list[tuple[str, str, str]]:
    """Class, link and texts of each box."""
    drawn = re.findall(r'<(?:a|g) class="box (\w+)"(?: href="(#\w+)")?>(.*?)</(?:a|g)>', picture.svg(found))
    return [(action, link, re.sub(r"<title>.*?</title>|<.*?>", "|", inner).strip("|")) for action, link, inner in drawn]


def test_the_picture_has_what_changes_and_what_is_next_to_it() -> None:
    found = {re.sub(r"\|+", "|", unescape(texts)): (action, link) for action, link, texts in boxes(views.few())}

    assert found == {
        "~ spot|computeEnvironments: interrupts jobs": ("interrupts", "#g1"),
        "- old|jobQueues: delete": ("delete", "#g2"),
        "~ job-role|roles: update": ("update", "#g3"),
        "& batch|logGroups: adopt": ("adopt", "#g4"),
        "+ jobs|securityGroups: create": ("create", "#g5"),
        "2 jobQueues|jobQueues: unchanged": ("unchanged", ""),
    }
    assert picture.svg(views.few()) == picture.svg(views.few())
    assert picture.svg(views.few()).count("<path") == 3
    assert picture.svg(views.made([views.FEW[1]])) == ""


def test_a_plan_gives_the_picture_what_does_not_change() -> None:
    declared = env(resource("engines", "v8", power=2), resource("cars", "bus", engines=[{"engine": "v8"}]))
    bus = live("bus", engines=[{"engine": "arn:v8"}])
    made, _ = planner.make(declared, KINDS, SCOPE, observed(engines=[live("v8", power=1)], cars=[bus]))
    found = of(made, Mask())

    assert found.others == {"cars.bus": ("engines.v8",)}
    assert [one[:2] for one in boxes(found)] == [("update", "#g1"), ("unchanged", "")]
    assert of(made, Mask(), refused=True).others == {}


def test_the_picture_of_many_is_small() -> None:
    alike, unlike = boxes(views.many()), boxes(views.many(200, 280))
    users = {f"jobDefinitions.j{n}": (views.ROLE, f"logGroups.l{n % 50}") for n in range(480)}
    groups = [views.entry("logGroups", f"l{n}", "update", [("~", 0, f"{n}")]) for n in range(50)]

    assert len(alike) == 6 and any("480 jobDefinitions" in texts for _, _, texts in alike)
    assert len(unlike) == 7 and any("280 eventRules" in texts for _, _, texts in unlike)
    assert len(boxes(views.made([*views.FEW, *groups], others=users))) < picture.MOST
    assert all(one[0] != "update" or "logGroups" in one[2] or one[1] for one in unlike)


def test_a_long_name_keeps_both_ends_in_the_picture() -> None:
    one = views.entry("roles", "a" * 60 + "-reader", "create")
    drawn = picture.svg(views.made([one, views.entry("jobQueues", "q", "create", depends_on=(one.address,))]))

    assert "aaaaaaaa…" in drawn and "-reader</text>" in drawn and f"create: {one.address}</title>" in drawn


# --- in Chromium -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with opened(tmp_path_factory.mktemp("browser")) as running:
        yield running


def shown(browser: Browser, view: View) -> Any:
    """Load the page of a view, with the measures beside it."""
    browser.show(html.plan(view))
    browser.driver.execute_script(MEASURES)
    return lambda expression: browser.run(f"measured.{expression}")


def quiet(browser: Browser) -> None:
    """Nothing was asked for, refused or complained about."""
    assert browser.requests() == []
    assert browser.logged() == []


def test_every_text_can_be_read_in_light_and_dark(browser: Browser) -> None:
    everything = [*views.few().entries, *views.many(3).entries, views.entry("topics", "t", "replace", [("-", 0, "a")])]
    noted = views.entry("topics", "n", Verb.NOOP.value, notes=("a note",), steps=())
    errors = (*views.PROBLEMS, replace(views.PROBLEMS[0], warning=False))
    for dark in (False, True):
        browser.window(dark=dark)
        measure = shown(
            browser, views.made([*everything, noted], problems=errors, lookups=views.LOOKUPS, limits="Part.")
        )
        browser.click("#expand")
        found = measure("contrast(4.5)")

        assert found["low"] == []
        assert found["count"] > 150
        assert browser.run("getComputedStyle(document.body).backgroundColor") == (
            "rgb(13, 17, 23)" if dark else "rgb(255, 255, 255)"
        )
    quiet(browser)


def test_nothing_leaves_the_page_or_its_width(browser: Browser) -> None:
    for width in (360, 1280):
        browser.window(width, 800)
        for view in (hostile(), views.few()):
            measure = shown(browser, view)
            browser.click("#expand")

            assert measure("overflow()") == [0, []]
            assert browser.run("window.owned === undefined && document.images.length === 0")
            assert browser.run("[...document.querySelectorAll('script, svg')].length") == 2
            outside = "[...document.querySelectorAll('.box')].filter((box) => [...box.querySelectorAll('text')].some((text) => "
            outside += "text.getBBox().x + text.getBBox().width > box.querySelector('rect').getBBox().x + box.querySelector('rect').getBBox().width))"
            assert browser.run(f"{outside}.map((box) => box.textContent)") == []
    quiet(browser)


def test_another_script_than_ours_is_refused_and_the_page_is_still_read(browser: Browser) -> None:
    browser.window()
    browser.show(html.plan(views.few()).replace('"use strict";', "window.owned = 1;"))

    assert browser.run("window.owned === undefined")
    assert browser.run("document.querySelector('.tools').checkVisibility()") is False
    browser.click("#g1 > summary")
    assert browser.run("document.getElementById('g1').open") is False
    assert "Content Security Policy" in " ".join(browser.logged())
    assert browser.requests() == []


def test_search_and_filters_do_what_they_say(browser: Browser) -> None:
    browser.window()
    measure = shown(browser, views.many(480))
    status = "document.getElementById('shown').textContent"
    assert browser.run(status) == "485 resources"

    def searched(words: str) -> tuple[list[str], str]:
        browser.run("document.activeElement.blur()")
        browser.press("/", words)
        return measure("shown()"), browser.run(status).removesuffix(" of 485 resources shown")

    escape, folded = "\ue00c", "[...document.querySelectorAll('details')].map((one) => one.open)"
    before = browser.run(folded)
    assert searched("computeEnvironments.spot") == (["g1"], "1"), "an address"
    assert searched("INLINEPOLICIES") == (["g3"], "1"), "an attribute"
    assert searched('"s3:*"') == (["g3"], "1"), "a value"
    assert searched("align.yaml:1091") == (["g4"], "1"), "a place, in one of 480"
    assert (
        browser.run("[...document.querySelectorAll('.members li')].filter((one) => one.checkVisibility()).length") == 1
    )
    assert searched("align-01 image :1.5") == (["g4"], "10"), "several words, each anywhere"
    assert browser.run("CSS.highlights.get('found').size") > 10
    assert searched('"align-01 image"') == ([], "0"), "words in quotes stand side by side"
    assert searched("no such thing") == ([], "0")
    browser.press(escape)
    assert (browser.run(status), len(measure("shown()"))) == ("485 resources", 6)
    assert browser.run(folded) == before, "as before the search"

    browser.click("input[value=interrupts]")
    assert (measure("shown()"), browser.run(status)) == (["g1"], "1 of 485 resources shown")
    browser.click("input[value=delete]")
    assert measure("shown()") == ["g1", "g2"]
    browser.click("#section option[value=jobQueues]")
    assert measure("shown()") == ["g2"]
    browser.click("a.box.create")
    assert measure("shown()") == ["g1", "g2", "g3", "g4", "g5", "g6"], "a link leads to what a filter hides"
    assert browser.run("[location.hash, document.querySelector('#g6').open]") == ["#g6", True]
    assert measure("focus()")[0] == "summary g6"

    browser.click("#expand")
    assert browser.run("[...document.querySelectorAll('details')].every((one) => one.open)")
    browser.click("#collapse")
    assert browser.run("[...document.querySelectorAll('details')].some((one) => one.open)") is False
    quiet(browser)


def test_five_hundred_are_few_elements(browser: Browser) -> None:
    """What makes a page slow is how many elements it has and lays out."""
    browser.window()
    for view, most in ((views.many(), 6000), (views.many(100, 380), 7500)):
        shown(browser, view)

        assert browser.run("document.querySelectorAll('*').length") < most
        assert browser.run("document.querySelectorAll('svg .box').length") <= picture.MOST
        assert browser.run("document.querySelector('.banner').getBoundingClientRect().bottom") < 500
    quiet(browser)


def test_keys_reach_everything_in_order(browser: Browser) -> None:
    browser.window()
    measure = shown(browser, views.few())
    reached = []
    for _ in range(32):
        browser.press("\ue004")
        reached.append(measure("focus()"))
    names = [name for name, _ in reached]
    expected = [
        "a skip",
        "div picture",
        "input search",
        "input action",
        "select section",
        "button expand",
        "button collapse",
    ]
    expected += [f"summary g{number}" for number in range(1, 6)]

    assert {name for name, seen in reached if not seen} <= {"body"}
    assert [names.index(name) for name in expected] == sorted(names.index(name) for name in expected)
    assert names.index("a skip") == 0
    assert browser.run("[...document.querySelectorAll('h1, h2, h3')].map((one) => one.tagName).join('')").startswith(
        "H1H2"
    )
    assert browser.run("document.querySelectorAll('header, main, footer, [role=search]').length") == 4
    assert browser.run("[...document.querySelectorAll('input, select')].every((one) => one.labels.length === 1)")
    assert browser.run("document.getElementById('shown').getAttribute('aria-live')") == "polite"
    browser.run("document.querySelector('.skip').click()")
    assert measure("focus()")[0] == "h2 changes"
    quiet(browser)


@pytest.mark.long
def test_print_has_everything(browser: Browser) -> None:
    browser.window(media="print")
    measure = shown(browser, views.many(30))
    browser.run("document.getElementById('collapse').click()")
    browser.run(
        "(document.getElementById('search').value = 'align-007', document.getElementById('search').dispatchEvent(new Event('input')))"
    )

    assert measure("unseen()") == [], "by the style alone"
    assert browser.run("document.querySelector('.tools').checkVisibility()") is False
    states = "[...document.querySelectorAll('details')].map((one) => one.open)"
    before = browser.run(states)
    browser.run("dispatchEvent(new Event('beforeprint'))")
    assert all(browser.run(states))
    browser.run("dispatchEvent(new Event('afterprint'))")
    assert browser.run(states) == before
    quiet(browser)
