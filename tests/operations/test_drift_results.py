"""The parts of a report on the way: nothing is lost in them, and memory does not grow with the fleet."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reconciler.model import Environment
from reconciler.model.problems import Problem
from reconciler.operations import own_files
from reconciler.operations.drift import fleet, results, since
from reconciler.operations.drift.shards import Part
from reconciler.operations.session import Loaded, Location
from reconciler.render import drift_html, drift_json, drift_markdown, drift_sarif, drift_text, junit
from reconciler.render.drift_view import Checked, Drift, Report, Status
from reconciler.render.mask import Mask
from reconciler.render.text import Paint
from tests.render.test_drift_reports import EVIL, FLEET, SMALL, UNREAD, checked, retention

PLAN = {
    "resource_changes": [{"address": f"logGroups.group-{n}", "action": "noop", "change": "x" * 500} for n in range(60)]
}
RENDERED: dict[str, Callable[[Report], str]] = {
    "text": lambda report: drift_text.report(report, Paint(colour=False)),
    "markdown": drift_markdown.report,
    "html": drift_html.report,
    "junit": junit.report,
    "sarif": drift_sarif.report,
    "json": drift_json.report,
}


def stored(environments: Any, place: Path, total: int = 3) -> results.Merged:
    """The environments by way of the files of several parts."""
    found = list(environments)
    for number in range(1, total + 1):
        numbers = range(number - 1, len(found), total)
        part = Part(number, total, "run")
        with results.writing(str(place), part, pytest.fail) as stream:
            writer = results.Writer(stream, part, "fleet", len(found), numbers)
            for index, each in enumerate(numbers):
                writer.add(index, found[each])
            writer.end()
    return results.merged(place, "there")


def test_reports_of_parts_are_those_of_what_they_hold(tmp_path: Path) -> None:
    more = replace(
        checked("since", retention(1), warnings(), took=0.25, resolved=("a.b",), recovered=True, plan=PLAN),
        drifts=tuple(changed(one) for one in checked("x", retention(1)).drifts),
    )
    whole = replace(SMALL, environments=(*SMALL.environments, more, *FLEET.environments[:15]))
    found = stored(whole.environments, tmp_path)
    assert not found.problems
    for name, render in RENDERED.items():
        assert render(replace(whole, environments=found.environments)) == render(whole), name
    earlier = json.loads(drift_json.report(whole))
    one, other = (
        since.compared(replace(whole, environments=each), earlier) for each in (whole.environments, found.environments)
    )
    assert RENDERED["json"](one) == RENDERED["json"](other) and other.environments[1:3][0].name == "drifted"
    assert RENDERED["json"](Report(environments=())) == json.dumps(json.loads(RENDERED["json"](Report())), indent=2)


def warnings() -> Problem:
    return replace(UNREAD, warning=True, note=True)


def changed(drift: Drift) -> Drift:
    by = {"event": "PutRetentionPolicy", "at": "2026-01-31T12:00:00Z", "who": "user ann", "via": "console"}
    return replace(drift, since="new", changed_by=by, also_changed_by=({**by, "event": "TagResource"},))


def test_nothing_in_a_part_is_obeyed(tmp_path: Path) -> None:
    name = EVIL.replace("\ud800", "")
    stored([checked("plain", retention(1), UNREAD)], tmp_path, 1)
    (file,) = tmp_path.iterdir()
    file.write_text(
        file.read_text().replace("not planned", json.dumps(name)[1:-1]).replace('"group-0"', '"\\u001b[2J"')
    )
    found = results.merged(tmp_path, "there")
    for render in RENDERED.values():
        assert "\x1b" not in render(Report(environments=found.environments))
    for member in ("status", "number", "drifts", "view", "how", "at", "part", "fleet"):
        text = file.read_text()
        file.write_text(text.replace(f'"{member}": ', f'"{member}": [], "x": ', 1))
        assert file.read_text() != text, member
        with pytest.raises(Exception, match="is truncated, or is not part of a report"):
            results.merged(tmp_path, "there")
        file.write_text(text)


def peak(work: Callable[[], object]) -> int:
    """The most memory that ``work`` takes at a time, in bytes."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def pieces(report: Report) -> Iterator[bytes]:
    return (piece.encode() for piece in drift_json.pieces(report))


def test_memory_does_not_grow_with_the_fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Plans of 30 kB each: those of the larger fleet are 3 MB as text, and several times that as data."""

    def read(location: Location, *_: Any, **__: Any) -> Loaded:
        return Loaded(location, Environment(name=location.target.name), (), Mask())

    monkeypatch.setattr(fleet.session, "read", read)
    monkeypatch.setattr(
        fleet._Check,
        "checked",
        lambda check, _: checked(check.name, retention(1), plan=json.loads(json.dumps(PLAN)), exit_code=0),
    )
    settings = fleet.Settings(environ={}, given={}, cwd=tmp_path)

    def check(size: int) -> None:
        part = Part(1, 1)
        locations = [Location(tmp_path / f"env-{number:04}", "") for number in range(size)]
        with results.writing(str(tmp_path / str(size)), part, pytest.fail) as stream:
            writer = results.Writer(stream, part, "fleet", size, range(size))
            found = fleet.check_all(locations, settings, kept=writer.add)
            writer.end()
        assert len(found) == size and fleet.exit_code_of(found) == 2

    def merge(size: int) -> None:
        found = results.merged(tmp_path / str(size), "there")
        own_files.put(tmp_path / f"{size}.json", pieces(Report(environments=found.environments)))

    small, large = 20, 100
    merge_after_check = [
        (peak(lambda size=size: check(size)), peak(lambda size=size: merge(size))) for size in (small, large)
    ]
    (checking, merging), (checking_more, merging_more) = merge_after_check
    assert (tmp_path / "100.json").stat().st_size > 3_000_000
    assert checking_more - checking < 1_000_000 and merging_more - merging < 1_000_000, merge_after_check


def test_a_part_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def write() -> None:
        with results.writing(str(tmp_path), Part(1, 1), pytest.fail) as stream:
            results.Writer(stream, Part(1, 1), "fleet", 1, [0])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write()
    assert not [*tmp_path.iterdir()]
    stored([Checked(name="x", status=Status.CLEAN)], tmp_path, 1)
    assert [file.stat().st_mode & 0o77 for file in tmp_path.iterdir()] == [0]
