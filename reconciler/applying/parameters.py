"""The parameters of a call as they are sent: with the values that were unknown at plan time."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from typing import Any, Final

from reconciler.model import Address, Base64, Digest, JsonText, Later, Secret, Text, compact, fingerprint

MASKED: Final = "(sensitive)"


Facts = Mapping[tuple[Address, str], Any]


def render_parameters(value: Any, facts: Facts, *, masked: bool = False) -> Any:
    """``value`` as it is sent: stand-ins replaced by their values, digests computed. Raises LookupError with the
    address and attribute that is not known.

    ``masked``: with ``(sensitive)`` in the place of every secret.
    """
    if isinstance(value, Later):
        if (value.address, value.attr) not in facts:
            raise LookupError(f"{value.address}.{value.attr}")
        return facts[value.address, value.attr]
    if isinstance(value, Text):
        return "".join(str(render_parameters(part, facts, masked=masked)) for part in value.parts)
    if isinstance(value, JsonText):
        return compact(render_parameters(value.value, facts, masked=masked))
    if isinstance(value, Secret | Base64 | Digest):
        return _opened(value, facts, masked=masked)
    if isinstance(value, Mapping):
        return {name: render_parameters(item, facts, masked=masked) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [render_parameters(item, facts, masked=masked) for item in value]
    return value


def _opened(value: Secret | Base64 | Digest, facts: Facts, *, masked: bool) -> Any:
    if masked and not isinstance(value, Base64):
        return MASKED
    inner = render_parameters(value.value, facts, masked=masked)
    if isinstance(value, Base64):
        return b64encode(str(inner).encode()).decode()
    return fingerprint(inner, str(render_parameters(value.salt, facts))) if isinstance(value, Digest) else inner


def contains_secret(value: Any) -> bool:
    """Whether ``value`` contains a secret."""
    if isinstance(value, Secret | Digest):
        return True
    if isinstance(value, Base64 | JsonText):
        return contains_secret(value.value)
    if isinstance(value, Text):
        return any(map(contains_secret, value.parts))
    if isinstance(value, Mapping):
        return any(map(contains_secret, value.values()))
    return isinstance(value, list | tuple) and any(map(contains_secret, value))
