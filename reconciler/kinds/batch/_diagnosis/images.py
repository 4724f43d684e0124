"""Whether an image exists in Amazon ECR, where the text about a failed pull does not say."""

from __future__ import annotations

from typing import Final

from reconciler.kinds.batch._diagnosis import causes, facts
from reconciler.kinds.batch._diagnosis.desk import Desk, evidence
from reconciler.kinds.batch._diagnosis.facts import Attempt
from reconciler.kinds.batch._diagnosis.failures import Found
from reconciler.kinds.common.declared import entries
from reconciler.model import Call, Json, Reads, Refused
from reconciler.model.patterns import regex

IMAGES: Final = "ecr:DescribeImages"
_NOT_THERE: Final = frozenset({"ImageNotFoundException", "RepositoryNotFoundException"})
_IN_ECR: Final = regex(
    r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(\.cn)?/(?P<name>[^:@]+)"
    r"(:(?P<tag>[^:@]+))?(@(?P<digest>.+))?"
)


def why_not_pulled(desk: Desk, job: Json, attempt: Attempt) -> Reads[Found | None]:
    """That the image of a failed pull does not exist, or is archived; None where that is not it, or not known."""
    match = _IN_ECR.fullmatch(str(facts.container(job).get("image") or ""))
    pulled = any("cannotpull" in text.lower() for _, text in attempt.texts)
    if match is None or not pulled or match["region"] != desk.question.scope.region:
        return None
    wanted = {"imageDigest": match["digest"]} if match["digest"] else {"imageTag": match["tag"] or "latest"}
    params = {"registryId": match["account"], "repositoryName": match["name"], "imageIds": [wanted]}
    call = Call("ecr", "DescribeImages", params)
    (reply,) = yield (call,)
    if isinstance(reply, Refused):
        if reply.code not in _NOT_THERE:
            desk.refused(call, reply)
            return None
        desk.asked[str(call)] = None
        row = causes.row("image-not-found")
        return Found(row=row, evidence=(evidence(IMAGES, "error", str(reply)),), says=row.says)
    desk.asked[str(call)] = None
    status = next((one.get("imageStatus") for _, one in entries(reply.get("imageDetails"))), None)
    if str(status).upper() != "ARCHIVED":
        return None
    row = causes.row("image-archived")
    return Found(row=row, evidence=(evidence(IMAGES, "imageDetails[].imageStatus", status),), says=row.says)
