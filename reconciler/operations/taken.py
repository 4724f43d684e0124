"""Of which snapshot a plan was made, where it was not made of the account itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from reconciler.model import problem_codes as codes
from reconciler.model.problems import Problem

OLD: Final = 24 * 3600.0  # seconds from which a plan warns
NEW: Final = "take a new one with `reconcile snapshot ENV --out FILE`"
_UNITS: Final = ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))


@dataclass(frozen=True, slots=True)
class Taken:
    """A snapshot. ``at`` is when it was taken (``2026-01-31T12:00:00Z``), ``age`` how long ago, in seconds, ``version``
    that of reconcile; ``described`` are the sections and names of the objects that it has more of than their names.
    """

    at: str
    age: float
    version: str
    described: frozenset[tuple[str, str]] = frozenset()

    @property
    def how_old(self) -> str:
        """Its age in words: ``3 hours``."""
        size, unit = next((found for found in _UNITS if self.age >= found[0]), _UNITS[-1])
        count = int(self.age // size)
        return f"{count} {unit}{'s' * (count != 1)}"

    @property
    def sentence(self) -> str:
        """What people must know about a plan of it."""
        return f"taken {self.at}, {self.how_old} ago; AWS was not asked, and this cannot be applied"

    def as_json(self) -> dict[str, Any]:
        """The member ``snapshot`` of the plan as JSON."""
        return {"taken": self.at, "age_seconds": int(self.age), "reconcile_version": self.version}

    def warnings(self) -> tuple[Problem, ...]:
        """A warning where it is older than a day."""
        if self.age <= OLD:
            return ()
        message = f"the snapshot is {self.how_old} old: the account may have changed since"
        return (Problem(code=codes.OLD_SNAPSHOT, message=message, hint=NEW, warning=True),)
