"""Saved plans: a claim to check, not a script to replay.

``apply FILE`` plans again, and continues only if the new plan is equal. So the file contains the plan as JSON (the
contract's section 7) and what planning needs: the options, the values of variables that are not from files
(:mod:`.saved_variables`), and the path of the environment, from the directory in which the plan was created and from
the root of the clone. What ``show`` needs besides is :mod:`.shown_plan`'s. It contains no secrets. A digest over every
other byte detects a modified or truncated file; and nothing that is applied is read from the file, so a forged one has
no effect.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import field, replace
from pathlib import Path
from typing import Any, Final

from reconciler.config import loader
from reconciler.config.files import is_environment
from reconciler.config.given import Given
from reconciler.model import Address, Options, Plan, ResourcePlan, Scope, Verb
from reconciler.model import problem_codes as codes
from reconciler.model.exit_codes import STALE
from reconciler.model.problems import Problem, Problems
from reconciler.model.records import dataclass
from reconciler.model.values import SANDBOX
from reconciler.model.when_used import when_used
from reconciler.operations.pipeline import Planned, document
from reconciler.operations.saved_variables import SavedVariable
from reconciler.planning.visibility import UNREADABLE_CODES

with when_used():
    from reconciler.operations.own_files import foreign, put
    from reconciler.render.checksum import essence

MARK: Final = "reconcile-plan/"
VERSION: Final = "5"
MOST_BYTES: Final = 1 << 28
MOST_LISTED: Final = 10

_BEGINNING: Final = f'{{\n "file": "{MARK}'.encode()
_HEAD: Final = _BEGINNING + f'{VERSION}",\n "digest": "'.encode()
_AFTER: Final = b'",'
_DIGEST: Final = len("sha256:") + 64
_ADDRESSES: Final = ("targets", "exclude", "replace", "refresh")
_NEW_PLAN: Final = "save one with `reconcile plan --out FILE`"
_OTHER_FORMATS: Final = (
    (b"PK\x03\x04", "the file is a ZIP archive, like a terraform plan"),
    (b'{\n  "format_version"', "the file is the output of `plan --format json`"),
    (b'{\n "file": "reconcile-snapshot/', "the file is a snapshot, which is planned from and never applied"),
    (b'{"format_version"', "the file is terraform JSON"),
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where an environment was: its name, and its path from the working directory and from the root of the clone."""

    environment: str
    path: str
    in_clone: str | None = None

    def candidates(self, cwd: Path, near: Path) -> Iterator[Path]:
        """Paths where it may be now, likeliest first: from ``cwd``, and from its clone, or else from that of ``near``.

        None leads out of the clone: an attacker who wrote the file may have put another environment there.
        """
        here = clone(cwd)
        root = here or clone(near)
        if not Path(self.path).is_absolute() and (here is None or _inside(cwd / self.path, here)):
            yield cwd / self.path
        if self.in_clone is not None and root and _inside(root / self.in_clone, root):
            yield root / self.in_clone
        yield cwd
        yield cwd / "environments" / Path(self.path).name


@dataclass(frozen=True, slots=True)
class Saved:
    """The contents of a plan file; ``document`` is the plan as JSON. ``shown`` is only for showing it."""

    where: Place
    options: Options
    document: Mapping[str, Any]
    shown: Mapping[str, Any]
    variables: Mapping[str, SavedVariable] = field(default_factory=dict)

    @property
    def checksum(self) -> str:
        """The checksum of the plan."""
        return str(self.document["checksum"])


def clone(path: Path) -> Path | None:
    """The root of the git clone that contains ``path``; None where there is none."""
    here = path.resolve()
    return next((folder for folder in (here, *here.parents) if (folder / ".git").exists()), None)


def _inside(path: Path, root: Path) -> bool:
    return path.resolve().is_relative_to(root)


def place_of(environment: str, target: Path, cwd: Path) -> Place:
    """The place of the environment at ``target``, as saved plans record it."""
    root, real = clone(target), target.resolve()
    inside = real.relative_to(root).as_posix() if root else None
    return Place(environment, Path(os.path.relpath(real, cwd.resolve())).as_posix(), inside)


# --- writing ---------------------------------------------------------------------------------------------------------


def check_place(path: Path) -> None:
    """Raises Problems where a plan must not be saved at ``path``: only a plan file is replaced by another."""
    try:
        why = foreign(path, _BEGINNING, "a plan file")
    except OSError as error:
        raise Problems(
            [_problem(f"{path} cannot be written: {error.strerror}", "choose another --out FILE")]
        ) from error
    if why:
        message = f"{path} {why}, so the plan is not saved there"
        raise Problems([_problem(message, "choose another --out FILE, or remove this one first")])


def write(
    path: Path,
    document: Mapping[str, Any],
    *,
    where: Place,
    options: Options,
    shown: Mapping[str, Any],
    variables: Mapping[str, SavedVariable] | None = None,
) -> None:
    """Save ``document`` and its options, readable by its owner only. Raises Problems where it cannot be written.

    ``options.kept`` are the objects that the plan keeps because they are in use; ``shown`` is what :mod:`.shown_plan`
    needs to show it again.
    """
    check_place(path)
    asked = {
        "environment": where.environment,
        "path": where.path,
        "in_clone": where.in_clone,
        "adopt": options.adopt,
        "destroy": options.destroy,
        "allow_deletions": options.allow_deletions,
        **{name: [[a.section, a.name] for a in getattr(options, name)] for name in _ADDRESSES},
        "stayed": sorted(map(list, options.kept or ())),
        "variables": {name: one.as_json() for name, one in sorted((variables or {}).items())},
    }
    try:
        put(path, _sealed(asked, document, shown))
    except OSError as error:
        message = f"{path} cannot be written: {error.strerror}"
        raise Problems([_problem(message, "choose another --out FILE")]) from error


def _sealed(asked: Mapping[str, Any], document: Mapping[str, Any], shown: Mapping[str, Any]) -> bytes:
    """The bytes of the file: its format, the digest of every other byte, and its contents."""
    rest = _AFTER + json.dumps({"asked": asked, "plan": document, "shown": shown}, indent=1)[1:].encode() + b"\n"
    return _HEAD + _digest(rest) + rest


def _digest(rest: bytes) -> bytes:
    return f"sha256:{hashlib.sha256(_HEAD + rest).hexdigest()}".encode()


# --- reading ---------------------------------------------------------------------------------------------------------


def is_plan_file(path: Path) -> bool:
    """Whether ``path`` is a plan file, not an environment: by its first bytes, or by a name that is not a YAML
    file's.
    """
    if not path.is_file():
        return False
    return path.suffix.lower() not in (".yaml", ".yml") or is_marked(path)


def is_marked(path: Path) -> bool:
    """Whether the file ``path`` has the first bytes of a plan file, of any version."""
    with contextlib.suppress(OSError), path.open("rb") as stream:
        return stream.read(len(_BEGINNING)) == _BEGINNING
    return False


def read(path: Path) -> Saved:
    """Read a plan file. Raises Problems where it is not one, or was modified or truncated."""
    data = _contents(path)
    digest, rest = data[len(_HEAD) :][:_DIGEST], data[len(_HEAD) + _DIGEST :]
    if digest != _digest(rest):
        raise Problems([_problem(f"plan file {path} was modified or truncated", _NEW_PLAN)])
    try:
        return _parsed(json.loads(data))
    except (ValueError, OverflowError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Problems([not_one(path)]) from error


def _parsed(contents: Mapping[str, Any]) -> Saved:
    asked, document = contents["asked"], contents["plan"]
    options = Options(
        adopt=bool(asked["adopt"]),
        destroy=bool(asked["destroy"]),
        allow_deletions=None if asked["allow_deletions"] is None else int(asked["allow_deletions"]),
        **{name: tuple(Address(str(section), str(n)) for section, n in asked[name]) for name in _ADDRESSES},
        kept=frozenset((str(section), str(n)) for section, n in asked["stayed"]),
    )
    inside = asked["in_clone"]
    place = Place(str(asked["environment"]), str(asked["path"]), None if inside is None else str(inside))
    for entry in _changes(document).values():  # raises where it is not a plan
        _difference(entry, entry)
    variables = {str(name): SavedVariable.parsed(one) for name, one in asked["variables"].items()}
    return Saved(place, options, {**document, "checksum": str(document["checksum"])}, contents["shown"], variables)


def _contents(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            beginning = stream.read(len(_HEAD))
            _recognised(path, beginning)
            if os.fstat(stream.fileno()).st_size > MOST_BYTES:
                raise Problems([_problem(f"{path} is too large for a saved plan", _NEW_PLAN)])
            return beginning + stream.read(MOST_BYTES)
    except OSError as error:
        raise Problems([_problem(f"{path} cannot be read: {error.strerror}", _NEW_PLAN)]) from error


def _recognised(path: Path, beginning: bytes) -> None:
    """Raises Problems where the first bytes are not those of a plan file of this version."""
    if beginning == _HEAD:
        return
    version = beginning.removeprefix(_BEGINNING).partition(b'"')[0]
    if beginning.startswith(_BEGINNING) and version.isdigit() and version != VERSION.encode():
        message = f"{path} has plan file version {version.decode()}, but this reconcile reads version {VERSION}"
        raise Problems([_problem(message, "plan and apply with the same version of reconcile")])
    other = next((about for start, about in _OTHER_FORMATS if beginning.startswith(start)), "")
    message = "the file is empty" if not beginning else other
    raise Problems([_problem(f"{path} is not a saved plan" + (f": {message}" if message else ""), _NEW_PLAN)])


def locate(
    saved: Saved, file: Path, cwd: Path, environ: Mapping[str, str], given: Mapping[str, Given] | None = None
) -> str:
    """The path of the environment of the plan in ``file``, from ``cwd``. Raises Problems where it is not found."""
    places: dict[Path, Path] = {}
    for candidate in saved.where.candidates(cwd, file.resolve().parent):
        if candidate.is_file() or is_environment(candidate):
            places.setdefault(candidate.resolve(), candidate)
    found = list(places.values())
    if not found:
        name, path = saved.where.environment, saved.where.path
        message = f"the plan is for the environment {name} at {path}, which does not exist here"
        hint = "run apply at the root of a clone that contains the environment, or in the environment's directory"
        raise Problems([Problem(code=codes.NO_ENVIRONMENT, message=message, hint=hint)])
    same = (path for path in found if _environment_name(path, environ, given or {}) == saved.where.environment)
    return str(next(same, found[0]))


def _environment_name(path: Path, environ: Mapping[str, str], given: Mapping[str, Given]) -> str:
    try:
        return loader.load(path, environ=environ, given=given).name
    except Problems:
        return ""


# --- is it current? --------------------------------------------------------------------------------------------------


def wrong_scope(saved: Saved, scope: Scope) -> list[Problem]:
    """Problems where the plan is for another environment, account or Region than ``scope``, or one of both is in the
    sandbox, which plays any account.
    """
    pairs = (("environment", scope.environment), ("account", scope.account), ("region", scope.region))
    if (saved.document.get("endpoint") == SANDBOX) != (scope.endpoint == SANDBOX):
        message = "the plan is for the sandbox, but this is not the sandbox"
        if scope.endpoint == SANDBOX:
            message = "the plan is not for the sandbox, but this is the sandbox"
        hint = "create and apply the plan with the same --sandbox and AWS_ENDPOINT_URL"
        return [Problem(code=codes.FOREIGN_PLAN, message=message, hint=hint)]
    return [
        Problem(
            code=codes.FOREIGN_PLAN,
            message=f"the plan is for {name} {saved.document.get(name)}, but the current one is {here}",
            hint=_SCOPE_HINTS[name],
        )
        for name, here in pairs
        if saved.document.get(name) != here
    ]


_SCOPE_HINTS: Final = {
    "environment": "apply the plan at the root of its clone, or in the directory of its environment",
    "account": "use the credentials the plan was created with (AWS_PROFILE, `profile:`)",
    "region": "set AWS_REGION, or `region:` in environment.yaml, to the Region of the plan",
}


def out_of_date(
    saved: Saved, now: Mapping[str, Any], because: Sequence[Problem] = (), refused: Collection[str] = ()
) -> list[Problem]:
    """The differences between a saved plan and ``now``, the new plan as JSON; empty where they are equal.

    ``because`` are errors of the new plan, which make the saved one out of date as well; ``refused`` the addresses of
    all its errors, which say why it does nothing there.
    """
    differences = _differing(saved.document, now)
    if saved.checksum == now.get("checksum") and not differences and not because:
        return []
    general = Problem(
        code=codes.STALE_PLAN,
        message="the saved plan is out of date: the account or the environment has changed since",
        hint="make a new one with `reconcile plan --out FILE`",
    )
    if not differences and not because:
        differences = {"": "a value that is not shown has changed"}
    listed = [
        Problem(code=codes.STALE_PLAN, message=text, address=name)
        for name, text in sorted(differences.items())
        if name not in refused
    ]
    more = len(listed) - MOST_LISTED
    if more > 0:
        listed = [*listed[:MOST_LISTED], Problem(code=codes.STALE_PLAN, message=f"and {more} more resources")]
    return [general, *listed, *because]


def verify(planned: Planned, saved: Saved, timestamp: str, problems: Sequence[Problem] = ()) -> None:
    """Raises Problems (exit code 5) where the new plan differs from the saved one; not where some resources could not
    be read. ``problems`` are those of the new plan that have not been shown yet.
    """
    if any(problem.code in UNREADABLE_CODES for problem in planned.problems):
        return
    refused = {
        problem.address
        for problem in planned.problems
        if problem.address and not problem.warning and problem.code != codes.CANNOT_RUN
    }
    found = out_of_date(saved, document(planned, timestamp=timestamp), problems, refused)
    if found and planned.as_saved and equal_after_cleanup(planned.as_saved, planned.plan):
        now = document(replace(planned, plan=planned.as_saved), timestamp=timestamp)
        found = out_of_date(saved, now, problems, refused)
    if found:
        raise Problems(found, exit_code=STALE)


def equal_after_cleanup(claimed: Plan, current: Plan) -> bool:
    """Whether ``current`` lacks nothing of ``claimed``, which is equal to the saved plan, but cleanup of old
    objects.
    """
    now = {item.address: item for item in current.resources}
    return all(_equal_after_cleanup(item, now.get(item.address)) for item in claimed.resources)


def _equal_after_cleanup(claimed: ResourcePlan, current: ResourcePlan | None) -> bool:
    if current is None or claimed.verb is not current.verb:
        return claimed.verb is Verb.UPDATE and current is not None and current.verb is Verb.NOOP
    return claimed.verb not in (Verb.DELETE, Verb.REPLACE) or claimed.removed_objects == current.removed_objects


def _differing(saved: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, str]:
    """The differences between the changes of two plans, in words, by address."""
    old, new = _changes(saved), _changes(now)
    return {name: _difference(old.get(name), new.get(name)) for name in {*old, *new} if old.get(name) != new.get(name)}


def _changes(document: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {
        str(entry["address"]): essence(entry) for entry in document["resource_changes"] if entry["action"] != "noop"
    }


def _difference(old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> str:
    if old is None or new is None or old["action"] != new["action"]:
        was = f"the plan was to {old['action']} it" if old else "the plan was to keep it unchanged"
        now = f"a new plan would {new['action']} it" if new else "a new plan would keep it unchanged"
        return f"{was}; {now}"
    before, after = ({str(d["path"]): d for d in side["differences"]} for side in (old, new))
    moved = sorted(path for path in {*before, *after} if before.get(path) != after.get(path))
    moved = moved or sorted(name.replace("_", " ") for name in old if old[name] != new[name])
    return f"not as in the plan: {', '.join(moved[:5])}{', ...' if len(moved) > 5 else ''}"


def not_one(path: Path) -> Problem:
    """The problem of a file whose contents are not those of a plan file."""
    return _problem(f"{path} is not a plan file of reconcile", _NEW_PLAN)


def _problem(message: str, hint: str) -> Problem:
    return Problem(code=codes.PLAN_FILE, message=message, hint=hint)
