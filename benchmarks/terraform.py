"""What the same estate costs with terraform, beside ours and the floor.

``python -m benchmarks.terraform --plugins DIRECTORY [--delay SECONDS]... [N]...`` writes the estate of N job
definitions as terraform's configuration (:mod:`benchmarks.terraform_estate`), and runs terraform with its defaults,
ten operations at a time and a local state, against the sandbox of the other benchmarks with their settings. Nothing
is skipped that users do not skip, except that ``init`` is not measured and terraform does not ask for newer versions
of itself. The commands:

validate   ``terraform validate``
apply      ``terraform apply`` in an empty account
plan       ``terraform plan -detailed-exitcode``, which finds no changes
destroy    ``terraform destroy``

CPU and memory are those of terraform and the provider's plugin (:mod:`benchmarks.tree`). Ours and the floor are
measured in the same run, by :mod:`benchmarks.validate`, :mod:`benchmarks.plan` and :mod:`benchmarks.apply`
(``--alone`` leaves them out). ``DIRECTORY`` is a mirror of terraform's registry in the file system that has the AWS
provider 5.100.0, as ``terraform providers mirror`` makes it; the default is ``$TF_PLUGINS``.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import apply, estate, plan, terraform_estate, tree, validate
from benchmarks.plan import DELAY, Account, Cost

SIZES = (20, 200)
RUNS = 3
AGAIN = 2
"""So often ours is applied and destroyed: a first time on a machine, it prepares what later commands use."""
COMMANDS: Mapping[str, Sequence[str]] = {
    "validate": ("validate", "-no-color"),
    "apply": ("apply", "-auto-approve", "-input=false", "-no-color"),
    "plan": ("plan", "-detailed-exitcode", "-input=false", "-no-color"),
    "destroy": ("destroy", "-auto-approve", "-input=false", "-no-color"),
}
_CONFIG = """\
provider_installation {{
  filesystem_mirror {{
    path = "{plugins}"
  }}
}}
"""


@dataclass(frozen=True, slots=True)
class Line:
    """What one command of one tool took; ``delay`` in seconds a call."""

    command: str
    tool: str
    delay: float
    cost: Cost
    refused: Counter[str]

    def text(self, n: int) -> str:
        """As a line of the table."""
        cost = self.cost
        return (
            f"{n:>6} {self.command:>9} {self.tool:>9} {self.delay * 1000:>5.0f} {cost.calls.total():>6} "
            f"{cost.wall:>8.2f} {cost.cpu:>7.2f} {cost.memory:>5.0f}"
        )


class Terraform:
    """terraform in a directory of its own, whose AWS is the sandbox of ``account``."""

    def __init__(self, account: Account, directory: Path, n: int, plugins: Path) -> None:
        self._account = account
        self._module = terraform_estate.write(directory / "module", n)
        self._environ = environment(account, directory, plugins)
        self._run(("init", "-input=false", "-no-color"))

    def cost(self, command: str, delay: float = 0, runs: int = 1) -> Line:
        """What ``command`` took, at least, in ``runs`` runs. Raises RuntimeError where it fails."""
        sandbox = self._account.sandbox
        found = []
        for _ in range(runs):
            sandbox.calls.clear()
            sandbox.faults.clear()
            sandbox.clock.speed = 1
            if delay:
                sandbox.faults.add(delay=delay, times=0)
            done = self._run(COMMANDS[command])
            made = Counter(f"{one.service}:{one.operation}" for one in sandbox.calls)
            found.append(Cost(done.wall, done.cpu, done.memory, made))
        refused = Counter(f"{one.service}:{one.operation} {one.code}" for one in sandbox.calls if one.status >= 400)
        return Line(command, "terraform", delay, plan.least(found), refused)

    def _run(self, words: Sequence[str]) -> tree.Used:
        done = tree.used(["terraform", *words], cwd=self._module, env=self._environ)
        if done.code != 0:
            raise RuntimeError(f"terraform {words[0]} ended with {done.code}: {done.said[-4000:]}")
        return done


def environment(account: Account, directory: Path, plugins: Path) -> dict[str, str]:
    """The variables that lead terraform to the sandbox and to its plugins; ``directory`` gets its configuration."""
    config = directory / "terraform.rc"
    config.write_text(_CONFIG.format(plugins=plugins.resolve()), "utf-8")
    others = {name: value for name, value in account.environ.items() if not name.startswith("TF_")}
    return {**others, "TF_CLI_CONFIG_FILE": str(config), "CHECKPOINT_DISABLE": "1"}


def terraform(n: int, plugins: Path, delays: Sequence[float]) -> Iterator[Line]:
    """What each command of terraform takes for the estate of ``n``."""
    account = Account()
    try:
        settling = (name for name, _ in apply.WAITED.values())
        account.sandbox.change(dict.fromkeys((*settling, *apply.AT_ONCE), 0))
        account.sandbox.warm()
        with tempfile.TemporaryDirectory() as directory:
            tool = Terraform(account, Path(directory), n, plugins)
            yield tool.cost("validate", runs=RUNS)
            for delay in delays:
                account.sandbox.empty()
                yield tool.cost("apply", delay)
                yield tool.cost("plan", delay, runs=RUNS)
                yield tool.cost("destroy", delay)
    finally:
        account.close()


def ours(n: int, delays: Sequence[float]) -> Iterator[Line]:
    """The same of ours, and of the floor where there is one; for ``validate`` that is Python's start."""
    none: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as directory:
        target = estate.write(Path(directory) / "estate", n)
        commands = {"floor": ["this"], "ours": ["reconciler", "validate", str(target)]}
        for tool, words in commands.items():
            took = validate.used(words)
            yield Line("validate", tool, 0, Cost(took.wall, took.cpu, took.memory, none), none)
    for tool, costs in sorted(plan.measured(n, "plain").items()):
        for delay, cost in zip((0.0, DELAY), costs, strict=True):
            yield Line("plan", tool, delay, cost, none)
    for delay in delays:
        several = [apply.measured(n, "at-once", delay) for _ in range(AGAIN)]
        yield Line("apply", "ours", delay, plan.least([one.apply.cost for one in several]), none)
        yield Line("destroy", "ours", delay, plan.least([one.destroy.cost for one in several]), none)


def main() -> None:
    """Print a line for every size, command and tool, terraform's calls by operation, and the ratios."""
    parser = argparse.ArgumentParser(description="What the same estate costs with terraform.")
    parser.add_argument("sizes", metavar="N", type=int, nargs="*", default=list(SIZES))
    add_plugins(parser)
    parser.add_argument("--delay", type=float, action="append", help="seconds that each call takes in addition")
    parser.add_argument("--alone", action="store_true", help="terraform only")
    asked = parser.parse_args()
    delays = asked.delay or [0.0, DELAY]
    print(f"{'N':>6} {'command':>9} {'tool':>9} {'delay':>5} {'calls':>6} {'wall':>8} {'CPU s':>7} {'MB':>5}")
    for n in asked.sizes:
        lines = []
        for line in _all(n, asked.plugins, delays, alone=asked.alone):
            lines.append(line)
            print(line.text(n), flush=True)
            if line.tool == "terraform":
                for counted in filter(None, (line.cost.calls, line.refused)):
                    head = "refused: " if counted is line.refused else ""
                    print(f"       {head}" + ", ".join(f"{call} {count}" for call, count in sorted(counted.items())))
        for text in ratios(lines):
            print(f"{n:>6} {text}", flush=True)


def add_plugins(parser: argparse.ArgumentParser) -> None:
    """Add the option for the mirror of the providers."""
    known = os.environ.get("TF_PLUGINS")
    words = "mirror of terraform's registry, with the AWS provider 5.100.0 (default: $TF_PLUGINS)"
    parser.add_argument("--plugins", metavar="DIRECTORY", type=Path, default=known, required=not known, help=words)


def _all(n: int, plugins: Path, delays: Sequence[float], *, alone: bool) -> Iterator[Line]:
    yield from terraform(n, plugins, delays)
    if not alone:
        yield from ours(n, delays)


def ratios(lines: Sequence[Line]) -> Iterator[str]:
    """terraform's figures as multiples of ours, and of the floor."""
    by = {(line.command, line.delay, line.tool): line.cost for line in lines}
    for (command, delay, tool), cost in by.items():
        least = by.get((command, delay, "terraform"))
        if tool == "terraform" or least is None:
            continue
        yield (
            f"{command:>9} at {delay * 1000:.0f} ms a call, terraform ÷ {tool}: wall {least.wall / cost.wall:.1f}, "
            f"CPU {least.cpu / cost.cpu:.1f}, memory {least.memory / cost.memory:.1f}"
            + (f", calls {least.calls.total() / cost.calls.total():.1f}" if cost.calls else "")
        )


if __name__ == "__main__":
    main()
