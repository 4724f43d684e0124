"""What schedules and their groups share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from reconciler.model import Call, Finding, On, Reply
from reconciler.model import problem_codes as codes
from reconciler.model.when_used import when_used

with when_used():
    from reconciler.kinds.common.replies import ok, tag_map

GROUPS = "scheduleGroups"
MISSING = On("ResourceNotFoundException")
BUSY = On("ConflictException")
DEFAULT_GROUP = "default"
MAX_NAME = 64


def group_of(environment: str) -> str:
    """The name of an environment's own group. The group ``default`` is AWS's: it can neither be tagged nor deleted."""
    return environment if environment != DEFAULT_GROUP else f"{DEFAULT_GROUP}-environment"


def list_tags(arn: str) -> Call:
    """The call for the tags of a group."""
    return Call("scheduler", "ListTagsForResource", {"ResourceArn": arn})


def tags_in(calls: Sequence[Call], replies: Sequence[Reply]) -> dict[str, dict[str, str]]:
    """The tags by ARN in the replies to calls of :func:`list_tags`; none of a group that does not exist."""
    return {
        str(call.params["ResourceArn"]): tag_map((ok(call, reply, MISSING.code) or {}).get("Tags"))
        for call, reply in zip(calls, replies, strict=True)
    }


def check_name(name: str, noun: str) -> Iterator[Finding]:
    """A finding for a name that is not valid."""
    letters = all(char.isascii() and (char.isalnum() or char in "-_.") for char in name)
    if not letters or not 0 < len(name) <= MAX_NAME:
        hint = f"1 to {MAX_NAME} letters, digits and - _ ."
        yield Finding((), f'"{name}" is not a valid {noun} name', hint, code=codes.INVALID_NAME)
