"""YAML text -> the events of libyaml, a parser in C; the only importer of PyYAML.

Of PyYAML nothing else is used: what a scalar means, and everything else in which YAML 1.1 and 1.2 differ, is said in
``node`` and ``composer``. PyYAML may be installed without libyaml, so nothing but time may depend on this module.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from yaml import YAMLError as Refused  # what iterating over the events raises

try:
    from yaml.cyaml import CParser
except ImportError:
    CParser = None

__all__ = ["CParser", "Refused", "events"]

# What libyaml reads in another way: tabs, line breaks of YAML 1.1, byte order marks, ends of documents; a name of an
# anchor that goes on after a sign; a comment right behind | or >, and a line of spaces as the first one of such a text.
_ODD = ("\t", "\x85", "\u2028", "\u2029", "\ufeff", "\n...", "\r...")
_ODD_PLACE = re.compile(
    r"[&*|>](?:(?<![^\s\[{,:][&*])(?<=[&*])[\w-]+[?:%@`]|(?<=\s[|>])[-+\d]*(?:#|(?: +#.*| *)[\r\n]+ +[\r\n]))"
)


def events(text: str) -> Iterator[Any] | None:
    """The parser's events; None where there is no libyaml, or where it might read the text in another way."""
    if CParser is None or any(odd in text for odd in _ODD) or _ODD_PLACE.search(text):
        return None
    found: Iterator[Any] = iter(CParser(text).get_event, None)
    return found
