"""What ruamel's parser says is wrong, said for people."""

from __future__ import annotations

import re
from typing import Any

from reconciler.config.yaml.node import place
from reconciler.model import Pos
from reconciler.model import problem_codes as codes
from reconciler.model.problems import Problem

_QUOTE = "text with special characters is written in quotes"
_SAID = (
    (r"found character '\\t'", "a tab cannot be used for indentation", "use spaces"),
    (
        "mapping values are not allowed",
        'a ": " stands where no key can stand',
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
        "this does not fit in with the lines above it",
        "mostly the indentation (members of one mapping start in the same column), or a quote inside a quoted text",
    ),
    (
        "sequence entries are not allowed|block sequence entries",
        "a list item cannot start here",
        "put - on a line of its own below the key, indented; a text that starts with - is written in quotes",
    ),
    (
        "expected '<document start>'",
        "there is more after the end of the document",
        "mostly the indentation: everything belongs to one mapping",
    ),
    ("tag", "YAML tags are not supported", "text that starts with ! is written in quotes"),
)


def syntax_error(error: Any, text: str, file: str) -> Problem:
    said = " ".join(str(part) for part in (error.context, error.problem) if part)
    context, mark = error.context_mark, error.problem_mark or error.context_mark
    if "unexpected end of stream" in said and context is not None:
        mark = context
    pos = Pos(file, mark.line + 1, mark.column + 1) if mark is not None else place(text, file)
    for pattern, message, hint in _SAID:
        if re.search(pattern, said):
            opened = "brackets" in message and context is not None
            where = f"it was opened at {Pos(file, context.line + 1, context.column + 1)}: " if opened else ""
            return Problem(code=codes.YAML_SYNTAX, message=message, hint=where + hint, pos=pos)
    said = re.sub("(['\"]).{3,}\\1", "...", said)  # names that were made of what stands there, perhaps a secret
    return Problem(code=codes.YAML_SYNTAX, message=f"this is not valid YAML: {said}", hint=_QUOTE, pos=pos)
