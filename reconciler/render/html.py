"""The plan as one HTML page without scripts, for the artifacts of a pipeline."""

from __future__ import annotations

from html import escape
from typing import Final

from reconciler.render import text
from reconciler.render.difference import Line
from reconciler.render.mask import Mask
from reconciler.render.view import View

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


def plan(view: View) -> str:
    """A complete page."""
    title = text.title(view)
    plain, blocked = text.Paint(colour=False), text.blocked(view.problems)
    blocks = []
    if view.problems:
        blocks.append(f"<pre>{escape(text.problems(view.problems, Mask(), plain, view.root))}</pre>")
    for group in view.groups:
        lines = [*map(_line, text.body(group)), *map(escape, group.first.steps)]
        if len(group.entries) > 1:
            lines += map(escape, text.listed(group.entries))
        summary = f'<summary class="{group.first.verb}">{escape(text.heading(group, plain))}</summary>'
        body = "\n".join(lines)
        blocks.append(f"<details>{summary}<pre>{body}</pre></details>")
    return "\n".join(
        [
            "<!doctype html>",
            f'<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            f"<style>{_STYLE}</style></head><body>",
            f"<h1>{escape(title)}</h1>",
            *([f'<p class="delete"><strong>{escape(blocked)}</strong></p>'] if blocked else []),
            *([] if view.refused else _summary(view)),
            *blocks,
            "</body></html>",
        ]
    )


def _line(line: Line) -> str:
    """A line of a block: what is added and removed is marked as such, also for those who do not see colours."""
    shown = escape(f"{'  ' * line.depth}{line.sign or ' '} {line.text}")
    element = {"+": "ins", "-": "del"}.get(line.sign)
    return f"<{element}>{shown}</{element}>" if element else shown


def _summary(view: View) -> list[str]:
    limit = [f"<p>{escape(view.limits)}</p>"] if view.limits else []
    return [f"<p><strong>{escape(view.summary)}</strong></p>", *limit]
