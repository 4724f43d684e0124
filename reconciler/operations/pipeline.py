"""The pipeline every command shares: load, check, look up, observe, plan; then show it or execute it.

There is no logic here, only the order of the stages and what each is handed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reconciler.account.refresh import refresh
from reconciler.checks import environment, secrets
from reconciler.config import loader
from reconciler.kinds import discover
from reconciler.model import Aws, Environment, Event, Options, Outcome, Plan, Scope
from reconciler.model.exit_codes import RAIL
from reconciler.model.masking import SHORT
from reconciler.model.paths import values_at
from reconciler.model.problems import Problem, Problems
from reconciler.render.mask import Mask
from reconciler.schema import registry

if TYPE_CHECKING:  # half of the program, and validating does without: imported where it is needed
    from reconciler.account.reader import Reader
    from reconciler.applying.executor import Clock
    from reconciler.applying.preconditions import AccountRecheck


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A plan with what it was made from. ``problems`` are errors: it must not be applied.

    ``kept`` is what it leaves in place since somebody names it, by section and physical name; ``as_saved``, where a
    saved plan is planned again, the plan if who names what had not moved since.
    """

    env: Environment
    plan: Plan
    mask: Mask
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    kept: frozenset[tuple[str, str]] = frozenset()
    as_saved: Plan | None = None

    @property
    def errored(self) -> bool:
        return bool(self.problems)


def read_environment(
    target: Path, environ: Mapping[str, str], *, strict: bool
) -> tuple[Environment, tuple[Problem, ...]]:
    """Load and check: everything that needs no AWS. Returns the environment and its warnings; raises Problems.

    ``strict``: an environment variable that is not set is an error (a plan needs it), else a warning.
    """
    loaded = loader.load(target, environ=environ)
    env, found = environment.environment(loaded, discover())
    unset = tuple(replace(problem, warning=not strict) for problem in loaded.unset)
    found = (*found, *unset)
    if any(not problem.warning for problem in found):
        raise Problems(found)
    return env, found


def mask_for(env: Environment) -> Mask:
    """Hides what must not be seen: values of secret fields, and what is named as secrets are."""
    kinds = discover()
    found, words = set(env.sensitive), {text for text in env.sensitive if len(text) < SHORT}
    for resource in env.resources.values():
        secret = [path for path, facts in kinds[resource.address.section].fields.items() if facts.secret]
        secret += [path for path, facts in resource.unknown_members.items() if facts.secret]
        for pattern in secret:
            for _, value in values_at(resource.props, pattern):
                found.update(secrets.texts(value))
    return Mask(found, words)


def make_plan(env: Environment, scope: Scope, aws: Aws, options: Options, *, parallelism: int = 16) -> Planned:
    """Ask the account and plan. Raises Problems where no plan can be made at all (wrong account, look-ups)."""
    from reconciler.account import dependents, side_effects  # noqa: PLC0415  (see above)
    from reconciler.account.reader import Reader, SharedResult  # noqa: PLC0415
    from reconciler.planning import planner as plan  # noqa: PLC0415
    from reconciler.planning import safety_rails, visibility  # noqa: PLC0415

    mask = mask_for(env)
    wrong = safety_rails.account(scope.account, env)
    if wrong:
        raise Problems(wrong, exit_code=RAIL)
    reader = Reader(aws, parallelism=parallelism)
    try:
        looked = SharedResult(lambda: _looked_up(env, scope, reader, options))
        seen = refresh(env, scope, reader, looked, options)
        facts, untold = looked()
        seen = replace(seen, unresolved_lookups=visibility.unresolved_lookups(env, facts, untold))
        make = partial(plan.make, env, discover(), scope, options=options, members=registry.members, lookups=facts)
        whole, problems = make(seen)
        named, unasked = dependents.find_dependents(reader, discover(), scope, whole)
        as_saved, used = None, dependents.kept_by_saved_plan(options.kept) | named
        if options.kept is not None and named.keys() - options.kept:
            as_saved, _ = make(replace(seen, used=dependents.kept_by_saved_plan(options.kept), unanswered=unasked))
            as_saved, _ = side_effects.find_side_effects(reader, discover(), env, as_saved)
        made = whole
        if used or unasked:
            seen = replace(seen, used=used, unanswered=unasked)
            made, problems = make(seen)
        stayed = dependents.removed_objects(whole) - dependents.removed_objects(made)
        made, standing = side_effects.find_side_effects(reader, discover(), env, made)
    finally:
        reader.close()
    mask = mask.learnt(made)
    found = [*problems, *standing, *untold, *visibility.problems(seen, env.resources, destroy=options.destroy)]
    told = visibility.downgrade_untargeted(found, env.resources, discover(), options)
    problems = [problem for problem in told if not problem.warning]
    if not problems:
        refused = safety_rails.check(made, env, options, safety_rails.owned(seen, env.name))
        if refused:
            raise RailRefusal(refused, made)
    warnings = tuple(problem for problem in told if problem.warning)
    return Planned(
        env=env,
        plan=made,
        mask=mask,
        problems=tuple(problems),
        warnings=warnings,
        kept=stayed,
        as_saved=as_saved,
    )


def document(made: Planned, *, timestamp: str, only_changes: bool = False) -> dict[str, Any]:
    """The plan as JSON (the contract's section 7)."""
    from reconciler.render import json  # noqa: PLC0415  (see above)

    return json.plan(made.plan, timestamp=timestamp, mask=made.mask, errored=made.errored, only_changes=only_changes)


class RailRefusal(Problems):
    """A safety rail holds: exit code 4, with the plan that was refused."""

    def __init__(self, problems: list[Problem], made: Plan) -> None:
        super().__init__(problems, exit_code=RAIL)
        self.plan = made


def _looked_up(
    env: Environment, scope: Scope, reader: Reader, options: Options
) -> tuple[Mapping[str, Any], list[Problem]]:
    """The values of the look-ups, and what AWS would not tell; raises Problems where one has none."""
    from reconciler.account import lookups  # noqa: PLC0415  (see above)

    facts, missing = lookups.resolve(env.lookups, scope, reader.ask) if not options.destroy else ({}, [])
    if any(problem.code != lookups.REFUSED for problem in missing):
        raise Problems(missing)
    return facts, missing


def execute(
    made: Planned,
    aws: Aws,
    clock: Clock,
    emit: Callable[[Event], None],
    *,
    parallelism: int,
    keep_going: bool,
    stop: threading.Event,
    current: Callable[[], bool] = lambda: True,
) -> Outcome:
    """Do what the plan says, looking again before it writes; ``current`` is :class:`AccountRecheck`'s."""
    from reconciler.applying.executor import Executor  # noqa: PLC0415  (see above)

    executor = Executor(
        aws,
        clock,
        emit,
        parallelism=parallelism,
        keep_going=keep_going,
        stop=stop,
        recheck=recheck(made, aws, current),
    )
    return executor.run(made.plan)


def recheck(made: Planned, aws: Aws, current: Callable[[], bool] = lambda: True) -> AccountRecheck:
    """Who looks at the account again while ``made`` is applied."""
    from reconciler.applying.preconditions import AccountRecheck  # noqa: PLC0415  (see above)

    return AccountRecheck(made.plan, discover(), aws, registry.members, made.env.ignore_tags, current)
