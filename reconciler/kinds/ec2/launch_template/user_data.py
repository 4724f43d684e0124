"""User data of instances: EC2 expects base64; people write text.

In properties user data is text wherever possible, so that plans show the difference. Base64 is kept only for content
that is not text (gzip).

https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/user-data.html
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from typing import Any

from reconciler.model import Base64

MAX_SIZE = 16384
_GZIP = b"\x1f\x8b"
_CONTROL = frozenset(map(chr, {*range(32), 127})) - frozenset("\t\n\r\f\v\b\x1b")


def decode(value: Any) -> Any:
    """The text, if ``value`` is base64 of text; base64 of gzip without white space; anything else unchanged."""
    raw = _raw(value)
    if raw is None:
        return value
    if raw.startswith(_GZIP):
        return "".join(value.split())
    text = _text(raw)
    return value if text is None else text


def encode(value: Any) -> Any:
    """As EC2 expects it: ``value`` if it is base64 already, else a stand-in that is encoded when it is sent."""
    raw = _raw(value)
    encoded = raw is not None and (raw.startswith(_GZIP) or _text(raw) is not None)
    return "".join(value.split()) if encoded else Base64(value)


def size(value: str) -> int:
    """Bytes before encoding, which EC2 limits to 16 KB."""
    raw = _raw(value)
    compressed = raw is not None and raw.startswith(_GZIP)
    return len(raw) if raw is not None and compressed else len(value.encode())


def is_multipart(value: str) -> bool:
    """Whether AWS Batch can merge it with its own user data; gzip counts as yes, since it is not unpacked."""
    raw = _raw(value)
    if raw is not None and raw.startswith(_GZIP):
        return True
    head = value.lstrip()[:4096].lower()
    return head.startswith(("mime-version:", "content-type: multipart/")) and "multipart/" in head


def _raw(value: Any) -> bytes | None:
    if not isinstance(value, str):
        return None
    joined = "".join(value.split())
    if not joined:
        return None
    try:
        return b64decode(joined, validate=True)
    except (binascii.Error, ValueError):
        return None


def _text(raw: bytes) -> str | None:
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return None if _CONTROL & set(text) else text
