"""The hook for pre-commit: the manifest is valid, and what it runs checks the environments of the files it is handed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
MANIFEST = ROOT / ".pre-commit-hooks.yaml"
FINE = "environment: fine\nregion: eu-west-1\nlogGroups: {a: {}}\n"
FILES = {
    "README.md": "# environments\n",
    "environments/README.md": "# about them\n",
    "environments/base/groups.yaml": "logGroups: {a: {}}\n",
    "environments/base/files/run.sh": "#!/bin/sh\n",
    "environments/dev/environment.yaml": "environment: dev\nregion: eu-west-1\nextends: ../base\n",
    "environments/fine/environment.yaml": FINE,
    "other/environment.yaml": "not: one\n",
}


def run(repository: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    """A program of the development environment's, in ``repository``, with the `reconcile` of this checkout."""
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
        "PATH": f"{repository.parent / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "PRE_COMMIT_HOME": str(repository.parent / "pre-commit"),
        "PRE_COMMIT_COLOR": "never",
        "GIT_CONFIG_GLOBAL": os.devnull,
    }
    return subprocess.run(argv, cwd=repository, env=environ, capture_output=True, text=True, check=False)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with environments, that has the hook; it runs from here instead of from an installation."""
    program = tmp_path / "bin" / "reconcile"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m reconciler "$@"\n')
    program.chmod(0o755)
    (hook,) = yaml.safe_load(MANIFEST.read_text(encoding="utf-8"))
    config = {"repos": [{"repo": "local", "hooks": [{**hook, "language": "system"}]}]}
    root = tmp_path / "repository"
    for name, content in {**FILES, ".pre-commit-config.yaml": yaml.safe_dump(config)}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content, encoding="utf-8")
    assert run(root, "git", "init", "-q").returncode == 0
    assert run(root, "git", "add", "-A").returncode == 0
    return root


def test_the_manifest_is_valid() -> None:
    done = run(ROOT, sys.executable, "-m", "pre_commit", "validate-manifest", str(MANIFEST))
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_hook_checks_the_environments_of_the_files(repository: Path) -> None:
    hook = (sys.executable, "-m", "pre_commit", "run")
    assert "Passed" in run(repository, *hook, "--all-files").stdout

    (repository / "environments/base/groups.yaml").write_text("logGroups: {a: {retentionDays: 7}}\n")
    broken = run(repository, *hook, "--files", "environments/base/groups.yaml", "environments/base/files/run.sh")
    assert broken.returncode == 1
    assert "environments/base/groups.yaml:1:17: error[unknown-field]: logGroups.a:" in broken.stdout
    assert "1 error, 0 warnings" in broken.stdout
    assert "Passed" in run(repository, *hook, "--files", "environments/fine/environment.yaml").stdout
    assert "(no files to check)Skipped" in run(repository, *hook, "--files", "other/environment.yaml").stdout
