"""Finds out what is wrong with a job, or with an object that is declared or in the account, and where to change it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from reconciler.account.reader import Reader
from reconciler.config import names
from reconciler.config.expressions import address as parsed
from reconciler.kinds import discover
from reconciler.model import Address, Environment, Kind, Path, Query, Resource, Scope, Sought, Unreadable
from reconciler.model import problem_codes as codes
from reconciler.model.diagnosis import Diagnoser, Diagnosis, Question, Setting, Suspect
from reconciler.model.problems import Problem, Problems, did_you_mean, one_of
from reconciler.model.records import dataclass
from reconciler.operations.session import Session, now_at
from reconciler.planning.live_objects import is_derived
from reconciler.render.diagnosis import Explained, Place

PARALLELISM = 8
DELETING = "DELETING"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A kind that may know the subject, and the subject as that kind knows it; ``address`` where it is declared."""

    kind: Kind
    diagnoser: Diagnoser
    subject: str
    by_id: bool = False
    address: Address | None = None


def diagnose(session: Session, subject: str) -> Explained:
    """What is wrong with ``subject``: an id, an address, or a name, at last that of a job. Raises Problems."""
    found = _diagnosed(session, subject)
    if found is None and (job := _newest_job(session, subject)):
        found = _diagnosed(session, job)
    if found is None:
        raise Problems([_missing(names.in_account(session.env, session.scope), subject)])
    return found


def _newest_job(session: Session, name: str) -> str | None:
    """The id of the newest job with this name in the queues of the environment, if it is none itself."""
    from reconciler.operations.jobs.desk import Desk, job_id  # noqa: PLC0415  (few subjects are names of jobs)

    return Desk(session).newest(name) if job_id(name) is None and parsed(name) is None else None


def _diagnosed(session: Session, subject: str) -> Explained | None:
    env = names.in_account(session.env, session.scope)
    declared: dict[str, list[str]] = {}
    for address, resource in env.resources.items():
        declared.setdefault(address.section, []).append(resource.name)
    now = now_at(session)
    reader = Reader(session.client, parallelism=PARALLELISM)
    try:
        for one in candidates(env, subject):
            question = Question(scope=session.scope, subject=one.subject, now=now, declared=declared)
            reads = one.diagnoser.by_id if one.by_id and one.diagnoser.by_id else one.diagnoser.by_name
            found = reader.drive(reads(question))
            if (found is None or found.state == DELETING) and (other := _successor(reader, session.scope, one)):
                found = reader.drive(one.diagnoser.by_name(replace(question, subject=other)))
            if found is not None:
                return explained(env, found, session.root)
    except Unreadable as error:
        message = f"{subject} cannot be read: {error}"
        raise Problems([Problem(code=codes.UNREADABLE, message=message, hint=error.advice)]) from error
    finally:
        reader.close()
    return None


def candidates(env: Environment, subject: str) -> Iterator[Candidate]:
    """The kinds that may know ``subject``, the likeliest first. Raises Problems for what no kind can diagnose."""
    known = [(kind, kind.diagnosis) for kind in discover().values() if kind.diagnosis is not None]
    for kind, one in known:
        if one.ids and re.fullmatch(one.ids, subject):
            yield Candidate(kind, one, subject, by_id=True)
            return
    address = parsed(subject)
    if address is not None and address.section in discover():
        yield _by_address(env, address)
        return
    last = subject.rpartition("/")[2] if subject.startswith("arn:") else subject
    own = [(kind, one, resource) for kind, one in known for resource in _named(env, kind.section, last)]
    for kind, one, resource in own:
        yield Candidate(kind, one, resource.name, address=resource.address)
    seen = {kind.section for kind, _, _ in own}
    yield from (Candidate(kind, one, last) for kind, one in known if kind.section not in seen and not one.ids)


def _successor(reader: Reader, scope: Scope, one: Candidate) -> str:
    """The name of the object that replaced the declared one of this name; empty if there is none."""
    if one.address is None:
        return ""
    query = Query(scope, (Sought(one.subject),), owned=True, indexed=False)
    ours = [
        live
        for live in reader.drive(one.kind.read(query))
        if one.kind.owned(live, scope) and live.logical == one.address.name and not live.deleting
    ]
    return next((live.attrs.get("name") or live.physical for live in ours), "")


def explained(env: Environment, found: Diagnosis, root: str = "") -> Explained:
    """A diagnosis with the places where its causes are changed."""
    subject = next(iter(_named(env, found.section, found.name)), None) if found.name else None
    changes = [place(env, one, root) for one in found.causes]
    return Explained(diagnosis=found, address=str(subject.address) if subject else None, changes=tuple(changes))


def place(env: Environment, suspect: Suspect, root: str) -> Place | None:
    """Where to change what causes it: the first property of an object that is declared, else of the first object."""
    for setting in suspect.settings:
        for resource in _named(env, setting.section, setting.name):
            path = _path(resource, setting)
            pos = resource.at(path)
            return Place(
                address=str(resource.address),
                name=setting.name,
                path=".".join(map(str, path)),
                pos=pos if pos.file else None,
                root=root,
                value=setting.value,
                overridden=_overridden(resource, path, setting),
            )
    first = next(iter(suspect.settings), None)
    if first is None:
        return None
    return Place(address=None, name=first.name, path=first.path, pos=None, root=root, value=first.value)


def subjects(env: Environment) -> list[str]:
    """The addresses that can be asked about."""
    kinds = discover()
    return [str(address) for address in env.resources if kinds[address.section].diagnosis is not None]


def _by_address(env: Environment, address: Address) -> Candidate:
    kinds = discover()
    kind, resource = kinds[address.section], env.resources.get(address)
    if kind.diagnosis is None:
        message = f"`why` does not know what is wrong with a {kind.name}"
        raise Problems([Problem(code=codes.USAGE, message=message, hint=f"ask about: {_nouns()}")])
    if resource is None:
        hint = did_you_mean(str(address), subjects(env)) or f"ask about {one_of(subjects(env)) or 'a job id'}"
        raise Problems([Problem(code=codes.USAGE, message=f"{address} is not declared", hint=hint)])
    return Candidate(kind, kind.diagnosis, resource.name, address=address)


def _named(env: Environment, section: str, name: str) -> list[Resource]:
    """The declared resource of a section with a physical name, or with this key; else the one that was replaced."""
    some, kind = [one for address, one in env.resources.items() if address.section == section], discover().get(section)
    exact = [one for one in some if one.name == name] or [one for one in some if one.address.name == name]
    if exact or kind is None or kind.versioned:
        return exact
    return [one for one in some if is_derived(name, one.name, kind)]


def _overridden(resource: Resource, path: Path, setting: Setting) -> bool:
    """Whether the job asks for something else than its definition declares."""
    declared = _value(resource.props, path)
    return bool(setting.asked) and isinstance(declared, str | int) and str(declared) != setting.asked


def _path(resource: Resource, setting: Setting) -> Path:
    path: Path = tuple(int(part) if part.isdecimal() else part for part in setting.path.split("."))
    if not setting.of_type:
        return path
    listed = _value(resource.props, path)
    for index, entry in enumerate(listed if isinstance(listed, Sequence) and not isinstance(listed, str) else ()):
        if isinstance(entry, Mapping) and entry.get("type") == setting.of_type:
            return (*path, index, "value")
    return path


def _value(props: Any, path: Path) -> Any:
    for part in path:
        if isinstance(part, int) and isinstance(props, Sequence) and part < len(props):
            props = props[part]
        elif isinstance(props, Mapping):
            props = props.get(part)
        else:
            return None
    return props


def _missing(env: Environment, subject: str) -> Problem:
    known = [kind.diagnosis for kind in discover().values() if kind.diagnosis is not None]
    if any(one.ids and re.fullmatch(one.ids, subject) for one in known):
        message = f"the account has no job {subject} in this Region"
        return Problem(
            code=codes.USAGE, message=message, hint="AWS Batch keeps jobs for at least 7 days after their end"
        )
    declared = next((one for one in env.resources if subject in (str(one), one.name)), None)
    if declared is not None:
        message = f"{declared} is declared, and does not exist in the account"
        return Problem(code=codes.USAGE, message=message, hint="`reconcile apply` creates it")
    message = f'neither the environment nor the account has "{subject}" as {_nouns()}'
    hint = did_you_mean(subject, [*subjects(env), *(address.name for address in env.resources)])
    return Problem(code=codes.USAGE, message=message, hint=hint or "give a job id, an address, or a name")


def _nouns() -> str:
    nouns = sorted(kind.diagnosis.noun for kind in discover().values() if kind.diagnosis is not None)
    return f"{', '.join(nouns[:-1])} or {nouns[-1]}"
