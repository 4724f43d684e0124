"""What a preflight found: as JSON (the contract's section 8), and in one line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from reconciler.model import Address, Resource
from reconciler.model.paths import dotted
from reconciler.model.preflight import Check, Checked, Fit, Placed
from reconciler.render.mask import Mask

#: Rows of queues with environments; of more than these only those that say why a resource does not run are written.
MOST: Final = 10_000
_PLACEMENT: Final = "placement"
_DOUBTS: Final = 2  # sentences about what is unknown, in the line of the plan


def rows(found: Sequence[Checked], resources: Mapping[Address, Resource], mask: Mask) -> list[dict[str, Any]]:
    """Each check, with its place in YAML. ``permission`` is the action that was not permitted, where that is why.

    In large estates a row is about an environment in all its queues, and where one fits it is left out, as are those
    of resources that can run elsewhere; ``omitted`` in the row ``placement`` is how many there are.
    """
    places = {id(one.checks.placed): one.checks.placed for one in found if one.checks.placed}
    known = {name: _Shown(placed) for name, placed in places.items()}
    size = sum(known[id(one.checks.placed)].size for one in found if one.checks.placed)
    if size <= MOST:
        return [row for one in found for row in _all(one, resources[one.address], mask)]
    return [row for one in found for row in _few(one, known.get(id(one.checks.placed)), resources[one.address], mask)]


class _Shown:
    """The number of rows of checks in environments, and those of them that do not fit, each environment once."""

    def __init__(self, placed: Placed) -> None:
        self.size = sum(len(placed.checks[kind]) for _, _, kind in placed.pairs)
        self.unfit = {
            environment: [each for each in placed.checks[kind] if each.verdict is not Fit.fits]
            for _, environment, kind in placed.pairs
        }


def _all(one: Checked, resource: Resource, mask: Mask) -> Iterator[dict[str, Any]]:
    yield from (_row(check, resource, mask) for check in one.checks.own)
    if (placed := one.checks.placed) is not None:
        for queue, environment, kind in placed.pairs:
            yield from (_row(check, resource, mask, queue, environment) for check in placed.checks[kind])
    yield from (_row(check, resource, mask) for check in one.checks.after)


def _few(one: Checked, shown: _Shown | None, resource: Resource, mask: Mask) -> Iterator[dict[str, Any]]:
    yield from (_row(check, resource, mask) for check in one.checks.own)
    runs = any(check.check == _PLACEMENT and check.verdict is Fit.fits for check in one.checks.after)
    omitted = shown.size if shown else 0
    for environment, checks in shown.unfit.items() if shown else ():
        wanted = [each for each in checks if each.reported or not runs]
        omitted -= len(wanted)
        yield from (_row(check, resource, mask, "", environment) for check in wanted)
    after = [each for each in one.checks.after if each.verdict is not Fit.fits or not each.environment]
    omitted += len(one.checks.after) - len(after)
    for check in after:
        yield {**_row(check, resource, mask), **({"omitted": omitted} if check.check == _PLACEMENT else {})}


def _row(check: Check, resource: Resource, mask: Mask, queue: str = "", environment: str = "") -> dict[str, Any]:
    pos = resource.at(check.path)
    return {
        "address": mask.text(str(resource.address)),
        "queue": mask.text(queue or check.queue) or None,
        "environment": mask.text(environment or check.environment) or None,
        "check": check.check,
        "verdict": check.verdict.value,
        "certainty": None if check.verdict is Fit.unknown else "certain" if check.certain else "likely",
        "message": mask.text(check.message),
        "hint": mask.text(check.hint),
        "path": mask.text(dotted(check.path)),
        "file": pos.file or None,
        "line": pos.line if pos.file else None,
        "column": pos.column if pos.file else None,
        **({"permission": check.denied} if check.denied else {}),
    }


def summary(found: Sequence[Checked]) -> str:
    """The number of checks by verdict: ``Preflight: 12 checks fit, 1 cannot, 2 unknown (...).`` What cannot run is a
    warning or an error of its own; of what is unknown this says why, or where that stands.
    """
    if not found:
        return "Preflight: nothing to check."
    counts, denied, doubts = _counts(found)
    parts = [f"{counts[Fit.fits]} check{'s' * (counts[Fit.fits] != 1)} fit"]
    parts[0] += "s" * (counts[Fit.fits] == 1)
    parts += [f"{counts[fit]} {fit.value}" for fit in (Fit.cannot, Fit.unknown) if counts[fit]]
    if counts[Fit.unknown] and (doubts or not denied):
        parts[-1] += f" ({'; '.join(doubts) if 0 < len(doubts) <= _DOUBTS else 'see `--format json`'})"
    allow = f" (not permitted: {', '.join(sorted(denied))})" if denied else ""
    return f"Preflight: {', '.join(parts)}{allow}."


def _counts(found: Sequence[Checked]) -> tuple[Counter[Fit], set[str], list[str]]:
    """The number of checks by verdict, in every queue, the actions that were not permitted, and the sentences about
    what else is unknown. Most checks belong to parts that resources share, and are looked at once.
    """
    counts: Counter[Fit] = Counter()
    denied: set[str] = set()
    doubts: dict[str, None] = {}
    uses = Counter(id(part) for one in found for part in (one.checks.own, one.checks.placed, one.checks.after))
    parts = {id(part): part for one in found for part in (one.checks.own, one.checks.placed, one.checks.after)}
    for name, part in parts.items():
        times: Mapping[Any, int] = {None: 1}
        checks: Mapping[Any, Sequence[Check]] = {None: part} if part and not isinstance(part, Placed) else {}
        if isinstance(part, Placed):
            times, checks = Counter(kind for _, _, kind in part.pairs), part.checks
        for kind, each in checks.items():
            denied.update(check.denied for check in each if check.denied)
            doubts |= {check.message: None for check in each if check.verdict is Fit.unknown and not check.denied}
            for check in each:
                counts[check.verdict] += uses[name] * times[kind]
    return counts, denied, [*doubts]
