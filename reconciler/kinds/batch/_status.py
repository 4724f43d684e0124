"""What the status of an environment is read with: calls whose refusal is noted, and does not stop the rest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from reconciler.kinds.common.replies import chunks
from reconciler.model import Call, Json, Reads, Refused
from reconciler.model.diagnosis import Unread

MOST_NAMES = 100  # in one describe of AWS Batch, or of clusters


class Asking:
    """The calls of one status. ``unread`` are those that were refused, each operation once."""

    def __init__(self) -> None:
        self._unread: dict[str, Unread] = {}

    @property
    def unread(self) -> tuple[Unread, ...]:
        """What was refused."""
        return tuple(self._unread.values())

    def ask(self, calls: Sequence[Call]) -> Reads[list[Json | None]]:
        """The replies to calls that are made at once; None for each that was refused."""
        if not calls:
            return []
        replies = yield tuple(calls)
        found: list[Json | None] = []
        for call, reply in zip(calls, replies, strict=True):
            if isinstance(reply, Refused):
                permission = call.action if reply.denied else ""
                self._unread[str(call)] = Unread(call=str(call), permission=permission, why=str(reply))
            found.append(None if isinstance(reply, Refused) else reply)
        return found

    def described(self, operation: str, member: str, names: Sequence[str]) -> Reads[list[Any] | None]:
        """The objects of AWS Batch with these names; None if they could not be read."""
        calls = [Call("batch", operation, {member: list(some)}) for some in chunks(list(names), MOST_NAMES)]
        replies = yield from self.ask(calls)
        if any(reply is None for reply in replies):
            return None
        return [item for reply in replies if reply is not None for item in reply[member]]


def by_name(items: Sequence[Json], member: str) -> dict[str, Json]:
    """The objects by their names, without those that are deleted: AWS lists them for a while."""
    return {str(item[member]): item for item in items if item.get("status") != "DELETED"}
