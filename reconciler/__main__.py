"""``python -m reconciler``, and the ``reconcile`` command."""

from __future__ import annotations


def main() -> None:
    """Run the command line; exits with the contract's codes, never with a traceback."""
    from reconciler import cli  # noqa: PLC0415  (so that Ctrl-C during the imports is clean as well)

    cli.main()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        raise SystemExit(130) from None
