"""Snapshots: what planning reads of an account, in a file from which it can be planned without the account.

The file is what people attach to a bug report, and what a fork's pull request is planned from: it has no secret, and of
what the environment neither owns nor declares only names and owners. Nothing in it is trusted: a plan that is made from
it is shown, and can be neither saved nor applied.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from reconciler import __version__
from reconciler.config import names
from reconciler.kinds import discover
from reconciler.model import Call, Environment, Live, Options, Refused, Reply, Scope
from reconciler.model import problem_codes as codes
from reconciler.model.exit_codes import RAIL
from reconciler.model.patterns import regex
from reconciler.model.problems import Problem, Problems
from reconciler.model.records import dataclass
from reconciler.operations import pipeline
from reconciler.operations.own_files import foreign, put, try_put
from reconciler.operations.sealed import Place, Sealer, in_place, opened, secrets_of, variables_of
from reconciler.operations.session import Loaded, Session
from reconciler.operations.taken import Taken
from reconciler.operations.timestamps import timestamp

if TYPE_CHECKING:
    from reconciler.account.client import AwsClient
    from reconciler.account.recorded import Record
    from reconciler.account.recording import Recorder

MARK: Final = "reconcile-snapshot/"
VERSION: Final = "1"
MOST_BYTES: Final = 1 << 26
BEGINNING: Final = f'{{\n "file": "{MARK}'.encode()
_HEAD: Final = BEGINNING + f'{VERSION}",\n'.encode()
_NEW: Final = "take one with `reconcile snapshot ENV --out FILE`"
_TIME: Final = "(time)"
_ISO: Final = regex(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
# What data that AWS cannot have sent raises where its types are relied on
_MISREAD: Final = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The contents of a snapshot file.

    variables  the environment variables that hold secrets
    places     where the declaration has the secrets that were taken out of ``replies``
    objects    the attributes of what the environment owns, or declares without an owner, by section and name
    own        the words that name these
    names      the names of all there is, by the read that asks for one
    """

    path: Path
    scope: Scope
    taken: datetime
    version: str
    variables: frozenset[str]
    places: tuple[Place, ...]
    replies: tuple[Mapping[str, Any], ...]
    own: frozenset[str]
    names: Mapping[str, frozenset[str]]
    objects: Mapping[tuple[str, str], Mapping[str, str]]

    def environ(self, environ: Mapping[str, str]) -> dict[str, str]:
        """``environ`` with values for the variables of secrets that are not set in it: they count as unchanged."""
        return {**{name: f"not-given-{name}" for name in self.variables}, **environ}


# --- taking ----------------------------------------------------------------------------------------------------------


def check_place(path: Path) -> None:
    """Raises Problems where a snapshot must not be written to ``path``: only a snapshot is replaced by another."""
    try:
        why = "is a directory" if path.is_dir() else foreign(path, BEGINNING, "a snapshot")
        if not why and (path.is_file() or not path.exists()):
            try_put(path.resolve())
    except OSError as error:
        raise Problems([_problem(f"{path} cannot be written: {error.strerror}", _OTHER)]) from error
    if why:
        raise Problems([_problem(f"{path} {why}, so the snapshot is not written there", _OTHER)])


_OTHER: Final = "choose another --out FILE"


def take(session: Session, path: Path) -> int:
    """Record what planning ``session``'s environment reads, and write it to ``path``; returns the number of replies.

    Raises Problems where no plan is possible, or the file cannot be written.
    """
    from reconciler.account import recording  # noqa: PLC0415  (half of the program, which most commands do without)

    recorder = recording.Recorder(session.client)
    env = names.in_account(session.env, session.scope)
    plan = _planned(session, recorder, Options())
    _planned(session, recorder, Options(destroy=True))
    wide = recording.widen(recorder, discover(), env, session.scope, plan.lookups)
    lives = _ours(session, recorder, env, plan.lookups)
    own = {word for live in lives.values() for one in live for word in (one.physical, *one.attrs.values())}
    own |= {resource.name for resource in env.resources.values()} - {""}
    objects = {(section, _name(live)): live.attrs for section, found in lives.items() for live in found}
    filled = in_place(env, session.scope, objects)
    sealer = Sealer(filled, secrets_of(filled, session.environ), session.mask)
    scope = session.scope
    document = {
        "about": "A snapshot of the replies that planning reads: docs/snapshots.md",
        "reconcile_version": __version__,
        "taken": timestamp(),
        "environment": scope.environment,
        "account": scope.account,
        "region": scope.region,
        "partition": scope.partition,
        "endpoint": session.mask.line(session.client.elsewhere()),
        "variables": variables_of(sealer.secrets),
        "own": sealer.value(sorted(own), names=True),
        "objects": [[*found, sealer.value(_plain(attrs), names=True)] for found, attrs in sorted(objects.items())],
        "names": {read: sealer.value(sorted(found), names=True) for read, found in sorted(wide.items())},
        "replies": _written(recorder, sealer, env, own),
        "hidden": [[list(place.sources), place.salt, place.length] for place in sealer.places],
    }
    lines = ",\n ".join(f"{json.dumps(name)}: {_lines(_plain(value))}" for name, value in document.items())
    try:
        put(path, _HEAD + f" {lines}\n}}\n".encode())
    except OSError as error:
        raise Problems([_problem(f"{path} cannot be written: {error.strerror}", _OTHER)]) from error
    return len(recorder.replies)


def _lines(value: Any) -> str:
    """JSON of a member, with one reply a line."""
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return "[\n  " + ",\n  ".join(map(json.dumps, value)) + "\n ]"
    return json.dumps(value)


def _planned(session: Session, recorder: Recorder, options: Options) -> Any:
    try:
        return pipeline.make_plan(session.env, session.scope, recorder, options).plan
    except pipeline.RailRefusal as refusal:
        return refusal.plan


def _ours(
    session: Session, recorder: Recorder, env: Environment, lookups: Mapping[str, Any]
) -> dict[str, tuple[Live, ...]]:
    """What the environment owns, and what it declares and has no owner, by section."""
    from reconciler.account.reader import Reader  # noqa: PLC0415  (see above)
    from reconciler.account.refresh import refresh  # noqa: PLC0415

    reader = Reader(recorder)
    try:
        observed = refresh(env, session.scope, reader, lambda: (lookups, ()), Options())
    finally:
        reader.close()
    mine = (None, session.env.name)
    return {section: tuple(one for one in lives if one.owner in mine) for section, lives in observed.lives.items()}


def _name(live: Live) -> str:
    return live.attrs.get("name") or live.physical


def _written(recorder: Recorder, sealer: Sealer, env: Environment, own: Iterable[str]) -> list[dict[str, Any]]:
    from reconciler.account.reduced import reduced  # noqa: PLC0415  (see above)

    words = frozenset(own)
    filters = {word.removeprefix("tag:") for lookup in env.lookups.values() for word in _words(lookup.args)}
    found = []
    for _, (call, reply) in sorted(recorder.replies.items(), key=lambda item: item[0]):
        kept = reduced(call, reply, env.name, words, filters)
        entry: dict[str, Any] = {"call": str(call), "params": sealer.value(_plain(call.params), names=True)}
        if call.all_pages:
            entry["all_pages"] = True
        if isinstance(kept, Refused):
            entry["refused"] = [*sealer.value([kept.code, kept.message]), kept.status]
        else:
            entry["reply"] = sealer.value(_plain(kept), call.service)
        found.append(entry)
    return found


def _words(value: Any) -> Iterator[str]:
    """The texts and the keys in the arguments of a look-up."""
    if isinstance(value, Mapping):
        yield from map(str, value)
    if isinstance(value, Mapping | list | tuple):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from _words(item)
    elif isinstance(value, str):
        yield value


def _plain(value: Any) -> Any:
    """``value`` as JSON has it; times as ``{"(time)": "2026-01-31T12:00:00+00:00"}``."""
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, datetime):
        return {_TIME: value.astimezone(UTC).isoformat()}
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value


# --- reading ---------------------------------------------------------------------------------------------------------


def is_snapshot(path: Path) -> bool:
    """Whether ``path`` has the first bytes of a snapshot, of any version."""
    with suppress(OSError), path.open("rb") as stream:
        return stream.read(len(BEGINNING)) == BEGINNING
    return False


def read(path: Path) -> Snapshot:
    """Read a snapshot. Raises Problems where the file is not one."""
    data = _contents(path)
    try:
        return _parsed(path, json.loads(data, parse_constant=_no_number))
    except _MISREAD as error:
        raise Problems([_problem(f"{path} is not a snapshot of reconcile, or is damaged", _NEW)]) from error


def _contents(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            data = stream.read(len(_HEAD))
            if data != _HEAD:
                version = data.removeprefix(BEGINNING).partition(b'"')[0]
                if data.startswith(BEGINNING) and version.isdigit():
                    message = f"{path} has snapshot version {version.decode()}, but this reconcile reads {VERSION}"
                    raise Problems([_problem(message, _NEW)])
                raise Problems([_problem(f"{path} is not a snapshot of reconcile", _NEW)])
            if os.fstat(stream.fileno()).st_size > MOST_BYTES:
                raise Problems([_problem(f"{path} is too large for a snapshot", _NEW)])
            return data + stream.read(MOST_BYTES)
    except OSError as error:
        raise Problems([_problem(f"{path} cannot be read: {error.strerror}", _NEW)]) from error


def _no_number(text: str) -> float:
    raise ValueError(text)


def _parsed(path: Path, found: Mapping[str, Any]) -> Snapshot:
    texts = {name: _text(found[name]) for name in ("environment", "account", "region", "partition", "endpoint")}
    scope = Scope(
        account=texts["account"],
        region=texts["region"],
        partition=texts["partition"],
        environment=texts["environment"],
        endpoint=texts["endpoint"],
    )
    taken = _text(found["taken"])
    if not _ISO.fullmatch(taken):
        raise ValueError(taken)
    snapshot = Snapshot(
        path=path,
        scope=scope,
        taken=datetime.fromisoformat(taken),
        version=_text(found["reconcile_version"]),
        variables=frozenset(map(_text, found["variables"])),
        places=tuple(
            Place(tuple(map(_text, sources)), _text(salt), int(length)) for sources, salt, length in found["hidden"]
        ),
        replies=tuple(found["replies"]),
        own=frozenset(map(_text, found["own"])),
        names={_text(read): frozenset(map(_text, some)) for read, some in found["names"].items()},
        objects={
            (_text(section), _text(name)): {_text(key): _text(value) for key, value in attrs.items()}
            for section, name, attrs in found["objects"]
        },
    )
    _record(snapshot, {})  # raises where the replies are not such
    return snapshot


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _record(snapshot: Snapshot, secrets: Mapping[str, Any]) -> Record:
    from reconciler.account.recorded import Entry, Record  # noqa: PLC0415  (see above)

    entries = []
    for item in snapshot.replies:
        service, _, operation = _text(item["call"]).partition(":")
        params = item["params"]
        if not (isinstance(params, dict) and service and operation):
            raise TypeError(item)
        call = Call(
            service, operation, opened(params, snapshot.places, secrets), all_pages=item.get("all_pages") is True
        )
        entries.append(Entry(call, _reply(item, snapshot, secrets)))

    def words(some: Iterable[str]) -> frozenset[str]:
        return frozenset(opened(list(some), snapshot.places, secrets))

    return Record(entries, words(snapshot.own), {read: words(some) for read, some in snapshot.names.items()})


def _reply(item: Mapping[str, Any], snapshot: Snapshot, secrets: Mapping[str, Any]) -> Reply:
    if "refused" in item:
        code, message, status = item["refused"]
        return Refused(_text(code), _text(opened(message, snapshot.places, secrets)), status=int(status))
    if not isinstance(item["reply"], dict):
        raise TypeError(item)
    reply: dict[str, Any] = _with_times(opened(item["reply"], snapshot.places, secrets))
    return reply


def _with_times(value: Any) -> Any:
    if isinstance(value, dict):
        if value.keys() == {_TIME} and isinstance(value[_TIME], str) and _ISO.fullmatch(value[_TIME]):
            return datetime.fromisoformat(value[_TIME])
        return {name: _with_times(item) for name, item in value.items()}
    return [_with_times(item) for item in value] if isinstance(value, list) else value


# --- planning --------------------------------------------------------------------------------------------------------


def connect(snapshot: Snapshot, loaded: Loaded, environ: Mapping[str, str]) -> Session:
    """The environment with the snapshot as its account. Raises Problems where the snapshot is of another one."""
    from reconciler.account.recorded import Recorded  # noqa: PLC0415  (see above)

    env, scope = loaded.env, snapshot.scope
    hint = "take a snapshot of this one with `reconcile snapshot`"
    for noun, here, there in (("environment", env.name, scope.environment), ("Region", env.region, scope.region)):
        if here not in (None, there):
            message = f"{snapshot.path} is a snapshot of the {noun} {there}, but this environment is {_is(noun, here)}"
            raise Problems([_problem(message, hint)])
    if env.account not in (None, scope.account):
        message = f"{snapshot.path} is a snapshot of account {scope.account}, and this environment is for {env.account}"
        problem = Problem(code=codes.WRONG_ACCOUNT, message=message, hint=hint)
        raise Problems([problem], exit_code=RAIL)
    secrets = secrets_of(in_place(env, scope, snapshot.objects), environ)
    recorded = Recorded(_record(snapshot, secrets), scope.endpoint)
    age = (datetime.now(UTC) - snapshot.taken).total_seconds()
    described = frozenset((section, opened(name, snapshot.places, secrets)) for section, name in snapshot.objects)
    taken = Taken(snapshot.taken.strftime("%Y-%m-%dT%H:%M:%SZ"), age, snapshot.version, described)
    # it is asked for replies only; nothing that a plan calls needs more of a client
    return Session(loaded, scope, cast("AwsClient", recorded), environ, taken)


def _is(noun: str, value: str | None) -> str:
    return str(value) if noun == "environment" else f"for {value}"


def _problem(message: str, hint: str) -> Problem:
    return Problem(code=codes.SNAPSHOT_FILE, message=message, hint=hint)
