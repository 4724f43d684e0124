"""The tables of cases under ``tests/data``, read quickly: every worker reads all of them as it collects."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, ClassVar

import yaml

# The plain values of YAML 1.2, as the tool and editors read them: `on` and `no` are texts.
_VALUES = (
    ("bool", r"true|false", "tf"),
    ("int", r"[-+]?[0-9]+", "-+0123456789"),
    ("float", r"[-+]?[0-9]+\.[0-9]*(?:[eE][-+]?[0-9]+)?", "-+0123456789"),
    ("null", r"~|null|", ("~", "n", "")),
    ("merge", r"<<", "<"),
)


class _Loader(yaml.CSafeLoader):
    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {}


for _tag, _pattern, _first in _VALUES:
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"(?:{_pattern})\Z"), list(_first))


def cases(path: Path) -> Any:
    """What a file of cases holds."""
    with path.open("rb") as file:
        return yaml.load(file, _Loader)
