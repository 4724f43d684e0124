"""Tags that a kind hands on: those of instances, volumes and network interfaces, which EC2 checks when it makes them.

A resource's own ``tags`` are checked for every kind in :mod:`reconciler.checks.tags`.
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html#tag-restrictions
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from reconciler.kinds.common.declared import mapping
from reconciler.model import Finding, Path
from reconciler.model import problem_codes as codes

MOST, MAX_NAME, MAX_VALUE = 50, 128, 256


def findings(tags: Any, path: Path) -> Iterator[Finding]:
    """What EC2 refuses about the mapping of tags at ``path``; other values are accepted."""
    for name, value in mapping(tags).items():
        here: Path = (*path, name)
        if str(name).lower().startswith("aws:"):
            message = f'the tag "{name}" cannot be set: aws: is reserved for AWS'
            yield Finding(here, message, "choose another name")
        if len(str(name)) > MAX_NAME:
            message = f"the tag's name has {len(str(name))} characters; at most {MAX_NAME}"
            yield Finding(here, message, "shorten it", code=codes.OUT_OF_RANGE)
        if isinstance(value, str) and len(value) > MAX_VALUE:
            message = f'the tag "{name}" has {len(value)} characters; at most {MAX_VALUE}'
            yield Finding(here, message, "shorten it", code=codes.OUT_OF_RANGE)
    if len(mapping(tags)) > MOST:
        message = f"{len(mapping(tags))} tags; at most {MOST}"
        yield Finding(path, message, "remove some", code=codes.OUT_OF_RANGE)
