"""The plan as one HTML page without scripts, for the artifacts of a pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Final

from reconciler.model import Plan, Verb
from reconciler.model.problems import Problem
from reconciler.render import text
from reconciler.render.difference import Line
from reconciler.render.mask import Mask

_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"
_STYLE: Final = """\
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; }
pre { background: #f4f4f4; border-radius: 4px; overflow-x: auto; padding: .75rem; }
summary { cursor: pointer; font-family: ui-monospace, monospace; }
.create { color: #116329; } .update { color: #7a4f01; } .adopt { color: #0b5c8a; }
ins, del { text-decoration: none; }
ins { background: #dafbe1; } del { background: #ffebe9; }
.replace, .delete { color: #a40e26; }
@media (prefers-color-scheme: dark) { body { background: #111; color: #eee; } pre { background: #222; }
  ins { background: #12361f; } del { background: #4c1a1c; } }"""


def plan(plan: Plan, mask: Mask, *, problems: Sequence[Problem] = (), root: str = "", refused: bool = False) -> str:
    """A complete page. ``problems`` come before the plan, or replace it if ``refused``; ``root`` is the path prefix of
    the files in them.
    """
    title = mask.line(f"{plan.scope.environment} in account {plan.scope.account}, {plan.scope.place}")
    blocks = []
    if problems:
        shown = text.problems(problems, mask, text.Paint(colour=False), root)
        blocks.append(f"<pre>{escape(shown)}</pre>")
    for item in () if refused else plan.resources:
        if item.verb is not Verb.NOOP or item.notes:
            first = text.heading(item, mask, text.Paint(colour=False))
            body = "\n".join([*map(_line, text.body(item, mask)), *map(escape, text.calls(item, mask))])
            summary = f'<summary class="{item.verb.value}">{escape(first)}</summary>'
            blocks.append(f"<details>{summary}<pre>{body}</pre></details>")
    return "\n".join(
        [
            "<!doctype html>",
            f'<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            f"<style>{_STYLE}</style></head><body>",
            f"<h1>{escape(title)}</h1>",
            *(f'<p class="delete"><strong>{escape(said)}</strong></p>' for said in (text.blocked(problems),) if said),
            *([] if refused else _summary(plan)),
            *blocks,
            "</body></html>",
        ]
    )


def _line(line: Line) -> str:
    """A line of a block: what is added and removed is marked as such, also for those who do not see colours."""
    shown = escape(f"{'  ' * line.depth}{line.sign or ' '} {line.text}")
    element = {"+": "ins", "-": "del"}.get(line.sign)
    return f"<{element}>{shown}</{element}>" if element else shown


def _summary(plan: Plan) -> list[str]:
    limit = text.limits(plan)
    return [f"<p><strong>{escape(text.summary(plan))}</strong></p>", *([f"<p>{escape(limit)}</p>"] if limit else [])]
