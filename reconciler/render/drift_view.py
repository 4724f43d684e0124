"""What `drift` found in each environment, masked, for every format: what differs, how, and what is advice only."""

from __future__ import annotations

import hashlib
import json
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from enum import StrEnum
from typing import Any, Final, overload

from reconciler import __version__
from reconciler.model import EMPTY, Path, Plan, Pos, Resource, ResourcePlan, Verb
from reconciler.model.paths import dotted, opened
from reconciler.model.problems import Problem
from reconciler.model.records import dataclass
from reconciler.render import changes, view
from reconciler.render.mask import Mask
from reconciler.render.text import counted
from reconciler.render.view import Entry, Group, View


class Status(StrEnum):
    """The result of one environment, as JSON names it."""

    CLEAN = "clean"
    DRIFTED = "drifted"
    ERROR = "error"


class How(StrEnum):
    """How a resource has drifted, in the order of reports."""

    CHANGED = "changed"
    UNOWNED = "unowned"
    UNDECLARED = "undeclared"
    MISSING = "missing"


WORDS: Final[Mapping[How, str]] = {
    How.CHANGED: "Differs from the YAML (account -> YAML)",
    How.UNOWNED: "Without the tags of the environment",
    How.UNDECLARED: "In the account, but not declared",
    How.MISSING: "Declared, but not in the account",
}
_HOW: Final = {
    Verb.CREATE: How.MISSING,
    Verb.UPDATE: How.CHANGED,
    Verb.REPLACE: How.CHANGED,
    Verb.ADOPT: How.UNOWNED,
    Verb.DELETE: How.UNDECLARED,
}
HOW_BY_ACTION: Final = {verb.value: how for verb, how in _HOW.items()}
NEW, STILL = "new", "still"
_WORST_FIRST: Final = (Status.ERROR, Status.DRIFTED, Status.CLEAN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One property that differs, or a resource as a whole (without ``path``). ``text`` has the two values, ``file`` is
    a path from the top of the repository.
    """

    path: str
    text: str
    file: str
    line: int = 1
    column: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """One resource that has drifted. ``since`` is NEW or STILL where there is an earlier report, else empty;
    ``changed_by`` is who changed it, as JSON has it, ``also_changed_by`` who made its other changes, by other calls;
    ``unknown_because`` is why that is not known, where it was asked.
    """

    how: How
    entry: Entry
    differences: tuple[Difference, ...]
    since: str = ""
    changed_by: Mapping[str, str] | None = None
    also_changed_by: tuple[Mapping[str, str], ...] = ()
    unknown_because: str = ""

    @property
    def address(self) -> str:
        """Its address."""
        return self.entry.address


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """One environment. ``account`` and ``region`` are empty where they are not known.

    ``plan`` is its plan as JSON (the contract's section 7), None where there is none; ``view`` is what of it is shown;
    ``problems`` are errors, warnings and notes. ``advice`` is about resources that have not drifted, and
    ``moving`` are the addresses of those left out because AWS is still changing them. ``root`` is the path prefix of
    the files in problems from where the command runs, ``place`` the environment's own file from the top of the
    repository. ``addresses`` are those of all resources, in the order of the plan; ``files`` has the file of each that
    is declared in another one.
    ``took`` is in seconds. ``exit_code`` is that of an error.

    Compared with an earlier report, ``since`` is NEW or STILL for an error, and ``resolved`` are the addresses that had
    drifted then and no longer do; ``recovered``: it was in error then.
    """

    name: str
    status: Status
    account: str = ""
    region: str = ""
    view: View | None = None
    plan: Mapping[str, Any] | None = None
    drifts: tuple[Drift, ...] = ()
    addresses: tuple[str, ...] = ()
    files: Mapping[str, str] = EMPTY
    problems: tuple[Problem, ...] = ()
    advice: tuple[str, ...] = ()
    moving: tuple[str, ...] = ()
    root: str = ""
    place: str = ""
    took: float = 0.0
    at: str = ""
    exit_code: int = 0
    since: str = ""
    resolved: tuple[str, ...] = ()
    recovered: bool = False

    @property
    def title(self) -> str:
        """What was checked, and where."""
        where = self.view.place if self.view else self.region
        return f"{self.name} in account {self.account}, {where}" if self.account else self.name

    @property
    def errors(self) -> tuple[Problem, ...]:
        """Why it is an error."""
        return tuple(problem for problem in self.problems if not problem.warning)

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """Warnings and notes: advice."""
        return tuple(problem for problem in self.problems if problem.warning)

    @property
    def counts(self) -> str:
        """``2 changed, 1 missing``."""
        numbers = ((sum(one.how is how for one in self.drifts), how.value) for how in How)
        return ", ".join(f"{number} {how}" for number, how in numbers if number)

    @property
    def result(self) -> str:
        """The status with numbers: ``error (2 errors; 1 changed)``."""
        return f"{self.status.value} ({self.numbers})" if self.numbers else self.status.value

    @property
    def numbers(self) -> str:
        """``2 errors; 1 changed``."""
        errors = counted(len(self.errors), "error") if self.errors else ""
        return "; ".join(filter(None, (errors, self.counts)))

    @property
    def groups(self) -> Iterator[tuple[How, list[Group]]]:
        """What has drifted, by how; equal changes of several resources are one group."""
        found = self.view.groups if self.view else ()
        for how in How:
            groups = [group for group in found if HOW_BY_ACTION[group.first.verb] is how]
            if groups:
                yield how, groups

    @property
    def history(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """What is new, still there and resolved since the earlier report: a word, and addresses."""
        for word, state in (("new", NEW), ("still there", STILL)):
            if found := tuple(one.address for one in self.drifts if one.since == state):
                yield word, found
        if self.resolved:
            yield "resolved", self.resolved

    @property
    def changed_by(self) -> Iterator[str]:
        """Who changed what, a sentence each; also where that is unknown."""
        for one in self.drifts:
            for call in (one.changed_by, *one.also_changed_by):
                event, at, who, via = ((call or {}).get(name, "") for name in ("event", "at", "who", "via"))
                if call:
                    yield f"{one.address}: {event} by {who}{f' ({via})' if via else ''} at {at}"
            if not one.changed_by and one.unknown_because:
                yield f"{one.address}: {one.unknown_because}"


def _rank(one: Checked) -> tuple[int, int, int, str, str, str]:
    dangers = len(one.view.dangers if one.view else ())
    return (_WORST_FIRST.index(one.status), -dangers, -len(one.drifts), one.name, one.account, one.region)


class Lazy(Sequence[Checked]):
    """Environments that are made as they are asked for, so that those of a large fleet are not all in memory."""

    @property
    @abstractmethod
    def statuses(self) -> Sequence[Status]:
        """The status of each, without making it."""

    @abstractmethod
    def at(self, number: int) -> Checked:
        """The environment of this index."""

    @overload
    def __getitem__(self, index: int) -> Checked: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Checked]: ...

    def __getitem__(self, index: int | slice) -> Checked | Sequence[Checked]:
        if isinstance(index, slice):
            return Picked(self, range(len(self))[index])
        return self.at(range(len(self))[index])

    def __len__(self) -> int:
        return len(self.statuses)


class Picked(Lazy):
    """Some of ``found``, by their indices, in that order."""

    def __init__(self, found: Sequence[Checked], numbers: Sequence[int]) -> None:
        self.found, self.numbers = found, numbers

    @property
    def statuses(self) -> Sequence[Status]:
        """See :class:`Lazy`."""
        every = statuses(self.found)
        return [every[number] for number in self.numbers]

    def at(self, number: int) -> Checked:
        """See :class:`Lazy`."""
        return self.found[self.numbers[number]]

    def __len__(self) -> int:
        return len(self.numbers)


class Changed(Lazy):
    """Each of ``found`` as ``change`` makes it, which keeps its status."""

    def __init__(self, found: Lazy, change: Callable[[int, Checked], Checked]) -> None:
        self.found, self.change = found, change

    @property
    def statuses(self) -> Sequence[Status]:
        """See :class:`Lazy`."""
        return self.found.statuses

    def at(self, number: int) -> Checked:
        """See :class:`Lazy`."""
        return self.change(number, self.found.at(number))


def statuses(found: Sequence[Checked]) -> Sequence[Status]:
    """The status of each of ``found``."""
    return found.statuses if isinstance(found, Lazy) else [one.status for one in found]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Every environment, in the order in which they were named; ``problems`` are of the command itself.

    ``since`` is the time of the report that it is compared with, empty where there is none, and ``unchecked`` are the
    names of the environments in that one which this one has not. ``unsent`` are the notices that could not be sent, as
    JSON has them.
    """

    environments: Sequence[Checked] = ()
    problems: tuple[Problem, ...] = ()
    at: str = ""
    since: str = ""
    unchecked: tuple[str, ...] = ()
    unsent: tuple[Mapping[str, Any], ...] = ()
    version: str = field(default=__version__)

    def count(self, status: Status) -> int:
        """How many environments have this status."""
        return sum(one is status for one in statuses(self.environments))

    @property
    def worst_first(self) -> Picked:
        """Errors, then drift with the most dangers and changes first, then the others by name."""
        ranks = [_rank(one) for one in self.environments]
        return Picked(self.environments, sorted(range(len(ranks)), key=ranks.__getitem__))

    @property
    def wrong(self) -> Picked:
        """Those with drift or errors, worst first."""
        worst = self.worst_first
        found = [number for number, one in zip(worst.numbers, statuses(worst), strict=True) if one is not Status.CLEAN]
        return Picked(self.environments, found)

    @property
    def summary(self) -> str:
        """One sentence: ``3 environments: 1 clean, 1 drifted, 1 error.``"""
        if not self.environments:
            return f"There is no report: {counted(len(self.problems), 'error')}."
        numbers = ((self.count(status), status.value) for status in Status)
        message = ", ".join(f"{number} {word}" for number, word in numbers if number)
        incomplete = " The report is incomplete." if self.problems else ""
        return f"{counted(len(self.environments), 'environment')}: {message}.{incomplete}"

    @property
    def changes(self) -> str:
        """How the picture differs from the earlier report, in words; empty where it does not, or there is none."""
        if not self.since:
            return ""
        numbers = dict.fromkeys(("new", "resolved", "no longer readable", "readable again"), 0)
        for one in self.environments:
            numbers["new"] += sum(drift.since == NEW for drift in one.drifts)
            numbers["resolved"] += len(one.resolved)
            numbers["no longer readable"] += one.status is Status.ERROR and one.since == NEW
            numbers["readable again"] += one.recovered
        return ", ".join(f"{number} {word}" for word, number in numbers.items() if number)


def fingerprint(one: Checked, address: str, path: str) -> str:
    """What identifies a difference: not its line, nor its values, so that it is the same when these change."""
    identity = [one.name, one.account, one.region, address, path]
    return hashlib.sha256(json.dumps(identity).encode()).hexdigest()


def drifts_of(plan: Plan, viewed: View, mask: Mask, top: str, place: str) -> tuple[Drift, ...]:
    """What has drifted in ``plan``. ``top`` is the prefix that makes its files paths from the top of the repository;
    ``place`` is the environment's own file, where what is not declared would be.
    """
    entries = {one.address: one for one in viewed.entries}
    found = [item for item in plan.resources if item.verb is not Verb.NOOP]
    return tuple(
        Drift(
            how=_HOW[item.verb],
            entry=entries[mask.line(str(item.address))],
            differences=tuple(_differences(item, mask, top, place)),
        )
        for item in found
    )


def files_of(plan: Plan, mask: Mask, top: str, place: str) -> dict[str, str]:
    """The files of resources that are not declared in the environment's own; ``top`` and ``place`` as above."""
    found = {mask.line(str(item.address)): _difference("", "", item.pos, top, place).file for item in plan.resources}
    return {address: file for address, file in found.items() if file != place}


def _differences(item: ResourcePlan, mask: Mask, top: str, place: str) -> Iterator[Difference]:
    """The properties that differ, each at its line; the resource as a whole where it has no counterpart, or where no
    property differs.
    """
    declared = item.declared
    if item.verb in (Verb.UPDATE, Verb.REPLACE, Verb.ADOPT):
        for change in item.changes:
            pos = _place(declared, change.path) if declared else item.pos
            lines = changes.lines([replace(change, within=None)], mask)
            text = "\n".join(f"{'  ' * line.depth}{line.sign + ' ' if line.depth else ''}{line.text}" for line in lines)
            yield _difference(mask.line(dotted(change.path)), text, pos, top, place)
    if item.verb in (Verb.CREATE, Verb.DELETE) or not item.changes:
        yield _difference("", mask.line(item.reason) or WORDS[_HOW[item.verb]], item.pos, top, place)


def _place(declared: Resource, path: Path) -> Pos:
    """The line of a property; of one that is not declared that of the resource, not that of what it inherits."""
    own, pos = declared.at(), declared.at(path)
    return pos if path in declared.pos or pos.file == own.file else own


def _difference(path: str, text: str, pos: Pos | None, top: str, place: str) -> Difference:
    if pos is None or not pos.file:
        return Difference(path=path, text=text, file=place)
    return Difference(path=path, text=text, file=opened(top, pos.file), line=pos.line, column=pos.column)


def of(plan: Plan, mask: Mask, *, root: str, problems: Sequence[Problem]) -> tuple[View, tuple[str, ...]]:
    """What is shown of a plan whose changes are drift; and the notes on what does not change, which are advice."""
    resting = [item for item in plan.resources if item.verb is Verb.NOOP]
    advice = tuple(f"{mask.line(str(item.address))}: {mask.line(note)}" for item in resting for note in item.notes)
    quiet = tuple(replace(item, notes=()) if item.verb is Verb.NOOP else item for item in plan.resources)
    viewed = view.of(replace(plan, resources=quiet), mask, problems=problems, root=root, facts=EMPTY)
    return viewed, advice
