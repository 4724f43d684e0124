"""Submits a job once, also where replies are lost.

SubmitJob has no token that makes it idempotent. So each job has a name of its own, and after a lost reply that name is
looked for before the request is sent again. A name that was given may be that of other jobs: their ids are read first.

https://docs.aws.amazon.com/batch/latest/APIReference/API_SubmitJob.html
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from reconciler.model import Address, Call, Declared, Json, Kind, Query, Refused, Resource, Unreadable
from reconciler.model import problem_codes as codes
from reconciler.model.jobs import Overrides, Submission, Takes
from reconciler.model.problems import Problem, Problems, did_you_mean, one_of
from reconciler.model.records import dataclass
from reconciler.model.resources import Sought
from reconciler.operations.jobs import stop
from reconciler.operations.jobs.desk import Desk, declared_of, job_id, kinds_that

MOST_SENT: Final = 5  # times that one request is sent
PAUSES: Final = (1.0, 3.0, 6.0)  # before each look for a job whose reply was lost
DUPLICATE: Final = "A duplicate: the reply to the first request was lost"
LAST: Final = 10.0  # before one more look where there may be two
_NAME: Final = 128


@dataclass(frozen=True, slots=True)
class Definition:
    """A declared definition and how its jobs are submitted."""

    resource: Resource
    submission: Submission


@dataclass(frozen=True, slots=True)
class Submitted:
    """A job that AWS Batch has; ``sent`` is how often the request was sent, ``found``: its reply was lost. ``doubled``
    are further jobs of one submission, which AWS listed too late: of a name of its own they are being terminated.
    """

    job_id: str
    name: str
    queue: str
    sent: int
    found: bool
    doubled: tuple[str, ...] = ()


def definition(desk: Desk, word: str | None) -> Definition:
    """The definition with this key, address or physical name; without a word the only one. Raises Problems."""
    kinds = kinds_that("submits")
    known = [(kind, one) for kind in kinds for one in declared_of(desk.env, kind)]
    noun = " or ".join(kind.name for kind in kinds)
    if not known or (word is None and len(known) != 1):
        message = f"no {noun} given" if known else f"{desk.env.name} has no {noun}"
        hint = one_of([one.address.name for _, one in known]) if known else "declare one"
        raise Problems([Problem(code=codes.USAGE, message=message, hint=hint)])
    for kind, one in known:
        if word is None or word in (one.address.name, str(one.address), one.name):
            return Definition(one, _submission(kind, one))
    keys = [one.address.name for _, one in known]
    near = did_you_mean(word or "", [*keys, *(str(one.address) for _, one in known)])
    hint = near or (one_of(keys) if keys else "declare one")
    raise Problems([Problem(code=codes.USAGE, message=f'there is no {noun} "{word}" in {desk.env.name}', hint=hint)])


def _submission(kind: Kind, one: Resource) -> Submission:
    if kind.submits is None:
        raise TypeError(kind.section)
    return kind.submits(one.props)


def queue(desk: Desk, wanted: Definition, word: str | None, *, flag: str = "--queue") -> tuple[str, Takes | None]:
    """The name or ARN of the queue ``word``, or of the only one of the environment that fits; and which jobs it takes,
    where it is declared. ``flag`` is the option that has ``word``. Raises Problems.
    """
    if word is not None:
        found = desk.queue_of(word)
        return (found.name, takes(desk, found.address)) if found else (word, None)
    known = [(one.name, takes(desk, one.address)) for one in desk.queues]
    if not known:
        message = f"no queue of {desk.env.name} exists in account {desk.session.scope.account}"
        hint = f"create one with `reconcile apply`, or name another with {flag}"
        raise Problems([Problem(code=codes.USAGE, message=message, hint=hint)])
    return _only(desk, wanted, known, flag)


def foresee(desk: Desk, wanted: Definition, word: str | None, *, flag: str) -> None:
    """Whether :func:`queue` will find one once all that is declared exists. Raises Problems."""
    declared = [one for kind in kinds_that("takes_jobs") for one in declared_of(desk.env, kind)]
    if word is None:
        _only(desk, wanted, [(one.name, takes(desk, one.address)) for one in declared], flag)
        return
    known = {name: one for one in declared for name in (one.address.name, str(one.address), one.name)}
    if word not in known and not word.startswith("arn:") and not _exists(desk, word):
        hint = did_you_mean(word, known) or (one_of([one.address.name for one in declared]) if declared else "")
        message = f'{flag}: there is no job queue "{word}" in {desk.env.name}, nor in the account'
        raise Problems([Problem(code=codes.USAGE, message=message, hint=hint)])


def _exists(desk: Desk, name: str) -> bool:
    """Whether the account has a queue of this name; counts as true where that cannot be read."""
    from reconciler.account.reader import Reader  # noqa: PLC0415  (what asks AWS takes long to import)

    query = Query(desk.session.scope, (Sought(name),), owned=False, indexed=False)
    try:
        found = [
            Reader(desk.session.client, parallelism=0).drive(kind.read(query)) for kind in kinds_that("takes_jobs")
        ]
    except Unreadable:
        return True
    return any(live.physical == name for one in found for live in one)


def _only(
    desk: Desk, wanted: Definition, known: Sequence[tuple[str, Takes | None]], flag: str
) -> tuple[str, Takes | None]:
    """The only queue that fits, of those that are enabled if there are any. Raises Problems."""
    fitting = [(name, facts) for name, facts in known if facts and facts.fits(wanted.submission)]
    ready = [one for one in fitting if one[1].enabled] or fitting
    if len(ready) == 1:
        return ready[0]
    shape = f"jobs on {wanted.submission.platform.replace('FARGATE', 'Fargate')}" + (
        " with several nodes" if wanted.submission.multinode else ""
    )
    if ready:
        message = f"several queues of {desk.env.name} take {shape}"
        hint = f"choose with {flag}: {', '.join(name for name, _ in ready)}"
    else:
        listed = f": {', '.join(name for name, _ in known)}" if known else ""
        message = f"no queue of {desk.env.name} takes {shape}{listed}"
        hint = f"name another queue with {flag}"
    raise Problems([Problem(code=codes.USAGE, message=message, hint=hint)])


def takes(desk: Desk, address: Address | None) -> Takes | None:
    """Which jobs a queue of the environment takes; None if it is no longer declared."""
    if address is None:
        return None
    kind = next(kind for kind in kinds_that("takes_jobs") if kind.section == address.section)
    declared = Declared(desk.env.resources, {}, account=desk.env.account, region=desk.env.region)
    return kind.takes_jobs(desk.env.resources[address], declared) if kind.takes_jobs else None


def request(
    wanted: Definition,
    target: tuple[str, Takes | None],
    overrides: Overrides,
    content: Json,
    *,
    name: str | None,
    more: Mapping[str, Any],
) -> dict[str, Any]:
    """The parameters of SubmitJob: those of a file, then what the command line has beside it. Raises Problems."""
    try:
        from_file = wanted.submission.from_file(content) if content else {}
        given = wanted.submission.request(overrides)
    except ValueError as error:
        raise Problems([Problem(code=codes.USAGE, message=str(error))]) from error
    if both := sorted(from_file.keys() & given.keys()):
        message = f"--override has {both[0]}, and the other options change the same"
        raise Problems([Problem(code=codes.USAGE, message=message, hint="write all of it into the file")])
    found = {**from_file, **given, **more}
    if "parameters" in from_file and "parameters" in more:
        found["parameters"] = {**from_file["parameters"], **more["parameters"]}
    name = name or found.get("jobName")
    _check_share(target, found)
    return {
        **found,
        "jobName": name or unique_name(wanted.resource.address),
        "jobQueue": target[0],
        "jobDefinition": wanted.resource.name,
    }


def _check_share(target: tuple[str, Takes | None], found: Mapping[str, Any]) -> None:
    needed = target[1].shares if target[1] else None
    if needed and "shareIdentifier" not in found:
        message = f"{target[0]} has a fair-share policy, and each of its jobs needs a share identifier"
        raise Problems([Problem(code=codes.USAGE, message=message, hint="add --share NAME")])
    if needed is False and "shareIdentifier" in found:
        message = f"{target[0]} has no fair-share policy, and takes no share identifier"
        raise Problems([Problem(code=codes.USAGE, message=message, hint="remove --share")])


def unique_name(address: Address) -> str:
    """A name that no other job has: ``render-20260131-120000-3f9a0c``."""
    tail = f"-{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
    plain = "".join(char if char.isascii() and (char.isalnum() or char in "-_") else "-" for char in address.name)
    return (plain.lstrip("-_") or "job")[: _NAME - len(tail)] + tail


def submit(desk: Desk, params: Mapping[str, Any], *, unique: bool) -> Submitted:
    """Submit it, and return when AWS Batch has it. Raises Problems, also where that remains unknown."""
    name, target = str(params["jobName"]), str(params["jobQueue"])
    before = frozenset() if unique else frozenset(str(one["jobId"]) for one in desk.named(target, name))
    call = Call("batch", "SubmitJob", dict(params))
    lost = False
    for sent in range(1, MOST_SENT + 1):
        reply = desk.reply(call)
        if not isinstance(reply, Refused):
            done = Submitted(str(reply["jobId"]), name, target, sent, found=False)
            return _alone(desk, done, before, unique=unique) if lost else done
        if reply.unknown_outcome:
            found = _lost(desk, target, name, before, reply, again=lost)
            if found:
                done = Submitted(found[0], name, target, sent, found=True)
                return _without(desk, done, found[1:], unique=unique)
            lost = True
        elif not reply.not_processed:
            raise Problems([desk.refusal(call, reply)])
        desk.clock.sleep(min(2.0**sent, 20))
    raise Problems([_perhaps(name, f"no reply after {MOST_SENT} requests ({reply})")])


def _lost(
    desk: Desk, target: str, name: str, before: Collection[str], reply: Refused, *, again: bool
) -> tuple[str, ...]:
    """The jobs of a request whose reply was lost, the first first; none if AWS lists none after a while. ``again``: an
    earlier request was given up, so there may be two. Raises Problems where that cannot be known.
    """
    new: tuple[str, ...] = ()
    for pause in (*PAUSES, LAST) if again else PAUSES:
        desk.clock.sleep(pause)
        try:
            new = _new(desk, target, name, before)
        except Problems as error:
            raise Problems([_perhaps(name, f"{reply}; {error.problems[0].message}")]) from error
        if new and not again:
            return new
    return new


def _new(desk: Desk, target: str, name: str, before: Collection[str]) -> tuple[str, ...]:
    listed = sorted(desk.named(target, name), key=lambda job: (job.get("createdAt", 0), str(job["jobId"])))
    return tuple(str(job["jobId"]) for job in listed if job["jobId"] not in before)


def _alone(desk: Desk, done: Submitted, before: Collection[str], *, unique: bool) -> Submitted:
    """The job after an earlier request was given up: AWS may list the job of that one only now."""
    try:
        found = _new(desk, done.queue, done.name, before)
    except Problems:
        return done
    others = [one for one in found if one != done.job_id]
    if not others:
        return done
    if unique:
        done, others = replace(done, job_id=others[0], found=True), [*others[1:], done.job_id]
    return _without(desk, done, others, unique=unique)


def _without(desk: Desk, done: Submitted, others: Sequence[str], *, unique: bool) -> Submitted:
    """The job, after the others that have its name of its own are stopped; jobs of a given name may be others'."""
    if unique and others:
        stop.stop(desk, [{"jobId": one, "status": "SUBMITTED"} for one in others], DUPLICATE)
    return replace(done, doubled=tuple(others))


def _perhaps(name: str, why: str) -> Problem:
    hint = f"look with `reconcile jobs list --name {name}`, and submit again if it is not there"
    return Problem(code=codes.SUBMITTED_PERHAPS, message=f"whether {name} was submitted is unknown: {why}", hint=hint)


def dependencies(words: Sequence[str]) -> list[dict[str, str]]:
    """``dependsOn`` of ``ID``, ``ID:N_TO_N`` and ``SEQUENTIAL``. Raises Problems for anything else."""
    found: list[dict[str, str]] = []
    for word in words:
        if word.upper() == "SEQUENTIAL":
            found.append({"type": "SEQUENTIAL"})
            continue
        base, _, kind = word.rpartition(":")
        paired = kind.upper() == "N_TO_N"
        known = job_id(base if paired else word)
        if known is None:
            message = f"--depends-on {word}: this is not the id of a job"
            hint = "write an id, ID:N_TO_N, or SEQUENTIAL"
            raise Problems([Problem(code=codes.USAGE, message=message, hint=hint)])
        found.append({"jobId": known, "type": "N_TO_N"} if paired else {"jobId": known})
    return found
