"""Whether what a plan declares can run: a further read of the account, with the replies of the plan's own reads.

The kinds define the calls and judge the replies (``Kind.preflight``). What cannot be read is unknown, never a failure.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Final, TypeAlias

from reconciler.account.downloads import download
from reconciler.account.reader import Reader
from reconciler.model import Address, Declared, Environment, Kind, Plan, Reads, Reply, Unreadable
from reconciler.model import problem_codes as codes
from reconciler.model.paths import dotted
from reconciler.model.preflight import DOWNLOAD, Asked, Check, Checked, Checks, Fit, Ground, Level, Shared
from reconciler.model.problems import Problem

SHOWN: Final = 3  # further addresses in one sentence
ALIKE: Final = 10  # warnings of one check with the same way out, but about other objects; more are one
NONE: Final = Checks()
_Told: TypeAlias = tuple[Address, Check]


class _Locked(Shared):
    """For the threads of a reader: the first that asks for a value makes it, and the others wait."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._locks: dict[Hashable, threading.Lock] = {}

    def alone(self, key: Hashable) -> threading.Lock:
        """The lock of a key."""
        with self._lock:
            return self._locks.setdefault(key, threading.Lock())


def check(reader: Reader, kinds: Mapping[str, Kind], env: Environment, plan: Plan, asked: Asked) -> tuple[Checked, ...]:
    """What every kind checks of what the plan keeps, creates or changes; if that is asked, only of what it changes
    and what that concerns. Raises what a read raises, but Unreadable.
    """
    ground = Ground(
        scope=plan.scope,
        declared=Declared(env.resources, account=env.account, region=env.region),
        plans={item.address: item for item in plan.resources},
        full=asked.level is Level.full,
        narrow=asked.narrow,
        shared=_Locked(),
    )
    jobs: dict[Address, Callable[[], Sequence[Check] | Checks]] = {}
    for item in plan.resources:
        run, declared = kinds[item.address.section].preflight, env.resources.get(item.address)
        if run is not None and declared is not None and item.want is not None:
            jobs[item.address] = partial(reader.drive, _with_downloads(run(declared, ground)))
    found = ((address, _found(result)) for address, result in reader.run_all(jobs).items())
    return tuple(Checked(address=address, checks=checks) for address, checks in found if checks != NONE)


def _with_downloads(reads: Reads[Sequence[Check] | Checks]) -> Reads[Sequence[Check] | Checks]:
    """``reads``, whose downloads of signed URLs are answered here, and never reach a client of AWS."""
    try:
        calls = next(reads)
        while True:
            asked = tuple(call for call in calls if call.service != DOWNLOAD)
            answers: Iterator[Reply] = iter((yield asked) if asked else ())
            replies = tuple(
                download(str(call.params["url"])) if call.service == DOWNLOAD else next(answers) for call in calls
            )
            calls = reads.send(replies)
    except StopIteration as end:
        found: Sequence[Check] | Checks = end.value
        return found


def _found(result: Sequence[Check] | Checks | BaseException) -> Checks:
    if isinstance(result, Unreadable):
        denied = result.call.action if result.refused.denied else ""
        message = f"{result.call} refused: {result}"
        return Checks(own=(Check(check="reads", verdict=Fit.unknown, message=message, denied=denied),))
    if isinstance(result, BaseException):
        raise result
    return result if isinstance(result, Checks) else Checks(own=tuple(result))


def problems(env: Environment, plan: Plan, found: Sequence[Checked]) -> list[Problem]:
    """What people should know. An error where something that the plan changes certainly cannot run as it is declared,
    whatever else is done; else a warning, unless ``ignoreRules`` has it. A warning that is the same for several
    resources (their role, their image, their way out) is one, with their addresses.
    """
    changing = {item.address for item in plan.resources if item.steps and item.verb.value != "noop"}
    errors: list[Problem] = []
    warnings: dict[tuple[str, ...], list[_Told]] = {}
    telling: dict[int, Sequence[Check]] = {}
    for one in found:
        for check in _telling(one, telling):
            if _blocks(one.address, check, changing):
                errors.append(_problem(env, one.address, check, blocks=True))
            elif not env.ignores(_code(check), one.address):
                own_place = str(one.address) if check.alone else ""
                key = (check.check, _code(check), check.hint, own_place, check.message)
                warnings.setdefault(key, []).append((one.address, check))
    return [*errors, *_few(env, warnings)]


def _telling(one: Checked, known: dict[int, Sequence[Check]]) -> Iterator[Check]:
    """The checks that people are informed about; ``known`` has those of parts that are shared."""
    for part in one.parts():
        if id(part) not in known:
            known[id(part)] = [each for each in part if each.reported and each.verdict is Fit.cannot]
        yield from known[id(part)]


def _few(env: Environment, warnings: Mapping[tuple[str, ...], Sequence[_Told]]) -> Iterator[Problem]:
    """Those that differ by the object that they are about alone are one where they are many."""
    counts = Counter(key[:-1] for key in warnings)
    seen: set[tuple[str, ...]] = set()
    for (*alike, _), same in warnings.items():
        kind = tuple(alike)
        if counts[kind] <= ALIKE:
            yield _together(env, same, "")
        elif kind not in seen:
            yield _together(env, same, f"; {counts[kind] - 1} more like this are in --format json")
        seen.add(kind)


def _together(env: Environment, same: Sequence[_Told], more: str) -> Problem:
    address, check = same[0]
    others = list(dict.fromkeys(one for one, _ in same if one != address))
    if others:
        left = f" and {len(others) - SHOWN} more" if len(others) > SHOWN else ""
        more = f" (also {', '.join(map(str, others[:SHOWN]))}{left}){more}"
    problem = _problem(env, address, check, blocks=False)
    return replace(problem, message=f"{problem.message}{more}") if more else problem


def _blocks(address: Address, check: Check, changing: set[Address]) -> bool:
    """Whether it stops an apply."""
    return check.certain and check.final and not changing.isdisjoint((address, *check.about))


def _code(check: Check) -> codes.ProblemCode:
    return codes.CANNOT_RUN if check.certain else codes.MAY_NOT_RUN


def _problem(env: Environment, address: Address, check: Check, *, blocks: bool) -> Problem:
    way_out = "or pass --preflight=off" if blocks else ""
    return Problem(
        code=_code(check),
        message=check.message,
        hint=", ".join(filter(None, (check.hint, way_out))),
        address=str(address),
        path=dotted(check.path),
        pos=env.resources[address].at(check.path),
        warning=not blocks,
    )
