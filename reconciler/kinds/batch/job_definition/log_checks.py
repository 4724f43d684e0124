"""Checks of a container's ``logConfiguration``.

https://docs.aws.amazon.com/batch/latest/userguide/using_awslogs.html
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping

from reconciler.kinds.common.declared import as_text, entries, is_given, mapping
from reconciler.model import Finding, Json, Path
from reconciler.model import problem_codes as codes

AWSLOGS_OPTIONS = (
    "awslogs-group",
    "awslogs-region",
    "awslogs-stream-prefix",
    "awslogs-datetime-format",
    "awslogs-multiline-pattern",
    "awslogs-create-group",
    "mode",
    "max-buffer-size",
)
FIRELENS = "awsfirelens"
FARGATE_DRIVERS = ("awslogs", "splunk")


def check(path: Path, config: Json, *, fargate: bool, firelens: bool) -> Iterator[Finding]:
    """Findings about the ``logConfiguration`` at ``path``; ``firelens``: a container of the task is a log router."""
    driver = as_text(config.get("logDriver"))
    if "logDriver" not in config:
        hint = "for example logDriver: awslogs"
        yield Finding(path, "logDriver is missing", hint, code=codes.MISSING_FIELD)
    allowed = (*FARGATE_DRIVERS, FIRELENS) if firelens else FARGATE_DRIVERS
    if driver == FIRELENS and not firelens:
        why = f"{FIRELENS} needs a container with firelensConfiguration, and the task has none"
        hint = "add a log router: in ecsProperties, a container with firelensConfiguration: {type: fluentbit}"
        yield Finding((*path, "logDriver"), why, hint, code=codes.MISSING_FIELD)
    elif fargate and driver and driver not in allowed:
        why = f'the log driver "{driver}" does not work on Fargate'
        yield Finding((*path, "logDriver"), why, f"use {' or '.join(allowed)}", code=codes.NOT_APPLICABLE)
    options = mapping(config.get("options"))
    if isinstance(config.get("options"), list):
        hint = "write name: value pairs: options: {awslogs-group: NAME}"
        yield Finding((*path, "options"), "options is a mapping", hint, code=codes.WRONG_TYPE)
    for name, value in options.items():
        if isinstance(value, bool | int | float):
            plain = str(value).lower() if isinstance(value, bool) else str(value)
            why = f"values of options are text, and {name} is {plain}"
            yield Finding((*path, "options", name), why, f'put it in quotes: {name}: "{plain}"', code=codes.WRONG_TYPE)
    if driver == "awslogs":
        yield from _check_awslogs(path, options)
    if driver == "splunk":
        yield from _check_splunk(path, config, options)


def _check_awslogs(path: Path, options: Json) -> Iterator[Finding]:
    for name in options:
        if name not in AWSLOGS_OPTIONS:
            near = difflib.get_close_matches(str(name), AWSLOGS_OPTIONS, n=1, cutoff=0.6)
            hint = f'did you mean "{near[0]}"?' if near else f"it takes {', '.join(AWSLOGS_OPTIONS)}"
            why = f'the driver awslogs has no option "{name}"'
            yield Finding((*path, "options", name), why, hint, code=codes.UNKNOWN_FIELD)
    region = options.get("awslogs-region")
    if isinstance(region, str) and not re.fullmatch(r"[a-z]{2,}(-[a-z]+)+-\d+", region):
        hint = 'a Region looks like eu-west-1; "${region}" is the environment\'s own'
        yield Finding((*path, "options", "awslogs-region"), f'"{region}" is not a Region', hint)
    create = options.get("awslogs-create-group")
    if isinstance(create, str) and create not in ("true", "false"):
        why = f'awslogs-create-group is "true" or "false", not "{create}"'
        yield Finding((*path, "options", "awslogs-create-group"), why, 'write "true" to create the group')
    if create == "true" and not is_given(options.get("awslogs-group")):
        why = "awslogs-create-group has no effect without awslogs-group"
        yield Finding((*path, "options", "awslogs-create-group"), why, "name the group", warning=True)


def _check_splunk(path: Path, config: Json, options: Json) -> Iterator[Finding]:
    token = options.get("splunk-token")
    secret = {as_text(item.get("name")) for _, item in entries(config.get("secretOptions"))}
    if isinstance(token, str) and token:
        why = "the Splunk token is in plain text here; anyone with batch:DescribeJobDefinitions can read it"
        hint = "store it in a secret: secretOptions: [{name: splunk-token, valueFrom: NAME-OF-SECRET}]"
        yield Finding((*path, "options", "splunk-token"), why, hint, code=codes.CLEAR_TEXT_SECRET, warning=True)
    url = options.get("splunk-url")
    if isinstance(url, str) and url and not url.startswith(("http://", "https://")):
        hint = f"write https://{url}"
        yield Finding((*path, "options", "splunk-url"), f'"{url}" does not begin with http:// or https://', hint)
    given = config.get("secretOptions", [])
    known = isinstance(config.get("options", {}), Mapping) and isinstance(given, list | tuple)
    known = known and all(isinstance(item, Mapping) and isinstance(item.get("name"), str) for item in given)
    for name in ("splunk-url", "splunk-token") if known else ():
        if not isinstance(options, Mapping) or (not is_given(options.get(name)) and name not in secret):
            yield Finding(path, f"the driver splunk needs {name}", f"add {name} to options", warning=True)
