"""The effect of changing a property: one rule, for plans, for `explain` and for docs/reference/."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from reconciler.model import Effect, Json, Kind, Path
from reconciler.model.resources import EffectOf
from reconciler.planning.field_tree import along, field_tree

Rules = tuple[Effect | EffectOf, ...]


def rules(kind: Kind, path: Path) -> Rules:
    """What decides the effect of a change at ``path``: what the kind has by itself, then each rule on the path."""
    own = Effect.NEW_REVISION if kind.versioned else Effect.IN_PLACE
    return (own, *(node.facts.effect for node in along(field_tree(kind), path)))


def effect_by(found: Rules, live: Json, want: Json) -> tuple[Effect, str]:
    """The effect of the deepest rule that is not in-place, and its reason."""
    first, *others = found
    verdict: tuple[Effect, str] = (first, "") if isinstance(first, Effect) else first(live, want)
    for judge in others:
        one = (judge, "") if isinstance(judge, Effect) else judge(live, want)
        if one[0] is not Effect.IN_PLACE:
            verdict = one
    return verdict


def effect_at(kind: Kind, path: Path, live: Json, want: Json) -> tuple[Effect, str]:
    """The effect of a change at ``path``, and its reason; ``live`` and ``want`` are all properties before and after."""
    return effect_by(rules(kind, path), live, want)


def is_fixed(kind: Kind, path: Path) -> bool:
    """Whether the effect of a change depends on nothing else."""
    return all(isinstance(one, Effect) for one in rules(kind, path))


def outcomes(found: Rules, variants: Sequence[Json]) -> dict[Effect, tuple[str, ...]]:
    """Every effect that a change can have, mildest first, with its reasons: found by trying every pair of variants."""
    pairs: Iterable[tuple[Json, Json]] = ((live, want) for live in variants for want in variants)
    if all(isinstance(one, Effect) for one in found):
        pairs = [({}, {})]
    reasons: dict[Effect, dict[str, None]] = {}
    for live, want in pairs:
        effect, reason = effect_by(found, live, want)
        reasons.setdefault(effect, {})[reason] = None
    return {effect: tuple(filter(None, reasons[effect])) for effect in Effect if effect in reasons}


def differs_below(kind: Kind, path: str) -> bool:
    """Whether any field in the mapping at ``path`` is not updated in place."""
    below: Mapping[str, object] = {
        at: facts.effect for at, facts in kind.fields.items() if at.startswith((f"{path}.", f"{path}["))
    }
    return any(effect is not Effect.IN_PLACE for effect in below.values())
