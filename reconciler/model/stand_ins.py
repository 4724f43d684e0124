"""Stand-ins: values that take the place of others until these are known. Only this module knows their content.

Code that searches a value, changes it or converts it uses :func:`walk`, :func:`any_of`, :func:`replace` or
:func:`convert`. Add a new class to ``StandIn``: mypy then reports every ``match`` without it (``assert_never``), and
``tests/model/test_stand_ins.py`` puts a secret into it and checks what is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from operator import is_
from typing import Any, Final, TypeAlias, assert_never, get_args

from reconciler.model import Base64, Digest, JsonText, Later, Reference, Secret, Template, Text

StandIn: TypeAlias = Later | Text | JsonText | Base64 | Secret | Digest | Template | Reference
STAND_INS: Final = get_args(StandIn)

# nearly every value has one of these types, which contain nothing: a quick test
SCALARS: Final = frozenset((str, int, float, bool, type(None)))


def held(value: Any) -> Collection[Any]:
    """What ``value`` directly contains: a mapping's values, a list's items, the content of a stand-in, or nothing."""
    if type(value) in SCALARS:
        return ()
    if isinstance(value, list | tuple):
        return value
    if isinstance(value, STAND_INS):  # before mappings other than dictionaries, which take longer to recognize
        return _content_of(value)
    return value.values() if isinstance(value, dict | Mapping) else ()


def _content_of(value: StandIn) -> tuple[Any, ...]:
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
    """``value`` and everything inside it, at any depth, in the order of the declaration; without names of members.

    The content of instances of ``whole`` is skipped: the parts of a text, for example, are not values themselves.
    """
    left = [value]
    while left:
        node = left.pop()
        yield node
        if type(node) not in SCALARS and not isinstance(node, whole):
            left += [*held(node)][::-1]


def any_of(value: Any, predicate: Callable[[Any], bool], *, whole: tuple[type, ...] = ()) -> bool:
    """Whether ``predicate`` is true for anything that :func:`walk` returns."""
    left = [value]  # not by walk: a generator takes 1.5 times as long, and every plan tests every value
    while left:
        node = left.pop()
        if predicate(node):
            return True
        if type(node) not in SCALARS and not isinstance(node, whole):
            left += held(node)
    return False


def replace(value: Any, function: Callable[[Any], Any]) -> Any:
    """``value`` with parts of it replaced by ``function``; the same object if nothing changes.

    ``function`` is called from the outside in. What it returns unchanged is searched further; what it returns as a
    replacement is not.
    """
    done = function(value)
    if done is not value or type(value) in SCALARS:
        return done
    before = held(value)
    after = [replace(item, function) for item in before]
    return value if all(map(is_, before, after)) else _with_items(value, after)


def _with_items(value: Any, items: list[Any]) -> Any:
    """``value`` with ``items`` instead of what :func:`held` returns, in the same order."""
    if isinstance(value, Mapping):
        return dict(zip(value, items, strict=True))
    if isinstance(value, list | tuple):
        return tuple(items) if isinstance(value, tuple) else items
    return _with_content(value, items)


def _with_content(value: StandIn, items: list[Any]) -> StandIn:
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
    """``value`` as dictionaries and lists, with each stand-in converted by ``stand_in``, whose result is final.

    ``other`` converts scalars and other objects. ``members`` returns the members of a mapping to convert. Names become
    text.
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
    """Whether ``value`` contains a :class:`Later`."""
    return type(value) not in SCALARS and any_of(value, _is_later)


def has_secret(value: Any) -> bool:
    """Whether ``value`` contains a :class:`Secret` or a :class:`Digest`, which must never be shown."""
    return any_of(value, _is_secret)


def unsettled(value: Any) -> Iterator[Later | Template | Reference]:
    """Everything in ``value`` that only a plan or an apply can resolve."""
    return (node for node in walk(value, whole=(Template,)) if isinstance(node, Later | Template | Reference))


def known(value: Any) -> bool:
    """Whether ``value`` contains nothing that a plan or an apply must resolve."""
    return type(value) in SCALARS or not any_of(value, _is_unsettled)


def _is_later(node: Any) -> bool:
    return isinstance(node, Later)


def _is_secret(node: Any) -> bool:
    return isinstance(node, Secret | Digest)


def _is_unsettled(node: Any) -> bool:
    return isinstance(node, Later | Template | Reference)
