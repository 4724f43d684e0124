"""Two changes at once, by plans alone: what is declared stands in an account that exists only as :class:`Observed`.

The resources are those of ``tests/data/effects``: one that a row of a file is about, called x, and one that stands
beside it in that file and that x refers to; ``tests/data/together.yaml`` has examples of the other references. Each is
changed as the rows of its section say, replaced in both ways, and removed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from reconciler.kinds import discover
from reconciler.model import Address, Environment, Later, Lifecycle, Live, Observed, Plan, Replace, Resource, Text
from reconciler.model import ResourcePlan as Planned
from reconciler.model.paths import values_at
from reconciler.model.problems import Problem, Problems
from reconciler.model.stand_ins import replace, walk
from reconciler.operations import pipeline
from reconciler.planning import planner
from reconciler.schema import registry
from tests.support import changes, tables
from tests.support.builders import OWNED, SCOPE

KINDS = discover()
LOOKUPS = {"vpc": "vpc-1", "a": ["subnet-a"], "b": ["subnet-b"], "both": ["subnet-a", "subnet-b"]}
EXTRA = {"eventRules": {"bus": "default"}, "computeEnvironments": {"ecsClusterArn": "cluster"}}
MORE = Path(__file__).parents[1] / "data" / "together.yaml"
GONE: Any = None  # instead of properties: not declared
Declared = dict[Address, Any]


class _Anything(Mapping[tuple[str, str], Mapping[str, str]]):
    """Whatever is named and not declared exists."""

    def __getitem__(self, key: tuple[str, str]) -> Mapping[str, str]:
        return {"name": key[1], "arn": SCOPE.arn("other", "/".join(key)), "id": f"id-{key[1]}", "uri": key[1]}

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(())

    def __len__(self) -> int:
        return 0


@dataclass(frozen=True, slots=True)
class Change:
    """One resource from one declaration to another: the path that differs, and what that means."""

    address: Address
    before: Any
    after: Any
    path: str
    effect: str

    def __str__(self) -> str:
        return " ".join(filter(None, (str(self.address), self.path, self.effect)))


# --- plans -----------------------------------------------------------------------------------------------------------


def environment(declared: Declared) -> Environment:
    """What is declared, without the checks of it."""
    resources = {}
    for address, whole in declared.items():
        props = dict(whole)
        how = props.pop("lifecycle", {}).get("replace")
        lifecycle, tags = Lifecycle(replace=Replace(how) if how else None), props.pop("tags", {})
        props = dict(KINDS[address.section].expanded(address.name, props))
        resources[address] = Resource(address=address, props=props, tags=tags, lifecycle=lifecycle)
    return Environment(name="test", resources=resources)


def made(env: Environment, observed: Observed) -> tuple[Plan, list[Problem]]:
    return planner.make(env, KINDS, SCOPE, observed, members=registry.members)


def standing(env: Environment, revisions: int = 2) -> Observed:
    """The account in which ``env`` has been applied; ``revisions`` of what has revisions."""
    plan, problems = made(env, Observed(existing=_Anything()))
    assert not problems, problems
    lives: dict[str, list[Live]] = {}
    for resource in plan.resources:
        numbers = range(1, revisions + 1) if KINDS[resource.address.section].versioned else (0,)
        lives.setdefault(resource.address.section, []).extend(_live(resource, number) for number in numbers)
    return Observed(lives={section: tuple(found) for section, found in lives.items()}, existing=_Anything())


def _live(resource: Planned, revision: int) -> Live:
    assert resource.want
    attrs = {name: str(_told(value)) for name, value in resource.want.attrs.items()}
    if revision:
        attrs |= {"revision": str(revision), "arn": f"{attrs['arn']}:{revision}"}
    return Live(
        physical=f"{resource.physical}:{revision}" if revision else resource.physical,
        attrs=attrs,
        props=_told(resource.want.declared),
        tags=_told(resource.want.tags) if KINDS[resource.address.section].container is None else OWNED,
        revision=revision,
        extra=EXTRA.get(resource.address.section, {}),
    )


def _told(value: Any) -> Any:
    """``value`` with what AWS would have assigned."""

    def known(node: Any) -> Any:
        if isinstance(node, Later):
            return f"{node.attr}-{node.address.section}-{node.address.name}"
        return "".join(str(_told(part)) for part in node.parts) if isinstance(node, Text) else node

    return replace(value, known)


# --- changes ---------------------------------------------------------------------------------------------------------


def pairs() -> Iterator[Pair]:
    """For every property that refers to another resource, every kind of change on both sides."""
    seen = set[tuple[str, ...]]()
    for x, props, row, beside in _examples():
        for pattern, used in _used(x, props, beside):
            for one in _changes_of(x, props, row):
                for other in _changes_of(used, beside[used], None):
                    meaning = (one.path, one.effect, other.path, other.effect)
                    key = (x.section, pattern, used.section, *meaning)
                    if key not in seen:
                        seen.add(key)
                        yield Pair(pattern, one, other, beside)


def _examples() -> Iterator[tuple[Address, Any, changes.Row | None, Declared]]:
    """Resources with what stands beside them, and the row that they are of."""
    for file in changes.files():
        x, beside = Address(file.section, file.name.format(id="x")), _addressed(file.around)
        for row in file.rows:
            for value in (row.before, row.after) if not row.refused else ():
                yield x, _looked_up(row.declared(value)), row, beside
    for example in tables.cases(MORE):
        yield Address(example["section"], example["name"]), example["declared"], None, _addressed(example["beside"])


def _addressed(around: Mapping[str, Any]) -> Declared:
    return {
        Address(section, name): _looked_up(props) for section, found in around.items() for name, props in found.items()
    }


def _looked_up(value: Any) -> Any:
    known = {f"${{lookups.{name}}}": found for name, found in LOOKUPS.items()}
    return replace(value, lambda node: known.get(node, node) if isinstance(node, str) else node)


def _used(x: Address, props: Any, beside: Declared) -> Iterator[tuple[str, Address]]:
    """What stands beside that ``props`` refer to, with the property that does."""
    kind = KINDS[x.section]
    expanded = kind.expanded(x.name, {name: item for name, item in props.items() if name not in ("tags", "lifecycle")})
    for pattern, ref in kind.refs.items():
        for _, named in values_at(expanded, pattern):
            for section in ref.sections if isinstance(named, str) else ():
                used = Address(section, named.rpartition("/")[2] if named.startswith("arn:") else named)
                if used in beside:
                    yield pattern, used


@cache
def _by_meaning(section: str, base: str | None) -> tuple[changes.Row, ...]:
    """The first row of every effect there and back, of one base or any, for each property of the top."""
    found: dict[Any, changes.Row] = {}
    for row in changes.rows():
        if row.section == section and base in (None, row.base) and not row.refused and row.effect != changes.NOTHING:
            found.setdefault((row.effect, row.back, row.path.partition(".")[0]), row)
    return tuple(found.values())


def _changes_of(address: Address, props: Any, about: changes.Row | None) -> Iterator[Change]:
    """What may change about ``props``; ``about`` is the row that they are of."""
    rows = _by_meaning(address.section, about.base if about else None)
    for row in [*([about] if about else []), *(row for row in rows if row is not about)]:
        before, after = (_looked_up(changes.put(props, row.path, value)) for value in (row.before, row.after))
        yield Change(address, before, after, row.path, row.effect)
        for how in ("delete-first", "create-first") if row.effect == changes.REPLACES else ():
            said = {"lifecycle": {"replace": how}}
            yield Change(address, {**before, **said}, {**after, **said}, row.path, how)
    yield Change(address, props, GONE, "", "removed")


# --- both ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Pair:
    """A change of what refers to another by the property ``pattern``, and one of what it refers to."""

    pattern: str
    one: Change
    other: Change
    beside: Declared

    def __str__(self) -> str:
        return f"{self.one} ({self.pattern}) and {self.other}"

    @property
    def refers(self) -> tuple[bool, bool]:
        """Whether the one refers to the other before its change, and after it."""
        return self._at(self.one.before), self._at(self.one.after)

    def _at(self, props: Any) -> bool:
        return props is not GONE and (self.pattern, self.other.address) in _used(self.one.address, props, self.beside)

    def moments(self) -> list[Declared]:
        """What is declared before, with each change alone, and with both."""
        one, other = ({each.address: each.after} for each in (self.one, self.other))
        start = _needed({**self.beside, self.one.address: self.one.before, self.other.address: self.other.before}, self)
        whole = [start, {**start, **one}, {**start, **other}, {**start, **one, **other}]
        return [{a: props for a, props in declared.items() if props is not GONE} for declared in whole]

    def problems(self) -> list[Problem] | None:
        """What a plan of both finds; None where one of them alone cannot be planned."""
        start, *alone, both = map(environment, self.moments())
        observed = standing(start)
        if any(made(env, observed)[1] for env in alone):
            return None
        return made(both, observed)[1]

    def declarable(self, folder: Path) -> bool:
        """Whether people may declare all of it."""
        for declared in self.moments():
            document: dict[str, Any] = {"environment": "test"}
            for address, props in declared.items():
                document.setdefault(address.section, {})[address.name] = props
            (folder / "environment.yaml").write_text(json.dumps(document), encoding="utf-8")
            try:
                pipeline.read_environment(folder, {"PASSWORD": "x"}, strict=True)
            except Problems:
                return False
        return True


def _needed(declared: Declared, pair: Pair) -> Declared:
    """The two, and of what stands beside them only what they mention, and so on: a plan of fewer takes less time."""
    names: dict[str, list[Address]] = {}
    for address in declared:
        names.setdefault(address.name, []).append(address)
    found: dict[Address, Any] = {}
    todo = [pair.one.address, pair.other.address]
    while todo:
        address = todo.pop()
        if address not in found:
            found[address] = declared[address]
            said = walk([declared[address], pair.one.after, pair.other.after])
            words = [
                word.rpartition("/")[2] if word.startswith("arn:") else word for word in said if isinstance(word, str)
            ]
            todo += [other for word in words for other in names.get(word, ())]
    return found
