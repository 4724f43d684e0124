"""Whether a resource of AWS Batch has been in transition for too long.

A describe does not say since when. CloudTrail does: the last call that changed it, in its history of 90 days. It is
only asked for what is in transition.

https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from reconciler.kinds.common import dates
from reconciler.kinds.common.declared import as_int, as_text, at, mapping
from reconciler.kinds.common.replies import ok
from reconciler.model import Call, Json, Live, Reads
from reconciler.model import problem_codes as codes
from reconciler.model.audit import Audited, AuditFinding, AuditSeverity, Evidence, Rule, seen

EVENTS: Final = "cloudtrail:LookupEvents"
MOST_PAGES: Final = 4
# minutes that each takes at most, with much to spare; an infrastructure update also waits for jobs
USUAL: Final = {"CREATING": 30, "UPDATING": 90, "DELETING": 60}
_VERBS: Final = {"CREATING": "Create", "UPDATING": "Update", "DELETING": "Delete"}


def rule(noun: str, shown_by: str) -> Rule:
    """The rule for a kind whose operations are named after ``noun`` (``JobQueue``)."""

    def stuck(live: Live, audited: Audited) -> Reads[Sequence[AuditFinding]]:
        verb = _VERBS.get(live.status)
        if verb is None:
            return ()
        event = yield from _last_event(f"{verb}{noun}", noun, live)
        now = max(audited.now, (yield from _newest_event()))
        minutes = (now - event[0]) / 60 if event else None
        allowed = USUAL[live.status] + (as_int(at(live.props, "updatePolicy", "jobExecutionTimeoutMinutes")) or 0)
        if minutes is not None and minutes <= allowed:
            return ()
        state = seen(shown_by, "status", live.status)
        hint = "look for a service role that no longer exists or may do too little, and for jobs that do not end"
        if live.status == "DELETING":
            hint = "create its service role again, under the same name and path, then delete it again"
        if event is None:
            message = f"is {live.status}, and CloudTrail has no event about its beginning"
            return [
                _finding("advice", message, "run the audit again in an hour; if nothing has changed, " + hint, state)
            ]
        since = f"{event[1][:16].replace('T', ' ')} UTC"
        proof = seen(EVENTS, f"Events[].EventTime ({verb}{noun})", event[1])
        return [_finding("warning", f"has been {live.status} since {since}", hint, state, proof)]

    return stuck


def _finding(severity: AuditSeverity, message: str, hint: str, *evidence: Evidence) -> AuditFinding:
    return AuditFinding(code=codes.STUCK_RESOURCE, severity=severity, message=message, hint=hint, evidence=evidence)


def _last_event(name: str, noun: str, live: Live) -> Reads[tuple[float, str] | None]:
    """When the last successful call of this name about ``live`` was made, in seconds and as text; None: never."""
    token = ""
    for _ in range(MOST_PAGES):
        named = [{"AttributeKey": "EventName", "AttributeValue": name}]
        call = Call(
            "cloudtrail", "LookupEvents", {"LookupAttributes": named, **({"NextToken": token} if token else {})}
        )
        (reply,) = yield (call,)
        answer = ok(call, reply) or {}
        for event in answer.get("Events", ()):
            record = _record(event)
            when = as_text(record.get("eventTime")) or ""
            second = dates.seconds(when)
            if second is not None and _is_about(record, noun, live):
                return second, when
        token = str(answer.get("NextToken") or "")
        if not token:
            break
    return None


def _newest_event() -> Reads[float]:
    """When the newest event of the account was, in seconds: it is later at AWS, whatever the clock of this machine."""
    call = Call("cloudtrail", "LookupEvents", {"MaxResults": 1})
    (reply,) = yield (call,)
    times = [dates.canonical(event.get("EventTime")) for event in (ok(call, reply) or {}).get("Events", ())]
    return max((float(time) for time in times if isinstance(time, int)), default=0.0)


def _record(event: Json) -> Json:
    try:
        return mapping(json.loads(as_text(event.get("CloudTrailEvent")) or "{}"))
    except ValueError:
        return {}


def _is_about(record: Json, noun: str, live: Live) -> bool:
    asked = mapping(record.get("requestParameters"))
    member = f"{noun[0].lower()}{noun[1:]}"
    named = as_text(asked.get(member)) or as_text(asked.get(f"{member}Name"))
    return not record.get("errorCode") and named in (live.attrs["name"], live.attrs.get("arn"))
