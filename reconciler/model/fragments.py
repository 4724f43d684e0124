"""Patterns for texts that a service writes: its wording, quotes and dashes vary, and it cuts long texts off."""

from __future__ import annotations

import re
from functools import cache
from typing import Final

from .patterns import regex

MOST: Final = 4000  # characters of a text that are looked at

_FOLDED: Final = str.maketrans(
    {
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-"),
        **dict.fromkeys("\u2018\u2019\u201a\u201b\u2032\u0060\u00b4", "'"),
        **dict.fromkeys("\u201c\u201d\u201e\u201f\u2033", '"'),
        **dict.fromkeys("\u200b\u200c\u200d\ufeff\\", ""),
    }
)
_SPACES: Final = regex(r"\s+")
_ALTERNATIVES: Final = regex(r"\{([^{}]*)\}|(\*)")


def fold(text: str) -> str:
    """``text`` in lower case, with plain dashes, quotes and single spaces, without backslashes."""
    return _SPACES.sub(" ", text[:MOST].translate(_FOLDED)).strip().lower()


def matches(pattern: str, text: str) -> bool:
    """Whether ``pattern`` is in ``text``, which need not be folded.

    A pattern is text, in which ``*`` is any text and ``{a|b}`` one of two; with ``=`` before it, it is the whole text.
    A number matches a whole number only.
    """
    return found_in(pattern, fold(text))


def found_in(pattern: str, folded: str) -> bool:
    """The same, for a text that is folded already."""
    return _compiled(pattern).search(folded) is not None


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    whole, body = pattern.startswith("="), fold(pattern.removeprefix("="))
    parts, at = list[str](), 0
    for match in _ALTERNATIVES.finditer(body):
        parts.append(_literal(body[at : match.start()]))
        parts.append(".*" if match[2] else f"(?:{'|'.join(map(_literal, match[1].split('|')))})")
        at = match.end()
    parts.append(_literal(body[at:]))
    regex = "".join(parts)
    return re.compile(rf"\A{regex}\Z" if whole else regex)


def _literal(text: str) -> str:
    escaped = re.escape(text)
    return rf"(?<![0-9a-z]){escaped}(?![0-9a-z])" if text.isdecimal() else escaped
