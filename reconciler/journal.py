"""The journal of an apply: one JSON object a line of what was sent to AWS and what it answered.

It is evidence for people, with the request ids that AWS's support asks for, and is never read back. Secrets are
covered before anything is written, and every line is on the disk before the next call is made.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Self, TextIO

from reconciler.aws import Exchange
from reconciler.masking import SENSITIVE
from reconciler.model import Event, Plan, Refused
from reconciler.problems import Problem, Problems
from reconciler.render import json as as_json
from reconciler.render.values import Mask

FOLDER: Final = ".reconcile"
PRIVATE: Final = frozenset({"SecretString", "SecretBinary", "KeyMaterial"})  # never in a reply we ask for
DIGEST: Final = re.compile(r"[0-9a-f]{64}")  # what the versions of secrets are called, made of their values


class Journal:
    """Writes lines to a file. Thread-safe; a context manager."""

    def __init__(self, path: Path, mask: Mask, now: Callable[[], str]) -> None:
        self.path, self.mask, self.now = path, mask, now
        self._lock = threading.Lock()
        self._file: TextIO = _opened(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._file.close()

    def began(self, made: Plan, checksum: str, version: str) -> None:
        """The first line: what is being applied, and where."""
        scope = made.scope
        about = {"environment": scope.environment, "account": scope.account, "region": scope.region}
        self._line("apply", {"reconcile_version": version, **about, "checksum": checksum, "destroy": made.destroy})

    def heard(self, exchange: Exchange) -> None:
        """One request and its answer."""
        call, reply = exchange.call, exchange.reply
        sent = call.params if call.shown is None else call.shown
        told: dict[str, Any] = {"reply": _without(reply)}
        if isinstance(reply, Refused):
            told = {"refused": {"code": reply.code, "message": reply.message, "status": reply.status}}
        facts = {"request_id": exchange.request_id, "took": round(exchange.took, 3)}
        self._line("call", {"call": str(call), **facts, "parameters": _without(sent), **told})

    def emit(self, event: Event) -> None:
        """What became of a step."""
        step = {"step": event.step.id, "address": str(event.step.address), "what": event.what.value}
        self._line("step", {**step, "detail": event.detail})

    def ended(self, code: int, told: str) -> None:
        """The last line: the exit code and the report."""
        self._line("end", {"exit_code": code, "report": told})

    def _line(self, kind: str, facts: Mapping[str, Any]) -> None:
        line = as_json.dumps({"at": self.now(), "type": kind, **self.mask.value(facts)})
        with self._lock:
            if not self._file.closed:
                self._file.write(line + "\n")
                self._file.flush()


def default_path(environment: str, stamp: str, folder: Path) -> Path:
    """Where a journal goes in CI: ``.reconcile/ENVIRONMENT-TIME.jsonl``."""
    return folder / FOLDER / f"{environment}-{stamp.replace(':', '')}.jsonl"


def _opened(path: Path) -> TextIO:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("a", encoding="utf-8")
    except OSError as error:
        hint = "choose another --journal FILE"
        problem = Problem(code="journal", message=f"{path} cannot be written: {error.strerror}", hint=hint)
        raise Problems([problem]) from error


def _without(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {_without(name): SENSITIVE if name in PRIVATE else _without(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without(item) for item in value]
    return SENSITIVE if isinstance(value, str) and DIGEST.fullmatch(value) else value
