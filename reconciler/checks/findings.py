"""Findings of kinds as problems with an address and a place."""

from __future__ import annotations

from reconciler.model import Address, Finding, Pos
from reconciler.model.paths import dotted
from reconciler.model.problems import Problem


def as_problem(finding: Finding, address: Address | str, pos: Pos) -> Problem:
    """``finding`` as a problem of the resource at ``address``, placed at ``pos``."""
    return Problem(
        code=finding.code,
        message=finding.message,
        hint=finding.hint,
        warning=finding.warning,
        address=str(address),
        path=dotted(finding.path),
        pos=pos,
    )
