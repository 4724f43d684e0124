"""That there is no plan, and why, in every format: who reads a comment or a page sees it there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from html import escape
from typing import Final

from reconciler import __version__
from reconciler.model.problems import Problem
from reconciler.model.records import dataclass
from reconciler.render import findings, text
from reconciler.render import json as as_json
from reconciler.render.json import FORMAT_VERSION
from reconciler.render.markdown import LIMIT
from reconciler.render.markup import code, fenced, mark
from reconciler.render.mask import Mask

_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"
_STYLE: Final = """\
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; }
pre { overflow-wrap: anywhere; white-space: pre-wrap; }"""


@dataclass(frozen=True, slots=True)
class Failure:
    """A command that failed: ``noun`` is what it would have printed, ``environment`` the name of the environment, empty
    where that is not known, ``root`` the path prefix of files, ``timestamp`` the time.
    """

    noun: str
    environment: str
    problems: tuple[Problem, ...]
    mask: Mask
    root: str
    timestamp: str

    @property
    def name(self) -> str:
        """The environment, also where only the problems know it; masked, and empty where they are of several."""
        named = {problem.environment for problem in self.problems} if not self.environment else {self.environment}
        return self.mask.line(named.pop()) if len(named) == 1 else ""

    @property
    def summary(self) -> str:
        """One sentence: ``There is no plan: 2 errors.``"""
        errors = sum(not problem.warning for problem in self.problems)
        return f"There is no plan: {errors} error{'' if errors == 1 else 's'}."

    def listed(self, most: int | None = None) -> str:
        """The problems, and how many are left out where they have more than ``most`` characters."""
        lines: list[str] = []
        length = 0
        for problem in self.problems:
            line = text.problems([problem], self.mask, text.Paint(colour=False), self.root)
            length += len(line) + 1
            if most is not None and length > most:
                left = len(self.problems) - len(lines)
                return "\n".join([*lines, f"... and {left} more: see the output of `reconcile {self.noun}`"])
            lines.append(line)
        return "\n".join(lines)


def json(failure: Failure) -> str:
    """The problems as ``validate --format json`` prints them, with the members of a plan that say that it is none."""
    return as_json.dumps(
        {
            "format_version": FORMAT_VERSION,
            "reconcile_version": __version__,
            "timestamp": failure.timestamp,
            "environment": failure.name,
            "applyable": False,
            "complete": False,
            "errored": True,
            "problems": [
                as_json.problem(problem, failure.mask, failure.root, failure.environment)
                for problem in failure.problems
            ],
        },
        indent=2,
    )


def markdown(failure: Failure) -> str:
    """A comment: the summary, the problems, and the mark by which a pipeline replaces the comment before it."""
    where = f" {code(failure.name)}:" if failure.name else ""
    first = f"###{where} {failure.summary}"
    last = ["", mark(failure.name)] if failure.name else []
    return "\n".join([first, "", *fenced(failure.listed(LIMIT - 1000)), *last]) + "\n"


def html(failure: Failure) -> str:
    """A page: the summary, and the problems."""
    title = escape(" - ".join(filter(None, (failure.name, failure.summary))))
    return "\n".join(
        [
            "<!doctype html>",
            f'<html lang="en"><head><meta charset="utf-8"><title>{title}</title>',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            f"<style>{_STYLE}</style></head><body>",
            f"<h1>{title}</h1>",
            f"<pre>{escape(failure.listed())}</pre>",
            "</body></html>",
        ]
    )


def plain(failure: Failure) -> str:
    """The problems, and the summary as the last line."""
    return f"{failure.listed()}\n{failure.summary}"


def github(failure: Failure) -> str:
    """Annotations of the problems."""
    return findings.github_from(failure.problems, failure.root, failure.mask)


RENDERERS: Final[Mapping[str, Callable[[Failure], str]]] = {
    "text": plain,
    "json": json,
    "markdown": markdown,
    "html": html,
    "github": github,
}
