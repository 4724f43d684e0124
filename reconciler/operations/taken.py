"""Of which snapshot a plan was made, where it was not made of the account itself."""

from __future__ import annotations

from typing import Any, Final

from reconciler.model import problem_codes as codes
from reconciler.model.problems import Problem
from reconciler.model.records import dataclass

OLD: Final = 24 * 3600.0  # seconds from which a plan warns
SKEW: Final = 60.0  # seconds by which two clocks may differ without a word about it
NEW: Final = "take a new one with `reconcile snapshot ENV --out FILE`"
_UNITS: Final = ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))


@dataclass(frozen=True, slots=True)
class Taken:
    """A snapshot. ``at`` is when it was taken (``2026-01-31T12:00:00Z``), ``age`` how long ago, in seconds (less than 0
    where it was in the future), ``version`` that of reconcile; ``described`` are the sections and names of the objects
    that it has more of than their names.
    """

    at: str
    age: float
    version: str
    described: frozenset[tuple[str, str]] = frozenset()

    @property
    def how_old(self) -> str:
        """Its age in words: ``3 hours``."""
        age = max(0.0, self.age)
        size, unit = next((found for found in _UNITS if age >= found[0]), _UNITS[-1])
        count = int(age // size)
        return f"{count} {unit}{'s' * (count != 1)}"

    @property
    def in_future(self) -> bool:
        """Whether it cannot have been taken yet, by the clock here: its age is unknown."""
        return self.age < -SKEW

    @property
    def sentence(self) -> str:
        """What people must know about a plan of it."""
        when = "in the future by the clock here" if self.in_future else f"{self.how_old} ago"
        return f"taken {self.at}, {when}; AWS was not asked, and this cannot be applied"

    def as_json(self) -> dict[str, Any]:
        """The member ``snapshot`` of the plan as JSON."""
        return {"taken": self.at, "age_seconds": max(0, int(self.age)), "reconcile_version": self.version}

    def warnings(self) -> tuple[Problem, ...]:
        """A warning where it is older than a day, or where that is unknown."""
        if self.in_future:
            message = f"the snapshot was taken at {self.at}, in the future by the clock here: its age is unknown"
            return (Problem(code=codes.OLD_SNAPSHOT, message=message, hint=f"check the clock, or {NEW}", warning=True),)
        if self.age <= OLD:
            return ()
        message = f"the snapshot is {self.how_old} old: the account may have changed since"
        return (Problem(code=codes.OLD_SNAPSHOT, message=message, hint=NEW, warning=True),)
