"""Preflight of a job queue: the quota of queues."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.kinds.batch import _count_quotas as counts
from reconciler.model import Reads, Resource
from reconciler.model.preflight import Check, Ground


def preflight(queue: Resource, ground: Ground) -> Reads[Sequence[Check]]:
    """Whether the account has room for one more, where the plan creates some."""
    return (yield from counts.check(queue, ground, "DescribeJobQueues", "jobQueues", "job queues"))
