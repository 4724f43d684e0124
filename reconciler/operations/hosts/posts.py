"""What a pipeline posts on its code host: the plan of an environment as a comment, and drift as an issue.

There is one comment for each environment on a pull request, which is edited in place, and one issue, which is opened,
updated and closed. They are found by the mark in their last line, and only among those that the pipeline itself wrote:
anybody can write the mark.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final, Protocol

from reconciler.model import problem_codes as codes
from reconciler.model.patterns import regex
from reconciler.model.problems import Problem, Problems
from reconciler.model.records import dataclass
from reconciler.operations import same_names
from reconciler.render.markup import fenced, folded, mark, plain

_MARK: Final = regex(r"<!-- reconcile: ([\w. -]*) -->", re.ASCII)
LIMIT: Final = 65_400  # characters: GitHub's limit is 65,536
_LONGEST_TEXT: Final = 30_000
_SUMMARY: Final = 200  # characters that the line about an environment has at most
DRIFT: Final = mark("..drift")  # no name of an environment
TITLE: Final = "The account differs from the environments"


@dataclass(frozen=True, slots=True)
class Post:
    """A comment, or an open issue. ``id`` is the host's."""

    id: int
    body: str
    url: str = ""


class Host(Protocol):
    """A code host, as far as it is needed here. Numbers are those of pull requests (merge requests)."""

    def comments(self, number: int) -> Iterable[Post]:
        """Those that the pipeline wrote, oldest first."""

    def add_comment(self, number: int, body: str) -> str:
        """Returns its URL."""

    def edit_comment(self, number: int, post: Post, body: str) -> str:
        """Returns its URL."""

    def issues(self) -> Iterable[Post]:
        """The open ones that the pipeline wrote."""

    def add_issue(self, title: str, body: str) -> str:
        """Returns its URL."""

    def edit_issue(self, post: Post, body: str) -> str:
        """Returns its URL."""

    def close_issue(self, post: Post, comment: str) -> str:
        """Comments and closes. Returns its URL."""


@dataclass(frozen=True, slots=True)
class Report:
    """The output of a command about ``environment``: ``text`` is Markdown, as `plan --format markdown` makes it, or a
    plain text; it is empty where only ``errors`` were printed.
    """

    environment: str
    text: str
    errors: str = ""
    markdown: bool = False

    @property
    def is_markdown(self) -> bool:
        """Whether it is shown as Markdown."""
        return bool(self.text) and (self.markdown or bool(_names(self.text)))


def check(report: Report, file: str) -> None:
    """Raises Problems where ``report``, the content of ``file``, is the plan of another environment than it should be:
    in the comment about that one, it would have a reviewer approve what is not there.
    """
    names, wanted = _names(report.text), _names(mark(report.environment))
    if names and report.environment and names[0] not in (wanted[0], same_names.name_of_id(wanted[0])):
        message = f"{file} is a plan of {names[0]}, not of {wanted[0]}"
        hint = f"pass --environment {names[0]}, or the output of `reconcile plan` for {wanted[0]}"
        raise Problems([Problem(code=codes.USAGE, message=message, hint=hint)])


def comment(host: Host, number: int, report: Report, *, heading: str = "", new: bool = False) -> tuple[str, str]:
    """Posts ``report``, in place of the last one about the same environment, or as a ``new`` comment; ``heading`` is
    Markdown. Returns what was done, in a word, and the URL.
    """
    body = _body(report, heading)
    names = _names(body)
    before = [post for post in host.comments(number) if _same(_names(post.body), names)] if names and not new else []
    if not before:
        return "wrote", host.add_comment(number, body)
    if _plain(before[-1].body) == _plain(body):
        return "kept", before[-1].url
    return "updated", host.edit_comment(number, before[-1], body)


def outdate(host: Host, number: int, touched: Iterable[str]) -> list[str]:
    """Replaces the comments about environments that the pull request does not touch (any more). Returns their names."""
    done, kept = [], set(touched)
    for post in host.comments(number):
        names = _names(post.body)
        if names and names[0] not in kept:
            said = f"This pull request no longer changes {plain(names[0])}: its plan is out of date."
            body = f"{said}\n\n{mark(*names)}\n"
            if _plain(body) != _plain(post.body):
                host.edit_comment(number, post, body)
                done.append(names[0])
    return done


def issue(host: Host, reports: Sequence[tuple[Report, int]], *, link: str = "") -> tuple[str, str]:
    """Opens, updates or closes the issue about drift, by the reports and exit codes of `plan --detailed-exitcode` or
    `drift`: 0 is no drift, 2 is drift, and anything else is an environment that could not be checked. ``link`` leads to
    the pipeline. Returns what was done, in a word, and the URL ("" for none).
    """
    if not reports:
        message = "there are no reports, so it is unknown whether there is drift"
        raise Problems([Problem(code=codes.USAGE, message=message, hint="check the step that makes them")])
    before = [post for post in host.issues() if _plain(post.body).endswith(DRIFT)]
    found = [(report, code) for report, code in reports if code]
    if found:
        body = _issue_body(found, link)
        return ("updated", host.edit_issue(before[0], body)) if before else ("opened", host.add_issue(TITLE, body))
    if not before:
        return "none", ""
    said = "No drift any more." + (f" ([pipeline]({link}))" if link else "")
    closed = [host.close_issue(post, said) for post in before]
    return "closed", closed[0]


def _body(report: Report, heading: str) -> str:
    """``report`` with ``heading`` as a comment; a plain text, or errors, literally."""
    start = f"{heading}\n\n" if heading else ""
    if report.is_markdown:
        report = replace(report, text=_called(report.text, report.environment))
        # a plan that failed has no mark, for its account is not known
        end = "" if _names(report.text) or not report.environment else f"\n{mark(report.environment)}\n"
        room = LIMIT - len(start) - len(report.text) - 200  # the plan first: it is what a reviewer must read
        said = "\n".join(folded("Output", fenced(_end(report.errors, room)))) if report.errors and room > 0 else ""
        return f"{start}{said}\n\n{report.text}{end}" if said else start + report.text + end
    text = report.text or report.errors or "There was no output."
    title = f"### {'Output' if report.text else 'Not planned'}"
    about = f"{title}\n\n{plain(report.environment)}" if report.environment else title
    literal = "\n".join(folded("Output", fenced(_end(text)), shown=not report.text))
    last = [mark(report.environment)] if report.environment and not report.text else []
    return "\n\n".join((heading or about, literal, *last)) + "\n"


def _called(text: str, environment: str) -> str:
    """A plan with the id of its environment in its mark, where another has the same name."""
    names = _names(text)
    if not names or not environment.startswith(f"{names[0]}."):
        return text
    whole = _plain(text)
    return f"{whole[: whole.rfind(chr(10)) + 1]}{mark(environment, *names[1:])}\n"


def _issue_body(found: Sequence[tuple[Report, int]], link: str) -> str:
    """The body of the issue: the reports, worst first, as many as there is room for, and the names of the others."""
    said = "This issue is updated by each check, and closed when there is no drift"
    said += f" ([last pipeline]({link}))." if link else "."
    if len(found) == 1 and (whole := _plain(found[0][0].text)).endswith(DRIFT):  # of all environments
        body = f"{said}\n\n{whole}\n"
        return body if len(body) < LIMIT + 100 else f"{whole}\n"
    worst_first = sorted(found, key=lambda item: item[1] == 2)
    drifted = sum(code == 2 for _, code in found)
    counts = [
        f"drift in {drifted}" if drifted else "",
        f"{len(found) - drifted} not checked" if drifted < len(found) else "",
    ]
    start = f"**Environments: {', '.join(filter(None, counts))}.**"
    start += f" {said}"
    parts, left = [start], []
    size = len(start) + len(DRIFT) + _SUMMARY * len(found)
    for report, code in worst_first:
        text = _plain(report.text) or _body(Report("", "", report.errors), "")
        part = f"## {plain(report.environment)}" + ("" if code == 2 else ": could not be checked") + f"\n\n{text}"
        if size + len(part) < LIMIT:
            size += len(part)
            parts.append(part)
        else:
            first = text.lstrip("# ").partition("\n")[0]
            line = f"- {plain(report.environment)}: {first}"
            left.append(line if len(line) < _SUMMARY else f"- {plain(report.environment)}"[: _SUMMARY - 1])
    if left:
        named = left[: max(0, (LIMIT - size) // _SUMMARY + len(left))] if size > LIMIT else left
        more = f" {len(left)} environments, of which {len(named)} are named" if len(named) < len(left) else ""
        parts.append("\n".join((f"**Too long for an issue, see the pipeline:**{more}", "", *named)))
    return "\n\n".join((*parts, DRIFT)) + "\n"


def _end(text: str, most: int = _LONGEST_TEXT) -> str:
    """The end of a long text, where a command says how it went: at most about ``most`` characters."""
    return text.strip("\n") if len(text) <= most else f"...\n{text[-most:].strip()}"


def _names(body: str) -> list[str]:
    """The names in the mark of a comment; none if its last line is no mark."""
    lines = _plain(body).splitlines()
    found = _MARK.fullmatch(lines[-1].strip()) if lines else None
    return found[1].split() if found else []


def _same(old: Sequence[str], new: Sequence[str]) -> bool:
    """Whether two marks mean the same environment: that of a plan that failed early has no account and no Region."""
    shared = min(len(old), len(new))
    return bool(shared) and [*old[:shared]] == [*new[:shared]]


def _plain(body: str) -> str:
    """``body`` without what hosts change: line ends, and space at its end."""
    return body.replace("\r\n", "\n").rstrip()
