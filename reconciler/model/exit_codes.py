"""The exit codes of every command (README); here, since a refusal carries its exit code."""

from __future__ import annotations

from typing import Final

OK: Final = 0
ERROR: Final = 1
CHANGES: Final = 2
PARTIAL: Final = 3  # apply stopped part-way
RAIL: Final = 4  # refused by a safety rail
STALE: Final = 5  # a saved plan is out of date, or the account changed while it was applied
INTERRUPTED: Final = 130
