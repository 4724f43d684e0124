"""Dates as text: parsing ISO 8601, and one canonical form, without the clock that ``datetime`` brings along."""

from __future__ import annotations

import re
from typing import Any

from reconciler.model.patterns import regex

_FORM = regex(
    r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.\d+)?)?)?(?:(Z)|([+-])(\d\d):?(\d\d))?", re.ASCII
)
_MONTHS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_DAY = 86400


def seconds(text: str) -> int | None:
    """Seconds since 1970 of an ISO 8601 date and time, in UTC if it names no offset; None if it is not one."""
    found = _FORM.fullmatch(text)
    if found is None:
        return None
    year, month, day, hour, minute, second = (int(part or 0) for part in found.groups()[:6])
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    if not 1 <= month <= 12 or not 1 <= day <= _MONTHS[month - 1] + (leap and month == 2):
        return None
    if hour > 23 or minute > 59 or second > 59:
        return None
    offset = int(found[9] or 0) * 3600 + int(found[10] or 0) * 60
    away = -offset if found[8] == "+" else offset
    return _days(year, month, day) * _DAY + hour * 3600 + minute * 60 + second + away


def _days(year: int, month: int, day: int) -> int:
    """Days since 1970-01-01 in the Gregorian calendar."""
    years = year - (month <= 2)
    since_march = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    era = years // 400
    of_era = years - era * 400
    return era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + since_march - 719468


def canonical(value: Any) -> Any:
    """A date, as text or as botocore parses it, as seconds since 1970; what is not a date is unchanged."""
    text = value.isoformat() if hasattr(value, "isoformat") else value
    found = seconds(text) if isinstance(text, str) else None
    return value if found is None else found
