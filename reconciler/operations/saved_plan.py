"""Saved plans: a claim to be checked, not a script to be replayed.

``apply FILE`` plans again, and goes on only when that comes out the same. So the file holds the plan as JSON (the
contract's section 7) and what is needed to make it again: the options, and where the environment lies, as seen from
where the plan was made and from the root of the clone. No secret is in it. A digest over
all of it shows any byte that is not as it was written; and nothing that is applied is taken from the file, so who
forges one gains nothing by it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from reconciler.config import loader
from reconciler.config.files import is_environment
from reconciler.model import Address, Options, Plan, ResourcePlan, Scope, Verb
from reconciler.model.exit_codes import STALE
from reconciler.model.problems import Problem, Problems
from reconciler.operations.pipeline import Planned, document
from reconciler.planning.visibility import UNREADABLE_CODES
from reconciler.render.checksum import essence

MARK: Final = "reconcile-plan/"
VERSION: Final = "3"
MOST_BYTES: Final = 1 << 28
MOST_LISTED: Final = 10

_BEGINNING: Final = f'{{\n "file": "{MARK}'.encode()
_HEAD: Final = _BEGINNING + f'{VERSION}",\n "digest": "'.encode()
_AFTER: Final = b'",'
_DIGEST: Final = len("sha256:") + 64
_ADDRESSES: Final = ("targets", "exclude", "replace", "refresh")
_ANEW: Final = "save one with `reconcile plan --out FILE`"
_OTHERS: Final = (
    (b"PK\x03\x04", "the file is a ZIP archive, like a terraform plan"),
    (b'{\n  "format_version"', "the file is the output of `plan --format json`; save a plan with --out FILE"),
    (b'{"format_version"', "the file is terraform JSON"),
)


@dataclass(frozen=True, slots=True)
class Where:
    """Where the environment lay: its name, and its path from where the plan was made and from the root of the clone."""

    environment: str
    path: str
    in_clone: str | None = None

    def candidates(self, cwd: Path, beside: Path) -> Iterator[Path]:
        """Where it may lie now, likeliest first: seen from here, from the clone of here, from that of the file."""
        yield cwd / self.path
        if self.in_clone is not None:
            for root in filter(None, map(clone, (cwd, beside))):
                yield root / self.in_clone
        yield cwd
        yield cwd / "environments" / Path(self.path).name


@dataclass(frozen=True, slots=True)
class Saved:
    """What a plan file says."""

    where: Where
    options: Options
    document: Mapping[str, Any]

    @property
    def checksum(self) -> str:
        return str(self.document["checksum"])


def clone(path: Path) -> Path | None:
    """The root of the git clone that ``path`` lies in, if it does."""
    here = path.resolve()
    return next((folder for folder in (here, *here.parents) if (folder / ".git").exists()), None)


def where(environment: str, target: Path, cwd: Path) -> Where:
    """What is to be told about the place of an environment."""
    root, real = clone(target), target.resolve()
    inside = real.relative_to(root).as_posix() if root else None
    return Where(environment, Path(os.path.relpath(real, cwd.resolve())).as_posix(), inside)


# --- writing ---------------------------------------------------------------------------------------------------------


def write(path: Path, document: Mapping[str, Any], *, where: Where, options: Options) -> None:
    """Save ``document`` and how it was asked for, for its owner's eyes. Raises Problems when it cannot be written.

    ``options.kept`` is what the plan leaves in place.
    """
    asked = {
        "environment": where.environment,
        "path": where.path,
        "in_clone": where.in_clone,
        "adopt": options.adopt,
        "destroy": options.destroy,
        "allow_deletions": options.allow_deletions,
        **{name: [[a.section, a.name] for a in getattr(options, name)] for name in _ADDRESSES},
        "stayed": sorted(map(list, options.kept or ())),
    }
    try:
        _put(path, _sealed(asked, document))
    except OSError as error:
        told = f"{path} cannot be written: {error.strerror}"
        raise Problems([_problem(told, "choose another --out FILE")]) from error


def _sealed(asked: Mapping[str, Any], document: Mapping[str, Any]) -> bytes:
    """The file: what it is, the digest of every other byte, and what it says."""
    rest = _AFTER + json.dumps({"asked": asked, "plan": document}, indent=1)[1:].encode() + b"\n"
    return _HEAD + _digest(rest) + rest


def _digest(rest: bytes) -> bytes:
    return f"sha256:{hashlib.sha256(_HEAD + rest).hexdigest()}".encode()


def _put(path: Path, data: bytes) -> None:
    """Whole or not at all, and readable by its owner only; a device or a pipe is written to as it is."""
    if path.exists() and not path.is_file():
        path.write_bytes(data)
        return
    real = path.resolve()
    part = real.with_name(f".{real.name}.{os.getpid()}.part")
    try:
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:  # noqa: PTH123
            stream.write(data)
        part.replace(real)
    except OSError:
        with contextlib.suppress(OSError):
            part.unlink()
        raise


# --- reading ---------------------------------------------------------------------------------------------------------


def looks_like_one(path: Path) -> bool:
    """Whether ENV on the command line means a plan file: a file that says so, or one that is not called YAML."""
    if not path.is_file():
        return False
    if path.suffix.lower() not in (".yaml", ".yml"):
        return True
    with contextlib.suppress(OSError), path.open("rb") as stream:
        return stream.read(len(_BEGINNING)) == _BEGINNING
    return False


def read(path: Path) -> Saved:
    """Read a plan file. Raises Problems when it is none, or not as it was written."""
    data = _contents(path)
    digest, rest = data[len(_HEAD) :][:_DIGEST], data[len(_HEAD) + _DIGEST :]
    if digest != _digest(rest):
        raise Problems([_problem(f"plan file {path} was modified or truncated", _ANEW)])
    try:
        return _said(json.loads(data))
    except (ValueError, OverflowError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Problems([_problem(f"{path} is not a plan file of reconcile", _ANEW)]) from error


def _said(told: Mapping[str, Any]) -> Saved:
    asked, document = told["asked"], told["plan"]
    options = Options(
        adopt=bool(asked["adopt"]),
        destroy=bool(asked["destroy"]),
        allow_deletions=None if asked["allow_deletions"] is None else int(asked["allow_deletions"]),
        **{name: tuple(Address(str(section), str(n)) for section, n in asked[name]) for name in _ADDRESSES},
        kept=frozenset((str(section), str(n)) for section, n in asked["stayed"]),
    )
    inside = asked["in_clone"]
    place = Where(str(asked["environment"]), str(asked["path"]), None if inside is None else str(inside))
    for entry in _changes(document).values():  # raises where it is no plan
        _told(entry, entry)
    return Saved(place, options, {**document, "checksum": str(document["checksum"])})


def _contents(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            beginning = stream.read(len(_HEAD))
            _recognised(path, beginning)
            if os.fstat(stream.fileno()).st_size > MOST_BYTES:
                raise Problems([_problem(f"{path} is too large for a saved plan", _ANEW)])
            return beginning + stream.read(MOST_BYTES)
    except OSError as error:
        raise Problems([_problem(f"{path} cannot be read: {error.strerror}", _ANEW)]) from error


def _recognised(path: Path, beginning: bytes) -> None:
    """Raises Problems where the first bytes are not those of a plan file of this version."""
    if beginning == _HEAD:
        return
    version = beginning.removeprefix(_BEGINNING).partition(b'"')[0]
    if beginning.startswith(_BEGINNING) and version.isdigit() and version != VERSION.encode():
        told = f"{path} has plan file version {version.decode()}, but this reconcile reads version {VERSION}"
        raise Problems([_problem(told, "plan and apply with the same version of reconcile")])
    other = next((about for start, about in _OTHERS if beginning.startswith(start)), "")
    told = "the file is empty" if not beginning else other
    raise Problems([_problem(f"{path} is not a saved plan" + (f": {told}" if told else ""), _ANEW)])


def locate(saved: Saved, file: Path, cwd: Path, environ: Mapping[str, str]) -> str:
    """Where the environment of the plan in ``file`` lies, as seen from ``cwd``. Raises Problems where it does not."""
    places: dict[Path, Path] = {}
    for candidate in saved.where.candidates(cwd, file.resolve().parent):
        if candidate.is_file() or is_environment(candidate):
            places.setdefault(candidate.resolve(), candidate)
    found = list(places.values())
    if not found:
        name, path = saved.where.environment, saved.where.path
        message = f"the plan is for the environment {name} at {path}, which does not exist here"
        hint = "run apply at the root of a clone that contains the environment, or in the environment's directory"
        raise Problems([Problem(code="no-environment", message=message, hint=hint)])
    same = (path for path in found if _name(path, environ) == saved.where.environment)
    return str(next(same, found[0]))


def _name(path: Path, environ: Mapping[str, str]) -> str:
    try:
        return loader.load(path, environ=environ).name
    except Problems:
        return ""


# --- does it hold? ---------------------------------------------------------------------------------------------------


def elsewhere(saved: Saved, scope: Scope) -> list[Problem]:
    """Where the plan was made for another environment, account or Region than ``scope``."""
    pairs = (("environment", scope.environment), ("account", scope.account), ("region", scope.region))
    return [
        Problem(
            code="foreign-plan",
            message=f"the plan is for {name} {saved.document.get(name)}, but the current one is {here}",
            hint=_HINTS[name],
        )
        for name, here in pairs
        if saved.document.get(name) != here
    ]


_HINTS: Final = {
    "environment": "apply the plan at the root of its clone, or in the directory of its environment",
    "account": "use the credentials the plan was created with (AWS_PROFILE, `profile:`)",
    "region": "set AWS_REGION, or `region:` in environment.yaml, to the Region of the plan",
}


def stale(saved: Saved, now: Mapping[str, Any], because: Sequence[Problem] = ()) -> list[Problem]:
    """What does not come out as it was saved; empty where the plan holds. ``because``: why no plan can be made."""
    told = _differing(saved.document, now)
    if saved.checksum == now.get("checksum") and not told and not because:
        return []
    general = Problem(
        code="stale-plan",
        message="the saved plan is out of date: the account or the environment has changed since",
        hint="make a new one with `reconcile plan --out FILE`",
    )
    if not told and not because:
        told = {"": "a value that is not shown has changed"}
    listed = [Problem(code="stale-plan", message=text, address=name) for name, text in sorted(told.items())]
    more = len(listed) - MOST_LISTED
    if more > 0:
        listed = [*listed[:MOST_LISTED], Problem(code="stale-plan", message=f"and {more} more resources")]
    return [general, *listed, *because]


def verify(made: Planned, saved: Saved, timestamp: str, problems: Sequence[Problem] = ()) -> None:
    """Raises Problems (exit code 5) where planning again does not come out as saved; not where that cannot be told.

    ``problems`` are those of the new plan that the user has not seen yet.
    """
    if any(problem.code in UNREADABLE_CODES for problem in made.problems):
        return
    found = stale(saved, document(made, timestamp=timestamp), problems)
    if found and made.as_saved and tidied(made.as_saved, made.plan):
        found = stale(saved, document(replace(made, plan=made.as_saved), timestamp=timestamp), problems)
    if found:
        raise Problems(found, exit_code=STALE)


def tidied(claimed: Plan, made: Plan) -> bool:
    """Whether all that ``made`` has less than ``claimed``, which came out as it was saved, is tidying up."""
    now = {item.address: item for item in made.resources}
    return all(_tidied(item, now.get(item.address)) for item in claimed.resources)


def _tidied(claimed: ResourcePlan, made: ResourcePlan | None) -> bool:
    if made is None or claimed.verb is not made.verb:
        return claimed.verb is Verb.UPDATE and made is not None and made.verb is Verb.NOOP
    return claimed.verb not in (Verb.DELETE, Verb.REPLACE) or claimed.removed_objects == made.removed_objects


def _differing(saved: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, str]:
    """In what the changes of two plans differ, by address."""
    old, new = _changes(saved), _changes(now)
    return {name: _told(old.get(name), new.get(name)) for name in {*old, *new} if old.get(name) != new.get(name)}


def _changes(document: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {
        str(entry["address"]): essence(entry) for entry in document["resource_changes"] if entry["action"] != "noop"
    }


def _told(old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> str:
    if old is None or new is None or old["action"] != new["action"]:
        was = f"the plan was to {old['action']} it" if old else "the plan was to keep it unchanged"
        now = f"a new plan would {new['action']} it" if new else "a new plan would keep it unchanged"
        return f"{was}; {now}"
    before, after = ({str(d["path"]): d for d in side["differences"]} for side in (old, new))
    moved = sorted(path for path in {*before, *after} if before.get(path) != after.get(path))
    moved = moved or sorted(name.replace("_", " ") for name in old if old[name] != new[name])
    return f"not as in the plan: {', '.join(moved[:5])}{', ...' if len(moved) > 5 else ''}"


def _problem(message: str, hint: str) -> Problem:
    return Problem(code="plan-file", message=message, hint=hint)
