"""Secrets in what AWS shows in plain text: in the YAML they are taken from environment variables."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import field
from typing import Any

from reconciler.model import Address, Path
from reconciler.model.masking import private_name
from reconciler.model.patterns import regex
from reconciler.model.records import dataclass
from reconciler.model.secrets_in_text import secret_arguments, secrets_in
from reconciler.operations.importing.express import placed, walked

LONG = 8  # a shorter secret may be an ordinary word in another place
SHORTEST = 4  # shorter texts are switches and numbers, whatever their name is
_NAMES = ("name", "Name", "key", "Key", "valueFrom", "ValueFrom")
_NO_SECRET = regex(r"arn:|\$|\d{1,3}$|(?:true|false|yes|no|null|none|enabled|disabled)$", re.IGNORECASE)


@dataclass(slots=True)
class Secrets:
    """Secrets by the environment variable that stands for each; ``places`` where each was found."""

    values: dict[str, str] = field(default_factory=dict)
    places: dict[str, list[tuple[Address, Path]]] = field(default_factory=dict)

    def hide(self, address: Address, props: Mapping[str, Any], names: Collection[Path]) -> Any:
        """``props`` with expressions, as placeholders, in the place of the secrets in them; ``names`` are the paths of
        names of other resources, which are no secrets.
        """
        known = walked(props, lambda path, value: "" if path in names else value)
        here: dict[Path, dict[str, str]] = {}
        for path, secret, name in _found(known, ()):
            here.setdefault(path, {})[secret] = name
        if not here:
            return props
        everywhere = {text: name for found in here.values() for text, name in found.items() if len(text) >= LONG}

        def without(path: Path, value: str) -> str:
            if path in names or (path and path[-1] in _NAMES):
                return value
            found = {**everywhere, **here.get(path, {})}
            inside = [secret for secret in sorted(found, key=len, reverse=True) if secret in value]
            if not inside:
                return value

            def expression(match: re.Match[str]) -> str:
                variable = self.variable(address, found[match[0]], match[0])
                self.places.setdefault(variable, []).append((address, path))
                return placed(f"${{env:{variable}}}")

            return re.sub("|".join(map(re.escape, inside)), expression, value)

        return walked(props, without)

    def variable(self, address: Address, name: str, secret: str) -> str:
        """The environment variable for a secret: of the same name in all places with the same value."""
        plain = re.sub(r"\W+", "_", name).strip("_").upper() or "SECRET"
        plain = f"SECRET_{plain}" if plain[0].isdigit() else plain
        above = re.sub(r"\W+", "_", address.name).strip("_").upper()
        for candidate in (plain, f"{above}_{plain}", *(f"{above}_{plain}_{number}" for number in range(2, 1000))):
            if self.values.get(candidate, secret) == secret and not candidate[0].isdigit():
                self.values[candidate] = secret
                return candidate
        return plain


def _found(value: Any, path: Path, above: str = "") -> Iterator[tuple[Path, str, str]]:
    """Every secret in ``value``, with its path and the name that it is under or beside; a name with a whole document or
    a list below it says nothing.
    """
    if isinstance(value, Mapping):
        called = next((str(value[name]) for name in ("name", "Name", "key", "Key") if value.get(name)), "")
        for name, item in value.items():
            beside = called if private_name(called) and name in ("value", "Value") else str(name)
            if isinstance(item, str) and name not in _NAMES:
                part = (
                    f"{called}_{'PASSWORD' if '://' in item else 'SECRET'}" if called and beside != called else beside
                )
                yield from (((*path, name), *one) for one in _in_text(item, beside, part))
            elif not isinstance(item, str):
                yield from _found(item, (*path, name), beside)
    elif isinstance(value, list):
        arguments = {text for text in secret_arguments(value) if _is_literal(text)}
        for number, item in enumerate(value):
            at = (*path, number)
            if not isinstance(item, str):
                yield from _found(item, at, above)
            elif item in arguments and number and str(value[number - 1]).startswith("-"):
                yield at, item, str(value[number - 1])
            else:
                yield from ((at, *one) for one in _in_text(item, "", above))


def _in_text(text: str, name: str, part: str) -> Iterator[tuple[str, str]]:
    """The whole text, where its name is that of a secret; else the secrets in it, by the names that they are given to
    in the text, or ``part``.
    """
    if private_name(name) and _is_literal(text):
        yield text, name
    else:
        yield from ((one, _name_before(text, one) or part) for one in secrets_in(text) if _is_literal(one))


def _name_before(text: str, secret: str) -> str:
    """The name that a secret inside a text is given to: ``DB_PASSWORD=...``, ``--password ...``; empty if none is."""
    found = re.search(r"([A-Za-z][\w-]*)[\"']?\s*[:=\s]\s*[\"']?" + re.escape(secret), text)
    return found[1] if found and private_name(found[1]) else ""


def _is_literal(text: str) -> bool:
    return len(text) >= SHORTEST and not _NO_SECRET.match(text) and "\x00" not in text
