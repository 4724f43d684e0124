"""Shows the environment after merging and variables, with the source of each value and without its secrets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from reconciler.checks import secrets, setting_resources
from reconciler.config import loader
from reconciler.config.given import Given
from reconciler.config.loader import DeclaredResource, LoadedEnvironment
from reconciler.kinds import discover
from reconciler.model import Kind
from reconciler.model.masking import SHORT
from reconciler.model.problems import Problems
from reconciler.operations.session import Location
from reconciler.render.mask import Mask
from reconciler.render.provenance import provenance
from reconciler.schema import registry


def show(location: Location, environ: Mapping[str, str], given: Mapping[str, Given]) -> tuple[str, Mask]:
    """YAML text with one value and its source a line, and the mask for the secrets. Raises Problems."""
    loaded = loader.load(location.target, environ=environ, given=given)
    loaded, problems = setting_resources.with_settings(loaded, discover())
    if wrong := [problem for problem in problems if not problem.warning]:
        raise Problems(wrong)
    loaded = replace(loaded, sections=dict(_written_out(loaded, discover())))
    private = secrets.secret_texts(loaded, discover())
    shown = {text for text in private if len(text) >= SHORT} | loaded.sensitive
    return provenance(loaded, secret=registry.is_secret, sensitive=shown), Mask(private)


def _written_out(loaded: LoadedEnvironment, kinds: Mapping[str, Kind]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every section, with what kinds show written out in place of what was declared."""
    for section, resources in loaded.sections.items():
        kind = kinds.get(section)
        yield section, {name: _expanded(raw, kind) if kind else raw for name, raw in resources.items()}


def _expanded(raw: DeclaredResource, kind: Kind) -> DeclaredResource:
    moved = kind.declared_at(raw.value)
    if not moved:
        return raw
    expanded, tops = kind.expand(raw.value), {path[0] for path in moved}
    value = {name: expanded[name] if name in tops else item for name, item in raw.value.items()}
    return replace(raw.with_moved(moved), value=value)
