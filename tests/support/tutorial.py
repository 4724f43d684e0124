"""Tutorials as tests read them: the shell blocks in order, and what each is said to print.

A ``text`` block is the standard output of the ``sh`` block before it. A line ``...`` stands for any number of lines.
Times, and durations of minutes and seconds, may be others. So may ids, but the same id is the same one throughout.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```(?P<language>\w+)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
MARK = "--- block"

TIMES = {
    "time": r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:Z| UTC)",
    "duration": r"\d+ min \d+ s",
}
IDS = {
    "uuid": r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
    "instance": r"i-[0-9a-f]{17}",
    "task": r"\b[0-9a-f]{32}\b",
    "host": r"ec2-[0-9]+-[0-9]+-[0-9]+-[0-9]+",
    "address": r"\b\d+\.\d+\.\d+\.\d+\b",
    "jobName": r"(?<=-)\d{8}-\d{6}-[0-9a-f]{6}",
}
ANY = {**IDS, **TIMES, "duration": r"\d+ (?:min(?: \d+ s)?|s)"}
CHANGING = re.compile("|".join(f"(?P<{kind}>{pattern})" for kind, pattern in {**IDS, **TIMES}.items()))


@dataclass(frozen=True)
class Block:
    """One shell block, and what it prints, if the tutorial says so."""

    script: str
    output: str | None


def blocks(text: str) -> list[Block]:
    found: list[Block] = []
    for block in BLOCK.finditer(text):
        if block["language"] == "sh":
            found.append(Block(block["body"], None))
        elif block["language"] == "text":
            assert found and found[-1].output is None, f"no command prints this:\n{block['body']}"
            found[-1] = Block(found[-1].script, block["body"])
    return found


def mismatch(told: str, printed: str, known: dict[str, str]) -> str:
    """How what was printed differs from what is told; empty if it does not. Ids of the tutorial become ``known``."""
    named: dict[str, str] = {}

    def changing(found: re.Match[str]) -> str:
        kind, text = str(found.lastgroup), found.group()
        if kind in TIMES:
            return ANY[kind]
        if text in known:
            return re.escape(known[text])
        if text in named:
            return f"(?P={named[text]})"
        named[text] = f"id{len(named)}"
        return f"(?P<{named[text]}>{ANY[kind]})"

    pattern = "".join(
        r"(?:.*\n)*?" if line.strip() == "..." else _pattern(line.rstrip("\n"), changing) + "\n"
        for line in told.splitlines(keepends=True)
    )
    found = re.fullmatch(pattern, printed)
    if found is None:
        return f"expected\n{told}\nprinted\n{printed}"
    known.update({text: found[group] for text, group in named.items()})
    twice = len(set(known.values())) < len(known)
    return f"different ids of the tutorial are the same one: {known}" if twice else ""


def _pattern(line: str, changing: Callable[[re.Match[str]], str]) -> str:
    parts, position = [], 0
    for found in CHANGING.finditer(line):
        parts += [re.escape(line[position : found.start()]), changing(found)]
        position = found.end()
    return "".join([*parts, re.escape(line[position:])])


def run(found: Sequence[Block], place: Path) -> list[str]:
    """What each block prints, typed one after the other into one shell in a copy of the repository's environments."""
    home, commands = place / "home", place / "bin"
    shutil.copytree(ROOT / "environments", home / "environments")
    commands.mkdir()
    for name, arguments in {"reconcile": "-m reconciler", "python": ""}.items():
        (commands / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {arguments} "$@"\n', encoding="utf-8")
        (commands / name).chmod(0o755)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environment |= {
        "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "RECONCILE_SANDBOX_DIR": str(place),
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }
    script = "set -e\n" + "".join(f"echo '{MARK}'\n{block.script}" for block in found)
    try:
        shell = subprocess.run(
            ["bash", "-c", script], cwd=home, env=environment, capture_output=True, text=True, timeout=400, check=False
        )
    finally:
        subprocess.run([commands / "reconcile", "sandbox", "stop"], env=environment, capture_output=True, check=False)
    printed = shell.stdout.split(f"{MARK}\n")[1:]
    if shell.returncode:
        last = found[len(printed) - 1].script
        raise AssertionError(f"exit code {shell.returncode} in\n{last}\nprinted\n{printed[-1]}\n{shell.stderr[-3000:]}")
    return printed
