"""What Amazon ECS said when AWS Batch placed the job's task: only CloudTrail has the failures of RunTask.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/api_failures_messages.html
"""

from __future__ import annotations

import json
from typing import Any, Final

from reconciler.kinds.batch._diagnosis import causes, facts
from reconciler.kinds.batch._diagnosis.around import Around
from reconciler.kinds.batch._diagnosis.desk import Desk, evidence, suspect
from reconciler.kinds.common.declared import at, entries, mapping
from reconciler.model import Call, Json, Reads
from reconciler.model.diagnosis import Suspect
from reconciler.model.patterns import regex

EVENTS: Final = "cloudtrail:LookupEvents"
_AVAILABLE: Final = regex(r"(?P<asked>\d+) requested, (?P<there>\d+) available")


def refused(desk: Desk, job: Json, around: Around, names: dict[str, str]) -> Reads[list[Suspect]]:
    """Why the clusters of the queue's environments refused a task of the job's definition, newest first."""
    by_name = [{"AttributeKey": "EventName", "AttributeValue": "RunTask"}]
    reply = yield from desk.one(Call("cloudtrail", "LookupEvents", {"LookupAttributes": by_name, "MaxResults": 50}))
    clusters = {str(one.get("ecsClusterArn")).rpartition("/")[2] for one in around.usable if one.get("ecsClusterArn")}
    definition = facts.name_of(job.get("jobDefinition"))
    for _, event in entries(mapping(reply).get("Events")):
        told = _parsed(event.get("CloudTrailEvent"))
        asked = mapping(told.get("requestParameters"))
        if str(asked.get("cluster") or "").rpartition("/")[2] not in clusters:
            continue
        if definition not in str(asked.get("taskDefinition") or ""):
            continue
        for _, failure in entries(at(told, "responseElements", "failures")):
            reason, detail = str(failure.get("reason") or ""), str(failure.get("detail") or "")
            found = causes.match("placement", [("reason", reason), ("detail", detail)])
            if found is not None:
                seen = [evidence(EVENTS, "responseElements.failures[].reason", reason)]
                seen += [evidence(EVENTS, "responseElements.failures[].detail", detail)] if detail else []
                match = _AVAILABLE.search(detail)
                values = {"jobDefinitions.resourceRequirements.MEMORY": match["there"]} if match else {}
                return [suspect(found[0], seen, names, job, values=values)]
    return []


def _parsed(text: Any) -> Json:
    try:
        return mapping(json.loads(str(text or "{}")))
    except ValueError:
        return {}
