"""Writes the files of an import: all of them or none, and none that has changed since it was read."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from reconciler.model import problem_codes as codes
from reconciler.model.problems import Problem, Problems
from reconciler.operations import editor_schema
from reconciler.operations.importing.existing import Existing

_SCHEMA: Final = "# yaml-language-server: $schema="


def with_schema(directory: Path, texts: Mapping[str, str], existing: Existing) -> dict[str, str]:
    """The texts of files, the new ones with a first line that refers to the project's copy of the schema."""
    schema = editor_schema.place(directory)
    return {
        name: text if name in existing.texts else editor_schema.with_line(text, directory / name, schema)
        for name, text in texts.items()
    }


def save(directory: Path, texts: Mapping[str, str], existing: Existing) -> list[Path]:
    """Write files into the directory of an environment, which is made where it is missing; returns their paths.

    With the first new file that refers to it the project gets its copy of the schema, if it has none. Raises Problems:
    nothing is written then.
    """
    schema = editor_schema.place(directory)
    refers = any(text.startswith(_SCHEMA) for name, text in texts.items() if name not in existing.texts)
    copy = [schema] if refers and not schema.exists() else []
    created: list[Path] = []
    try:
        created = [*_make_directories({(directory / name).parent for name in texts})]
        paths = _Files(directory, texts, existing).write()
        return [*paths, *(editor_schema.write_copy(one) for one in copy)]
    except OSError as error:
        _remove_directories(created)
        message = f"{error.filename or directory}: {error.strerror}"
        raise Problems([Problem(code=codes.FILE, message=message)]) from None
    except BaseException:
        _remove_directories(created)
        raise


def _make_directories(wanted: set[Path]) -> Iterator[Path]:
    for path in sorted(wanted):
        missing = [one for one in (path, *path.parents) if not one.exists()]
        for one in reversed(missing):
            one.mkdir()
            yield one


def _remove_directories(created: list[Path]) -> None:
    for path in reversed(created):
        with contextlib.suppress(OSError):
            path.rmdir()


class _Files:
    """The files while they are written: first beside their places, then, when nothing has changed, in place."""

    def __init__(self, directory: Path, texts: Mapping[str, str], existing: Existing) -> None:
        self.paths = {directory / name: text.encode("utf-8") for name, text in texts.items()}
        self.before = {directory / name: text.encode("utf-8") for name, text in existing.texts.items()}

    def write(self) -> list[Path]:
        parts: dict[Path, Path] = {}
        done: list[Path] = []
        try:
            self.check()
            for path, data in self.paths.items():
                parts[path] = _part(path)
                parts[path].write_bytes(data)
                if path in self.before:
                    shutil.copymode(path, parts[path])
            self.check()
            for path, part in parts.items():
                done.append(path)
                self.put(path, part)
        except BaseException:
            for path in done:
                self.restore(path)
            raise
        finally:
            for part in parts.values():
                part.unlink(missing_ok=True)
        return done

    def check(self) -> None:
        """Raises Problems where a file is not as it was read, or is there although it is to be new."""
        for path in self.paths:
            if path in self.before:
                if not path.is_file() or path.read_bytes() != self.before[path]:
                    raise Problems([_changed(path, "has changed since it was read")])
            elif path.exists() or path.is_symlink():
                raise Problems([_changed(path, "exists, and is not a file of this environment")])

    def put(self, path: Path, part: Path) -> None:
        if path in self.before:
            part.replace(path.resolve())
            return
        try:
            os.link(part, path)  # not over a file that has appeared since
        except FileExistsError:
            raise Problems([_changed(path, "exists, and is not a file of this environment")]) from None
        except OSError:  # a file system without links
            part.replace(path)

    def restore(self, path: Path) -> None:
        """Undo :meth:`put`, unless the file has changed since."""
        with contextlib.suppress(OSError):
            if path.read_bytes() != self.paths[path]:
                return
            if path in self.before:
                path.resolve().write_bytes(self.before[path])
            else:
                path.unlink()


def _part(path: Path) -> Path:
    real = path.resolve()
    return real.with_name(f".{real.name}.{os.getpid()}.part")


def _changed(path: Path, why: str) -> Problem:
    hint = "run the import again"
    return Problem(
        code=codes.FILE_CHANGED, message=f"{editor_schema.shown(path)} {why}; nothing was written", hint=hint
    )
