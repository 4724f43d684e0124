"""Policies as a file of an environment: the section ``policies``, ready to be attached by a role there."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from textwrap import wrap
from typing import Any, Final

from reconciler.kinds import discover
from reconciler.model import problem_codes as codes
from reconciler.model.patterns import regex
from reconciler.model.problems import Problem, Problems
from reconciler.operations import editor_schema
from reconciler.operations.permissions import policy
from reconciler.operations.permissions.merging import Statement

_SCHEMA_LINE: Final = "# yaml-language-server: $schema=environment.schema.json\n"
_WIDTH: Final = 118
#: Texts that mean themselves in YAML without quotes.
_PLAIN: Final = regex(r"[A-Za-z][A-Za-z0-9_./-]*(:[A-Za-z0-9_./-]+)*")


def text(parts: Sequence[Sequence[Statement]], name: str, command: str, notes: Sequence[str] = ()) -> str:
    """The content of the file: policies ``NAME-1``, ``NAME-2``, ...; ``command`` makes it again, ``notes`` say what is
    peculiar.
    """
    lines = [
        "# Generated from the environments. Generate it again when one of them has more or less than before:",
        f"#   {command}",
        *(line for note in notes for line in ("#", *(f"# {part}" for part in wrap(_sentence(note), _WIDTH)))),
        "",
        f"{_section()}:",
    ]
    for number, some in enumerate(parts, start=1):
        lines += ["", f"  {name}-{number}:"][number == 1 :]
        lines += [f"    {line}" for line in _lines({"policyDocument": policy.document(some)})]
    return "\n".join(lines) + "\n"


def _section() -> str:
    """The section of managed policies."""
    return next(section for section, kind in discover().items() if "iam:policy" in kind.access.types)


def _sentence(note: str) -> str:
    return f"{note[:1].upper()}{note[1:]}."


def _lines(value: Any) -> Iterator[str]:
    """A mapping or list as YAML in block style."""
    for key, item in value.items() if isinstance(value, dict) else [(None, one) for one in value]:
        head = "-" if key is None else f"{_scalar(key)}:"
        if isinstance(item, dict) and key is None:
            first, *rest = _lines(item)
            yield f"- {first}"
            yield from (f"  {line}" for line in rest)
        elif isinstance(item, dict | list):
            yield head
            yield from (f"  {line}" for line in _lines(item))
        else:
            yield f"{head} {_scalar(item)}"


def _scalar(value: str) -> str:
    return value if _PLAIN.fullmatch(value) else json.dumps(value)


def write(path: Path, content: str) -> None:
    """Write the file, which refers to the project's copy of the schema where there is one. Raises Problems."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        schema = editor_schema.place(path.parent)
        line = editor_schema.with_line(_SCHEMA_LINE, path, schema) + "#\n" if schema.is_file() else ""
        path.write_text(line + content, encoding="utf-8")
    except OSError as error:
        message = f"{path} cannot be written: {error.strerror}"
        raise Problems([Problem(code=codes.USAGE, message=message, hint="choose another --out-dir DIR")]) from error
