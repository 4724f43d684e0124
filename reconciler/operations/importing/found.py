"""What an import has found, as the YAML writer takes it: plain values, expressions as text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from reconciler.model import EMPTY, Address, Json
from reconciler.model.records import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedResource:
    """One resource as it is to be declared.

    section   its section; ``key`` its logical name, the key below the section
    physical  its physical name in the account
    props     its members, ready for YAML: mappings, lists and scalars, expressions as text
              (``${jobQueues.q.arn}``); with ``tags``, and with the API's name member where the key is not enough
    comments  by path below the resource (dotted: ``containerProperties.image``; empty: above the resource itself), what
              could not be expressed or decided
    """

    section: str
    key: str
    physical: str
    props: Json
    comments: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A resource that was selected or refers to one that was, and is not in the YAML.

    foreign  whether ``name`` is what another tool calls it; ``section`` is its type there if it is of no kind of ours
    """

    section: str
    name: str
    why: str
    foreign: bool = False

    @property
    def shown(self) -> str:
        """What it is called in messages."""
        if not self.foreign:
            return str(Address(self.section, self.name))
        return (
            self.name if "." in self.name else f"{self.name} ({self.section})"
        )  # an address of terraform has its type


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """All that an import writes.

    resources  in an order that reads well: by section, then key
    lookups    the look-ups that the resources use, by name, as under ``lookups``
    settings   those of the environment: ``environment``, ``region``, ``account``, ``namePrefix``, ``tags`` ...
    left_out   what is not in the YAML, and why
    warnings   sentences for the user: a literal secret, what would differ
    """

    resources: tuple[ImportedResource, ...] = ()
    lookups: Mapping[str, Json] = EMPTY
    settings: Mapping[str, Json] = EMPTY
    left_out: tuple[LeftOut, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Naming:
    """Names that another tool's configuration has for resources: they select these, and become their keys.

    keys  the logical name of each, by section and physical name
    props what distinguishes one from others of its name (the network of a group, the bus of a rule), by the same
    """

    keys: Mapping[tuple[str, str], str] = EMPTY
    props: Mapping[tuple[str, str], Json] = EMPTY
