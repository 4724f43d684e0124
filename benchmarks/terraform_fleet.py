"""What the drift of the fleet of :mod:`benchmarks.drift` costs with terraform.

``python -m benchmarks.terraform_fleet --plugins DIRECTORY [--resources R] [N]...`` makes N environments of R log groups
each, one of ten drifted, of one module with a variable and a state for each environment, and runs ``terraform plan
-refresh-only`` for each of them, four at a time as ours does. One state is made by ``terraform apply``, the others are
written like it. ``DIRECTORY`` is that of :mod:`benchmarks.terraform`.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections import Counter
from pathlib import Path

from benchmarks import drift, tree
from benchmarks.plan import Account, Cost
from benchmarks.terraform import add_plugins, environment

SIZES = (1, 40)
AT_A_TIME = 4
_MODULE = """\
terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "5.100.0"
    }
  }
}

variable "name" {
  type = string
}

resource "aws_cloudwatch_log_group" "groups" {
  count             = COUNT
  name              = "/${var.name}/${count.index}"
  retention_in_days = 30
  tags = {
    "reconciler/environment" = var.name
    "reconciler/name"        = "group-${count.index}"
  }
}
"""
_FOUND = "Objects have changed outside of Terraform"


def measured(n: int, resources: int, plugins: Path) -> tuple[Cost, int]:
    """The cost of all plans together, and how many found drift. Raises RuntimeError where one fails."""
    account = Account()
    try:
        with tempfile.TemporaryDirectory() as directory:
            module = Path(directory) / "module"
            module.mkdir()
            (module / "main.tf").write_text(_MODULE.replace("COUNT", str(resources)), "utf-8")
            environ = environment(account, Path(directory), plugins)
            names = [f"env-{number:05d}" for number in range(n)]
            _run(["terraform", "init", "-input=false"], module, environ)
            first = ["terraform", "apply", "-auto-approve", "-input=false", f"-var=name={names[0]}"]
            _run([*first, f"-state={names[0]}.tfstate"], module, environ)
            account.sandbox.empty()
            drift.create(account, names, resources)
            state = (module / f"{names[0]}.tfstate").read_text("utf-8")
            for name in names:
                (module / f"{name}.tfstate").write_text(state.replace(names[0], name), "utf-8")
            account.sandbox.calls.clear()
            account.sandbox.clock.speed = 1
            done = _run(_plans(names), module, environ)
            calls = Counter(f"{one.service}:{one.operation}" for one in account.sandbox.calls)
            return Cost(done.wall, done.cpu, done.memory, calls), done.said.count(_FOUND)
    finally:
        account.close()


def _plans(names: list[str]) -> list[str]:
    """A command that plans each of them, some at a time."""
    plan = 'terraform plan -refresh-only -input=false -no-color -var="name=$1" -state="$1.tfstate"'
    xargs = shutil.which("xargs") or "xargs"
    return ["sh", "-c", f'printf "%s\\n" "$@" | {xargs} -P {AT_A_TIME} -n 1 sh -c \'exec {plan}\' plan', "all", *names]


def _run(command: list[str], module: Path, environ: dict[str, str]) -> tree.Used:
    done = tree.used(command, cwd=module, env=environ)
    if done.code != 0:
        raise RuntimeError(f"{command} ended with {done.code}: {done.said[-4000:]}")
    return done


def main() -> None:
    """Print a line for every size."""
    parser = argparse.ArgumentParser(description="What the drift of a fleet costs with terraform.")
    parser.add_argument("sizes", metavar="N", type=int, nargs="*", default=list(SIZES))
    parser.add_argument("--resources", metavar="R", type=int, default=drift.RESOURCES)
    add_plugins(parser)
    asked = parser.parse_args()
    head = f"{'N':>6} {'drifted':>7} {'wall':>7} {'CPU s':>7} {'environments/CPU s':>19} {'calls/environment':>18}"
    print(f"{head} {'MB':>5}")
    for n in asked.sizes:
        cost, drifted = measured(n, asked.resources, asked.plugins)
        print(
            f"{n:>6} {drifted:>7} {cost.wall:>7.2f} {cost.cpu:>7.2f} {n / cost.cpu:>19.2f} "
            f"{cost.calls.total() / n:>18.1f} {cost.memory:>5.0f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
