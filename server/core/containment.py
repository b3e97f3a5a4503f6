"""Containment: what goes wrong with one item is logged and counted, and the others go on.

A node serves many lobbies, games, connections and listeners from one event loop. Wherever it goes
through several of them, and wherever it calls back somebody who registered, a bug that one of them
meets must not stop the rest::

    for session in list(sessions):
        with contained("closing a silent connection"):
            close(session)

A failure is a bug of ours: it is in the log with its trace, and in `playhall_task_failures_total`.
"""

import asyncio
import logging
from types import TracebackType
from typing import Any, Final

log = logging.getLogger(__name__)


class FailureCount:
    """How many failures this process has contained."""

    def __init__(self) -> None:
        self.total = 0


# One for the process, like Prometheus' own registry: whatever fails is counted in one place,
# and nobody needs to be handed a counter only to be able to fail.
FAILURES: Final = FailureCount()


class RulesTooSlow(BaseException):
    """A call of rules took longer than it may; see `server.core.rules_watch`.

    No `Exception`, so that rules which catch those do not go on.
    """


# What a call of a ruleset's method is guarded against. Those that are no `Exception` would end
# the server, or the task of somebody who only asked; rules that call `sys.exit` have a bug like any
# other. Only for calls without an `await`, where a cancellation can come of nothing else; signals
# are the event loop's and raise nothing here.
RAISED_BY_RULES: Final = (
    Exception,
    SystemExit,
    KeyboardInterrupt,
    GeneratorExit,
    asyncio.CancelledError,
    RulesTooSlow,
)
# What costs more than the game it happens in if it happens again: its game is played no more.
EXHAUSTED: Final = (RulesTooSlow, MemoryError)


def log_failure(what: str) -> None:
    """Log the exception that is being handled, with its trace, and count it."""
    FAILURES.total += 1
    log.exception("%s failed", what)


class contain_failures:  # noqa: N801 - it is used like a function
    """Contain what a block raises, but for exceptions that are to be `passed` on.

    Cancellation always passes.
    """

    __slots__ = ("_passed", "_what")

    def __init__(self, what: str, *, passed: tuple[type[Exception], ...] = ()) -> None:
        self._what = what
        self._passed = passed

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> bool:
        if not isinstance(error, Exception) or isinstance(error, self._passed):
            return False
        log_failure(self._what)
        return True


def count_unhandled(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Count what a callback of the event loop raised, and log it as the loop does.

    An exception handler for the loop. What the network does (`OSError`, TLS included) is no bug.
    """
    error = context.get("exception")
    if isinstance(error, Exception) and not isinstance(error, OSError):
        FAILURES.total += 1
    loop.default_exception_handler(context)
