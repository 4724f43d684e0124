"""More of something than AWS Batch lets one Region have: what comes last would be refused, once all the rest is there.

https://docs.aws.amazon.com/batch/latest/userguide/service_limits.html
"""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.model import Declared, Finding, Resource
from reconciler.model import problem_codes as codes

MOST = 50  # of compute environments, of job queues and of service environments


def beyond(resource: Resource, declared: Declared, noun: str) -> Iterator[Finding]:
    """What is told at the first resource that is one too many. A Region may hold others, so fewer may be too many."""
    there = declared.section(resource.address.section)
    if len(there) > MOST and resource is there[MOST]:
        hint = "move some to an environment of another Region or account, or let one serve for several"
        yield Finding(
            (), f"these are {len(there)} {noun}; AWS allows {MOST} in a Region", hint, codes.MISFIT, warning=True
        )
