"""Problems: what is wrong, as values.

Problems            problems of the user: those of one stage, raised together, each with its place and a hint
  (Unreadable       a read that AWS refused; the engine converts it to a Problem)

Any other exception that reaches the command line is an internal error.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from reconciler.model import Pos
from reconciler.model import problem_codes as codes

from .records import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One finding: a stable code, a message, the place and a hint how to fix it. Never raised alone.

    A ``note`` is a warning that needs no action: ``--strict`` does not make it an error. ``environment`` is the name of
    the environment that it was found in; empty where none is concerned.
    """

    code: codes.ProblemCode
    message: str
    hint: str = ""
    warning: bool = False
    address: str = ""
    path: str = ""
    pos: Pos | None = None
    note: bool = False
    environment: str = ""

    @property
    def severity(self) -> str:
        """``error``, ``warning`` or ``note``."""
        if self.note:
            return "note"
        return "warning" if self.warning else "error"

    def __str__(self) -> str:
        place = f"{self.pos}: " if self.pos else ""
        who = f"{self.address}: " if self.address else ""
        hint = "".join(f"\n    {line}" for line in self.hint.splitlines())
        return f"{place}{self.severity}: {who}{self.message}{hint}"


class Problems(Exception):
    """All the problems of a stage. ``exit_code`` is the exit code of the command (README)."""

    def __init__(self, problems: Iterable[Problem], *, exit_code: int = 1) -> None:
        self.problems: tuple[Problem, ...] = ordered(problems)
        self.exit_code = exit_code
        super().__init__("\n".join(map(str, self.problems)))


def ordered(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Sorted by place, without repeats."""
    unique = dict.fromkeys(problems)
    return tuple(sorted(unique, key=lambda p: (p.pos or Pos("", 0, 0), p.address, p.path, p.code, p.message)))


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``did you mean "x"?`` for the nearest of ``known``; empty when none is near."""
    found = near(word, known)
    return f'did you mean "{found}"?' if found else ""


def one_of(known: Sequence[str], most: int = 12) -> str:
    """``one of a, b, c``, cut after ``most``."""
    shown = ", ".join(sorted(known)[:most])
    return f"one of {shown}" + (", ..." if len(known) > most else "")


def article(noun: str) -> str:
    """``noun`` with its indefinite article."""
    return f"an {noun}" if noun[:1].lower() in "aeiou" else f"a {noun}"


def near(word: str, known: Iterable[str]) -> str:
    """The spelling in ``known`` that is nearest to ``word``; empty when none is near. In the same section (the part
    before the first dot) only what follows counts: a long section would make any two addresses alike.
    """
    by_fold = {name.lower(): name for name in reversed([*known])}
    section, dot, rest = word.lower().partition(".")
    for found in difflib.get_close_matches(word.lower(), by_fold, n=3, cutoff=0.6):
        of, _, name = found.partition(".")
        if not dot or of != section or difflib.get_close_matches(rest, [name], cutoff=0.5):
            return by_fold[found]
    return ""
