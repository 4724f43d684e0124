"""The environment that an import adds to: its own files, and what they and their bases declare."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Any

from reconciler.checks.setting_resources import completed
from reconciler.config import files, loader, names
from reconciler.config.physical import folded
from reconciler.config.yaml.addition import plain
from reconciler.kinds import discover
from reconciler.model import EMPTY, Address, Pos
from reconciler.model import problem_codes as codes
from reconciler.model.problems import Problem, Problems
from reconciler.model.records import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Existing:
    """What is there already.

    texts          the environment's own YAML files by their paths below its directory, as they are read
    settings_file  the one of them with the settings; in a single file it has everything
    single         whether the environment is a single file
    declared       the place of each declared resource, those of its bases included
    keys           the logical name of each declared resource, by section and physical name
    lookups        the look-ups as they are written, those of its bases included
    """

    texts: Mapping[str, str] = EMPTY
    settings_file: str = files.SETTINGS_FILES[0]
    single: bool = False
    declared: Mapping[Address, Pos] = field(default_factory=dict)
    keys: Mapping[tuple[str, str], str] = field(default_factory=dict)
    lookups: Mapping[str, Any] = EMPTY

    def key_of(self, section: str, physical: str) -> str | None:
        """The logical name of the declared resource with this physical name; None if there is none."""
        kind = discover().get(section)
        return self.keys.get((section, folded(physical, kind) if kind else physical))


NOTHING = Existing()


def read(target: Path, environ: Mapping[str, str] | None = None) -> Existing:
    """The environment at ``target``, a directory or a file. Nothing if there is none. Raises Problems."""
    if not target.exists():
        return Existing(settings_file=target.name, single=True) if _is_file(target) else NOTHING
    if target.is_dir() and not files.is_environment(target):
        if any(not path.name.startswith(".") for path in target.iterdir()):
            message = f"{target} is a directory without environment.yaml, and is not empty"
            hint = "choose a directory that does not exist yet, is empty or is an environment"
            raise Problems([Problem(code=codes.DIRECTORY_IN_USE, message=message, hint=hint)])
        return NOTHING
    sources = files.read(target)
    own = sources.layers[-1] if sources.layers else None
    loaded = completed(loader.load(target, environ=os.environ if environ is None else environ), discover())
    if own is None:  # load has raised
        return NOTHING
    shown = [own.settings.pos.file, *own.others]
    kinds = discover()
    physical = names.physical_names(loaded, kinds)
    lookups: dict[str, Any] = {}
    for layer in sources.layers:
        found = layer.settings.value.get("lookups")
        lookups |= plain(found) if found is not None and isinstance(found.value, dict) else {}
    return Existing(
        texts={name: sources.files[name][0].read_bytes().decode("utf-8") for name in shown if name in sources.files},
        settings_file=shown[0],
        single=target.is_file() and target.name not in files.SETTINGS_FILES,
        declared={
            Address(section, name): raw.at()
            for section, below in loaded.sections.items()
            for name, raw in below.items()
        },
        keys={
            (one.section, folded(names.likely(name, loaded), kinds[one.section])): one.name
            for one, name in physical.items()
        },
        lookups=lookups,
    )


def _is_file(target: Path) -> bool:
    return target.suffix.lower() in files.YAML
