"""Finds the environments that `validate` is to check: all of them, or those that a file belongs to."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from reconciler.config import expressions, files
from reconciler.config.yaml import reader
from reconciler.config.yaml.node import Node
from reconciler.model import problem_codes as codes
from reconciler.model.problems import Problem, Problems
from reconciler.model.records import dataclass

_DEEPEST = 4


@dataclass(frozen=True, slots=True)
class Inputs:
    """What an environment is read from. ``files`` are what it reads or names, also what does not exist, by every path
    that leads there, with the links on the way; ``directories`` are those whose YAML files it reads.
    """

    files: frozenset[Path]
    directories: frozenset[Path]

    def include(self, path: Path) -> bool:
        """Whether ``path``, which may have been deleted, is or was one of them."""
        return path in self.files or (
            path.suffix.lower() in files.YAML
            and any(
                path.is_relative_to(directory)
                and not any(
                    part.startswith(".") or part == files.PLAIN_FILES for part in path.relative_to(directory).parts
                )
                for directory in self.directories
            )
        )


def every_environment(cwd: Path) -> list[Path]:
    """The environments below ``environments/``, sorted, bases without a name of their own excepted.

    Raises Problems if there is none.
    """
    found = list(_below(cwd / "environments"))
    nameless = [path for path in found if not _is_named(path)]
    bases = {base for base in nameless if any(_uses(path, _settings(base)) for path in found if path != base)}
    if not found:
        message, hint = "there are no environments under environments/", "give their directories"
        raise Problems([Problem(code=codes.NO_ENVIRONMENT, message=message, hint=hint)])
    return [path for path in found if path not in bases]


def environments_of(arg: str, cwd: Path) -> list[Path]:
    """The environments that the argument means: one, or for a file of a base those that extend it. Raises Problems."""
    path = cwd / arg
    found = files.find_environment(arg, cwd)
    if path.is_file() and not _is_named(found) and (cwd / "environments").is_dir():
        users = [other for other in _below(cwd / "environments") if _is_named(other) and _uses(other, path)]
        return users or [found]
    return [found]


def inputs(target: Path) -> Inputs:
    """What the environment ``target`` is read from.

    That of today is enough to know whether a change touches it: where it was read from another file before, a file that
    is read now, or was deleted from one of the directories, has changed as well.
    """
    read = files.read(target)
    named = [target, *(path for path, _ in read.files.values()), *(read.root / shown for shown in read.files)]
    directories: list[Path] = []
    for layer in read.layers:
        settings = read.root / layer.settings.pos.file
        if settings.name in files.SETTINGS_FILES or settings.is_dir():  # else it is a single file
            directories.append(layer.root)
        for node in (layer.settings, *layer.others.values()):
            named += [layer.root.resolve() / name for name in _named_files(node)]
        bases = [layer.root / os.path.normpath(base) for base in _bases(layer.settings)]
        named += bases
        directories += bases
    return Inputs(
        frozenset(step for path in named for form in _forms(path) for step in (form, *form.parents)),
        frozenset(form for path in directories for form in _forms(path)),
    )


def name_of_environment(target: Path) -> str:
    """The name that the environment ``target`` gives itself; empty if it cannot be read."""
    return name_in(_settings(target))


def setting_of(target: Path, name: str) -> str:
    """A setting of the environment ``target``, from its own file, as it is written; empty if it is no text."""
    return name_in(_settings(target), name)


def name_in(file: Path, setting: str = "environment") -> str:
    """The name (or another setting) that ``file`` gives an environment; empty if there is none, or it is unreadable."""
    try:
        return name_in_text(file.read_bytes()[: reader.MAX_BYTES], setting)
    except OSError:
        return ""


def name_in_text(content: bytes, setting: str = "environment") -> str:
    """The same by the content of a file."""
    try:
        top = reader.read(content, "").value
    except Problems as error:
        top = getattr(getattr(error, "rest", None), "value", None)
    name = top.get(setting) if isinstance(top, dict) else None
    return name.value if name is not None and isinstance(name.value, str) else ""


def _forms(path: Path) -> tuple[Path, Path]:
    """``path`` as it is written and as it really is, both absolute."""
    return Path(os.path.abspath(path)), path.resolve()  # noqa: PTH100  (links are kept)


def _bases(settings: Node) -> Iterator[str]:
    """The paths that settings extend."""
    node = settings.value.get("extends") if isinstance(settings.value, dict) else None
    for item in node.value if node and isinstance(node.value, list) else [node] if node else []:
        if isinstance(item.value, str) and item.value and "\0" not in item.value:
            yield item.value


def _named_files(node: Node) -> Iterator[str]:
    """The files that the expressions in ``node`` name."""
    seen: set[int] = set()
    waiting = [node]
    while waiting:
        found = waiting.pop()
        if id(found) in seen:  # aliases share nodes
            continue
        seen.add(id(found))
        if isinstance(found.value, dict):
            waiting += found.value.values()
        elif isinstance(found.value, list):
            waiting += found.value
        elif isinstance(found.value, str) and "file:" in found.value:
            parts, _ = expressions.parse(found.value)
            yield from (
                part.attr for part in expressions.references(parts) if part.root == "file" and "\0" not in part.attr
            )


def _below(directory: Path, depth: int = 0) -> Iterator[Path]:
    """The directories below ``directory`` that are environments, and the files directly in it that name themselves."""
    for path in sorted(directory.iterdir()) if directory.is_dir() and depth < _DEEPEST else ():
        if files.is_environment(path):
            yield path
        elif path.is_dir() and not path.name.startswith("."):
            yield from _below(path, depth + 1)
        elif not depth and path.suffix.lower() in (".yaml", ".yml") and path.is_file() and _is_named(path):
            yield path


def _settings(path: Path) -> Path:
    """The file with the settings of the environment ``path``."""
    found = (path / name for name in files.SETTINGS_FILES)
    return next((file for file in found if file.is_file()), path)


def _is_named(path: Path) -> bool:
    """Whether the environment ``path`` has a name of its own."""
    return files.has_name(_settings(path))


def _uses(environment: Path, file: Path) -> bool:
    """Whether ``environment`` reads ``file`` as its own or as that of a base, also as the content of an expression."""
    real = file.resolve()
    read = files.read(environment)
    return any(real == path for path, _ in read.files.values()) or any(
        layer.root.is_dir() and layer.root.resolve() != read.root and real.is_relative_to(layer.root.resolve())
        for layer in read.layers
    )
