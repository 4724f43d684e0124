"""What a change of a field does, and when: by the rule that plans follow, tried with variants of the example."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final

from reconciler.model import MISSING, Effect, Field, Json, Kind, Path
from reconciler.model import problem_codes as codes
from reconciler.model.paths import sample, values_at
from reconciler.operations.explaining import plans
from reconciler.planning.effects import Rules, differs_below, effect_at, is_fixed, outcomes, rules
from reconciler.planning.field_tree import along, field_tree
from reconciler.render.explanation import Change
from reconciler.schema import registry
from reconciler.schema.fields import CUSTOM_ROLE, EFFECTS, URL, Variant, either, variants, varied

_TAGS: Final = "tags"
_KEPT: Final = "its live value is kept, and no longer compared"


def changes(kind: Kind, path: str, schema: Json) -> tuple[Change, ...]:
    """Every effect of a change, mildest first; none where it is not compared."""
    if path == kind.name_member:
        return (Change(effect=Effect.REPLACE.value, because="another name is another resource"),)
    if not_compared(kind, path):
        return ()
    if path == _TAGS or path.startswith(f"{_TAGS}."):
        return (Change(effect=Effect.IN_PLACE.value),)
    at = sample(path)
    found = _outcomes(kind.section, rules(kind, at))
    if schema.get("properties") and set(found) == {Effect.IN_PLACE} and differs_below(kind, path):
        return tuple(Change(effect=effect.value) for effect in _below(kind, path))
    when = _conditions(kind, at)
    example = kind.expanded("example", _document(kind.section)["examples"][0])
    return tuple(
        Change(
            effect=effect.value,
            when=when.get((effect, reason), ()),
            because=reason,
            interrupts=plans.interruption(kind, at, (effect, reason), example, example),
        )
        for effect, reasons in found.items()
        for reason in (reasons or ("",))
    )


def not_compared(kind: Kind, path: str) -> bool:
    """Whether a difference is not a change."""
    facts = kind.fields.get(path)
    return facts is not None and facts.ignore and path != kind.name_member


def words(found: tuple[Change, ...]) -> str:
    """The effects in a few words."""
    return " or ".join(dict.fromkeys(EFFECTS[Effect(one.effect)] for one in found))


def _below(kind: Kind, path: str) -> list[Effect]:
    """The effects of the fields in a mapping, mildest first."""
    found = {Effect.IN_PLACE}
    for pattern in kind.fields:
        if pattern.startswith((f"{path}.", f"{path}[")):
            found |= {*_outcomes(kind.section, rules(kind, sample(pattern)))}
    return [effect for effect in Effect if effect in found]


@cache
def _document(section: str) -> Json:
    shipped = registry.shipped()
    return shipped.documents[shipped.by_section[section]]


@cache
def _outcomes(section: str, found: Rules) -> dict[Effect, tuple[str, ...]]:
    return outcomes(found, variants(_document(section)))


@cache
def _varied(section: str) -> tuple[Variant, ...]:
    document = _document(section)
    return tuple(varied(document, document["examples"][0]))


def _conditions(kind: Kind, at: Path) -> dict[tuple[Effect, str], tuple[str, ...]]:
    """The values of other fields with which a change has another effect than in the example, by effect and reason."""
    if is_fixed(kind, at):
        return {}
    example = _document(kind.section)["examples"][0]
    usual, _ = effect_at(kind, at, example, example)
    found: dict[tuple[Effect, str], dict[str, list[str]]] = {}
    for one in _varied(kind.section):
        verdict = effect_at(kind, at, one.props, one.props)
        if verdict[0] is not usual and one.path != at:
            found.setdefault(verdict, {}).setdefault(".".join(one.path), []).append(_shown(one.value))
    return {
        verdict: tuple(f"{field} is {either(values)}" for field, values in fields.items())
        for verdict, fields in found.items()
    }


def _shown(value: Any) -> str:
    if value is MISSING:
        return "left out"
    return "a custom role" if value == CUSTOM_ROLE else str(value)


def sources(kind: Kind, path: str) -> Iterator[str]:
    """The pages that the rules on the path are from: those that a rule names, else the one that its module is about."""
    for node in along(field_tree(kind), sample(path)):
        judge = node.facts.effect
        if isinstance(judge, Effect):
            continue
        of_module = URL.findall(sys.modules[judge.__module__].__doc__ or "")
        urls = URL.findall(inspect.getdoc(judge) or "") or (of_module if len(of_module) == 1 else [])
        yield from (url.strip().rstrip(".") for url in urls)


def left_out(kind: Kind, path: str, example: Any, default: str) -> str:
    """What leaving the field out does to a resource that has it, in words; ``default`` is the one that then applies."""
    facts = kind.fields.get(path, Field())
    if facts.ignore:
        return "not compared"
    if facts.computed or (facts.secret and not kind.versioned):
        return _KEPT
    at = sample(path)
    shown = _document(kind.section)["examples"][0]
    for pattern in (one for one, known in kind.fields.items() if known.secret):  # of which a read returns no value
        shown = without(shown, sample(pattern))
    if "*" in at:  # any name of a mapping: one that the example has
        at = next((found for found, _ in values_at(shown, path)), at)
    before, refused = with_value(shown, at, example) if example is not MISSING else {}, ""
    after = without(before, at)
    if example is MISSING and not is_fixed(kind, at):
        return ""
    effect, reason = effect_at(kind, at, before, after)
    if example is not MISSING and "*" not in at and before != after:
        needed = _missing(kind, after) - _missing(kind, before)
        refused = f"not possible in the example: {min(needed)}" if needed else ""
        if refused and not default:
            return refused
        found = plans.differences(kind, before, after)
        if not found and not default and facts.normalize is None and facts.clear is MISSING:
            return _KEPT
        effect, reason = max(found, key=lambda one: list(Effect).index(one[0]), default=(effect, reason))
    text = EFFECTS[effect] + (f" ({reason})" if reason else "")
    if default:
        return f"{text}, to the default" + (f"; {refused}" if refused else "")
    return f"{text}, which {'removes' if facts.clear is MISSING else 'empties'} it"


def _missing(kind: Kind, props: Any) -> set[str]:
    """What `validate` says of the fields that such a resource lacks."""
    found = kind.check("example", props)
    return {one.message for one in found if one.code == codes.MISSING_FIELD and not one.warning}


def without(value: Any, path: Path) -> Any:
    """``value`` without what is at ``path``; the same if there is nothing."""
    step, rest = path[0], path[1:]
    if isinstance(value, list) and isinstance(step, int) and step < len(value) and rest:
        return [*value[:step], without(value[step], rest), *value[step + 1 :]]
    if not isinstance(value, Mapping) or step not in value:
        return value
    if not rest:
        return {name: item for name, item in value.items() if name != step}
    return {**value, str(step): without(value[step], rest)}


def with_value(value: Any, path: Path, new: Any) -> Any:
    """``value`` with ``new`` at ``path``; the mappings on the way are made, lists are not."""
    if not path:
        return new
    step, rest = path[0], path[1:]
    if isinstance(step, int):
        if not isinstance(value, list) or step >= len(value):
            return value
        return [*value[:step], with_value(value[step], rest, new), *value[step + 1 :]]
    members = value if isinstance(value, Mapping) else {}
    return {**members, step: with_value(members.get(step), rest, new)}
