"""The Spot fleets of environments that have no Auto Scaling group (SPOT with BEST_FIT), and what their history says.

https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/monitor-ec2-fleet-using-eventbridge.html
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from reconciler.kinds.batch._diagnosis import around
from reconciler.kinds.batch._diagnosis.capacity import HISTORY, State
from reconciler.kinds.batch._diagnosis.desk import Desk
from reconciler.kinds.common.declared import entries, mapping
from reconciler.model import Call, Json, Reads

_OF_FLEETS: Final = (None, "BEST_FIT")


def read(desk: Desk, states: Iterable[State]) -> Reads[None]:
    """Read the history of the Spot fleets of environments that have no Auto Scaling group (BEST_FIT)."""
    some = [one for one in states if one.group is None and _has_fleet(one.environment)]
    if not some:
        return
    reply = yield from desk.one(Call("ec2", "DescribeSpotFleetRequests", all_pages=True))
    mine: list[tuple[State, str]] = []
    for _, fleet in entries(mapping(reply).get("SpotFleetRequestConfigs")):
        role = mapping(fleet.get("SpotFleetRequestConfig")).get("IamFleetRole")
        owner = next((one for one in some if role == around.value_of(one.environment, "spotIamFleetRole")), None)
        if owner is not None and str(fleet.get("SpotFleetRequestState")).startswith(
            ("active", "submitted", "modifying")
        ):
            mine.append((owner, str(fleet.get("SpotFleetRequestId"))))
    since = int(desk.question.now - HISTORY)
    calls = [
        Call("ec2", "DescribeSpotFleetRequestHistory", {"SpotFleetRequestId": name, "StartTime": since})
        for _, name in mine[:5]
    ]
    replies = yield from desk.ask(*calls)
    for (one, _), answer in zip(mine[:5], replies, strict=True):
        one.facts["fleet"] = _reported(answer)


def _has_fleet(environment: Json) -> bool:
    return around.kind_of(environment) == "SPOT" and around.value_of(environment, "allocationStrategy") in _OF_FLEETS


def _reported(history: Json | None) -> list[str]:
    """What a fleet's history says of launches that fail, since the last that succeeded."""
    found: list[str] = []
    for _, each in entries(mapping(history).get("HistoryRecords")):
        event = mapping(each.get("EventInformation"))
        if event.get("EventSubType") == "launched":
            found = []
        elif each.get("EventType", "error") in ("error", "information"):
            found.append(f"{event.get('EventSubType', '')}: {event.get('EventDescription', '')}")
    return found
