"""Where a command keeps results and sends notices, beside what it reads of environments."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from reconciler.model import problem_codes as codes
from reconciler.model.problems import Problem, Problems
from reconciler.model.records import dataclass
from reconciler.operations.drift import notify
from reconciler.operations.drift.results import Bucket
from reconciler.operations.permissions.actions import BUCKET, OBJECTS, PUBLISH
from reconciler.operations.permissions.needs import Needs


@dataclass(frozen=True, slots=True)
class Places:
    """Parts of buckets, and the ARNs of topics."""

    buckets: tuple[Bucket, ...] = ()
    topics: tuple[str, ...] = ()

    def add(self, needs: Needs) -> None:
        """What is needed to keep results, and to send notices.

        The list has no condition on the prefix: with one, S3 answers that it refuses, where it has no such object.
        """
        partition = needs.estate.scope.partition
        for one in self.buckets:
            arn, why = f"arn:{partition}:s3:::{one.name}", f"keep results: s3://{one.name}/{one.prefix}"
            needs.add(BUCKET, (arn,), why)
            for action in OBJECTS:
                needs.add(action, (f"{arn}/{one.prefix}*",), why)
        for topic in self.topics:
            needs.add(PUBLISH, (topic,), "send notices")


NO_PLACES: Final = Places()


def parsed(results: Iterable[str], targets: Iterable[str]) -> Places:
    """Those of ``--results`` and ``--notify``; directories and web addresses need no permission. Raises Problems."""
    buckets = [Bucket.of(word, "--results") for word in results]
    if None in buckets:
        message = "--results: only what is in S3 needs a permission"
        raise Problems([Problem(code=codes.USAGE, message=message, hint="write s3://BUCKET/PREFIX")])
    topics = [one.to for one in notify.parsed(targets) if one.kind == "sns"]
    return Places(tuple(one for one in buckets if one), tuple(topics))
