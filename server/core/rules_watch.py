"""A limit for rules that do not return, or take all memory.

Rules run in the event loop, because a move is a few microseconds of work, and a process or a thread
of their own would cost more than the move. So an endless loop in one game would stop the node with
all its games. The watch ends that loop::

    with CALLING_RULES:
        events = ruleset.decide(state, seat, move)

The block only counts: a call costs two additions and no clock. A thread looks at the counters ten
times within the limit. If it has seen the same call each time, it sends a signal to the main
thread, whose handler looks once more, and raises `RulesTooSlow` in the rules, at the line that they
were at. Between two bytecodes of the main thread nothing else runs, so the handler never raises
outside the block: a call that has just returned is not interrupted.

Time in which the process does not run (a suspended machine) does not count, since the thread does
not run either.

The same thread keeps the address space bounded: while no rules run, the limit follows what the
process uses; while they run it stays. So one call can take `room_bytes` at most, and what it wants
beyond that raises `MemoryError`.

What cannot be interrupted is a single operation of the interpreter, such as `10 ** 10 ** 9`: Python
handles signals between bytecodes. Rules that catch every `BaseException` in their endless loop are
interrupted again each tenth of the limit.
"""

import logging
import signal
import threading
from types import FrameType
from typing import Final

from persistence import address_space
from server.core.containment import RulesTooSlow

log = logging.getLogger(__name__)

LOOKS: Final = 10  # within the limit
_SIGNAL: Final = signal.SIGVTALRM  # nothing else in the server uses it


class RulesCalls:
    """Counts the calls of rules on the main thread; used as a context manager, and not nested."""

    __slots__ = ("begun", "ended")

    def __init__(self) -> None:
        self.begun = 0
        self.ended = 0

    def __enter__(self) -> None:
        self.begun += 1

    def __exit__(self, *_: object) -> None:
        self.ended = self.begun


# One for the process: rules run on its main thread only.
CALLING_RULES: Final = RulesCalls()
# A signal that arrives while the block is entered or left interrupts nothing.
_EDGES: Final = (RulesCalls.__enter__.__code__, RulesCalls.__exit__.__code__)


class RulesWatch:
    """The thread, and the handler of its signal; started and stopped on the main thread."""

    def __init__(self, *, limit_s: float, room_bytes: int) -> None:
        self._limit_s = limit_s
        self._room_bytes = room_bytes
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._overdue = -1  # the call that has taken too long
        self._before: object = None

    def start(self) -> None:
        """Begin to watch."""
        if threading.current_thread() is not threading.main_thread():
            log.warning("rules are not watched: this server does not run on the main thread")
            return
        self._before = signal.signal(_SIGNAL, self._interrupt)
        self._thread = threading.Thread(target=self._watch, name="rules watch", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Watch no longer; harmless if it never began."""
        if self._thread is None:
            return
        self._stopping.set()
        self._thread.join()
        self._thread = None
        signal.signal(_SIGNAL, signal.SIG_IGN)  # of which one may be on its way
        address_space.lift_limit()

    def _watch(self) -> None:
        main = threading.main_thread().ident
        assert main is not None
        seen, looks = -1, 0
        while not self._stopping.wait(self._limit_s / LOOKS):
            begun, is_inside = CALLING_RULES.begun, CALLING_RULES.begun != CALLING_RULES.ended
            if not is_inside:
                seen = -1
                if self._room_bytes:
                    address_space.leave_room(self._room_bytes)
            elif begun != seen:
                seen, looks = begun, 0
            else:
                looks += 1
                if looks >= LOOKS:
                    self._overdue = begun
                    signal.pthread_kill(main, _SIGNAL)

    def _interrupt(self, _: int, frame: FrameType | None) -> None:
        calls = CALLING_RULES
        if calls.begun == calls.ended or calls.begun != self._overdue:
            return
        if frame is not None and frame.f_code in _EDGES:
            return
        raise RulesTooSlow(f"The rules did not return within {self._limit_s:g} s.")
