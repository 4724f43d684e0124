"""Values that stand for others until they are known: the one place that knows what is inside each of them.

Whoever looks for something in a value, changes it or writes it out uses :func:`walk`, :func:`any_of`, :func:`replace`
or :func:`convert`. A new class is added to ``StandIn`` and here: mypy then names every ``match`` that does not know it
yet (``assert_never``), and ``tests/model/test_stand_ins.py`` puts a secret into it and looks at what is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from operator import is_
from typing import Any, Final, TypeAlias, assert_never, get_args

from reconciler.model import Base64, Digest, JsonText, Later, Reference, Secret, Template, Text

StandIn: TypeAlias = Later | Text | JsonText | Base64 | Secret | Digest | Template | Reference
STAND_INS: Final = get_args(StandIn)

# nearly everything is of these types: told at once, and nothing is inside
SCALARS: Final = frozenset((str, int, float, bool, type(None)))


def held(value: Any) -> Collection[Any]:
    """What ``value`` holds itself: a mapping's values, a list's items, what a stand-in is made of, or nothing."""
    if type(value) in SCALARS:
        return ()
    if type(value) is dict or isinstance(value, Mapping):
        return value.values()
    if isinstance(value, list | tuple):
        return value
    return _made_of(value) if isinstance(value, STAND_INS) else ()


def _made_of(value: StandIn) -> tuple[Any, ...]:
    match value:
        case Later() | Reference():
            return ()
        case Text() | Template():
            return value.parts
        case JsonText() | Base64() | Secret():
            return (value.value,)
        case Digest():
            return (value.value, value.salt)
        case _:
            assert_never(value)


def walk(value: Any, *, whole: tuple[type, ...] = ()) -> Iterator[Any]:
    """``value`` and everything inside it, at any depth, in the order it is written in; names of members aside.

    What is of a class in ``whole`` is given and not looked into: the parts of a text, say, are no texts of their own.
    """
    left = [value]
    while left:
        node = left.pop()
        yield node
        if type(node) not in SCALARS and not isinstance(node, whole):
            left += [*held(node)][::-1]


def any_of(value: Any, predicate: Callable[[Any], bool], *, whole: tuple[type, ...] = ()) -> bool:
    """Whether ``predicate`` holds for anything that :func:`walk` gives."""
    left = [value]  # not by walk: a generator costs half as much again, and every plan asks for every value
    while left:
        node = left.pop()
        if predicate(node):
            return True
        if type(node) not in SCALARS and not isinstance(node, whole):
            left += held(node)
    return False


def replace(value: Any, function: Callable[[Any], Any]) -> Any:
    """``value`` with other things in the place of some inside it; where nothing changes, the very same object.

    ``function`` is asked from the outside in. What it gives back as it was is looked into; what it puts in the place of
    something is not.
    """
    done = function(value)
    if done is not value or type(value) in SCALARS:
        return done
    before = held(value)
    after = [replace(item, function) for item in before]
    return value if all(map(is_, before, after)) else _holding(value, after)


def _holding(value: Any, items: list[Any]) -> Any:
    """``value`` with other ``items`` in the place of those that it holds, in the same order."""
    if isinstance(value, Mapping):
        return dict(zip(value, items, strict=True))
    if isinstance(value, list | tuple):
        return tuple(items) if isinstance(value, tuple) else items
    return _made_from(value, items)


def _made_from(value: StandIn, items: list[Any]) -> StandIn:
    match value:
        case Later() | Reference():
            return value
        case Text():
            return Text(tuple(items))
        case Template():
            return Template(tuple(items))
        case JsonText():
            return JsonText(*items)
        case Base64():
            return Base64(*items)
        case Secret():
            return Secret(*items)
        case Digest():
            return Digest(*items)
        case _:
            assert_never(value)


def convert(
    value: Any,
    stand_in: Callable[[StandIn], Any],
    other: Callable[[Any], Any] | None = None,
    members: Callable[[Mapping[Any, Any]], Mapping[Any, Any]] | None = None,
) -> Any:
    """``value`` written out in dictionaries and lists: what ``stand_in`` makes of each stand-in is not looked into.

    ``other`` is asked about what is no stand-in and holds nothing. ``members`` gives what is written of a mapping,
    before its values are converted. Names become text.
    """
    if type(value) in SCALARS:
        return other(value) if other else value
    if type(value) is dict or isinstance(value, Mapping):
        shown = members(value) if members else value
        return {str(name): convert(item, stand_in, other, members) for name, item in shown.items()}
    if isinstance(value, list | tuple):
        return [convert(item, stand_in, other, members) for item in value]
    if isinstance(value, STAND_INS):
        return stand_in(value)
    return other(value) if other else value


def unknown_values(value: Any) -> Iterator[Later]:
    """Every Later inside ``value``."""
    return (node for node in walk(value) if isinstance(node, Later))


def has_unknown(value: Any) -> bool:
    """Whether there is a :class:`Later` anywhere inside."""
    return type(value) not in SCALARS and any_of(value, _is_later)


def has_secret(value: Any) -> bool:
    """Whether there is a :class:`Secret` or a :class:`Digest` anywhere inside: none of them must be seen."""
    return any_of(value, _is_secret)


def unsettled(value: Any) -> Iterator[Later | Template | Reference]:
    """Everything in ``value`` that only a plan or an apply can fill in."""
    return (node for node in walk(value, whole=(Template,)) if isinstance(node, Later | Template | Reference))


def known(value: Any) -> bool:
    """Whether nothing in ``value`` is left for a plan or an apply to fill in."""
    return type(value) in SCALARS or not any_of(value, _is_unsettled)


def _is_later(node: Any) -> bool:
    return isinstance(node, Later)


def _is_secret(node: Any) -> bool:
    return isinstance(node, Secret | Digest)


def _is_unsettled(node: Any) -> bool:
    return isinstance(node, Later | Template | Reference)
