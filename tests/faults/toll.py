"""Counts what a fault cost, for the table; the checker's sentences say where.

It counts apart from the checker, by simpler means: sets and orders of numbers, no folding.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from protocol.ids import GameId
from server.gamekit.table import CMD
from tests.faults.checker import Evidence, StoredEvent
from tests.faults.recording import Witness


class Toll(NamedTuple):
    """How much players were answered and shown, and how much of it did not last as it was.

    `lost`: acknowledged commands and events seen that the log does not have. `repeated`:
    commands or indexes that are there, or were seen, more than once. `reordered`: steps of a
    log, or of what one player saw, that do not go up.
    """

    acknowledged: int = 0
    seen: int = 0
    lost: int = 0
    repeated: int = 0
    reordered: int = 0


def toll(evidence: Evidence, witnesses: Sequence[Witness]) -> Toll:
    """Count over all games and all players."""
    counts = [Toll(), *(_of_log(log) for log in evidence.logs.values())]
    counts += [_of_witness(player, evidence.logs[GameId(player.game_id)]) for player in witnesses]
    return Toll(*map(sum, zip(*counts, strict=True)))


def _of_log(log: Sequence[StoredEvent]) -> Toll:
    indexes = [event.event_index for event in log]
    commands = [tuple(event.payload[CMD]) for event in log if CMD in event.payload]
    missing = max(indexes, default=-1) + 1 - len(set(indexes))
    repeated = _more_than_once(indexes) + _more_than_once(commands)
    return Toll(lost=missing, repeated=repeated, reordered=_steps_back(indexes))


def _of_witness(witness: Witness, log: Sequence[StoredEvent]) -> Toll:
    stored = {event.event_index for event in log}
    done = {(event.event_index, *event.payload[CMD]) for event in log if CMD in event.payload}
    confirmed = set(_acknowledged(witness))
    seen = [event["event_index"] for event in witness.events]
    return Toll(
        acknowledged=len(confirmed),
        seen=len(seen),
        lost=len(confirmed - done) + len(set(seen) - stored),
        repeated=_more_than_once(seen),
        reordered=_steps_back(seen),
    )


def _acknowledged(witness: Witness) -> Iterator[tuple[int, int, int]]:
    for cmd_no, replies in witness.replies.items():
        for reply in replies:
            if "event_index" in reply:
                yield reply["event_index"], witness.seat, cmd_no


def _more_than_once(things: Sequence[object]) -> int:
    return sum(count - 1 for count in Counter(things).values())


def _steps_back(indexes: Sequence[int]) -> int:
    return sum(later < earlier for earlier, later in pairwise(indexes))
