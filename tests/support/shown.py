"""A plan as people see it, in each format."""

from __future__ import annotations

from typing import Any

from reconciler.model import Plan
from reconciler.render import html, markdown, text, view
from reconciler.render.mask import Mask

PLAIN = text.Paint(colour=False)


def as_text(plan: Plan, mask: Mask | None = None, *, verbose: bool = False, **more: Any) -> str:
    """``reconcile plan``."""
    return text.plan(view.of(plan, mask or Mask(), **more), PLAIN, verbose=verbose)


def as_markdown(plan: Plan, mask: Mask | None = None, *, limit: int = markdown.LIMIT, **more: Any) -> str:
    """``reconcile plan --format markdown``."""
    return markdown.plan(view.of(plan, mask or Mask(), **more), limit=limit)


def as_html(plan: Plan, mask: Mask | None = None, **more: Any) -> str:
    """``reconcile plan --format html``."""
    return html.plan(view.of(plan, mask or Mask(), **more))
