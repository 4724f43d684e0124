"""``python -m reconciler``, and the ``reconcile`` command."""

from __future__ import annotations

import atexit
import gc
import os
import signal
import sys
import threading
from typing import NoReturn

_MANY = 10_000_000  # objects that come before Python looks for cycles among them; an estate has many, and none

_INTERRUPTED = 130  # as model/exit_codes has it, whose package takes a while to import


def leave(code: int) -> NoReturn:
    """Leave without taking everything down piece by piece, which takes as long as validating twenty resources.

    What has to be done at the end is done. Where a thread is still at work, or the output cannot be written, Python
    leaves in its own way; but who has interrupted does not wait for a call that hangs.
    """
    if threading.active_count() == 1 or code == _INTERRUPTED:
        atexit._run_exitfuncs()  # noqa: SLF001  (what Python itself calls at this point)
        try:
            for stream in filter(None, (sys.stdout, sys.stderr)):  # None where the shell has closed it
                stream.flush()
        except (OSError, ValueError):
            sys.exit(code)
        os._exit(code)
    sys.exit(code)


def main() -> None:
    """Run the command line; exits with the contract's codes, never with a traceback."""
    try:
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # what stops a job in CI interrupts as Ctrl-C does
        gc.set_threshold(_MANY, 50, 50)
        from reconciler.cli.main import main as command_line  # noqa: PLC0415  (here, for a clean Ctrl-C while importing)

        command_line()
    except SystemExit as end:
        if isinstance(end.code, int):
            leave(end.code)
        raise
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted.\n")
        leave(_INTERRUPTED)


if __name__ == "__main__":
    main()
