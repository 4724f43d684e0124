"""Values for output: stand-ins told, secrets masked, nothing that a terminal would obey."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from reconciler.model import MISSING, Base64, Digest, JsonText, Later, Plan, Secret, Template, Text, compact
from reconciler.model.masking import SENSITIVE, SHORT, Cover, harmless, private_name, single_line
from reconciler.model.stand_ins import has_unknown

UNKNOWN = "(known after apply)"


class Mask:
    """Takes values that must not be seen out of texts, wherever they turn up.

    ``words`` are values that are nothing but a secret where they stand alone, however short.
    """

    def __init__(self, sensitive: Iterable[str] = (), words: Iterable[str] = ()) -> None:
        self._sensitive, self._words = frozenset(sensitive), frozenset(words)
        self._cover = Cover(self._sensitive)

    def __or__(self, other: Mask) -> Mask:
        """What hides all that either hides."""
        return Mask(self._sensitive | other._sensitive, self._words | other._words)

    def text(self, text: str) -> str:
        """``text`` without secrets and without control characters; it may have several lines."""
        return harmless(self._cover(text))

    def line(self, text: str) -> str:
        """The same on one line."""
        return single_line(self._cover(text))

    def lines(self, text: str, indent: str = "    ") -> str:
        """The same where what follows a line end is indented, so that no text from elsewhere begins a line."""
        return re.sub(r"\n(?!\s)", f"\n{indent}", self.text(text))

    def value(self, value: Any) -> Any:
        """``value`` as plain JSON: what is not known yet, or secret, becomes a word that says so."""
        if isinstance(value, Mapping):
            private = _private(value)
            return {
                self.text(str(name)): SENSITIVE if name in private else self.value(item) for name, item in value.items()
            }
        if isinstance(value, list | tuple):
            return [self.value(item) for item in value]
        if isinstance(value, JsonText):
            inner = self.value(value.value)
            return inner if isinstance(inner, str) else compact(inner)
        if isinstance(value, Base64):
            return self.value(value.value)
        if isinstance(value, Later | Digest) or (isinstance(value, Text) and has_unknown(value)):
            return UNKNOWN if not isinstance(value, Digest) else SENSITIVE
        if isinstance(value, Secret):
            return SENSITIVE
        if isinstance(value, str | Template | Text):
            alone = isinstance(value, str) and value in self._words
            return SENSITIVE if alone else self.text(str(value))
        return None if value is MISSING else value

    def hides(self, value: Any) -> bool:
        """Whether anything in ``value`` must not be seen."""
        if isinstance(value, Mapping):
            return any(self.hides(name) or self.hides(item) for name, item in value.items())
        if isinstance(value, list | tuple):
            return any(map(self.hides, value))
        if isinstance(value, JsonText | Base64):
            return self.hides(value.value)
        if isinstance(value, str | Template | Text):
            return (isinstance(value, str) and value in self._words) or self._cover(str(value)) != str(value)
        return isinstance(value, Secret | Digest)

    def learnt(self, plan: Plan) -> Mask:
        """The mask that also hides what in the account stands where a secret will stand: it was one as well, and nobody
        has told us which.
        """
        changed = (item for item in plan.resources if item.before is not item.after)
        old = {text for item in changed for text in self._old(item.before, item.after)}
        return self | Mask(old, {text for text in old if len(text) < SHORT}) if old else self

    def _old(self, before: Any, after: Any) -> Iterator[str]:
        """The texts of ``before`` in the places of secrets in ``after``."""
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            for name, item in before.items():
                if name in after and item != after[name]:
                    yield from self._old(item, after[name])
        elif isinstance(before, list | tuple) and isinstance(after, list | tuple):
            named = {item.get("name"): item for item in after if isinstance(item, Mapping)}
            for item in before:
                if isinstance(item, Mapping):
                    yield from self._old(item, named.get(item.get("name")))
                elif isinstance(item, str) and item not in after and self.hides(after):
                    yield item
        elif isinstance(before, str | Base64) and not isinstance(after, Mapping | list | tuple) and self.hides(after):
            yield str(before)


_NAMED: Final = (("name", "value"), ("Name", "Value"), ("key", "value"), ("Key", "Value"))


def _private(value: Mapping[Any, Any]) -> set[str]:
    """The members of ``value`` that hold text and are called, or stand beside a name, as secrets are."""
    found = {beside for name, beside in _NAMED if private_name(str(value.get(name, "")))}
    found |= {name for name in value if isinstance(name, str) and private_name(name)}
    return {name for name in found if isinstance(value.get(name), str | Template | Text) and value[name] != ""}


def known_part(value: Any) -> Any:
    """``value`` without anything that is not known yet (terraform's ``after``)."""
    if isinstance(value, Mapping):
        kept = {name: known_part(item) for name, item in value.items()}
        return {name: item for name, item in kept.items() if item is not MISSING}
    if isinstance(value, list | tuple):
        return [None if (item := known_part(part)) is MISSING else item for part in value]
    return MISSING if has_unknown(value) else value


def unknown_part(value: Any) -> Any:
    """True at everything that is not known yet, in the shape of ``value``; empty where all is known."""
    if isinstance(value, Mapping):
        return {name: inner for name, item in value.items() if (inner := unknown_part(item))}
    if isinstance(value, list | tuple):
        parts = [unknown_part(item) for item in value]
        return [part or False for part in parts] if any(parts) else []
    return has_unknown(value)
