"""Secrets in what AWS shows in plain text: in the YAML they are taken from environment variables."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from reconciler.checks.secrets import texts_under_secret_names
from reconciler.model import Address, Path
from reconciler.model.masking import private_name
from reconciler.model.secrets_in_text import secrets_in
from reconciler.operations.importing.express import placed, walked

SHORTEST = 4  # shorter texts are switches and numbers, whatever their name is
_NO_SECRET = re.compile(r"arn:|\$|\d{1,3}$|(?:true|false|yes|no|null|none|enabled|disabled)$", re.IGNORECASE)


@dataclass(slots=True)
class Secrets:
    """Secrets by the environment variable that stands for each; ``places`` where each was found.

    ``sensitive`` are more texts that must not be shown: found, but not replaced.
    """

    values: dict[str, str] = field(default_factory=dict)
    places: dict[str, list[tuple[Address, Path]]] = field(default_factory=dict)

    def hide(self, address: Address, props: Mapping[str, Any]) -> Any:
        """``props`` with expressions, as placeholders, in the place of the secrets in them."""
        found = {text for text in texts_under_secret_names(props) if _is_literal(text)}
        if not found:
            return props
        names: dict[str, str] = {}
        _name(props, found, names)

        def without(path: Path, value: str) -> str:
            if path and path[-1] in ("valueFrom", "ValueFrom", "name"):
                return value
            for secret in sorted(found, key=len, reverse=True):
                if secret == value or (secret in value and secret in secrets_in(value)):
                    variable = self.variable(address, names.get(secret) or str(path[-1] if path else "secret"), secret)
                    self.places.setdefault(variable, []).append((address, path))
                    value = value.replace(secret, placed(f"${{env:{variable}}}"))
            return value

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


def _is_literal(text: str) -> bool:
    return len(text) >= SHORTEST and not _NO_SECRET.match(text) and "\x00" not in text


def _name(value: Any, found: Iterable[str], names: dict[str, str], above: str = "") -> None:
    """The name that each secret stands under or beside."""
    if isinstance(value, Mapping):
        called = value.get("name") or value.get("key") or ""
        for name, item in value.items():
            beside = str(called) if private_name(str(called)) and name not in ("name", "key") else str(name)
            _name(item, found, names, beside if not private_name(above) else above)
    elif isinstance(value, list):
        for item in value:
            _name(item, found, names, above)
    elif isinstance(value, str):
        for secret in found:
            if secret in value:
                names.setdefault(secret, above)
