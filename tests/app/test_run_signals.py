"""Signals that reach ``caat run``: which are listened to, and what is made of them."""

import signal
from collections.abc import Iterator

import pytest

from app.cli.run import Signals

NAMES = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM", signal.SIGHUP: "SIGHUP"}


def unheard(number: int, _frame: object) -> None:
    """What a signal meets that is not listened to."""


@pytest.fixture(autouse=True)
def nobody_listens() -> Iterator[None]:
    before = {number: signal.signal(number, unheard) for number in NAMES}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", NAMES)
def test_each_signal_is_told_by_its_name(number):
    with Signals() as signals:
        assert signals.told() == ""
        signal.raise_signal(number)
        assert signals.told() == f"Stopped by {NAMES[number]}"


def test_the_first_signal_is_the_reason_whatever_follows():
    with Signals() as signals:
        for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
            signal.raise_signal(number)
        assert signals.told() == "Stopped by SIGHUP"


def test_a_second_ctrl_c_ends_the_process():
    with Signals():
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_with_nohup_a_terminal_that_closes_is_not_listened_to_and_other_signals_are():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with Signals() as signals:
        signal.raise_signal(signal.SIGHUP)
        assert signals.told() == ""
        signal.raise_signal(signal.SIGTERM)
        assert signals.told() == "Stopped by SIGTERM"
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_a_shell_has_its_background_jobs_ignore_is_listened_to(number):
    signal.signal(number, signal.SIG_IGN)
    with Signals() as signals:
        signal.raise_signal(number)
        assert signals.told() == f"Stopped by {NAMES[number]}"


def test_afterwards_every_signal_meets_what_it_met_before():
    with Signals():
        assert unheard not in [signal.getsignal(number) for number in NAMES]
    assert [signal.getsignal(number) for number in NAMES] == [unheard] * 3
