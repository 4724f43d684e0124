"""Public keys in OpenSSH's one-line form, and the fingerprints that EC2 shows for them.

https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/verify-keys.html
"""

from __future__ import annotations

import binascii

from reconciler.model.when_used import when_used

with when_used():
    from base64 import b64decode, b64encode
    from hashlib import md5, sha256

TYPES = ("ssh-rsa", "ssh-ed25519")
# AlgorithmIdentifier of an RSA key, RFC 8017 appendix C
_RSA = bytes.fromhex("300d06092a864886f70d0101010500")


def without_comment(line: str) -> str:
    """Type and base64 body without the comment: ``ssh-ed25519 AAAA...``."""
    return " ".join(line.split()[:2])


def decode(line: str) -> bytes | None:
    """The key's bytes; None unless the line is a type that EC2 supports and base64 that contains the same type."""
    parts = line.split()
    if len(parts) < 2 or parts[0] not in TYPES:
        return None
    try:
        decoded = b64decode(parts[1], validate=True)
        fields = _fields(decoded)
    except (binascii.Error, ValueError, IndexError):
        return None
    needed = 3 if parts[0] == "ssh-rsa" else 2
    return decoded if len(fields) == needed and fields[0] == parts[0].encode() else None


def fingerprint(line: str) -> str:
    """What EC2 shows for an imported key: MD5 of an RSA key in DER form, SHA-256 of an ED25519 one; "" if invalid."""
    key = decode(line)
    if key is None:
        return ""
    if line.split(maxsplit=1)[0] == "ssh-ed25519":
        return b64encode(sha256(key).digest()).decode()
    _, exponent, modulus = _fields(key)
    numbers = _der(0x30, _der(0x02, modulus) + _der(0x02, exponent))
    digest = md5(_der(0x30, _RSA + _der(0x03, b"\0" + numbers)), usedforsecurity=False).hexdigest()
    return ":".join(digest[i : i + 2] for i in range(0, len(digest), 2))


def same_fingerprint(one: str, other: str) -> bool:
    """Whether two fingerprints are equal, with or without prefix and padding."""
    left, right = (text.removeprefix("SHA256:").rstrip("=") for text in (one, other))
    return bool(left) and left == right


def rsa_bits(line: str) -> int | None:
    """The length of an RSA key in bits; None for other types."""
    key = decode(line)
    if key is None or line.split(maxsplit=1)[0] != "ssh-rsa":
        return None
    return int.from_bytes(_fields(key)[2], "big").bit_length()


def _fields(key: bytes) -> list[bytes]:
    """The length-prefixed strings of the wire format (RFC 4253, section 6.6); raises ValueError if truncated."""
    found: list[bytes] = []
    start = 0
    while start < len(key):
        size = int.from_bytes(key[start : start + 4], "big")
        field = key[start + 4 : start + 4 + size]
        if len(field) != size:
            raise ValueError("the key is truncated")
        found.append(field)
        start += 4 + size
    return found


def _der(tag: int, content: bytes) -> bytes:
    """One value in DER (X.690): tag, length, content."""
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content
