"""Signals, however many: one is a request, two an interrupt, and what has begun to be given back is given back."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
import typer

from reconciler.cli import interrupts
from reconciler.cli.interrupts import Interruption
from reconciler.cli.signals import interruptible


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in interrupts.SIGNALS}
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whoever runs tests may ignore it
    yield
    interrupts.restore(before)


@pytest.mark.parametrize("graceful", [False, True])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_twenty_signals(number: int, graceful: bool, capfd: pytest.CaptureFixture[str]) -> None:
    given_back = False

    def work() -> None:
        nonlocal given_back
        with interruptible() as stop:
            stop.graceful = graceful
            try:
                for _ in range(20):
                    signal.raise_signal(number)
            finally:
                for _ in range(20):
                    signal.raise_signal(number)
                given_back = True

    with pytest.raises(typer.Exit) as left:
        work()

    assert left.value.exit_code == 130
    assert given_back
    assert capfd.readouterr().err.endswith("Interrupted.\n")


def test_a_closed_terminal_is_a_request_however_often_it_is_told(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def closed(*_: object) -> int:
        raise OSError(5, "Input/output error")

    with interruptible() as stop:
        stop.graceful = True
        monkeypatch.setattr(os, "write", closed)
        signal.raise_signal(signal.SIGHUP)
        signal.raise_signal(signal.SIGHUP)
        monkeypatch.undo()

        assert stop.event.is_set()
    assert "Interrupted" not in capfd.readouterr().err


def test_what_nohup_ignores_stays_ignored() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)

    with interruptible() as stop:
        signal.raise_signal(signal.SIGHUP)

    assert not stop.event.is_set()
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_who_waits_long_can_end_it(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[int] = []
    monkeypatch.setattr(os, "_exit", ended.append)
    handler = Interruption()

    with pytest.raises(KeyboardInterrupt):
        handler()
    handler()
    assert not ended

    monkeypatch.setattr(interrupts, "SECONDS", -1.0)
    handler()
    assert ended == [130]
