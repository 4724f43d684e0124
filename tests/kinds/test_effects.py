"""What each property's change means: there and back, for every property of every kind.

The table stands in ``tests/data/effects``; each row names where AWS says so. ``tests/support/changes.py`` makes every change in a
sandbox: it is planned, applied, and nothing is left to do.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reconciler.kinds import discover
from reconciler.operations.explaining import effects, schemas
from reconciler.planning.canonical import with_defaults
from reconciler.planning.effects import effect_at
from reconciler.schema import registry
from tests.support.changes import NOTHING, REPLACES, Row, Told, carried, chosen, files, leaves, rows, tried

_MADE: dict[str, dict[str, Told]] = {}


@pytest.fixture
def told(row: Row, sandbox: Any, tmp_path: Path) -> Told:
    """What became of the row; its file's changes are made once."""
    if row.section not in _MADE:
        file = next(file for file in files() if file.section == row.section)
        _MADE[row.section] = tried(file, sandbox, tmp_path)
    return _MADE[row.section][row.id]


def test_every_property_of_every_kind_has_its_row():
    by_section = {file.section: file for file in files()}
    missing = []
    for section in registry.sections():
        said = {row.steps[:length] for row in by_section[section].rows for length in range(1, len(row.steps) + 1)}
        aside = [tuple(path.split(".")) for path in by_section[section].aside]
        missing += [
            f"{section}.{'.'.join(path)}"
            for path in leaves(section)
            if path not in said and not any(path[: len(one)] == one for one in aside)
        ]

    assert missing == []


def test_every_row_says_where_it_is_from():
    assert [str(row) for row in rows() if not row.source.startswith("https://")] == []


@pytest.mark.parametrize("file", files(), ids=lambda file: file.section)
def test_explain_has_the_effects_of_the_table_and_their_reasons(file):
    """What people read about a field is what its plans do: every effect, there and back, that a row has."""
    explained: dict[str, Any] = {}
    for row in file.rows:
        place, _ = schemas.found(schemas.root(file.section), row.steps)
        if place.path not in explained:
            explained[place.path] = effects.changes(discover()[file.section], place.path, place.schema)
        found = explained[place.path]
        wanted = {row.effect} if row.refused else {row.effect, row.back}
        assert wanted - {NOTHING} <= {one.effect for one in found}, row
        assert not row.because or row.effect == NOTHING or any(row.because in one.because for one in found), row
        there, back = effects_of_both_ways(row)
        assert row.refused or row.effect in (there, NOTHING), row
        assert row.refused or row.back in (back, NOTHING), row
    assert explained


def effects_of_both_ways(row: Row) -> list[str]:
    """What `explain` finds for the resource of the row, from its one value to the other and back."""
    kind = discover()[row.section]
    path = tuple(int(step) if step.isdigit() else step for step in row.path.split("."))
    before, after = (with_defaults(kind, kind.expanded(row.id, row.declared(one))) for one in (row.before, row.after))
    if path[0] == "tags":
        return ["in-place", "in-place"]
    return [effect_at(kind, path, *pair)[0].value for pair in ((before, after), (after, before))]


def expect(entry: Any, row: Row, effect: str, value: Any) -> None:
    """The entry of one plan, against what the table says."""
    assert entry is not None
    action = {NOTHING: "noop", REPLACES: REPLACES}.get(effect, "update")
    top = row.steps[0]
    found = {(one["path"].partition(".")[0].partition("[")[0], one["effect"]) for one in entry["differences"]}

    assert (entry["action"], found) == (action, set() if effect == NOTHING else {(top, effect)})
    if effect != NOTHING and row.call and not row.refused:
        assert carried(entry, row, value), [step for step in entry["steps"] if "call" in step]
    if row.because and effect == row.effect:
        assert row.because in " ".join(one["reason"] for one in entry["differences"])


def tried_rows():
    """Every row; those that are not chosen need `make test-long`."""
    for file in files():
        ids = {row.id for row in chosen(file)}
        yield from (row if row.id in ids else pytest.param(row, marks=pytest.mark.long) for row in file.rows)


@pytest.mark.parametrize("row", list(tried_rows()), ids=str)
def test_what_a_change_means(row, told):
    assert told.wrong == []
    expect(told.there, row, row.effect, row.after)
    if not row.refused:
        expect(told.back, row, row.back, row.before)
