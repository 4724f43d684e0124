"""The exit codes of every command (the contract's section 6)."""

from __future__ import annotations

from typing import Final

OK: Final = 0


ERROR: Final = 1


CHANGES: Final = 2


PARTIAL: Final = 3


RAIL: Final = 4


STALE: Final = 5


INTERRUPTED: Final = 130
