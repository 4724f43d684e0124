"""The errors of ruamel's parser -> problems with messages and hints for users."""

from __future__ import annotations

import re
from typing import Any

from reconciler.config.yaml.node import place
from reconciler.model import Pos
from reconciler.model import problem_codes as codes
from reconciler.model.problems import Problem

_QUOTE = "text with special characters is written in quotes"
_KNOWN_ERRORS = (
    (r"found character '\\t'", "a tab cannot be used for indentation", "use spaces"),
    (
        "mapping values are not allowed",
        'a ": " is not allowed here',
        "the indentation is off, or a space is missing after the colon above, or a text with a colon needs quotes",
    ),
    ("could not find expected ':'", 'a ":" is missing after this key', "a member is written as key: value"),
    ("expected alphabetic or numeric", "a text cannot start with * or &", 'write it in quotes: "*"'),
    (r"found character '[%@`]'", "a text cannot start with %, @ or `", _QUOTE),
    ("found unknown escape|expected escape", 'an unknown \\ escape inside "..."', "in '...' a \\ is just a \\"),
    ("unexpected end of stream", "a quote is opened here and never closed", "close it"),
    (
        "expected ',' or",
        "a list or mapping in brackets is not finished",
        "close it; inside brackets, texts with , : { } [ ] and expressions are written in quotes",
    ),
    ("expected the node content", "a value is missing here", f"give one; {_QUOTE}"),
    ("expected chomping", "a text cannot start with > or |", _QUOTE),
    (
        "expected <block end>",
        "this line does not match the lines above it",
        "usually the indentation (members of one mapping start in the same column), or a quote inside a quoted text",
    ),
    (
        "sequence entries are not allowed|block sequence entries",
        "a list item cannot start here",
        "put - on a line of its own below the key, indented; a text that starts with - is written in quotes",
    ),
    (
        "expected '<document start>'",
        "the file continues after the end of the document",
        "usually the indentation: everything belongs to one mapping",
    ),
    ("tag", "YAML tags are not supported", "text that starts with ! is written in quotes"),
)


def syntax_error(error: Any, text: str, file: str) -> Problem:
    """The problem for an error of ruamel's parser in ``text``; at the end of the text if the error has no place."""
    reason = " ".join(str(part) for part in (error.context, error.problem) if part)
    context, mark = error.context_mark, error.problem_mark or error.context_mark
    if "unexpected end of stream" in reason and context is not None:
        mark = context
    pos = Pos(file, mark.line + 1, mark.column + 1) if mark is not None else place(text, file)
    for pattern, message, hint in _KNOWN_ERRORS:
        if re.search(pattern, reason):
            opened = "brackets" in message and context is not None
            where = f"the bracket was opened at {Pos(file, context.line + 1, context.column + 1)}: " if opened else ""
            return Problem(code=codes.YAML_SYNTAX, message=message, hint=where + hint, pos=pos)
    reason = re.sub("(['\"]).{3,}\\1", "...", reason)  # names taken from the text there, perhaps a secret
    return Problem(code=codes.YAML_SYNTAX, message=f"invalid YAML: {reason}", hint=_QUOTE, pos=pos)
