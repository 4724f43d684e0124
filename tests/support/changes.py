"""The table of what each property's change means, and the account in which every one of those changes is made.

A file of ``tests/data/effects`` is about one section. Each row of its tables changes one property of a resource that is
otherwise as its base says, from one value to another and back. All the resources of a file stand side by side in a
sandbox; they are declared with the first values and applied, planned with the second ones and applied, and back again.

    section: jobQueues
    name: "{id}"                   how the resources are called, where that is not free
    around: {schedulingPolicies: {fair: {}}}     declared beside them
    bases: {plain: {priority: 1}, other: {like: plain, state: DISABLED}}
    tables:
      - {base: plain, effect: in-place, call: UpdateJobQueue, source: URL, rows: {priority: [1, 2]}}

A row is ``path: [from, to]``, or a mapping with ``from``, ``to`` and what is other than in the table: ``effect``, ``back``
(the effect of the way back), ``with`` (values of other paths), ``because`` (a piece of the reason that is told). A
change that no plan makes has ``refused``, the code of the problem, and is taken no further. Null means left out. Numbers in a path are positions in lists; a note in brackets after it tells rows of one path apart.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from reconciler.applying.executor import Executor
from reconciler.model import Address, Call, Options, Reply
from reconciler.model.problems import Problems
from reconciler.operations import pipeline
from reconciler.render import json as rendered
from reconciler.schema import registry
from tests.support.histories import READS, Door, History, Ticking
from tests.support.long import LONG
from tests.support.tables import cases

HERE = Path(__file__).parents[1] / "data" / "effects"
MANY = 10  # rows that one file may have before a part of them is left to `make test-long`
AT_ONCE = 24  # an account may have 50 compute environments, and one that is replaced stands twice for a while
REPLACES = "replace"
NOTHING = "none"
ANEW = (REPLACES, "new-revision")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One change; ``effect`` and ``back`` are what is expected of it there and back."""

    section: str
    id: str
    path: str
    note: str
    base: str
    before: Any
    after: Any
    effect: str
    back: str
    because: str
    call: str
    source: str
    refused: str
    props: Mapping[str, Any]

    def __str__(self) -> str:
        return f"{self.section}-{self.path}-{self.base}" + (f"-{self.note.replace(' ', '-')}" if self.note else "")

    @property
    def steps(self) -> tuple[str, ...]:
        """The path without positions, as the schema's tree of members has it."""
        return tuple(step for step in self.path.split(".") if not step.isdigit())

    def declared(self, value: Any) -> dict[str, Any]:
        """The resource with ``value`` at the path."""
        return put(self.props, self.path, value)


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """What stands in one file."""

    section: str
    name: str
    around: Mapping[str, Any]
    settings: Mapping[str, Any]
    rows: tuple[Row, ...]
    aside: Mapping[str, str]


@dataclass(slots=True)
class Told:
    """What became of one row: the entries of both plans, and whatever went wrong on the way."""

    there: Mapping[str, Any] | None = None
    back: Mapping[str, Any] | None = None
    wrong: list[str] = field(default_factory=list)


# --- the table -------------------------------------------------------------------------------------------------------


@cache
def files() -> tuple[File, ...]:
    return tuple(_file(cases(path)) for path in sorted(HERE.glob("*.yaml")))


@cache
def rows() -> tuple[Row, ...]:
    return tuple(row for file in files() for row in file.rows)


def chosen(file: File) -> tuple[Row, ...]:
    """The rows that are tried: of a long file, where there is little time, the first of every kind of change and a few more."""
    if LONG or len(file.rows) <= MANY:
        return file.rows
    seen: set[tuple[str, ...]] = set()
    found = []
    for number, row in enumerate(file.rows):
        about = (row.base, row.effect, row.back, row.call, row.refused)
        if about not in seen or number % 48 == 0:
            found.append(row)
        seen.add(about)
    return tuple(found)


def _file(data: Mapping[str, Any]) -> File:
    bases: dict[str, Any] = {}
    for name, base in data["bases"].items():
        own = dict(base)
        like = own.pop("like", None)
        bases[name] = patched(bases[like], own) if like else own
    found: list[Row] = []
    for table in data["tables"]:
        bases_of = table["base"] if isinstance(table["base"], list) else [table["base"]]
        unders = table.get("under", [""])
        for base in bases_of:
            for under in unders if isinstance(unders, list) else [unders]:
                for key, cell in table["rows"].items():
                    found.append(
                        _row(data["section"], f"r{len(found):03d}", table, base, under, key, cell, bases[base])
                    )
    return File(
        section=data["section"],
        name=data.get("name", "{id}"),
        around=data.get("around", {}),
        settings=data.get("settings", {}),
        rows=tuple(found),
        aside=data.get("aside", {}),
    )


def _row(
    section: str, identity: str, table: Mapping[str, Any], base: str, under: str, key: str, cell: Any, props: Any
) -> Row:
    said = cell if isinstance(cell, Mapping) and {"from", "to"} <= cell.keys() else {"from": cell[0], "to": cell[1]}
    path, _, note = key.partition(" (")
    for other, value in said.get("with", {}).items():
        props = put(props, other, value)
    effect = said.get("effect", table["effect"])
    return Row(
        section=section,
        id=identity,
        path=f"{under}.{path}" if under else path,
        note=note.rstrip(")"),
        base=base,
        before=said["from"],
        after=said["to"],
        effect=effect,
        back=said.get("back", effect),
        because=said.get("because", table.get("because", "")),
        call=said.get("call", table.get("call", "")),
        source=said.get("source", table["source"]),
        refused=said.get("refused", ""),
        props=props,
    )


def patched(under: Any, over: Any) -> Any:
    """JSON Merge Patch (RFC 7386)."""
    if not isinstance(over, Mapping):
        return over
    made = dict(under) if isinstance(under, Mapping) else {}
    for name, value in over.items():
        made[name] = patched(made.get(name), value)
    return {name: value for name, value in made.items() if value is not None}


def put(props: Any, path: str, value: Any) -> Any:
    """``props`` with ``value`` at the path; taken out where it is null. What is missing on the way is made."""
    made = copy.deepcopy(props)
    steps = path.split(".")
    here = made
    for step, following in pairwise(steps):
        if isinstance(here, list):
            while len(here) <= int(step):
                here.append({})
            here = here[int(step)]
        else:
            here = here.setdefault(step, [] if following.isdigit() else {})
    last = steps[-1]
    if isinstance(here, list):
        here[int(last) : int(last) + 1] = [] if value is None else [value]
    elif value is None:
        here.pop(last, None)
    else:
        here[last] = value
    return made


def leaves(section: str) -> Iterator[tuple[str, ...]]:
    """Every property that the section's schema knows, ``lifecycle`` aside; data stands as its holder."""
    for path in _tips(registry.members(section)):
        if path[0] != "lifecycle":
            yield tuple(step for step in path if step != "*")


def _tips(tree: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, below in tree.items():
        yield from _tips(below, (*path, name)) if below else [(*path, name)]


# --- the account -----------------------------------------------------------------------------------------------------


def tried(file: File, sandbox: Any, folder: Path) -> dict[str, Told]:
    """Every change of a file, made and taken back; by the rows' ids."""
    rows = chosen(file)
    told = {row.id: Told() for row in rows}
    for start in range(0, len(rows), AT_ONCE):
        sandbox.reset()
        sandbox.defaults()
        _Account(file, rows[start : start + AT_ONCE], History(sandbox, name="effects"), folder, told).run()
    return told


@dataclass(slots=True)
class Remembering:
    """Reads are answered as before until something is written or time passes: nobody else is at the account."""

    history: History
    at: float = 0.0
    known: dict[str, Any] = field(default_factory=dict)

    def call(self, call: Call) -> Reply:
        now = self.history.sandbox.clock.now()
        if now != self.at or not call.operation.startswith(READS):
            self.at = now
            self.known.clear()
        if not call.operation.startswith(READS):
            return self.history.aws.call(call)
        key = repr(call)
        if key not in self.known:
            self.known[key] = self.history.aws.call(call)
        return copy.deepcopy(self.known[key])


@dataclass(slots=True)
class _Account:
    file: File
    rows: Sequence[Row]
    history: History
    folder: Path
    told: dict[str, Told]
    aws: Remembering = field(init=False)

    def __post_init__(self) -> None:
        self.aws = Remembering(self.history)

    def run(self) -> None:
        before = {row.id: row.declared(row.before) for row in self.rows}
        after = {row.id: row.declared(row.after) for row in self.rows}
        sound = self.rows
        if not (self.readable(before) and self.readable(after)):
            sound = [row for row in self.rows if self.sound(row, before[row.id], after[row.id])]
        self.rows = sound
        self.apply(before, "before")
        if refused := [row for row in sound if row.refused]:
            self.refuse({**before, **{row.id: after[row.id] for row in refused}}, refused)
            self.rows = [row for row in sound if not row.refused]
        self.apply(after, "there")
        self.apply(before, "back")

    def name(self, row: Row) -> str:
        return self.file.name.format(id=row.id)

    def readable(self, declared: Mapping[str, Any]) -> bool:
        """Whether all of it is what people may declare."""
        try:
            self.environment({self.name(row): declared[row.id] for row in self.rows})
        except Problems:
            return False
        return True

    def sound(self, row: Row, *declared: Mapping[str, Any]) -> bool:
        """Whether what is declared is what people may declare."""
        for props in declared:
            try:
                self.environment({self.name(row): props})
            except Problems as problems:
                self.told[row.id].wrong += [f"declaring {row}: {problem}" for problem in problems.problems]
                return False
        return True

    def environment(self, resources: Mapping[str, Any]) -> Any:
        target = self.folder / "environment.yaml"
        around = {section: dict(found) for section, found in self.file.around.items()}
        own = {**around.get(self.file.section, {}), **resources}
        document = {"environment": "effects", **self.file.settings, **around, self.file.section: own}
        target.write_text(json.dumps(document), encoding="utf-8")
        return pipeline.read_environment(target, {"PASSWORD": "x"}, strict=True)[0]

    def refuse(self, declared: Mapping[str, Any], rows: Sequence[Row]) -> None:
        """Plan what no plan may hold: the problem is told at the property."""
        planned = self.planned(self.environment({self.name(row): declared[row.id] for row in self.rows}))
        self.remember(planned, "there")
        codes = {problem.address: (problem.code, problem.path) for problem in planned.problems}
        for row in rows:
            found = codes.get(str(Address(row.section, self.name(row))))
            if found != (row.refused, row.path):
                self.told[row.id].wrong.append(f"planning: {found} instead of {row.refused}")

    def remember(self, planned: pipeline.Planned, way: str) -> None:
        names = {self.name(row): row for row in self.rows}
        for entry in self.entries(planned):
            if entry["type"] == self.file.section and entry["name"] in names and way != "before":
                setattr(self.told[names[entry["name"]].id], way, entry)

    def apply(self, declared: Mapping[str, Any], way: str) -> None:
        """Plan, remember each row's entry, apply, and plan again: nothing may be left to do."""
        env = self.environment({self.name(row): declared[row.id] for row in self.rows})
        planned = self.planned(env)
        self.remember(planned, way)
        for problem in planned.problems:
            self.blame(problem.address, f"planning: {problem}")
        events: list[Any] = []
        executor = Executor(
            Door(self.aws),
            Ticking(self.history.sandbox),
            events.append,
            parallelism=0,
            keep_going=True,
            jitter=lambda: 0.0,
        )
        executor.run(planned.plan)
        for event in events:
            if event.state.name == "FAILED":
                self.blame(str(event.step.address), f"applying: {event.step.action}: {event.detail}")
        again = self.planned(env)
        for entry in self.entries(again):
            if entry["action"] != "noop":
                left = [(one["path"], one["before"], one["after"]) for one in entry["differences"]]
                self.blame(entry["address"], f"still to do after {way}: {entry['action_reason']} {left}")

    def planned(self, env: Any) -> pipeline.Planned:
        assert self.history.scope
        options = Options(allow_deletions=1000)
        return pipeline.make_plan(env, self.history.scope, self.aws, options, parallelism=0)

    def entries(self, planned: pipeline.Planned) -> list[Any]:
        made = rendered.plan(planned.plan, timestamp="", mask=planned.mask)
        return list(made["resource_changes"])

    def blame(self, address: str, what: str) -> None:
        """Note what went wrong at the row whose resource it is; at the first where it is one that stands beside."""
        mine = [row for row in self.rows if address == str(Address(row.section, self.name(row)))]
        for row in mine or self.rows[:1]:
            self.told[row.id].wrong.append(what if mine else f"{address}: {what}")


# --- what is expected ------------------------------------------------------------------------------------------------


def carried(entry: Mapping[str, Any], row: Row, value: Any) -> bool:
    """Whether the row's call takes the new value along, as it is declared or as it is compared.

    What makes something new is sent as declared: nothing is said there of what is left out.
    """
    calls = [step for step in entry["steps"] if step.get("call", "").partition(":")[2] == row.call]
    said = " ".join(str(part) for step in calls for part in _scalars(step["parameters"]))
    if value is None and row.effect in ANEW:
        return bool(calls)
    new = [list(_scalars(value)), [part for one in entry["differences"] for part in _scalars(one["after"])]]
    return bool(calls) and any(all(str(part) in said for part in parts) for parts in new)


def _scalars(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        for item in value.values():
            yield from _scalars(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _scalars(item)
    elif value is not None:
        yield value
