"""Drives the reads of a kind with replies that a test has, without an account."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.model import Reads


def drive(reads: Reads[Any], replies: Mapping[str, Any]) -> tuple[Any, list[str]]:
    """What the reads find with these replies by operation, and what was asked."""
    asked: list[str] = []
    try:
        calls = next(reads)
        while True:
            asked += [call.operation for call in calls]
            found = [(replies[call.operation], call) for call in calls]
            calls = reads.send(tuple(reply(call) if callable(reply) else reply for reply, call in found))
    except StopIteration as end:
        return end.value, asked
