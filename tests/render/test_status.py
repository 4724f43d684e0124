"""The status as text and as a page: what is not well, what is not known, and what the terminal has no room for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.model.diagnosis import Unread
from reconciler.model.status import Blocked, Capacity, Failed, Front, Line, Share, Status
from reconciler.render import status
from reconciler.render.mask import Mask
from reconciler.render.text import Paint, fitting

NOW = 1_800_000_000.0
MASK = Mask(("hunter2hunter2",))
FOUND = Status(
    environment="dev",
    account="123456789012",
    region="eu-west-1",
    at=NOW,
    since=NOW - 86400,
    capacities=(
        Capacity(name="sick", type="EC2", state="ENABLED", status="INVALID", reason="CLIENT_ERROR - hunter2hunter2"),
        Capacity(name="new", live=False),
        Capacity(
            name="mixed",
            type="SPOT",
            state="ENABLED",
            status="VALID",
            reason="ComputeEnvironment Healthy",
            desired_vcpus=12,
            running_vcpus=8,
            max_vcpus=64,
            instances={"c6i.large": 1, "m5.large": 3},
            tasks=4,
        ),
        Capacity(name="se", type="SAGEMAKER_TRAINING", state="DISABLED", status="VALID", limits=("10 NUM_INSTANCES",)),
    ),
    lines=(
        Line(
            name="q",
            state="ENABLED",
            status="VALID",
            counts={"PENDING": 5, "RUNNABLE": 1000, "STARTING": 1, "RUNNING": 2},
            more=frozenset({"RUNNABLE"}),
            blocked=(Blocked(reason="x", cause="max-vcpus", message="Too <large>.", jobs=2),),
            front=(Front(id="1234", name="", since=NOW - 7300, share="gold"),),
            shares=(Share(name="gold", waiting=3, used={"ml.m5.large": 1.5}),),
            failed=(
                Failed(
                    id="f1", name="a", queue="q", at=NOW - 3 * 86400, attempts=1, cause="unknown", message="odd\nend"
                ),
                Failed(
                    id="f2", name="b", queue="q", at=NOW - 90, attempts=1, cause="oom", message="Too little memory."
                ),
            ),
        ),
        Line(name="blind", state="ENABLED", status="VALID"),
    ),
    unread=(
        Unread(call="batch:ListJobs", permission="batch:ListJobs", why="x"),
        Unread(call="ec2:X", permission="", why="slow"),
    ),
)


def test_the_text_and_the_page() -> None:
    text = status.text(FOUND, MASK, Paint(colour=False))

    assert text.splitlines() == [
        "dev  account 123456789012 (eu-west-1)  2027-01-15T08:00:00Z",
        "",
        "Compute environments",
        "         type                state     vCPUs: running  desired  max               instances                    tasks",
        "  sick   EC2                 INVALID   -               -        -                 -                            -",
        "    CLIENT_ERROR - (sensitive)",
        "  new    does not exist",
        "  mixed  SPOT                VALID     8               12       64                4 (3 m5.large, 1 c6i.large)  4",
        "  se     SAGEMAKER_TRAINING  DISABLED  -               -        10 NUM_INSTANCES  -                            -",
        "",
        "Queues",
        "         state  waiting  starting  running",
        "  q      VALID  1005+    1         2",
        "    blocked: max-vcpus: Too <large>. (2 jobs)",
        "    front: 1234 of gold for 2 h",
        "    share gold: 3 waiting, 0 running, uses 1.5 ml.m5.large",
        "  blind  VALID  -        -         -",
        "",
        "Failed in the last 24 h",
        "  90 s ago  b (f2)  q  oom: Too little memory.",
        "  3 d ago   a (f1)  q  unknown: odd end",
        "",
        "not read: batch:ListJobs: allow batch:ListJobs",
        "not read: ec2:X: slow",
    ]
    coloured = status.text(FOUND, MASK, Paint(colour=True))
    assert "\x1b[31mCLIENT_ERROR - (sensitive)\x1b[0m" in coloured and "hunter2" not in coloured
    page = status.page(FOUND, MASK)
    assert "Too &lt;large&gt;." in page and "INVALID: CLIENT_ERROR - (sensitive)" in page and "hunter2" not in page


def test_nothing_to_show() -> None:
    empty = Status(environment="dev", account="1", region="r", at=NOW, since=NOW)

    assert status.lines(empty, MASK, Paint(colour=False))[1:] == ["", "Nothing that runs jobs is declared."]
    assert status.page(empty, MASK).count("<p>nothing</p>") == 3

    unread = replace(empty, unread=(Unread(call="batch:DescribeJobQueues", permission="", why="no"),))
    page = status.page(unread, MASK)
    assert page.count("<p>unknown</p>") == 2 and "<p>unknown: the jobs could not be read</p>" in page
    assert status.document(replace(empty, lines=(Line(name="q", front=(Front(id="1", name="", since=0),)),)), MASK)[
        "queues"
    ][0]["front"] == [{"id": "1", "name": None, "since": None, "share": None}]


@pytest.mark.parametrize(("rows", "shown"), [(3, "a b c"), (4, "a b c"), (2, "a ... and 2 more lines")])
def test_what_the_terminal_has_no_room_for_is_counted(rows: int, shown: str) -> None:
    assert " ".join(fitting(["a", "b", "c"], rows)) == shown
