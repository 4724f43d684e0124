"""A git repository in a directory: files are written, moved, deleted and committed; no settings of this machine's."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

CLEAN = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    **{f"GIT_{who}_{what}": "dev@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
}


def git(where: Path, *argv: str) -> str:
    """Runs git in ``where``; raises where it fails."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")} | CLEAN
    return subprocess.run(["git", *argv], cwd=where, env=environ, capture_output=True, text=True, check=True).stdout


def write(root: Path, files: Mapping[str, str | None]) -> None:
    """Writes files by their paths, and deletes those without content."""
    for name, content in files.items():
        path = root / name
        if content is None:
            path.unlink()
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")


def commit(root: Path, message: str = "change", files: Mapping[str, str | None] | None = None) -> str:
    """Writes ``files`` and commits everything. Returns the commit's id."""
    write(root, files or {})
    git(root, "add", "-A")
    git(root, "commit", "-q", "--allow-empty", "-m", message)
    return git(root, "rev-parse", "HEAD").strip()
