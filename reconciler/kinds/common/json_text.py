"""Reading JSON text of users and of AWS. Its nesting is limited, because later code recurses into it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

DEEPEST: Final = 64  # levels, as in YAML
_TOO_DEEP: Final = f"nesting is deeper than {DEEPEST} levels"


def from_json(text: str, pairs: Callable[[list[tuple[str, Any]]], Any] = dict) -> Any:
    """The value of a JSON text; ``pairs`` builds its mappings. Raises ValueError with what is wrong."""
    try:
        found = json.loads(text, object_pairs_hook=pairs, parse_constant=_no_json)
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    if text.count("[") + text.count("{") > DEEPEST and _deeper(found):
        raise ValueError(_TOO_DEEP)
    return found


def _no_json(word: str) -> None:
    raise ValueError(f"{word} is not JSON")


def _deeper(value: Any) -> bool:
    level = [value]
    for _ in range(DEEPEST + 1):
        inner = [item.values() if isinstance(item, dict) else item for item in level if isinstance(item, dict | list)]
        level = [item for items in inner for item in items]
    return bool(level)
