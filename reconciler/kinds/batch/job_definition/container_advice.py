"""Probable mistakes in a container that AWS usually accepts, although its jobs fail: image, command, mounts, limits.

https://docs.aws.amazon.com/batch/latest/APIReference/API_ContainerProperties.html
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from typing import Any

from reconciler.kinds.common.declared import as_int, as_text, at, entries, is_given, items
from reconciler.kinds.common.repeated import once_for_each
from reconciler.model import Finding, Json, Path
from reconciler.model import problem_codes as codes
from reconciler.model.patterns import regex
from reconciler.model.secrets_in_text import secret_arguments, secrets_in

# https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Ulimit.html
ULIMITS = (
    *("core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss", "rtprio"),
    *("rttime", "sigpending", "stack"),
)
_FOR_SHELLS = regex(r"&&|\|\|?|;|[<>]{1,2}|2>&1|\$[A-Za-z_]\w*")
_SHELL = regex(r"(.*/)?(env|(ba|da|z|a|k|c|fi)?sh|cmd(\.exe)?|powershell|pwsh|busybox)")
_PARAMETER = regex(r"(?i:ref):(?!:)\S+|(?i:ref)::\s\S*|(?!Ref)(?i:ref)::\S+")


def limits(path: Path, props: Json) -> Iterator[Finding]:
    """Findings about probable mistakes in the limits and mounts of an ECS container at ``path``."""
    yield from _ulimits((*path, "ulimits"), props)
    for index, mount in entries(props.get("mountPoints")):
        here: Path = (*path, "mountPoints", index)
        where = as_text(mount.get("containerPath"))
        if "containerPath" not in mount:
            hint = "add the path where the volume is mounted, for example containerPath: /data"
            yield Finding(here, "containerPath is missing", hint, code=codes.MISSING_FIELD, warning=True)
        elif where and not re.match(r"/|[A-Za-z]:", where):
            yield Finding((*here, "containerPath"), f'"{where}" is not absolute', f"write /{where}", warning=True)


def volumes(path: Path, props: Json) -> Iterator[Finding]:
    """Findings about probable mistakes in the volumes and the platform version of a task at ``path``."""
    for index, volume in entries(props.get("volumes")):
        here: Path = (*path, "volumes", index)
        source, system = at(volume, "host", "sourcePath"), at(volume, "efsVolumeConfiguration", "fileSystemId")
        if isinstance(source, str) and source and not re.match(r"/|[A-Za-z]:", source):
            yield Finding(
                (*here, "host", "sourcePath"), f'"{source}" is not absolute', f"write /{source}", warning=True
            )
        if isinstance(system, str) and not re.fullmatch(r"fs-[0-9a-f]+", system):
            place: Path = (*here, "efsVolumeConfiguration", "fileSystemId")
            yield Finding(place, f'"{system}" is not the id of a file system', "it looks like fs-0123456789abcdef0")
    version = at(props, "fargatePlatformConfiguration", "platformVersion")
    if isinstance(version, str) and version and not re.fullmatch(r"LATEST|\d+\.\d+\.\d+", version):
        hint = "LATEST, or a number such as 1.4.0"
        place = (*path, "fargatePlatformConfiguration", "platformVersion")
        yield Finding(place, f'"{version}" is not a platform version', hint)


def image(path: Path, image: str | None) -> Iterator[Finding]:
    """Findings about probable mistakes in the image at ``path``."""
    if not image:
        return
    scheme, found, rest = image.partition("://")
    if found:
        plain = rest.removeprefix("hub.docker.com/").removeprefix("r/").removeprefix("_/")
        hint = f"write it without {scheme}://: {plain}"
        yield Finding(path, f'"{image}" is an address, not the name of an image', hint)
        return
    if re.search(r"\s", image):
        yield Finding(path, f'"{image}" has white space in it', "a tag comes after a colon: name:tag")
        return
    first, slash, below = image.partition("/")
    registry = bool(slash) and ("." in first or ":" in first or first == "localhost")
    name, _, tag = (below if registry else image).partition("@")[0].partition(":")
    if name != name.lower():
        hint = f'did you mean "{image.replace(name, name.lower())}"?'
        yield Finding(path, f'"{image}" can never be pulled: image names are in lower case', hint, warning=True)
    elif ":" in tag:
        yield Finding(path, f'"{image}" has two tags', "name:tag")


def command_of(props: Json) -> tuple[Any, bool]:
    """The command of a container, and whether an entry point comes before it."""
    return props.get("command"), is_given(props.get("entryPoint"))


@once_for_each
def command(container: Path, given: tuple[Any, bool]) -> Iterator[Finding]:
    """Findings about probable mistakes in what the ``container`` runs."""
    words, entry = items(given[0]), given[1]
    path = (*container, "command")
    plain = [word for word in words if isinstance(word, str)]
    if len(plain) == 1 and len(words) == 1 and " " in plain[0].strip() and not entry:
        why = f'the container would look for a program named "{plain[0]}"'
        hint = f"one list item per argument: [{', '.join(plain[0].split())}]"
        yield Finding(path, why, hint, warning=True)
    shell = bool(plain) and bool(_SHELL.fullmatch(plain[0]) or entry)
    syntax = next(
        ((n, word) for n, word in enumerate(words) if isinstance(word, str) and _FOR_SHELLS.fullmatch(word)), None
    )
    if syntax and not shell:
        why = f'"{syntax[1]}" is shell syntax, and no shell runs this command'
        hint = 'write [sh, -c, "..."] with the whole line as one item'
        yield Finding((*path, syntax[0]), why, hint, warning=True)
    arguments = set(secret_arguments(words))
    for index, word in enumerate(words):
        if isinstance(word, str) and (word in arguments or secrets_in(word)):
            why = "the command has what looks like a secret, in plain text"
            hint = "store it in a secret, and refer to that: secrets: [{name: ..., valueFrom: NAME-OF-SECRET}]"
            yield Finding((*path, index), why, hint, code=codes.CLEAR_TEXT_SECRET, warning=True)
        if isinstance(word, str) and _PARAMETER.fullmatch(word):
            hint = f"write Ref::{re.sub('(?i)^ref:+', '', word).strip()}"
            yield Finding((*path, index), f'"{word}" is not replaced by a parameter', hint, warning=True)


def _ulimits(path: Path, props: Json) -> Iterator[Finding]:
    for index, limit in entries(props.get("ulimits")):
        name, soft, hard = as_text(limit.get("name")), as_int(limit.get("softLimit")), as_int(limit.get("hardLimit"))
        if name and name not in ULIMITS:
            near = difflib.get_close_matches(name.lower(), ULIMITS, n=1, cutoff=0.6)
            hint = f'did you mean "{near[0]}"?' if near else f"one of {', '.join(ULIMITS)}"
            yield Finding((*path, index, "name"), f'"{name}" is not a limit', hint)
        if soft is not None and hard is not None and 0 <= hard < soft:
            why = f"softLimit {soft} is above hardLimit {hard}"
            yield Finding(
                (*path, index, "softLimit"), why, "the container will not start; raise hardLimit", warning=True
            )
