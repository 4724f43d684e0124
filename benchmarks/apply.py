"""What a first apply and a destroy cost: API calls, wall time, CPU and memory, and the longest chain of its steps.

``python -m benchmarks.apply [--delay SECONDS] [--settling NAME]... [N]...`` writes an estate of N job definitions
(:mod:`benchmarks.estate`) and applies it to an empty account in a process of its own, whose CPU and memory the
operating system counts; the sandbox runs in this one. Compute environments and queues settle

at-once  when the call that creates, changes or deletes them returns
as-aws   after the sandbox's estimate of AWS's time: 5 to 45 seconds

The critical path is the time that more workers cannot shorten: until the first write (start, load, plan, lock), the
longest chain of the plan's steps, and from the last write on. In the chain a call counts as the median of its
operation, and a wait as one poll and the sandbox's setting for its duration.

``allowed`` are the calls as a multiple of those that may be made: the writes, and 1.1 times the reads of two plans
without changes. ``grows`` is how many MB the process gains from its first write to its peak. Then all of it is
destroyed, in the same way.

Times depend on the machine, calls do not: those are asserted in ``tests/applying/test_apply_calls.py``.
"""

from __future__ import annotations

import argparse
import json
import re
import tempfile
import threading
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from statistics import median

from benchmarks import estate
from benchmarks.plan import SIZES, Account, Cost
from reconciler.account.client import AwsClient, identity, session_in
from reconciler.model import Call, Options, Plan, Step
from reconciler.operations import pipeline
from reconciler.sandbox.server import Record

WAITED = {
    "CreateComputeEnvironment": ("environment_create", 15.0),
    "UpdateComputeEnvironment": ("environment_scaling", 10.0),
    "DeleteComputeEnvironment": ("environment_delete", 45.0),
    "CreateJobQueue": ("queue_create", 5.0),
    "UpdateJobQueue": ("queue_update", 5.0),
    "DeleteJobQueue": ("queue_delete", 15.0),
}
"""By the call that starts the wait: the sandbox's setting for its duration, and the seconds of ``as-aws``."""
AT_ONCE = ("deleted_lingers", "relationship_lag", "iam_delay")
"""What takes no time here in any case."""
SETTLING = {"at-once": 0.0, "as-aws": 1.0}
READS = ("Describe", "Get", "List")


@dataclass(frozen=True, slots=True)
class Run:
    """What a command took, in seconds: ``before`` until the first write, ``chain`` the longest chain of steps,
    ``after`` from the last write on; ``grows`` are the megabytes that its process gained while it wrote.
    """

    cost: Cost
    before: float
    chain: float
    after: float
    grows: float

    @property
    def critical(self) -> float:
        """The seconds of the critical path."""
        return self.before + self.chain + self.after

    @property
    def ratio(self) -> float:
        """The wall time as a multiple of the critical path."""
        return self.cost.wall / self.critical

    def allowed(self, plan: Cost) -> float:
        """The calls as a multiple of the writes and the reads of two plans without changes, and a tenth of these."""
        writes = sum(count for call, count in self.cost.calls.items() if not _is_read(call))
        return self.cost.calls.total() / (writes + 1.1 * 2 * sum(plan.calls.values()))


@dataclass(frozen=True, slots=True)
class Applied:
    """The first apply of an estate, a plan without changes after it, and the end of it all."""

    apply: Run
    plan: Cost
    destroy: Run


def measured(n: int, settling: str, delay: float) -> Applied:
    """One first apply of the estate of ``n``, and its end."""
    account = Account()
    try:
        lasting = {name: seconds * SETTLING[settling] for name, seconds in WAITED.values()}
        account.sandbox.change({**dict.fromkeys(AT_ONCE, 0), **lasting})
        account.sandbox.warm()
        with tempfile.TemporaryDirectory() as directory:
            target = estate.write(Path(directory) / "estate", n)
            applied = _run(account, target, "apply", lasting, delay)
            plan = account.cost(["reconciler", "plan", str(target)])
            return Applied(applied, plan, _run(account, target, "destroy", lasting, delay))
    finally:
        account.close()


def _run(account: Account, target: Path, command: str, lasting: Mapping[str, float], delay: float) -> Run:
    journal = target.parent / f"{command}.journal"
    made = _planned(account, target, destroy=command == "destroy")
    account.sandbox.clock.speed = 1
    began = account.sandbox.clock.now()
    memory = _Memory(account)
    argv = ["reconciler", command, str(target), "--auto-approve", "--journal", str(journal)]
    cost = account.cost(argv, delay=delay, started=memory.watch)
    ended, changes, took = account.sandbox.clock.now(), _changes(account), _took(journal)
    return Run(
        cost,
        before=changes[0].at - took[f"{changes[0].service}:{changes[0].operation}"] - began,
        chain=longest(made.steps, took, lasting),
        after=ended - changes[-1].at,
        grows=memory.gained(),
    )


class _Memory:
    """The memory of a process while it writes, as the operating system counts it."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._seen: list[float] = []
        self._thread = threading.Thread(daemon=True)

    def watch(self, process: int) -> None:
        """Look at it until it ends."""
        self._thread = threading.Thread(target=self._look, args=(process,), daemon=True)
        self._thread.start()

    def _look(self, process: int) -> None:
        status = Path(f"/proc/{process}/status")
        while True:
            try:
                found = re.search(r"VmRSS:\s*(\d+)", status.read_text("utf-8"))
            except OSError:
                return
            if found is None:  # it has ended
                return
            if self._seen or _changes(self._account):
                self._seen.append(int(found[1]) / 1024)
            time.sleep(0.05)

    def gained(self) -> float:
        """The megabytes from the first write to the peak."""
        self._thread.join()
        return max(self._seen, default=0.0) - next(iter(self._seen), 0.0)


def _is_read(call: str) -> bool:
    return call.partition(":")[2].startswith(READS) or call.startswith("tagging:")


def _planned(account: Account, target: Path, *, destroy: bool) -> Plan:
    """The plan that will be applied."""
    client = AwsClient(session_in(account.sandbox.attach()._session, account.sandbox.region))  # noqa: SLF001
    env, _ = pipeline.read_environment(target, account.environ, strict=True)
    return pipeline.make_plan(env, identity(client, env.name), client, Options(destroy=destroy)).plan


def _took(journal: Path) -> Mapping[str, float]:
    """The median seconds of a call, by ``service:Operation``."""
    found: dict[str, list[float]] = {}
    for line in map(json.loads, journal.read_text("utf-8").splitlines()):
        if line["type"] == "call":
            found.setdefault(line["call"], []).append(line["took"])
    return {call: median(times) for call, times in found.items()}


def _changes(account: Account) -> list[Record]:
    """The writes, except those of the lock."""
    return [one for one in account.sandbox.calls if one.service != "ssm" and not one.operation.startswith(READS)]


def longest(steps: Collection[Step], took: Mapping[str, float], lasting: Mapping[str, float]) -> float:
    """The seconds of the longest chain of ``steps``."""
    known = {step.id: step for step in steps}
    ends: dict[str, float] = {}
    for name in TopologicalSorter({step.id: [b for b in step.after if b in known] for step in steps}).static_order():
        step = known[name]
        earlier = [before for before in step.after if before in known]
        ends[name] = max((ends[before] for before in earlier), default=0.0) + _lasts(step, known, took, lasting)
    return max(ends.values(), default=0.0)


def _lasts(step: Step, known: Mapping[str, Step], took: Mapping[str, float], lasting: Mapping[str, float]) -> float:
    if isinstance(step.action, Call):
        return took.get(str(step.action), 0.0)
    begun = [known[before].action for before in step.after if before in known]
    settings = [WAITED[call.operation][0] for call in begun if isinstance(call, Call) and call.operation in WAITED]
    looked = 0.0 if step.action.known else took.get(str(step.action.read), 0.0)
    return looked + max((lasting[setting] for setting in settings), default=0.0)


def main() -> None:
    """Print a line for every size and way of settling, and the calls by operation."""
    parser = argparse.ArgumentParser(description="What a first apply costs.")
    parser.add_argument("sizes", metavar="N", type=int, nargs="*", default=list(SIZES))
    parser.add_argument("--settling", action="append", choices=sorted(SETTLING))
    parser.add_argument("--delay", type=float, default=0.0, help="seconds that each call takes in addition")
    parser.add_argument("--json", action="store_true", help="one object a line")
    asked = parser.parse_args()
    print(
        f"{'N':>6} {'settling':>9} {'calls':>6} {'wall':>7} {'CPU s':>6} {'MB':>5} "
        f"{'before':>7} {'chain':>6} {'after':>6} {'ratio':>6} {'allowed':>7} {'grows':>5}"
    )
    for settling in asked.settling or ["at-once"]:
        for n in asked.sizes:
            one = measured(n, settling, asked.delay)
            _tell(f"{n:>6} {settling:>9}", one.apply, one.plan)
            _tell(f"{'':>6} {'destroy':>9}", one.destroy, one.plan)
            if asked.json:
                runs = {"apply": one.apply, "destroy": one.destroy}
                shown = {name: _numbers(run, one.plan) for name, run in runs.items()}
                print(json.dumps({"n": n, "settling": settling, **shown}))


def _tell(what: str, run: Run, plan: Cost) -> None:
    cost = run.cost
    print(
        f"{what} {cost.calls.total():>6} {cost.wall:>7.2f} {cost.cpu:>6.2f} {cost.memory:>5.0f} "
        f"{run.before:>7.2f} {run.chain:>6.2f} {run.after:>6.2f} {run.ratio:>6.2f} {run.allowed(plan):>7.2f} "
        f"{run.grows:>5.1f}",
        flush=True,
    )
    print("       " + ", ".join(f"{call} {count}" for call, count in sorted(cost.calls.items())))


def _numbers(run: Run, plan: Cost) -> dict[str, object]:
    cost = run.cost
    shown = {"wall": cost.wall, "cpu": cost.cpu, "memory": cost.memory, "critical": run.critical, "grows": run.grows}
    return {**shown, "allowed": run.allowed(plan), "calls": cost.calls}


if __name__ == "__main__":
    main()
