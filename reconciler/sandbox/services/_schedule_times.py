"""When a schedule of EventBridge Scheduler fires.

https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

_UNITS = {"minute": 60, "hour": 3600, "day": 86400}
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_LONGEST = 400  # days of a leap of the clock that are looked at


def moments(expression: str, zone: str, since: float, begin: float, end: float) -> Iterator[float]:
    """The times at which ``expression`` fires after ``begin`` and until ``end``; ``since`` is when a rate begins.

    Raises ValueError for an expression that is not valid, and for a time zone that does not exist.
    """
    where = _zone(zone)
    if found := re.fullmatch(r"rate\((\d+) (minute|hour|day)s?\)", expression):
        step = int(found[1]) * _UNITS[found[2]]
        if step <= 0:
            raise ValueError(expression)
        return _rate(step, since, begin, end)
    if found := re.fullmatch(r"at\((\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\)", expression):
        once = datetime.fromisoformat(found[1]).replace(tzinfo=where).timestamp()
        return iter([once] if begin < once <= end else [])
    if found := re.fullmatch(r"cron\((.+)\)", expression):
        return _cron(_Cron(found[1].split()), where, begin, end)
    raise ValueError(expression)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, OSError) as error:
        raise ValueError(name) from error


def _rate(step: float, since: float, begin: float, end: float) -> Iterator[float]:
    count = max(0, int((begin - since) // step))
    while (moment := since + count * step) <= end:
        if moment > begin:
            yield moment
        count += 1


def _cron(cron: _Cron, zone: ZoneInfo, begin: float, end: float) -> Iterator[float]:
    day = datetime.fromtimestamp(max(begin, end - _LONGEST * 86400), zone).date()
    while day <= datetime.fromtimestamp(end, zone).date():
        for hour, minute in cron.times() if cron.falls_on(day) else ():
            local = datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone)
            moment = local.timestamp()
            there = datetime.fromtimestamp(moment, UTC).astimezone(zone)
            if begin < moment <= end and there.hour == hour:  # an hour that the clocks leave out has no such time
                yield moment
        day += timedelta(days=1)


class _Cron:
    """Six fields: minutes, hours, day, month, weekday, year."""

    def __init__(self, fields: list[str]) -> None:
        if len(fields) != 6 or (fields[2] == "?") == (fields[4] == "?"):
            raise ValueError(" ".join(fields))
        minutes, hours, self.day, month, self.weekday, year = fields
        self.minutes = _numbers(minutes, 0, 59)
        self.hours = _numbers(hours, 0, 23)
        self.months = _numbers(month, 1, 12, _MONTHS)
        self.years = _numbers(year, 1970, 2199)
        for some in (date(2024, 2, 29), date(2025, 1, 31)):  # every field is looked at
            self._falls(some)

    def times(self) -> list[tuple[int, int]]:
        """The hours and minutes of a day."""
        return [(hour, minute) for hour in sorted(self.hours) for minute in sorted(self.minutes)]

    def falls_on(self, day: date) -> bool:
        """Whether it fires on a day."""
        return day.year in self.years and day.month in self.months and self._falls(day)

    def _falls(self, day: date) -> bool:
        if self.day != "?":
            return True in [_is_day(item, day) for item in self.day.split(",")]
        return True in [_is_weekday(item, day) for item in self.weekday.split(",")]


def _is_day(item: str, day: date) -> bool:
    last = calendar.monthrange(day.year, day.month)[1]
    if item == "L":
        return day.day == last
    if item.endswith("W"):
        wanted = last if item == "LW" else next(iter(_numbers(item[:-1], 1, 31)))
        return wanted <= last and day == _nearest_weekday(date(day.year, day.month, wanted))
    return day.day in _numbers(item, 1, 31)


def _nearest_weekday(day: date) -> date:
    if day.weekday() == 5:
        return day - timedelta(days=1) if day.day > 1 else day + timedelta(days=2)
    if day.weekday() == 6:
        last = calendar.monthrange(day.year, day.month)[1]
        return day + timedelta(days=1) if day.day < last else day - timedelta(days=2)
    return day


def _is_weekday(item: str, day: date) -> bool:
    number = day.isoweekday() % 7 + 1  # 1 is Sunday
    if item == "L":
        return number == 7
    if "#" in item:
        name, _, week = item.partition("#")
        return number in _numbers(name, 1, 7, _WEEKDAYS) and (day.day - 1) // 7 + 1 == int(week)
    if item.endswith("L"):
        last = calendar.monthrange(day.year, day.month)[1]
        return number in _numbers(item[:-1], 1, 7, _WEEKDAYS) and day.day > last - 7
    return number in _numbers(item, 1, 7, _WEEKDAYS)


def _numbers(field: str, least: int, most: int, names: tuple[str, ...] = ()) -> frozenset[int]:
    """The numbers that a field stands for. Raises ValueError."""
    found: set[int] = set()
    for item in field.split(","):
        span, slash, step = item.partition("/")
        if span == "*":
            start, end = least, most
        else:
            first, dash, last = span.partition("-")
            start = _number(first, names)
            end = _number(last, names) if dash else most if slash else start
        if not (least <= start <= most and least <= end <= most and int(step or 1) > 0):
            raise ValueError(field)
        wraps = [*range(start, most + 1), *range(least, end + 1)]
        found.update((range(start, end + 1) if start <= end else wraps)[:: int(step or 1)])
    return frozenset(found)


def _number(text: str, names: tuple[str, ...]) -> int:
    return names.index(text.upper()) + 1 if text.upper() in names else int(text)
