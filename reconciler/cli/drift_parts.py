"""`drift` by several machines: one part with its result in a file, the report of all parts, and files in S3."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import typer

from reconciler.model import Environment
from reconciler.model import problem_codes as codes
from reconciler.model.problems import Problem, Problems
from reconciler.model.records import dataclass
from reconciler.model.when_used import when_used
from reconciler.operations.drift import results
from reconciler.operations.drift.results import S3, Bucket

with when_used():
    from reconciler.operations import session
    from reconciler.operations.drift import fleet, shards
    from reconciler.operations.session import Location
    from reconciler.render.drift_view import Checked, Report
    from reconciler.render.text import counted

if TYPE_CHECKING:
    from reconciler.account.objects import Objects


def objects(bucket: Bucket, prefix: str, *, sandbox: bool) -> Objects:
    """The objects of a bucket below ``prefix``, with the caller's own credentials. Raises Problems."""
    from reconciler.account import client  # noqa: PLC0415  (few runs keep files there)
    from reconciler.account.objects import Objects  # noqa: PLC0415

    endpoint = session.sandbox_endpoint(Environment(name=""), os.environ, asked=sandbox)
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    found = client.connect(region=endpoint.region if endpoint else region, endpoint=endpoint)
    return Objects(found, bucket.name, prefix)


@dataclass(frozen=True, slots=True)
class Work:
    """What this machine checks: ``numbers`` are the places of ``locations`` among all ``size`` environments."""

    part: shards.Part
    locations: Sequence[Location]
    numbers: Sequence[int]
    size: int
    fleet: str


def work(word: str | None, locations: Sequence[Location], wrong: Sequence[Problem], cwd: Path) -> Work:
    """The part of ``locations`` that ``--shard`` means; part 1 of 1 without it. Raises Problems: a machine that knows
    other environments than the others would check others.
    """
    part = shards.part_of(word, os.environ) if word else shards.Part(1, 1, shards.run_of(os.environ))
    if wrong:
        raise Problems(wrong)
    found = shards.split(locations, part.total, cwd)
    numbers = found.parts[part.number - 1]
    return Work(part, [locations[number] for number in numbers], numbers, len(locations), found.fleet)


def check(
    found: Work, settings: fleet.Settings, target: str, progress: Callable[[Checked], None], *, sandbox: bool
) -> str:
    """Check a part, and store its result in ``target``. Returns a sentence. Raises Problems."""
    bucket = Bucket.of(target, "--results")
    with results.writing(target, found.part, partial(_of_bucket, bucket, sandbox=sandbox)) as stream:
        writer = results.Writer(stream, found.part, found.fleet, found.size, found.numbers)
        checked = fleet.check_all(found.locations, settings, progress, writer.add)
        writer.end()
    name = str(found.part).capitalize()
    if not checked:
        return f"{name}: no environments; stored in {target}."
    return f"{name}: {Report(environments=checked).summary.rstrip('.')}; stored in {target}."


def merge(ctx: typer.Context, source: str, *, sandbox: bool) -> results.Merged:
    """All parts in ``source``, whose files are there until the command ends. Raises Problems."""
    bucket = Bucket.of(source, "--merge")
    directory = ctx.with_resource(results.fetched(source, partial(_of_bucket, bucket, sandbox=sandbox)))
    return results.merged(directory, source)


def _of_bucket(bucket: Bucket | None, *, sandbox: bool) -> Objects:
    assert bucket is not None
    return objects(bucket, bucket.prefix, sandbox=sandbox)


def alone(option: str, others: Iterable[tuple[str, object]], because: str) -> None:
    """Raises Problems where an option is given with others that have no effect beside it."""
    if given := [name for name, value in others if value]:
        message = f"{option} cannot be combined with {', '.join(given)}"
        raise Problems([Problem(code=codes.USAGE, message=message, hint=because)])


def summary(found: Work) -> str:
    """``part 3 of 16: 125 of 2000 environments``."""
    return f"{found.part}: {len(found.locations)} of {counted(found.size, 'environment')}"


class Files:
    """The files of ``--format FORMAT=s3://…`` and ``--since s3://…``: in a directory while the command runs."""

    def __init__(self, ctx: typer.Context, *, sandbox: bool) -> None:
        self._ctx, self._sandbox = ctx, sandbox
        self._stored: list[tuple[Path, str]] = []
        self._directory: Path | None = None
        self._count = 0

    def outputs(self, words: Sequence[str] | None) -> list[str] | None:
        """``--format`` with files on this machine."""
        return [self._output(word) for word in words] if words else None

    def earlier(self, word: str | None) -> Path | None:
        """The file of ``--since``, which need not exist. Raises Problems."""
        if word is None or not word.startswith(S3):
            return Path(word) if word is not None else None
        file = self._new()
        bucket, key = _object(word, "--since")
        objects(bucket, "", sandbox=self._sandbox).fetch(key, file)
        return file

    def send(self) -> None:
        """Store the reports. Raises Problems."""
        for file, word in self._stored:
            bucket, key = _object(word, "--format")
            objects(bucket, "", sandbox=self._sandbox).store(key, file)

    def _output(self, word: str) -> str:
        name, _, to = word.partition("=")
        if not to.startswith(S3):
            return word
        _object(to, "--format")
        file = self._new()
        self._stored.append((file, to))
        return f"{name}={file}"

    def _new(self) -> Path:
        if self._directory is None:
            self._directory = Path(self._ctx.with_resource(TemporaryDirectory(prefix="reconcile-")))
        self._count += 1
        return self._directory / str(self._count)


def _object(word: str, option: str) -> tuple[Bucket, str]:
    bucket = Bucket.of(word, option)
    if bucket is None or not bucket.prefix or word.endswith("/"):
        hint = f"write {S3}BUCKET/PATH/FILE"
        raise Problems([Problem(code=codes.USAGE, message=f"{option}: {word} names no file", hint=hint)])
    return bucket, bucket.prefix.rstrip("/")
