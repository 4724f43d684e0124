"""Whether a plan that a pipeline kept may be what its pull request showed: who can write artifacts can put any there.

``apply`` plans again from the files that were merged, so a forged plan cannot change what they say. But a plan has
options and values of variables, and planning again uses those of the plan: with `--destroy` it deletes everything.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from pathlib import Path

from reconciler.config.given import Given
from reconciler.model import problem_codes as codes
from reconciler.model.masking import single_line
from reconciler.model.problems import Problem, Problems
from reconciler.operations import saved_plan
from reconciler.operations.saved_plan import Saved
from reconciler.operations.saved_variables import with_saved

# the flags of `plan`, by the members of its options
FLAGS = {
    "destroy": "destroy",
    "adopt": "adopt",
    "allow_deletions": "allow-deletions",
    "targets": "target",
    "exclude": "exclude",
    "replace": "replace",
    "refresh": "refresh-images",
}


def check(saved: Saved, environment: str, allowed: Collection[str], given: Mapping[str, Given]) -> None:
    """Raises Problems unless the plan is of ``environment``, with no flags but ``allowed`` and the values ``given``."""
    wrong = []
    if saved.where.environment != environment:
        wrong.append(f"the plan belongs to the environment {single_line(saved.where.environment)}")
    another = bool(wrong)
    for member, flag in FLAGS.items():
        if getattr(saved.options, member) and flag not in allowed:
            wrong.append(f"created with --{flag}")
    for name, kept in saved.variables.items():
        same = name in given and (kept.hashed is not None or kept.value == given[name].value)
        if not same:
            wrong.append(f'a value of its own for the variable "{single_line(name)}"')
    if wrong:
        hint = "if the pipeline plans with these, pass --allow FLAG, --var-file FILE or --var NAME=VALUE"
        hint = f"a plan of {environment} is needed: plan it again" if another else hint
        message = f"the fetched plan is not as this pipeline creates them: {'; '.join(wrong)}"
        raise Problems([Problem(code=codes.STALE_PLAN, message=message, hint=hint)])
    with_saved(saved.variables, given)  # compares the secret ones


def check_place(
    saved: Saved, file: Path, target: Path, cwd: Path, environ: Mapping[str, str], given: Mapping[str, Given]
) -> None:
    """Raises Problems unless `apply` of ``file`` in ``cwd`` is about the environment ``target``: the file has a path of
    its own, and another environment may have the same name.
    """
    found = cwd / saved_plan.locate(saved, file, cwd, environ, given)
    if found.resolve() != target.resolve():
        message = f"the fetched plan belongs to the environment at {single_line(saved.where.path)}"
        hint = f"--path names the one at {os.path.relpath(target, cwd)}"
        raise Problems([Problem(code=codes.STALE_PLAN, message=message, hint=hint)])
