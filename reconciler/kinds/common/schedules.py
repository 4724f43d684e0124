"""The schedules of an account that submit jobs, in every group, without the kind of schedules.

https://docs.aws.amazon.com/scheduler/latest/APIReference/API_ListSchedules.html
https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-targets-universal.html
"""

from __future__ import annotations

from reconciler.kinds.common.declared import as_text, items, mapping
from reconciler.kinds.common.json_text import from_json
from reconciler.kinds.common.replies import ok
from reconciler.model import Call, Json, Reads

SUBMIT = ":aws-sdk:batch:submitJob"
MISSING = "ResourceNotFoundException"


def submitting() -> Reads[list[tuple[Json, Json]]]:
    """(schedule, request of SubmitJob) of every schedule that submits jobs. The list shows targets, but no inputs."""
    call = Call("scheduler", "ListSchedules", {}, all_pages=True)
    (reply,) = yield (call,)
    listed = items((ok(call, reply) or {}).get("Schedules"))
    found = [one for one in listed if str(mapping(one.get("Target")).get("Arn", "")).endswith(SUBMIT)]
    calls = tuple(Call("scheduler", "GetSchedule", {"GroupName": x["GroupName"], "Name": x["Name"]}) for x in found)
    replies = (yield calls) if calls else ()
    shown = [ok(one, answer, MISSING) for one, answer in zip(calls, replies, strict=True)]
    return [(one, _request(mapping(one.get("Target")))) for one in shown if one]


def _request(target: Json) -> Json:
    try:
        return mapping(from_json(as_text(target.get("Input")) or "{}"))
    except ValueError:
        return {}
