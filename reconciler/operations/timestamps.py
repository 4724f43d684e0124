"""Times, as files and output have them."""

from __future__ import annotations

from datetime import UTC, datetime


def timestamp(at: float | None = None) -> str:
    """A time, or now, in UTC, to the second, as plans, JSON lines and journals write it: ``2026-01-31T12:00:00Z``."""
    found = datetime.now(UTC) if at is None else datetime.fromtimestamp(at, UTC)
    return found.strftime("%Y-%m-%dT%H:%M:%SZ")
