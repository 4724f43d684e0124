"""``python -m reconciler``, and the ``reconcile`` command."""

from __future__ import annotations

import gc
import signal
import sys

_MANY = 500_000  # objects that come before Python looks for cycles among them; an environment has many, and no cycles


def main() -> None:
    """Run the command line; exits with the contract's codes, never with a traceback."""
    try:
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # what stops a job in CI interrupts as Ctrl-C does
        gc.set_threshold(_MANY, 50, 50)
        from reconciler import cli  # noqa: PLC0415  (here, so that Ctrl-C while importing is clean as well)

        cli.main()
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted.\n")
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
