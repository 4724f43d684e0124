"""Values for output: stand-ins told, secrets masked, nothing that a terminal would obey."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from reconciler.diff import SENSITIVE, has_unknown
from reconciler.model import MISSING, Base64, Digest, JsonText, Later, Secret, Template, Text, compact

UNKNOWN = "(known after apply)"
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


class Mask:
    """Takes values that must not be seen out of texts, wherever they turn up."""

    def __init__(self, sensitive: Iterable[str] = ()) -> None:
        found = sorted({text for text in sensitive if len(text) >= 4}, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, found))) if found else None

    def text(self, text: str) -> str:
        """``text`` without secrets and without control characters."""
        if self._pattern:
            text = self._pattern.sub(SENSITIVE, text)
        return _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", text)

    def value(self, value: Any) -> Any:
        """``value`` as plain JSON: what is not known yet, or secret, becomes a word that says so."""
        if isinstance(value, Mapping):
            return {self.text(str(name)): self.value(item) for name, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(item) for item in value]
        if isinstance(value, JsonText):
            inner = self.value(value.value)
            return inner if isinstance(inner, str) else compact(inner)
        if isinstance(value, Base64):
            return self.value(value.value)
        if isinstance(value, Later | Digest) or (isinstance(value, Text) and has_unknown(value)):
            return UNKNOWN if not isinstance(value, Digest) else SENSITIVE
        if isinstance(value, Secret):
            return SENSITIVE
        if isinstance(value, str | Template | Text):
            return self.text(str(value))
        return None if value is MISSING else value


def known_part(value: Any) -> Any:
    """``value`` without anything that is not known yet (terraform's ``after``)."""
    if isinstance(value, Mapping):
        kept = {name: known_part(item) for name, item in value.items()}
        return {name: item for name, item in kept.items() if item is not MISSING}
    if isinstance(value, list | tuple):
        return [None if (item := known_part(part)) is MISSING else item for part in value]
    return MISSING if has_unknown(value) else value


def unknown_part(value: Any) -> Any:
    """True at everything that is not known yet, in the shape of ``value``; empty where all is known."""
    if isinstance(value, Mapping):
        return {name: inner for name, item in value.items() if (inner := unknown_part(item))}
    if isinstance(value, list | tuple):
        parts = [unknown_part(item) for item in value]
        return [part or False for part in parts] if any(parts) else []
    return has_unknown(value)
