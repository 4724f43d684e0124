"""Texts in Markdown, without effect on it, in HTML, or on the host that shows it."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from typing import Final

from reconciler.model.patterns import regex

# @ # :emoji: ://, and ! $ % & ~: merge requests, snippets, milestones, epics and labels on other hosts
_LINKING: Final = regex(
    r"&#64;|&#35;|&#58;(?=[\w/+-]|&#95;)|(?:!|%|&#36;|&#126;|&amp;)(?=\w|&#95;)|www(?=\.)|GH(?=-)", re.IGNORECASE
)
_OBEYED: Final = regex(r"[&<>\"'|`*_\[\]\\~#@:$]")
_UNMARKED: Final = regex(r"[^\w.-]", re.ASCII)
_TICKS: Final = regex(r"`+")


def fenced(body: str, language: str = "text") -> list[str]:
    """``body`` literally, in a fence longer than any in it; as lines."""
    fence = "`" * max(3, 1 + max(map(len, _TICKS.findall(body)), default=0))
    return [f"{fence}{language}", body, fence]


def folded(summary: str, body: Iterable[str], *, shown: bool = False) -> list[str]:
    """Lines that a reader folds and unfolds; ``summary`` is Markdown, and ``shown`` whether they begin unfolded."""
    state = " open" if shown else ""
    return [f"<details{state}><summary>{summary}</summary>", "", *body, "", "</details>"]


def alert(kind: str, body: Iterable[str]) -> str:
    """A box in colour on GitHub and GitLab, elsewhere a quote. ``kind``: ``CAUTION``, ``WARNING`` or ``NOTE``."""
    lines = "\n".join(body).split("\n")
    return "\n".join([f"> [!{kind}]", *(f"> {line}" if line else ">" for line in lines)])


def code(value: str) -> str:
    """``value`` literally, as code."""
    return f"<code>{plain(value)}</code>"


def mark(*names: str) -> str:
    """An invisible line by which a pipeline finds a comment of ours; ``names`` are those of environment, account and
    Region.
    """
    return f"<!-- reconcile: {' '.join(_UNMARKED.sub('_', name)[:80] for name in names)} -->"


def plain(value: str) -> str:
    """``value`` without effect in Markdown, in HTML and on the host: hosts search the rendered text for mentions,
    issues and addresses, where escapes do not help but an HTML comment does.
    """
    escaped = _OBEYED.sub(_escaped, value.replace("\n", " "))
    return _LINKING.sub(lambda match: f"{match[0]}<!-- -->", escaped)


def _escaped(match: re.Match[str]) -> str:
    return html.escape(match[0]) if match[0] in '&<>"' else f"&#{ord(match[0])};"
