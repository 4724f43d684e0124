"""The kinds of resource, by AWS service; the engine finds them here and never names one."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from functools import cache

from reconciler.model import Kind

COMMON = "common"  # the one package here that is no AWS service: what several kinds share


@cache
def discover() -> Mapping[str, Kind]:
    """Every kind by its section, sorted by section."""
    kinds = [importlib.import_module(name).KIND for name in modules()]
    return {kind.section: kind for kind in sorted(kinds, key=lambda kind: kind.section)}


@cache
def modules() -> tuple[str, ...]:
    """The modules that have a ``KIND``, by their full names, sorted.

    In the package of a service each module without a leading underscore has one, and each package in its ``kind``.
    """
    services = [info.name for info in pkgutil.iter_modules(__path__) if info.ispkg and info.name != COMMON]
    return tuple(sorted(name for service in services for name in _in_service(f"{__name__}.{service}")))


def _in_service(package: str) -> Iterator[str]:
    for info in pkgutil.iter_modules(importlib.import_module(package).__path__):
        if not info.name.startswith("_"):
            yield f"{package}.{info.name}" + (".kind" if info.ispkg else "")
