"""For a team that moves here from another tool: what its files have, found in the account, with the keys it gets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from reconciler.account.client import AwsClient
from reconciler.model import Scope
from reconciler.model import problem_codes as codes
from reconciler.model.problems import Problem, Problems
from reconciler.operations.importing import cloudformation, other_tools, terraform
from reconciler.operations.importing.found import LeftOut, Naming
from reconciler.operations.importing.other_tools import Collected, Named
from reconciler.operations.importing.select import Index


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a team comes from: states of terraform; templates of CloudFormation, and the name of the stack."""

    states: tuple[Path, ...] = ()
    templates: tuple[Path, ...] = ()
    stack: str = ""

    def __bool__(self) -> bool:
        return bool(self.states or self.templates or self.stack)


NOWHERE: Final = Origin()


def named(origin: Origin, aws: AwsClient, scope: Scope) -> Named:
    """The resources in the files, and in the stack. Raises Problems."""
    listed = cloudformation.stack_resources(aws, origin.stack) if origin.stack else None
    facts = {
        "AWS::Region": scope.region,
        "AWS::AccountId": scope.account,
        "AWS::Partition": scope.partition,
        **({"AWS::StackName": origin.stack} if origin.stack else {}),
    }
    found = [terraform.read(_text(path), str(path)) for path in origin.states]
    texts = [(_text(path), str(path)) for path in origin.templates]
    found += cloudformation.read(texts, listed, facts)
    return _together(found)


def naming(origin: Origin, aws: AwsClient, index: Index, scope: Scope) -> tuple[Naming, tuple[LeftOut, ...]]:
    """The keys of what exists in the account, and what is left out. Raises Problems."""

    def name_of(section: str, word: str) -> str | None:
        found = index.named(section, word)
        return found.sought.name if found else None

    return other_tools.resolved(named(origin, aws, scope), scope, name_of)


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
