"""Packages of npm that tests use: installed once, in a cache of the user's, so that their versions do not change."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

_MINUTE = 60


def package(name: str, version: str) -> Path | str:
    """The directory of a package; where it is not installed and cannot be, a sentence that says why."""
    node, npm = shutil.which("node"), shutil.which("npm")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "reconcile-tests" / f"{name}-{version}"
    place = cache / "node_modules" / name
    why = "there is no node and npm to install it with"
    if node and npm and not place.is_dir():
        why = _install(npm, cache, f"{name}@{version}")
    return place if node and place.is_dir() else why


def _install(npm: str, cache: Path, what: str) -> str:
    """Install a package in a directory, which appears when it is complete; returns why that failed."""
    cache.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache.parent) as made:
        options = ["--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts", "--fetch-retries=1"]
        install = [npm, "install", *options, "--prefix", made, what]
        try:
            done = subprocess.run(install, capture_output=True, text=True, timeout=2 * _MINUTE, check=False)
        except subprocess.TimeoutExpired:
            return "npm did not install it within two minutes"
        if done.returncode:
            return f"npm did not install it: {(done.stderr or done.stdout).strip()[-300:]}"
        cache.mkdir(exist_ok=True)
        with suppress(OSError):  # another run has been quicker
            (Path(made) / "node_modules").rename(cache / "node_modules")
    return ""
