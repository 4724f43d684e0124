"""Finds the environments that `validate` is to check: all of them, or those that a file belongs to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from reconciler.config import files
from reconciler.model import problem_codes as codes
from reconciler.model.problems import Problem, Problems

_DEEPEST = 4


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
