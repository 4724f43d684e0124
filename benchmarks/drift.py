"""What the drift of a fleet costs: environments per CPU second, calls per environment, and memory as the fleet grows.

``python -m benchmarks.drift [--resources R] [N]...`` starts a sandbox, writes N environments of one base with R log
groups each, creates them, and changes one in ten by hand. Then it runs, each in a process of its own:

all      ``drift --all --format json=FILE``, which has all results in memory
part     ``drift --all --results DIRECTORY``
merge    ``drift --merge DIRECTORY`` with JSON, HTML, JUnit and SARIF

All of it is in one account, so four environments are checked at a time. Times depend on the machine, calls do not.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from benchmarks.plan import Account, Cost

SIZES = (50, 200, 800)
RESOURCES = 5
FORMATS = ("json", "html", "junit", "sarif")


def write(directory: Path, n: int, resources: int) -> list[str]:
    """Write the environments; returns their names."""
    base = directory / "environments" / "base"
    base.mkdir(parents=True)
    groups = "".join(
        f'  group-{i}: {{logGroupName: "/${{environment}}/{i}", retentionInDays: 30}}\n' for i in range(resources)
    )
    (base / "environment.yaml").write_text(f"logGroups:\n{groups}")
    names = [f"env-{number:05d}" for number in range(n)]
    for name in names:
        place = directory / "environments" / name
        place.mkdir()
        (place / "environment.yaml").write_text(f"environment: {name}\nextends: ../base\n")
    return names


def create(account: Account, names: list[str], resources: int) -> None:
    """Create what the environments declare; in one of ten, one log group differs."""
    logs = account.sandbox.attach().client("logs", region_name=account.environ.get("AWS_REGION", "us-east-1"))
    for number, name in enumerate(names):
        for i in range(resources):
            tags = {"reconciler/environment": name, "reconciler/name": f"group-{i}"}
            logs.create_log_group(logGroupName=f"/{name}/{i}", tags=tags)
            days = 7 if i == 0 and number % 10 == 3 else 30
            logs.put_retention_policy(logGroupName=f"/{name}/{i}", retentionInDays=days)


def measured(n: int, resources: int) -> Mapping[str, Cost]:
    """The costs of the three commands."""
    account, cwd = Account(), Path.cwd()
    try:
        with tempfile.TemporaryDirectory() as directory:
            names = write(Path(directory), n, resources)
            create(account, names, resources)
            account.environ["PYTHONPATH"] = os.pathsep.join((str(cwd), account.environ.get("PYTHONPATH", "")))
            os.chdir(directory)
            formats = [word for name in FORMATS for word in ("--format", f"{name}=report.{name}")]
            commands = {
                "all": ["--all", "--format", "json=all.json"],
                "part": ["--all", "--results", "parts"],
                "merge": ["--merge", "parts", *formats],
            }
            return {name: account.cost(["reconciler", "drift", *words]) for name, words in commands.items()}
    finally:
        os.chdir(cwd)
        account.close()


def main() -> None:
    """Print a line for every size and command."""
    parser = argparse.ArgumentParser(description="What the drift of a fleet costs.")
    parser.add_argument("sizes", metavar="N", type=int, nargs="*", default=list(SIZES))
    parser.add_argument("--resources", metavar="R", type=int, default=RESOURCES)
    asked = parser.parse_args()
    print(f"{'N':>6} {'':>6} {'wall':>7} {'CPU s':>7} {'environments/CPU s':>19} {'calls/environment':>18} {'MB':>5}")
    for n in asked.sizes:
        for name, cost in measured(n, asked.resources).items():
            print(
                f"{n:>6} {name:>6} {cost.wall:>7.2f} {cost.cpu:>7.2f} {n / cost.cpu:>19.1f} "
                f"{cost.calls.total() / n:>18.1f} {cost.memory:>5.0f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
