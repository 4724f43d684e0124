"""Follows the hint of a problem in the file that has it, as someone does who reads nothing else.

Only what the hint says is done: the word that it gives is written, the member that it calls wrong is removed. A hint
that leaves something to decide (``add timeout``) is for people; the tables of mistakes have what they would write.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from typing import Any

import yaml

from reconciler.config import expressions
from reconciler.model.problems import Problem
from tests.support.tables import _Loader

_NAME = re.compile(r'did you mean "([^"]+)"\?')
_TEXT = re.compile(r"did you mean (\$\{[^}]+\}|[^\s\"?]+)\?")
_WRITTEN = re.compile(
    r"(?:^write|^for the id write|^write it in quotes:|as a plain decimal number:|without a fraction:|without a unit:|as a list:|without the brackets:) "
    r"(\"[^\"]*\"|\[[^\]]*\]|-?[0-9.]+|true|false|[A-Za-z0-9/][^\s;,:]*)(?:, without quotes)?$"
)
_REMOVE = re.compile(r"(?:^|; )remove (?:it|this|one|that)\b|^remove this$|: set by AWS; remove it$")
_QUOTED = re.compile(r"quote names with / or \.: (\$\{.+\})$")
_EXAMPLE = re.compile(
    r"(?<!expressions )\b(?:e\.g\.|such as|for example|looks? like|as in|one of) "
    r"(\"[^\"]*\"|\[[^\]]*\]|[A-Za-z0-9*/_.:${}=-]*[A-Za-z0-9*/_}=-])(?=$|[,;]| or | and )"
)
_LITERAL = re.compile(r"^write \$(\$\{[^}.]+\}) for literal text")
_LEAVE_OUT = re.compile(r"(?:^|, or |; )leave (?:it|this) out$")
_UP = re.compile(r"^move it one level up$")
_MOVE = re.compile(r"^move it under (\S+)$")


def steps_of(problem: Problem) -> list[str | int]:
    """Where the problem is, from the top of the file."""
    address = expressions.address(problem.address) if problem.address else None
    path = [int(part) if part.isdigit() else part for part in problem.path.split(".") if part]
    if address:
        return [address.section, address.name, *path]
    return [*problem.address.split(".")] * bool(problem.address) + path if problem.address else path


def followed(text: str, problem: Problem) -> tuple[str, list[str | int]] | None:
    """The file after the hint was followed, and where; None where the hint leaves something to decide."""
    try:
        data = yaml.load(text, _Loader)
    except (yaml.YAMLError, ValueError):
        return None
    steps = steps_of(problem)
    if not isinstance(data, dict) or not steps:
        return None
    for form, follow in _FORMS:
        if found := form.search(problem.hint):
            changed = copy.deepcopy(data)
            place = follow(changed, steps, found, problem)
            if place is not None:
                return json.dumps(changed, indent=1), place
    return None


def _parent(data: Any, steps: list[str | int]) -> Any:
    for step in steps[:-1]:
        data = data[step]
    return data


def _at(data: Any, steps: list[str | int]) -> tuple[Any, bool]:
    """What is at the place, and whether it is there."""
    try:
        parent = _parent(data, steps)
        return parent[steps[-1]], True
    except (KeyError, IndexError, TypeError):
        return None, False


def _suggested(data: Any, steps: list[str | int], found: re.Match[str], problem: Problem) -> list[str | int] | None:
    """The nearest word: in place of the key where the key is wrong, else of the value."""
    value, there = _at(data, steps)
    if not there:
        return None
    key = steps[-1]
    if isinstance(key, str) and problem.code in ("unknown-field", "unknown-section"):
        parent = _parent(data, steps)
        parent[found[1]] = parent.pop(key)
        return [*steps[:-1], found[1]]
    if isinstance(value, str):
        return _replaced(data, steps, value, found[1], problem)
    return None


def _replaced(data: Any, steps: list[str | int], value: str, word: str, problem: Problem) -> list[str | int] | None:
    wrong = re.findall(r'"([^"]+)"|(\$\{[^}]*\})', problem.message)
    parts = [one or other for one, other in wrong if (one or other) and (one or other) in value]
    whole = not parts or any(rest and rest in word for rest in re.split(r"[.]", value) if rest not in parts[0])
    _parent(data, steps)[steps[-1]] = word if whole and "${" not in word else value.replace(parts[0], word)
    return steps


def _written(data: Any, steps: list[str | int], found: re.Match[str], _: Problem) -> list[str | int] | None:
    if not _at(data, steps)[1]:
        return None
    try:
        _parent(data, steps)[steps[-1]] = yaml.load(found[1], _Loader)
    except yaml.YAMLError:
        return None
    return steps


def _removed(data: Any, steps: list[str | int], _: re.Match[str], __: Problem) -> list[str | int] | None:
    if not _at(data, steps)[1]:
        return None
    del _parent(data, steps)[steps[-1]]
    return steps


def _in_text(data: Any, steps: list[str | int], found: re.Match[str], problem: Problem) -> list[str | int] | None:
    value, there = _at(data, steps)
    return _replaced(data, steps, value, found[1], problem) if there and isinstance(value, str) else None


def _moved(data: Any, steps: list[str | int], found: re.Match[str], _: Problem) -> list[str | int] | None:
    value, there = _at(data, steps)
    if not there:
        return None
    top = steps[:2]
    del _parent(data, steps)[steps[-1]]
    below: Any = _parent(data, [*top, ""])
    for part in found[1].split("."):
        below = below.setdefault(part, {})
        if not isinstance(below, dict):
            return None
    below[steps[-1]] = value
    return [*top, *found[1].split("."), steps[-1]]


def _literal(data: Any, steps: list[str | int], found: re.Match[str], _: Problem) -> list[str | int] | None:
    value, there = _at(data, steps)
    if not there or not isinstance(value, str):
        return None
    _parent(data, steps)[steps[-1]] = value.replace(found[1], f"${found[1]}")
    return steps


def _exampled(data: Any, steps: list[str | int], found: re.Match[str], problem: Problem) -> list[str | int] | None:
    """The example, or the first of the values that are allowed, in place of the value."""
    value, there = _at(data, steps)
    if there and problem.message.startswith(f'"{steps[-1]}" is not a'):
        parent = _parent(data, steps)
        parent[found[1]] = parent.pop(steps[-1])
        return [*steps[:-1], found[1]]
    wrong_key = problem.code in ("unknown-field", "unknown-section", "missing-field")
    if wrong_key or not there or isinstance(value, list | dict):
        return None
    return _written(data, steps, found, problem)


def _up(data: Any, steps: list[str | int], _: re.Match[str], __: Problem) -> list[str | int] | None:
    value, there = _at(data, steps)
    above = steps[:-1]
    while above and isinstance(above[-1], int):
        above = above[:-1]
    above = above[:-1]
    if not there or len(above) < 2:
        return None
    del _parent(data, steps)[steps[-1]]
    _parent(data, [*above, ""])[steps[-1]] = value
    return [*above, steps[-1]]


_Follow = Callable[[Any, list[str | int], "re.Match[str]", Problem], "list[str | int] | None"]
_FORMS: tuple[tuple[re.Pattern[str], _Follow], ...] = (
    (_NAME, _suggested),
    (_QUOTED, _in_text),
    (_TEXT, _in_text),
    (_WRITTEN, _written),
    (_MOVE, _moved),
    (_REMOVE, _removed),
    (_UP, _up),
    (_LITERAL, _literal),
    (_EXAMPLE, _exampled),
    (_LEAVE_OUT, _removed),
)
