"""``reconcile init --ci HOST``: pipelines for a code host, into a repository that exists already."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from reconciler import __version__
from reconciler.config import discovery
from reconciler.model.patterns import regex
from reconciler.model.problems import Problems
from reconciler.model.records import dataclass

HERE: Final = Path(__file__).parents[1]
HOSTS: Final = ("github", "gitlab")
_HEAD: Final = regex(r"ref: refs/(?:remotes/origin|heads)/([\w./-]+)\s*")
# Anything else in their place could be more than a value in the workflows.
_FORMS: Final = {"account": regex(r"[0-9]{12}"), "region": regex(r"[a-z]+(-[a-z0-9]+)+")}
_ACCOUNT: Final = "123456789012"  # where the environments name none, or several
_REGION: Final = "eu-west-1"
_MAIN: Final = "main"


@dataclass(frozen=True, slots=True)
class Written:
    """The files that were written, and those that exist and were kept: equal to what would be written, or others.
    ``edit`` are values to check, in words.
    """

    new: tuple[Path, ...]
    equal: tuple[Path, ...]
    others: tuple[Path, ...]
    edit: tuple[str, ...]


def write(root: Path, host: str) -> Written:
    """Write the pipelines of ``host`` below ``root``, the top of a repository; a file that exists is kept."""
    branch = _branch(root)
    values = {"version": __version__, "branch": branch or _MAIN}
    edit = [] if branch or host != "github" else [f"the workflows apply what is pushed to the branch {_MAIN}"]
    for setting, default in (("account", _ACCOUNT), ("region", _REGION)):
        found = _settings(root, setting)
        values[setting] = found.pop() if len(found) == 1 else default
        if len(found):
            edit.append(f"the environments have several {setting}s; the workflows use {default}")
        elif values[setting] == default:
            edit.append(f"the workflows use the {setting} {default}")
    source = _templates() / host
    new: list[Path] = []
    equal: list[Path] = []
    others: list[Path] = []
    for file in sorted(path for path in source.rglob("*") if path.is_file()):
        text = file.read_text(encoding="utf-8")
        for name, value in values.items():
            text = text.replace(f"{{{name}}}", value)
        path = root / file.relative_to(source)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8") as stream:
                stream.write(text)
            new.append(path)
        except FileExistsError:
            (equal if path.is_file() and path.read_bytes() == text.encode() else others).append(path)
    return Written(tuple(new), tuple(equal), tuple(others), tuple(edit))


def _templates() -> Path:
    installed = HERE / "pipelines"
    return installed if installed.is_dir() else HERE.parent / "pipelines"


def _settings(root: Path, name: str) -> set[str]:
    """The values that the environments of the repository give the setting ``name`` themselves."""
    try:
        found = discovery.every_environment(root)
    except Problems:
        return set()
    given = (discovery.setting_of(target, name) for target in found)
    return {value for value in given if value and _FORMS[name].fullmatch(value)}


def _branch(root: Path) -> str:
    """The branch that the repository's origin has as its default; empty where that is not known."""
    try:
        found = _HEAD.fullmatch((root / ".git/refs/remotes/origin/HEAD").read_text(encoding="utf-8"))
    except OSError:
        found = None
    return found[1] if found else ""
