"""Which files make up an environment, and in which order they apply.

An environment is one or several layers: what it ``extends``, in order, then its own files. A layer is a directory
(``environment.yaml`` with the settings, and every other ``*.yaml`` or ``*.yml`` below it) or a single file.

Details:

- Not read: hidden files and directories, directories called ``files`` (they are for ``${file:...}``), bases inside
  the environment's directory, and files with ``tests:`` in its directory ``tests`` (`reconcile test` reads them).
- A symbolic link to a file outside the directory is an error.
- A layer that is reached more than once (two bases that extend the same one) applies where it is reached first.
- Places are relative to the environment's directory, so that they do not depend on the current directory.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field, replace
from enum import IntEnum
from pathlib import Path

from reconciler.config.yaml import reader
from reconciler.config.yaml.node import Node
from reconciler.model import Pos, examples
from reconciler.model import problem_codes as codes
from reconciler.model.patterns import regex
from reconciler.model.problems import Problem, Problems, did_you_mean
from reconciler.model.records import dataclass

SETTINGS_FILES = ("environment.yaml", "environment.yml")
PLAIN_FILES = "files"
TESTS = "tests"
YAML = (".yaml", ".yml")
_NAMED = regex(rb"^[\"']?environment[\"']?\s*:|^\s*\{.*\benvironment\b", re.MULTILINE)
_TESTS = regex(rb"^[\"']?tests[\"']?\s*:|^\s*\{.*\btests\b", re.MULTILINE)
_DEEPEST = 32
_MOST_ENTRIES = 50_000  # files and directories, those of the bases included
# Of all files together: what 50,000 job definitions of forty lines take, and half as much again. Those of a pull
# request may be meant to harm: the values bound the time and memory of reading them (docs/adr/0004).
_MOST_BYTES = 32 * reader.MAX_BYTES
_MOST_VALUES = 12 * reader.MAX_NODES
_NOTHING_HIDDEN = (codes.DUPLICATE_SETTINGS, codes.NESTED_ENVIRONMENT, codes.EMPTY_BASE)
_READABLE = "everything that ends in .yaml or .yml is read: make it readable, or move it away"


@dataclass(frozen=True, slots=True)
class Layer:
    """One directory or file: the content of its settings file, and of every other file by its display path."""

    root: Path
    settings: Node
    others: Mapping[str, Node] = field(default_factory=dict)


class Missing(IntEnum):
    """What may be missing from an environment because some of its files could not be read."""

    NOTHING = 0
    RESOURCES = 1
    VALUES = 2  # variables, defaults or the base of a resource, and with them resources


@dataclass(slots=True)
class Sources:
    """Everything that was read. ``files`` has the real path and the root of each file by its display path."""

    root: Path
    layers: list[Layer] = field(default_factory=list)
    files: dict[str, tuple[Path, Path]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)

    @property
    def missing(self) -> Missing:
        """What the problems of the files may have hidden."""
        return max((self._hidden_by(problem) for problem in self.problems), default=Missing.NOTHING)

    def _hidden_by(self, problem: Problem) -> Missing:
        if problem.code in _NOTHING_HIDDEN:
            return Missing.NOTHING
        if problem.pos is None or not self.layers:
            return Missing.VALUES
        file, own = problem.pos.file, self.layers[-1]
        of_bases = any(file in layer.others or file == layer.settings.pos.file for layer in self.layers[:-1])
        if of_bases or file == own.settings.pos.file or file.startswith("../"):
            return Missing.VALUES
        return Missing.RESOURCES


def find_environment(arg: str | None, cwd: Path) -> Path:
    """The directory or file of the argument ENV, or of ``cwd`` where it is None. Raises Problems if there is none.

    A file inside the directory of an environment means that environment, unless it has a name of its own.
    """
    among = cwd / "environments"
    known = [path.name for path in environments(cwd)]
    if arg is None:
        if is_environment(cwd):
            return cwd
        if len(known) == 1:
            return among / known[0]
        message = "no environment given, and this directory has no environment.yaml"
        hint = f"give one of {', '.join(known)}" if known else "give its directory, or write one with reconcile init"
        raise Problems([Problem(code=codes.NO_ENVIRONMENT, message=message, hint=hint)])
    path = cwd / arg
    for candidate in (path, *(among / f"{arg}{ending}" for ending in ("", *YAML) if arg)):
        if candidate.is_file() or is_environment(candidate):
            if candidate.suffix.lower() in YAML and candidate.name not in SETTINGS_FILES and has_name(candidate):
                return candidate
            return next((above for above in _directories(candidate) if is_environment(above)), candidate)
    if path.is_dir():
        message, hint = f"{arg} has no environment.yaml", "its first lines are: environment: NAME"
        inside = [item.name for item in environments_in(path)]
        if inside:
            hint = f"give one of {', '.join(str(Path(arg) / name) for name in inside)}"
        raise Problems([Problem(code=codes.NO_ENVIRONMENT, message=message, hint=hint)])
    beside = [item.name for item in path.parent.iterdir()] if path.parent.is_dir() else []
    near = did_you_mean(Path(arg).name, known or beside)
    there = f"under environments/ there are {', '.join(known)}" if known else ""
    hint = near or there or "give a directory with an environment.yaml, or write one with reconcile init"
    message = f'there is no environment "{arg}"'
    raise Problems([Problem(code=codes.NO_ENVIRONMENT, message=message, hint=hint)])


def environments(cwd: Path) -> list[Path]:
    """The directories under ``environments/`` that are environments, sorted."""
    among = cwd / "environments"
    return environments_in(among) if among.is_dir() else []


def environments_in(directory: Path) -> list[Path]:
    """The environments in ``directory``, sorted."""
    return sorted(path for path in directory.iterdir() if is_environment(path))


def displayed_from(problems: Iterable[Problem], target: Path, cwd: Path) -> tuple[Problem, ...]:
    """The problems of an environment with files relative to ``cwd``, as an editor or a terminal opens them."""
    root = target if target.is_dir() else target.parent

    def relative_to_cwd(problem: Problem) -> Problem:
        if problem.pos is None or not problem.pos.file:
            return problem
        file = Path(os.path.relpath(root.resolve() / problem.pos.file, cwd.resolve())).as_posix()
        return replace(problem, pos=replace(problem.pos, file=file))

    return tuple(map(relative_to_cwd, problems))


def is_environment(path: Path) -> bool:
    """Whether ``path`` is the directory of an environment."""
    return any((path / name).is_file() for name in SETTINGS_FILES)


def has_name(file: Path) -> bool:
    """Whether the file names an environment, as far as can be seen without parsing; true where it cannot be read."""
    try:
        return _NAMED.search(file.read_bytes()) is not None
    except OSError:
        return True


def has_tests(file: Path) -> bool:
    """Whether the file has expectations for `reconcile test`, as far as can be seen without parsing."""
    try:
        return file.suffix.lower() in YAML and _TESTS.search(file.read_bytes()) is not None
    except OSError:
        return False


def tests_of(target: Path) -> list[Path]:
    """The files with the tests of an environment, sorted: those below its directory ``tests``."""
    directory = target / TESTS
    return sorted(path for path in directory.rglob("*") if path.is_file() and has_tests(path))


def name_of(target: Path) -> str:
    """The name of an environment by its place, for problems that are found before its own name is known."""
    target = target.parent if target.name in SETTINGS_FILES else target
    return target.resolve().name if target.is_dir() else target.stem


def _directories(path: Path) -> Iterator[Path]:
    """The directories that ``path`` may be a file of, the nearest first; a directory is one by itself."""
    yield from (path,) if path.is_dir() else path.parents


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # too long, or with a NUL in it
        return False


def read(target: Path) -> Sources:
    """Read ``target`` and its bases. Errors are in ``problems``, next to what could be read."""
    target = target.parent if target.name in SETTINGS_FILES else target
    sources = Sources((target if target.is_dir() else target.parent).resolve())
    if not target.exists():
        sources.problems.append(Problem(code=codes.NO_ENVIRONMENT, message=f"there is no file or directory {target}"))
    else:
        _Reader(sources).layer(target, own=True)
    return sources


class _Reader:
    def __init__(self, sources: Sources) -> None:
        self.sources = sources
        self.done: set[Path] = set()
        self.chain: list[Path] = []
        self.entries = self.bytes = self.values = 0
        self.full = False
        self.known: dict[Path, Path] = {}

    def real(self, path: Path) -> Path:
        """``path`` without symbolic links, which each directory is asked for once. Raises OSError, RuntimeError."""
        if path not in self.known:
            self.known[path] = path.resolve()
        return self.known[path]

    def layer(self, target: Path, *, own: bool) -> None:
        real = self.real(target)
        if real in self.done:
            return
        self.chain.append(real)
        root = target if target.is_dir() else target.parent
        settings = self.settings(root, own=own) if target.is_dir() else self.file(target, root)
        bases = list(self.bases(settings, root))
        for base, pos in bases:
            self.base(base, pos)
        others = self.others(root, {self.real(base) for base, _ in bases}) if target.is_dir() else {}
        if not own and not others and not settings.value:
            hint = "extend a directory or file that declares something"
            self.problem(codes.EMPTY_BASE, f"{self.display_path(target)} contains no YAML files", hint, settings.pos)
        self.sources.layers.append(Layer(root, settings, others))
        self.done.add(real)
        self.chain.pop()

    def base(self, base: Path, pos: Pos) -> None:
        real = self.real(base)
        if real in self.chain:
            loop = [*self.chain[self.chain.index(real) :], real]
            names = " -> ".join(self.display_path(path) for path in loop)
            self.problem(codes.EXTENDS_CYCLE, f"extends form a cycle: {names}", "remove one of the extends", pos)
        elif not _exists(base):
            beside = base.parent
            near = [item.name for item in beside.iterdir()] if _exists(beside) and beside.is_dir() else []
            hint = did_you_mean(base.name, near) or "the path is relative to the directory of this environment"
            self.problem(codes.UNKNOWN_BASE, f"there is no {self.display_path(base)} to extend", hint, pos)
        else:
            self.layer(base, own=False)

    def bases(self, settings: Node, root: Path) -> Iterator[tuple[Path, Pos]]:
        node = settings.value.get("extends") if isinstance(settings.value, dict) else None
        if node is None or node.value is None:
            return
        for item in node.value if isinstance(node.value, list) else [node]:
            if not isinstance(item.value, str) or not item.value:
                hint = "as in extends: ../base, or a list of such"
                self.problem(codes.WRONG_TYPE, "extends must be a path or a list of paths", hint, item.pos)
            elif "${" in item.value:
                hint = "write the literal path"
                self.problem(codes.BAD_EXPRESSION, "extends is read before variables are known", hint, item.pos)
            else:
                try:
                    path = root / os.path.normpath(item.value)
                    path = path.parent if path.name in SETTINGS_FILES and path.is_file() else path
                    itself = self.real(path) == self.real(root)
                except (OSError, ValueError, RuntimeError) as error:  # too long, with a NUL, or a loop of links
                    why = getattr(error, "strerror", None) or "a broken symbolic link"
                    self.problem(codes.UNKNOWN_BASE, f"cannot extend this path: {why}", "give another path", item.pos)
                    continue
                if itself:
                    self.problem(codes.EXTENDS_CYCLE, "the environment extends itself", "remove this", item.pos)
                else:
                    yield path, item.pos

    def settings(self, root: Path, *, own: bool) -> Node:
        found = [root / name for name in SETTINGS_FILES if (root / name).is_file()]
        if len(found) > 1:
            pos = Pos(self.display_path(found[1]), 1, 1)
            self.problem(codes.DUPLICATE_SETTINGS, "there is an environment.yaml as well", "keep one of the two", pos)
        if found:
            return self.file(found[0], root)
        if own:
            message = f"{root} has no environment.yaml"
            problem = Problem(code=codes.NO_ENVIRONMENT, message=message, hint="its first line is: environment: NAME")
            self.sources.problems.append(problem)
        return Node({}, Pos(self.display_path(root), 1, 1))

    def others(self, root: Path, bases: set[Path]) -> dict[str, Node]:
        """Every other YAML file of the directory, in a stable order."""
        settings = {self.real(root / name) for name in SETTINGS_FILES}
        seen: set[Path] = set()
        found: dict[str, Node] = {}
        for path in self.walk(root, self.real(root), bases, set()):
            real = self.real(path)
            if real in settings or real in seen:
                continue
            if path.relative_to(root).parts[0] == TESTS and path.is_file() and has_tests(path):
                continue
            seen.add(real)
            if path.name in SETTINGS_FILES:
                hint = "a directory with its own environment.yaml is an environment: move it out of this one"
                message = f"{self.display_path(path)} is inside another environment"
                self.problem(codes.NESTED_ENVIRONMENT, message, hint, Pos(self.display_path(path), 1, 1))
            else:
                found[self.display_path(path)] = self.file(path, root)
        return found

    def walk(self, directory: Path, inside: Path, bases: set[Path], seen: set[Path]) -> Iterator[Path]:
        seen.add(self.real(directory))
        if len(self.real(directory).parts) - len(inside.parts) > _DEEPEST:
            message = f"directories are nested more than {_DEEPEST} levels deep here"
            hint = "deeper directories are not read: move this one up, or out of the environment"
            self.problem(codes.TOO_DEEP, message, hint, Pos(self.display_path(directory), 1, 1))
            return
        for path in self.entries_of(directory):
            real = self.real_path(path)
            if real is None or real in bases or real in seen:
                continue
            if not real.is_relative_to(inside):
                if path.name != PLAIN_FILES:
                    hint = "copy it in, or name it in extends"
                    message = f"{self.display_path(path)} is a symbolic link to a file outside the environment"
                    self.problem(codes.OUTSIDE_ENVIRONMENT, message, hint, Pos(self.display_path(path), 1, 1))
            elif path.is_dir():
                if path.name != PLAIN_FILES:
                    yield from self.walk(path, inside, bases, seen)
            else:
                yield path

    def entries_of(self, directory: Path) -> Iterator[Path]:
        """The entries of a directory that are not hidden, sorted, up to the limit."""
        try:
            found = sorted(directory.iterdir())
        except OSError as error:
            shown = self.display_path(directory)
            message = f"{shown} cannot be read: {error.strerror}"
            self.problem(codes.UNREADABLE_FILE, message, _READABLE, Pos(shown, 1, 1))
            return
        for path in found:
            if not path.name.startswith("."):
                self.entries += 1
                if self.too_much(path):
                    return
                yield path

    def too_much(self, path: Path) -> bool:
        """Whether a limit is exceeded at ``path``, so that nothing more is read; reported once."""
        limits = (
            (self.bytes, _MOST_BYTES, "bytes of YAML"),
            (self.values, _MOST_VALUES, "values"),
            (self.entries, _MOST_ENTRIES, "files and directories"),
        )
        exceeded = next((f"{most:,} {what}" for found, most, what in limits if found > most), "")
        if exceeded and not self.full:
            self.full = True
            message = f"there are more than {exceeded} here; the rest is not read"
            hint = "check the directory or the base; move files that do not belong to the environment out of it"
            self.problem(codes.TOO_MUCH, message, hint, Pos(self.display_path(path), 1, 1))
        return self.full

    def real_path(self, path: Path) -> Path | None:
        """The real path of a YAML file or a directory; None for anything else, and for what cannot be read."""
        try:
            found = self.real(path)
            return found if path.suffix.lower() in YAML or path.is_dir() else None
        except (OSError, RuntimeError) as error:  # no permission, or a loop of links
            why, shown = getattr(error, "strerror", None) or "its symbolic links form a loop", self.display_path(path)
            self.problem(codes.UNREADABLE_FILE, f"{shown} cannot be read: {why}", _READABLE, Pos(shown, 1, 1))
            return None

    def file(self, path: Path, root: Path) -> Node:
        shown = self.display_path(path)
        self.sources.files[shown] = (self.real(path), self.real(root))
        empty = Node({}, Pos(shown, 1, 1))
        if path.exists() and not path.is_file():
            self.problem(codes.UNREADABLE_FILE, f"{shown} is not a regular file", _READABLE, empty.pos)
            return empty
        try:
            with path.open("rb") as stream:
                data = stream.read(reader.MAX_BYTES + 1)
            self.bytes += len(data)
            if self.too_much(path):
                return empty
            node = reader.read(data, shown)
            self.values += node.size
        except OSError as error:
            self.problem(codes.UNREADABLE_FILE, f"{shown} cannot be read: {error.strerror}", _READABLE, empty.pos)
            return empty
        except Problems as error:
            self.sources.problems += error.problems
            self.values += min(len(data) // 2, reader.MAX_NODES)  # as many as it may have
            node = getattr(error, "rest", None) or empty
        if isinstance(node.value, dict):
            self.sources.warnings += getattr(node, "warnings", ())
            return node
        what = "a list" if isinstance(node.value, list) else "a single value"
        hint = f"the top level contains settings and sections, such as {examples.SECTION}"
        self.problem(codes.WRONG_TYPE, f"the file contains {what}; it must be a mapping", hint, node.pos)
        return empty

    def display_path(self, path: Path) -> str:
        return Path(os.path.relpath(self.real(path.parent) / path.name, self.sources.root)).as_posix()

    def problem(self, code: codes.ProblemCode, message: str, hint: str, pos: Pos) -> None:
        self.sources.problems.append(Problem(code=code, message=message, hint=hint, pos=pos))
