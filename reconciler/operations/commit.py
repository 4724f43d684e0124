"""The git commit that an environment's files are of: asked of git, if there is one; never an error."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from reconciler.model.records import dataclass

SECONDS: Final = 5.0
SHORT: Final = 12  # characters of an id that are shown
# what a repository's own settings would have git run
_RUNS_NOTHING: Final = ("-c", "core.fsmonitor=false", "-c", f"core.hooksPath={os.devnull}", "--no-optional-locks")


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit; ``dirty`` where files of the clone differ from it, or the environment has files that it does not have
    and that git does not ignore.
    """

    id: str
    dirty: bool = False

    def __str__(self) -> str:
        return self.id[:SHORT] + (" with uncommitted changes" if self.dirty else "")


def commit_of(target: Path) -> Commit | None:
    """The commit that is checked out where the environment at ``target`` is; None without git, a clone or a commit."""
    folder = target.resolve() if target.is_dir() else target.resolve().parent
    if not any((above / ".git").exists() for above in (folder, *folder.parents)):
        return None
    found = _git(folder, "rev-parse", "--verify", "--quiet", "HEAD")
    if not found:
        return None
    changed = _git(folder, "status", "--porcelain", "--untracked-files=no", "--ignore-submodules=all")
    unknown = _git(folder, "ls-files", "--others", "--exclude-standard", "--", "." if target.is_dir() else target.name)
    return None if changed is None or unknown is None else Commit(found, dirty=bool(changed or unknown))


def _git(folder: Path, *words: str) -> str | None:
    """What git prints; None where it fails or takes too long."""
    import subprocess  # noqa: PLC0415  (only plans need it)

    surroundings = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(  # noqa: S603  (nothing of it is from a file)
            ["git", *_RUNS_NOTHING, *words],  # noqa: S607  (the user's own git)
            cwd=folder,
            env=surroundings,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode("utf-8", "replace").strip()
