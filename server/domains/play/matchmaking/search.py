"""One look at a queue: from the tickets that wait to the matches that were found.

`playhall matchmaking simulate` runs it too, on a queue in memory and with a clock of its own.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

from persistence.matchmaking.store import NewMatch, WaitingTicket
from protocol.ids import LobbyId, PlayerId, new_id
from server.domains.play.matchmaking.rules import (
    FoundMatch,
    SearchRules,
    Shuffle,
    Ticket,
    find_matches,
    seat_players,
)
from server.gamekit.fold import AnyRuleset

TICKETS_AT_ONCE: Final = 2000
SEEN_S: Final = 15.0  # people who were not seen for longer are not matched
WAIT_WEIGHT: Final = 0.1  # of the newest match in the average wait


class SearchedQueue(Protocol):
    """A queue that is held: `HeldQueue` of the store, or one of a simulation."""

    waited_s: float

    async def list_waiting(self, *, seen_s: float, limit: int) -> Sequence[WaitingTicket]:
        """List the tickets that wait, the longest-waiting first."""

    async def take(self, match: NewMatch, *, accept_s: float) -> bool:
        """Give tickets to a match; False if one of them waits no longer."""

    async def note_wait(self, waited_s: float) -> None:
        """Note how long people waited lately."""


class Searched(NamedTuple):
    """What a look came to."""

    tickets: int
    matches: int


async def search_queue(
    queue: SearchedQueue,
    ruleset: AnyRuleset,
    rules: SearchRules,
    *,
    accept_s: float,
    shuffle: Shuffle,
) -> Searched:
    """Find matches among those who wait, and give their tickets away."""
    waiting = await queue.list_waiting(seen_s=SEEN_S, limit=TICKETS_AT_ONCE)
    taken, waited_s = 0, queue.waited_s
    for match in find_matches(
        [_ticket(each) for each in waiting], rules, has_bots=bool(ruleset.bots)
    ):
        seats = seat_players(match, ruleset, shuffle)
        if seats is None:
            continue
        if await queue.take(_new_match(match, seats), accept_s=accept_s):
            taken += 1
            for ticket in match.tickets:
                waited_s += WAIT_WEIGHT * (ticket.waited_s - waited_s)
    if taken:
        await queue.note_wait(waited_s)
    return Searched(len(waiting), taken)


def _ticket(waiting: WaitingTicket) -> Ticket:
    return Ticket(
        ticket_id=waiting.ticket_id,
        players=waiting.players,
        pool=(waiting.seats, waiting.config),
        rating=waiting.rating,
        waited_s=waiting.waited_s,
        region=waiting.region,
        properties=waiting.properties,
        conditions=waiting.conditions,
        with_bots=waiting.with_bots,
    )


def _new_match(match: FoundMatch, seats: Sequence[PlayerId | None]) -> NewMatch:
    return NewMatch(
        LobbyId(new_id()),
        match.tickets[0].pool[1],
        seats,
        match.region,
        [ticket.ticket_id for ticket in match.tickets],
    )
