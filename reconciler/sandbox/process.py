"""One sandbox in the background, which every shell can find.

Its process id and URL are in a state file under the user's runtime or cache directory, not in a project;
``RECONCILE_SANDBOX_DIR`` moves it. A file whose process has ended is ignored.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from reconciler.sandbox.__main__ import MISSING_MOTO

REGION = "eu-west-1"
_PATIENCE = 60.0


class SandboxError(Exception):
    """The sandbox cannot be started or reached; the message says how to fix it."""


@dataclass(frozen=True)
class Handle:
    """A running sandbox."""

    url: str
    pid: int


def start(*, port: int = 0, speed: float = 1.0, account: str = "123456789012", region: str = REGION) -> Handle:
    """Start a sandbox in the background, or return the running one, whatever it was started with.

    Raises :class:`SandboxError`.
    """
    running = status()
    if running is not None:
        return running
    if find_spec("moto") is None:
        raise SandboxError(MISSING_MOTO)
    directory().mkdir(parents=True, exist_ok=True, mode=0o700)
    arguments = ["--port", str(port), "--speed", str(speed), "--account", account, "--region", region]
    log = directory() / "sandbox.log"
    with log.open("w") as errors:
        child = subprocess.Popen(  # noqa: S603  our own module
            [sys.executable, "-m", "reconciler.sandbox", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
            env=_quiet(os.environ),
        )
    assert child.stdout is not None
    with child.stdout:
        url = child.stdout.readline().strip()
    if not url:
        child.wait(timeout=_PATIENCE)
        raise SandboxError(log.read_text().strip() or f"the sandbox ended with status {child.returncode}")
    # The child outlives this process on purpose; without this line Python warns about it.
    child.returncode = 0
    handle = Handle(url, child.pid)
    _write(handle)
    return handle


def stop(*, patience: float = 10.0) -> Handle | None:
    """Stop the running sandbox and return its handle; None if there is none. ``patience`` is in seconds."""
    running = status()
    if running is None:
        return None
    with suppress(ProcessLookupError):
        os.kill(running.pid, signal.SIGTERM)
    end = time.monotonic() + patience
    while _alive(running.pid) and time.monotonic() < end:
        time.sleep(0.02)
    if _alive(running.pid):
        with suppress(ProcessLookupError):
            os.kill(running.pid, signal.SIGKILL)
    _state_file().unlink(missing_ok=True)
    return running


def status() -> Handle | None:
    """The running sandbox, or None; the state file of one that has ended is removed."""
    try:
        found = json.loads(_state_file().read_text())
        handle = Handle(str(found["url"]), int(found["pid"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if _alive(handle.pid) and _answers(handle.url):
        return handle
    _state_file().unlink(missing_ok=True)
    return None


def reset() -> bool:
    """Empty the account; False if no sandbox runs."""
    running = status()
    if running is None:
        return False
    control(running.url, "reset", {})
    return True


def exports(url: str, region: str = REGION) -> list[str]:
    """The lines that point a shell, and so every AWS client in it, to the sandbox."""
    return [f"export {name}={value}" for name, value in environment(url, region).items()]


def environment(url: str, region: str = REGION) -> dict[str, str]:
    """The same as a mapping of environment variables."""
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def control(url: str, endpoint: str, values: Mapping[str, Any] | None = None) -> Any:
    """Send a request to the admin API: GET without ``values``, else POST; returns the parsed reply."""
    from urllib import request as http  # noqa: PLC0415  (long to import, and every command imports this module)

    body = None if values is None else json.dumps(values).encode()
    request = http.Request(f"{url}/_sandbox/{endpoint}", data=body)  # noqa: S310  loopback
    direct = http.build_opener(http.ProxyHandler({}))  # loopback needs no proxy
    with direct.open(request, timeout=_PATIENCE) as reply:
        return json.loads(reply.read())


def directory() -> Path:
    """The directory of the state file and the log."""
    given = os.environ.get("RECONCILE_SANDBOX_DIR")
    if given:
        return Path(given)
    base = os.environ.get("XDG_RUNTIME_DIR") or os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "batch-reconcile"


def _state_file() -> Path:
    return directory() / "sandbox.json"


def _write(handle: Handle) -> None:
    part = _state_file().with_suffix(".part")
    part.write_text(json.dumps(asdict(handle)))
    part.replace(_state_file())


def _alive(pid: int) -> bool:
    with suppress(ChildProcessError, OSError):
        os.waitpid(pid, os.WNOHANG)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _answers(url: str) -> bool:
    """Whether a sandbox listens at the URL: the process id may belong to another program by now."""
    try:
        return "account" in control(url, "status")
    except (OSError, ValueError):
        return False


def _quiet(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without AWS settings, which moto would read, except the path of service models."""
    return {
        name: value
        for name, value in environment.items()
        if not name.startswith(("AWS_", "MOTO_")) or name == "AWS_DATA_PATH"
    }
