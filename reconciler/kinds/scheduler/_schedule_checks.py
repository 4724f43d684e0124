"""What EventBridge Scheduler, or AWS Batch when a schedule fires, would refuse about a schedule.

https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html
https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule-flexible-time-windows.html
https://docs.aws.amazon.com/scheduler/latest/UserGuide/configuring-schedule-dlq.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from reconciler.kinds.common.dates import seconds
from reconciler.kinds.common.declared import as_int, as_text, at, is_given, mapping
from reconciler.kinds.scheduler import _common as scheduler
from reconciler.kinds.scheduler._targets import SUBMIT, SUBMIT_ARN, queue_as_target
from reconciler.model import Finding, Json, Path
from reconciler.model import problem_codes as codes
from reconciler.model.patterns import regex
from reconciler.model.problems import did_you_mean

RATE = regex(r"rate\((\d+) (minute|minutes|hour|hours|day|days)\)")
CRON = regex(r"cron\((.+)\)")
AT = regex(r"at\((.+)\)")
AT_FORM = regex(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")
QUEUE = regex(r"arn:[a-z-]+:sqs:[a-z0-9-]+:\d{12}:[A-Za-z0-9_-]+")
JOB_NAME = regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")
JOB_MEMBERS = ("jobName", "jobQueue", "jobDefinition")
TARGET: Path = ("target",)
CRON_HINT = "cron(minutes hours day month weekday year), such as cron(0 2 * * ? *) for every day at 02:00"
# field, its numbers, its names
FIELDS = (
    ("minutes", 0, 59, ()),
    ("hours", 0, 23, ()),
    ("day", 1, 31, ()),
    ("month", 1, 12, ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")),
    ("weekday", 1, 7, ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")),
    ("year", 1970, 2199, ()),
)


def check(name: str, props: Json) -> Iterator[Finding]:
    """Findings about the name, the times, and the target."""
    yield from scheduler.check_name(name, "schedule")
    if "scheduleExpression" in props:
        yield from _expression(props.get("scheduleExpression"))
    yield from _zone(props.get("scheduleExpressionTimezone"))
    yield from _window(props)
    yield from _dates(props)
    if props.get("actionAfterCompletion") == "DELETE":
        message = "AWS deletes the schedule after its last run, and the next apply creates it again"
        hint = "leave it out, or remove the declaration after the last run"
        yield Finding(("actionAfterCompletion",), message, hint, code=codes.MISFIT, warning=True)
    if isinstance(props.get("target"), dict):
        yield from _target(props["target"])


# --- times -----------------------------------------------------------------------------------------------------------


def _expression(value: Any) -> Iterator[Finding]:
    path: Path = ("scheduleExpression",)
    written = as_text(value)
    if written is None:
        return
    rate, cron, once = RATE.fullmatch(written), CRON.fullmatch(written), AT.fullmatch(written)
    if rate:
        if int(rate[1]) < 1:
            yield Finding(path, "the minimum rate is 1", f"rate(1 {rate[2].rstrip('s')})")
    elif cron:
        yield from _cron(cron[1].split(), path)
    elif once:
        if not AT_FORM.fullmatch(once[1]) or seconds(once[1]) is None:
            hint = "at(2026-01-31T12:00:00), in the time zone of scheduleExpressionTimezone"
            yield Finding(path, f'"{once[1]}" is not a date and time', hint)
    else:
        hint = "rate(1 hour), at(2026-01-31T12:00:00), or cron(0 2 * * ? *): minutes, hours, day, month, weekday, year"
        yield Finding(path, f'"{written}" is not a schedule', hint)


def _cron(fields: list[str], path: Path) -> Iterator[Finding]:
    if len(fields) != len(FIELDS):
        yield Finding(path, f"cron needs six fields, and has {len(fields)}", CRON_HINT)
        return
    if (fields[2] == "?") == (fields[4] == "?"):
        hint = "put ? for the one that does not matter: cron(0 2 * * ? *) or cron(0 2 ? * MON-FRI *)"
        yield Finding(path, "exactly one of day and weekday must be ?", hint)
    for written, (field, least, most, names) in zip(fields, FIELDS, strict=True):
        if not all(_is_item(item, field, least, most, names) for item in written.split(",")):
            known = f"{least} to {most}" + (f", or {names[0]} to {names[-1]}" if names else "")
            yield Finding(path, f'"{written}" is not valid for the {field} of cron', f"{known}; {CRON_HINT}")


def _is_item(item: str, field: str, least: int, most: int, names: tuple[str, ...]) -> bool:
    """Whether one item of a cron field is valid: ``*``, ``5``, ``1-5``, ``0/15``, ``?``, ``L``, ``15W``, ``FRI#2``."""
    if field in ("day", "weekday") and item in ("?", "L"):
        return True
    if field == "day" and item == "LW":
        return True
    if field == "day" and item.endswith("W"):
        item = item.removesuffix("W")
    elif field == "weekday" and item.endswith("L"):
        item = item.removesuffix("L")
    elif field == "weekday" and (found := re.fullmatch(r"(\w+)#[1-5]", item)):
        item = found[1]
    start, slash, step = item.partition("/")
    if slash and not (step.isdecimal() and int(step) > 0):
        return False
    if start == "*":
        return True
    ends = start.split("-")
    return len(ends) <= 2 and all(_is_value(end, least, most, names) for end in ends)


def _is_value(text: str, least: int, most: int, names: tuple[str, ...]) -> bool:
    return text.upper() in names or (text.isdecimal() and text.isascii() and least <= int(text) <= most)


@cache
def _time_zones() -> frozenset[str]:
    """The names of the IANA time zones; empty on a machine without that database."""
    from zoneinfo import available_timezones  # noqa: PLC0415  needed by few environments

    return frozenset(available_timezones())


def _zone(value: Any) -> Iterator[Finding]:
    written = as_text(value)
    if written and (known := _time_zones()) and written not in known:
        hint = did_you_mean(written, sorted(known)) or "a name of the IANA database, such as Europe/Paris or UTC"
        yield Finding(("scheduleExpressionTimezone",), f'"{written}" is not a time zone', hint)


def _window(props: Json) -> Iterator[Finding]:
    path: Path = ("flexibleTimeWindow",)
    window = mapping(props.get("flexibleTimeWindow"))
    mode, minutes = as_text(window.get("mode")), window.get("maximumWindowInMinutes")
    if mode == "FLEXIBLE" and not is_given(minutes):
        message = "a flexible window needs its length"
        yield Finding(path, message, "maximumWindowInMinutes: 15", code=codes.MISSING_FIELD)
    elif is_given(minutes) and mode != "FLEXIBLE" and (mode or not is_given(window.get("mode"))):
        message = "maximumWindowInMinutes is only valid with mode FLEXIBLE"
        yield Finding(
            (*path, "maximumWindowInMinutes"), message, "remove it, or set mode: FLEXIBLE", codes.NOT_APPLICABLE
        )
    yield from _bound((*path, "maximumWindowInMinutes"), minutes, 1, 1440)


def _bound(path: Path, value: Any, least: int, most: int) -> Iterator[Finding]:
    number = as_int(value)
    if number is not None and not least <= number <= most:
        yield Finding(path, f"{path[-1]} {number} is out of range", f"{least} to {most}", codes.OUT_OF_RANGE)


def _dates(props: Json) -> Iterator[Finding]:
    found = {}
    for member in ("startDate", "endDate"):
        written = as_text(props.get(member))
        if written:
            found[member] = seconds(written)
            if found[member] is None:
                yield Finding((member,), f'"{written}" is not a date and time', "2026-01-31T12:00:00Z")
    start, end = found.get("startDate"), found.get("endDate")
    if start is not None and end is not None and end <= start:
        yield Finding(("endDate",), "endDate is not after startDate", "choose a later one")


# --- the target ------------------------------------------------------------------------------------------------------


def _target(target: Json) -> Iterator[Finding]:
    arn, job = target.get("arn"), target.get(SUBMIT)
    if not is_given(arn) and not is_given(job):
        hint = f"{SUBMIT}: {{jobQueue: NAME, jobDefinition: NAME, jobName: NAME}}, or arn: the ARN of a target"
        yield Finding(TARGET, "the target is missing", hint, code=codes.MISSING_FIELD)
    elif is_given(arn) and is_given(job):
        yield Finding((*TARGET, "arn"), f"arn and {SUBMIT} cannot be combined", "remove one of them")
    if is_given(job) and is_given(target.get("input")):
        message = f"input and {SUBMIT} cannot be combined: {SUBMIT} is the input"
        yield Finding((*TARGET, "input"), message, "remove input")
    if not is_given(target.get("roleArn")):
        hint = "roleArn: the name of a role that trusts scheduler.amazonaws.com and may call the target"
        yield Finding(TARGET, "a schedule needs a roleArn", hint, code=codes.MISSING_FIELD)
    yield from _arn(as_text(arn), target)
    dead = as_text(at(target, "deadLetterConfig", "arn"))
    if dead and not QUEUE.fullmatch(dead):
        hint = "the ARN of a standard queue of SQS"
        yield Finding((*TARGET, "deadLetterConfig", "arn"), f'"{dead}" cannot be a dead-letter queue', hint)
    policy = mapping(target.get("retryPolicy"))
    yield from _bound((*TARGET, "retryPolicy", "maximumRetryAttempts"), policy.get("maximumRetryAttempts"), 0, 185)
    age = policy.get("maximumEventAgeInSeconds")
    yield from _bound((*TARGET, "retryPolicy", "maximumEventAgeInSeconds"), age, 60, 86400)
    if isinstance(job, dict):
        yield from _job(job)


def _arn(arn: str | None, target: Json) -> Iterator[Finding]:
    path = (*TARGET, "arn")
    if arn is None or not arn.startswith("arn:"):
        return
    parts = arn.split(":", 5)
    if len(parts) < 6:
        yield Finding(path, f'"{arn}" is not an ARN', "arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE")
    elif parts[2] == "batch":
        yield queue_as_target(path)
    elif SUBMIT_ARN.fullmatch(arn) and not is_given(target.get("input")) and not is_given(target.get(SUBMIT)):
        hint = f"write {SUBMIT}: {{jobQueue: NAME, jobDefinition: NAME, jobName: NAME}} instead of arn"
        yield Finding(TARGET, "the input is missing: the request of SubmitJob", hint, code=codes.MISSING_FIELD)


def _job(job: Json) -> Iterator[Finding]:
    path = (*TARGET, SUBMIT)
    for member in JOB_MEMBERS:
        if not is_given(job.get(member)):
            yield Finding(path, f"{member} is missing", f"{member}: NAME", code=codes.MISSING_FIELD)
    name = as_text(job.get("jobName"))
    if name and not JOB_NAME.fullmatch(name):
        hint = "1 to 128 letters, digits, - and _, beginning with a letter or digit"
        yield Finding((*path, "jobName"), f'"{name}" is not a valid job name', hint, code=codes.INVALID_NAME)
    yield from _bound((*path, "arrayProperties", "size"), at(job, "arrayProperties", "size"), 2, 10000)
    yield from _bound((*path, "retryStrategy", "attempts"), at(job, "retryStrategy", "attempts"), 1, 10)
    number = as_int(at(job, "timeout", "attemptDurationSeconds"))
    if number is not None and number < 60:
        hint = "at least 60 seconds"
        yield Finding((*path, "timeout", "attemptDurationSeconds"), f"{number} is too short", hint, codes.OUT_OF_RANGE)
