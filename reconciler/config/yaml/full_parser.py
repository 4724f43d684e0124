"""YAML text -> nodes, by ruamel's own parser, which has the best error messages."""

from __future__ import annotations

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from reconciler.config.yaml.composer import document
from reconciler.config.yaml.node import Node
from reconciler.config.yaml.syntax_errors import syntax_error
from reconciler.model import Pos
from reconciler.model import problem_codes as codes
from reconciler.model.problems import Problem, Problems


def read(text: str, file: str) -> Node:
    """The one document of a text; an empty text is an empty mapping. Raises :class:`Problems`."""
    try:
        return document(YAML(typ="safe", pure=True).parse(text), file)
    except MarkedYAMLError as error:
        raise Problems([syntax_error(error, text, file)]) from None
    except (YAMLError, ValueError, IndexError, OverflowError) as error:
        message = f"the file cannot be read as YAML ({type(error).__name__})"
        hint = "check it with a YAML linter"
        raise Problems([Problem(code=codes.YAML_SYNTAX, message=message, hint=hint, pos=Pos(file, 1, 1))]) from None
