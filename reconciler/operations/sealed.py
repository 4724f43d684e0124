"""Secrets in what a snapshot records: taken out when it is written, and put in again from the YAML when it is planned.

A value that equals one of the declaration is written as a number, which stands for where the declaration has it: an
environment variable, a variable, a member. So no digest of it is in the file either, and it need not be known to plan:
it counts as unchanged. Every other secret is replaced by ``(sensitive)``, and counts as changed.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field, replace
from typing import Any, Final

from reconciler.config import names, references
from reconciler.kinds import discover
from reconciler.model import Address, Environment, JsonText, Scope, Secret
from reconciler.model.masking import SENSITIVE, SHORT
from reconciler.model.paths import values_at
from reconciler.model.patterns import regex
from reconciler.model.records import dataclass
from reconciler.model.secrets_in_text import decoded
from reconciler.model.stand_ins import known
from reconciler.model.values import fingerprint
from reconciler.render.mask import Mask, is_word, private_members

# boto3's name of the service whose version ids are digests of values (docs/adr/0006-secrets-by-version-id.md)
_WITH_DIGESTS: Final = "secretsmanager"
_DIGEST: Final = regex(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
_BEGINNING: Final = regex(r"(?<=/)[0-9a-f]{16}$")
_TOKEN: Final = regex(r"\(sensitive:(?P<number>[0-9]{1,6})\)")
_ENCODED: Final = regex(r"[A-Za-z0-9+/\s]{16,}={0,2}\s*")
_NAME: Final = regex(r"(?:[nN]ame|[aA]rn|ARN|[iI]d)$")
_ENV: Final = "env:"


@dataclass(frozen=True, slots=True)
class Place:
    """Where the declaration has a secret: the first of ``sources`` that it still has. With ``salt``, what is meant is
    its digest, or the beginning of that.
    """

    sources: tuple[str, ...]
    salt: str = ""
    length: int = 64

    def text(self, secrets: Mapping[str, Any]) -> str:
        """What stands there now; masked where nothing does."""
        source = next((one for one in self.sources if one in secrets), None)
        if source is None:
            return SENSITIVE
        value = secrets[source]
        return fingerprint(value, self.salt)[: self.length] if self.salt else str(value)


def in_place(env: Environment, scope: Scope, objects: Mapping[tuple[str, str], Mapping[str, str]]) -> Environment:
    """``env`` with the values of its expressions, as far as they follow from ``scope`` and the attributes of the
    ``objects``, by section and name.
    """
    kinds, named = discover(), names.in_account(env, scope)

    def attrs(address: Address) -> Mapping[str, str] | None:
        resource = named.resources.get(address)
        if resource is None:
            return None
        computed = kinds[address.section].attrs(scope, resource.name, resource.props)
        return {**computed, **objects.get((address.section, resource.name), {})}

    context = references.ResolutionContext(scope=scope, declared=attrs, lookups={})
    filled = {
        address: replace(resource, props=references.resolve_known(resource, context))
        for address, resource in named.resources.items()
    }
    return replace(named, resources=filled)


def secrets_of(env: Environment, environ: Mapping[str, str]) -> dict[str, Any]:
    """The secrets of the declaration, by where it has them: ``env:NAME``, ``var:NAME``, or an address and a path. It is
    that of :func:`in_place`.
    """
    found: dict[str, Any] = {
        f"{_ENV}{name}": value for name, value in sorted(environ.items()) if value and value in env.sensitive
    }
    found |= {f"var:{name}": env.given[name] for name in sorted(env.private) if isinstance(env.given.get(name), str)}
    found |= dict(_secret_fields(env))
    plain = Mask()
    for address, resource in env.resources.items():
        for path, text in _leaves(resource.props, keys=True):
            if plain.covered_value(text) != text:  # it has what is written like a key or a password
                found[f"{address}:{'.'.join(map(str, path))}"] = text
            parts = sorted((text.find(part), part) for part in env.sensitive if len(part) >= SHORT and part in text)
            for number, part in enumerate([text] if text in env.sensitive else [part for _, part in parts]):
                found[f"{address}:{'.'.join(map(str, path))}#{number}"] = part
    return found


def variables_of(secrets: Mapping[str, Any]) -> list[str]:
    """The environment variables among the places of secrets."""
    return sorted(source.removeprefix(_ENV) for source in secrets if source.startswith(_ENV))


@dataclass(slots=True)
class Sealer:
    """Takes the secrets out of replies. ``places`` are those that were found."""

    env: Environment
    secrets: Mapping[str, Any]
    mask: Mask
    places: list[Place] = field(default_factory=list)
    _digests: dict[str, Place] = field(default_factory=dict)
    _others: dict[str, str] = field(default_factory=dict)
    _by_text: dict[str, tuple[str, ...]] = field(default_factory=dict)  # the longest first
    _of_names: Mask = field(init=False)

    def __post_init__(self) -> None:
        self._of_names = self.mask.of_names()
        found = [(value, source) for source, value in self.secrets.items() if isinstance(value, str) and value]
        for value, source in sorted(found, key=lambda item: -len(item[0])):
            self._by_text[value] = (*self._by_text.get(value, ()), source)

    def value(self, value: Any, service: str = "", *, names: bool = False) -> Any:
        """``value`` without secrets; ``names``: all texts in it are names or ARNs."""
        if service == _WITH_DIGESTS:
            self._learn(value)
        return self._value(value, digests=service == _WITH_DIGESTS, names=names)

    def _value(self, value: Any, *, digests: bool, private: bool = False, names: bool = False) -> Any:
        if isinstance(value, dict):
            hidden = private_members(value)
            return {
                self._text(name, digests=digests, names=True): self._value(
                    item, digests=digests, private=name in hidden, names=names or bool(_NAME.search(name))
                )
                for name, item in value.items()
            }
        if isinstance(value, list):
            return [self._value(item, digests=digests, private=private, names=names) for item in value]
        return self._text(value, digests=digests, private=private, names=names) if isinstance(value, str) else value

    def _text(self, text: str, *, digests: bool = False, private: bool = False, names: bool = False) -> str:
        if private:
            plain = decoded(text)
            if text in self._by_text:
                return self._token(Place(self._by_text[text]))
            return self._encoded(text, plain) if plain != text else SENSITIVE
        names = names or text.startswith("arn:")
        sealed = self._digested(text) if digests else text
        for value, sources in self._by_text.items():
            if len(value) >= SHORT and value in sealed and not (names and is_word(value)):
                sealed = sealed.replace(value, self._token(Place(sources)))
        if _ENCODED.fullmatch(text) and (plain := decoded(text)) != text:
            return self._encoded(text, plain)
        return (self._of_names if names else self.mask).covered_value(sealed)

    def _encoded(self, text: str, plain: str) -> str:
        sealed = self._text(plain)
        return text if sealed == plain else b64encode(sealed.encode()).decode()

    def _token(self, place: Place) -> str:
        if place not in self.places:
            self.places.append(place)
        return f"(sensitive:{self.places.index(place)})"

    def _learn(self, value: Any) -> None:
        """Note the digests that the declared values have, or would have, as versions of the secrets in a reply."""
        arns = {text for _, text in _leaves(value) if text.startswith("arn:")}
        called = {str(one): resource.name for one, resource in self.env.resources.items()}
        for source, secret in _secret_fields(self.env):
            name = called[source.rpartition(":")[0]]
            for arn in arns:
                if f":{name}-" in arn and not any(place.salt == arn for place in self._digests.values()):
                    self._digests[fingerprint(secret, arn)] = Place((source,), arn)

    def _digested(self, text: str) -> str:
        for digest, place in self._digests.items():
            if digest in text:
                text = text.replace(digest, self._token(place))
            if text.endswith(f"/{digest[:16]}"):
                text = text[:-16] + self._token(Place(place.sources, place.salt, 16))
        text = _DIGEST.sub(lambda match: self._others.setdefault(match[0], f"{len(self._others):064x}"), text)
        return _BEGINNING.sub("0" * 16, text)


def opened(value: Any, places: Sequence[Place], secrets: Mapping[str, Any]) -> Any:
    """``value``, which a :class:`Sealer` wrote, with what the declaration has in the ``places`` now."""
    known: dict[int, str] = {}

    def of(match: re.Match[str]) -> str:
        number = int(match["number"])
        if number >= len(places):
            return SENSITIVE
        if number not in known:
            known[number] = places[number].text(secrets)
        return known[number]

    def inside(node: Any) -> Any:
        if isinstance(node, dict):
            return {text(name): inside(item) for name, item in node.items()}
        if isinstance(node, list):
            return [inside(item) for item in node]
        return text(node) if isinstance(node, str) else node

    def text(written: str) -> str:
        if "(sensitive:" in written:
            return _TOKEN.sub(of, written)
        if _ENCODED.fullmatch(written) and "(sensitive:" in (plain := decoded(written)):
            return b64encode(_TOKEN.sub(of, plain).encode()).decode()
        return written

    return inside(value)


def _secret_fields(env: Environment) -> Iterator[tuple[str, Any]]:
    """The values of secret fields, each with the address and the path of its field."""
    kinds = discover()
    for address, resource in env.resources.items():
        for pattern, facts in kinds[address.section].fields.items():
            if facts.secret:
                for _, value in values_at(resource.props, pattern):
                    plain = value.value if isinstance(value, Secret | JsonText) else value
                    if known(plain):
                        yield f"{address}:{pattern}", plain


def _leaves(value: Any, path: tuple[Any, ...] = (), *, keys: bool = False) -> Iterator[tuple[tuple[Any, ...], str]]:
    """The texts in ``value`` with their paths, by number; with ``keys`` the keys too, which may be secrets."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for number, (name, item) in enumerate(value.items()):
            if keys and isinstance(name, str):
                yield (*path, number, "key"), name
            yield from _leaves(item, (*path, number), keys=keys)
    elif isinstance(value, list | tuple):
        for number, item in enumerate(value):
            yield from _leaves(item, (*path, number), keys=keys)
