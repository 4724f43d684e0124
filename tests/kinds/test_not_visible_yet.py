"""What AWS does not see yet is told in plain words, by every kind."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator

from reconciler import kinds
from reconciler.model import On

# refusals of something old that has not ended yet, beside those of something new
OF_OLD_THINGS = {"InstanceSessionsPerInstanceProfile"}


def refusals() -> Iterator[tuple[str, On]]:
    for found in pkgutil.walk_packages(kinds.__path__, f"{kinds.__name__}."):
        for name, value in vars(importlib.import_module(found.name)).items():
            if re.fullmatch(r"NEW_\w+|UNKNOWN_PRINCIPAL|(\w+_)?NOT_VISIBLE_YET", name):
                yield from (
                    (f"{found.name}.{name}", on)
                    for on in (value if isinstance(value, tuple) else (value,))
                    if isinstance(on, On)
                )


def test_every_refusal_of_something_new_says_so() -> None:
    found = [(name, on) for name, on in refusals() if on.message not in OF_OLD_THINGS]

    assert len(found) >= 16
    for name, on in found:
        assert re.fullmatch(r"AWS does not see the new [a-z ]+ yet \(normal after creating it\)", on.because), name
