"""Checks an import against what it was made of: its files are loaded as any others, and planned with ``--adopt``
against the objects that were read, without reading them again.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

from reconciler.account.everything import Everything
from reconciler.config import names, references
from reconciler.model import (
    OWNER_PREFIX,
    Address,
    Change,
    Environment,
    Live,
    Observed,
    Options,
    Query,
    ResourcePlan,
    Sought,
    Unreadable,
)
from reconciler.model import problem_codes as codes
from reconciler.model.paths import dotted
from reconciler.model.problems import Problem, Problems
from reconciler.model.records import dataclass
from reconciler.operations import pipeline
from reconciler.operations.importing.attempt import Attempt, Request
from reconciler.operations.importing.hidden import Secrets
from reconciler.planning import planner
from reconciler.schema import registry


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrong:
    """What is wrong with an imported resource: an error of its declaration, or what a plan would change, in words.

    ``dangling`` are the paths of references to what does not exist, which AWS does not mind, ``refused`` those of
    members that only replies have.
    """

    physical: str
    error: str = ""
    differs: str = ""
    dangling: frozenset[str] = frozenset()
    refused: frozenset[str] = frozenset()


Found: TypeAlias = Mapping[Address, Wrong]


def verify(
    request: Request,
    attempt: Attempt,
    everything: Everything,
    lives: Mapping[str, tuple[Live, ...]],
    secrets: Secrets,
    environ: Mapping[str, str],
) -> Found:
    """What is wrong with imported resources, by address. Raises Problems that are of none of them."""
    physical = {Address(one.section, one.key): one.physical for one in attempt.written.added}
    try:
        with _written(request.target, attempt) as target:
            env, _ = pipeline.read_environment(target, {**environ, **secrets.values}, strict=request.env is None)
    except Problems as error:
        return dict(_of_problems(error.problems, physical))
    env = names.in_account(env, request.scope)
    seen = Observed(lives=lives, existing=_existing(env, everything))
    made, problems = planner.make(
        env,
        everything.kinds,
        request.scope,
        seen,
        options=Options(adopt=True),
        members=registry.members,
        lookups=attempt.facts,
    )
    errors = [problem for problem in problems if not problem.warning and problem.address in map(str, physical)]
    found = dict(_of_problems(errors, physical)) if errors else {}
    for item in made.resources:
        if item.address in physical and item.address not in found and (differs := _differences(item)):
            found[item.address] = Wrong(physical=physical[item.address], differs=differs)
    return found


def _of_problems(problems: Iterable[Problem], physical: Mapping[Address, str]) -> Iterator[tuple[Address, Wrong]]:
    """The errors by resource. Raises Problems where none is about an imported one."""
    by_text = {str(address): address for address in physical}
    errors = [problem for problem in problems if not problem.warning]
    ours = [problem for problem in errors if problem.address in by_text]
    if errors and not ours:
        raise Problems(errors)
    for text in dict.fromkeys(problem.address for problem in ours):
        mine = [problem for problem in ours if problem.address == text]
        first, address = mine[0], by_text[text]
        where = f"{first.path}: " if first.path else ""
        dangling = frozenset(one.path for one in mine if one.code is codes.UNKNOWN_REFERENCE)
        refused = frozenset(one.path for one in mine if one.code is codes.UNKNOWN_FIELD)
        error = f"{where}{first.message}"
        yield address, Wrong(physical=physical[address], error=error, dangling=dangling, refused=refused)


def _differences(item: ResourcePlan) -> str:
    """What a plan would change beside tags of ownership, in words; empty if nothing."""
    changes = [change for change in item.changes if not _is_ownership(change)]
    if not changes:
        return "" if item.kept_object else "it, as it does not see that it exists"
    return ", ".join(dict.fromkeys(dotted(change.path) for change in changes))


def _is_ownership(change: Change) -> bool:
    return change.path[0] == "tags" and str(change.path[-1]).startswith(OWNER_PREFIX)


def _existing(env: Environment, everything: Everything) -> dict[tuple[str, str], Mapping[str, str] | None]:
    """The attributes of what is named and not declared; None where the account has none."""
    kinds, scope = everything.kinds, everything.scope
    wanted = list(references.names_to_find(env.resources, kinds))
    for one in env.resources.values():
        wanted += [key for key, _ in references.shared_to_find(one, kinds, scope)]
    found: dict[tuple[str, str], Mapping[str, str] | None] = {}
    for section, name in dict.fromkeys(wanted):
        query = Query(scope=scope, sought=(Sought(name),), brief=True)
        try:
            lives = everything.reader.drive(kinds[section].read(query))
        except Unreadable:
            continue
        found[section, name] = next((live.attrs for live in lives if not live.deleting), None)
    return found


@contextmanager
def _written(target: Path, attempt: Attempt) -> Iterator[Path]:
    """A copy of the environment with the new files, beside it, where it finds its bases; removed afterwards."""
    single = target.is_file() or target.suffix.lower() in (".yaml", ".yml")
    beside = target.parent if target.exists() and os.access(target.parent, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix=".reconcile-import-", dir=beside) as made:
        copy = Path(made)
        if single and not target.exists():
            copy /= target.name
        elif single:  # other files of the directory are not read: the bases are beside it
            shutil.copytree(target.parent, copy, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".*"))
            copy /= target.name
        elif target.exists():
            shutil.copytree(target, copy, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".*"))
        for name, text in attempt.written.files.items():
            path = (copy.parent if single else copy) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        yield copy
