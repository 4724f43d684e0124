"""`make demo`, without make: it tells its story to the end, and leaves nothing behind however it ends."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.support.long import across

ROOT = Path(__file__).resolve().parents[2]

# A shell cannot trap a signal that was ignored when it started, as it is under nohup.
LAUNCH = "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execv(sys.argv[1], sys.argv[1:])"

DECIDED = ("retry", "jobs show", "why")
DECISIONS = [
    ("RETRY", 'entry 0 matches: onStatusReason: "Host EC2*"'),
    ("EXIT", 'entry 1 matches: onReason: "*"'),
]


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    """What the demo takes for /tmp."""
    path = tmp_path / "tmp"
    path.mkdir()
    return path


def start(tmp_path: Path, temporary: Path) -> subprocess.Popen[str]:
    commands = tmp_path / "bin"
    commands.mkdir()
    for name, arguments in {"reconcile": "-m reconciler", "python": ""}.items():
        (commands / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {arguments} "$@"\n', encoding="utf-8")
        (commands / name).chmod(0o755)
    path = f"{commands}{os.pathsep}{os.environ['PATH']}"
    return subprocess.Popen(
        [sys.executable, "-c", LAUNCH, str(ROOT / "tools" / "demo.sh")],
        env={**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "TMPDIR": str(temporary), "DEMO_SPEED": "500"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def read_until(demo: subprocess.Popen[str], line: str) -> str:
    assert demo.stdout is not None
    seen = ""
    for text in demo.stdout:
        seen += text
        if line in text:
            return seen
    raise AssertionError(f"it ended without saying {line!r}:\n{seen}")


def left_behind(shown: str, temporary: Path) -> list[str]:
    """What still stands of what the demo started."""
    left = [str(path) for path in temporary.iterdir()]
    for url in re.findall(r"The sandbox is running at (\S+)", shown):
        try:
            urllib.request.urlopen(f"{url}/_sandbox/status", timeout=5).close()
        except urllib.error.URLError:
            continue
        left.append(url)
    return left


@pytest.mark.long  # twenty processes: `.ci/run` runs it by name
def test_it_tells_its_story_to_the_end(tmp_path: Path, temporary: Path) -> None:
    shown, _ = (demo := start(tmp_path, temporary)).communicate(timeout=300)

    assert demo.returncode == 0, shown
    assert re.findall(r"^(?:Plan: .*|No changes\..*)$", shown, re.MULTILINE) == [
        "Plan: 9 to create, 0 to update, 0 to replace, 0 to delete.",
        "Plan: 9 to create, 0 to update, 0 to replace, 0 to delete.",
        "No changes. The account matches the environment.",
        "Plan: 1 to create, 2 to update, 0 to replace, 0 to delete.",
        "Plan: 1 to create, 2 to update, 0 to replace, 0 to delete.",
        "No changes. The account matches the environment.",
        "Plan: 0 to create, 0 to update, 0 to replace, 9 to delete.",
    ]
    predicted, happened, explained = (shown.partition(f"\n$ reconcile {command} ")[2] for command in DECIDED)
    assert re.findall(r"^attempt \d  \S+ +(\w+) +(entry .*?)(?: \[\d\])?$", predicted, re.MULTILINE) == DECISIONS
    assert re.findall(r"^  ([A-Z]+): (entry .*) \(environments/", happened, re.MULTILINE) == DECISIONS
    assert re.findall(r"^  \d  .*: (\w+), because (entry .*?)(?: \(assumed\))?$", explained, re.MULTILINE) == DECISIONS
    assert "[app-exit, likely]" in explained and "cannot write: no space left on device" in explained
    assert left_behind(shown, temporary) == []


@pytest.mark.parametrize(
    ("moment", "sent"),
    across(["$ eval", "$ reconcile validate", "$ reconcile apply"], [signal.SIGINT, signal.SIGTERM], 6),
)
def test_it_leaves_nothing_behind_when_it_is_stopped(
    moment: str, sent: signal.Signals, tmp_path: Path, temporary: Path
) -> None:
    demo = start(tmp_path, temporary)
    shown = read_until(demo, moment)

    os.killpg(demo.pid, sent)
    rest, _ = demo.communicate(timeout=300)

    assert demo.returncode == {signal.SIGINT: 130, signal.SIGTERM: 143}[sent], shown + rest
    assert "The demo is complete." not in rest
    assert left_behind(shown + rest, temporary) == []
