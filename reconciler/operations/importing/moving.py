"""For a team that moves here from another tool: what its files have, found in the account, with the keys it gets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from reconciler.model import Json, Live, Scope
from reconciler.model import problem_codes as codes
from reconciler.model.problems import Problem, Problems
from reconciler.model.records import dataclass
from reconciler.model.when_used import when_used
from reconciler.operations.importing import cloudformation, other_tools, terraform
from reconciler.operations.importing.cloudformation import Listed
from reconciler.operations.importing.found import LeftOut, Naming
from reconciler.operations.importing.other_tools import Collected, Named, cloudformation_types
from reconciler.operations.importing.select import Index

with when_used():
    from reconciler.account.client import AwsClient


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a team comes from: states of terraform; templates of CloudFormation, and the name of the stack."""

    states: tuple[Path, ...] = ()
    templates: tuple[Path, ...] = ()
    stack: str = ""

    def __bool__(self) -> bool:
        return bool(self.states or self.templates or self.stack)


NOWHERE: Final = Origin()


Lives = Callable[[Iterable[str]], Mapping[str, Sequence[Live]]]
"""Reads the live objects of sections."""


def named(origin: Origin, aws: AwsClient, scope: Scope, lives: Lives) -> Named:
    """The resources in the files, and in the stack. Raises Problems.

    Where CloudFormation may not be asked, its tags on resources say which they are.
    """
    listed = _stack(origin.stack, aws, lives) if origin.stack else None
    facts = {
        "AWS::Region": scope.region,
        "AWS::AccountId": scope.account,
        "AWS::Partition": scope.partition,
        **({"AWS::StackName": origin.stack} if origin.stack else {}),
    }
    found = [terraform.read(_text(path), str(path)) for path in origin.states]
    texts = [(_text(path), str(path)) for path in origin.templates]
    templates = cloudformation.read(texts, listed, facts)
    nameless = {one.section for each in templates for one in each.resources if not one.identifiers}
    if nameless and not listed:
        templates = cloudformation.read(texts, cloudformation.tagged(lives(nameless)), facts)
    found += templates
    return _together(found)


def _stack(stack: str, aws: AwsClient, lives: Lives) -> Listed:
    """The resources of a stack. Raises Problems where neither CloudFormation nor tags show any."""
    try:
        return cloudformation.stack_resources(aws, stack)
    except Problems:
        found = cloudformation.tagged(lives(section for section, _ in cloudformation_types().values()), stack)
        if not found.resources:
            raise
        return found


def naming(origin: Origin, aws: AwsClient, index: Index, scope: Scope) -> tuple[Naming, tuple[LeftOut, ...]]:
    """The keys of what exists in the account, and what is left out. Raises Problems."""
    props: dict[tuple[str, str], Json] = {}

    def name_of(section: str, word: str) -> str | None:
        if found := index.named(section, word):
            props.setdefault((section, found.sought.name), found.sought.props)
            return found.sought.name
        kind = index.everything.kinds[section]
        known = index.everything.list([section])[section] if kind.shared else ()
        return next((one.sought.name for one in known if word in kind.attrs(scope, one.sought.name, {}).values()), None)

    found, left_out = other_tools.resolved(named(origin, aws, scope, index.everything.everything), scope, name_of)
    return replace(found, props=props), left_out


def _together(found: Sequence[Named]) -> Named:
    if len(found) == 1:
        return found[0]
    all_ = Collected(
        resources=[one for each in found for one in each.resources],
        left_out=[one for each in found for one in each.left_out],
    )
    return all_.named()


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise Problems([Problem(code=codes.FILE, message=f"{path}: {error.strerror}")]) from None
    except UnicodeDecodeError:
        message = f"{path} is not UTF-8"
        raise Problems([Problem(code=codes.FOREIGN_FILE, message=message, hint="save the file as UTF-8")]) from None
