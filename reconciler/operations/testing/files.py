"""Files with tests: YAML below the directory ``tests`` of an environment, with their places."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import field
from pathlib import Path
from typing import Any, Final

from reconciler.config.merge import plain
from reconciler.config.yaml import reader
from reconciler.config.yaml.node import Node, Places
from reconciler.model import Address, Pos
from reconciler.model import Path as ValuePath
from reconciler.model import problem_codes as codes
from reconciler.model.problems import Problem, Problems, ordered
from reconciler.model.records import dataclass
from reconciler.schema import registry

BY_ADDRESS: Final = ("actions", "differences", "values", "grants", "retry")  # of what is expected
_SHARED: Final = ("account", "env", "lookups")


@dataclass(frozen=True, slots=True)
class Case:
    """One test. ``value`` is what it says, with what the file says for all; ``node`` has the places."""

    name: str
    value: Mapping[str, Any]
    node: Node
    places: Places

    @property
    def pos(self) -> Pos:
        """Where it is, by its name."""
        return self.at("name")

    @property
    def expect(self) -> Mapping[str, Any]:
        """What it expects."""
        found: Mapping[str, Any] = self.value["expect"]
        return found

    @property
    def change(self) -> Node | None:
        """What is merged over the files of the environment."""
        found: Node | None = self.node.value.get("change")
        return found

    def at(self, *path: str | int) -> Pos:
        """The place of what is at ``path`` in the test, or of its nearest ancestor."""
        whole: ValuePath = path
        while whole and whole not in self.places:
            whole = whole[:-1]
        return self.places[whole] if whole else self.node.pos


@dataclass(frozen=True, slots=True)
class CaseFile:
    """The tests of one file, or what is wrong with it. ``shown`` is its path from the environment's directory."""

    path: Path
    shown: str
    tests: tuple[Case, ...] = ()
    problems: tuple[Problem, ...] = field(default=())


def read(path: Path, root: Path) -> CaseFile:
    """Read a file of tests of the environment in the directory ``root``; places are relative to that."""
    shown = Path(os.path.relpath(path.resolve(), root.resolve())).as_posix()
    try:
        node = reader.read(_content(path, shown), shown)
    except Problems as error:
        return CaseFile(path, shown, problems=tuple(error.problems))
    value = plain(node)
    places = Places(node, _as_written)

    def at(path: ValuePath) -> Pos:
        while path and path not in places:
            path = path[:-1]
        return places[path] if path else node.pos

    wrong = registry.shipped().tests(value, at=at)
    wrong += [] if wrong else _beyond_the_schema(value, at)
    if wrong:
        return CaseFile(path, shown, problems=ordered(wrong))
    shared = {name: value[name] for name in _SHARED if name in value}
    tests = [
        Case(one["name"], _with(shared, one), item, Places(item, _as_written))
        for one, item in zip(value["tests"], node.value["tests"].value, strict=True)
    ]
    return CaseFile(path, shown, tuple(tests))


def _content(path: Path, shown: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        message = f"{shown} cannot be read: {error.strerror}"
        raise Problems([Problem(code=codes.UNREADABLE_FILE, message=message, pos=Pos(shown, 1, 1))]) from error


def _with(shared: Mapping[str, Any], one: Mapping[str, Any]) -> Mapping[str, Any]:
    """A test with what its file says for all; mappings are united."""
    done = dict(one)
    for name, value in shared.items():
        own = one.get(name)
        done[name] = {**value, **own} if isinstance(value, dict) and name != "account" and own else own or value
    return done


def _beyond_the_schema(value: Mapping[str, Any], at: Any) -> list[Problem]:
    """Names that stand twice, addresses and patterns that are none, and what has no effect."""
    found: list[Problem] = []
    seen: dict[str, Pos] = {}
    for index, test in enumerate(value["tests"]):
        place: ValuePath = ("tests", index)
        pos = at((*place, "name"))
        if test["name"] in seen:
            hint = f"the other is at {seen[test['name']]}"
            found.append(Problem(code=codes.DUPLICATE, message="two tests have this name", hint=hint, pos=pos))
        seen.setdefault(test["name"], pos)
        if "from" in test and test.get("account", value.get("account", "sandbox")) != "sandbox":
            message, hint = "from has an effect in the sandbox only", "remove it, or account"
            found.append(Problem(code=codes.NOT_APPLICABLE, message=message, hint=hint, pos=at((*place, "from"))))
        for name in ("environment", "extends"):
            if name in test.get("change", {}):
                message, hint = f"a change of {name} has no effect", "remove it; a test concerns one environment"
                place_of = at((*place, "change", name))
                found.append(Problem(code=codes.NOT_APPLICABLE, message=message, hint=hint, pos=place_of))
        for path, written in _addresses(test):
            if address_of(written) is None:
                message = f'"{written}" is not an address'
                hint = 'write it as plans print it: SECTION.NAME, or SECTION["NAME"] for a name with a dot or a slash'
                found.append(Problem(code=codes.BAD_ADDRESS, message=message, hint=hint, pos=at((*place, *path))))
        for path, pattern in _patterns(test):
            if why := _why_no_pattern(pattern):
                message = f"not a regular expression: {why}"
                found.append(Problem(code=codes.INVALID_VALUE, message=message, pos=at((*place, *path))))
    return found


def _addresses(test: Mapping[str, Any]) -> Iterator[tuple[ValuePath, str]]:
    for group in BY_ADDRESS:
        given = test["expect"].get(group, {})
        yield from ((("expect", group, written), written) for written in given if isinstance(given, dict))
    for index, written in enumerate(test.get("options", {}).get("replace", ())):
        yield ("options", "replace", index), written


def _patterns(test: Mapping[str, Any]) -> Iterator[tuple[ValuePath, str]]:
    for written, values in test["expect"].get("values", {}).items():
        for path, rules in values.items():
            if isinstance(rules, dict) and "matches" in rules:
                yield ("expect", "values", written, path, "matches"), rules["matches"]


def _why_no_pattern(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        return str(error)
    return ""


def address_of(written: str) -> Address | None:
    """The address that a test has; None where it is none."""
    section, dot, name = written.partition(".")
    if "[" in section:
        section, _, name = written.partition("[")
        name, dot = name.removesuffix("]").strip("\"'"), "."
    return Address(section, name) if dot and section and name else None


def _as_written(key: str) -> str:
    return key


__all__ = ["Case", "CaseFile", "address_of", "read"]
