"""What is kept between runs of the checks of a large environment, and when it is not used."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reconciler.checks import environment
from reconciler.checks.passed import Passed
from reconciler.config import loader
from reconciler.kinds import discover
from reconciler.operations import passed_checks
from reconciler.operations.passed_checks import LEAST, PassedChecks

GROUPS = "logGroups:\n" + "".join(f"  /groups/{number}: {{retentionInDays: 30}}\n" for number in range(LEAST))


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RECONCILE_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache" / "passed"


def written(directory: Path, more: str = "") -> Path:
    file = directory / "large.yaml"
    file.write_text(f"environment: large\n{GROUPS}{more}")
    return file


def known(file: Path) -> int:
    """How many resources an earlier run of this program has found to be right."""
    passed = PassedChecks(loader.load(file, environ={}), file, os.environ).passed
    assert passed is not None
    return len(passed.earlier)


def test_the_second_run_checks_what_is_new_and_what_was_wrong(shell: Any, tmp_path: Path, cache: Path) -> None:
    file = written(tmp_path)
    assert shell.ok("validate", str(file)) == shell.ok("validate", str(file))
    (kept,) = cache.iterdir()
    assert known(file) == LEAST
    assert kept.stat().st_mode & 0o777 == 0o600
    before = kept.stat().st_mtime_ns

    written(tmp_path, "  /groups/wrong: {retentionInDays: 31}\n")
    for _ in range(2):  # what is wrong stays wrong
        result = shell("validate", str(file))
        assert (result.code, f"large.yaml:{LEAST + 3}:" in result.out + result.err) == (1, True)
    assert known(file) == LEAST
    assert kept.stat().st_mtime_ns == before  # nothing new to keep


def test_a_small_environment_and_one_without_a_directory_for_it_keep_nothing(
    shell: Any, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "small.yaml"
    file.write_text("environment: small\nlogGroups:\n  /group: {}\n")
    shell.ok("validate", str(file))
    monkeypatch.setenv("RECONCILE_CACHE_DIR", "")
    shell.ok("validate", str(written(tmp_path)))
    assert not cache.exists()


@pytest.mark.parametrize("doubt", ["program", "others may write", "cut", "unreadable"])
def test_what_is_in_doubt_is_as_good_as_nothing(
    shell: Any, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, doubt: str
) -> None:
    file = written(tmp_path)
    shell.ok("validate", str(file))
    (kept,) = cache.iterdir()
    if doubt == "program":
        monkeypatch.setattr(passed_checks, "_program", lambda: b"another program")
    elif doubt == "others may write":
        kept.chmod(0o666)
    elif doubt == "cut":
        kept.write_bytes(kept.read_bytes()[:7])
    else:
        kept.unlink()
        kept.mkdir()
    assert known(file) == 0
    shell.ok("validate", str(file))  # a file that cannot be replaced is no reason to fail


def test_the_program_is_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    top = tmp_path / "reconciler"
    for part in ("checks", "config", "kinds/batch", "model", "schema", "kinds/__pycache__"):
        (top / part).mkdir(parents=True)
        (top / part / "one.py").write_text("1")
    (tmp_path / "schemas").mkdir()
    monkeypatch.setattr(passed_checks.reconciler, "__file__", str(top / "__init__.py"))
    monkeypatch.setattr(passed_checks.registry, "directory", lambda: tmp_path / "schemas")
    seen = [passed_checks._program()]
    for file in (top / "kinds" / "batch" / "one.py", tmp_path / "schemas" / "one.json", top / "model" / "two.py"):
        file.write_text("22")
        seen.append(passed_checks._program())
    (top / "kinds" / "__pycache__" / "two.pyc").write_text("2")
    assert passed_checks._program() == seen[-1]
    monkeypatch.setattr(passed_checks.reconciler, "__version__", "9")
    seen.append(passed_checks._program())
    assert len({*seen}) == len(seen)


def test_what_is_known_is_not_checked(tmp_path: Path) -> None:
    loaded = loader.load(written(tmp_path), environ={})
    asked: list[str] = []
    kind = discover()["logGroups"]

    def check(name: str, props: Any) -> Any:
        asked.append(name)
        return kind.check(name, props)

    kinds = {**discover(), "logGroups": replace(kind, check=check)}
    first = Passed()
    environment.environment(loaded, kinds, passed=first)
    environment.environment(loaded, kinds, passed=Passed(first.digests()))
    assert len(asked) == LEAST
