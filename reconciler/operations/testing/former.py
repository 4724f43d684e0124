"""The environment as it was at a branch, tag or commit of git, in a directory of its own."""

from __future__ import annotations

import tarfile
from pathlib import Path

from reconciler.model import problem_codes as codes
from reconciler.model.problems import Problem, Problems
from reconciler.operations.changed_since import Git


def at(ref: str, target: Path, into: Path) -> Path:
    """Write the repository of ``target`` as of ``ref`` below ``into``.

    Returns the environment there. Raises Problems.
    """
    git = Git((target if target.is_dir() else target.parent).resolve())
    top = Path(git("rev-parse", "--show-toplevel", about="from needs an environment in a repository of git").strip())
    about = f"there is no commit {ref}"
    commit = Git(top)("rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}", about=about).strip()
    archive = into / "archive.tar"
    Git(top)("archive", "--format=tar", f"--output={archive}", commit)
    with tarfile.open(archive) as packed:
        packed.extractall(into, filter="data")
    archive.unlink()
    found = into / target.resolve().relative_to(top.resolve())
    if not found.exists():
        message, hint = f"there is no {target.name} at {ref}", "name a commit that has the environment"
        raise Problems([Problem(code=codes.CHANGES_UNKNOWN, message=message, hint=hint)])
    return found
