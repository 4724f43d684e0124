"""The result of ``plan``, ``show`` and ``drift``, or that they failed: in several formats, on stdout and in files."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import field, replace
from enum import StrEnum
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from reconciler.cli.options import DriftFormat, PlanFormat, TestFormat
from reconciler.cli.terminal import Terminal
from reconciler.model import problem_codes as codes
from reconciler.model.problems import Problem, Problems
from reconciler.model.records import dataclass
from reconciler.model.when_used import when_used
from reconciler.operations.timestamps import timestamp

with when_used():
    from reconciler.operations import own_files, saved_plan
    from reconciler.operations.session import repository

if TYPE_CHECKING:
    from reconciler.render.failure import Failure

STDOUT: Final = "-"
PAGES: Final = (PlanFormat.markdown, PlanFormat.html)  # which say when it was planned, and of which commit
_ELSEWHERE: Final = "choose another file for --format"


@dataclass(frozen=True, slots=True)
class Output:
    """One format, and its file; None for stdout."""

    format: StrEnum
    file: Path | None = None


def _option(formats: type[StrEnum], noun: str) -> Any:
    return typer.Option(
        "--format",
        metavar="FORMAT[=FILE]",
        help=f"How the {noun} is printed: {', '.join(formats)} (by default text); "
        "with =FILE it is written there (repeatable).",
        show_default=False,
        autocompletion=lambda incomplete: [name.value for name in formats if name.value.startswith(incomplete)],
    )


PlanFormats = Annotated[list[str] | None, _option(PlanFormat, "plan")]
DriftFormats = Annotated[list[str] | None, _option(DriftFormat, "report")]
TestFormats = Annotated[list[str] | None, _option(TestFormat, "report")]


def parsed(ctx: typer.Context, given: Iterable[str] | None, formats: type[StrEnum] = PlanFormat) -> tuple[Output, ...]:
    """The outputs that ``--format`` requests, by default text to stdout. Raises typer's BadParameter."""
    found = []
    for word in given or ("text",):
        name, equals, file = word.partition("=")
        if name not in list(formats):
            known = ", ".join(f"'{each.value}'" for each in formats)
            raise typer.BadParameter(f"{name!r} is not one of {known}.", ctx=ctx, param_hint="'--format'")
        if equals and not file:
            raise typer.BadParameter(f"{word!r} names no file.", ctx=ctx, param_hint="'--format'")
        found.append(Output(formats(name), Path(file) if file not in ("", STDOUT) else None))
    if sum(one.file is None for one in found) > 1:
        message = "several formats without a file: name one for all but one, as in markdown=plan.md."
        raise typer.BadParameter(message, ctx=ctx, param_hint="'--format'")
    return tuple(found)


def _failure(name: str, what: Failure) -> str:
    from reconciler.render import failure  # noqa: PLC0415  (most commands succeed)

    return failure.RENDERERS[name](what)


@dataclass(slots=True)
class Outputs:
    """The outputs of one command, each of which gets one result: that of :meth:`deliver`, or that it failed, which
    ``fail`` renders in a format. ``kept`` is a file that remains as it is where the command fails.
    """

    terminal: Terminal
    asked: tuple[Output, ...]
    noun: str = "plan"
    fail: Callable[[str, Failure], str] = _failure
    kept: Path | None = None
    delivered: bool = field(default=False, init=False)

    @classmethod
    def of(
        cls,
        ctx: typer.Context,
        given: Iterable[str] | None,
        taken: Collection[Path] = (),
        formats: type[StrEnum] = PlanFormat,
    ) -> Outputs:
        """Those of ``formats`` that ``--format`` requests; from here on, errors go there too. ``taken`` are files that
        they must not be. Raises Problems where a file cannot be written.
        """
        outputs = cls(ctx.obj, parsed(ctx, given, formats), ctx.info_name or "plan")
        outputs.terminal.as_json = any(one.file is None and one.format.value == "json" for one in outputs.asked)
        outputs.terminal.on_failure = outputs.failed
        outputs.check(taken)
        return outputs

    def check(self, taken: Collection[Path] = ()) -> None:
        """Raises Problems where a file cannot be written, or is ``taken``; it then gets nothing."""
        if wrong := _misplaced(self.asked, taken):
            self.asked = tuple(one for one in self.asked if one not in wrong)
            raise Problems(wrong.values())

    def has(self, *formats: StrEnum) -> bool:
        """Whether any of ``formats`` is requested."""
        return any(one.format in formats for one in self.asked)

    def deliver(self, render: Callable[[Output], str | Iterable[str] | None]) -> None:
        """Write and print the result in every format; nothing where ``render`` returns None. One that is long comes in
        pieces. Raises Problems where a file cannot be written.
        """
        texts = [(one, render(one)) for one in self.asked]
        for one, text in texts:
            if one.file and text is not None:
                _write(one.file, text)
        self.delivered = True
        for one, text in texts:
            if not one.file and text is not None:
                self.terminal.result(text.rstrip("\n") if isinstance(text, str) else text)

    def failed(self, problems: Sequence[Problem], *, on_stderr: bool = False) -> None:
        """Write and print that there is no result, and why; on stderr too, except where stdout has it as JSON, or where
        it is ``on_stderr`` already.
        """
        terminal = self.terminal
        if not on_stderr and not terminal.as_json:
            terminal.problems(problems)
        if self.delivered:
            return
        from reconciler.render import failure  # noqa: PLC0415  (most commands succeed)

        self.delivered = True
        what = failure.Failure(
            self.noun, terminal.environment, tuple(problems), terminal.mask, terminal.root, timestamp()
        )
        for one in self.asked:
            if one.file and self.kept and one.file.resolve() == self.kept.resolve():
                continue
            placed = replace(what, root=from_top(what.root)) if one.format is PlanFormat.github else what
            text = self.fail(one.format.value, placed)
            if one.file is None:
                if one.format.value != "text":
                    terminal.result(text)
                continue
            try:
                _write(one.file, text)
            except Problems as error:
                if not terminal.as_json and not {*error.problems} <= {*problems}:
                    terminal.problems(error.problems)


def from_top(root: str) -> str:
    """A path prefix of files from the top of the repository, as code hosts take it, instead of from where we are."""
    here = Path.cwd().resolve()
    return f"{Path(os.path.relpath(here, repository(here))).as_posix()}/{root}"


def _misplaced(asked: Sequence[Output], taken: Collection[Path]) -> dict[Output, Problem]:
    """The outputs whose files cannot be written, or are ``taken``; found before anything is done for them."""
    wrong: dict[Output, Problem] = {}
    seen = {path.resolve() for path in taken}
    for one in asked:
        if one.file is None:
            continue
        try:
            if why := _why_not(one.file, seen):
                wrong[one] = _problem(f"{one.file} {why}")
            seen.add(one.file.resolve())
        except (OSError, RuntimeError) as error:  # RuntimeError: a loop of links
            wrong[one] = _unwritable(one.file, error)
    return wrong


def _why_not(file: Path, taken: Collection[Path]) -> str:
    """Why nothing can be written to ``file``, in words; empty if it can. Raises OSError."""
    if file.exists() and not file.is_file() and not file.is_dir():
        return ""  # a device or a pipe, which keeps nothing
    if file.resolve() in taken:
        return "is already used for another output"
    if file.is_dir():
        return "cannot be written: it is a directory"
    if file.is_symlink() and not file.exists():
        return "is a link to a file that does not exist"
    if not file.resolve().parent.is_dir():
        return f"cannot be written: there is no directory {file.parent}"
    if file.is_file() and saved_plan.is_marked(file):
        return "is a saved plan, which is not overwritten"
    own_files.try_put(file.resolve())
    return ""


def _write(file: Path, text: str | Iterable[str]) -> None:
    pieces = [text.rstrip("\n")] if isinstance(text, str) else text
    try:
        own_files.put(file, (piece.encode("utf-8", "backslashreplace") for piece in chain(pieces, ["\n"])))
    except OSError as error:
        raise Problems([_unwritable(file, error)]) from error


def _unwritable(file: Path, error: Any) -> Problem:
    return _problem(f"{file} cannot be written: {getattr(error, 'strerror', None) or error}")


def _problem(message: str) -> Problem:
    return Problem(code=codes.FILE, message=message, hint=_ELSEWHERE)
