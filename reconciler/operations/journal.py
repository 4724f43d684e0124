"""The journal of an apply: one JSON object a line of what was sent to AWS and what it answered.

It is evidence for people, with the request ids that AWS's support asks for, and is never read back. Secrets are
covered before anything is written, and every line has left this process before the next call is made.
"""

from __future__ import annotations

import errno
import os
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, Final, Self

from reconciler.account.client import READS, Exchange
from reconciler.model import Event, Plan, Refused, Scope, Verb, Wait
from reconciler.model.masking import SENSITIVE
from reconciler.model.problems import Problem, Problems
from reconciler.render import json as as_json
from reconciler.render.mask import Mask

FOLDER: Final = ".reconcile"
PRIVATE: Final = frozenset({"SecretString", "SecretBinary", "KeyMaterial"})  # never in a reply we ask for
DIGEST: Final = re.compile(r"[0-9a-f]{64}")  # what the versions of secrets are called, made of their values


class Journal:
    """Writes lines to a file. Thread-safe; a context manager. Raises Problems where the file cannot be written.

    A disk that is full later stops nothing: ``troubled`` is told once. Reads that were answered are left out until
    :meth:`planned`: what was planned stands in the plan. ``report`` is how the apply ended, in words.
    """

    def __init__(self, path: Path, mask: Mask, now: Callable[[], str], troubled: Callable[[str], None]) -> None:
        self.path, self.mask, self.now, self.troubled = path, mask, now, troubled
        self.report = ""
        self._planning = True
        self._lock = threading.Lock()
        self._file: BinaryIO | None = _opened(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock, suppress(OSError):
            if self._file:
                self._file.close()
            self._file = None

    def began(self, scope: Scope, version: str) -> None:
        """The first line: where this is. Raises Problems where it cannot be written."""
        about = {"environment": scope.environment, "account": scope.account, "region": scope.region}
        try:
            self._write(self._text("apply", {"reconcile_version": version, **about}))
        except OSError as error:
            self.__exit__()
            raise Problems([_problem(self.path, error)]) from error

    def planned(self, made: Plan, checksum: str) -> None:
        """What is going to be done."""
        self._planning = False
        counts = {verb.value: made.count(verb) for verb in Verb if verb is not Verb.NOOP}
        self._line("plan", {"checksum": checksum, "destroy": made.destroy, "summary": counts})

    def heard(self, exchange: Exchange) -> None:
        """One request and its answer."""
        call, reply = exchange.call, exchange.reply
        if self._planning and call.operation.startswith(READS) and not isinstance(reply, Refused):
            return
        sent = call.params if call.shown is None else call.shown
        told: dict[str, Any] = {"reply": _without(reply)}
        if isinstance(reply, Refused):
            told = {"refused": {"code": reply.code, "message": reply.message, "status": reply.status}}
        facts = {"request_id": exchange.request_id, "took": round(exchange.took, 3)}
        self._line("call", {"call": str(call), **facts, "parameters": _without(sent), **told})

    def emit(self, event: Event) -> None:
        """What became of a step."""
        step = {"step": event.step.id, "address": str(event.step.address), "what": event.state.value}
        if isinstance(event.step.action, Wait):
            step["wait"] = event.step.action.title
        self._line("step", {**step, "detail": event.detail})

    def ended(self, code: int, problems: Sequence[Problem] = ()) -> None:
        """The last line: the exit code, and the report or what stood in the way."""
        told = "\n".join(map(str, problems)) or self.report
        self._line("end", {"exit_code": code, "report": told})

    def _line(self, kind: str, facts: Mapping[str, Any]) -> None:
        try:
            self._write(self._text(kind, facts))
        except OSError as error:
            with self._lock:
                file, self._file = self._file, None
            if file:
                file.close()
                self.troubled(f"cannot write the journal {self.path} any more: {error.strerror}; apply continues")

    def _text(self, kind: str, facts: Mapping[str, Any]) -> str:
        return as_json.dumps({"at": self.now(), "type": kind, **self.mask.value(facts)})

    def _write(self, line: str) -> None:
        """In one piece, and out of this process: whoever kills it takes nothing away."""
        with self._lock:
            if self._file and self._file.write(data := line.encode() + b"\n") < len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def default_path(environment: str, stamp: str, folder: Path) -> Path:
    """Where a journal goes in CI: ``.reconcile/ENVIRONMENT-TIME-PROCESS.jsonl``."""
    return folder / FOLDER / f"{environment}-{stamp.replace(':', '')}-{os.getpid()}.jsonl"


def _opened(path: Path) -> BinaryIO:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        return open(number, "ab", buffering=0)  # noqa: PTH123  (with the mode of a new file)
    except OSError as error:
        raise Problems([_problem(path, error)]) from error


def _problem(path: Path, error: OSError) -> Problem:
    message = f"the journal {path} cannot be written: {error.strerror}"
    return Problem(code="journal", message=message, hint="choose another place with --journal FILE")


def _without(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {_without(name): SENSITIVE if name in PRIVATE else _without(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without(item) for item in value]
    return SENSITIVE if isinstance(value, str) and DIGEST.fullmatch(value) else value
