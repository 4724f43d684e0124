"""``python -m reconciler``, and the ``reconcile`` command."""

from __future__ import annotations


def main() -> None:
    """Run the command line; exits with the contract's codes, never with a traceback."""
    try:
        from reconciler import cli  # noqa: PLC0415  (here, so that Ctrl-C while importing is clean as well)

        cli.main()
    except KeyboardInterrupt:
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
