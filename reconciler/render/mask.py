"""Values for output: stand-ins as words, secrets masked, control characters removed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from difflib import SequenceMatcher
from functools import lru_cache
from typing import Any, Final, assert_never

from reconciler.model import MISSING, Base64, Digest, JsonText, Later, Plan, Reference, Secret, Template, Text, compact
from reconciler.model.masking import SENSITIVE, SHORT, Cover, harmless, private_name, single_line
from reconciler.model.patterns import regex
from reconciler.model.secrets_in_text import decoded, secret_arguments, secrets_in, without_secrets
from reconciler.model.stand_ins import StandIn, any_of, convert, has_secret, has_unknown, walk

UNKNOWN = "(known after apply)"


_cover = lru_cache(16)(Cover)  # a command makes many masks of the same secrets


class Mask:
    """Replaces secrets in texts and values by ``(sensitive)``.

    ``sensitive`` are secrets to find within texts; ``words`` are masked only as a whole value, however short.
    """

    def __init__(self, sensitive: Iterable[str] = (), words: Iterable[str] = ()) -> None:
        self._sensitive, self._words = frozenset(sensitive), frozenset(words)
        self._cover = _cover(self._sensitive)

    def __or__(self, other: Mask) -> Mask:
        """The mask for the secrets of both."""
        return Mask(self._sensitive | other._sensitive, self._words | other._words)

    def of_names(self) -> Mask:
        """The mask for names and ARNs: a secret that is a word in small letters is part of many of these by chance."""
        return Mask(text for text in self._sensitive if not is_word(text))

    def text(self, text: str) -> str:
        """``text`` without secrets and without control characters; it may have several lines."""
        return harmless(self._cover(text))

    def line(self, text: str) -> str:
        """``text`` without secrets, control characters and line ends."""
        return single_line(self._cover(text))

    def lines(self, text: str, indent: str = "    ") -> str:
        """``text`` without secrets and control characters; every line after the first is indented."""
        return re.sub(r"\n(?!\s)", f"\n{indent}", self.text(text))

    def value(self, value: Any) -> Any:
        """``value`` as plain JSON: unknown values become ``(known after apply)``, secrets ``(sensitive)``."""
        return convert(value, self._stand_in, self._scalar, self._members)

    def _stand_in(self, value: StandIn) -> Any:
        match value:
            case Secret() | Digest():
                return SENSITIVE
            case Later():
                return UNKNOWN
            case Text():
                return UNKNOWN if has_unknown(value) else self._shown(str(value))
            case Template() | Reference():
                return self._shown(str(value))
            case Base64():
                return self.value(value.value)
            case JsonText():
                inner = self.value(value.value)
                return inner if isinstance(inner, str) else compact(inner)
            case _:
                assert_never(value)

    def _scalar(self, value: Any) -> Any:
        if isinstance(value, str):
            return SENSITIVE if value in self._words else self._shown(value)
        return None if value is MISSING else value

    def _shown(self, text: str) -> str:
        """``text`` without known secrets, and without what looks like one inside a script or a command."""
        shown = without_secrets(self._cover(text))
        return harmless(text) if shown == text else self.text(shown)

    def _members(self, value: Mapping[Any, Any]) -> Mapping[str, Any]:
        private = private_members(value)
        return {self.text(str(name)): Secret(item) if name in private else item for name, item in value.items()}

    def covered(self, text: str) -> str:
        """``text`` without secrets."""
        return self._cover(text)

    def covered_value(self, text: str) -> str:
        """``text``, which is a value, without secrets and what looks like one."""
        return SENSITIVE if text in self._words else without_secrets(self._cover(text))

    def hides(self, value: Any) -> bool:
        """Whether ``value`` contains a secret."""
        return any_of(value, self._hides, whole=(Text, Template))

    def _hides(self, node: Any) -> bool:
        if isinstance(node, str):
            return node in self._words or self._cover(node) != node or bool(secrets_in(node))
        if isinstance(node, Text | Template):  # as one text: a secret may go from one part into the next
            return has_secret(node) or self._cover(str(node)) != str(node)
        return isinstance(node, Secret | Digest) or (isinstance(node, Mapping) and any(map(self._hides, node)))

    def learnt(self, plan: Plan) -> Mask:
        """A mask also for the live values that ``plan`` replaces by secrets, which probably are secrets too, and for
        those that live commands give to an option such as ``--password``.
        """
        changed = [item for item in plan.resources if item.before is not item.after]
        old = {text for item in changed for text in self._old(item.before, item.after)}
        lists = (node for item in changed for node in walk(item.before) if isinstance(node, list | tuple))
        old |= {word for node in lists for word in secret_arguments(node)}
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
            old = str(before)
            yield from self._old_lines(old.splitlines(), str(after).splitlines()) if "\n" in old else [old]

    def _old_lines(self, before: list[str], after: list[str]) -> Iterator[str]:
        """The lines of a script that were replaced by lines with a secret."""
        for change, first, end, start, stop in SequenceMatcher(a=before, b=after, autojunk=False).get_opcodes():
            if change != "equal" and any(map(self._hides, after[start:stop])):
                yield from (line for line in before[first:end] if line not in after and len(line) >= SHORT)


_WORD: Final = regex(r"[a-z]{1,11}")


def is_word(text: str) -> bool:
    """Whether ``text`` may be an ordinary word: ``batch``."""
    return bool(_WORD.fullmatch(text))


_TEXTS: Final = (str, Text, Template, JsonText, Base64)  # what is sent as text
_ARN: Final = regex(r"arn:aws[a-z-]*:[a-z0-9-]+:[a-z0-9-]*:[0-9]*:[^\s\"]+")
_ENCODED: Final = ("userData", "UserData")
_NAMED: Final = (("name", "value"), ("Name", "Value"), ("key", "value"), ("Key", "Value"))


def private_members(value: Mapping[Any, Any]) -> set[str]:
    """The members of ``value`` with text that have a secret's name, or belong to one (``name`` and ``value``). The ARN
    of a secret is its name, and says where a program finds it.
    """
    found = {beside for name, beside in _NAMED if private_name(str(value.get(name, "")))}
    found |= {name for name in value if isinstance(name, str) and private_name(name)}
    kept = {name for name in found if isinstance(value.get(name), _TEXTS) and not _is_no_secret(value[name])}
    return kept | {name for name in _ENCODED if _hides_encoded(value.get(name))}


def _is_no_secret(text: Any) -> bool:
    return text == "" or (isinstance(text, str) and bool(_ARN.fullmatch(text)))


def _hides_encoded(value: Any) -> bool:
    """Whether user data in base64, as AWS returns it, contains what looks like a secret."""
    plain = decoded(value) if isinstance(value, str) else value
    return isinstance(plain, str) and plain != value and bool(secrets_in(plain))


def known_part(value: Any) -> Any:
    """``value`` without unknown values (terraform's ``after``)."""
    if isinstance(value, Mapping):
        kept = {name: known_part(item) for name, item in value.items()}
        return {name: item for name, item in kept.items() if item is not MISSING}
    if isinstance(value, list | tuple):
        return [None if (item := known_part(part)) is MISSING else item for part in value]
    return MISSING if has_unknown(value) else value


def unknown_part(value: Any) -> Any:
    """True for every unknown value, in the shape of ``value``; empty where all are known (terraform's
    ``after_unknown``).
    """
    if isinstance(value, Mapping):
        return {name: inner for name, item in value.items() if (inner := unknown_part(item))}
    if isinstance(value, list | tuple):
        parts = [unknown_part(item) for item in value]
        return [part or False for part in parts] if any(parts) else []
    return has_unknown(value)
