"""What rulesets raise that they must not: counted for the metrics, logged with the trace.

A ruleset is other people's code. What it raises costs its own game at most: where the state
is untouched (`decide`, `view`, a bot) one answer is refused; where it is not (`evolve`,
`outcome`) the game is quarantined. So it is wherever a call took too long, or too much memory.
"""

import logging
from collections import Counter
from collections.abc import Callable
from traceback import format_exception
from typing import Final, Literal, NamedTuple, TypeAlias

from server.core.containment import EXHAUSTED, RAISED_BY_RULES

log = logging.getLogger(__name__)

# A game that fails at every event would fill the disk with the same trace.
TRACE_EVERY_S: Final = 10.0
TRACED_CALLS_MAX: Final = 20  # the innermost ones: rules that call themselves have thousands

# The methods by which failures are counted. `evolve` includes `to_act`, which is asked after
# every event; `setup` includes `initial`; `decide` includes `parse`; `timer` is `decide_timer`.
Method: TypeAlias = Literal[
    "setup", "decide", "evolve", "outcome", "redact", "view", "bot", "timeout_move", "timer", "step"
]


def describe_error(error: BaseException) -> str:
    """Describe an error in one line of text that can be stored, whatever its `repr` does."""
    try:
        text = repr(error)
    except RAISED_BY_RULES:  # its own code, too
        text = type(error).__name__
    return text.encode(errors="backslashreplace").decode()


class RulesFault(NamedTuple):
    """What was raised, in one line, and where, as a traceback."""

    what: str
    trace: str


def describe_fault(error: BaseException) -> RulesFault:
    """Describe an error for operators, whatever its own code does."""
    try:
        trace = "".join(format_exception(error, limit=-TRACED_CALLS_MAX))
    except RAISED_BY_RULES:
        trace = ""
    return RulesFault(describe_error(error), trace.encode(errors="backslashreplace").decode())


class RulesetFailures:
    """The failures of all rulesets on this node, since the start.

    `raised` counts by ruleset and method, `quarantined` counts the games set aside.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self.raised: Counter[tuple[str, str]] = Counter()
        self.quarantined = 0
        self._monotonic = monotonic
        self._traced_at: dict[tuple[str, Method], float] = {}  # bounded by the rulesets

    def count(self, ruleset: str, method: Method, error: BaseException) -> None:
        """Count a failure; its trace is logged at most once in a while."""
        which = (ruleset, method)
        self.raised[which] += 1
        now = self._monotonic()
        if now - self._traced_at.get(which, -TRACE_EVERY_S) >= TRACE_EVERY_S:
            self._traced_at[which] = now
            log.error("the ruleset %s failed in %s", ruleset, method, exc_info=error)


class GameFailures:
    """The failures of one game's rules, counted with all others.

    A call that took all its time, or all memory, would stop the node again with the next move, so
    it ends the game wherever it happens; `stop` is called at most once.
    """

    __slots__ = ("_stop", "all", "is_exhausted")

    def __init__(
        self, every: RulesetFailures, *, stop: Callable[[Method, RulesFault], None]
    ) -> None:
        self.all = every
        self.is_exhausted = False
        self._stop = stop

    def count(self, ruleset: str, method: Method, error: BaseException) -> None:
        """Count a failure, and end the game if its rules are not to be called again."""
        self.all.count(ruleset, method, error)
        if isinstance(error, EXHAUSTED) and not self.is_exhausted:
            self.is_exhausted = True
            self._stop(method, describe_fault(error))
