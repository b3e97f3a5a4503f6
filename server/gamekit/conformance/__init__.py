"""What every ruleset promises, as checks that run anywhere: in a test, or for a folder of rules.

For: `playhall ruleset test`, `tests/contract`, and the tests that authors write themselves. A check
plays whole games as the server does, and looks at them from every seat after every event.

Promises: a check is deterministic, so a failure names what reproduces it: the promise, the seats
and the seed. It also says what to change.

Must not know: pytest, sockets, storage.
"""

from server.gamekit.conformance.playout import BrokenPromise
from server.gamekit.conformance.promise import Failure, Promise, Trial
from server.gamekit.conformance.suite import (
    SEED,
    Question,
    check_ruleset,
    find_promises,
    list_questions,
)

__all__ = [
    "SEED",
    "BrokenPromise",
    "Failure",
    "Promise",
    "Question",
    "Trial",
    "check_ruleset",
    "find_promises",
    "list_questions",
]
