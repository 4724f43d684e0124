"""Which files a command may write to: those of the kind that it writes, and such as do not exist or are empty. And how
they are written: whole or not at all.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterable
from pathlib import Path


def foreign(path: Path, beginning: bytes, noun: str) -> str:
    """Why ``path`` must not be written to, in words; empty if it may be.

    A file that does not begin with ``beginning``, as each of ``noun`` does, is of another kind, wherever a link leads
    to it; where a link leads to nothing, the link would decide what is created. A terminal, a pipe and the null
    device keep nothing. Raises OSError where the file cannot be read.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return "is a link to a file that does not exist" if path.is_symlink() else ""
    except NotADirectoryError:
        return ""  # which the attempt to write says better
    if stat.S_ISBLK(mode):
        return "is a disk"
    if not stat.S_ISREG(mode):
        return ""
    with path.open("rb") as stream:
        found = stream.read(len(beginning))
    return "" if not found or found == beginning else f"is not {noun}"


def try_put(path: Path) -> None:
    """Raises OSError where :func:`put` could not write a file at ``path``: nothing is left there."""
    part = _part(path)
    os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    part.unlink()


def _part(real: Path) -> Path:
    return real.with_name(f".{real.name}.{os.getpid()}.part")


def put(path: Path, data: bytes | Iterable[bytes]) -> None:
    """Write atomically, readable by the owner only; a device or a pipe is written to directly. ``data`` may come in
    pieces. Raises OSError.
    """
    pieces = [data] if isinstance(data, bytes) else data
    if path.exists() and not path.is_file():
        with path.open("wb") as stream:
            stream.writelines(pieces)
        return
    real = path.resolve()
    part = _part(real)
    try:
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:  # noqa: PTH123
            stream.writelines(pieces)
        part.replace(real)
    except BaseException:  # also an interrupt, and an error in making the pieces
        with contextlib.suppress(OSError):
            part.unlink()
        raise
