"""Reports of drift: of fleets of any size and of hostile names, within the limits of those that show them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reconciler.model import Pos
from reconciler.model import problem_codes as codes
from reconciler.model.problems import Problem
from reconciler.operations.drift import fleet, notify, since
from reconciler.render import drift_html, drift_json, drift_markdown, drift_sarif, drift_text, junit
from reconciler.render.drift_view import HOW_BY_ACTION, Checked, Difference, Drift, Report, Status
from reconciler.render.markdown import LIMIT
from reconciler.render.text import Paint
from tests.support import reports, views
from tests.support.browser import Browser, opened

AT = "2026-01-31T12:00:00Z"
UNREAD = Problem(
    code=codes.UNREADABLE,
    message="not planned: logs:DescribeLogGroups was refused",
    hint="allow logs:DescribeLogGroups",
    address="logGroups.x",
    pos=Pos("logs.yaml", 3, 5),
)
EVIL = "<img src=x onerror=alert(1)>]]>--><!-- @everyone #1 \x00\x1b[2J\x0b\ufffe\ud800 | `x` [a](1)"


def checked(name: str, entries: Any = (), *problems: Problem, **more: Any) -> Checked:
    """An environment whose resources have drifted as ``entries`` say."""
    errors = any(not problem.warning for problem in problems)
    values: dict[str, Any] = {
        "status": Status.ERROR if errors else Status.DRIFTED if entries else Status.CLEAN,
        "account": "123456789012",
        "region": "eu-west-1",
        "view": views.made(list(entries), environment=name) if entries or not errors else None,
        "drifts": tuple(map(drift, entries)),
        "problems": problems,
        "root": f"environments/{name}/",
        "place": f"environments/{name}/environment.yaml",
        "at": AT,
        "exit_code": 1 if errors else 0,
    }
    return Checked(name=name, **{**values, **more})


def drift(entry: Any) -> Drift:
    texts = [line.text for line in entry.lines] or [entry.reason]
    found = [
        Difference(path=text.partition(" ")[0], text=text, file="environments/x.yaml", line=n + 2)
        for n, text in enumerate(texts)
    ]
    return Drift(how=HOW_BY_ACTION[entry.verb], entry=entry, differences=tuple(found))


def retention(number: int, size: int = 1) -> list[Any]:
    """Log groups of one environment, of which no two differ alike."""
    return [
        views.entry("logGroups", f"group-{n}", "update", [("~", 0, f"retentionInDays  {number + n} -> 30")])
        for n in range(size)
    ]


def fleet_of(number: int) -> Report:
    """A tenth drifted, a fiftieth broken, one very broken."""
    made = [
        checked(f"env-{n:04}", retention(n, 3), at=AT)
        if n % 10 == 3
        else checked(f"env-{n:04}", (), replace(UNREAD, message=f"{UNREAD.message} ({n})"))
        if n % 50 == 7
        else checked(f"env-{n:04}")
        for n in range(number)
    ]
    worst = checked("worst", [*views.FEW, *retention(1, 300)], *[replace(UNREAD, path=f"p{n}") for n in range(500)])
    return Report(environments=(*made, worst), at=AT)


FLEET = fleet_of(2000)
SMALL = Report(
    environments=(
        checked("clean", (), replace(UNREAD, warning=True), advice=("jobQueues.q: AWS is changing it",)),
        checked("drifted", views.FEW, moving=("jobQueues.moving",)),
        checked("broken", (), UNREAD, account="", region=""),
    ),
    at=AT,
)


def test_a_comment_has_room_for_any_fleet() -> None:
    text = drift_markdown.report(FLEET)
    assert LIMIT * 0.6 < len(text) <= LIMIT and text.endswith(f"{drift_markdown.MARK}\n")
    assert re.match(r"### Drift: 2001 environments&#58; 1760 clean, 200 drifted, 41 error\.", text)
    assert text.index("worst") < text.index("env-0007") < text.index("env-0003"), "worst first"
    assert "left out here" in text and "1760 environments without drift" in text
    for limit in (LIMIT, 30_000, 8_000):
        assert len(drift_markdown.report(FLEET, limit=limit)) <= limit

    whole = drift_markdown.report(SMALL)
    assert "left out" not in whole.replace("left out, since AWS is still changing it", "").lower()
    for word in ("spot", "old", "job-role", "jobs", "batch", "DescribeLogGroups", "Advice, which is not drift: 2"):
        assert word in whole


def test_hosts_take_reports_of_any_fleet(monkeypatch: pytest.MonkeyPatch) -> None:
    (run,) = reports.sarif(drift_sarif.report(fleet_of(60)))["runs"]
    assert len(run["results"]) > 500 and run["results"][0]["level"] == "error"
    assert [one["automationDetails"]["id"] for one in reports.sarif(drift_sarif.report(SMALL))["runs"]] == [
        "reconcile-drift/clean/123456789012/eu-west-1/",
        "reconcile-drift/drifted/123456789012/eu-west-1/",
        "reconcile-drift/broken/",
    ]
    monkeypatch.setattr(drift_sarif, "MOST_RESULTS", 50)
    many = Report(environments=(checked("many", retention(1, 650)),), at=AT)
    (run,) = reports.sarif(drift_sarif.report(many))["runs"]
    assert len(run["results"]) == 50 and not run["invocations"][0]["executionSuccessful"]
    assert "600 results left out" in run["invocations"][0]["toolExecutionNotifications"][-1]["message"]["text"]

    suites = reports.junit(junit.report(FLEET))
    assert len(suites) == 2001
    small = reports.junit(junit.report(SMALL))
    assert {
        name: case[0].tag for name, case in small["drifted in account 123456789012, eu-west-1"].items() if len(case)
    } == {
        **dict.fromkeys(("computeEnvironments.spot", "jobQueues.old", "roles.job-role"), "failure"),
        **dict.fromkeys(("securityGroups.jobs", "logGroups.batch"), "failure"),
        "jobQueues.moving": "skipped",
    }
    assert small["broken"]["environment"][0].tag == "error"
    page = drift_html.report(FLEET)
    assert page.count('<section class="environment"') == 2001
    assert len(page) < 1_600_000 and len(re.findall("<[a-z]", page)) < 30_000
    assert page.index("worst") < page.index("env-0007") < page.index("env-0003") < page.index("1760 without drift")


def test_a_line_is_no_part_of_what_identifies_a_result() -> None:
    def prints(line: int) -> list[str]:
        (one,) = [checked("prod", retention(1))]
        moved = [replace(each, line=line, text=f"{line}") for each in one.drifts[0].differences]
        report = Report(environments=(replace(one, drifts=(replace(one.drifts[0], differences=tuple(moved)),)),), at=AT)
        (run,) = json.loads(drift_sarif.report(report))["runs"]
        return [each["partialFingerprints"]["primaryLocationLineHash"] for each in run["results"]]

    assert prints(3) == prints(300)


def test_nothing_in_a_name_is_obeyed() -> None:
    evil = views.entry("jobQueues", EVIL, "update", [("~", 0, EVIL)], reason=EVIL)
    problem = replace(UNREAD, message=EVIL, hint=EVIL, address=EVIL)
    report = Report(environments=(checked(EVIL, [evil], problem, moving=(EVIL,), advice=(EVIL,)),), at=AT)

    reports.junit(junit.report(report))
    reports.sarif(drift_sarif.report(report))
    assert "<img" not in drift_html.report(report) and "<img" not in re.sub(
        "```.*?```", "", drift_markdown.report(report), flags=re.DOTALL
    )
    assert drift_markdown.report(report).count("<!-- reconcile:") == 1
    blocks = notify._slack(report)["blocks"]
    assert not any("<" in block["text"]["text"] for block in blocks)
    assert "\x1b" not in notify.subject(report) and notify.subject(report).isascii()


def test_notices_are_within_the_limits() -> None:
    body = notify._slack(FLEET)
    assert len(body["blocks"]) == 50 and all(len(one["text"]["text"]) <= 3000 for one in body["blocks"])
    assert "worst" in body["blocks"][1]["text"]["text"] and "more environments" in body["blocks"][-1]["text"]["text"]
    hook = notify._webhook(fleet_of(4000))
    assert len(json.dumps(hook).encode()) <= notify.MOST_BYTES
    huge = ["ü" * 1000 for _ in range(400)]
    assert len(notify.fitted(huge, notify.MOST_BYTES).encode()) <= notify.MOST_BYTES
    assert notify.fitted(huge, notify.MOST_BYTES).endswith("more lines")
    assert len(notify.subject(FLEET)) < 100 and "\n" not in notify.subject(FLEET)


def test_text_says_which_is_drift_and_which_is_advice() -> None:
    text = drift_text.report(SMALL, Paint(colour=False))
    drifted, advice = text.split("Advice (not drift):")
    assert "jobQueues.q: AWS is changing it" in advice and "jobQueues.q" not in drifted
    assert "left out, since AWS is still changing it: jobQueues.moving" in drifted
    for words in ("Differs from the YAML", "In the account, but not declared", "Declared, but not in the account"):
        assert words in drifted
    assert text.splitlines()[-1] == "3 environments: 1 clean, 1 drifted, 1 error."


@pytest.mark.parametrize(
    ("statuses", "code"),
    [
        ([("clean", 0), ("clean", 0)], 0),
        ([("clean", 0), ("drifted", 0)], 2),
        ([("drifted", 0), ("error", 1)], 1),
        ([("drifted", 0), ("error", 4)], 4),
        ([("error", 1), ("error", 4)], 1),
        ([], 0),
    ],
)
def test_errors_decide_the_exit_code(statuses: list[tuple[str, int]], code: int) -> None:
    found = [Checked(name="x", status=Status(status), exit_code=each) for status, each in statuses]
    assert fleet.exit_code_of(found) == code
    assert fleet.exit_code_of(found, errors=True) == 1


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"environments": []}', '{"timestamp": 1, "environments": []}', "\x00"]
    + [
        f'{{"timestamp": "{AT}", "environments": [{one}]}}'
        for one in ("1", "{}", '{"status": "x"}', '{"status": "clean"}')
    ],
)
def test_only_a_report_can_be_compared_with(text: str, tmp_path: Path) -> None:
    file = tmp_path / "last.json"
    assert since.read(file) is None
    file.write_text(text)
    with pytest.raises(Exception, match="is not a report of drift"):
        since.read(file)


def test_what_cannot_be_read_is_not_resolved() -> None:
    entry = {"address": "logGroups.group-0", "action": "update", "differences": []}
    before = Report(
        environments=(
            checked("a", retention(1), plan={"resource_changes": [entry]}),
            checked("b", (), UNREAD, account="", region=""),
            checked("c", retention(1), plan={"resource_changes": [entry]}),
        ),
        at=AT,
    )
    earlier = drift_json.document(before)
    now = Report(environments=(checked("a", (), UNREAD, account="", region=""), checked("b"), checked("c")), at="later")
    found = since.compared(now, json.loads(json.dumps(earlier)))
    assert [(one.since, one.resolved, one.recovered) for one in found.environments] == [
        ("new", (), False),
        ("", (), True),
        ("", ("logGroups.group-0",), False),
    ]
    assert found.changes == "1 resolved, 1 no longer readable, 1 readable again" and notify.due(found)
    assert not notify.due(since.compared(before, json.loads(json.dumps(earlier))))
    assert notify.due(before)
    comment = drift_markdown.report(replace(found, unchecked=("gone",)))
    assert "\nNot checked this time: gone.\n" in comment
    assert "- <code>b</code>: it could not be read at the time of the last report\n" in comment
    assert "- <code>c</code>: resolved&#58; logGroups.group-0\n" in comment


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with opened(tmp_path_factory.mktemp("browser")) as found:
        yield found


def test_the_page_filters_environments(browser: Browser) -> None:
    browser.window()
    browser.show(drift_html.report(SMALL))
    shown = "[...document.querySelectorAll('section.environment')].filter((one) => !one.hidden).map((one) => one.dataset.status)"
    assert browser.run(shown) == ["error", "drifted", "clean"]

    def choose(control: str, value: str, event: str) -> Any:
        browser.driver.execute_script(
            f"const one = document.getElementById('{control}'); one.value = '{value}';"
            f" one.dispatchEvent(new Event('{event}'))"
        )
        return browser.run(shown)

    assert choose("status", "drifted", "change") == ["drifted"]
    assert choose("status", "", "change") == ["error", "drifted", "clean"]
    assert choose("search", "DescribeLogGroups", "input") == ["error", "clean"], "in its error, and in the advice"
    assert choose("search", "spot", "input") == ["drifted"]
    assert browser.run("document.querySelectorAll('details.group:not([hidden])').length") == 1
    assert choose("search", "", "input") == ["error", "drifted", "clean"]

    # --- of a fleet: worst first, the list at the top as well, and a report unfolded by a search ---
    browser.show(drift_html.report(FLEET))
    listed = "document.querySelectorAll('.contents li:not([hidden])').length"
    assert choose("status", "error", "change") == ["error"] * 41 and browser.run(listed) == 41
    assert choose("status", "", "change") == ["error"] * 41 + ["drifted"] * 200 + ["clean"] * 1760
    assert choose("search", "env-0033", "input") == ["drifted"] and browser.run(listed) == 1
    assert browser.run("document.querySelectorAll('details.group[open]:not([hidden])').length") == 3
    assert browser.logged() == []
