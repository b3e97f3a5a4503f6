"""All that is asked of a ruleset: each promise, of each version, with the fewest and most seats."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from server.gamekit.conformance.promise import Failure, Promise
from server.gamekit.conformance.realtime import REALTIME_PROMISES
from server.gamekit.conformance.turns import TURN_PROMISES
from server.gamekit.fold import AnyRuleset
from server.gamekit.realtime import RealtimeRuleset

SEED: Final = "contract"


class Question(NamedTuple):
    """One promise, asked of one version of a ruleset; `exempt` says why it is not asked."""

    promise: Promise
    ruleset: AnyRuleset
    seats: tuple[int, ...]
    exempt: str | None
    is_earlier: bool

    def find_failure(self, seed: str) -> Failure | None:
        """Ask it with each number of seats; give the first failure."""
        for seats in () if self.exempt else self.seats:
            failure = self.promise.find_failure(self.ruleset, seats, seed)
            if failure is not None:
                return replace(failure, is_earlier=self.is_earlier)
        return None


def find_promises(ruleset: AnyRuleset) -> Sequence[Promise]:
    """List the promises of a ruleset: those of turns, or those of ticks."""
    return REALTIME_PROMISES if isinstance(ruleset, RealtimeRuleset) else TURN_PROMISES


def list_questions(ruleset: AnyRuleset, *, seats: Sequence[int] = ()) -> Iterator[Question]:
    """List what is asked of a ruleset and its earlier versions, the newest first."""
    for rules in (ruleset, *ruleset.earlier):
        tables = tuple(seats) or tuple(dict.fromkeys((rules.seats[0], rules.seats[-1])))
        for promise in find_promises(rules):
            yield Question(promise, rules, tables, promise.exempt(rules), rules is not ruleset)


def check_ruleset(ruleset: AnyRuleset, *, seed: str = SEED) -> list[Failure]:
    """Check every promise; give what is not kept. For tests that authors write themselves."""
    found = (question.find_failure(seed) for question in list_questions(ruleset))
    return [failure for failure in found if failure is not None]
