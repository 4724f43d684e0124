"""The request of an import, and a declaration of what it has found before that is checked."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Any

from reconciler.model import Address, Environment, Live, Scope
from reconciler.model.records import dataclass
from reconciler.operations.importing.found import Imported, LeftOut
from reconciler.operations.importing.select import Wanted
from reconciler.operations.importing.writer import Written


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What to import, and where to.

    target       the directory or file of the environment, which may not exist yet
    env          the environment that is there, in its account; None: a new one
    single_file  all of a new environment in one file
    left_out     what is known to be left out before anything is read
    """

    wanted: Wanted
    target: FilePath
    scope: Scope
    env: Environment | None = None
    single_file: bool = False
    left_out: tuple[LeftOut, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One declaration and its files; ``facts`` are the values of its look-ups."""

    imported: Imported
    written: Written
    lives: Mapping[Address, Live]
    facts: Mapping[str, Any]
