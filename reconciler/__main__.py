"""``python -m reconciler``, and the ``reconcile`` command."""

from __future__ import annotations

import atexit
import gc
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from typing import NoReturn

from reconciler.cli import interrupts

_ENDING = 0.5  # seconds
_MANY = 10_000_000  # new objects before a collection of cycles: an environment has many objects and no cycles


def leave(code: int) -> NoReturn:
    """Exit without freeing every object, which takes as long as validating twenty resources.

    Exit functions run and output is flushed. Where another thread still runs, or the output cannot be written, Python
    exits in its normal way; after an interrupt the process does not wait for a thread that hangs.
    """
    if code == interrupts.INTERRUPTED or _is_alone():
        interrupts.handle(signal.SIG_IGN)
        atexit._run_exitfuncs()  # noqa: SLF001  (what Python itself calls at this point)
        try:
            for stream in filter(None, (sys.stdout, sys.stderr)):  # None where the stream is closed
                stream.flush()
        except (OSError, ValueError):
            sys.exit(code)
        os._exit(code)
    sys.exit(code)


def _is_alone() -> bool:
    """Whether no other thread needs to be waited for, as after an interrupt.

    Threads that are about to end get a moment: each needs some time in which this one does nothing, and a plan of many
    resources has 32 of them.
    """
    until = time.monotonic() + _ENDING
    try:
        for thread in threading.enumerate():
            if thread is not threading.current_thread() and thread.is_alive() and not thread.daemon:
                thread.join(max(0, until - time.monotonic()))
    except KeyboardInterrupt:
        return True
    return threading.active_count() == 1


def _fail_the_shell() -> None:
    """What :mod:`reconciler.cli.shell_lines` prints, after a Ctrl-C before the command line runs."""
    from reconciler.cli import shell_lines  # noqa: PLC0415  (as below)

    if shell_lines.is_evaluated(None):
        shell_lines.before()
        shell_lines.after_failure()


def main() -> None:
    """Run the command line; exits with the contract's codes, never with a traceback."""
    try:
        interrupts.handle(interrupts.Interruption())  # CI stops a job with SIGTERM: handled like Ctrl-C
        gc.set_threshold(_MANY, 50, 50)
        from reconciler.cli.main import main as command_line  # noqa: PLC0415  (imported here for a clean Ctrl-C during the import)

        command_line()
    except SystemExit as end:
        if isinstance(end.code, int):
            leave(end.code)
        raise
    except KeyboardInterrupt:
        with suppress(OSError, AttributeError):  # the terminal is closed, or there is none
            sys.stderr.write("Interrupted.\n")
        _fail_the_shell()
        leave(interrupts.INTERRUPTED)


if __name__ == "__main__":
    main()
