"""The journal of an apply: one JSON object a line for every call to AWS and its reply.

It is evidence for people, with the request ids that AWS support needs, and is never read back. Secrets are masked
before a line is written, and every line is written to the file before the next call is sent.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, Final, Self

from reconciler.account.client import READS, Exchange
from reconciler.model import Event, Plan, Refused, Scope, Verb, Wait
from reconciler.model import problem_codes as codes
from reconciler.model.masking import SENSITIVE
from reconciler.model.patterns import regex
from reconciler.model.problems import Problem, Problems
from reconciler.operations.own_files import foreign
from reconciler.render import json as as_json
from reconciler.render.mask import Mask

FOLDER: Final = ".reconcile"
BEGINNING: Final = b'{"at": "'  # of every line
PRIVATE: Final = frozenset({"SecretString", "SecretBinary", "KeyMaterial"})  # secret members of replies
DIGEST: Final = regex(r"[0-9a-f]{64}")  # version ids of secrets, which are digests of their values


class Journal:
    """Writes lines to a file. Thread-safe; a context manager. Raises Problems where the file cannot be opened.

    An error later does not stop the apply: ``on_error`` is called once, with a message. Successful reads are left out
    until :meth:`record_plan`. ``now`` returns the timestamp of a line; ``report`` is the result of the apply in words.
    """

    def __init__(self, path: Path, mask: Mask, now: Callable[[], str], on_error: Callable[[str], None]) -> None:
        self.path, self.mask, self.now, self.on_error = path, mask, now, on_error
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

    def record_start(self, scope: Scope, version: str) -> None:
        """Write the first line: environment, account and Region. Raises Problems where that fails."""
        about = {"environment": scope.environment, "account": scope.account, "region": scope.region}
        try:
            self._write(self._text("apply", {"reconcile_version": version, **about}))
        except OSError as error:
            self.__exit__()
            raise Problems([_problem(self.path, error)]) from error

    def record_plan(self, plan: Plan, checksum: str) -> None:
        """Write a line with the checksum and the counts of the plan."""
        self._planning = False
        counts = {verb.value: plan.count(verb) for verb in Verb if verb is not Verb.NOOP}
        self._line("plan", {"checksum": checksum, "destroy": plan.destroy, "summary": counts})

    def record_exchange(self, exchange: Exchange) -> None:
        """Write a line with one request and its reply."""
        call, reply = exchange.call, exchange.reply
        if self._planning and call.operation.startswith(READS) and not isinstance(reply, Refused):
            return
        sent = call.params if call.shown is None else call.shown
        outcome: dict[str, Any] = {"reply": _without(reply)}
        if isinstance(reply, Refused):
            outcome = {"refused": {"code": reply.code, "message": reply.message, "status": reply.status}}
        facts = {"request_id": exchange.request_id, "took": round(exchange.took, 3)}
        self._line("call", {"call": str(call), **facts, "parameters": _without(sent), **outcome})

    def emit(self, event: Event) -> None:
        """Write a line with an event of a step."""
        step = {"step": event.step.id, "address": str(event.step.address), "what": event.state.value}
        if isinstance(event.step.action, Wait):
            step["wait"] = event.step.action.title
        self._line("step", {**step, "detail": event.detail})

    def record_end(self, code: int, problems: Sequence[Problem] = ()) -> None:
        """Write the last line: the exit code, and the problems or the report."""
        report = "\n".join(map(str, problems)) or self.report
        self._line("end", {"exit_code": code, "report": report})

    def _line(self, kind: str, facts: Mapping[str, Any]) -> None:
        try:
            self._write(self._text(kind, facts))
        except OSError as error:
            with self._lock:
                file, self._file = self._file, None
            if file:
                file.close()
                self.on_error(f"cannot write the journal {self.path} any more: {error.strerror}; apply continues")

    def _text(self, kind: str, facts: Mapping[str, Any]) -> str:
        return as_json.dumps({"at": self.now(), "type": kind, **self.mask.value(facts)})

    def _write(self, line: str) -> None:
        """Write ``line`` unbuffered and in one piece, so that it is complete even if the process is killed next."""
        with self._lock:
            if self._file and self._file.write(data := line.encode() + b"\n") < len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def default_path(environment: str, stamp: str, folder: Path) -> Path:
    """The path of a journal in CI: ``.reconcile/ENVIRONMENT-TIME-PROCESS.jsonl``."""
    return folder / FOLDER / f"{environment}-{stamp.replace(':', '')}-{os.getpid()}.jsonl"


def _opened(path: Path) -> BinaryIO:
    try:
        if why := foreign(path, BEGINNING, "a journal"):
            message = f"{path} {why}, so the journal is not written there"
            hint = "choose another place with --journal FILE"
            raise Problems([Problem(code=codes.JOURNAL, message=message, hint=hint)])
        path.parent.mkdir(parents=True, exist_ok=True)
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        return open(number, "ab", buffering=0)  # noqa: PTH123  (with the mode of a new file)
    except OSError as error:
        raise Problems([_problem(path, error)]) from error


def _problem(path: Path, error: OSError) -> Problem:
    message = f"the journal {path} cannot be written: {error.strerror}"
    return Problem(code=codes.JOURNAL, message=message, hint="choose another place with --journal FILE")


def _without(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {_without(name): SENSITIVE if name in PRIVATE else _without(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without(item) for item in value]
    return SENSITIVE if isinstance(value, str) and DIGEST.fullmatch(value) else value
