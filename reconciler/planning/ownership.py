"""Which live objects the environment owns, where some exist once for all Regions. Pure.

An environment without ``region:`` may be run in several Regions, and ``region:`` may change, but a role is the same in
all of them. So the owner of a kind that spans Regions is an environment in one Region (``Kind.ownership_tags``). The
tags of objects that an older version created name no Region. They are completed where that Region is certain enough,
and such an object is deleted only from a Region in which the environment has something else, and only if it has nothing
elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from reconciler.model import Address, Dependent, Kind, Live, Observed, Scope
from reconciler.model import problem_codes as codes
from reconciler.model.problems import Problem, article
from reconciler.model.records import dataclass

MOST_LISTED = 5


@dataclass(frozen=True, slots=True)
class Ownership:
    """What the environment of ``scope`` owns of ``lives``, by section.

    here      whether it owns anything that is certain to be of this Region
    regional  whether it declares anything that exists in one Region only
    """

    kinds: Mapping[str, Kind]
    scope: Scope
    lives: Mapping[str, tuple[Live, ...]]
    here: bool
    regional: bool

    @classmethod
    def of(cls, observed: Observed, kinds: Mapping[str, Kind], scope: Scope, declared: Iterable[Address]) -> Ownership:
        """The ownership of what is ``observed`` for an environment with the ``declared`` resources."""
        here = any(
            kinds[section].owned(live, scope) and (not kinds[section].spans_regions or live.owner_region is not None)
            for section, lives in observed.lives.items()
            for live in lives
        )
        ours = [kinds[section] for section in {address.section for address in declared}]
        regional = any(not kind.spans_regions and not kind.shared for kind in ours)
        return cls(kinds, scope, observed.lives, here, regional)

    def owned(self, section: str, live: Live) -> bool:
        """Whether the environment owns ``live`` in this Region, or no Region is known."""
        return self.kinds[section].owned(live, self.scope)

    def region_unknown(self, kind: Kind, live: Live) -> bool:
        """Whether the environment owns ``live``, and its tags do not name the Region."""
        return kind.spans_regions and live.owner == self.scope.environment and live.owner_region is None

    def unplaced(self, kind: Kind, live: Live) -> bool:
        """Whether the environment owns ``live``, and nothing shows that it does so from this Region: it declares
        regional resources, and none of them exists here.
        """
        return self.region_unknown(kind, live) and self.regional and not self.here

    def elsewhere(self) -> dict[str, list[Address]]:
        """What the environment owns from other Regions, by Region."""
        found: dict[str, list[Address]] = {}
        for section, lives in sorted(self.lives.items()):
            for live in lives:
                kind = self.kinds[section]
                if live.owner == self.scope.environment and not kind.owned(live, self.scope):
                    found.setdefault(live.owner_region or "", []).append(Address(section, live.logical))
        return found

    def keeps(self, kind: Kind, live: Live) -> Dependent | None:
        """Why ``live`` must not be deleted: it may serve the environment in another Region; None if it may."""
        if not self.region_unknown(kind, live) or (self.here and not self.elsewhere()):
            return None
        name = self.scope.environment
        return Dependent(
            text=f"its tags do not name the Region of {name}, which may be another than {self.scope.region}",
            hint=f"apply {name} in its Region, which adds the tag reconciler/region, then delete it from there",
        )

    def left_elsewhere(self, *, destroy: bool) -> list[Problem]:
        """Warnings for what the environment owns from other Regions, where nothing of it is in this one yet (its Region
        has changed), and with ``destroy``.
        """
        if self.here and not destroy:
            return []
        name, found = self.scope.environment, []
        for region, addresses in sorted(self.elsewhere().items()):
            names = [str(address) for address in addresses]
            listed = [*names[: MOST_LISTED - 1], f"{len(names) - MOST_LISTED + 1} more"]
            shown = ", ".join(names if len(names) <= MOST_LISTED else listed)
            message = f"{name} in {region} owns {shown}; its regional resources there are not visible from "
            message += f"{self.scope.region}, and {'none of this is deleted' if destroy else 'all of this is kept'}"
            hint = f"to delete it, run `reconcile destroy` with the Region {region} (`region:` or AWS_REGION)"
            found.append(Problem(code=codes.LEFT_ELSEWHERE, message=message, hint=hint, warning=True))
        return found


def owned_elsewhere(kind: Kind, owners: Iterable[Live], scope: Scope, *, state: str = "") -> tuple[str, str]:
    """Message and hint for a declared name whose live object belongs to another environment, or to this one in another
    Region; ``state`` follows "exists": `` (INVALID)``.
    """
    live = min(owners, key=lambda live: kind.owner(live, scope))
    owner = kind.owner(live, scope)
    message = f"exists{state} and belongs to the environment {owner}"
    if live.owner == scope.environment:
        what, region = article(kind.name), live.owner_region
        hint = f"{what} is the same in all Regions: run with the Region {region} (`region:` or AWS_REGION), or declare "
        hint += f"it under another name here; to move {live.owner} here, destroy it in {region} first"
        return message, hint
    hint = f"declare it under another name here, or remove it from {owner} first; if {live.owner} was renamed to "
    hint += f"{scope.environment}, destroy it under its old name, or remove the tag reconciler/environment and pass "
    return message, hint + "--adopt"


def region_unknown(kind: Kind, scope: Scope) -> tuple[str, str]:
    """Message and hint for a declared name whose live object may serve the environment in another Region."""
    message = f"exists and belongs to the environment {scope.environment}, in a Region that its tags do not name"
    hint = f"if that is {scope.region}, pass --adopt or set lifecycle.adopt: true; otherwise apply it in its Region, "
    return message, f"{hint}and declare this {kind.name} under another name here"
