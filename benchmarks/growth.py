"""How CPU, memory and calls grow with the estate, as the exponent of N: 1 is in proportion, 2 is the square.

``python -m benchmarks.growth [--of plan|validate] [--mode MODE] [N]...`` measures a plan without changes, or
``validate``, for estates of N job definitions, whole processes as in :mod:`benchmarks.plan`, and fits ``cost - start =
a * N ** exponent``. What the smallest estate costs is the start, which every command pays. For a plan the estate is
created first, which takes a minute or two for 10,000 definitions and some six for 50,000. Its plan must find no
changes, except with ``--mode revisions``, which removes old ones.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks import crowd, estate
from benchmarks.plan import built, least, plan_of
from benchmarks.validate import used

SIZES = (20, 200, 1000, 5000)
RUNS = 3
ENDS = {"revisions": (2,)}  # how a plan ends that finds changes
Costs = Mapping[str, float]


def exponent(points: Sequence[tuple[int, float]]) -> float:
    """The exponent that fits best what the points after the first cost beyond it; 0 where they cost no more."""
    (first, start), *rest = points
    pairs = [(math.log(n - first), math.log(cost - start)) for n, cost in rest if cost > start]
    if len(pairs) < 2:
        return 0.0
    x, y = (sum(side) / len(pairs) for side in zip(*pairs, strict=True))
    return sum((a - x) * (b - y) for a, b in pairs) / sum((a - x) ** 2 for a, _ in pairs)


def of_validate(n: int, _: str) -> Costs:
    """CPU seconds and megabytes of ``validate``."""
    with tempfile.TemporaryDirectory() as directory:
        target = estate.write(Path(directory) / "estate", n)
        found = used(["reconciler", "validate", str(target)], runs=RUNS)
    return {"CPU s": found.cpu, "MB": found.memory}


def of_plan(n: int, mode: str) -> Costs:
    """CPU seconds, megabytes and calls of a plan without changes."""
    with built(n, mode) as (account, target):
        found = least([account.cost(plan_of(target), codes=ENDS.get(mode, (0,))) for _ in range(RUNS)])
    return {"CPU s": found.cpu, "MB": found.memory, "calls": found.calls.total()}


COMMANDS: Mapping[str, Callable[[int, str], Costs]] = {"plan": of_plan, "validate": of_validate}


def main() -> None:
    """Print a line for every size, and the exponents."""
    parser = argparse.ArgumentParser(description="How costs grow with the estate.")
    parser.add_argument("sizes", metavar="N", type=int, nargs="*", default=list(SIZES))
    parser.add_argument("--of", choices=sorted(COMMANDS), default="plan")
    parser.add_argument("--mode", choices=sorted(crowd.MODES), default="plain")
    asked = parser.parse_args()
    found: dict[str, list[tuple[int, float]]] = {}
    for n in asked.sizes:
        costs = COMMANDS[asked.of](n, asked.mode)
        for name, cost in costs.items():
            found.setdefault(name, []).append((n, cost))
        print(f"{n:>6}  " + "  ".join(f"{name} {cost:8.2f}" for name, cost in costs.items()), flush=True)
    print("  N **  " + "  ".join(f"{name} {exponent(points):8.2f}" for name, points in found.items()))


if __name__ == "__main__":
    main()
