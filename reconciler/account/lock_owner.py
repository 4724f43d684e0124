"""Which machine and process this is, so that a lock left behind by a killed run here is known for what it is."""

from __future__ import annotations

import getpass
import os
import socket
import uuid
from collections.abc import Mapping
from pathlib import Path

from reconciler.account.lock import Claim, mine


def claim(environ: Mapping[str, str]) -> Claim:
    """What this run says of itself when it takes a lock."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):
        user = str(os.getuid()) if hasattr(os, "getuid") else "somebody"
    pid = os.getpid()
    return mine(uuid.uuid4().hex, environ, user, socket.gethostname(), machine(), f"{pid}@{process_start(pid)}")


def alive(claimed: Claim) -> bool | None:
    """Whether the claim's process still runs; None where that cannot be told from here."""
    pid, _, since = claimed.process.partition("@")
    if not claimed.machine or claimed.machine != machine() or not pid.isdigit():
        return None
    return process_start(int(pid)) == since


def machine() -> str:
    """A name for this boot of this machine and this space of process numbers; empty where there is none."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{socket.gethostname()} {boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def process_start(pid: int) -> str:
    """When the process was started, in the kernel's ticks; ``gone`` when there is none, or only its remains."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    except OSError:
        return "gone"
    return "gone" if fields[0] in ("Z", "X") else fields[19]
