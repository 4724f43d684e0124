"""The effect of changing a property: one rule, for plans, for `explain` and for docs/reference/."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from reconciler.model import Effect, Json, Kind, Path
from reconciler.planning.field_tree import along, field_tree


def effect_at(kind: Kind, path: Path, live: Json, want: Json) -> tuple[Effect, str]:
    """The effect of the deepest rule on the path that is not in-place, and its reason.

    ``live`` and ``want`` are all properties before and after the change.
    """
    found: tuple[Effect, str] = (Effect.NEW_REVISION if kind.versioned else Effect.IN_PLACE, "")
    for node in along(field_tree(kind), path):
        judge = node.facts.effect
        verdict = (judge, "") if isinstance(judge, Effect) else judge(live, want)
        if verdict[0] is not Effect.IN_PLACE:
            found = verdict
    return found


def is_fixed(kind: Kind, path: Path) -> bool:
    """Whether the effect of a change depends on nothing else."""
    return all(isinstance(node.facts.effect, Effect) for node in along(field_tree(kind), path))


def outcomes(kind: Kind, path: Path, variants: Sequence[Json]) -> dict[Effect, tuple[str, ...]]:
    """Every effect that a change can have, mildest first, with its reasons: found by trying every pair of variants."""
    pairs: Iterable[tuple[Json, Json]] = ((live, want) for live in variants for want in variants)
    if is_fixed(kind, path):
        pairs = [({}, {})]
    found: dict[Effect, dict[str, None]] = {}
    for live, want in pairs:
        effect, reason = effect_at(kind, path, live, want)
        found.setdefault(effect, {})[reason] = None
    return {effect: tuple(filter(None, found[effect])) for effect in Effect if effect in found}


def differs_below(kind: Kind, path: str) -> bool:
    """Whether any field in the mapping at ``path`` is not updated in place."""
    below: Mapping[str, object] = {
        at: facts.effect for at, facts in kind.fields.items() if at.startswith((f"{path}.", f"{path}["))
    }
    return any(effect is not Effect.IN_PLACE for effect in below.values())
