"""The pipeline that commands share: load, check, look up, observe, plan; then show or execute.

There is no logic here, only the order of the stages and their arguments.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from reconciler.checks import environment, secrets
from reconciler.checks.ignored_rules import without_ignored
from reconciler.config import files, links, loader, names
from reconciler.config.given import Given
from reconciler.kinds import discover
from reconciler.model import EMPTY, Aws, Environment, Event, Options, Outcome, Plan, Scope, Unreadable
from reconciler.model import problem_codes as codes
from reconciler.model.exit_codes import RAIL
from reconciler.model.masking import SHORT
from reconciler.model.paths import values_at
from reconciler.model.preflight import NOTHING, Asked, Checked, Level
from reconciler.model.problems import Problem, Problems
from reconciler.model.records import dataclass
from reconciler.model.when_used import when_used
from reconciler.operations.passed_checks import PassedChecks
from reconciler.operations.taken import Taken
from reconciler.render.mask import Mask
from reconciler.schema import registry

with when_used():
    from reconciler.account.refresh import refresh

if TYPE_CHECKING:  # half of the program, which `validate` does not need: imported where it is used
    from reconciler.account.dependents import Used
    from reconciler.account.reader import Reader
    from reconciler.applying.executor import Clock
    from reconciler.applying.preconditions import AccountRecheck
    from reconciler.config.yaml.node import Node
    from reconciler.model.plan import Observed

PARALLELISM: Final = 16  # concurrent reads of one plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A plan with its environment and mask. With ``problems``, which are errors, it must not be applied.

    ``kept`` are the section and physical name of each object that is kept because it is in use; ``as_saved``, where a
    saved plan is planned again, is the plan with the dependents that the saved plan had. ``taken`` is the snapshot that
    was read instead of the account. ``preflight`` is what a preflight found, None without one.
    """

    env: Environment
    plan: Plan
    mask: Mask
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    kept: frozenset[tuple[str, str]] = frozenset()
    as_saved: Plan | None = None
    taken: Taken | None = None
    preflight: tuple[Checked, ...] | None = None

    @property
    def errored(self) -> bool:
        """Whether there are errors."""
        return bool(self.problems)


def read_environment(
    target: Path,
    environ: Mapping[str, str],
    *,
    strict: bool,
    given: Mapping[str, Given] | None = None,
    change: Node | None = None,
) -> tuple[Environment, tuple[Problem, ...]]:
    """Load and check, without AWS. Returns the environment and its warnings; raises Problems with errors.

    ``strict``: an environment variable that is not set is an error (a plan needs it), else a warning. ``given`` are
    values of variables, by default those of ``environ``; ``change`` is merged over the files.
    """
    loaded, wrong = loader.load_what_is_right(target, environ=environ, given=given, change=change)
    if loaded is None:
        raise Problems(replace(problem, environment=files.name_of(target)) for problem in wrong)
    kept = PassedChecks(loaded, target, environ)
    env, found = environment.environment(loaded, discover(), passed=kept.passed)
    kept.save()
    unset = without_ignored(loaded, (replace(problem, warning=not strict) for problem in loaded.unset))
    found = (*found, *unset)
    found = (*wrong, *environment.independent(found, wrong))
    found = tuple(replace(problem, environment=env.name or files.name_of(target)) for problem in found)
    if any(not problem.warning for problem in found):
        raise Problems(found)
    return env, found


def mask_for(env: Environment) -> Mask:
    """A mask for the secrets of an environment: values of secret fields, and of members with names of secrets."""
    kinds = discover()
    found, words = set(env.sensitive), {text for text in env.sensitive if len(text) < SHORT}
    for resource in env.resources.values():
        secret = [*registry.secret_fields(kinds[resource.address.section])]
        secret += [path for path, facts in resource.unknown_members.items() if facts.secret]
        for pattern in secret:
            for _, value in values_at(resource.props, pattern):
                found.update(secrets.texts(value))
    return Mask(found, words)


def make_plan(
    env: Environment,
    scope: Scope,
    aws: Aws,
    options: Options,
    *,
    parallelism: int = PARALLELISM,
    described: frozenset[tuple[str, str]] | None = None,
    facts_known: Mapping[str, Any] = EMPTY,
    preflight: Asked = NOTHING,
) -> Planned:
    """Read the account and plan. ``parallelism`` is the maximum number of concurrent reads; ``described`` are, of an
    account that is a snapshot, the sections and names of the objects of which it has more than their names;
    ``facts_known`` the values of look-ups that are not read. ``preflight`` also checks whether what is planned can run.

    Raises Problems where no plan is possible (wrong account, look-ups without a value), and RailRefusal where a safety
    rail refuses the plan.
    """
    from reconciler.account import dependents, side_effects  # noqa: PLC0415  (see above)
    from reconciler.account.reader import Reader, SharedResult  # noqa: PLC0415
    from reconciler.planning import planner as plan  # noqa: PLC0415
    from reconciler.planning import safety_rails, visibility  # noqa: PLC0415

    mask = mask_for(env)
    wrong = safety_rails.account(scope.account, env)
    if wrong:
        raise Problems(wrong, exit_code=RAIL)
    env = names.in_account(env, scope)
    reader = Reader(aws, parallelism=parallelism)
    try:
        resolved_lookups = SharedResult(lambda: _resolve_lookups(env, scope, reader, options, facts_known))
        observed = refresh(env, scope, reader, resolved_lookups, options)
        if described is not None:
            observed = visibility.only_described(observed, env.resources, discover(), described)
        facts, untold = resolved_lookups()
        env = links.linked_environment(env, discover(), scope, observed.lives, facts)
        observed = replace(observed, unresolved_lookups=visibility.unresolved_lookups(env, facts, untold))
        make = partial(
            plan.make, env, discover(), scope, options=options, members=registry.members, lookups=facts, linked=True
        )
        whole, problems = make(observed)
        named, unasked = dependents.find_dependents(reader, discover(), scope, whole)
        kept_before = dependents.kept_by_saved_plan(dependents.confirmed(options.kept, named, whole, discover()))
        as_saved, used = None, kept_before | named
        if options.kept is not None and named.keys() - options.kept:
            as_saved, _ = make(replace(observed, used=kept_before, unanswered=unasked))
            as_saved, _ = side_effects.find_side_effects(reader, discover(), env, as_saved)
        made = whole
        if used or unasked:
            observed = replace(observed, used=used, unanswered=unasked)
            find = partial(dependents.find_dependents, reader, discover(), scope, whole)
            made, problems, observed = _keep_used(make, observed, whole, find, kept_before)
        kept = dependents.removed_objects(whole) - dependents.removed_objects(made)
        made, standing = side_effects.find_side_effects(reader, discover(), env, made)
        checked: tuple[Checked, ...] | None = None
        doubts: list[Problem] = []
        if preflight.level is not Level.off and not (problems or standing):
            checked, doubts = _preflight(reader, env, made, preflight)
    finally:
        reader.close()
    mask = mask.learnt(made)
    found = [*problems, *standing, *untold, *visibility.problems(observed, env.resources, destroy=options.destroy)]
    text = visibility.downgrade_untargeted(found, env.resources, discover(), options)
    problems = [problem for problem in text if not problem.warning]
    if not problems:
        refused = safety_rails.check(made, env, options, safety_rails.owned(observed, discover(), scope))
        if refused:
            raise RailRefusal(refused, made)
    text = [*text, *doubts]
    return Planned(
        env=env,
        plan=made,
        mask=mask,
        problems=tuple(problem for problem in text if not problem.warning),
        warnings=tuple(problem for problem in text if problem.warning),
        kept=kept,
        as_saved=as_saved,
        preflight=checked,
    )


def _keep_used(
    make: Callable[[Observed], tuple[Plan, list[Problem]]],
    observed: Observed,
    whole: Plan,
    find: Callable[[Plan], tuple[Used, tuple[Unreadable, ...]]],
    kept_before: Used,
) -> tuple[Plan, list[Problem], Observed]:
    """``whole`` without the removal of what is in use. An object that is kept may be a reason to keep
    others: dependents are then searched again, without what is still removed (equal calls are sent once).
    """
    from reconciler.account.dependents import removed_objects  # noqa: PLC0415  (see above)

    leaving = removed_objects(whole)
    while True:
        made, problems = make(observed)
        left = removed_objects(made)
        if leaving <= left:
            return made, problems, observed
        leaving = left
        named, unasked = find(made)
        used = kept_before | named
        if used == observed.used and unasked == observed.unanswered:
            return made, problems, observed
        observed = replace(observed, used=used, unanswered=unasked)


def _preflight(
    reader: Reader, env: Environment, plan: Plan, asked: Asked
) -> tuple[tuple[Checked, ...] | None, list[Problem]]:
    """What a preflight found, and the problems for people."""
    from reconciler.account import preflight  # noqa: PLC0415  (few plans have one)

    if asked.narrow and not plan.applyable:
        return None, []
    found = preflight.check(reader, discover(), env, plan, asked)
    return found, preflight.problems(env, plan, found)


def document(planned: Planned, *, timestamp: str, only_changes: bool = False) -> dict[str, Any]:
    """The plan as JSON (the contract's section 7)."""
    from reconciler.render import json  # noqa: PLC0415  (see above)

    found = json.plan(
        planned.plan, timestamp=timestamp, mask=planned.mask, errored=planned.errored, only_changes=only_changes
    )
    if planned.preflight is not None:
        from reconciler.render import preflight  # noqa: PLC0415  (few plans have one)

        found["preflight"] = preflight.rows(planned.preflight, planned.env.resources, planned.mask)
    return found if planned.taken is None else {**found, "applyable": False, "snapshot": planned.taken.as_json()}


class RailRefusal(Problems):
    """A safety rail refuses ``plan``: exit code 4."""

    def __init__(self, problems: list[Problem], plan: Plan) -> None:
        super().__init__(problems, exit_code=RAIL)
        self.plan = plan


def _resolve_lookups(
    env: Environment, scope: Scope, reader: Reader, options: Options, known: Mapping[str, Any]
) -> tuple[Mapping[str, Any], list[Problem]]:
    """The values of the look-ups, and problems for those that AWS refuses. Raises Problems where one has no value."""
    from reconciler.account import lookups  # noqa: PLC0415  (see above)

    facts, missing = lookups.resolve(env.lookups, scope, reader.ask, known) if not options.destroy else ({}, [])
    if any(problem.code != codes.LOOKUP_REFUSED for problem in missing):
        raise Problems(missing)
    return facts, missing


def execute(
    planned: Planned,
    aws: Aws,
    clock: Clock,
    emit: Callable[[Event], None],
    *,
    parallelism: int,
    keep_going: bool,
    stop: threading.Event,
    current: Callable[[], bool] = lambda: True,
) -> Outcome:
    """Run the plan's steps, reading objects again before they are written to; ``current`` is :class:`AccountRecheck`'s.

    ``stop`` requests a stop: running calls finish, no further steps start.
    """
    from reconciler.applying.executor import Executor  # noqa: PLC0415  (see above)

    executor = Executor(
        aws,
        clock,
        emit,
        parallelism=parallelism,
        keep_going=keep_going,
        stop=stop,
        recheck=recheck(planned, aws, current, clock.now),
    )
    return executor.run(planned.plan)


def recheck(
    planned: Planned,
    aws: Aws,
    current: Callable[[], bool] = lambda: True,
    now: Callable[[], float] = time.monotonic,
) -> AccountRecheck:
    """The recheck that reads the account again while ``planned`` is applied."""
    from reconciler.applying.preconditions import AccountRecheck  # noqa: PLC0415  (see above)

    return AccountRecheck(planned.plan, discover(), aws, registry.members, planned.env.ignore_tags, current, now)
