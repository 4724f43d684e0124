"""Tags that AWS would refuse, and tags that only reconcile sets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from reconciler.config.loader import DeclaredResource
from reconciler.model import OWNER_PREFIX, Address, Finding, Kind, Path
from reconciler.model import problem_codes as codes
from reconciler.model.problems import Problem, article
from reconciler.model.when_used import when_used

with when_used():
    from reconciler.checks.findings import as_problem

# AWS allows 50 user tags on nearly every resource.
# https://docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html#tag-conventions
MAX_TAGS = 50
NUMBERS = {2: "two", 3: "three", 4: "four"}


def unused_tags(address: Address, raw: DeclaredResource, kind: Kind, common: Mapping[str, Any]) -> Iterator[Problem]:
    """Own tags of a resource that cannot have any; the environment's tags on it are simply not used."""
    tags = raw.value.get("tags")
    own = [name for name in tags if tags[name] != common.get(name)] if isinstance(tags, Mapping) else []
    if own and (kind.shared or kind.container):
        message = f"{article(kind.name)} belongs to the account: its tags are not managed"
        if kind.container:
            message = f"{article(kind.name)} cannot be tagged: the tags of its {kind.container.member} name its owner"
        finding = Finding(("tags",), message, "remove its tags", codes.TAGS_UNUSED, warning=True)
        yield as_problem(finding, address, raw.at(("tags", own[0])))


def tag_problems(address: Address, raw: DeclaredResource, kind: Kind) -> Iterator[Problem]:
    """The tags of a resource that AWS would refuse, by name, value, spelling or number."""
    tags = raw.value.get("tags")
    if not isinstance(tags, Mapping):
        return
    seen: dict[str, str] = {}
    for name, value in tags.items():
        at: Path = ("tags", name)
        other = seen.setdefault(name.lower(), name)
        if (
            finding := _tag(name, value, kind, at)
            or _same_but_for_case(name, other, kind, at)
            or _plain_tag(name, value, kind, at)
        ):
            yield as_problem(finding, address, raw.at(at))
    reserved = _reserved(raw, kind)
    if len(tags) > MAX_TAGS - reserved:
        message = f"{len(tags)} tags: AWS allows 50, and {NUMBERS[reserved]} are reserved for the ownership tags"
        finding = Finding(("tags",), message, "remove some, here or in the environment's tags", codes.OUT_OF_RANGE)
        yield as_problem(finding, address, raw.at(("tags",)))


def _reserved(raw: DeclaredResource, kind: Kind) -> int:
    """How many tags reconcile may set itself: the environment, the name, the Region, lifecycle.preventDestroy."""
    lifecycle = raw.value.get("lifecycle")
    protected = isinstance(lifecycle, Mapping) and lifecycle.get("preventDestroy") is True
    return 2 + kind.spans_regions + protected


def _tag(name: str, value: Any, kind: Kind, path: Path) -> Finding | None:
    if name.lower().startswith("aws:"):
        return Finding(path, f'the tag "{name}" cannot be set: aws: is reserved for AWS', "choose another name")
    if (name.lower() if kind.folds_case else name).startswith(OWNER_PREFIX):
        return Finding(path, f'the tag "{name}" is set by reconcile itself', "choose another name")
    if len(name) > 128:
        return Finding(
            path, f"the tag's name has {len(name)} characters; at most 128", "shorten it", codes.OUT_OF_RANGE
        )
    if isinstance(value, str) and len(value) > 256:
        return Finding(
            path, f'the tag "{name}" has {len(value)} characters; at most 256', "shorten it", codes.OUT_OF_RANGE
        )
    return None


def _same_but_for_case(name: str, other: str, kind: Kind, path: Path) -> Finding | None:
    if other == name or not kind.folds_case:
        return None
    return Finding(path, f'the tags "{other}" and "{name}" differ in case only, and are the same to IAM', "keep one")


def _plain_tag(name: str, value: Any, kind: Kind, path: Path) -> Finding | None:
    if not kind.tag_symbols:
        return None
    chars = [char for text in (name, value) if isinstance(text, str) for char in text]
    odd = [char for char in chars if not (char.isalnum() or char.isspace() or char in kind.tag_symbols)]
    if not odd:
        return None
    hint = f"letters, digits, spaces and {' '.join(kind.tag_symbols)}"
    return Finding(path, f'{article(kind.name)} cannot have "{odd[0]}" in a tag', hint)
