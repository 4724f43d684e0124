"""What a plan without changes costs: API calls, wall time, CPU and memory, compared with the floor.

``python -m benchmarks.plan [--mode MODE]... [N]...`` starts a sandbox, applies an estate of N job definitions
(:mod:`benchmarks.estate`), adds what the mode adds to the account, and runs ``reconcile plan`` in a process of its own,
whose CPU and memory the operating system counts. The floor (:mod:`benchmarks.floor`) is another such process. The
modes:

plain      the estate alone
foreign    ten times as many unowned resources of every kind
revisions  twenty ACTIVE revisions of every definition
roles      three thousand unowned roles

Times depend on the machine, calls do not: those are asserted in ``tests/account/test_reader.py``.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import crowd, estate
from benchmarks.build import build
from benchmarks.peak import RUN
from reconciler.sandbox.clock import Clock
from reconciler.sandbox.process import environment
from reconciler.sandbox.server import Sandbox

SIZES = (20, 200, 1000)
DELAY = 0.05
RUNS = 7


@dataclass(frozen=True, slots=True)
class Cost:
    """What one process took: seconds, megabytes, and its calls by ``service:Operation``."""

    wall: float
    cpu: float
    memory: float
    calls: Counter[str]


class Account:
    """A sandbox that serves other processes."""

    def __init__(self) -> None:
        self.sandbox = Sandbox(clock=Clock(speed=1000))
        self.sandbox.change({"environments_most": 100_000, "queues_most": 100_000})
        self.server = self.sandbox.serve()
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        self.environ = {**os.environ, **environment(self.server.url), "NO_COLOR": "1"}
        self.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # as for an installed program, whose modules are compiled

    def cost(
        self,
        module: Sequence[str],
        *,
        delay: float = 0,
        started: Callable[[int], object] = lambda _: None,
        codes: Collection[int] = (0, 2),
    ) -> Cost:
        """Run ``module`` with arguments; each call takes ``delay`` seconds more, and ``started`` gets the id of the
        process. Raises RuntimeError where it does not end with one of the exit codes ``codes``.
        """
        self.sandbox.calls.clear()
        self.sandbox.faults.clear()
        self.sandbox.clock.speed = 1
        if delay:
            self.sandbox.faults.add(delay=delay, times=0)
        with tempfile.NamedTemporaryFile("r") as memory:
            command = [sys.executable, "-c", RUN, memory.name, *module]
            began = time.monotonic()
            process = subprocess.Popen(  # noqa: S603  our own module
                command, env=self.environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
            )
            started(process.pid)
            assert process.stdout is not None
            said = process.stdout.read()
            _, status, usage = os.wait4(process.pid, 0)
            took = time.monotonic() - began
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode not in codes:
                raise RuntimeError(f"{module} ended with {process.returncode}: {said.decode()[-2000:]}")
            peak = int(memory.read()) / 1024
        made = Counter(f"{record.service}:{record.operation}" for record in self.sandbox.calls)
        return Cost(took, usage.ru_utime + usage.ru_stime, peak, made)

    def apply(self, target: Path) -> None:
        """Apply the estate. Raises RuntimeError where that fails."""
        self.sandbox.clock.speed = 1000
        command = [sys.executable, "-m", "reconciler", "apply", str(target), "--auto-approve", "--parallelism", "32"]
        done = subprocess.run(command, env=self.environ, capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode != 0:
            raise RuntimeError(done.stdout[-2000:] + done.stderr[-2000:])

    def close(self) -> None:
        """Stop the server."""
        self.sandbox.reset()
        self.server.shutdown()
        self.server.server_close()


@contextmanager
def built(n: int, mode: str) -> Iterator[tuple[Account, Path]]:
    """An account with an estate at rest and what the mode adds, and the estate's files."""
    account = Account()
    try:
        with tempfile.TemporaryDirectory() as directory:
            target = estate.write(Path(directory) / "estate", n)
            account.sandbox.clock.speed = 1000
            build(account.sandbox, target)
            crowd.MODES[mode](account.sandbox, n)
            account.sandbox.clock.advance(3600)
            yield account, target
    finally:
        account.close()


def plan_of(target: Path) -> list[str]:
    """The command that plans: its exit code tells whether there are changes."""
    return ["reconciler", "plan", str(target), "--detailed-exitcode"]


def measured(n: int, mode: str) -> Mapping[str, tuple[Cost, Cost]]:
    """The cost without a delay and with ``DELAY`` seconds a call: of the plan (``ours``) and of the floor."""
    with built(n, mode) as (account, target):
        commands = {"ours": plan_of(target), "floor": ["benchmarks.floor", str(n)]}
        costs: dict[tuple[str, float], list[Cost]] = {}
        for delay in (0.0, DELAY):
            for _ in range(RUNS):  # in turns, so that a slow minute of the machine is one of both
                for name, module in commands.items():
                    costs.setdefault((name, delay), []).append(account.cost(module, delay=delay))
        return {name: (least(costs[name, 0.0]), least(costs[name, DELAY])) for name in commands}


def least(costs: Sequence[Cost]) -> Cost:
    """The minimum of several runs: the run that other work on the machine disturbs least."""
    walls, cpus, peaks = zip(*((one.wall, one.cpu, one.memory) for one in costs), strict=True)
    return Cost(min(walls), min(cpus), min(peaks), costs[0].calls)


def main() -> None:
    """Print a line for every size and mode, and the calls by operation."""
    parser = argparse.ArgumentParser(description="What a plan without changes costs.")
    parser.add_argument("sizes", metavar="N", type=int, nargs="*", default=list(SIZES))
    parser.add_argument("--mode", action="append", choices=sorted(crowd.MODES))
    parser.add_argument("--json", action="store_true", help="one object a line")
    asked = parser.parse_args()
    print(f"{'N':>6} {'mode':>10} {'':>6} {'calls':>6} {'wall':>6} {'at 50ms':>8} {'CPU s':>6} {'MB':>5}")
    for mode in asked.mode or ["plain"]:
        for n in asked.sizes:
            both = measured(n, mode)
            for name, (quick, slow) in both.items():
                calls = quick.calls.total()
                print(
                    f"{n:>6} {mode:>10} {name:>6} {calls:>6} {quick.wall:>6.2f} {slow.wall:>8.2f} {quick.cpu:>6.2f} "
                    f"{quick.memory:>5.0f}",
                    flush=True,
                )
                print("       " + ", ".join(f"{call} {count}" for call, count in sorted(quick.calls.items())))
                if asked.json:
                    print(json.dumps({"n": n, "mode": mode, "of": name, "calls": quick.calls}))
            print(f"{n:>6} {mode:>10}  ours ÷ floor: {ratios(both['ours'], both['floor'])}", flush=True)


def ratios(ours: tuple[Cost, Cost], floor: tuple[Cost, Cost]) -> str:
    """The figures that a busy machine changes least, since it slows both."""
    (quick, slow), (least, least_slow) = ours, floor
    return (
        f"CPU {quick.cpu / least.cpu:.2f}, at {DELAY * 1000:.0f} ms a call {slow.wall / least_slow.wall:.2f}, "
        f"memory {quick.memory - least.memory:+.0f} MB, calls {quick.calls.total()} to {least.calls.total()}"
    )


if __name__ == "__main__":
    main()
