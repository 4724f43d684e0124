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


DATA = Path(__file__).parents[1] / "data"
_REPEATED = re.compile(r"\{(.)\*(\d+)\}")


class _Loader(yaml.CSafeLoader):
    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {}


for _tag, _pattern, _first in _VALUES:
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"(?:{_pattern})\Z"), list(_first))


def cases(path: Path) -> Any:
    """What a file of cases holds."""
    with path.open("rb") as file:
        return yaml.load(file, _Loader)


def without_nulls(value: Any) -> Any:
    """``value`` without its members that are null: how a case leaves out what a merge key (``<<``) gives it."""
    if isinstance(value, dict):
        return {name: without_nulls(item) for name, item in value.items() if item is not None}
    return [without_nulls(item) for item in value] if isinstance(value, list) else value


def with_long_texts(value: Any) -> Any:
    """``value`` with ``{x*4096}`` in its texts replaced by 4096 times x."""
    if isinstance(value, dict):
        return {name: with_long_texts(item) for name, item in value.items()}
    if isinstance(value, list):
        return [with_long_texts(item) for item in value]
    return _REPEATED.sub(lambda found: found[1] * int(found[2]), value) if isinstance(value, str) else value
