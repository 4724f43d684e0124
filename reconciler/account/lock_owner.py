"""Identifies this machine and process, so that a lock left by a killed run on the same machine can be recognised."""

from __future__ import annotations

import getpass
import os
import socket
import uuid
from collections.abc import Mapping
from pathlib import Path

from reconciler.account.lock import Claim, new_claim


def claim(environ: Mapping[str, str]) -> Claim:
    """The claim of this run, for the lock; ``environ`` names the job in CI."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):
        user = str(os.getuid()) if hasattr(os, "getuid") else "an unknown user"
    pid = os.getpid()
    return new_claim(uuid.uuid4().hex, environ, user, socket.gethostname(), machine(), f"{pid}@{process_start(pid)}")


def alive(claimed: Claim) -> bool | None:
    """Whether the claim's process still runs; None where it runs on another machine."""
    pid, _, since = claimed.process.partition("@")
    if not claimed.machine or claimed.machine != machine() or not pid.isdigit():
        return None
    return process_start(int(pid)) == since


def machine() -> str:
    """Host name, boot id and PID namespace; empty where the system has none (no /proc)."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{socket.gethostname()} {boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def process_start(pid: int) -> str:
    """When the process started, in kernel ticks since boot (proc(5), stat: starttime); ``gone`` where there is none, or
    only a zombie.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    except OSError:
        return "gone"
    return "gone" if fields[0] in ("Z", "X") else fields[19]
