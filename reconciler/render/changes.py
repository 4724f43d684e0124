"""What differs in one resource, as lines: each attribute with its old and new value, complete, and the effect."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import takewhile
from typing import Any, Final, NamedTuple

from reconciler.model import (
    MISSING,
    NAME_TAG,
    Base64,
    Call,
    Change,
    Effect,
    JsonText,
    Path,
    ResourcePlan,
    Secret,
    Step,
    compact,
)
from reconciler.model.masking import SENSITIVE
from reconciler.model.paths import dotted
from reconciler.model.patterns import regex
from reconciler.model.stand_ins import convert
from reconciler.render.difference import Line, between, fits, shift, single, whole
from reconciler.render.mask import Mask

CHANGED: Final = "(sensitive, changed)"  # in place of a secret that was not there before, next to what is shown
ELSE: Final = "…"  # in place of what is not equal in all of a group, or is equal on both sides
_NOT_SET: Final = "(not set)"
_REMOVED: Final = "(removed)"
_PARTS: Final = regex(r"[\w.-]+|[^\w.-]", re.DOTALL)
MEMBERS: Final = 60  # a mapping with more characters is shown member by member


class _Attribute(NamedTuple):
    path: Path
    before: Any
    after: Any
    effect: str
    secret: bool = False
    ordered: bool = True


def lines(found: Sequence[Change], mask: Mask, *, core: bool = False) -> Iterator[Line]:
    """The lines of all that differs; leaves of one list are shown together, by the elements of the list.

    ``core``: without what is equal at the ends of two short texts, so that equal changes of many resources are equal
    lines: ``"…:1.4" -> "…:1.5"``.
    """
    attributes = [*_attributes(found, mask)]
    width = min(max((len(dotted(one.path)) for one in attributes), default=0), 60)
    for one in attributes:
        yield from _attribute(one, width, mask, core=core)


def nameless(item: ResourcePlan) -> ResourcePlan:
    """``item`` with :data:`ELSE` for its own name in its tags: equal changes of resources with a prefix are equal."""
    own, path = item.address.name, ("tags", NAME_TAG)
    found = tuple(replace(one, after=ELSE) if one.path == path and one.after == own else one for one in item.changes)
    after, tags = item.after, (item.after or {}).get("tags")
    if isinstance(tags, Mapping) and tags.get(NAME_TAG) == own:
        after = {**(after or {}), "tags": {**tags, NAME_TAG: ELSE}}
    return replace(item, diff=replace(item.diff, changes=found), after=after)


def created(item: ResourcePlan, mask: Mask) -> Iterator[Line]:
    """Every property of a resource that is created."""
    hidden = {name: Secret(value) if name in item.secret_paths else value for name, value in (item.after or {}).items()}
    for name, value in mask.value(hidden).items():
        yield from whole("+", mask.line(name), value, 0, MEMBERS)


def step(part: Step, mask: Mask, room: int | None = None) -> str:
    """One step on one line; with ``room``, parameters with more characters are shortened."""
    if not isinstance(part.action, Call):
        return f"wait until {mask.line(part.action.title)}"
    parameters = compact(mask.value(part.action.params))
    return f"{part.action} {parameters if room is None or len(parameters) <= room else f'{parameters[: room - 4]} ...'}"


def _attributes(found: Sequence[Change], mask: Mask) -> Iterator[_Attribute]:
    done: set[Path] = set()
    for change in found:
        listed = change.within
        if change.secret or listed is None:
            yield _Attribute(change.path, change.before, change.after, _effect(change, mask), change.secret)
        elif listed.path not in done:
            done.add(listed.path)
            leaves = [other for other in found if other.within is listed and not other.secret]
            effect = "; ".join(dict.fromkeys(filter(None, (_effect(leaf, mask) for leaf in leaves))))
            yield _Attribute(listed.path, listed.before, listed.after, effect, ordered=listed.ordered)


def _effect(change: Change, mask: Mask) -> str:
    effect = {Effect.REPLACE: "forces replacement", Effect.IN_PLACE: ""}.get(change.effect, change.effect.value)
    return f"{effect} ({mask.line(change.because)})" if change.because else effect


def _attribute(one: _Attribute, width: int, mask: Mask, *, core: bool) -> Iterator[Line]:
    """One attribute: on one line where that is short, else the lines of its difference below its name."""
    label = mask.line(dotted(one.path))
    effect = f"  # {one.effect}" if one.effect else ""
    sign = "+" if one.before is MISSING else "-" if one.after is MISSING else "~"
    if one.secret:
        yield Line(sign, 0, f"{label:<{width}}  {SENSITIVE} differs{effect}")
        return
    old, new = mask.value(one.before), mask.value(one.after)
    if sign != "~":
        value = new if sign == "+" else old
        here = f"{_NOT_SET} -> {single(value)}" if sign == "+" else f"{single(value)} -> {_REMOVED}"
        if fits(value, None):
            yield Line(sign, 0, f"{label:<{width}}  {here}{effect}")
        else:
            yield Line(sign, 0, f"{label}  " + (f"{_NOT_SET} ->" if sign == "+" else f"-> {_REMOVED}") + effect)
            yield from whole(sign, "", value, 1)
        return
    new = _marked(one.after, new, {*_texts(one.before)})
    if single(old) == single(new):
        yield Line(sign, 0, f"{label:<{width}}  {_hidden(one, mask)}{effect}")
    elif fits(old, new):
        shown = shift(*_apart(old, new)) if core else shift(old, new)
        yield Line(sign, 0, f"{label:<{width}}  {shown}{effect}")
    else:
        yield Line(sign, 0, f"{label}{effect}")
        yield from between(old, new, ordered=one.ordered)


def _apart(old: Any, new: Any) -> tuple[Any, Any]:
    """Two texts without the words that both begin and end with, which ``…`` stands for."""
    if not (isinstance(old, str) and isinstance(new, str)):
        return old, new
    ours, theirs = _PARTS.findall(old), _PARTS.findall(new)
    lead = _shared(ours, theirs)
    tail = _shared(ours[lead:][::-1], theirs[lead:][::-1])
    lead -= bool(lead) and not ours[lead - 1][0].isalnum()  # the sign in front, as in ":1.4"
    return _between_ends(ours, lead, tail), _between_ends(theirs, lead, tail)


def _shared(one: Sequence[str], other: Sequence[str]) -> int:
    """How many parts both begin with."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _between_ends(parts: Sequence[str], lead: int, tail: int) -> str:
    middle = "".join(parts[lead : len(parts) - tail])
    return f"{ELSE * bool(lead)}{middle}{ELSE * bool(tail)}"


def _hidden(one: _Attribute, mask: Mask) -> str:
    """The difference between two values that are shown alike: in a secret, or in characters that are spelled out."""
    if mask.hides(one.before) or mask.hides(one.after):
        return f"{SENSITIVE} differs"
    old, new = (json.dumps(convert(value, str), sort_keys=True, default=str) for value in (one.before, one.after))
    return f"{old} -> {new}"


# --- secrets that changed next to what is shown ----------------------------------------------------------------------


def _bare(value: Any) -> str:
    inner = value.value if isinstance(value, Secret | Base64) else value
    return compact(convert(inner.value, str)) if isinstance(inner, JsonText) else str(inner)


def _texts(value: Any) -> Iterator[str]:
    """Every text in ``value`` and each of its lines."""
    if isinstance(value, Mapping | list | tuple):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(item)
    else:
        yield from (text := _bare(value), *text.split("\n"))


def _marked(raw: Any, shown: Any, known: set[str]) -> Any:
    """``shown``, in which a mask that covers a text not in ``known`` says so: else both sides would look the same."""
    if isinstance(shown, str):
        if SENSITIVE not in shown:
            return shown
        covered, visible = _bare(raw).split("\n"), shown.split("\n")
        if len(covered) != len(visible):
            return shown if _bare(raw) in known else shown.replace(SENSITIVE, CHANGED)
        pairs = zip(covered, visible, strict=True)
        return "\n".join(line if text in known else line.replace(SENSITIVE, CHANGED) for text, line in pairs)
    if isinstance(shown, Mapping) and isinstance(raw, Mapping):
        items = zip(shown.items(), raw.values(), strict=False)
        return {name: _marked(inner, item, known) for (name, item), inner in items}
    if isinstance(shown, list) and isinstance(raw, list | tuple):
        return [_marked(inner, item, known) for item, inner in zip(shown, raw, strict=False)]
    return shown
