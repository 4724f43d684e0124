"""YAML text -> the events of libyaml, a parser in C; the only importer of PyYAML.

Nothing else of PyYAML is used: ``node`` and ``composer`` define what a scalar means, and everything else in which YAML
1.1 and 1.2 differ. PyYAML may be installed without libyaml, so only speed may depend on this module.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from yaml import YAMLError as Refused  # what iterating over the events raises

from reconciler.model.patterns import regex

try:
    from yaml.cyaml import CParser
except ImportError:
    CParser = None

__all__ = ["CParser", "Refused", "events"]

# What libyaml reads differently: tabs, line breaks of YAML 1.1, byte order marks, ends of documents; an anchor's name
# that continues after a sign; a comment right after | or >, and a line of spaces as the first line of such a text.
_DIFFERENT = ("\t", "\x85", "\u2028", "\u2029", "\ufeff", "\n...", "\r...")
_DIFFERENT_PLACE = regex(
    r"[&*|>](?:(?<![^\s\[{,:][&*])(?<=[&*])[\w-]+[?:%@`]|(?<=\s[|>])[-+\d]*(?:#|(?: +#.*| *)[\r\n]+ +[\r\n]))"
)


def events(text: str) -> Iterator[Any] | None:
    """The parser's events; None without libyaml, or if it might read the text differently from ruamel."""
    if CParser is None or any(one in text for one in _DIFFERENT) or _DIFFERENT_PLACE.search(text):
        return None
    found: Iterator[Any] = iter(CParser(text).get_event, None)
    return found
