"""The line of a plan about its preflight."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from reconciler.model.preflight import Check, Fit
from reconciler.render.preflight import summary


def unknown(message: str, denied: str = "") -> Check:
    return Check(check="image", verdict=Fit.unknown, message=message, denied=denied)


@pytest.mark.parametrize(
    ("checks", "line"),
    [
        ([Check(check="gpu", verdict=Fit.fits, message="")], "Preflight: 1 check fits."),
        ([unknown("push a"), unknown("push a")], "Preflight: 0 checks fit, 2 unknown (push a)."),
        ([unknown("push a"), unknown("push b")], "Preflight: 0 checks fit, 2 unknown (push a; push b)."),
        ([unknown(name) for name in "abc"], "Preflight: 0 checks fit, 3 unknown (see `--format json`)."),
        ([unknown("refused", "ecr:X")], "Preflight: 0 checks fit, 1 unknown (not permitted: ecr:X)."),
        ([], "Preflight: nothing to check."),
    ],
)
def test_what_is_unknown_is_said_where_it_is_short(checks: list[Check], line: str) -> None:
    parts = SimpleNamespace(own=tuple(checks), placed=None, after=())
    assert summary([SimpleNamespace(checks=parts)] if checks else []) == line  # type: ignore[list-item]
