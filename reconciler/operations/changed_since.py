"""Which environments the changes since a revision touch, by asking git: for pipelines, which plan those alone.

The changes are those since the commit that the revision and the current one have in common, as a pull request shows
them, with what is not committed yet: `validate` and `plan` read the files as they are.

git may run programs that the repository's configuration names (file system monitors, filters, external diffs, hooks),
and fetch what a partial clone lacks. Only commands that compare names and object ids are used, with these off: also the
filters, with which git compares files whose time stamps are new.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from reconciler.config import discovery
from reconciler.config.files import SETTINGS_FILES
from reconciler.model import problem_codes as codes
from reconciler.model.problems import Problem, Problems
from reconciler.model.records import dataclass

_QUIET: Final = (
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    "protocol.allow=never",
    "core.untrackedCache=false",
)
_ENVIRON: Final = {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "GIT_NO_LAZY_FETCH": "1", "LC_ALL": "C"}
_DEEPER: Final = "fetch its history: fetch-depth: 0 on GitHub, GIT_DEPTH: 0 on GitLab, else git fetch --unshallow"


@dataclass(frozen=True, slots=True)
class Changes:
    """What changed since ``ref``: absolute ``paths``, also those of deleted files. ``everything``: there is no earlier
    commit to compare with. ``former`` are the names that environments had, with their files; "" where it is unknown.
    """

    ref: str
    paths: tuple[Path, ...] = ()
    everything: bool = False
    former: tuple[tuple[str, str], ...] = ()

    def touch(self, target: Path, var_files: Iterable[Path]) -> bool:
        """Whether they touch the environment ``target``, which takes variables from ``var_files``."""
        if self.everything:
            return True
        if not self.paths:
            return False
        inputs = discovery.inputs(target)
        given = {form for path in var_files for form in (Path(os.path.abspath(path)), path.resolve())}  # noqa: PTH100
        return any(path in given or inputs.include(path) for path in self.paths)

    def deleted(self, present: Iterable[str]) -> list[Problem]:
        """A warning for each environment that is no more; ``present`` are the names of those found. One that has moved
        is not deleted, and of several with one name one may be.
        """
        files = {path.as_posix(): discovery.name_in(path) for path in self.paths if _may_name(path)}
        here, now = {*present, *files.values()}, Counter(files.values())
        left = []
        for name, file in self.former:
            if any(had == name and path.endswith(f"/{file}") for path, had in files.items()):
                now[name] -= 1  # it is where it was
            else:
                left.append((name, file))
        found = []
        for name, file in left:
            now[name] -= 1
            if now[name] < 0:
                found.append(_deleted(name, file, self.ref, others=name in here))
        return found


def _deleted(name: str, file: str, ref: str, *, others: bool) -> Problem:
    hint = f"to delete them, run reconcile destroy on {_place(file)} as it was in {ref}"
    where = "the account"
    if others:
        where = "its account and Region, if these are others than those of the environment that has this name now"
        hint += "; in the same account and Region that would delete what the other declares"
    return Problem(
        code=codes.DELETED_ENVIRONMENT,
        message=f"{file} is no longer the environment {name}: its resources remain in {where}",
        hint=hint,
        environment=name,
        warning=True,
    )


def since(ref: str, cwd: Path) -> Changes:
    """The changes since ``ref`` in the repository of ``cwd``. Raises Problems where git does not know them."""
    if ref and not ref.strip("0"):  # how hosts write that a branch had no commit before
        return Changes(ref, everything=True)
    git = Git(cwd)
    top = Path(git("rev-parse", "--show-toplevel", about="not in a git repository").rstrip("\n"))
    base = _common(git, ref)
    changed = [
        *_fields(git("diff-index", "--cached", "--no-renames", "--name-only", "-z", base, "--")),
        *_fields(git("diff-files", "--name-only", "-z", "--ignore-submodules=dirty")),
        *_fields(git("ls-files", "--others", "--exclude-standard", "--full-name", "-z", "--", ":/")),
    ]
    former = tuple(_former(git, base, [name for name in dict.fromkeys(changed) if _may_name(Path(name))]))
    return Changes(ref, tuple(dict.fromkeys(top / name for name in changed)), former=former)


def _common(git: Git, ref: str) -> str:
    """The commit that ``ref`` and the current one have in common."""
    shallow = git("rev-parse", "--is-shallow-repository").strip() == "true"
    found = "" if ref.startswith("-") else git.may("rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}").strip()
    if not found:
        message = f"git knows no commit {ref}" + (", and this clone is shallow" if shallow else "")
        raise _unknown(message, _DEEPER if shallow else f"fetch it, or give another: git rev-parse {ref}")
    base = git.may("merge-base", found, "HEAD").strip()
    if not base:
        message = f"the current commit and {ref} have no commit in common"
        raise _unknown(f"{message} in this shallow clone" if shallow else message, _DEEPER if shallow else "")
    return base


def _former(git: Git, commit: str, names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The names that environments had in ``commit``, and the files with them; ``names`` are paths of files."""
    for name in names:
        if not git.may("rev-parse", "--verify", "--quiet", f"{commit}:{name}"):
            continue  # it is new
        content = git.content(f"{commit}:{name}")
        if content is None:  # a partial clone has only what is checked out
            yield Path(name).parent.name, name
        elif had := discovery.name_in_text(content):
            yield had, name


def _may_name(path: Path) -> bool:
    """Whether ``path`` may be the file with the settings of an environment."""
    single = path.parent.name == "environments" and path.suffix.lower() in (".yaml", ".yml")
    return path.name in SETTINGS_FILES or single


def _place(settings: str) -> str:
    """The environment, as commands take it, by the file with its settings."""
    return str(Path(settings).parent) if Path(settings).name in SETTINGS_FILES else settings


def _fields(text: str) -> list[str]:
    return text.split("\0")[:-1]


def _unknown(message: str, hint: str = "") -> Problems:
    return Problems([Problem(code=codes.CHANGES_UNKNOWN, message=message, hint=hint)])


def _without(settings: Sequence[str], before: str) -> dict[str, str]:
    """Environment variables that make git take these settings as empty; they may have any character in them. There are
    ``before`` such variables already.
    """
    first = int(before) if before.isdecimal() else 0
    return {
        "GIT_CONFIG_COUNT": str(first + len(settings)),
        **{f"GIT_CONFIG_KEY_{number}": name for number, name in enumerate(settings, first)},
        **{f"GIT_CONFIG_VALUE_{number}": "" for number, _ in enumerate(settings, first)},
    }


class Git:
    """Runs git in ``cwd``, without its filters, hooks and pagers."""

    def __init__(self, cwd: Path) -> None:
        program = shutil.which("git")
        if program is None:
            raise _unknown("git is not installed: --changed-since asks it what changed", "install git")
        self._start = [program, *(part for setting in _QUIET for part in ("-c", setting)), "--no-pager"]
        self._cwd = cwd
        self._environ: Mapping[str, str] = {
            **{name: text for name, text in os.environ.items() if name != "GIT_EXTERNAL_DIFF"},
            **_ENVIRON,
        }
        filters = _fields(
            self.may("config", "--null", "--name-only", "--get-regexp", r"^filter\..*\.(clean|process|required)$")
        )
        self._environ = {**self._environ, **_without(filters, os.environ.get("GIT_CONFIG_COUNT", ""))}

    def __call__(self, *args: str, about: str = "") -> str:
        """What git prints; ``about`` is what its failure means. Raises Problems."""
        done = self._run(args)
        if done.returncode:
            said = done.stderr.decode("utf-8", "replace").strip().splitlines() or [f"exit code {done.returncode}"]
            raise _unknown(about or f"git {args[0]} failed", f"git: {said[0]}")
        return os.fsdecode(done.stdout)

    def may(self, *args: str) -> str:
        """What git prints; empty if it fails."""
        done = self._run(args)
        return "" if done.returncode else os.fsdecode(done.stdout)

    def content(self, name: str) -> bytes | None:
        """The content of a file in a commit as it is stored; None where it cannot be had."""
        done = self._run(("cat-file", "blob", name))
        return None if done.returncode else done.stdout

    def _run(self, args: Sequence[str]) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(  # noqa: S603  (git, by its full path, without a shell)
            [*self._start, *args],
            cwd=self._cwd,
            env=self._environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
