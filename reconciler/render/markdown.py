"""The plan for a pull request: a summary line, a table of changes, one folded block a resource.

Truncated below the size limit of comments on the usual hosts, with a note. Everything from YAML or AWS is escaped: a
name cannot close a block, start a link or add HTML.
"""

from __future__ import annotations

import html
import re
from typing import Final

from reconciler.render import text
from reconciler.render.difference import Line
from reconciler.render.mask import Mask
from reconciler.render.view import Group, View

LIMIT: Final = 60_000
# @ # :emoji: ://, and ! $ % & ~: merge requests, snippets, milestones, epics and labels on other hosts
_LINKING: Final = re.compile(
    r"&#64;|&#35;|&#58;(?=[\w/+-]|&#95;)|(?:!|%|&#36;|&#126;|&amp;)(?=\w|&#95;)|www(?=\.)|GH(?=-)", re.IGNORECASE
)
_OBEYED: Final = re.compile(r"[&<>\"'|`*_\[\]\\~#@:$]")
_SIGNS: Final = {"~": "!"}
MORE: Final = "\n\n_Truncated: the plan is longer than a comment may be. See the output of `reconcile plan`._\n"


def plan(view: View, *, verbose: bool = False, limit: int = LIMIT) -> str:
    """Markdown of at most ``limit`` characters."""
    where = [code(name) for name in (view.environment, view.account, view.region)]
    parts = [f"### {where[0]} in account {where[1]}, {where[2]}", ""]
    if blocked := text.blocked(view.problems):
        parts += [f"**{blocked}**", ""]
    if not view.refused:
        parts += [f"**{view.summary}**"]
    if not view.refused and view.limits:
        parts += ["", view.limits]
    if view.problems:
        shown = text.problems(view.problems, Mask(), text.Paint(colour=False), view.root)
        parts += ["", *fenced(shown if len(shown) < limit // 2 else f"{shown[: limit // 2]}\n...")]
    done = "\n".join(parts)
    for group in view.groups:
        block = "\n".join(("", "", *_folded(group, verbose=verbose)))
        if len(done) + len(block) + len(MORE) > limit:
            return done + MORE
        done += block
    return done + "\n"


def _folded(group: Group, *, verbose: bool) -> list[str]:
    summary = code(text.heading(group, text.Paint(colour=False)))
    lines = [*map(_line, text.body(group)), *map(str, group.first.steps if verbose else ())]
    if len(group.entries) > 1:
        lines += text.listed(group.entries)
    return [f"<details><summary>{summary}</summary>", "", *fenced("\n".join(lines), "diff"), "", "</details>"]


def _line(line: Line) -> str:
    """A line as hosts colour it in a ``diff``: by its first character, where ``!`` stands for a change."""
    shown = f"{_SIGNS.get(line.sign, line.sign) or ' '}   {'  ' * line.depth}{line.text}"
    return shown if line.text else shown.rstrip()


def fenced(body: str, language: str = "text") -> list[str]:
    """``body`` literally, in a fence longer than any in it; as lines."""
    longest = max((len(run) for run in re.findall(r"`+", body)), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}{language}", body, fence]


def code(value: str) -> str:
    """``value`` literally, as code."""
    return f"<code>{plain(value)}</code>"


def plain(value: str) -> str:
    """``value`` without effect in Markdown, in HTML and on the host: hosts search the rendered text for mentions,
    issues and addresses, where escapes do not help but an HTML comment does.
    """
    escaped = _OBEYED.sub(_escaped, value.replace("\n", " "))
    return _LINKING.sub(lambda match: f"{match[0]}<!-- -->", escaped)


def _escaped(match: re.Match[str]) -> str:
    return html.escape(match[0]) if match[0] in '&<>"' else f"&#{ord(match[0])};"
