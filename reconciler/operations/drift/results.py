"""The parts of a report of drift: each machine writes one file, and one machine makes a report of all of them.

A file is lines of JSON: which part it is, two lines for each environment (its result, and its plan), and an end with
their number. Results are written as they come and read one at a time, so memory does not grow with the fleet.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, TYPE_CHECKING, Any, Final

from reconciler import __version__
from reconciler.model import problem_codes as codes
from reconciler.model.masking import single_line
from reconciler.model.patterns import regex
from reconciler.model.problems import Problem, Problems
from reconciler.model.records import dataclass
from reconciler.operations.drift import since
from reconciler.operations.drift.shards import MOST, Part
from reconciler.operations.timestamps import timestamp
from reconciler.render import drift_stored
from reconciler.render import json as as_json
from reconciler.render.drift_view import Checked, Lazy, Status

if TYPE_CHECKING:  # boto3 takes 0.1 s to import, and directories need none
    from reconciler.account.objects import Objects

S3: Final = "s3://"
FORMAT_VERSION: Final = "1.0"
MOST_LINE: Final = 64 << 20  # bytes
APART: Final = timedelta(hours=12)  # between the parts of a run that has no id, at most
_NAME: Final = regex(r"(?:.*/)?part-(\d{1,5})-of-(\d{1,5})\.jsonl")
_ABOUT: Final = "A part of a report of drift: docs/drift.md"
_LONGEST: Final = 200  # characters of the name of an object that becomes that of a file
_BROKEN: Final = (ValueError, KeyError, TypeError, AttributeError, RecursionError)
_REMOVE: Final = "remove what is left of earlier runs, or give each run a directory of its own"


@dataclass(frozen=True, slots=True)
class Bucket:
    """``s3://BUCKET/PREFIX``; ``prefix`` ends with a slash, or is empty."""

    name: str
    prefix: str

    @classmethod
    def of(cls, word: str, option: str) -> Bucket | None:
        """None for the path of a directory. Raises Problems."""
        if not word.startswith(S3):
            return None
        bucket, _, prefix = word.removeprefix(S3).partition("/")
        if not re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", bucket):
            hint = f"write {S3}BUCKET/PREFIX"
            raise Problems([Problem(code=codes.USAGE, message=f"{option}: {word} names no bucket", hint=hint)])
        prefix = prefix.strip("/")
        return cls(bucket, f"{prefix}/" if prefix else "")


def file_of(part: Part) -> str:
    """The name of the file of a part: the same in every run, so that a part that runs again replaces it."""
    return f"part-{part.number}-of-{part.total}.jsonl"


# --- writing ---------------------------------------------------------------------------------------------------------


class Writer:
    """Writes the results of one part to a stream; used by one thread at a time."""

    def __init__(self, stream: IO[str], part: Part, fleet: str, size: int, numbers: Sequence[int]) -> None:
        self._stream, self._numbers, self._count = stream, numbers, 0
        head = {"about": _ABOUT, "format_version": FORMAT_VERSION, "reconcile_version": __version__}
        where = {"part": part.number, "of": part.total, "run": part.run, "fleet": fleet, "environments": size}
        self._line({**head, **where, "at": timestamp()})

    def add(self, number: int, one: Checked) -> Checked:
        """Write a result, by its index in this part; returns what the exit code needs of it."""
        self._line({"number": self._numbers[number], **drift_stored.write(one)})
        self._line(one.plan)
        self._count += 1
        return Checked(name=one.name, status=one.status, exit_code=one.exit_code)

    def end(self) -> None:
        """Write that it is complete."""
        self._line({"end": self._count})

    def _line(self, value: Any) -> None:
        self._stream.write(as_json.dumps(value) + "\n")


@contextmanager
def writing(target: str, part: Part, connect: Callable[[], Objects]) -> Iterator[IO[str]]:
    """A stream whose content is stored as the file of ``part`` when it was written without an error; else nothing is.

    ``connect`` gives the bucket, where ``target`` is one. Raises Problems.
    """
    if target.startswith(S3):
        objects = connect()
        with TemporaryDirectory(prefix="reconcile-") as place:
            file = Path(place, file_of(part))
            with file.open("w", encoding="utf-8", errors="backslashreplace") as stream:
                yield stream
            objects.store(file.name, file)
        return
    directory = Path(target)
    temporary = directory / f".{file_of(part)}.part"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with open(temporary, "w", encoding="utf-8", errors="backslashreplace", opener=_private) as stream:
            yield stream
        temporary.replace(directory / file_of(part))
    except OSError as error:
        message = f"{directory} cannot be written: {error.strerror}"
        raise Problems([_problem(message, "choose another --results")]) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


# --- reading ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a result is. ``at`` and ``plan`` are offsets in the file."""

    number: int
    status: Status
    file: Path
    at: int
    plan: int


class Stored(Lazy):
    """The environments of all parts, in the order of the fleet, read as they are asked for."""

    def __init__(self, places: Sequence[_Place]) -> None:
        self._places = sorted(places, key=lambda one: one.number)
        self._statuses = [one.status for one in self._places]

    @property
    def statuses(self) -> Sequence[Status]:
        """See :class:`Lazy`."""
        return self._statuses

    def at(self, number: int) -> Checked:
        """See :class:`Lazy`."""
        place = self._places[number]
        with place.file.open("rb") as stream:
            stream.seek(place.at)
            written = json.loads(stream.readline())
        written.pop("number")
        found = drift_stored.read(written, None)
        return replace(found, plan=_Plan(place)) if place.plan else found


class _Plan(Mapping[str, Any]):
    """A plan as JSON, read when it is asked for."""

    def __init__(self, place: _Place) -> None:
        self._place = place
        self._found: Mapping[str, Any] | None = None

    def _read(self) -> Mapping[str, Any]:
        if self._found is None:
            with self._place.file.open("rb") as stream:
                stream.seek(self._place.plan)
                self._found = dict(json.loads(stream.readline()))
        return self._found

    def __getitem__(self, name: str) -> Any:
        return self._read()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._read())

    def __len__(self) -> int:
        return len(self._read())


@dataclass(frozen=True, slots=True)
class _File:
    """One file that was read. ``run`` and ``fleet`` are those of :class:`Part` and :class:`.shards.Split`; ``size`` is
    the number of environments in all parts.
    """

    name: str
    part: Part
    fleet: str
    size: int
    at: datetime
    places: tuple[_Place, ...]


@dataclass(frozen=True, slots=True)
class Merged:
    """All parts as one: the environments, and what is wrong with the parts."""

    environments: Stored
    problems: tuple[Problem, ...]


@contextmanager
def fetched(source: str, connect: Callable[[], Objects]) -> Iterator[Path]:
    """The directory with the parts; of a bucket, what was fetched from it. Raises Problems."""
    if not source.startswith(S3):
        yield Path(source)
        return
    objects = connect()
    with TemporaryDirectory(prefix="reconcile-") as place:
        for number, name in enumerate(name for name in objects.names() if _NAME.fullmatch(name)):
            parts = name.split("/")
            plain = len(name) < _LONGEST and not {*parts} & {"", ".", ".."}
            file = Path(place, *(parts if plain else (str(number), parts[-1])))
            file.parent.mkdir(parents=True, exist_ok=True)
            objects.fetch(name, file)
        yield Path(place)


def merged(directory: Path, source: str) -> Merged:
    """The parts below ``directory``, which is what there is in ``source``.

    Parts that are missing, duplicate, truncated or of another run are problems, and the environments of the others
    are there all the same. Raises Problems where there is no part at all.
    """
    found: list[_File] = []
    problems: list[Problem] = []
    try:
        files = sorted(file for file in directory.rglob("part-*.jsonl") if _NAME.fullmatch(file.name))
    except OSError as error:
        raise Problems([_problem(f"{source} cannot be read: {error.strerror}")]) from error
    for file in files:
        try:
            found.append(_read(file, _shown(file, directory)))
        except OSError as error:
            problems.append(_problem(f"{_shown(file, directory)} cannot be read: {error.strerror}"))
        except _BROKEN:
            hint = "run this part again"
            problems.append(
                _problem(f"{_shown(file, directory)} is truncated, or is not part of a report of drift", hint)
            )
    if not found:
        hint = "the parts are what `reconcile drift --shard … --results` writes"
        raise Problems([*problems, _problem(f"there are no parts of a report in {source}", hint)])
    chosen, wrong = _of_one_run(found)
    places = [place for one in chosen for place in one.places]
    problems += [*wrong, *_missing(chosen), *_duplicates(places)]
    return Merged(Stored(places), tuple(problems))


def _read(file: Path, name: str) -> _File:
    """A part, of which every line is one that can be shown. Raises OSError and _BROKEN."""
    places: list[_Place] = []
    with file.open("rb") as stream:
        head = _line(stream)
        if head["about"] != _ABOUT or head["format_version"].partition(".")[0] != FORMAT_VERSION.partition(".")[0]:
            raise ValueError("format")
        whole = [head[key] for key in ("part", "of", "environments")]
        if any(type(one) is not int for one in whole) or not 1 <= whole[0] <= whole[1] <= MOST or whole[2] < 0:
            raise ValueError("part")
        if any(not isinstance(head[key], str) for key in ("run", "fleet")):
            raise TypeError("head")
        at = stream.tell()
        while "end" not in (line := _line(stream)):
            number, planned = line.pop("number"), stream.tell()
            plan = _line(stream)
            since.check_plan(plan)
            if type(number) is not int or not 0 <= number < whole[2] or (plan and "resource_changes" not in plan):
                raise ValueError("environment")
            one = drift_stored.read(line, plan)
            places.append(_Place(number, one.status, file, at, planned if plan else 0))
            at = stream.tell()
        if line["end"] != len(places) or stream.read(1):
            raise ValueError("end")
    part = Part(whole[0], whole[1], head["run"])
    return _File(name, part, head["fleet"], whole[2], datetime.fromisoformat(head["at"]).astimezone(UTC), tuple(places))


def _line(stream: IO[bytes]) -> Any:
    """The JSON of a line. Raises ValueError."""
    text = stream.readline(MOST_LINE)
    if not text.endswith(b"\n"):
        raise ValueError("truncated")
    return json.loads(text)


def _of_one_run(found: Sequence[_File]) -> tuple[list[_File], list[Problem]]:
    """The parts of the latest run, each once, and problems for the others."""
    latest = max(found, key=lambda one: one.at)
    same = (latest.part.total, latest.part.run, latest.fleet, latest.size)
    chosen: dict[int, _File] = {}
    problems = []
    for one in found:
        foreign = (one.part.total, one.part.run, one.fleet, one.size) != same
        if foreign or (not one.part.run and latest.at - one.at > APART):
            run = f" {single_line(one.part.run)}" if one.part.run else ""
            why = "another run" if one.fleet == latest.fleet else "another run or another list of environments"
            problems.append(
                _problem(f"{one.name} ({one.part}) belongs to {why}{run}, of {one.at:%Y-%m-%d %H:%M} UTC", _REMOVE)
            )
        elif one.part.number in chosen:
            other = chosen[one.part.number].name
            problems.append(_problem(f"{one.part} is duplicated: {other} and {one.name}", _REMOVE))
        else:
            chosen[one.part.number] = one
    return [*chosen.values()], problems


def _missing(chosen: Sequence[_File]) -> Iterator[Problem]:
    """A problem for the parts that are missing, which says how many environments were not checked."""
    numbers = {one.part.number for one in chosen}
    total, size = chosen[0].part.total, chosen[0].size
    missing = [str(number) for number in range(1, total + 1) if number not in numbers]
    left = size - sum(len(one.places) for one in chosen)
    if missing:
        which = ", ".join(missing[:20]) + (f" and {len(missing) - 20} more" if len(missing) > 20 else "")
        verb = "is" if len(missing) == 1 else "are"
        message = (
            f"{len(missing)} of {total} parts {verb} missing ({which}): {left} of {size} environments were not checked"
        )
        yield _problem(message, "run the missing parts again, with the same --shard and --results")
    elif left:
        yield _problem(f"{left} of {size} environments are in no part", "run all parts again")


def _duplicates(places: Sequence[_Place]) -> Iterator[Problem]:
    twice = sum(count > 1 for count in Counter(one.number for one in places).values())
    if twice:
        yield _problem(f"{twice} environments are in several parts", "run all parts again")


def _shown(file: Path, directory: Path) -> str:
    return single_line(str(file.relative_to(directory)))


def _problem(message: str, hint: str = "") -> Problem:
    return Problem(code=codes.FILE, message=message, hint=hint)
