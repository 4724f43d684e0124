"""What is sent: parameters with the values that were not known when the plan was made."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from typing import Any, Final

from reconciler.model import Address, Base64, Digest, JsonText, Later, Secret, Text, compact, fingerprint

MASKED: Final = "(sensitive)"


Facts = Mapping[tuple[Address, str], Any]


def render_parameters(value: Any, facts: Facts, *, masked: bool = False) -> Any:
    """``value`` as it is sent: stand-ins opened, digests computed. LookupError names what is not known.

    ``masked``: as it may be seen, with a word in the place of every secret.
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
        return _opened(value, facts, covered=masked)
    if isinstance(value, Mapping):
        return {name: render_parameters(item, facts, masked=masked) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [render_parameters(item, facts, masked=masked) for item in value]
    return value


def _opened(value: Secret | Base64 | Digest, facts: Facts, *, covered: bool) -> Any:
    if covered and not isinstance(value, Base64):
        return MASKED
    inner = render_parameters(value.value, facts, masked=covered)
    if isinstance(value, Base64):
        return b64encode(str(inner).encode()).decode()
    return fingerprint(inner, str(render_parameters(value.salt, facts))) if isinstance(value, Digest) else inner


def holds_secret(value: Any) -> bool:
    """Whether anything in ``value`` must not be seen."""
    if isinstance(value, Secret | Digest):
        return True
    if isinstance(value, Base64 | JsonText):
        return holds_secret(value.value)
    if isinstance(value, Text):
        return any(map(holds_secret, value.parts))
    if isinstance(value, Mapping):
        return any(map(holds_secret, value.values()))
    return isinstance(value, list | tuple) and any(map(holds_secret, value))
