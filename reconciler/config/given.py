"""Values for variables from outside the files: ``RECONCILE_VAR_name``, ``--var-file`` and ``--var``.

They are final: expressions in them are not filled in, since a pipeline may pass on what it is given from outside (the
name of a branch). A value is read as YAML, and a plain text is used as it is written, with its line ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from reconciler.config.merge import plain
from reconciler.config.yaml import reader
from reconciler.config.yaml.node import MAX_BYTES, Node, scalar
from reconciler.model import Pos
from reconciler.model import problem_codes as codes
from reconciler.model.patterns import regex
from reconciler.model.problems import Problem, Problems, did_you_mean, one_of
from reconciler.model.records import dataclass

PREFIX: Final = "RECONCILE_VAR_"
_PLAIN: Final = regex(r"[\w./+=~^(;<$-][^\n]*")
_SPECIAL: Final = regex(r":(\s|$)|\s#|^-(\s|$)|^---|^\.\.\.|^<<|^=$|\s$")


@dataclass(frozen=True, slots=True)
class Given:
    """The value of a variable. ``source`` is where it comes from, in words; ``option``: it is from the command line."""

    value: Any
    source: str
    option: bool = False


def gather(environ: Mapping[str, str], files: Iterable[str] = (), options: Iterable[str] = ()) -> dict[str, Given]:
    """The given values by the variables' names, the strongest of each. ``files`` are paths of ``--var-file``, and
    ``options`` are ``NAME=VALUE``.

    Raises Problems with all that cannot be read.
    """
    found: dict[str, Given] = {}
    problems: list[Problem] = []
    texts = [(name.removeprefix(PREFIX), name, text) for name, text in environ.items() if name.startswith(PREFIX)]
    for name, source, text in sorted(texts):
        _take(found, problems, name, source, text)
    for path in files:
        try:
            found |= _from_file(path)
        except Problems as error:
            problems += error.problems
    for option in options:
        name, equals, text = option.partition("=")
        name = name.strip()
        if equals and name:
            _take(found, problems, name, f"--var {name}", text, option=True)
        else:  # without "=" it may be a value: it is not shown
            message = "--var needs a name and a value" if not equals else "--var has no name before ="
            problems.append(Problem(code=codes.USAGE, message=message, hint="write --var NAME=VALUE"))
    if problems:
        raise Problems(problems)
    return found


def declared(variables: Node, given: Mapping[str, Given], problems: list[Problem]) -> Node:
    """``variables`` with the given values; each that is not declared is added to ``problems``."""
    members: dict[str, Node] = dict(variables.value)
    for name, one in given.items():
        if name in members:
            members[name] = _literal(one.value, members[name].pos)
        else:
            near = did_you_mean(name, list(members))
            known = f"declared: {one_of(list(members))}" if members else "declare it under variables:"
            message = f'there is no variable "{name}" to set with {one.source}'
            problems.append(Problem(code=codes.UNKNOWN_VARIABLE, message=message, hint=near or known))
    return Node(members, variables.mark)


def _take(
    found: dict[str, Given], problems: list[Problem], name: str, source: str, text: str, *, option: bool = False
) -> None:
    try:
        found[name] = Given(parsed(text), source, option)
    except Problems:  # their messages may quote the value, which may be a secret
        message = f"the value of {source} cannot be read as YAML"
        hint = "put a text with special characters into quotes, inside those of the shell"
        problems.append(Problem(code=codes.USAGE, message=message, hint=hint))


def parsed(text: str) -> Any:
    """The value of ``text``, read as YAML; empty text is an empty text. Raises Problems."""
    if not text.strip():
        return text
    if _PLAIN.fullmatch(text) and not _SPECIAL.search(text):
        return scalar(text)
    value = plain(reader.read(text.encode("utf-8", "surrogateescape"), "value"))
    quoted = text.lstrip()[:1] in ("'", '"', "|", ">", "&", "!", "#")
    return text if isinstance(value, str) and not quoted else value


def _from_file(path: str) -> dict[str, Given]:
    """The variables of a YAML or JSON file. Raises Problems."""
    try:
        with Path(path).open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror}"
        raise Problems(
            [Problem(code=codes.UNREADABLE_FILE, message=message, hint="--var-file needs a YAML or JSON file")]
        ) from error
    node = reader.read(data, path)
    if not isinstance(node.value, dict):
        message, hint = "the file must be a mapping of variables to values", "as in team: hpc"
        raise Problems([Problem(code=codes.WRONG_TYPE, message=message, hint=hint, pos=node.pos)])
    return {name: Given(plain(item), f"--var-file {path}", option=True) for name, item in node.value.items()}


def _literal(value: Any, pos: Pos) -> Node:
    """A node with the value, in which nothing is filled in."""
    if isinstance(value, dict):
        members = {_escaped(name): _literal(item, pos) for name, item in value.items()}
        return Node(members, pos, 1 + sum(node.size for node in members.values()))
    if isinstance(value, list):
        items = [_literal(item, pos) for item in value]
        return Node(items, pos, 1 + sum(node.size for node in items))
    return Node(_escaped(value) if isinstance(value, str) else value, pos)


def _escaped(text: str) -> str:
    return text.replace("${", "$${")
