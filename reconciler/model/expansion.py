"""What a setting of an environment stands for: resources, and members of resources that are declared."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from .records import dataclass
from .resources import Finding
from .values import EMPTY, Address, Json, Path
from .when_used import when_used

with when_used():
    from hashlib import sha256


@dataclass(frozen=True, slots=True, kw_only=True)
class Derived:
    """A resource that a setting adds, or with ``members`` only the members ``value`` of one that is declared.

    ``origin`` is the path in the setting that it comes from; ``places`` has the paths of ``value`` that come from
    another one, or from one of the setting where the rest is the user's own.
    """

    address: Address
    value: Json
    origin: Path = ()
    places: Mapping[Path, Path] = EMPTY
    members: bool = False


#: The sections that are declared, with the resources as written: by section and name.
Written: TypeAlias = Mapping[str, Mapping[str, Json]]


@dataclass(frozen=True, slots=True)
class Naming:
    """The name of an environment, and its ``namePrefix``: a text, perhaps empty, or a template."""

    environment: str
    prefix: Any = ""

    def unique(self, name: str, longest: int) -> str:
        """A logical name whose physical name no other environment of the account has, of at most ``longest``
        characters: with the environment's name, unless names have a prefix. What is too long is cut, with a digest.
        """
        whole = name if self.prefix else f"{self.environment}-{name}"
        prefix = self.prefix if isinstance(self.prefix, str) else f"{self.environment}-"
        room = max(longest - len(prefix), 16)
        digest = sha256(whole.encode()).hexdigest()[:8]
        return whole if len(whole) <= room else f"{whole[: room - 9]}-{digest}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Expansion:
    """A setting (``alerts``) and what it stands for, given its value, how the environment names things, and what is
    declared.

    The value has passed the schema of settings; it and what is declared may contain expressions. Findings have paths
    in the setting.
    """

    setting: str
    expand: Callable[[Any, Naming, Written], Iterable[Derived | Finding]]
