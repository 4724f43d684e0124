"""Splits a fleet into parts for several machines, which do not talk to each other: each computes the same split.

An environment belongs to a part by the hash of its path; where that part has its share of the work already, to the next
one with room. So the parts are of about the same size, and an environment that is added or grows moves few others.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Container, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from reconciler.config import files
from reconciler.kinds import discover
from reconciler.model import problem_codes as codes
from reconciler.model.patterns import regex
from reconciler.model.problems import Problem, Problems
from reconciler.model.records import dataclass
from reconciler.operations.session import Location

MOST: Final = (
    10_000  # children of an array job of AWS Batch, https://docs.aws.amazon.com/batch/latest/userguide/array_jobs.html
)
SLACK: Final = 1.1  # the work of a part, at most, as a multiple of the average
FIXED: Final = 3  # what an environment costs beside its resources, in resources: to sign in, and to list what it owns
FORM: Final = "auto, auto/TOTAL or NUMBER/TOTAL, with numbers from 1"
_AUTO: Final = "auto"
_KEY: Final = regex(rb"[\"']?([A-Za-z]+)[\"']?[ \t]*:(.*)")
_ITEM: Final = regex(rb"[\s-]*[\"']?([^\"'#,\[\]]+?)[\"']?\s*(?:#.*)?")
_VARIABLES: Final = "AWS_BATCH_JOB_ARRAY_INDEX, JOB_COMPLETION_INDEX and CI_NODE_INDEX"


@dataclass(frozen=True, slots=True)
class Part:
    """Part ``number``, from 1, of ``total``. ``run`` is what all parts of one run have in common: the id of an array
    job or a pipeline, empty where there is none.
    """

    number: int
    total: int
    run: str = ""

    def __str__(self) -> str:
        return f"part {self.number} of {self.total}"


@dataclass(frozen=True, slots=True)
class Source:
    """Variables that say which part a machine is. ``first`` is the number of the first part."""

    where: str
    index: str
    total: str
    first: int


# operating.md 7.3; https://docs.aws.amazon.com/batch/latest/userguide/job_env_vars.html,
# https://kubernetes.io/docs/concepts/workloads/controllers/job/#completion-mode, https://docs.gitlab.com/ci/variables/predefined_variables/
SOURCES: Final = (
    Source("array job of AWS Batch", "AWS_BATCH_JOB_ARRAY_INDEX", "AWS_BATCH_JOB_ARRAY_SIZE", 0),
    Source("indexed job of Kubernetes", "JOB_COMPLETION_INDEX", "", 0),
    Source("parallel job of GitLab", "CI_NODE_INDEX", "CI_NODE_TOTAL", 1),
)


def part_of(word: str, environ: Mapping[str, str]) -> Part:
    """The part that ``--shard`` means. Raises Problems."""
    run = run_of(environ)
    number, slash, total = word.partition("/")
    if number != _AUTO:
        if not (number.isdecimal() and total.isdecimal()):
            raise _wrong(f'--shard "{word}" is not a part', f"write {FORM}")
        return _checked(int(number), int(total), "--shard", run)
    if slash and not total.isdecimal():
        raise _wrong(f'--shard "{word}" is not a part', f"write {FORM}")
    source = next((one for one in SOURCES if environ.get(one.index)), None)
    if source is None:
        hint = "pass --shard NUMBER/TOTAL; in a GitHub matrix from its own list of numbers"
        raise _wrong(f"--shard auto: none of {_VARIABLES} is set", hint)
    index, given = environ[source.index], environ.get(source.total, "") if source.total else ""
    for name, value in ((source.index, index), (source.total, given)):
        if value and not (value.isascii() and value.isdecimal()):
            raise _wrong(f'{name} is "{value[:40]}", which is not a number', "pass --shard NUMBER/TOTAL")
    if given and slash and int(given) != int(total):
        raise _wrong(f"--shard {word}: {source.total} is {given}", "pass --shard auto")
    if not given and not slash:
        hint = f"pass --shard auto/TOTAL; not every {source.where} has a variable for it"
        raise _wrong(f"--shard auto: {source.index} is {index}, and the number of parts is unknown", hint)
    return _checked(int(index) - source.first + 1, int(given or total), source.index, run)


def run_of(environ: Mapping[str, str]) -> str:
    """What the parts of one run have in common, by the variables of its host."""
    job = environ.get("AWS_BATCH_JOB_ID", "").partition(":")[0]  # of a child: PARENT:INDEX
    return job or environ.get("GITHUB_RUN_ID") or environ.get("CI_PIPELINE_ID") or ""


def _checked(number: int, total: int, what: str, run: str) -> Part:
    if not 1 <= total <= MOST:
        raise _wrong(f"{what}: {total} is not a number of parts", f"the number of parts is from 1 to {MOST:,}")
    if not 1 <= number <= total:
        hint = f"the parts are 1 to {total}" if what == "--shard" else "it does not belong to this number of parts"
        raise _wrong(f"{what}: there is no part {number} of {total}", hint)
    return Part(number, total, run)


def _wrong(message: str, hint: str) -> Problems:
    return Problems([Problem(code=codes.USAGE, message=message, hint=hint)])


# --- the split -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Split:
    """The environments by part, in their order. ``fleet`` identifies the split: two machines that have another list
    of environments, or other sizes, have another one.
    """

    parts: tuple[tuple[int, ...], ...]
    fleet: str


def split(locations: Sequence[Location], total: int, cwd: Path) -> Split:
    """Divide ``locations`` into ``total`` parts of about the same size; a part is their indices."""
    sizes = Sizes(discover())
    named = [(os.path.relpath(one.target, cwd).replace(os.sep, "/"), sizes.of(one.target)) for one in locations]
    identity = hashlib.sha256(repr((total, sorted(named))).encode("utf-8", "surrogateescape"))
    return Split(divided(named, total), identity.hexdigest()[:16])


def divided(named: Sequence[tuple[str, int]], total: int) -> tuple[tuple[int, ...], ...]:
    """The indices of environments, which are given by name and size, in ``total`` parts."""
    places = {name: _place(name) for name, _ in named}
    work = sum(size for _, size in named)
    room = max(math.ceil(work / total * SLACK), max((size for _, size in named), default=0))
    loads, parts = [0] * total, [list[int]() for _ in range(total)]
    for index in sorted(range(len(named)), key=lambda one: (-named[one][1], places[named[one][0]], named[one][0])):
        name, size = named[index]
        first = places[name] % total
        steps = ((first + step) % total for step in range(total))
        part = next((one for one in steps if loads[one] + size <= room), loads.index(min(loads)))
        loads[part] += size
        parts[part].append(index)
    return tuple(tuple(sorted(one)) for one in parts)


def _place(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()[:8], "big")


class Sizes:
    """How large environments are, without reading their YAML in full: a base counts once for all that extend it."""

    def __init__(self, sections: Container[str]) -> None:
        self._sections = sections
        self._layers: dict[Path, tuple[int, tuple[Path, ...]]] = {}

    def of(self, target: Path) -> int:
        """The number of resources that ``target`` declares, roughly, and what it costs in any case."""
        waiting, seen, count = [target], set(), FIXED
        while waiting:
            layer = waiting.pop()
            layer = layer.parent if layer.name in files.SETTINGS_FILES else layer
            real = layer.resolve()
            if real in seen:
                continue
            seen.add(real)
            if real not in self._layers:
                self._layers[real] = self._layer(layer)
            own, bases = self._layers[real]
            count += own
            waiting += bases
        return count

    def _layer(self, layer: Path) -> tuple[int, tuple[Path, ...]]:
        """The resources of a directory or file, and what it extends."""
        root = layer if layer.is_dir() else layer.parent
        count, bases = 0, []
        try:
            for file in sorted(_yaml(layer)):
                own, extended = _scanned(file.read_bytes(), self._sections)
                count += own
                is_settings = file.name in files.SETTINGS_FILES or file == layer
                if is_settings:
                    bases += [root / os.path.normpath(os.fsdecode(one)) for one in extended if b"\0" not in one]
        except (OSError, ValueError, RuntimeError):  # the check of the environment says why
            return count, tuple(bases)
        return count, tuple(bases)


def _yaml(layer: Path) -> Iterator[Path]:
    """The YAML files of a directory that are read; a file is one by itself."""
    if not layer.is_dir():
        yield layer
        return
    for directory, below, names in os.walk(layer):
        below[:] = [name for name in below if not name.startswith(".") and name != files.PLAIN_FILES]
        yield from (Path(directory, name) for name in names if name.endswith(files.YAML) and not name.startswith("."))


def _scanned(content: bytes, sections: Container[str]) -> tuple[int, list[bytes]]:
    """The resources in the text of a file, by the indentation of lines; and the paths that it extends."""
    count, indent, section, extended = 0, 0, b"", list[bytes]()
    for line in content.splitlines():
        bare = line.lstrip()
        if not bare or bare.startswith(b"#"):
            continue
        depth = len(line) - len(bare)
        if not depth and (key := _KEY.match(line)):
            section, indent, rest = key[1], 0, key[2].strip()
            if section == b"extends":
                extended += [found[1] for item in rest.split(b",") if (found := _ITEM.fullmatch(item.strip(b"[] ")))]
            elif rest.startswith(b"{") and section.decode() in sections:
                count += 1
        elif section == b"extends" and bare.startswith(b"-"):
            extended += [found[1] for found in [_ITEM.fullmatch(bare)] if found]
        elif depth and section.decode() in sections:
            indent = indent or depth
            count += depth == indent and not bare.startswith(b"}")
    return count, extended
