"""The kinds of look-up: how each is called, and what it takes and gives.

How each is read from AWS is in ``account/lookups.py``; its arguments are in ``schemas/settings.schema.json``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from .records import dataclass


@dataclass(frozen=True, slots=True)
class LookupKind:
    """``noun`` is what it finds, with its article; ``by_text``: its argument is one text, not a mapping; ``many``: its
    value is a list; ``anything``: its value may be of any kind.
    """

    noun: str
    by_text: bool = False
    many: bool = False
    anything: bool = False


LOOKUP_KINDS: Final[Mapping[str, LookupKind]] = {
    "vpc": LookupKind("a VPC"),
    "subnets": LookupKind("subnets", many=True),
    "securityGroup": LookupKind("a security group"),
    "ssmParameter": LookupKind("a parameter", by_text=True, anything=True),
    "image": LookupKind("an image"),
    "fileSystem": LookupKind("a file system"),
    "kmsKey": LookupKind("a KMS key", by_text=True),
    "repositoryImage": LookupKind("a container image"),
    "secret": LookupKind("a secret", by_text=True),
    "role": LookupKind("a role", by_text=True),
}


def given_filters(filters: object) -> list[tuple[str, object]]:
    """Names and values of ``filters``: a mapping of names to values, or AWS's own ``[{Name: ..., Values: [...]}]``."""
    if isinstance(filters, Mapping):
        return list(filters.items())
    items = filters if isinstance(filters, list) else []
    return [(str(item.get("Name")), item.get("Values")) for item in items if isinstance(item, Mapping)]
