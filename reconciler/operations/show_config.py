"""Shows the environment after merging and variables, with the source of each value and without its secrets."""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.checks import secrets, setting_resources
from reconciler.config import loader
from reconciler.config.given import Given
from reconciler.kinds import discover
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
    private = secrets.secret_texts(loaded, discover())
    shown = {text for text in private if len(text) >= SHORT} | loaded.sensitive
    return provenance(loaded, secret=registry.is_secret, sensitive=shown), Mask(private)
