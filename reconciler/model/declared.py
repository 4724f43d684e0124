"""What an environment declares, for kinds that check a resource together with others."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from .resources import Resource
from .values import EMPTY, Address, Template

_PARTITIONS = (("cn-", "aws-cn"), ("us-gov-", "aws-us-gov"), ("us-isob-", "aws-iso-b"), ("us-iso-", "aws-iso"))


class Declared:
    """The declared resources, found by section and by the value of a property that refers to them.

    ``resources`` are those that passed their own checks, in the order in which they are declared; ``names`` are all
    names by section, those of invalid declarations included. ``account`` and ``region`` are the environment's, None if
    it has none.
    """

    def __init__(
        self,
        resources: Mapping[Address, Resource],
        names: Mapping[str, Collection[str]] = EMPTY,
        *,
        account: str | None = None,
        region: str | None = None,
    ) -> None:
        self.resources = resources
        self.names = names
        self.account = account
        self.region = region
        self._sections: dict[str, list[Resource]] = {}
        for address, resource in resources.items():
            self._sections.setdefault(address.section, []).append(resource)

    def resource(self, section: str, value: Any) -> Resource | None:
        """The resource of ``section`` that ``value`` refers to: a plain name, or an expression as the whole value."""
        if isinstance(value, str):
            return self.resources.get(Address(section, value))
        part = value.whole if isinstance(value, Template) else None
        address = part.address if part else None
        return self.resources.get(address) if address and address.section == section else None

    def section(self, section: str) -> Sequence[Resource]:
        """Every resource of a section, in the order in which they are declared."""
        return self._sections.get(section, ())

    def outside(self, arn: str) -> Iterator[str]:
        """A message each if an ARN (with six parts) has another account, Region or partition than the environment."""
        parts, region = arn.split(":", 5), self.region
        if self.account and parts[4] not in (self.account, "aws"):
            yield f"the ARN is in account {parts[4]}, but the environment is in account {self.account}"
        if region and parts[3] and parts[3] != region:
            yield f"the ARN is in {parts[3]}, but the environment is in {region}"
        partition = partition_of(region, "aws")
        if region and parts[1] != partition:
            yield f"the ARN is in partition {parts[1]}, but {region} is in partition {partition}"


def partition_of(region: str | None, unknown: str) -> str:
    """The partition of a Region; ``unknown`` where the Region is not known."""
    return next((name for start, name in _PARTITIONS if region.startswith(start)), "aws") if region else unknown
