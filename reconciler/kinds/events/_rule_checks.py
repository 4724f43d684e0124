"""What EventBridge refuses in a declared rule, or never matches, as far as this can be decided offline.

https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-patterns.html
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-scheduled-rule-pattern.html
https://docs.aws.amazon.com/batch/latest/userguide/batch_cwe_events.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from reconciler.kinds.common.declared import as_int, as_text, at, entries, is_given, items, mapping, repeats
from reconciler.kinds.common.policy_document.document import why_unparsed
from reconciler.model import Finding, Json, Path, Template, compact
from reconciler.model import problem_codes as codes
from reconciler.model.patterns import regex
from reconciler.model.problems import near
from reconciler.model.stand_ins import known
from reconciler.model.when_used import when_used

with when_used():
    from reconciler.kinds.common.json_text import from_json

NAME = regex(r"[.\-_A-Za-z0-9]{1,64}")
NAME_HINT = "1 to 64 letters, digits and . - _"
MAX_PATTERN = 4096
MAX_TARGETS = 5
MAX_INPUT = 8192
# names for the members of a filter; https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html
OPERATORS = (*("prefix", "suffix", "anything-but", "numeric", "exists", "cidr", "equals-ignore-case", "wildcard"),)
STATUSES = ("SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING", "SUCCEEDED", "FAILED")
JOB_CHANGE = "Batch Job State Change"
# services that EventBridge can send to only with a role
WITH_ROLE = ("batch", "ecs", "states", "kinesis", "firehose", "codepipeline", "codebuild")
# services whose own policy must allow EventBridge;
# https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html
BY_POLICY = ("sns", "sqs", "lambda", "logs")
JOB_NAME = regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")
RATE = regex(r"rate\((\d+) (minutes?|hours?|days?)\)")
CRON = regex(r"cron\((.*)\)")
# https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html: standard queues only
QUEUE = regex(r"arn:[^:]+:sqs:[^:]+:\d{12}:(?!.*\.fifo$)[^:]+")
PLACEHOLDER = regex(r"<([^<>\s]+)>")
INPUTS = ("input", "inputPath", "inputTransformer")


def check(name: str, props: Json) -> Iterator[Finding]:
    """Findings about name, pattern, schedule and targets; an expression is accepted wherever its value is unknown."""
    if not NAME.fullmatch(name):
        yield Finding((), f'"{name}" is not a valid rule name', NAME_HINT, code=codes.INVALID_NAME)
    pattern, schedule = props.get("eventPattern"), props.get("scheduleExpression")
    if not is_given(pattern) and not is_given(schedule):
        hint = "eventPattern: {source: [aws.batch]}, or scheduleExpression: rate(1 hour)"
        message = "the rule has neither eventPattern nor scheduleExpression"
        yield Finding((), message, hint, code=codes.MISSING_FIELD)
    if is_given(pattern):
        yield from _pattern(pattern)
    if is_given(schedule):
        yield from _schedule(schedule, props.get("eventBusName"))
    yield from _targets(props)


# --- patterns --------------------------------------------------------------------------------------------------------


def _pattern(pattern: Any) -> Iterator[Finding]:
    path: Path = ("eventPattern",)
    if isinstance(pattern, Template):
        return
    if not isinstance(pattern, Mapping):
        why = why_unparsed(pattern) if isinstance(pattern, str) else "an event pattern must be a mapping"
        yield Finding(path, f"invalid event pattern: {why}", "eventPattern: {source: [aws.batch]}")
        return
    yield from _members(pattern, path)
    if known(pattern) and len(compact(pattern)) > MAX_PATTERN:
        message = f"the pattern has {len(compact(pattern))} characters, and the maximum is {MAX_PATTERN}"
        yield Finding(path, message, "split it into several rules", code=codes.OUT_OF_RANGE)
    yield from _batch_events(pattern, path)


def _members(pattern: Mapping[Any, Any], path: Path) -> Iterator[Finding]:
    for name, value in pattern.items():
        here: Path = (*path, name)
        if isinstance(value, Template):
            continue
        if name == "$or":
            for index, other in enumerate(items(value)):
                yield from _members(mapping(other), (*here, index))
        elif isinstance(value, Mapping):
            if not value:
                yield Finding(here, f"{name} is empty: the pattern matches nothing", "remove it")
            yield from _members(value, here)
        elif not isinstance(value, list | tuple):
            shown = json.dumps(value) if known(value) else "VALUE"
            hint = f"{name}: [{shown}]"
            yield Finding(here, f"{name} must be a list of the values that match", hint, code=codes.WRONG_TYPE)
        elif not value:
            yield Finding(here, f"{name} lists no values: the pattern matches nothing", "remove it to match all")
        else:
            yield from _values(value, here)


def _values(values: Any, path: Path) -> Iterator[Finding]:
    for index, value in enumerate(values):
        if isinstance(value, list | tuple):
            yield Finding((*path, index), "a list inside a list matches nothing", "write its values one level up")
        elif isinstance(value, Mapping):
            for name in value:
                if name not in OPERATORS:
                    found = near(str(name), OPERATORS)
                    hint = f'did you mean "{found}"?' if found else f"one of {', '.join(OPERATORS)}"
                    yield Finding((*path, index, name), f'"{name}" is not a pattern operator', hint)


def _batch_events(pattern: Mapping[Any, Any], path: Path) -> Iterator[Finding]:
    """Values that never occur in the events of AWS Batch."""
    if [value for value in items(pattern.get("source")) if value == "aws.batch"] == []:
        return
    kinds, detail = items(pattern.get("detail-type")), mapping(pattern.get("detail"))
    for index, kind in enumerate(kinds):
        if isinstance(kind, str) and kind != JOB_CHANGE and kind.lower() == JOB_CHANGE.lower():
            message = f'"{kind}" matches nothing: case counts'
            yield Finding((*path, "detail-type", index), message, f'did you mean "{JOB_CHANGE}"?', warning=True)
    if JOB_CHANGE in kinds:
        for index, status in enumerate(items(detail.get("status"))):
            if isinstance(status, str) and status not in STATUSES:
                found = near(status, STATUSES)
                hint = f'did you mean "{found}"?' if found else f"one of {', '.join(STATUSES)}"
                message = f'"{status}" is not a job status'
                yield Finding((*path, "detail", "status", index), message, hint, warning=True)
    for member, section in (("jobQueue", "jobQueues"), ("jobDefinition", "jobDefinitions")):
        for index, value in enumerate(items(detail.get(member))):
            if isinstance(value, str) and not value.startswith("arn:"):
                hint = f'"${{{section}.{value}.arn}}", or an operator such as {{suffix: "/{value}"}}'
                message = f"events contain the ARN of the {member}: a name matches nothing"
                yield Finding((*path, "detail", member, index), message, hint, warning=True)


# --- schedules -------------------------------------------------------------------------------------------------------


def _schedule(schedule: Any, bus: Any) -> Iterator[Finding]:
    path = ("scheduleExpression",)
    name = as_text(bus)
    if name and name.split(":event-bus/")[-1] != "default":
        yield Finding(
            path, "only rules of the default bus can have schedules", "remove eventBusName", codes.NOT_APPLICABLE
        )
    written = as_text(schedule)
    if written is None:
        return
    rate, cron = RATE.fullmatch(written), CRON.fullmatch(written)
    if rate:
        yield from _rate(int(rate[1]), rate[2], path)
    elif cron:
        yield from _cron(cron[1].split(), path)
    elif written.startswith("at("):
        yield Finding(path, "a rule cannot run only once", "use cron(minutes hours day month ? year) with a year")
    else:
        hint = "rate(1 hour), or cron(0 12 * * ? *): minutes, hours, day, month, weekday, year, in UTC"
        yield Finding(path, f'"{written}" is not a schedule', hint)


def _rate(count: int, unit: str, path: Path) -> Iterator[Finding]:
    right = unit.rstrip("s") + ("" if count == 1 else "s")
    if count < 1:
        yield Finding(path, "the minimum rate is 1", f"rate(1 {unit.rstrip('s')})")
    elif unit != right:
        yield Finding(path, f"EventBridge requires {right} after {count}", f"rate({count} {right})")


def _cron(fields: list[str], path: Path) -> Iterator[Finding]:
    if len(fields) != 6:
        hint = "cron(minutes hours day month weekday year), such as cron(0 12 * * ? *)"
        yield Finding(path, f"cron needs six fields, and has {len(fields)}", hint)
    elif (fields[2] == "?") == (fields[4] == "?"):
        hint = "put ? for the one that does not matter: cron(0 12 * * ? *) or cron(0 12 ? * MON-FRI *)"
        yield Finding(path, "exactly one of day and weekday must be ?", hint)
    else:
        for (name, first, last, words, others), written in zip(_FIELDS, fields, strict=True):
            if not all(_is_cron_term(term, first, last, words, others) for term in written.split(",")):
                words_too = f" or {words[0]}-{words[-1]}" if words else ""
                yield Finding(path, f'cron takes no {name} "{written}"', f"numbers {first}-{last}{words_too}, or *")


_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
# Name, first and last number, words for them, and what else may stand in a field
# https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-scheduled-rule-pattern.html
_FIELDS: Final = (
    ("minute", 0, 59, (), r"(?!)"),
    ("hour", 0, 23, (), r"(?!)"),
    ("day", 1, 31, (), r"\?|LW?|L-\d+|\d+W"),
    ("month", 1, 12, _MONTHS, r"(?!)"),
    ("weekday", 1, 7, _WEEKDAYS, r"\?|L|\w+L|\w+#[1-5]"),
    ("year", 1970, 2199, (), r"(?!)"),
)


def _is_cron_term(text: str, first: int, last: int, words: tuple[str, ...], others: str) -> bool:
    """Whether a term is ``*``, a number, a word or a range of these, each with a step, or matches ``others``."""
    if re.fullmatch(others, text):
        return True
    whole, slash, step = text.partition("/")
    if slash and not (step.isdecimal() and int(step) > 0):
        return False
    ends = whole.split("-")
    return whole == "*" or (
        len(ends) <= 2 and all(end.upper() in words or (end.isdecimal() and first <= int(end) <= last) for end in ends)
    )


# --- targets ---------------------------------------------------------------------------------------------------------


def _targets(props: Json) -> Iterator[Finding]:
    listed = props.get("targets")
    if not is_given(listed):
        hint = "targets: [{id: mail, arn: TOPIC}], with the name of a topic, job queue or log group, or any ARN"
        yield Finding(
            (), "the rule has no targets: its events are discarded", hint, code=codes.NO_TARGETS, warning=True
        )
    if isinstance(listed, list | tuple) and len(listed) > MAX_TARGETS:
        message = f"the rule has {len(listed)} targets, and the maximum is {MAX_TARGETS}"
        yield Finding(("targets",), message, "split it into several rules", code=codes.OUT_OF_RANGE)
    named: list[tuple[Path, Any]] = []
    for index, target in entries(listed):
        path: Path = ("targets", index)
        named.append(((*path, "id"), target.get("id")))
        name = as_text(target.get("id"))
        if name is not None and not NAME.fullmatch(name):
            yield Finding((*path, "id"), f'"{name}" is not a valid target id', NAME_HINT, code=codes.INVALID_NAME)
        for finding in _target(target):
            yield Finding((*path, *finding.path), finding.message, finding.hint, finding.code, finding.warning)
    for path, name in repeats(named):
        yield Finding(path, f"duplicate target id {name}", "every target needs its own id", code=codes.DUPLICATE)


def _target(target: Json) -> Iterator[Finding]:
    service = _service(target.get("arn"))
    role = is_given(target.get("roleArn"))
    if service in WITH_ROLE and not role:
        hint = "roleArn: the name of a role that trusts events.amazonaws.com and may call the target"
        yield Finding((), f"a target in {service} needs a roleArn", hint, code=codes.MISSING_FIELD)
    elif service in BY_POLICY and role:
        message = f"a target in {service} cannot have a role: its own policy must allow EventBridge, or events are lost"
        yield Finding(("roleArn",), message, "remove it", code=codes.NOT_APPLICABLE, warning=True)
    batch, arn = target.get("batchParameters"), as_text(target.get("arn"))
    if service == "batch" and arn and ":job-queue/" not in arn:
        yield Finding(("arn",), "a target in AWS Batch is a job queue, and this is not one", "name a job queue")
    elif service == "batch" and not is_given(batch):
        hint = "batchParameters: {jobDefinition: NAME, jobName: NAME}"
        yield Finding((), "a job queue as target needs batchParameters", hint, code=codes.MISSING_FIELD)
    elif is_given(batch) and service not in ("", "batch"):
        message = f"batchParameters are only valid for job queues; the target is in {service}"
        yield Finding(("batchParameters",), message, "remove them", code=codes.NOT_APPLICABLE)
    elif is_given(batch) and not service and not role:
        hint = "roleArn: a role that trusts events.amazonaws.com and has service-role/AWSBatchServiceEventTargetRole"
        yield Finding((), "a job queue as target needs a roleArn", hint, code=codes.MISSING_FIELD)
    yield from _batch(mapping(batch))
    if (
        service == "sqs"
        and (as_text(target.get("arn")) or "").endswith(".fifo")
        and not is_given(target.get("sqsParameters"))
    ):
        hint = "sqsParameters: {messageGroupId: batch}"
        yield Finding((), "a FIFO queue as target needs sqsParameters", hint, code=codes.MISSING_FIELD)
    yield from _form(target, service)
    yield from _input(target)


def _form(target: Json, service: str) -> Iterator[Finding]:
    """Targets and dead-letter queues that PutTargets refuses by their ARN."""
    arn, dead = as_text(target.get("arn")) or "", as_text(at(target, "deadLetterConfig", "arn"))
    if arn.startswith("arn:") and not service:
        yield Finding(("arn",), f'"{arn}" is not an ARN', "arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE")
    if service == "ecs" and not is_given(target.get("ecsParameters")):
        hint = "ecsParameters: {taskDefinitionArn: ...}"
        yield Finding((), "a cluster as target needs ecsParameters", hint, code=codes.MISSING_FIELD)
    if dead and not QUEUE.fullmatch(dead):
        hint = "the ARN of a standard queue of SQS"
        yield Finding(("deadLetterConfig", "arn"), f'"{dead}" cannot be a dead-letter queue', hint)


def _service(arn: Any) -> str:
    """The service that a target is in; empty if its name or ARN does not show it."""
    expression = arn.whole if isinstance(arn, Template) else None
    if expression and expression.address:
        return {"jobQueues": "batch", "topics": "sns", "logGroups": "logs"}.get(expression.address.section, "")
    parts = (as_text(arn) or "").split(":", 5)
    return parts[2] if len(parts) == 6 and parts[0] == "arn" else ""


def _batch(parameters: Json) -> Iterator[Finding]:
    name = as_text(parameters.get("jobName"))
    if name is not None and not JOB_NAME.fullmatch(name):
        hint = "1 to 128 letters, digits, - and _, beginning with a letter or digit"
        yield Finding(
            ("batchParameters", "jobName"), f'"{name}" is not a valid job name', hint, code=codes.INVALID_NAME
        )
    bounds = (("arrayProperties", "size", 2, 10000), ("retryStrategy", "attempts", 1, 10))
    for holder, member, least, most in bounds:
        value = as_int(at(parameters, holder, member))
        if value is not None and not least <= value <= most:
            path = ("batchParameters", holder, member)
            yield Finding(path, f"{member} {value} is out of range", f"{least} to {most}", codes.OUT_OF_RANGE)


def _input(target: Json) -> Iterator[Finding]:
    given = [member for member in INPUTS if is_given(target.get(member))]
    if len(given) > 1:
        yield Finding((given[1],), f"{given[0]} and {given[1]} cannot be combined", "remove all but one")
    selected = as_text(target.get("inputPath"))
    if selected and not selected.startswith("$"):
        yield Finding(("inputPath",), f'"{selected}" is not a path into an event', f"$.{selected}")
    given_input = target.get("input")
    if isinstance(given_input, str) and given_input and not _is_json(given_input):
        hint = f"a mapping, or JSON text; a plain text is {json.dumps(given_input[:30])} with its quotes"
        yield Finding(("input",), "invalid JSON in input", hint)
    text = (
        compact(given_input) if isinstance(given_input, Mapping | list) and known(given_input) else as_text(given_input)
    )
    if text and len(text) > MAX_INPUT:
        message = f"the input has {len(text)} characters, and the maximum is {MAX_INPUT}"
        yield Finding(("input",), message, "shorten it", code=codes.OUT_OF_RANGE)
    yield from _transformer(mapping(target.get("inputTransformer")))


def _is_json(value: str) -> bool:
    try:
        from_json(value)
    except ValueError:
        return False
    return True


def _transformer(transformer: Json) -> Iterator[Finding]:
    path = ("inputTransformer",)
    paths = mapping(transformer.get("inputPathsMap"))
    for name, value in paths.items():
        if isinstance(value, str) and not value.startswith("$"):
            hint = f"$.{value}"
            yield Finding((*path, "inputPathsMap", name), f'"{value}" is not a path into an event', hint)
        if str(name).upper().startswith("AWS"):
            message = f'"{name}" cannot name a path: names that begin with AWS are reserved for EventBridge'
            yield Finding((*path, "inputPathsMap", name), message, "choose another name")
    template = as_text(transformer.get("inputTemplate"))
    if template and template.lstrip().startswith(("{", "[")) and not _is_json(PLACEHOLDER.sub("0", template)):
        hint = 'for example {"id": <id>, "text": "job <id>"}'
        yield Finding((*path, "inputTemplate"), "the template is not JSON once its placeholders are filled in", hint)
    known = isinstance(transformer.get("inputPathsMap", {}), Mapping)
    for name in dict.fromkeys(PLACEHOLDER.findall(template or "") if known else ()):
        if name not in paths and not name.startswith("aws.events"):
            found = near(name, map(str, paths))
            hint = f"did you mean <{found}>?" if found else f"add {name} to inputPathsMap"
            message = f"<{name}> is not in inputPathsMap, and is used literally"
            yield Finding((*path, "inputTemplate"), message, hint, warning=True)
