"""The kinds of resource, one module each; the engine finds them here and never names one."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache

from reconciler.model import Kind


@cache
def discover() -> Mapping[str, Kind]:
    """Every kind by its section, sorted: each module here without a leading underscore has a ``KIND``."""
    modules = sorted(info.name for info in pkgutil.iter_modules(__path__) if not info.name.startswith("_"))
    kinds = [importlib.import_module(f"{__name__}.{name}").KIND for name in modules]
    return {kind.section: kind for kind in sorted(kinds, key=lambda kind: kind.section)}
