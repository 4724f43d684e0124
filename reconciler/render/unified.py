"""Files as they are and as they would be: a unified diff, as ``git diff`` prints it.

What is added is shown whole. Unchanged lines around it show its place; they are of people's own files, so only
their keys are shown where a value might be a secret.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from difflib import unified_diff
from typing import Final

from reconciler.model.masking import SENSITIVE, private_name
from reconciler.model.patterns import regex
from reconciler.render.mask import Mask
from reconciler.render.text import Paint

_STYLES: Final = {"+++": "bold", "---": "bold", "@@": "dim", "+": "+", "-": "-"}
_MEMBER: Final = regex(r"(\s*(?:- +)?)(\"[^\"]*\"|'[^']*'|[^\s:#][^:#]*):(?:\s+(.*))?")
_ITEM: Final = regex(r"\s*- +[\w./*:@-]+\s*|\s*#.*|\s*")
_HARMLESS: Final = regex(r"[\w.-]{1,16}|[\[{}\]]|#.*|[|>][+-]?", re.ASCII)


def diff(before: Mapping[str, str], after: Mapping[str, str], paint: Paint, mask: Mask) -> Iterator[str]:
    """The lines of a diff of all files of ``after``; one that ``before`` does not have is new."""
    for name in sorted(after):
        old = before.get(name, "")
        start = f"a/{name}" if name in before else "/dev/null"
        lines = unified_diff(_lines(old), _lines(after[name]), start, f"b/{name}", lineterm="")
        for line in lines:
            shown = f" {_context(line[1:])}" if line.startswith(" ") else line
            yield paint(mask.text(shown), _style(line))


def _lines(text: str) -> list[str]:
    return [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")] if text else []


def _style(line: str) -> str:
    return next((style for start, style in _STYLES.items() if line.startswith(start)), "")


def _context(line: str) -> str:
    """A line that is not changed, without a value that might be a secret."""
    if _ITEM.fullmatch(line):
        return line
    found = _MEMBER.fullmatch(line)
    if found is None:
        return f"{' ' * (len(line) - len(line.lstrip()))}..."
    start, name, value = found.groups()
    if value is None or (_HARMLESS.fullmatch(value) and not private_name(name) and name != "value"):
        return line
    return f"{start}{name}: {SENSITIVE if private_name(name) or name == 'value' else '...'}"
