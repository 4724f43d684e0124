"""What would have left AWS: mails and messages of topics, and what could not be delivered, with the reason.

Nothing is sent over the network.
"""

from __future__ import annotations

from datetime import UTC, datetime

from reconciler.sandbox.services import Account
from reconciler.sandbox.services.sns_messages import confirm_pending, sent
from reconciler.sandbox.wire import Json

_MEMORY = "outbox"
_MOST = 10_000


def messages(account: Account) -> list[Json]:
    """Everything, oldest first."""
    for message in sent(account):
        _keep(account, message.pop("at"), message)
    return list(account.memory[_MEMORY].get("messages", ()))


def undelivered(account: Account, to: str, rule: str, why: str, at: float) -> None:
    """A target of a rule gets nothing."""
    _keep(account, at, {"kind": "undelivered", "to": to, "rule": rule, "why": why})


def confirm(account: Account) -> list[Json]:
    """Every recipient confirms; the topics and addresses that were pending."""
    return [{"topic": topic, "endpoint": endpoint} for topic, endpoint in confirm_pending(account)]


def clear(account: Account) -> None:
    """Forget everything that was sent."""
    for _ in sent(account):
        pass
    account.memory[_MEMORY].clear()


def _keep(account: Account, at: float, message: Json) -> None:
    held = account.memory[_MEMORY].setdefault("messages", [])
    held.append({"time": datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), **message})
    del held[: max(0, len(held) - _MOST)]
