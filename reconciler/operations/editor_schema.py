"""The copy of the schema that a project's files refer to in their first lines, for editors.

A project has one copy, in ``schemas/`` at its top, with the version of reconcile in its name: editors find it without a
network, and everyone who clones the project has the same. ``init`` and ``reconcile schema --write`` write it. Files
with tests have a schema of their own, of which there is a copy beside it where one of them refers to it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from reconciler import __version__
from reconciler.model.patterns import regex
from reconciler.schema import registry

DIRECTORY: Final = "schemas"
NAME: Final = f"reconcile-{__version__}.schema.json"
_OUR_OWN: Final = "environment.schema.json"
_ANY: Final = "reconcile-*.schema.json"
_LINE: Final = regex(
    r"\A(# yaml-language-server: \$schema=)(?:\S*/)?(?:environment|reconcile-[^/\s]+)\.schema\.json(?=\s)"
)
_TESTS: Final = ".tests.schema.json"
_TESTS_LINE: Final = regex(
    r"\A(# yaml-language-server: \$schema=)(?:\S*/)?(?:tests|reconcile-[^/\s]+\.tests)\.schema\.json(?=\s)"
)
_NOT_OURS: Final = ("node_modules", "venv", "site-packages")


def text() -> str:
    """The content of the copy: one line, as it is read by programs only."""
    return json.dumps({**registry.published(), "$id": NAME}, ensure_ascii=False, separators=(",", ":")) + "\n"


def top(directory: Path) -> Path:
    """The top of the project that ``directory`` is in: that of its repository, or one that has a copy already.

    Without either it is the directory above ``environments/``, else ``directory`` itself, which need not exist.
    """
    here = directory.resolve()
    for above in (here, *here.parents):
        if (above / ".git").exists() or any((above / DIRECTORY).glob(_ANY)):
            return above
    return here.parents[1] if here.parent.name == "environments" else here


def place(directory: Path) -> Path:
    """Where the copy of the project that ``directory`` is in belongs; in reconcile's own repository it is there."""
    schemas = top(directory) / DIRECTORY
    return schemas / (_OUR_OWN if schemas == registry.directory() else NAME)


def with_line(content: str, file: Path, schema: Path) -> str:
    """The text of a YAML file whose first line, if it refers to a copy of the schema, refers to ``schema``."""
    line, meant = (_TESTS_LINE, of_tests(schema)) if _TESTS_LINE.match(content) else (_LINE, schema)
    relative = Path(os.path.relpath(meant, file.resolve().parent)).as_posix()
    return line.sub(lambda match: f"{match[1]}{relative}", content, count=1)


def of_tests(schema: Path) -> Path:
    """The copy for files with tests, beside that for an environment."""
    return schema.with_name(registry.TESTS if schema.name == _OUR_OWN else f"reconcile-{__version__}{_TESTS}")


def write(directory: Path) -> list[Path]:
    """Write the copy of the project, and let the first lines of its YAML files refer to it.

    Only files that refer to a copy already are changed. Returns the paths of what was written, the copy first.
    """
    schema = place(directory)
    files = _files(top(directory))
    copies = [write_copy(schema), *write_copy_for_tests(schema, files)]
    return [*copies, *(shown(file) for file in files if _updated(file, schema))]


def write_copy(schema: Path) -> Path:
    """Write the copy itself; returns its path as it is shown."""
    if schema.name != _OUR_OWN:  # which `make schemas` writes
        schema.parent.mkdir(parents=True, exist_ok=True)
        schema.write_text(text(), encoding="utf-8")
    return shown(schema)


def write_copy_for_tests(schema: Path, files: Iterable[Path]) -> list[Path]:
    """Write the copy for files with tests, if any of ``files`` is one that refers to it; returns its path."""
    copy = of_tests(schema)
    if schema.name == _OUR_OWN or not any(_TESTS_LINE.match(_start(file)) for file in files):
        return []
    content = json.dumps({**registry.published_tests(), "$id": copy.name}, ensure_ascii=False, separators=(",", ":"))
    copy.write_text(f"{content}\n", encoding="utf-8")
    return [shown(copy)]


def _start(file: Path) -> str:
    with suppress(OSError, UnicodeDecodeError), file.open(encoding="utf-8") as stream:
        return stream.readline()
    return ""


def shown(path: Path) -> Path:
    """The shorter of a path and the way to it from the current directory."""
    return Path(min(str(path), os.path.relpath(path), key=len))


def _updated(file: Path, schema: Path) -> bool:
    try:
        before = file.read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        return False
    after = with_line(before, file, schema)
    if after == before:
        return False
    file.write_bytes(after.encode("utf-8"))  # with the ends of lines that it has
    return True


def _files(directory: Path) -> list[Path]:
    """The YAML files below a directory, without what is hidden, linked or installed."""
    found: list[Path] = []
    for where, below, names in os.walk(directory):
        below[:] = sorted(name for name in below if not name.startswith(".") and name not in _NOT_OURS)
        paths = (Path(where, name) for name in sorted(names) if name.endswith((".yaml", ".yml")))
        found += (path for path in paths if path.is_file() and not path.is_symlink())
    return found
