"""The secrets of an environment, found before any message about it is printed.

These are the values of secret fields, of environment variables and variables with names like those of secrets, and
values under such a name or next to one (``{name: DB_PASSWORD, value: ...}``, ``--password=...``). Where a secret can
stand it may also stand in the wrong place: as a key, or in a member that does not exist.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from typing import Any, Final

from reconciler.checks.passed import Passed
from reconciler.config.loader import LoadedEnvironment
from reconciler.config.variables import GIVEN
from reconciler.model import Address, Kind, Template
from reconciler.model.masking import LINE, is_no_name, private_name
from reconciler.model.paths import values_at
from reconciler.model.secrets_in_text import decoded, is_itself_a_secret, secret_arguments, secrets_in
from reconciler.model.stand_ins import SCALARS, walk
from reconciler.schema import registry

_private = cache(private_name)  # there are few different names
_secrets_in = lru_cache(10_000)(secrets_in)  # and most texts are repeated
_without_secrets: set[str] = set()  # lists of mappings
_MOST_KNOWN: Final = 2000
_NAMES: Final = frozenset({"name", "Name", "key", "Key"})
_ODD: Final = frozenset({"userData", "valueFrom"})  # members whose texts are searched in their own way
_REFERENCES: Final = frozenset({"valueFrom", "ValueFrom"})


@cache
def _structures() -> frozenset[str]:
    """What is named like a secret and has none in it: references, and the sections and members that hold them."""
    return frozenset({"imagePullSecrets", "repositoryCredentials", "secret", *registry.sections()})


def secret_texts(loaded: LoadedEnvironment, kinds: Mapping[str, Kind], passed: Passed | None = None) -> frozenset[str]:
    """The texts in a loaded environment that must be masked. Resources in which there are any have not ``passed``."""
    found = {*loaded.sensitive, *texts_under_secret_names(loaded.variables)}
    for name in secret_variables(loaded, kinds):
        found.update(texts(loaded.given[name].value))
    for section, raws in loaded.sections.items():
        fields = kinds[section].fields if section in kinds else {}
        patterns = [path for path, facts in fields.items() if facts.secret]
        for name, raw in raws.items():
            if passed and (section, name) in passed.known:
                continue
            private = texts_under_secret_names(raw.value)
            found.update(private)
            if passed and private:
                passed.not_now(Address(section, name))
            for pattern in patterns:
                found.update(text for _, value in values_at(raw.value, pattern) for text in texts(value))
            if patterns:
                odd = (value for name, value in raw.value.items() if registry.is_secret(section, (name,)))
                found.update(text for value in odd for text in _all_in(value))
                found.update(
                    text for name, value in raw.value.items() if is_no_name(name) for text in _all_in({name: value})
                )
                lifecycle = raw.value.get("lifecycle")
                found.update(filter(is_no_name, lifecycle) if isinstance(lifecycle, Mapping) else ())
    return frozenset(found)


def secret_variables(loaded: LoadedEnvironment, kinds: Mapping[str, Kind]) -> frozenset[str]:
    """The variables with a given value that is a secret: by its name or its form, or since a secret is made of it."""
    used = {
        name.removeprefix(GIVEN)
        for section, raws in (loaded.sections.items() if loaded.given else ())
        for raw in raws.values()
        for path, names in raw.env.items()
        if section in kinds and (registry.is_secret_of(kinds[section], path) or any(_private(str(p)) for p in path))
        for name in names
        if name.startswith(GIVEN)
    }
    given = {name: one.value for name, one in loaded.given.items()}
    return frozenset(name for name in given if name in used or texts_under_secret_names({name: given[name]}))


def texts(value: Any) -> Iterator[str]:
    """Every text in the value of a secret, and its numbers with at least :data:`LINE` digits."""
    for node in walk(value, whole=(Template,)):
        if isinstance(node, Template):
            yield from (part for part in node.parts if isinstance(part, str) and len(part) >= LINE)
        elif isinstance(node, str):
            yield node
        elif isinstance(node, int | float) and len(str(node)) >= LINE:
            yield str(node)


def texts_under_secret_names(value: Any) -> list[str]:
    """The texts under a name like that of a secret, or next to one (``{name: DB_PASSWORD, value: ...}``), and those
    that a text gives to such a name (``--password=...``).
    """
    found: list[str] = []
    _gather(value, found)
    return found


def _gather(value: Any, found: list[str]) -> None:
    """Adds to ``found``. This sees every value of an environment: a generator for every mapping would be slow."""
    if type(value) is list:
        if value and type(value[0]) is dict:
            found.extend(_of_mappings(value))
        else:
            _gather_items(value, found)
    elif type(value) is dict or isinstance(value, Mapping):
        _gather_members(value, found)


def _of_mappings(value: list[Any]) -> list[str]:
    """What is in a list of mappings. Many lists are repeated, and few have any, so those without are remembered."""
    key = repr(value)
    if key in _without_secrets:
        return []
    found: list[str] = []
    _gather_items(value, found)
    if not found:
        if len(_without_secrets) >= _MOST_KNOWN:
            _without_secrets.clear()
        _without_secrets.add(key)
    return found


def _gather_items(value: list[Any], found: list[str]) -> None:
    words = False
    for item in value:
        if type(item) is str:
            words = True
            found.extend(_secrets_in(item))
        elif type(item) not in SCALARS:
            _gather_member("", item, found)
    if words:
        found.extend(secret_arguments(value))


def _gather_members(value: Mapping[str, Any], found: list[str]) -> None:
    called = None
    if not _NAMES.isdisjoint(value):
        called = value.get("name") or value.get("key") or value.get("Name") or value.get("Key")
    beside = called is not None and _private(str(called))
    for name, item in value.items():
        if beside and name not in _NAMES and name not in _REFERENCES:
            found.extend(_all_in({name: item}))
        elif type(item) is str and name not in _ODD and not _private(name):
            found.extend(_secrets_in(item))
        elif type(item) is str or type(item) not in SCALARS:
            _gather_member(name, item, found)


def _gather_member(name: str, item: Any, found: list[str]) -> None:
    if type(item) is dict or type(item) is list:
        if _private(name) and name not in _structures():
            found.extend(_all_in(item))
        else:
            _gather(item, found)
    elif isinstance(item, str | Template):
        found.extend(texts(item) if _private(name) else _inside(name, item))


def _inside(name: str, value: str | Template) -> Iterator[str]:
    """The secrets inside a script or a command, and a value that should name a secret and is one."""
    for text in value.parts if isinstance(value, Template) else (value,):
        if isinstance(text, str):
            yield from _secrets_in(decoded(text) if name == "userData" else text)
    if name == "valueFrom" and isinstance(value, str) and is_itself_a_secret(value):
        yield value


def _all_in(value: Any) -> Iterator[str]:
    """The texts in ``value``, and the keys that cannot be a member's name: a secret may stand in the wrong place."""
    yield from texts(value)
    for node in walk(value, whole=(Template,)):
        if isinstance(node, Mapping):
            yield from (name for name in node if is_no_name(name))
