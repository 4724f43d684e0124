"""The plan for a pull request: a summary line, a table of changes, one folded block a resource.

Truncated below the size limit of comments on the usual hosts, with a note. Everything from YAML or AWS is escaped: a
name cannot close a block, start a link or add HTML.
"""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from typing import Final

from reconciler.model import Plan, ResourcePlan, Verb
from reconciler.model.problems import Problem
from reconciler.render import text
from reconciler.render.difference import Line
from reconciler.render.mask import Mask

LIMIT: Final = 60_000
# @ # :emoji: ://, and ! $ % & ~: merge requests, snippets, milestones, epics and labels on other hosts
_LINKING: Final = re.compile(
    r"&#64;|&#35;|&#58;(?=[\w/+-]|&#95;)|(?:!|%|&#36;|&#126;|&amp;)(?=\w|&#95;)|www(?=\.)|GH(?=-)", re.IGNORECASE
)
_OBEYED: Final = re.compile(r"[&<>\"'|`*_\[\]\\~#@:$]")
_SIGNS: Final = {"~": "!"}
MORE: Final = "\n\n_Truncated: the plan is longer than a comment may be. See the output of `reconcile plan`._\n"


def plan(
    plan: Plan,
    mask: Mask,
    *,
    problems: Sequence[Problem] = (),
    root: str = "",
    limit: int = LIMIT,
    refused: bool = False,
) -> str:
    """Markdown of at most ``limit`` characters. ``problems`` come before the plan, or replace it if ``refused``;
    ``root`` is the path prefix of the files in them.
    """
    scope = plan.scope
    where = [code(mask.line(name)) for name in (scope.environment, scope.account, scope.place)]
    parts = [f"### {where[0]} in account {where[1]}, {where[2]}", ""]
    if blocked := text.blocked(problems):
        parts += [f"**{blocked}**", ""]
    if not refused:
        parts += [f"**{text.summary(plan)}**"]
    if not refused and (scope_note := text.limits(plan)):
        parts += ["", scope_note]
    if problems:
        shown = text.problems(problems, mask, text.Paint(colour=False), root)
        parts += ["", *fenced(shown if len(shown) < limit // 2 else f"{shown[: limit // 2]}\n...")]
    changed = [item for item in plan.resources if item.verb is not Verb.NOOP and not refused]
    if changed:
        parts += ["", "| | resource | why |", "| --- | --- | --- |"]
    done = "\n".join(parts)
    for item in changed:
        row = f"\n| {code(text.sign(item))} | {code(mask.line(str(item.address)))} | {plain(mask.line(item.reason))} |"
        if len(done) + len(row) + len(MORE) > limit:
            return done + MORE
        done += row
    advised = [item for item in plan.resources if item.verb is Verb.NOOP and item.notes and not refused]
    for item in (*changed, *advised):
        block = "\n".join(("", "", *_folded(item, mask)))
        if len(done) + len(block) + len(MORE) > limit:
            return done + MORE
        done += block
    return done + "\n"


def _folded(item: ResourcePlan, mask: Mask) -> list[str]:
    summary = code(text.heading(item, mask, text.Paint(colour=False)))
    lines = [*map(_line, text.body(item, mask)), *text.calls(item, mask)]
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
