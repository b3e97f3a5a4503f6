"""What SIGTERM, SIGINT and SIGHUP do to a program that has a database to stop.

Outside of a serving event loop, which has handlers of its own, a signal unwinds the program like
an error (`unwinding`), so that what was started is stopped. It waits for the end of steps that
must not be broken off (`uninterrupted`): PostgreSQL's programs leave processes and half-made
folders behind when they are interrupted.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

ENDING: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
SIGNALLED: Final = 128  # shells add this to the number of the signal that ended a program


class StoppedBySignal(SystemExit):
    """A signal ends the program, with the status that shells give for it."""

    def __init__(self, number: int) -> None:
        super().__init__(SIGNALLED + number)


class StoppedBySecondSignal(SystemExit):
    """A second signal came while the server went away; nothing more is waited for."""

    def __init__(self, number: signal.Signals) -> None:
        self.status = SIGNALLED + number
        super().__init__(self.status)


@contextmanager
def stop_on_signals() -> Iterator[None]:
    """Let the signals that end a program raise `StoppedBySignal` in the block."""

    def stop(number: int, _: FrameType | None) -> None:
        raise StoppedBySignal(number)

    with _handled_by(stop):
        yield


@contextmanager
def hold_signals() -> Iterator[None]:
    """Hold back the signals that end a program until the block is done, then deliver the first.

    In other threads than the main one there is nothing to hold back: signals never reach them.
    """
    if not _is_main():
        yield
        return
    came: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        came.append(number)

    try:
        with _handled_by(note):
            yield
    finally:
        if came:
            signal.raise_signal(came[0])


@contextmanager
def _handled_by(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    before = {number: signal.signal(number, handler) for number in handled_signals()}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)


def handled_signals() -> list[signal.Signals]:
    """List the signals that end this program: not those that it ignores, as under `nohup`."""
    if not _is_main():
        return []
    return [number for number in ENDING if signal.getsignal(number) not in (signal.SIG_IGN, None)]


def _is_main() -> bool:
    return threading.current_thread() is threading.main_thread()
