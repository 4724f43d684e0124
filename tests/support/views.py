"""Views of plans as they occur, of any size, for tests of what is shown."""

from __future__ import annotations

from typing import Any

from reconciler.model import Pos
from reconciler.model import problem_codes as codes
from reconciler.model.problems import Problem
from reconciler.render.difference import Line
from reconciler.render.view import Entry, LookupView, View, grouped

_SIGNS = {"create": "+", "update": "~", "replace": "-/+", "delete": "-", "adopt": "&", "noop": " "}
_IMAGES = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
ROLE = "roles.job-role"
FACTS = {"planned": "2026-01-31 12:00 UTC", "commit": "3f2a9c1 (main)"}


def entry(section: str, name: str, verb: str, lines: Any = (), **more: Any) -> Entry:
    """One resource; ``lines`` are of its block, by sign and text."""
    shown = tuple(line if isinstance(line, Line) else Line(*line) for line in lines)
    steps = more.pop("steps", (f'service:{verb.title()} {{"name":"{name}"}}',))
    values: dict[str, Any] = {"core": shown, "steps": steps, "calls": len(steps), "sign": _SIGNS[verb], **more}
    return Entry(address=f"{section}.{name}", section=section, name=name, verb=verb, lines=shown, **values)


def align(number: int) -> Entry:
    """A job definition whose image changes like that of all the others."""
    name, before, after = f"align-{number:03}", f"{_IMAGES}/align-{number:03}:1.4", f"{_IMAGES}/align-{number:03}:1.5"
    return entry(
        "jobDefinitions",
        name,
        "update",
        [("~", 0, f'containerProperties.image  "{before}" -> "{after}"')],
        core=(Line("~", 0, 'containerProperties.image  "…:1.4" -> "…:1.5"'),),
        jobs=f"not affected (they keep revision {number}; new jobs use the next revision)",
        unchanged=6,
        place=f"jobs/align.yaml:{number * 9 + 2}",
        depends_on=(ROLE, "logGroups.batch"),
        steps=(
            f'batch:RegisterJobDefinition {{"jobDefinitionName":"{name}","containerProperties":{{"image":"{after}"}}}}',
        ),
    )


FEW = [
    entry(
        "computeEnvironments",
        "spot",
        "update",
        [("~", 0, 'computeResources.subnets  ["subnet-a"] -> ["subnet-b"]  # infrastructure')],
        interrupts=True,
        reason="computeResources.subnets differs",
        jobs="interrupted: AWS replaces the instances; jobs that run get 30 minutes, then end and start anew",
        unchanged=11,
        place="batch.yaml:3",
        depends_on=(ROLE, "securityGroups.jobs"),
        steps=("batch:UpdateComputeEnvironment {}", "wait until compute environment spot VALID"),
    ),
    entry("jobQueues", "old", "delete", reason="no longer declared", jobs="12 waiting jobs are lost"),
    entry(
        "roles",
        "job-role",
        "update",
        [
            ("~", 0, "inlinePolicies.data.Statement"),
            ("~", 1, '[Sid "Read"] Action'),
            ("", 2, "7 unchanged elements"),
            ("-", 2, '"s3:GetObjectTagging"'),
            ("+", 2, '"s3:*"'),
        ],
        reason="inlinePolicies differs",
        jobs="not affected",
        place="iam.yaml:12",
    ),
    entry(
        "securityGroups",
        "jobs",
        "create",
        [("+", 0, 'ingress = [{"cidr":"0.0.0.0/0","port":22}]'), ("+", 0, "groupId = (known after apply)")],
        reason="not in the account",
        place="network.yaml:4",
    ),
    entry("logGroups", "batch", "adopt", [("~", 0, "retentionInDays  (not set) -> 30")], place="logs.yaml:1"),
]
PROBLEMS = (
    Problem(
        code=codes.OPEN_TO_ALL,
        message="port 22 is open to the world",
        hint="give the address range of your network",
        warning=True,
        address="securityGroups.jobs",
        pos=Pos("network.yaml", 6, 9),
    ),
)
LOOKUPS = (
    LookupView(name="vpc", value='"vpc-0abc"'),
    LookupView(name="ami", value='"ami-2"', moved='"ami-1" -> "ami-2"', users=("computeEnvironments.spot",)),
)


def few(**more: Any) -> View:
    """Five resources with five actions, three that do not change, a warning and a look-up that moved."""
    others = {"jobQueues.main": ("computeEnvironments.spot",), "jobQueues.low": ("computeEnvironments.spot",)}
    return made(FEW, **{"others": others, "problems": PROBLEMS, "lookups": LOOKUPS, **more})


def some() -> View:
    """Fifty: forty changes of which no two are equal, and some with a group."""
    names = [f"step-{number:02}" for number in range(36)]
    lines = [[("~", 0, f"containerProperties.memory  {1024 + n} -> {2048 + n}")] for n in range(36)]
    single = [
        entry("jobDefinitions", name, "update", shown, jobs="not affected", depends_on=(ROLE,), place=f"jobs.yaml:{n}")
        for n, (name, shown) in enumerate(zip(names, lines, strict=True))
    ]
    return made([*FEW, *single, *(align(number) for number in range(9))], problems=PROBLEMS, lookups=LOOKUPS)


def many(alike: int = 480, unlike: int = 0) -> View:
    """Five hundred: ``alike`` equal changes, ``unlike`` of which no two are equal, and one dangerous line."""
    single = [
        entry(
            "eventRules",
            f"rule-{n}",
            "update",
            [("~", 0, f"scheduleExpression  rate({n + 2} minutes) -> rate({n + 3} minutes)")],
        )
        for n in range(unlike)
    ]
    return made([*FEW, *single, *(align(number) for number in range(alike))], problems=PROBLEMS, lookups=LOOKUPS)


def made(entries: list[Entry], **more: Any) -> View:
    """A view of these resources."""
    counts = {
        verb: sum(one.verb == verb for one in entries) for verb in ("create", "adopt", "update", "replace", "delete")
    }
    summary = f"Plan: {', '.join(f'{count} to {verb}' for verb, count in counts.items())}."
    values = {
        "environment": "genomics",
        "account": "123456789012",
        "region": "eu-west-1",
        "place": "eu-west-1",
        "summary": summary,
        "facts": FACTS,
    }
    return View(**{**values, "counts": counts, "unchanged": 7, "groups": grouped(entries), **more})
