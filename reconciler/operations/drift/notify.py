"""Sends notices of drift: by SNS, by a Slack-compatible webhook, or by any webhook that takes JSON.

A notice names what has drifted, and never has values. The address of a webhook is a secret: of it only the host is
printed. A notice that cannot be sent is a warning, since the report and the exit code say the same.

- SNS: https://docs.aws.amazon.com/sns/latest/api/API_Publish.html (256 KiB, a subject of less than 100 characters)
- Slack: https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks
  (50 blocks, 3,000 characters in a section)
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from reconciler import __version__
from reconciler.model import Call, Refused, Reply
from reconciler.model import problem_codes as codes
from reconciler.model.masking import single_line
from reconciler.model.problems import Problem, Problems
from reconciler.model.records import dataclass
from reconciler.operations.masks import LONG
from reconciler.render.drift_text import details
from reconciler.render.drift_view import Checked, Report, Status

MOST_BYTES: Final = 256 * 1024  # of a message of SNS; also of what is sent to a webhook
MOST_SUBJECT: Final = 99
MOST_BLOCKS: Final = 50
MOST_SECTION: Final = 3000
TIMEOUT: Final = 10.0  # seconds
PAUSES: Final = (1.0, 3.0)  # seconds before the second and the third attempt
_LINES: Final = 20  # addresses of one environment in a notice
_FORMS: Final = "sns:TOPIC-ARN, slack:URL or webhook:URL"

Publish = Callable[[Call], Reply]


@dataclass(frozen=True, slots=True)
class Target:
    """The receiver of notices: ``to`` is the ARN of a topic or a URL, which is a secret."""

    kind: str
    to: str

    def __repr__(self) -> str:
        return f"Target({self.title})"

    @property
    def title(self) -> str:
        """How messages name it: without what is secret."""
        if self.kind == "sns":
            return self.to
        return f"{self.kind} at {urlsplit(self.to).hostname}"

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not be printed."""
        if self.kind == "sns":
            return ()
        parts = urlsplit(self.to)
        path = (f"{parts.path}?{parts.query}" if parts.query else parts.path).strip("/")
        return tuple(filter(None, (self.to, path if len(path) >= LONG else "", parts.password)))


def parsed(words: Iterable[str]) -> tuple[Target, ...]:
    """The targets that ``--notify`` names. Raises Problems, which do not repeat them."""
    found: list[Target] = []
    for word in words:
        kind, _, to = word.partition(":")
        wrong = _wrong(kind, to)
        if wrong:
            raise Problems([Problem(code=codes.USAGE, message=f"--notify: {wrong}", hint=f"write {_FORMS}")])
        found.append(Target(kind, to))
    return tuple(dict.fromkeys(found))


def check_environments(words: Iterable[str]) -> None:
    """Raises Problems where a target stands in place of an environment."""
    if any(word.partition(":")[0] in ("sns", "slack", "webhook") for word in words if ":" in word):
        message = "a target of notices is given as an environment"
        raise Problems([Problem(code=codes.USAGE, message=message, hint=f"pass it with --notify: {_FORMS}")])


def _wrong(kind: str, to: str) -> str:
    if kind == "sns":
        parts = to.split(":")
        is_arn = len(parts) == 6 and (parts[0], parts[2]) == ("arn", "sns") and bool(parts[3] and parts[5])
        return "" if is_arn else "sns: needs the ARN of a topic"
    if kind not in ("slack", "webhook"):
        return "unknown kind of target"
    try:
        parts_of = urlsplit(to)
        local = parts_of.hostname in ("localhost", "127.0.0.1", "::1")
        valid = bool(parts_of.hostname) and (parts_of.scheme == "https" or (parts_of.scheme == "http" and local))
        valid = valid and not any(char.isspace() for char in to) and parts_of.port != 0
    except ValueError:
        valid = False
    return "" if valid else f"{kind}: needs an https:// URL"


def due(report: Report) -> bool:
    """Whether a notice is due: with an earlier report, that the picture has changed; else any drift or
    error.
    """
    if report.problems:
        return True
    if report.since:
        return bool(report.changes)
    return any(one.status is not Status.CLEAN for one in report.environments)


def send(
    report: Report,
    targets: Sequence[Target],
    publish: Callable[[Target], Publish],
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[str]:
    """Send the notice to each target; yields a sentence for each that failed. ``publish`` gives what sends a call to
    the account of a topic.
    """
    for target in targets:
        try:
            if target.kind == "sns":
                failed = _published(publish(target), target, report)
            else:
                body = _slack(report) if target.kind == "slack" else _webhook(report)
                failed = _posted(target, body, sleep)
        except Problems as error:
            failed = "; ".join(problem.message for problem in error.problems)
        if failed:
            yield f"the notice to {target.title} was not sent: {single_line(failed)}"


# --- SNS -------------------------------------------------------------------------------------------------------------


def _published(publish: Publish, target: Target, report: Report) -> str:
    params = {"TopicArn": target.to, "Subject": subject(report), "Message": fitted([*lines(report)], MOST_BYTES)}
    reply = publish(Call("sns", "Publish", params))
    return str(reply) if isinstance(reply, Refused) else ""


def subject(report: Report) -> str:
    """One line of ASCII: ``Drift: 3 environments: 1 clean, 2 drifted``."""
    shown = f"Drift: {report.summary.rstrip('.')}" + (f" ({report.changes})" if report.changes else "")
    return single_line(shown).encode("ascii", "replace").decode()[:MOST_SUBJECT]


def lines(report: Report) -> Iterator[str]:
    """The notice as text, worst first."""
    yield f"reconcile drift: {report.summary}"
    if report.since:
        yield f"Since {report.since}: {report.changes or 'nothing new'}."
    yield from (f"error: {problem.message}" for problem in report.problems)
    for one in _reported(report):
        yield ""
        yield f"{one.title}: {one.result}"
        yield from (f"  {line}" for line in _about(one))


def _reported(report: Report) -> Iterator[Checked]:
    """The environments that a notice is about."""
    return (one for one in report.worst_first if one.status is not Status.CLEAN or one.resolved or one.recovered)


def _about(one: Checked) -> Iterator[str]:
    for problem in one.errors[:_LINES]:
        who = f"{problem.address}: " if problem.address else ""
        yield f"error[{problem.code}]: {who}{single_line(problem.message)}"
    for drift in one.drifts[:_LINES]:
        paths = ", ".join(filter(None, (each.path for each in drift.differences)))
        yield f"{drift.how.value}: {drift.address}{f' ({paths})' if paths else ''}"
    if len(one.drifts) > _LINES:
        yield f"... and {len(one.drifts) - _LINES} more"
    yield from details(one)


def fitted(found: Sequence[str], room: int) -> str:
    """As many lines as ``room`` bytes of UTF-8 take, and how many are left out."""
    whole = "\n".join(found)
    if len(whole.encode(errors="replace")) <= room:
        return whole
    kept: list[str] = []
    size = 40  # for the last line
    for line in found:
        size += len(line.encode(errors="replace")) + 1
        if size > room:
            break
        kept.append(line)
    return "\n".join([*kept, f"... and {len(found) - len(kept)} more lines"])


# --- webhooks --------------------------------------------------------------------------------------------------------


def _slack(report: Report) -> dict[str, Any]:
    blocks = [_section(f"*Drift: {_escaped(report.summary)}*")]
    if report.since:
        blocks.append(_section(_escaped(f"Since {report.since}: {report.changes or 'nothing new'}.")))
    blocks += [_section(_escaped(problem.message)) for problem in report.problems[:3]]
    reported = [*_reported(report)]
    room = MOST_BLOCKS - len(blocks) - 1
    for one in reported[:room]:
        body = fitted([f"*{_escaped(one.title)}*: {_escaped(one.result)}", *map(_escaped, _about(one))], MOST_SECTION)
        blocks.append(_section(body))
    if len(reported) > room:
        blocks.append(_section(f"... and {len(reported) - room} more environments"))
    return {"text": _escaped(subject(report)), "blocks": blocks}


def _section(body: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": body[:MOST_SECTION]}}


def _escaped(shown: str) -> str:
    """Slack's three escapes: nothing in a name becomes a link or a mention."""
    return shown.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _webhook(report: Report) -> dict[str, Any]:
    """The notice as data, of at most ``MOST_BYTES``: further environments are counted."""
    start: dict[str, Any] = {
        "text": subject(report),
        "summary": {status.value: report.count(status) for status in Status},
        "timestamp": report.at,
        "since": report.since or None,
        "changes": report.changes,
        "problems": [problem.message for problem in report.problems[:_LINES]],
    }
    found: list[dict[str, Any]] = []
    size, left = len(json.dumps(start)) + 100, 0
    for one in _reported(report):
        item = {
            "environment": one.name,
            "account": one.account or None,
            "region": one.region or None,
            "status": one.status.value,
            "drift": [
                {
                    "address": drift.address,
                    "drift": drift.how.value,
                    "since": drift.since or None,
                    "paths": [each.path for each in drift.differences if each.path],
                }
                for drift in one.drifts
            ],
            "resolved": list(one.resolved),
            "errors": [{"code": problem.code, "message": problem.message} for problem in one.errors],
        }
        size += len(json.dumps(item)) + 2
        if size > MOST_BYTES:
            left += 1
        else:
            found.append(item)
    return {**start, "environments": found, "left_out": left}


def _posted(target: Target, body: dict[str, Any], sleep: Callable[[float], None]) -> str:
    """Why the body could not be sent, empty if it was; what may pass is tried again."""
    failed = ""
    for pause in (0.0, *PAUSES):
        if pause:
            sleep(pause)
        failed, passing = _post(target.to, json.dumps(body).encode())
        if not passing:
            return failed
    return failed


def _post(url: str, body: bytes) -> tuple[str, bool]:
    """Why one request failed, empty if it did not, and whether another may succeed. Redirects are not followed."""
    from http.client import HTTPException  # noqa: PLC0415  (only a notice needs it)
    from urllib import error, request  # noqa: PLC0415

    class Unredirected(request.HTTPRedirectHandler):
        def redirect_request(self, *_: Any, **__: Any) -> None:
            return None

    headers = {"Content-Type": "application/json", "User-Agent": f"batch-reconcile/{__version__}"}
    asked = request.Request(url, data=body, headers=headers, method="POST")  # noqa: S310  (https, or this machine)
    try:
        with request.build_opener(Unredirected).open(asked, timeout=TIMEOUT) as reply:
            reply.read(1000)
    except error.HTTPError as refused:
        return f"HTTP {refused.code}", refused.code == 429 or refused.code >= 500
    except error.URLError as refused:
        return str(getattr(refused.reason, "strerror", None) or type(refused.reason).__name__), True
    except (OSError, HTTPException) as refused:
        return str(getattr(refused, "strerror", None) or type(refused).__name__), True
    return "", False
