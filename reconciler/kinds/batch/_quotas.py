"""The quotas of AWS Batch for one Region. AWS refuses only the last resources, after all others were created.

https://docs.aws.amazon.com/batch/latest/userguide/service_limits.html
"""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.model import Declared, Finding, Resource
from reconciler.model import problem_codes as codes

MOST = 50  # compute environments, and as many job queues and service environments


def check_quota(resource: Resource, declared: Declared, noun: str) -> Iterator[Finding]:
    """A warning at the first resource above the quota.

    Resources that are declared elsewhere count too, so AWS may refuse fewer than these.
    """
    listed = declared.section(resource.address.section)
    if len(listed) > MOST and resource is listed[MOST]:
        hint = "declare fewer, or move some to an environment in another Region or account"
        message = f"the environment declares {len(listed)} {noun}; AWS allows {MOST} in a Region"
        yield Finding((), message, hint, codes.MISFIT, warning=True)
