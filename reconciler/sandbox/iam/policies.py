"""Policy documents: their statements, and what these match.

Actions ignore case, resources and values do not; ``*`` in a segment of an ARN ends at the colon, except as the last
character of the segment.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, TypeAlias

from reconciler.model.patterns import regex
from reconciler.model.records import dataclass

Context: TypeAlias = Mapping[str, tuple[str, ...]]
"""Condition key, in lower case -> its values; a key that the request does not have is missing."""

_VARIABLES_SINCE = "2012-10-17"
_VARIABLE = regex(r"\$\{([^}]*)\}")
_DEFAULT = regex(r"([^,]+?)\s*(?:,\s*'([^']*)')?")
_LITERAL = {"*": "\x00", "?": "\x01", "$": "$"}


@dataclass(frozen=True)
class Statement:
    """One statement; of each pair of elements, like ``Action`` and ``NotAction``, it has one."""

    allows: bool
    elements: Mapping[str, Any]
    variables: bool
    """Whether ``${...}`` is a variable, which it is not in policies of the older version."""

    def listed(self, name: str) -> tuple[str, ...] | None:
        """The strings of an element; None if the statement does not have it."""
        found = self.elements.get(name)
        return None if found is None else strings(found)

    @property
    def conditions(self) -> Iterable[tuple[str, str, tuple[str, ...]]]:
        """Operator, key and values of each condition."""
        for operator, keys in (self.elements.get("Condition") or {}).items():
            for key, values in keys.items():
                yield operator, key, strings(values)


def strings(value: Any) -> tuple[str, ...]:
    """A string or a list of them, as strings: JSON's numbers and booleans are written as in JSON."""
    listed = value if isinstance(value, list | tuple) else [value]
    return tuple(one if isinstance(one, str) else json.dumps(one) for one in listed)


@lru_cache(maxsize=512)
def statements(document: str) -> tuple[Statement, ...]:
    """The statements of a policy document (JSON); raises ValueError for anything else."""
    policy = json.loads(document)
    found = policy.get("Statement", []) if isinstance(policy, dict) else None
    listed = [found] if isinstance(found, dict) else found
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
        raise ValueError("not a policy document")
    variables = str(policy.get("Version", "")) >= _VARIABLES_SINCE
    return tuple(Statement(one.get("Effect") == "Allow", one, variables) for one in listed)


def matches_action(statement: Statement, action: str) -> bool:
    """Whether a statement is about an action such as ``batch:CreateJobQueue``."""
    named, others = statement.listed("Action"), statement.listed("NotAction")
    if named is not None:
        return any(like(action.lower(), pattern.lower()) for pattern in named)
    return others is not None and not any(like(action.lower(), pattern.lower()) for pattern in others)


def matches_resource(statement: Statement, resource: str, context: Context) -> bool:
    """Whether a statement is about a resource: an ARN, or ``*`` for actions that no ARN limits.

    A statement without the element, as in a trust policy, is about the resource that has the policy.
    """
    named, others = statement.listed("Resource"), statement.listed("NotResource")
    if named is None and others is None:
        return True
    patterns = [filled(one, context) if statement.variables else one for one in (named or others or ())]
    found = any(pattern is not None and _matches_arn(resource, pattern) for pattern in patterns)
    return found if named is not None else not found


def filled(text: str, context: Context) -> str | None:
    """A pattern with its variables replaced; None if a variable has no value, and then nothing matches.

    What a variable stands for is compared as it is: ``*`` in it is no wildcard, and neither is ``${*}``.
    """
    missing = False

    def value(found: re.Match[str]) -> str:
        nonlocal missing
        if found[1] in _LITERAL:
            return _LITERAL[found[1]]
        name = _DEFAULT.fullmatch(found[1].strip())
        values = context.get(name[1].lower(), ()) if name else ()
        default = name[2] if name else None
        if len(values) != 1 and default is None:
            missing = True
            return ""
        text = values[0] if len(values) == 1 else str(default)
        return text.replace("*", _LITERAL["*"]).replace("?", _LITERAL["?"])

    written = _VARIABLE.sub(value, text)
    return None if missing else written


def plain(pattern: str) -> str:
    """What :func:`filled` returned, for operators without wildcards."""
    return pattern.replace(_LITERAL["*"], "*").replace(_LITERAL["?"], "?")


def like(text: str, pattern: str) -> bool:
    """Whether a pattern with ``*`` and ``?`` matches all of ``text``."""
    return _compiled(pattern, whole=True).fullmatch(text) is not None


def _matches_arn(resource: str, pattern: str) -> bool:
    return pattern == "*" or _compiled(pattern, whole=False).fullmatch(resource) is not None


@lru_cache(maxsize=4096)
def _compiled(pattern: str, *, whole: bool) -> re.Pattern[str]:
    """``whole``: an asterisk also matches colons wherever it stands."""
    parts = []
    for at, letter in enumerate(pattern):
        if letter == "*":
            last = whole or at + 1 == len(pattern) or pattern[at + 1] == ":"
            parts.append(".*" if last else "[^:]*")
        elif letter == "?":
            parts.append(".")
        else:
            parts.append(re.escape(plain(letter)))
    return re.compile("".join(parts), re.DOTALL)
