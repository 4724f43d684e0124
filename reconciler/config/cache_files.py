"""Files that only save time: what an earlier run found out, in a directory that may be deleted at any time.

A file that is another user's, or that others may write to, is as good as none.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final

VARIABLE: Final = "RECONCILE_CACHE_DIR"


def directory(environ: Mapping[str, str]) -> Path | None:
    """``RECONCILE_CACHE_DIR``, or ``reconcile`` in the user's cache directory. None where that variable is empty, or
    there is no home.
    """
    if (given := environ.get(VARIABLE)) is not None:
        top = Path(given) if given else None
    elif xdg := environ.get("XDG_CACHE_HOME"):
        top = Path(xdg, "reconcile")
    else:
        top = Path(home, ".cache", "reconcile") if (home := environ.get("HOME")) else None
    return top if top and top.is_absolute() else None


def read(path: Path) -> bytes | None:
    """What is in a file; None where it is not there, or not this user's alone."""
    try:
        with path.open("rb") as file:
            mine = os.fstat(file.fileno())
            if mine.st_uid != _user(mine) or mine.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                return None
            return file.read()
    except OSError:
        return None


def _user(mine: os.stat_result) -> int:
    """The user's id, where the system has any."""
    return os.getuid() if hasattr(os, "getuid") else mine.st_uid


def write(path: Path, data: bytes) -> None:
    """Replace the file in one step: other runs may be reading it. Raises OSError."""
    import tempfile  # noqa: PLC0415  (few runs write anything)

    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # A name of its own: containers that share a volume have the same process ids, too
    handle, part = tempfile.mkstemp(dir=path.parent, prefix=".")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(part).replace(path)
    except BaseException:
        Path(part).unlink(missing_ok=True)
        raise
