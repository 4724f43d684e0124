"""What the kinds make of AWS's replies for `reconcile status`, with replies as data: the calls, and what is seen in them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from reconciler.kinds import discover
from reconciler.model import Refused, Scope
from reconciler.model.status import Asked, Part

ROWS: Mapping[str, Any] = yaml.safe_load((Path(__file__).parents[2] / "data/status.yaml").read_text("utf-8"))
NOW = 2_000_000_000.0
SCOPE = Scope("123456789012", "eu-west-1", "aws", "dev")


def seen(section: str, row: Mapping[str, Any]) -> tuple[Part, list[str]]:
    """What a kind finds where AWS replies as the row says, and the calls that it made, round by round."""
    kind = discover()[section].status
    assert kind is not None
    asked = Asked(scope=SCOPE, names=tuple(row["names"]), now=NOW, since=NOW - 86400, most=row.get("most", 5))
    reads, rounds = kind.read(asked), []
    try:
        calls = next(reads)
        while True:
            rounds.append(" + ".join(sorted(call.operation + detail(call.params) for call in calls)))
            assert {call.action for call in calls} <= {*kind.permissions}
            calls = reads.send(tuple(reply(row["replies"], call) for call in calls))
    except StopIteration as end:
        return end.value, rounds


def detail(params: Mapping[str, Any]) -> str:
    return f"({params['jobStatus']})" if "jobStatus" in params else ""


def reply(replies: Mapping[str, Any], call: Any) -> Any:
    found = replies.get(call.operation + detail(call.params), replies.get(call.operation))
    if found == "denied":
        return Refused("AccessDeniedException", "no")
    return found


def plain(value: Any) -> Any:
    """A dataclass, or several, without what is empty."""
    if hasattr(value, "__dataclass_fields__"):
        members = {name: plain(getattr(value, name)) for name in value.__dataclass_fields__}
        return {
            name: one
            for name, one in members.items()
            if one not in ("", None, [], {}) and (name, one) != ("live", True)
        }
    if isinstance(value, tuple | frozenset):
        return [plain(one) for one in value]
    return dict(value) if isinstance(value, Mapping) else value


@pytest.mark.parametrize(("section", "title"), [(section, title) for section, rows in ROWS.items() for title in rows])
def test_what_is_seen(section: str, title: str) -> None:
    row = ROWS[section][title]

    found, rounds = seen(section, row)

    assert rounds == row["rounds"]
    assert plain(found) == row["seen"]
