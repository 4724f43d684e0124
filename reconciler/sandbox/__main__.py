"""``python -m reconciler.sandbox``: serve the account in the foreground until SIGTERM or Ctrl-C.

When it accepts requests, it prints its URL, and nothing else, on the first line of standard output.
"""

from __future__ import annotations

import argparse
import gc
import signal
import sys
import threading
from collections.abc import Sequence
from types import FrameType

from reconciler.sandbox.process import MISSING_MOTO


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve the account; returns the exit status: 1 if moto is missing or the port is in use."""
    parser = argparse.ArgumentParser(prog="python -m reconciler.sandbox", description="An AWS account on this machine.")
    parser.add_argument("--port", type=int, default=0, help="TCP port on loopback; 0 picks a free one")
    parser.add_argument(
        "--speed", type=float, default=1.0, help="run the clock N times as fast as real time; 0 stops it"
    )
    parser.add_argument("--account", default="123456789012", help="the account's id")
    parser.add_argument("--region", default="eu-west-1", help="the default Region")
    asked = parser.parse_args(arguments)
    gc.set_threshold(50_000, 20, 25)  # the models of AWS are a large heap that stays
    try:
        from reconciler.sandbox.clock import Clock  # noqa: PLC0415  moto may be missing, and is slow to import
        from reconciler.sandbox.server import Sandbox  # noqa: PLC0415
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] not in ("moto", "werkzeug", "flask", "flask_cors", "xmltodict"):
            raise
        print(MISSING_MOTO, file=sys.stderr)  # noqa: T201  the message is for people
        return 1
    sandbox = Sandbox(account=asked.account, region=asked.region, clock=Clock(speed=asked.speed))
    try:
        server = sandbox.serve(asked.port)
    except OSError as taken:
        why = (taken.strerror or str(taken)).lower()
        hint = "pass another --port, or none for any free one"
        print(f"cannot listen on 127.0.0.1:{asked.port} ({why}): {hint}", file=sys.stderr)  # noqa: T201
        return 1

    def stop(_: int, __: FrameType | None) -> None:
        threading.Thread(target=server.shutdown).start()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    print(server.url, flush=True)  # noqa: T201  it is the command's result
    threading.Thread(target=sandbox.warm, daemon=True).start()
    server.serve_forever(poll_interval=0.1)
    server.server_close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
