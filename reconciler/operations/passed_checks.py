"""What is kept of the checks of environments, from one run to the next: which resources passed their own."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

import reconciler
from reconciler.checks.passed import SIZE, Passed
from reconciler.config import cache_files
from reconciler.config.loader import LoadedEnvironment
from reconciler.model.when_used import when_used
from reconciler.schema import registry

with when_used():
    from hashlib import blake2b

LEAST: Final = 10  # resources: fewer are checked as quickly as a file is read
_DECIDE: Final = ("checks", "config", "kinds", "model", "schema")


class PassedChecks:
    """The file of one environment."""

    def __init__(self, loaded: LoadedEnvironment, target: Path, environ: Mapping[str, str]) -> None:
        self.passed: Passed | None = None
        directory = cache_files.directory(environ)
        if directory is None or sum(map(len, loaded.sections.values())) < LEAST:
            return
        self._path = directory / "passed" / _digest(os.fsencode(target.resolve())).hex()
        with suppress(OSError):  # the program may be where there are no files
            self._program = _program()
            kept = cache_files.read(self._path) or b""
            ours = kept if kept[:SIZE] == self._program else b""
            self.passed = Passed(frozenset(ours[at : at + SIZE] for at in range(SIZE, len(ours), SIZE)))

    def save(self) -> None:
        """Keep what passed, where it is not what an earlier run kept. Where that cannot be, nothing is lost."""
        if self.passed and (found := self.passed.digests()) != self.passed.earlier:
            with suppress(OSError):
                cache_files.write(self._path, self._program + b"".join(sorted(found)))


def _digest(data: bytes) -> bytes:
    return blake2b(data, digest_size=SIZE).digest()


def _program() -> bytes:
    """What is the same as long as this program and Python are: their versions and, of the files that decide what a
    check finds, what Python itself looks at to see whether compiled code is still that of its source.
    """
    package = Path(reconciler.__file__).parent
    tops = [registry.directory(), *(package / part for part in _DECIDE)]
    found = [sys.version, reconciler.__version__, *(line for top in tops for line in _files(os.fspath(top)))]
    return _digest(os.fsencode("\n".join(found)))


def _files(top: str) -> Iterator[str]:
    with os.scandir(top) as entries:
        for entry in sorted(entries, key=lambda one: one.name):
            if entry.is_dir():
                if entry.name != "__pycache__":
                    yield from _files(entry.path)
            else:
                facts = entry.stat()
                yield f"{entry.path} {facts.st_mtime_ns} {facts.st_size}"
