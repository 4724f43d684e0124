"""The known causes of jobs that do not start or fail and of environments that are INVALID, and what they look like.

The table is in the TOML files beside this module, each row with its source. It is read when it is first needed.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib import resources
from typing import Any, Final

from reconciler.model import EMPTY
from reconciler.model.diagnosis import Certainty
from reconciler.model.fragments import fold, found_in
from reconciler.model.records import dataclass
from reconciler.model.steps import Cause

UNKNOWN, NONE = "unknown", "none"
TABLES: Final = ("attempts", "waiting", "environments")
PLACES: Final = ("blocked", "activity", "placement", "environment", "task", "pod", "log")
SECTION_OF_ENVIRONMENTS: Final = "computeEnvironments"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Row:
    """One row of the table.

    ``says`` is the cause as a sentence, ``change`` the properties to change (``section.path``), the likeliest first;
    ``patterns`` are by the place where AWS has the text; ``exits`` are first and last exit codes.
    """

    id: str
    certainty: Certainty
    says: str
    advice: str
    change: tuple[str, ...] = ()
    source: str
    table: str
    patterns: Mapping[str, tuple[str, ...]] = EMPTY
    unless: tuple[str, ...] = ()
    exits: tuple[tuple[int, int], ...] = ()

    def fits(self, place: str, folded: str) -> bool:
        """Whether a folded text at ``place`` has this cause."""
        return any(found_in(one, folded) for one in self.patterns.get(place, ())) and not any(
            found_in(one, folded) for one in self.unless
        )

    def has_exit(self, code: int | None) -> bool:
        """Whether an exit code is one of the row's."""
        return code is not None and any(first <= code <= last for first, last in self.exits)


@cache
def rows() -> tuple[Row, ...]:
    """Every row, in the order in which they are tried."""
    return tuple(_row(entry, table) for table in TABLES for entry in _read(table)["cause"])


@cache
def row(cause: str) -> Row:
    """The row that is found by what AWS reports: the first with this id that has no patterns, else the first."""
    found = [one for one in rows() if one.id == cause]
    return next((one for one in found if not one.patterns and not one.exits), found[0])


def match(place: str, texts: Iterable[tuple[str, str]], code: int | None = None) -> tuple[Row, str, str] | None:
    """The first row that one of ``texts`` at ``place`` has, with the name of that text, and the text.

    A row that has exit codes, too, needs ``code`` to be one of them.
    """
    folded = [(name, text, fold(text)) for name, text in texts if text]
    for one in rows():
        if place in one.patterns and (not one.exits or one.has_exit(code)):
            for name, text, plain in folded:
                if one.fits(place, plain):
                    return one, name, text
    return None


def of_exit(code: int) -> Row | None:
    """The row of an exit code, where no text says more."""
    return next((one for one in rows() if not one.patterns and one.has_exit(code)), None)


@cache
def of_environments() -> tuple[Cause, ...]:
    """What waits for compute environments know about their failures."""
    return tuple(
        Cause(pattern, one.advice, _of_environment(one.change))
        for one in rows()
        if one.id not in (NONE, UNKNOWN)
        for pattern in one.patterns.get("environment", ())
    )


def source(text: str) -> str:
    """The address of a source, or its name."""
    tag, colon, rest = text.partition(":")
    known: Mapping[str, str] = _read("sources")["sources"]
    return known[tag].format(rest) if tag in known and (colon or tag == text) else text


def _of_environment(change: tuple[str, ...]) -> str:
    prefix = f"{SECTION_OF_ENVIRONMENTS}."
    return next((one.removeprefix(prefix) for one in change if one.startswith(prefix)), "")


@cache
def _read(name: str) -> Mapping[str, Any]:
    return tomllib.loads(resources.files(__package__).joinpath(f"{name}.toml").read_text(encoding="utf-8"))


def _row(entry: Mapping[str, Any], table: str) -> Row:
    return Row(
        id=entry["id"],
        certainty=Certainty(entry["sure"]),
        says=entry["says"],
        advice=entry["advice"],
        change=tuple(entry.get("change", ())),
        source=entry["source"],
        table=table,
        patterns={place: tuple(entry[place]) for place in PLACES if place in entry},
        unless=tuple(entry.get("unless", ())),
        exits=tuple(_exits(entry.get("exit", ()))),
    )


def _exits(given: Iterable[str]) -> Iterator[tuple[int, int]]:
    for text in given:
        first, dash, last = text.partition("-")
        yield int(first), int(last) if dash else int(first)
