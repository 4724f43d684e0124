"""One sandbox in the background, which every shell can find.

Its process id and URL are in a state file under the user's runtime or cache directory, not in a project;
``RECONCILE_SANDBOX_DIR`` moves it. A file whose process has ended is ignored.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from reconciler.model import EMPTY
from reconciler.model.patterns import regex
from reconciler.model.records import dataclass

MISSING_MOTO = "the sandbox needs moto: pip install 'batch-reconcile[sandbox]'"
ACCOUNT = "123456789012"
REGION = "eu-west-1"
NOWHERE = "http://127.0.0.1:9/the-sandbox-was-not-started"
"""An endpoint that refuses every connection; clients show it in their errors."""
_PATIENCE = 60.0
# Variables that would lead a shell past the sandbox, or send real credentials to it
_ASTRAY = regex(r"AWS_((DEFAULT_)?PROFILE|SESSION_TOKEN|SECURITY_TOKEN|ENDPOINT_URL_\w+)")
_CALLER = regex(r"A[SK]IA\w{16}")


class SandboxError(Exception):
    """The sandbox cannot be started or reached; ``hint`` says how to fix it."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True)
class Handle:
    """A running sandbox: ``account`` and ``region`` are the main ones, ``others`` further accounts that were used."""

    url: str
    pid: int
    account: str = ACCOUNT
    region: str = REGION
    others: tuple[str, ...] = ()


def start(*, port: int = 0, speed: float = 1.0, account: str = ACCOUNT, region: str = REGION) -> Handle:
    """Start a sandbox in the background, or return the running one, whatever it was started with.

    Raises :class:`SandboxError`, OSError where its directory cannot be written to. A sandbox whose start is
    interrupted is ended.
    """
    running = status()
    if running is not None:
        return running
    if find_spec("moto") is None:
        raise SandboxError(*MISSING_MOTO.split(": ", 1))
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
    try:
        assert child.stdout is not None
        with child.stdout:
            url = child.stdout.readline().strip()
        if url:
            _write(Handle(url, child.pid))
        handle = status() if url else None
    except BaseException:
        child.kill()
        child.wait()
        raise
    if handle is None:
        child.kill()
        raise _ended(child.wait(), log)
    # The child outlives this process on purpose; without this line Python warns about it.
    child.returncode = 0
    return handle


def _ended(status: int, log: Path) -> SandboxError:
    """The error of a sandbox that could not start, by its last words."""
    said = log.read_text().strip()
    last = next(reversed(said.splitlines()), f"status {status}")
    if said and "Traceback" not in said:
        message, _, hint = last.rpartition(": ")
        return SandboxError(message or last, hint if message else "")
    return SandboxError(f"the sandbox ended as it started: {last}", f"its log is {log}")


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
        url, pid = str(found["url"]), int(found["pid"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    facts = _facts(url) if _alive(pid) else None
    if facts is not None:
        return Handle(url, pid, facts["account"], facts["region"], tuple(facts["accounts"][1:]))
    with suppress(OSError):
        _state_file().unlink(missing_ok=True)
    return None


def reset() -> bool:
    """Empty the account; False if no sandbox runs."""
    running = status()
    if running is None:
        return False
    control(running.url, "reset", {})
    return True


def exports(url: str, region: str = REGION, key: str = "test", environ: Mapping[str, str] = EMPTY) -> list[str]:
    """The lines that point a shell, and so every AWS client in it, to the sandbox.

    ``key`` is the access key; ``environ`` are the shell's variables, of which those are unset that lead elsewhere. A
    proxy is not used for the sandbox.
    """
    lines = [f"export {name}={value}" for name, value in environment(url, region, key).items()]
    return [*_unset(environ), *lines, *_no_proxy(environ)]


def refusing(environ: Mapping[str, str]) -> str:
    """The line that points a shell at an endpoint that refuses every call."""
    settings = " ".join(f"{name}={value}" for name, value in environment(NOWHERE).items())
    return "; ".join([*_unset(environ), f"export {settings}", *_no_proxy(environ)])


def _no_proxy(environ: Mapping[str, str]) -> list[str]:
    if not any(name.lower() in ("http_proxy", "all_proxy") for name in environ):
        return []
    hosts = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    if "127.0.0.1" in hosts.split(","):
        return []
    value = shlex.quote(",".join(filter(None, (hosts, "127.0.0.1"))))
    return [f"export NO_PROXY={value} no_proxy={value}"]


def _unset(environ: Mapping[str, str]) -> list[str]:
    astray = sorted(name for name in environ if _ASTRAY.fullmatch(name))
    return [f"unset {' '.join(astray)}"] if astray else []


def environment(url: str, region: str = REGION, key: str = "test") -> dict[str, str]:
    """The same as a mapping of environment variables."""
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "false",
        "AWS_ACCESS_KEY_ID": key,
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def access_key(handle: Handle, account: str | None) -> str:
    """The access key of an account of the sandbox; None: of the main account."""
    return account if account and account != handle.account else "test"


def announce_role(handle: Handle, arn: str) -> None:
    """Let a role be assumed although the sandbox has no such role. Raises OSError."""
    control(handle.url, "roles", {"arn": arn})


def is_caller(handle: Handle, key: str) -> bool:
    """Whether an access key is of a role that was assumed in the sandbox, or of a user there."""
    if not _CALLER.fullmatch(key):
        return False
    return control(handle.url, f"callers?key={key}")["arn"] is not None


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
    part.write_text(json.dumps({"url": handle.url, "pid": handle.pid}))
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


def _facts(url: str) -> Any:
    """What the sandbox at the URL says of itself; None if there is none: the process id may be another program's."""
    try:
        found = control(url, "status")
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and {"account", "accounts", "region"} <= found.keys() else None


def _quiet(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without AWS settings, which moto would read, except the path of service models."""
    return {
        name: value
        for name, value in environment.items()
        if not name.startswith(("AWS_", "MOTO_")) or name == "AWS_DATA_PATH"
    }
