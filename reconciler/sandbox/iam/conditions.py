"""The Condition element: operators, ``...IfExists``, ``ForAllValues:`` and ``ForAnyValue:``.

All conditions of a statement must hold; of several values of a key one is enough, and for the operators that negate
none may match. A key that the request does not have satisfies these, ``...IfExists`` and ``ForAllValues:``, and no
other operator.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-single-vs-multi-valued-context-keys.html
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from reconciler.sandbox.iam.policies import Context, Statement, filled, like, plain

_Compare = Callable[[str, str], bool]


def hold(statement: Statement, context: Context) -> bool:
    """Whether all conditions of a statement hold. An unknown operator never does."""
    return all(_holds(statement, operator, key, values, context) for operator, key, values in statement.conditions)


def _holds(statement: Statement, operator: str, key: str, values: Sequence[str], context: Context) -> bool:
    set_operator, _, name = operator.rpartition(":")
    base = name.removesuffix("IfExists")
    actual = context.get(key.lower())
    if base == "Null":
        return any((actual is None) == (value.lower() == "true") for value in values)
    negated = base in _NEGATED
    compare = _OPERATORS.get(_NEGATED.get(base, base))
    if compare is None:
        return False
    if not actual:
        if set_operator:
            return set_operator == "ForAllValues" or name.endswith("IfExists")
        return negated or name.endswith("IfExists")
    patterns = [filled(value, context) if statement.variables else value for value in values]
    wanted = [pattern for pattern in patterns if pattern is not None]
    each = [any(compare(one, pattern) for pattern in wanted) != negated for one in actual]
    if set_operator == "ForAllValues" or (negated and not set_operator):
        return all(each)
    return any(each)


def _numbers(compare: Callable[[float, float], bool]) -> _Compare:
    def compared(actual: str, wanted: str) -> bool:
        try:
            return compare(float(actual), float(wanted))
        except ValueError:
            return False

    return compared


def _dates(compare: Callable[[float, float], bool]) -> _Compare:
    def compared(actual: str, wanted: str) -> bool:
        try:
            return compare(_moment(actual), _moment(wanted))
        except ValueError:
            return False

    return compared


def _moment(text: str) -> float:
    """Seconds since the epoch, from those or from a date of ISO 8601."""
    try:
        return float(text)
    except ValueError:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def _arns(actual: str, wanted: str) -> bool:
    """Each of the six parts of an ARN is compared by itself, with wildcards."""
    parts, patterns = actual.split(":", 5), wanted.split(":", 5)
    return len(parts) == len(patterns) and all(map(like, parts, patterns))


def _address(actual: str, wanted: str) -> bool:
    try:
        return ipaddress.ip_address(actual) in ipaddress.ip_network(wanted, strict=False)
    except ValueError:
        return False


_OPERATORS: Mapping[str, _Compare] = {
    "StringEquals": lambda actual, wanted: actual == plain(wanted),
    "StringEqualsIgnoreCase": lambda actual, wanted: actual.lower() == plain(wanted).lower(),
    "StringLike": like,
    "BinaryEquals": lambda actual, wanted: actual == wanted,
    "Bool": lambda actual, wanted: actual.lower() == wanted.lower(),
    "ArnEquals": _arns,
    "ArnLike": _arns,
    "IpAddress": _address,
    "NumericEquals": _numbers(lambda one, other: one == other),
    "NumericLessThan": _numbers(lambda one, other: one < other),
    "NumericLessThanEquals": _numbers(lambda one, other: one <= other),
    "NumericGreaterThan": _numbers(lambda one, other: one > other),
    "NumericGreaterThanEquals": _numbers(lambda one, other: one >= other),
    "DateEquals": _dates(lambda one, other: one == other),
    "DateLessThan": _dates(lambda one, other: one < other),
    "DateLessThanEquals": _dates(lambda one, other: one <= other),
    "DateGreaterThan": _dates(lambda one, other: one > other),
    "DateGreaterThanEquals": _dates(lambda one, other: one >= other),
}
_NEGATED: Mapping[str, str] = {
    "StringNotEquals": "StringEquals",
    "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
    "StringNotLike": "StringLike",
    "ArnNotEquals": "ArnEquals",
    "ArnNotLike": "ArnLike",
    "NotIpAddress": "IpAddress",
    "NumericNotEquals": "NumericEquals",
    "DateNotEquals": "DateEquals",
}
