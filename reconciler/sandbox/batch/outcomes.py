"""Short words for how an attempt of a job ends, for people who script the sandbox: `exit:3`, `host-lost`, `oom@90`.

They are the ids of causes, as `reconcile retry --outcome` and `reconcile why` name them.

The texts are those of https://docs.aws.amazon.com/batch/latest/userguide/job_retries.html and
https://docs.aws.amazon.com/AmazonECS/latest/developerguide/stopped-task-error-codes.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from reconciler.sandbox.batch.settings import Outcome

ESSENTIAL = "Essential container in task exited"
NOT_STARTED = "Task failed to start"
HOST_LOST = "Host EC2*"
_IMAGE = "CannotPullContainerError: Error response from daemon: manifest for {} not found: manifest unknown"

WORDS: Mapping[str, tuple[Outcome, str]] = {
    "exit:N": (Outcome(), "the container exits with code N (0 to 255)"),
    "host-lost": (Outcome(None, None, HOST_LOST), "its EC2 instance is terminated, as by a Spot reclaim"),
    "fargate-spot": (Outcome(137, None, "Your Spot Task was interrupted."), "Fargate Spot takes its capacity back"),
    "oom": (
        Outcome(137, "OutOfMemoryError: Container killed due to memory usage"),
        "the container is killed for its memory",
    ),
    "image-not-found": (
        Outcome(None, _IMAGE.format("registry/image:tag"), NOT_STARTED, 5),
        "the image cannot be pulled: it does not exist",
    ),
    "image-network": (
        Outcome(None, "CannotPullContainerError: Error response from daemon: i/o timeout", NOT_STARTED, 5),
        "the image cannot be pulled: the registry does not answer",
    ),
    "entrypoint-missing": (
        Outcome(None, "CannotStartContainerError: Error response from daemon: exec: no such file", NOT_STARTED, 5),
        "the command of the container does not exist",
    ),
    "runs-on": (Outcome(0, seconds=10 * 365 * 86400), "it runs until it is stopped, or until its timeout"),
}


def read(text: str) -> Outcome:
    """One word, perhaps with how many seconds it takes (`exit:1@90`); raises ``ValueError`` with a sentence."""
    word, at, seconds = text.partition("@")
    name, colon, code = word.partition(":")
    if name == "exit" and colon and code.isascii() and code.isdigit() and int(code) <= 255:
        outcome = Outcome(int(code))
    elif word in WORDS and word != "exit:N":
        outcome = WORDS[word][0]
    else:
        raise ValueError(f"{word!r} is not an end of an attempt; known are {', '.join(WORDS)}")
    if not at:
        return outcome
    try:
        return Outcome(outcome.exit_code, outcome.reason, outcome.status_reason, float(seconds))
    except ValueError:
        raise ValueError(f"{seconds!r} is not a number of seconds") from None


def of(value: Any) -> Outcome:
    """An outcome given as a word, as JSON, or as it is."""
    return read(value) if isinstance(value, str) else Outcome.read(value)


def with_lines(word: str, lines: Sequence[str]) -> dict[str, Any]:
    """The end that a word says, as JSON, of an attempt that writes lines to its log, one a second."""
    outcome = read(word)
    said: dict[str, Any] = {"statusReason": outcome.status_reason, "seconds": outcome.seconds, "lines": [*lines]}
    if outcome.exit_code is not None:
        said["exitCode"] = outcome.exit_code
    return said if outcome.reason is None else {**said, "reason": outcome.reason}


def shown(value: Any) -> str:
    """An end as people write it, with how many lines it writes; JSON for one that no word says."""
    if isinstance(value, str):
        return value
    lines = value.get("lines") or []
    words = (*WORDS, f"exit:{value.get('exitCode')}", f"exit:{value.get('exitCode')}@{value.get('seconds', 0):.12g}")
    for word in words:
        try:
            same = with_lines(word, lines) == value
        except ValueError:
            continue
        if same:
            return f"{word} ({len(lines)} line{'' if len(lines) == 1 else 's'})"
    return json.dumps(value)
