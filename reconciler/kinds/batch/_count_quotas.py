"""Whether the account has room for the compute environments or job queues that a plan creates.

https://docs.aws.amazon.com/batch/latest/userguide/service_limits.html
"""

from __future__ import annotations

from reconciler.kinds.batch import _common as batch
from reconciler.kinds.batch._quotas import MOST
from reconciler.model import Reads, Resource, Unreadable, Verb
from reconciler.model.preflight import Check, Fit, Ground


def check(resource: Resource, ground: Ground, operation: str, member: str, noun: str) -> Reads[list[Check]]:
    """A check at the first of them that the plan creates; the plan has read most of the list already."""
    section = resource.address.section
    new = ground.shared.once(
        ("new", section), lambda: [one for one in ground.declared.section(section) if ground.is_new(one)]
    )
    if not new or new[0] is not resource:
        return []
    try:
        listed = yield from batch.every(operation, member)
    except Unreadable as error:
        denied = error.call.action if error.refused.denied else ""
        return [Check(check="count", verdict=Fit.unknown, message=str(error), denied=denied)]
    gone = sum(plan.verb is Verb.DELETE for plan in ground.plans.values() if plan.address.section == section)
    present = sum(one.get("status") != "DELETED" for one in listed)
    total = present - gone + len(new)
    shown = noun.removesuffix("s") if present == 1 else noun
    message = f"the Region has {present} {shown}, with this plan {total}; AWS Batch allows {MOST}"
    verdict = Fit.fits if total <= MOST else Fit.cannot
    hint = "" if verdict is Fit.fits else "delete some first, or declare fewer"
    return [Check(check="count", verdict=verdict, message=message, certain=False, reported=True, hint=hint)]
